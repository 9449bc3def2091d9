// Bench measures the whole platform as customers meet it: how soon it is ready, what it needs when idle, and how fast transfers pass
// through gateway, wallet, gateway and ledger with every durability setting on. It starts its own platform in a temporary folder, proves
// the ledger afterwards, and prints the tables of docs/performance.md. Load and platform share one process and the machine's cores.
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
	"runtime/pprof"
	"strings"
	"syscall"
	"time"

	"github.com/sendtip/sendtip/cmd/sendtip/platform"
	"github.com/sendtip/sendtip/embedded/postgres"
)

// options are the bench's flags.
type options struct {
	quick, write, statements bool
	users, base              int
	cpuProfile, without      string
}

func main() {
	var o options
	flag.BoolVar(&o.quick, "quick", false, "fewer and shorter rounds, at most a minute")
	flag.BoolVar(&o.write, "write", false, "replace the generated part of docs/performance.md")
	flag.BoolVar(&o.statements, "statements", false, "count SQL statements with pg_stat_statements (slower)")
	flag.IntVar(&o.users, "users", 1000, "customers with a wallet and money")
	flag.IntVar(&o.base, "port-base", 31000, "base of the platform's ports")
	flag.StringVar(&o.cpuProfile, "cpuprofile", "", "write a CPU profile of the last transfer round to this file")
	flag.StringVar(&o.without, "without", "", "services to leave out, to find their share (notification)")
	flag.Parse()
	platform.TuneMemory() // as sendtip up does
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "sendtip-bench-*")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, remove(ctx, dir)) }()
	if err := os.Chmod(dir, 0o755); err != nil { // #nosec G302 -- the database server's user must pass through
		return fmt.Errorf("open the folder: %w", err)
	}
	root, err := repository(ctx)
	if err != nil {
		return err
	}
	r := &report{started: time.Now().UTC(), quick: o.quick, without: o.without}
	if err := measureStart(ctx, root, dir, o.base, r); err != nil {
		return err
	}
	if err := measureLoad(ctx, dir, o, r); err != nil {
		return err
	}
	if err := r.machine(ctx); err != nil {
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
		return r.write(filepath.Join(root, "docs", "performance.md"))
	}
	return nil
}

// repository is the folder of go.work: the bench builds the one binary from it.
func repository(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOWORK").Output()
	path := strings.TrimSpace(string(out))
	if err != nil || path == "" || path == "off" {
		return "", errors.New("call it inside the repository: go run ./test/bench")
	}
	return filepath.Dir(path), nil
}

// remove deletes the folder and its database, which lives elsewhere when root runs the bench.
func remove(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	return errors.Join(postgres.Remove(ctx, postgres.Config{Dir: dir}), os.RemoveAll(dir))
}

// profile runs do under the CPU profiler if a file is named.
func profile(path string, do func()) error {
	if path == "" {
		do()
		return nil
	}
	f, err := os.Create(path) // #nosec G304 -- the caller names it
	if err != nil {
		return fmt.Errorf("make the profile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return errors.Join(err, f.Close())
	}
	do()
	pprof.StopCPUProfile()
	return f.Close()
}

// say tells a person who waits what is being measured.
func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...) }
