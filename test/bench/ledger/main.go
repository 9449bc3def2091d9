// Ledger measures the ledger alone, and what the same PostgreSQL on the same machine can do at most: pgbench for single transactions, COPY
// for batches. It starts its own platform as a process, drives it over HTTP, proves the ledger afterwards, and prints the table of
// docs/ledger-performance.md. PostgreSQL, the service and the load generator share the machine's cores.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// options are the bench's flags.
type options struct {
	quick, write, statements, inprocess, nocheck bool
	accounts, base                               int
	rounds, cpuProfile, data, binary             string
}

func main() {
	var o options
	flag.BoolVar(&o.quick, "quick", false, "shorter rounds and fewer accounts")
	flag.BoolVar(&o.write, "write", false, "replace the generated part of docs/ledger-performance.md")
	flag.BoolVar(&o.statements, "statements", false, "count SQL statements with pg_stat_statements (slower)")
	flag.BoolVar(&o.inprocess, "inprocess", false,
		"run the platform in this process, for a profile; costs CPU and memory of the load generator are then in its figures")
	flag.BoolVar(&o.nocheck, "nocheck", false, "do not prove the ledger afterwards (it reads every row)")
	flag.IntVar(&o.accounts, "accounts", 0, "accounts that take part; 0 means 10000, or 2000 with -quick")
	flag.IntVar(&o.base, "port-base", 27000, "base of the platform's ports")
	flag.StringVar(&o.rounds, "rounds", "", "only these, by comma: "+strings.Join(roundNames(), ","))
	flag.StringVar(&o.cpuProfile, "cpuprofile", "", "with -inprocess: write a CPU profile of the first round to this file")
	flag.StringVar(&o.data, "data", "", "folder of a platform to use and keep, for example a seeded one; its accounts take part")
	flag.StringVar(&o.binary, "binary", "", "this sendtip instead of one built from the source")
	flag.Parse()
	if o.accounts == 0 {
		o.accounts = 10_000
		if o.quick {
			o.accounts = 2_000
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench-ledger:", err)
		os.Exit(1) //nolint:gocritic // the process ends; the signal handler goes with it
	}
}

func run(ctx context.Context, o options) (err error) {
	if o.cpuProfile != "" && !o.inprocess {
		return errors.New("-cpuprofile needs -inprocess: another process cannot be profiled from here")
	}
	selected, err := selectRounds(o.rounds)
	if err != nil {
		return err
	}
	root, err := repository(ctx)
	if err != nil {
		return err
	}
	w, err := startWorld(ctx, root, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close(ctx)) }()
	r := &report{started: time.Now().UTC(), o: o}
	if err := measure(ctx, w, selected, r); err != nil {
		return err
	}
	fmt.Print(r.markdown())
	fmt.Println()
	for _, b := range r.broken {
		fmt.Println("broken:", b)
	}
	fmt.Println(r.line())
	if len(r.broken) > 0 {
		return fmt.Errorf("%d proofs failed", len(r.broken))
	}
	if o.write {
		return r.write(filepath.Join(root, "docs", "ledger-performance.md"))
	}
	return nil
}

// measure does everything in the order of the table.
func measure(ctx context.Context, w *world, selected []kind, r *report) error {
	if err := w.durable(ctx, r); err != nil {
		return err
	}
	var err error
	if r.machine, err = machine(); err != nil {
		return err
	}
	if r.baselines, err = w.baselines(ctx); err != nil {
		return err
	}
	f, err := w.field(ctx)
	if err != nil {
		return err
	}
	if r.before, err = w.transactions(ctx); err != nil {
		return err
	}
	if err := w.drive(ctx, f, selected, r); err != nil {
		return err
	}
	if r.pages, err = w.pages(ctx, f); err != nil {
		return err
	}
	if r.bulk, err = w.bulkLimit(ctx, f); err != nil {
		return err
	}
	if w.o.statements {
		if err := w.printStatements(ctx); err != nil {
			return err
		}
	}
	if err := w.prove(ctx, r); err != nil || w.o.statements || w.o.inprocess {
		return err
	}
	return w.statementRound(ctx, f, selected[0], r)
}

// repository is the folder of go.work: the bench builds the one binary from it.
func repository(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOWORK").Output()
	path := strings.TrimSpace(string(out))
	if err != nil || path == "" || path == "off" {
		return "", errors.New("call it inside the repository: go run ./test/bench/ledger")
	}
	return filepath.Dir(path), nil
}

// say tells a person who waits what is being measured.
func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "bench-ledger: "+format+"\n", args...) }

// choose returns the shorter of two with -quick.
func choose[T any](quick bool, short, long T) T {
	if quick {
		return short
	}
	return long
}
