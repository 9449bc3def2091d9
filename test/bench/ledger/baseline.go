package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	baselineDatabase = "bench_baseline"
	baselineClients  = 32
	baselineScale    = 10
)

// baseline is what the same PostgreSQL does on the same machine with a transaction that everybody knows: the ledger's rates divided by it
// compare across machines.
type baseline struct {
	script    string
	perSecond float64
	others    time.Duration // CPU time of programs that are no part of the run
	took      time.Duration
}

// baselines runs pgbench's two writing scripts in a database of their own.
func (w *world) baselines(ctx context.Context) (_ []baseline, err error) {
	program, err := findPgbench()
	if err != nil {
		return nil, err
	}
	if _, err := w.admin.Exec(ctx, "DROP DATABASE IF EXISTS "+baselineDatabase+" WITH (FORCE)"); err != nil { // of a run that was killed
		return nil, fmt.Errorf("make the baseline's database: %w", err)
	}
	if _, err := w.admin.Exec(ctx, "CREATE DATABASE "+baselineDatabase); err != nil {
		return nil, fmt.Errorf("make the baseline's database: %w", err)
	}
	defer func() {
		_, dropErr := w.admin.Exec(context.WithoutCancel(ctx), "DROP DATABASE "+baselineDatabase+" WITH (FORCE)")
		err = errors.Join(err, dropErr)
	}()
	if _, err := w.pgbench(ctx, program, "-i", "-q", "-s", strconv.Itoa(baselineScale)); err != nil {
		return nil, err
	}
	var out []baseline
	seconds := choose(w.o.quick, "4", "10")
	for _, script := range []string{"tpcb-like", "simple-update"} {
		say("pgbench %s, %d clients, %s s", script, baselineClients, seconds)
		if err := w.checkpoint(ctx); err != nil {
			return nil, err
		}
		b := baseline{script: script}
		b.took, b.others, err = w.watchOthers(ctx, func() error {
			text, err := w.pgbench(ctx, program, "-b", script, "-M", "prepared", "-c", strconv.Itoa(baselineClients), "-j", "2", "-T", seconds)
			if err == nil {
				b.perSecond, err = pgbenchRate(text)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// findPgbench looks in PATH and in Debian's folders.
func findPgbench() (string, error) {
	if path, err := exec.LookPath("pgbench"); err == nil {
		return path, nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pgbench")
	if len(found) == 0 {
		return "", errors.New("pgbench is not installed (Debian and Ubuntu: package postgresql): every figure is compared with it")
	}
	return found[len(found)-1], nil
}

func (w *world) pgbench(ctx context.Context, program string, args ...string) (string, error) {
	u, err := url.Parse(w.databaseURL(baselineDatabase))
	if err != nil {
		return "", err
	}
	password, _ := u.User.Password()
	args = append([]string{"-h", u.Hostname(), "-p", u.Port(), "-U", u.User.Username()}, args...)
	cmd := exec.CommandContext(ctx, program, append(args, baselineDatabase)...) // #nosec G204 -- found above
	cmd.Env = append(os.Environ(), "PGPASSWORD="+password)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("pgbench: %w: %s", err, out)
	}
	return string(out), nil
}

func pgbenchRate(text string) (float64, error) {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "tps = "); ok {
			return strconv.ParseFloat(strings.Fields(rest)[0], 64)
		}
	}
	return 0, errors.New("pgbench printed no rate")
}
