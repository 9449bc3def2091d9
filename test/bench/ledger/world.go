package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sendtip/sendtip/cmd/sendtip/keys"
	"github.com/sendtip/sendtip/cmd/sendtip/platform"
	"github.com/sendtip/sendtip/embedded/postgres"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/transactions/check"
)

// targets are the services of the run: the ledger, the gateway of the second table, and user, whose revocations the gateway waits for.
var targets = []string{"user", "transactions", "gateway"}

// world is the platform under load, with the superuser's connections to the ledger's database.
type world struct {
	o          options
	dir        string
	ports      platform.Ports
	keys       keys.Set
	binary     string
	child      *child
	inside     *platform.Platform
	log        *os.File
	admin      *pgxpool.Pool
	postmaster int
	tokens     *tokens
}

func startWorld(ctx context.Context, root string, o options) (_ *world, err error) {
	w := &world{o: o, ports: platform.Ports{Base: o.base}, dir: o.data, binary: o.binary}
	if w.dir == "" {
		if w.dir, err = os.MkdirTemp("", "sendtip-bench-ledger-*"); err != nil {
			return nil, fmt.Errorf("make a folder: %w", err)
		}
		if err := os.Chmod(w.dir, 0o755); err != nil { // #nosec G302 -- the database server's user must pass through
			return nil, fmt.Errorf("open the folder: %w", err)
		}
	}
	if w.dir, err = filepath.Abs(w.dir); err != nil {
		return nil, err
	}
	if w.keys, err = keys.Init(filepath.Join(w.dir, "keys")); err != nil {
		return nil, err
	}
	if w.binary == "" && !o.inprocess {
		w.binary = filepath.Join(root, ".bin", "sendtip-bench")
		if err := build(ctx, root, w.binary); err != nil {
			return nil, err
		}
	}
	if err := w.start(ctx); err != nil {
		return nil, errors.Join(err, w.close(ctx))
	}
	if o.statements {
		if err := w.loadStatements(ctx); err != nil {
			return nil, errors.Join(err, w.close(ctx))
		}
	}
	return w, nil
}

// start runs the platform and connects to its database.
func (w *world) start(ctx context.Context) (err error) {
	if w.o.inprocess {
		err = w.startInside(ctx)
	} else {
		w.child, err = startChild(ctx, w)
	}
	if err != nil {
		return err
	}
	if w.admin, err = pg.Open(ctx, w.databaseURL("transactions"), pg.Options{MaxConns: 4}); err != nil {
		return err
	}
	if w.tokens, err = newTokens(w.keys); err != nil {
		return err
	}
	w.postmaster, err = findPostmaster(ctx, w.admin)
	return err
}

func (w *world) startInside(ctx context.Context) (err error) {
	if w.log, err = os.Create(filepath.Join(w.dir, "bench.log")); err != nil { // #nosec G304 -- our own folder
		return fmt.Errorf("make the log: %w", err)
	}
	platform.TuneMemory() // as sendtip up does
	w.inside, err = platform.Start(ctx, platform.Options{Dir: w.dir, Ports: w.ports, Log: w.log, Targets: targets})
	return err
}

// stop ends the platform; its data stays.
func (w *world) stop(ctx context.Context) (err error) {
	if w.admin != nil {
		w.admin.Close()
		w.admin = nil
	}
	if w.child != nil {
		err = w.child.stop()
		w.child = nil
	}
	if w.inside != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		err = errors.Join(w.inside.Stop(ctx), w.log.Close())
		w.inside = nil
	}
	return err
}

// close stops the platform and deletes it, unless the caller named its folder.
func (w *world) close(ctx context.Context) error {
	err := w.stop(ctx)
	if w.o.data != "" {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	return errors.Join(err, postgres.Remove(ctx, postgres.Config{Dir: w.dir}), os.RemoveAll(w.dir))
}

// restart stops the platform and starts it on the same data.
func (w *world) restart(ctx context.Context) error {
	if err := w.stop(ctx); err != nil {
		return err
	}
	return w.start(ctx)
}

// databaseURL is the superuser's address of a database. It contains a password.
func (w *world) databaseURL(database string) string {
	password, err := w.keys.Read(keys.AdminPassword)
	if err != nil {
		return "" // pg.Open says so
	}
	u := url.URL{Scheme: "postgres", User: url.UserPassword(postgres.Superuser, password), Host: loopback(w.ports.Postgres()), Path: "/" +
		database,
		RawQuery: "sslmode=disable"}
	return u.String()
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func findPostmaster(ctx context.Context, pool *pgxpool.Pool) (int, error) {
	var data string
	if err := pool.QueryRow(ctx, "SHOW data_directory").Scan(&data); err != nil {
		return 0, fmt.Errorf("find the database's folder: %w", err)
	}
	file, err := os.ReadFile(filepath.Join(data, "postmaster.pid")) // #nosec G304 -- the server names it
	if err != nil {
		return 0, fmt.Errorf("find the database's process: %w", err)
	}
	first, _, _ := strings.Cut(string(file), "\n")
	return strconv.Atoi(strings.TrimSpace(first))
}

// durable refuses a database whose answers would not survive a crash: figures of such a one compare with nothing.
func (w *world) durable(ctx context.Context, r *report) error {
	for _, name := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
		var value string
		if err := w.admin.QueryRow(ctx, "SHOW "+name).Scan(&value); err != nil {
			return fmt.Errorf("read the settings: %w", err)
		}
		if value != "on" {
			return fmt.Errorf("the database is not durable: %s is %s", name, value)
		}
		r.settings = append(r.settings, name+" "+value)
	}
	return w.admin.QueryRow(ctx, "SHOW server_version").Scan(&r.database)
}

// checkpoint makes each measurement begin alike: no dirty pages of the one before, and full page images to write for the same first touch.
func (w *world) checkpoint(ctx context.Context) error {
	if _, err := w.admin.Exec(ctx, "CHECKPOINT"); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

// number reads one integer from the ledger's database.
func (w *world) number(ctx context.Context, query string, args ...any) (n int64, err error) {
	if err := w.admin.QueryRow(ctx, query, args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("read the ledger: %w", err)
	}
	return n, nil
}

// drainTimeout bounds the wait for what a round leaves behind.
const drainTimeout = 2 * time.Minute

// drained waits until every transaction is sealed and published, and returns how long that took.
func (w *world) drained(ctx context.Context) (time.Duration, error) {
	started := time.Now()
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	for {
		behind, err := w.behind(ctx)
		if err != nil {
			return 0, err
		}
		if behind == 0 {
			return time.Since(started), nil
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("after %s %d rows are not sealed or published", drainTimeout, behind)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// behind counts what is committed, but not yet sealed and published.
func (w *world) behind(ctx context.Context) (all int64, err error) {
	for _, part := range []struct{ table, query string }{
		{"seal_queue", `SELECT count(*) FROM seal_queue`},
		{"publications", `SELECT greatest(0, size - coalesce((SELECT min(next_index) FROM publications), 0)) FROM ledger_tree`},
		{"outbox", `SELECT count(*) FROM outbox WHERE published_at IS NULL`},
	} {
		there, err := w.has(ctx, part.table)
		if err != nil {
			return 0, err
		}
		if !there {
			continue
		}
		n, err := w.number(ctx, part.query)
		if err != nil {
			return 0, err
		}
		all += n
	}
	return all, nil
}

// lag is the age of the oldest batch that is not sealed.
func (w *world) lag(ctx context.Context) (time.Duration, error) {
	there, err := w.has(ctx, "seal_queue")
	if err != nil || !there {
		return 0, err
	}
	micros, err := w.number(
		ctx, `SELECT coalesce(extract(epoch FROM clock_timestamp() - min(recorded_from)) * 1000000, 0)::bigint FROM seal_queue`)
	return time.Duration(micros) * time.Microsecond, err
}

func (w *world) has(ctx context.Context, table string) (there bool, err error) {
	err = w.admin.QueryRow(ctx, `SELECT to_regclass('public.' || $1) IS NOT NULL`, table).Scan(&there)
	return there, err
}

// transactions counts those of the ledger; 0 without the proof that needs it, because it reads every row.
func (w *world) transactions(ctx context.Context) (int64, error) {
	if w.o.nocheck {
		return 0, nil
	}
	return w.number(ctx, `SELECT count(*) FROM transactions`)
}

// prove checks the ledger after the load. What does not hold is reported, and fails the bench.
func (w *world) prove(ctx context.Context, r *report) error {
	if w.o.nocheck {
		return nil
	}
	say("proving the ledger")
	if _, err := w.drained(ctx); err != nil {
		r.broken = append(r.broken, err.Error())
	}
	violations, err := check.Check(ctx, w.admin)
	if err != nil {
		return fmt.Errorf("check the ledger: %w", err)
	}
	for _, v := range violations {
		r.broken = append(r.broken, v.String())
	}
	r.proved, err = w.transactions(ctx)
	if err != nil {
		return err
	}
	// A request without an answer may have posted or not: that fails the run already.
	if posted := r.proved - r.before; posted < r.answered || posted > r.answered && r.failed == 0 {
		r.broken = append(r.broken, fmt.Sprintf("%d transactions were answered as posted, %d were written", r.answered, posted))
	}
	return nil
}
