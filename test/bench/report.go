package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Targets of the figures, for this kind of machine.
const (
	firstTarget, warmTarget = 20 * time.Second, 5 * time.Second
	idleTarget              = 250 << 20
	rateTarget              = 500
	p99Target               = 150 * time.Millisecond
)

// report collects the figures of a run.
type report struct {
	started               time.Time
	quick                 bool
	without               string
	firstStart, warmStart time.Duration
	idleBytes             int64
	idlePerMille          int64 // of one core
	transfers, reads      []round
	baseline              baseline
	sent, unwanted        int
	provedTransfers       int64
	broken                []string

	processor, memory, database, settings string
}

// machine finds out what the figures belong to.
func (r *report) machine(context.Context) error {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		r.processor = value(string(info), "model name")
	}
	if r.processor == "" {
		r.processor = runtime.GOARCH
	}
	info, err = os.ReadFile("/proc/meminfo")
	if err != nil {
		return fmt.Errorf("read the machine's memory: %w", err)
	}
	var kb int64
	if _, err := fmt.Sscan(value(string(info), "MemTotal"), &kb); err != nil {
		return fmt.Errorf("read the machine's memory: %w", err)
	}
	r.memory = fmt.Sprintf("%.0f GiB", float64(kb)/(1<<20))
	return nil
}

// value finds `name : value` in a file of /proc.
func value(text, name string) string {
	for line := range strings.Lines(text) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// peak is the most memory that this process has had resident, in bytes.
func peak() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return u.Maxrss << 10
}

// versions reads the database's version and the settings that decide about durability.
func (w *world) versions(ctx context.Context, r *report) error {
	var fsync, commit, pages string
	err := w.admin["wallet"].QueryRow(ctx,
		`SELECT current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit'),
		current_setting('full_page_writes')`).Scan(&r.database, &fsync, &commit, &pages)
	r.settings = fmt.Sprintf("fsync %s, synchronous_commit %s, full_page_writes %s", fsync, commit, pages)
	if fsync != "on" || commit != "on" || pages != "on" {
		r.broken = append(r.broken, "the database was not durable: "+r.settings)
	}
	return err
}

func (r *report) markdown() string {
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("Measured on %s: %d cores (%s), %s memory, %s/%s, %s, PostgreSQL %s (%s).", r.started.Format("2006-01-02 15:04 UTC"), runtime.NumCPU(),
		r.processor,
		r.memory, runtime.GOOS, runtime.GOARCH, runtime.Version(), r.database, r.settings)
	p("The platform, PostgreSQL and the load generator share these cores.")
	if r.quick {
		p("A quick run: rounds of a few seconds, less exact.")
	}
	if r.without != "" {
		p("Without the service %s.", r.without)
	}
	p("\n| Start and rest | Measured | Target |\n|---|---:|---:|")
	p("| First `sendtip up` on an empty folder, compiled before | %.1f s | ≤ %.0f s |", r.firstStart.Seconds(), firstTarget.Seconds())
	p("| `sendtip up` on an existing folder | %.1f s | ≤ %.0f s |", r.warmStart.Seconds(), warmTarget.Seconds())
	p("| Memory of `sendtip up` at rest, without PostgreSQL | %.0f MB | < %d MB |", float64(r.idleBytes)/(1<<20), idleTarget>>20)
	p("| CPU of the same | %.1f %% of a core | |", float64(r.idlePerMille)/10)
	p("| Most memory of the process with platform and load | %.0f MB | |", float64(peak())/(1<<20))
	p("\n| Request | Clients | Answers | Per second | p50 ms | p95 ms | p99 ms | CPU ms, platform and load | CPU ms, PostgreSQL " +
		"|\n|---|---:|---:|---:|---:|---:|---:|---:|---:|")
	for _, x := range append(append([]round{}, r.transfers...), r.reads...) {
		n := float64(max(1, len(x.times)))
		p("| `%s` | %d | %d | %.0f | %.1f | %.1f | %.1f | %.2f | %.2f |", x.name, x.clients, len(x.times), x.rate(), ms(x.at(500)), ms(x.at(950)),
			ms(x.at(990)),
			ms(x.cost.platform)/n, ms(x.cost.postgres)/n)
	}
	p("\nA transfer passes gateway, wallet, gateway and ledger. Target: %d/s and p99 ≤ %d ms with 64 clients. CPU is per answer, with its "+
		"events; most of the messages are sent after the round, by few workers.",
		rateTarget, p99Target.Milliseconds())
	if busy := r.disturbance(); busy > 5 {
		p("**Other programs used up to %d %% of the cores during these rounds: the rates are too low; CPU per answer is what to read.**", busy)
	}
	p("\n| Same database, same machine | Per second | Transfers per second ÷ this |\n|---|---:|---:|")
	p("| %s | %.0f | %.2f |", r.baseline.name, r.baseline.perSecond, r.ratio())
	if len(r.broken) == 0 {
		p("\nProved after the load: every invariant of the ledger holds, all balances sum to zero, customers' balances fell by exactly the " +
			"fees and excise")
		p("of %d transfers, each has one published event, there are no dead letters.", r.provedTransfers)
	} else {
		p("\nNot proved: %s.", strings.Join(r.broken, "; "))
	}
	return b.String()
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// busiest is the transfer round with the most clients.
func (r *report) busiest() round {
	if len(r.transfers) == 0 {
		return round{took: time.Second}
	}
	return r.transfers[len(r.transfers)-1]
}

// disturbance is the largest share, in percent of all cores, that programs outside the run took during a round.
func (r *report) disturbance() int {
	var most int64
	for _, x := range append(append([]round{}, r.transfers...), r.reads...) {
		if all := int64(x.took) * int64(runtime.NumCPU()); all > 0 {
			most = max(most, int64(x.cost.others())*100/all)
		}
	}
	return int(most)
}

// ratio compares with the database's own rate, which differs by machine.
func (r *report) ratio() float64 {
	if r.baseline.perSecond == 0 {
		return 0
	}
	return r.busiest().rate() / r.baseline.perSecond
}

// line is the last line of the output, for programs.
func (r *report) line() string {
	return fmt.Sprintf("bench transfers_per_s_64=%.0f p99_ms_64=%.1f ratio_tpcb=%.2f ready_s=%.1f first_s=%.1f idle_mb=%.0f",
		r.busiest().rate(), ms(r.busiest().at(990)), r.ratio(), r.warmStart.Seconds(), r.firstStart.Seconds(), float64(r.idleBytes)/(1<<20))
}

// The generated part of docs/performance.md stands between these lines; the rest of the file is written by hand.
const beginMark, endMark = "<!-- begin: make bench -->", "<!-- end: make bench -->"

func (r *report) write(path string) error {
	text, err := os.ReadFile(path) // #nosec G304 -- our own document
	if errors.Is(err, os.ErrNotExist) {
		text = []byte("# Performance\n\n" + beginMark + "\n" + endMark + "\n")
	} else if err != nil {
		return fmt.Errorf("read the document: %w", err)
	}
	before, rest, begun := strings.Cut(string(text), beginMark)
	_, after, ended := strings.Cut(rest, endMark)
	if !begun || !ended {
		return fmt.Errorf("%s has no lines %q and %q to write between", path, beginMark, endMark)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	filled := before + beginMark + "\n\n" + r.markdown() + "\n" + endMark + after
	return os.WriteFile(path, []byte(filled), 0o644) //nolint:gosec // a document at a path of the repository
}
