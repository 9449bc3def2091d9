//go:build unix

// Package child runs a server program that must not outlive this process.
package child

import (
	"context"
	"os/exec"
	"runtime"
	"syscall"
)

// Process is a running child.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// Start runs cmd in a process group of its own, so that Ctrl-C in a terminal reaches only this process, which
// then stops its parts in order. On Linux the kernel sends death to the child when this process is killed.
//
// That signal follows the thread that forked, not the process, so the child is started from a goroutine that
// keeps its thread until the child has ended.
func Start(cmd *exec.Cmd, death syscall.Signal) (*Process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	setDeathSignal(cmd.SysProcAttr, death)
	p := &Process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// Done is closed when the child has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err is how the child ended; ask only after Done.
func (p *Process) Err() error { return p.err }

// Kill ends the child without ceremony and waits for it.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // an error means that it is gone already
	<-p.done
}

// Stop sends the signal and waits for the end; when ctx ends first, the child is killed and the answer is the
// error of ctx.
func (p *Process) Stop(ctx context.Context, graceful syscall.Signal) error {
	_ = p.cmd.Process.Signal(graceful) // an error means that it is gone already
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		p.Kill()
		return ctx.Err()
	}
}
