package platform

import (
	"os"
	"runtime/debug"
)

// TuneMemory trades memory for time: a platform in one process idles far below the limit, and collecting garbage less often halves what a
// transfer costs. GOGC and GOMEMLIMIT win. The program calls it, not Start: the setting belongs to the whole process.
func TuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(512 << 20)
	}
}
