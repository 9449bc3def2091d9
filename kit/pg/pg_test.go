package pg_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/pgtest"
	"github.com/sendtip/sendtip/kit/web"
)

var schema = fstest.MapFS{"00001_init.sql": {Data: []byte(`-- +goose Up
CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL CONSTRAINT accounts_balance CHECK (balance >= 0));
GRANT UPDATE ON accounts TO kit_app;
INSERT INTO accounts VALUES (1, 100), (2, 100);
`)}}

func count(t *testing.T, db *pgtest.DB, query string) int {
	t.Helper()
	var n int
	if err := db.Pool.QueryRow(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestInTxRefusedLeavesNothing(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, "kit", schema)
	refusal := fault.New(fault.Unprocessable, "insufficient_funds", "")
	err := pg.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), "INSERT INTO accounts VALUES (3, 5)"); err != nil {
			return err
		}
		return refusal
	})
	if !errors.Is(err, refusal) || count(t, db, "SELECT count(*) FROM accounts") != 2 {
		t.Fatalf("a refused transaction left a row (%v)", err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = pg.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error {
			_, _ = tx.Exec(t.Context(), "INSERT INTO accounts VALUES (3, 5)")
			panic("broken")
		})
	}()
	ctx, cancel := context.WithCancel(t.Context())
	_ = pg.InTx(ctx, db.Pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO accounts VALUES (3, 5)")
		cancel()
		return err
	})
	if count(t, db, "SELECT count(*) FROM accounts") != 2 {
		t.Fatal("a panic or a cancelled caller left a row")
	}
	if db.Pool.Stat().AcquiredConns() != 0 {
		t.Fatal("a connection was not given back")
	}
}

func TestInTxRepeatsDeadlocks(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, "kit", schema)
	var tries atomic.Int32
	var wg sync.WaitGroup
	both := make(chan struct{}, 2)
	for _, order := range [][2]int{{1, 2}, {2, 1}} {
		wg.Go(func() {
			first := true
			err := pg.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error {
				tries.Add(1)
				if _, err := tx.Exec(t.Context(), "UPDATE accounts SET balance = balance + 1 WHERE id = $1", order[0]); err != nil {
					return err
				}
				if first { // both hold their first row before either asks for its second
					first = false
					both <- struct{}{}
					for len(both) < 2 && t.Context().Err() == nil {
					}
				}
				_, err := tx.Exec(t.Context(), "UPDATE accounts SET balance = balance + 1 WHERE id = $1", order[1])
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if tries.Load() != 3 || count(t, db, "SELECT sum(balance) FROM accounts") != 204 {
		t.Fatalf("%d tries, total %d", tries.Load(), count(t, db, "SELECT sum(balance) FROM accounts"))
	}
}

func TestConstraintNames(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, "kit", schema)
	_, err := db.Pool.Exec(t.Context(), "UPDATE accounts SET balance = -1 WHERE id = 1")
	if pg.Constraint(err) != "accounts_balance" {
		t.Fatalf("want the constraint's name, got %v", err)
	}
	if pg.Constraint(errors.New("x")) != "" {
		t.Fatal("no constraint, no name")
	}
}

func TestAppRoleCannotChangeTheSchema(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, "kit", schema)
	for _, stmt := range []string{
		"CREATE TABLE x (id int)", "TRUNCATE accounts", "DELETE FROM accounts", "DROP TABLE accounts",
		"UPDATE audit_log SET actor = 'x'", "DELETE FROM audit_log", "UPDATE outbox SET payload = ''",
	} {
		var e *pgconn.PgError
		if _, err := db.Pool.Exec(t.Context(), stmt); !errors.As(err, &e) || e.Code != "42501" {
			t.Errorf("%s: want insufficient_privilege, got %v", stmt, err)
		}
	}
}

func TestServerThatIsDown(t *testing.T) {
	t.Parallel()
	pool, err := pg.Open(t.Context(), "postgres://a:b@127.0.0.1:1/x", pg.Options{})
	if err != nil {
		t.Fatalf("a service must start without its database: %v", err)
	}
	defer pool.Close()
	err = pg.InTx(t.Context(), pool, func(pgx.Tx) error { return nil })
	f, ok := fault.As(pg.Fault(err))
	if !ok || web.Status(f.Kind) != http.StatusServiceUnavailable || f.RetryAfter == 0 {
		t.Fatalf("want 503 with Retry-After, got %v", err)
	}
	if _, ok := fault.As(pg.Fault(errors.New("a broken program"))); ok {
		t.Fatal("only a lost database is unavailable")
	}
}
