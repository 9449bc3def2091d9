// Package pg owns how services talk to PostgreSQL: the pool, transactions with their retries, constraint names, and the
// translation of a lost server into a fault that asks the caller to come back.
package pg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	pgxuuid "github.com/vgarvardt/pgx-google-uuid/v5"

	"github.com/sendtip/sendtip/kit/fault"
)

// Options tune a pool.
type Options struct {
	MaxConns int32           // 0 means 16
	Tracer   pgx.QueryTracer // may be nil
	// LockTimeout bounds each wait for a lock; 0 means 2 s.
	LockTimeout time.Duration
	// Params are further settings of each session (enable_seqscan: off).
	Params map[string]string
}

// Open makes a pool. It fails only for a malformed URL: a server that is down is met at the first query, so services start in any order.
func Open(ctx context.Context, url string, o Options) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New("the database URL cannot be read (it is not shown, as it holds a password)")
	}
	if o.MaxConns == 0 {
		o.MaxConns = 16
	}
	if o.LockTimeout == 0 {
		o.LockTimeout = 2 * time.Second
	}
	cfg.MaxConns = o.MaxConns
	cfg.MaxConnIdleTime = 5 * time.Minute
	cfg.HealthCheckPeriod = 15 * time.Second
	cfg.ConnConfig.ConnectTimeout = 3 * time.Second
	maps.Copy(cfg.ConnConfig.RuntimeParams, o.Params)
	cfg.ConnConfig.RuntimeParams["lock_timeout"] = fmt.Sprint(o.LockTimeout.Milliseconds())
	cfg.ConnConfig.RuntimeParams["idle_in_transaction_session_timeout"] = "30000"
	cfg.ConnConfig.RuntimeParams["timezone"] = "UTC"
	cfg.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		pgxuuid.Register(conn.TypeMap()) // else each id goes through text and reflection
		registerArrays(conn.TypeMap())
		return nil
	}
	if o.Tracer != nil {
		cfg.ConnConfig.Tracer = o.Tracer
	}
	return pgxpool.NewWithConfig(ctx, cfg)
}

// Beginner is a pool or a connection.
type Beginner interface {
	BeginTx(ctx context.Context, o pgx.TxOptions) (pgx.Tx, error)
}

const maxTries = 5

// InTx runs do in one READ COMMITTED transaction and commits it, or rolls everything back when do fails or panics. A deadlock or a
// serialization failure repeats do, at most 5 times, so do must have no effect but on tx. An error of the commit itself leaves the
// outcome unknown: callers repeat under the same idempotency key or reference.
func InTx(ctx context.Context, db Beginner, do func(tx pgx.Tx) error) error {
	var err error
	for try := range maxTries {
		if err = once(ctx, db, do); !retryable(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Duration(try+1) * 5 * time.Millisecond):
		}
	}
	return err
}

func once(ctx context.Context, db Beginner, do func(tx pgx.Tx) error) error {
	tx, err := db.BeginTx(ctx, pgx.TxOptions{})
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() {
		// A no-op after the commit. The caller's context may be gone already, and the connection must come back clean.
		_ = tx.Rollback(context.WithoutCancel(ctx))
	}()
	if err := do(tx); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

func retryable(err error) bool {
	switch code(err) {
	case "40001", "40P01": // serialization_failure, deadlock_detected
		return true
	}
	return false
}

func code(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// Constraint returns the name of the constraint that err says was violated, or "".
func Constraint(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) && strings.HasPrefix(e.Code, "23") {
		return e.ConstraintName
	}
	return ""
}

// IsNoRows says that a query for one row found none.
func IsNoRows(err error) bool { return errors.Is(err, pgx.ErrNoRows) }

// IsLockTimeout says that a lock was not free in time.
func IsLockTimeout(err error) bool { return code(err) == "55P03" }

// IsBadData says that no column can hold a value (SQLSTATE class 22): the same statement fails for ever.
func IsBadData(err error) bool { return strings.HasPrefix(code(err), "22") }

// Fault turns errors that mean "the database is not there or is overloaded" into fault.ErrUnavailable, and leaves others as they are.
func Fault(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := fault.As(err); ok {
		return err
	}
	if unavailable(err) {
		return fmt.Errorf("%w (%w)", fault.ErrUnavailable, err)
	}
	return err
}

func unavailable(err error) bool {
	if c := code(err); c != "" {
		// 08 connection, 53 resources, 57P01-03 shutdown and start-up, 55P03 lock, 57014 cancelled, 40* gave up repeating.
		return strings.HasPrefix(c, "08") || strings.HasPrefix(c, "53") || strings.HasPrefix(c, "57P0") ||
			strings.HasPrefix(c, "40") || c == "55P03" || c == "57014" || c == "25P03"
	}
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) || pgconn.SafeToRetry(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		strings.Contains(err.Error(), "conn closed")
}

// Check answers nil when the database answers; it is a readiness check.
func Check(pool *pgxpool.Pool) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		_, err := pool.Exec(ctx, "SELECT 1")
		return err
	}
}
