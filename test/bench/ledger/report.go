package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Targets of the figures, for a machine with two cores.
const (
	ratioTarget    = 3.0
	fractionTarget = 0.5
	p99Target      = 25 * time.Millisecond
	pageTarget     = 10 * time.Millisecond
)

// report collects the figures of a run.
type report struct {
	counted   string // statements per batch, in a sentence
	started   time.Time
	o         options
	machine   string
	database  string
	settings  []string
	baselines []baseline
	rounds    []round
	pages     []page
	bulk      baseline
	before    int64 // transactions before the rounds
	failed    int   // answers that were not wanted
	answered  int64 // transactions that were answered as posted
	proved    int64 // transactions that the proof read; 0 without it
	broken    []string
}

// machine names the processor and the memory.
func machine() (string, error) {
	name := runtime.GOARCH
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if v := value(string(info), "model name"); v != "" {
			name = v
		}
	}
	info, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return "", fmt.Errorf("read the machine's memory: %w", err)
	}
	var kb int64
	if _, err := fmt.Sscan(value(string(info), "MemTotal"), &kb); err != nil {
		return "", fmt.Errorf("read the machine's memory: %w", err)
	}
	return fmt.Sprintf("%d cores (%s), %.0f GiB memory", runtime.NumCPU(), name, float64(kb)/(1<<20)), nil
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

func (r *report) markdown() string {
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("Measured on %s: %s, %s/%s, %s, PostgreSQL %s (%s).", r.started.Format("2006-01-02 15:04 UTC"), r.machine, runtime.GOOS, runtime.GOARCH,
		runtime.Version(), r.database, strings.Join(r.settings, ", "))
	p("The service, PostgreSQL and the load generator share these cores. %d accounts.", r.o.accounts)
	if r.o.quick {
		p("A quick run: rounds of a few seconds, less exact.")
	}
	if r.o.inprocess {
		p("Service and load generator in one process.")
	}
	p("\n| Same database, same machine | Per second | Cores used by other programs, %% |\n|---|---:|---:|")
	for _, x := range r.baselines {
		p("| pgbench %s, prepared, %d clients, scale %d | %.0f | %d |", x.script, baselineClients, baselineScale, x.perSecond,
			share(x.others, x.took))
	}
	p("| the ledger's rows by COPY, %d transactions per commit, %d connections | %.0f | %d |", bulkRows, bulkConnections, r.bulk.perSecond,
		share(r.bulk.others, r.bulk.took))
	r.rates(p, "Directly at the service", func(k kind) bool { return !k.gateway })
	r.rates(p, "Through the gateway's internal listener", func(k kind) bool { return k.gateway })
	r.costs(p)
	p("\n| Statement, newest 25 entries | p50 ms | p99 ms | Target |\n|---|---:|---:|---:|")
	for _, x := range r.pages {
		p("| %s | %.1f | %.1f | ≤ %d ms |", x.title, ms(quantile(x.times, 500)), ms(quantile(x.times, 990)), pageTarget.Milliseconds())
	}
	p("\nTargets: hot and unique at least %.1f × pgbench tpcb-like, batches at least %.1f of the bulk load, "+
		"p99 at most %d ms with 64 clients.",
		ratioTarget, fractionTarget, p99Target.Milliseconds())
	if busy := r.disturbance(); busy > 5 {
		p("**Other programs used up to %d %% of the cores during these rounds: the rates are too low; CPU per transaction is what to read.**",
			busy)
	}
	switch {
	case len(r.broken) > 0:
		p("\nNot proved: %s.", strings.Join(r.broken, "; "))
	case r.proved > 0:
		p("\nProved after the load: every invariant of the ledger holds over %d transactions, and each that was answered as posted is there.",
			r.proved)
	}
	return b.String()
}

type printer func(format string, args ...any)

func (r *report) rates(p printer, title string, of func(kind) bool) {
	header := false
	for _, x := range r.rounds {
		if !of(x.kind) {
			continue
		}
		if !header {
			p("\n| %s | Clients | Transactions/s | ÷ pgbench tpcb-like | p50 ms | p99 ms | max ms | oldest unsealed ms | then sealed and "+
				"published within ms |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|", title)
			header = true
		}
		note := ""
		switch {
		case x.gateway && x.limited > 0:
			note = fmt.Sprintf(", held back by the rate limit: %d answers 429", x.limited)
		case x.gateway:
			note = ", the rate limit refused none"
		}
		p("| %s%s | %d | %.0f | %.2f | %.1f | %.1f | %.1f | %.0f | %.0f |", x.title, note, x.clients, x.rate(), r.ratio(x.rate()), ms(x.at(500)),
			ms(x.at(990)),
			ms(x.at(1000)), ms(x.lag), ms(x.drained))
	}
}

func (r *report) costs(p printer) {
	p("\n| Per transaction | Transactions per batch | Commits | WAL bytes | CPU µs, service | CPU µs, PostgreSQL | CPU µs, load | " +
		"Allocations | Statements per batch |")
	p("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
	for _, x := range r.rounds {
		n := float64(max(1, x.transactions()))
		micros := func(d time.Duration) float64 { return float64(d.Microseconds()) / n }
		load := fmt.Sprintf("%.0f", micros(x.cost.load))
		if r.o.inprocess {
			load = "in the service's"
		}
		p("| %s, %d clients | %s | %.4f | %.0f | %.0f | %.0f | %s | %s | %s |", x.name, x.clients, per(n, float64(x.cost.batches)),
			float64(x.cost.commits)/n,
			float64(x.cost.walBytes)/n, micros(x.cost.service), micros(x.cost.postgres), load, per(x.cost.mallocs, n),
			per(float64(x.cost.statements), float64(x.cost.batches)))
	}
	if r.counted != "" {
		p("\n%s", r.counted)
	}
}

// per divides, or answers a dash for what was not counted.
func per(a, b float64) string {
	if a == 0 || b == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f", a/b)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// disturbance is the largest share, in percent of all cores, that programs outside the run took during a round.
func (r *report) disturbance() int {
	most := 0
	for _, x := range r.rounds {
		most = max(most, share(x.cost.others(), x.took))
	}
	return most
}

// share is CPU time in percent of all cores.
func share(used, took time.Duration) int {
	if took <= 0 {
		return 0
	}
	return int(int64(used) * 100 / (int64(took) * int64(runtime.NumCPU())))
}

// ratio compares with pgbench's tpcb-like script.
func (r *report) ratio(rate float64) float64 {
	for _, x := range r.baselines {
		if x.script == "tpcb-like" && x.perSecond > 0 {
			return rate / x.perSecond
		}
	}
	return 0
}

// of is the round of that name; a zero one if it was not chosen.
func (r *report) of(name string) round {
	for _, x := range r.rounds {
		if x.name == name {
			return x
		}
	}
	return round{took: time.Second}
}

// line is the last line of the output, for programs.
func (r *report) line() string {
	hot, unique, batch := r.of("hot"), r.of("unique"), r.of("batch")
	fraction := 0.0
	if r.bulk.perSecond > 0 {
		fraction = batch.rate() / r.bulk.perSecond
	}
	tpcb := 0.0
	if len(r.baselines) > 0 {
		tpcb = r.baselines[0].perSecond
	}
	return fmt.Sprintf("ledger hot_per_s=%.0f unique_per_s=%.0f batch_per_s=%.0f p99_ms=%.1f pgbench_tpcb_per_s=%.0f ratio_hot=%.2f "+
		"ratio_unique=%.2f bulk_limit_per_s=%.0f fraction_of_limit=%.2f",
		hot.rate(), unique.rate(), batch.rate(), ms(max(hot.at(990), unique.at(990))), tpcb, r.ratio(hot.rate()), r.ratio(unique.rate()),
		r.bulk.perSecond, fraction)
}

// The generated part of docs/ledger-performance.md stands between these lines; the rest of the file is written by hand.
const (
	beginMark, endMark = "<!-- begin: make bench-ledger -->", "<!-- end: make bench-ledger -->"
	intro              = `# Performance of the ledger

` + "`make bench-ledger`" + ` starts a platform of its own, drives the ledger over HTTP on loopback, proves it afterwards, and prints what
stands below (` + "`go run ./test/bench/ledger -write`" +
		` writes it here). Durability is on: an answer means that the transaction is on disk, applied, and will be
found again. Identity check, sealing and events run as ever. The rates are compared with what the same PostgreSQL does in the same minutes:
pgbench for single transactions, COPY for batches.

`
)

func (r *report) write(path string) error {
	text, err := os.ReadFile(path) // #nosec G304 -- our own document
	if errors.Is(err, os.ErrNotExist) {
		text = []byte(intro + beginMark + "\n" + endMark + "\n")
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
	filled := before + beginMark + "\n\n" + r.markdown() + "\n" + r.line() + "\n\n" + endMark + after
	return os.WriteFile(path, []byte(filled), 0o644) //nolint:gosec // a document at a path of the repository
}
