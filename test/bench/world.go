package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sendtip/sendtip/cmd/sendtip/platform"
	"github.com/sendtip/sendtip/kit/pg"
)

// databases are those of all services: each takes part in a transfer or may hear of it.
var databases = platform.Services

// policies are the rate limits of the run: one address sends the load of a town. The limiter works as ever, it only never refuses.
const policies = "address=100000000/60/10000000,default=1000000/60/100000,lookup=1000000/60/100000,payment=1000000/60/100000," +
	"service=100000000/60/10000000"

// world is the platform under load, with the administrator's connections to its databases.
type world struct {
	p     *platform.Platform
	sign  *signer
	admin map[string]*pgxpool.Pool
	log   *os.File
}

func startWorld(ctx context.Context, dir string, o options) (*world, error) {
	log, err := os.Create(filepath.Join(dir, "bench.log")) // #nosec G304 -- our own folder; as `sendtip up` does
	if err != nil {
		return nil, fmt.Errorf("make the log: %w", err)
	}
	w := &world{log: log, admin: map[string]*pgxpool.Pool{}}
	opt := platform.Options{Dir: filepath.Join(dir, "data"), Ports: platform.Ports{Base: o.base}, Log: log,
		Environ: map[string]string{"SENDTIP_RATE_POLICIES": policies}}
	for _, s := range platform.Services {
		if s != o.without {
			opt.Targets = append(opt.Targets, s)
		}
	}
	if w.p, err = platform.Start(ctx, opt); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	if err := w.open(ctx); err != nil {
		return nil, errors.Join(err, w.stop(ctx))
	}
	return w, nil
}

func (w *world) open(ctx context.Context) (err error) {
	if w.sign, err = newSigner(w.p.Keys()); err != nil {
		return err
	}
	for _, d := range databases {
		if w.admin[d], err = pg.Open(ctx, w.p.AdminURL(d), pg.Options{MaxConns: 3}); err != nil {
			return err
		}
	}
	var data string
	if err := w.admin["wallet"].QueryRow(ctx, "SHOW data_directory").Scan(&data); err != nil {
		return fmt.Errorf("find the database's folder: %w", err)
	}
	file, err := os.ReadFile(filepath.Join(data, "postmaster.pid")) // #nosec G304 -- the server names it
	if err != nil {
		return fmt.Errorf("find the database's process: %w", err)
	}
	first, _, _ := strings.Cut(string(file), "\n")
	postmaster, err = strconv.Atoi(strings.TrimSpace(first))
	return err
}

func (w *world) stop(ctx context.Context) error {
	for _, pool := range w.admin {
		pool.Close()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	return errors.Join(w.p.Stop(ctx), w.log.Close())
}

// number reads one integer from a database.
func (w *world) number(ctx context.Context, database, query string, args ...any) (int64, error) {
	var n int64
	if err := w.admin[database].QueryRow(ctx, query, args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("read %s: %w", database, err)
	}
	return n, nil
}

// poll asks until done, or answers an error that names what did not happen in time.
func poll(ctx context.Context, what string, limit time.Duration, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		ok, err := done()
		if err != nil || ok {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s did not happen within %s", what, limit)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// drainTimeout bounds the wait for what a round leaves behind.
const drainTimeout = 4 * time.Minute

// drained waits until every event is published and heard, and with messages until also each message that they caused is dealt with.
func (w *world) drained(ctx context.Context, o options, messages bool) error {
	return poll(ctx, "the end of all events and messages", drainTimeout, func() (bool, error) {
		var open int64
		for _, d := range databases {
			n, err := w.number(ctx, d, `SELECT count(*) FROM outbox WHERE published_at IS NULL`)
			if err != nil {
				return false, err
			}
			open += n
		}
		if o.without == "notification" || open > 0 {
			return open == 0, nil
		}
		// The customers' own events came from the bench, not from an outbox.
		heard, err := w.number(ctx, "notification", `SELECT count(*) FROM inbox`)
		if err != nil {
			return false, err
		}
		told, err := w.number(ctx, "wallet", `SELECT count(*) FROM outbox`)
		if err != nil || !messages {
			return heard-int64(o.users) >= told, err
		}
		jobs, err := w.number(ctx, "notification", `SELECT count(*) FROM river_job WHERE state IN ('available', 'running')`)
		return jobs == 0 && heard-int64(o.users) >= told, err
	})
}
