package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cost is CPU time: of this process, which holds the whole platform and the load generator; of the run's PostgreSQL; and of the machine.
type cost struct{ platform, postgres, machine time.Duration }

func (c cost) since(before cost) cost {
	return cost{platform: c.platform - before.platform, postgres: c.postgres - before.postgres, machine: c.machine - before.machine}
}

// others is what programs that are no part of the run used.
func (c cost) others() time.Duration { return max(0, c.machine-c.platform-c.postgres) }

// tick is the unit of /proc: USER_HZ is 100 on every Linux architecture that Go knows.
const tick = time.Second / 100

// postmaster is the process id of the run's PostgreSQL; 0 as long as it is unknown.
var postmaster int

// spent reads the CPU time used so far. Backends that have ended are counted with their parent.
func spent() cost {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return cost{}
	}
	c := cost{platform: time.Duration(u.Utime.Nano() + u.Stime.Nano()), machine: machineSpent()}
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
		c.postgres += ticks(f[11:last])
	}
	return c
}

// machineSpent is the time that all cores were not idle, by the first line of /proc/stat: user nice system idle iowait irq softirq.
func machineSpent() time.Duration {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(data), "\n")
	f := strings.Fields(line)
	if len(f) < 8 {
		return 0
	}
	return ticks(f[1:4]) + ticks(f[6:8])
}

func ticks(fields []string) (d time.Duration) {
	for _, f := range fields {
		n, _ := strconv.ParseInt(f, 10, 64)
		d += time.Duration(n) * tick
	}
	return d
}

// processSpent is the CPU time of another process.
func processSpent(pid int) time.Duration {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0
	}
	return ticks(f[11:13])
}
