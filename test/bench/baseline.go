package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/kit/pg"
)

const (
	baselineDatabase = "bench_baseline"
	baselineClients  = 32
	baselineScale    = 10
)

// baseline is what the same PostgreSQL does on the same machine with a transaction that everybody knows: transfers per second divided by
// it compare across machines.
type baseline struct {
	name      string
	perSecond float64
}

func (w *world) baseline(ctx context.Context, quick bool) (b baseline, err error) {
	seconds := 10
	if quick {
		seconds = 4
	}
	say("measuring the database alone for %d s", seconds)
	admin := w.admin["wallet"]
	if _, err := admin.Exec(ctx, "CREATE DATABASE "+baselineDatabase); err != nil {
		return b, fmt.Errorf("make the baseline's database: %w", err)
	}
	defer func() {
		_, _ = admin.Exec(context.WithoutCancel(ctx), "DROP DATABASE "+baselineDatabase+" WITH (FORCE)")
	}()
	if program := findPgbench(); program != "" {
		return pgbench(ctx, program, w.p.AdminURL(baselineDatabase), seconds)
	}
	return singleRows(ctx, w.p.AdminURL(baselineDatabase), seconds)
}

// findPgbench looks in PATH and in Debian's folders.
func findPgbench() string {
	if path, err := exec.LookPath("pgbench"); err == nil {
		return path
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pgbench")
	if len(found) == 0 {
		return ""
	}
	return found[len(found)-1]
}

// pgbench runs its TPC-B-like script: five statements and a commit, on the scale of baselineScale branches.
func pgbench(ctx context.Context, program, address string, seconds int) (baseline, error) {
	u, err := url.Parse(address)
	if err != nil {
		return baseline{}, err
	}
	password, _ := u.User.Password()
	base := []string{"-h", u.Hostname(), "-p", u.Port(), "-U", u.User.Username()}
	call := func(args ...string) ([]byte, error) {
		cmd := exec.CommandContext(ctx, program, append(append(base, args...), baselineDatabase)...) // #nosec G204 -- found above
		cmd.Env = append(os.Environ(), "PGPASSWORD="+password)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("pgbench: %w: %s", err, out)
		}
		return out, nil
	}
	if _, err := call("-i", "-q", "-s", strconv.Itoa(baselineScale)); err != nil {
		return baseline{}, err
	}
	out, err := call("-b", "tpcb-like", "-M", "prepared", "-c", strconv.Itoa(baselineClients), "-j", "2", "-T", strconv.Itoa(seconds))
	if err != nil {
		return baseline{}, err
	}
	for line := range strings.Lines(string(out)) {
		if rest, ok := strings.CutPrefix(line, "tps = "); ok {
			rate, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return baseline{name: fmt.Sprintf("pgbench tpcb-like, prepared, %d clients, scale %d", baselineClients, baselineScale), perSecond: rate},
				err
		}
	}
	return baseline{}, fmt.Errorf("pgbench printed no rate")
}

// singleRows commits one row at a time: what is left where pgbench is not installed.
func singleRows(ctx context.Context, address string, seconds int) (baseline, error) {
	pool, err := pg.Open(ctx, address, pg.Options{MaxConns: baselineClients})
	if err != nil {
		return baseline{}, err
	}
	defer pool.Close()
	if _, err := pool.Exec(ctx, `CREATE TABLE lines (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text NOT NULL)`); err != nil {
		return baseline{}, fmt.Errorf("make the baseline's table: %w", err)
	}
	var rows atomic.Int64
	var wg sync.WaitGroup
	started := time.Now()
	failures := make(chan error, baselineClients)
	for range baselineClients {
		wg.Go(func() {
			for time.Since(started) < time.Duration(seconds)*time.Second {
				err := pg.InTx(ctx, pool, func(tx pgx.Tx) error {
					_, err := tx.Exec(ctx, `INSERT INTO lines (text) VALUES ('one row, one commit')`)
					return err
				})
				if err != nil {
					failures <- err
					return
				}
				rows.Add(1)
			}
		})
	}
	wg.Wait()
	close(failures)
	b := baseline{name: fmt.Sprintf("single-row commits, %d clients", baselineClients),
		perSecond: float64(rows.Load()) / time.Since(started).Seconds()}
	return b, <-failures
}
