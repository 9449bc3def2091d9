//go:build unix && !linux

package child

import "syscall"

// setDeathSignal does nothing here: only Linux has such a signal. The next start finds the orphan by its lock.
func setDeathSignal(*syscall.SysProcAttr, syscall.Signal) {}
