package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cost is CPU time: of this process, which holds the whole platform and the load generator, and of all PostgreSQL processes that it reads.
type cost struct{ platform, postgres time.Duration }

func (c cost) since(before cost) cost {
	return cost{platform: c.platform - before.platform, postgres: c.postgres - before.postgres}
}

// postmaster is the process id of the run's PostgreSQL; 0 as long as it is unknown.
var postmaster int

// spent reads the CPU time used so far. Backends that have ended are counted with their parent.
func spent() cost {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return cost{}
	}
	c := cost{platform: time.Duration(u.Utime.Nano() + u.Stime.Nano())}
	if postmaster == 0 {
		return c
	}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		data, err := os.ReadFile(path) // #nosec G304 -- /proc
		if err != nil {
			continue // it has just ended
		}
		_, rest, _ := strings.Cut(string(data), ") ") // the name before may hold blanks
		f := strings.Fields(rest)
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if len(f) < 15 || (pid != postmaster && f[1] != strconv.Itoa(postmaster)) {
			continue
		}
		last := 13 // utime, stime
		if pid == postmaster {
			last = 15 // and of its children that have ended
		}
		for _, ticks := range f[11:last] {
			n, _ := strconv.ParseInt(ticks, 10, 64)
			c.postgres += time.Duration(n) * (time.Second / 100) // USER_HZ is 100 on every Linux architecture that Go knows
		}
	}
	return c
}
