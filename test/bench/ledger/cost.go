package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cost is what was used up to a moment, or between two.
type cost struct {
	service, postgres, load, machine time.Duration // CPU time; with -inprocess the load generator's is in service
	commits                          int64         // database transactions that wrote
	batches                          int64         // of the ledger; 0 where it does not count them
	walBytes                         int64
	mallocs                          float64 // of the service's process; 0 where it does not tell
	statements                       int64   // of the ledger's own role, with -statements
}

func (c cost) since(b cost) cost {
	return cost{service: c.service - b.service, postgres: c.postgres - b.postgres, load: c.load - b.load, machine: c.machine - b.machine,
		commits: c.commits - b.commits, batches: c.batches - b.batches, walBytes: c.walBytes - b.walBytes, mallocs: c.mallocs - b.mallocs,
		statements: c.statements - b.statements}
}

// others is the CPU time of programs that are no part of the run.
func (c cost) others() time.Duration { return max(0, c.machine-c.service-c.postgres-c.load) }

// spent reads the counters. Commits are counted by transaction ids, which only writers take: pg_stat_database lags by up to a second.
func (w *world) spent(ctx context.Context) (c cost, err error) {
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		return c, err
	}
	self := time.Duration(own.Utime.Nano() + own.Stime.Nano())
	children := finishedChildren()
	if w.child != nil {
		c.load, c.service = self+children, processSpent(w.child.cmd.Process.Pid)
	} else {
		c.service = self + children
	}
	c.postgres, c.machine = postgresSpent(w.postmaster), machineSpent()
	if err := w.admin.QueryRow(ctx,
		`SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint, (pg_current_wal_insert_lsn() - '0/0')::bigint`).
		Scan(&c.commits, &c.walBytes); err != nil {
		return c, fmt.Errorf("read the database's counters: %w", err)
	}
	if w.o.statements {
		if c.statements, err = w.countStatements(ctx); err != nil {
			return c, err
		}
	}
	m, err := w.metrics(ctx)
	c.batches, c.mallocs = int64(m["ledger_batches_total"]), m["go_memstats_mallocs_total"]
	if w.inside != nil {
		var own runtime.MemStats
		runtime.ReadMemStats(&own)
		c.mallocs = float64(own.Mallocs)
	}
	return c, err
}

// finishedChildren is the CPU time of the programs that this one has waited for: pgbench.
func finishedChildren() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// watchOthers tells how long do took and how much of the cores other programs used meanwhile.
func (w *world) watchOthers(ctx context.Context, do func() error) (took, others time.Duration, err error) {
	before, err := w.spent(ctx)
	if err != nil {
		return 0, 0, err
	}
	started := time.Now()
	if err := do(); err != nil {
		return 0, 0, err
	}
	took = time.Since(started)
	after, err := w.spent(ctx)
	return took, after.since(before).others(), err
}

// metrics reads the numbers without labels on the ledger's operations listener.
func (w *world) metrics(ctx context.Context) (map[string]float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+loopback(w.ports.Ops("transactions"))+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("read the metrics: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	out := map[string]float64{}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		name, text, ok := strings.Cut(lines.Text(), " ")
		if value, err := strconv.ParseFloat(text, 64); ok && err == nil {
			out[name] = value
		}
	}
	return out, lines.Err()
}

// tick is the unit of /proc: USER_HZ is 100 on every Linux architecture that Go knows.
const tick = time.Second / 100

// processSpent is the CPU time of another process.
func processSpent(pid int) time.Duration {
	f := stat(pid)
	if len(f) < 15 {
		return 0
	}
	return ticks(f[11:13])
}

// postgresSpent is the CPU time of the server. Backends that have ended are counted with their parent.
func postgresSpent(postmaster int) (d time.Duration) {
	paths, _ := filepath.Glob("/proc/[0-9]*")
	for _, path := range paths {
		pid, _ := strconv.Atoi(filepath.Base(path))
		f := stat(pid)
		if len(f) < 15 {
			continue // it has just ended
		}
		if pid == postmaster {
			d += ticks(f[11:15]) // its own, and of its children that have ended
		} else if f[1] == strconv.Itoa(postmaster) {
			d += ticks(f[11:13])
		}
	}
	return d
}

// stat is a process's line of /proc after its name, which may hold blanks: state, parent, …, utime at 11, stime, cutime, cstime.
func stat(pid int) []string {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return nil
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	return strings.Fields(rest)
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
