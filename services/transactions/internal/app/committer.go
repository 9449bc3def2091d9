package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// CommitParams are the settings of the connections that the ledger commits on. Plans go by index: they are made when the tables are small
// or without statistics, where PostgreSQL prefers to scan them, and are then kept with the connection while the tables grow, so that
// every batch would read all references. Measured: twice the rate.
func CommitParams() map[string]string {
	return map[string]string{"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off", "enable_bitmapscan": "off",
		"plan_cache_mode": "force_generic_plan", "jit": "off"}
}

// committer begins transactions that take two round trips: BEGIN travels with the first pipeline, COMMIT with the last one.
type committer struct{ pool *pgxpool.Pool }

// BeginTx implements pg.Beginner; nothing is sent yet.
func (c committer) BeginTx(ctx context.Context, _ pgx.TxOptions) (pgx.Tx, error) {
	conn, err := c.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	return &pipelinedTx{conn: conn}, nil
}

// pipelinedTx is a transaction that begins with its first pipeline. Methods of pgx.Tx that it does not have itself panic: nothing calls
// them.
type pipelinedTx struct {
	pgx.Tx
	conn  *pgxpool.Conn
	begun bool
	ended bool
	last  bool // the next pipeline ends with COMMIT
}

// SendBatch sends a pipeline. When it fails the transaction is rolled back by the server, and the connection is in no state to be used
// but to end.
func (t *pipelinedTx) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	if !t.begun {
		t.begun = true
		b.QueuedQueries = append([]*pgx.QueuedQuery{{SQL: "begin"}}, b.QueuedQueries...)
	}
	if t.last && !failpointArmed("before_commit") {
		b.Queue("commit")
		t.ended = true
	}
	return t.conn.SendBatch(ctx, b)
}

// Query runs a query after the first pipeline.
func (t *pipelinedTx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return t.conn.Query(ctx, sql, args...)
}

// Commit sends what is left to send: nothing if the last pipeline had the COMMIT with it.
func (t *pipelinedTx) Commit(ctx context.Context) error {
	defer t.release()
	if t.ended || !t.begun {
		return nil
	}
	t.ended = true
	failpoint("before_commit")
	tag, err := t.conn.Exec(ctx, "commit")
	if err == nil && tag.String() != "COMMIT" {
		return pgx.ErrTxCommitRollback
	}
	return err
}

// Rollback ends a transaction that was not committed; after a commit it does nothing.
func (t *pipelinedTx) Rollback(ctx context.Context) error {
	if t.conn == nil {
		return pgx.ErrTxClosed
	}
	defer t.release()
	if !t.begun || t.conn.Conn().PgConn().TxStatus() == 'I' {
		return nil
	}
	if _, err := t.conn.Exec(ctx, "rollback"); err != nil {
		return errors.Join(fmt.Errorf("rollback: %w", err), t.conn.Conn().Close(ctx)) // a connection within a transaction must not go back
	}
	return nil
}

func (t *pipelinedTx) release() {
	if t.conn != nil {
		t.conn.Release()
		t.conn = nil
	}
}

// endWith makes the next pipeline of tx its last: COMMIT travels with it.
func endWith(tx pgx.Tx) {
	if t, ok := tx.(*pipelinedTx); ok {
		t.last = true
	}
}

// unknownUnlessRefused marks errors after which the transaction may be committed all the same. What the server refused is not.
func unknownUnlessRefused(err error) error {
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.SeverityUnlocalized == "ERROR" {
		return err
	}
	return fmt.Errorf("%w: %w", errCommitUnknown, err)
}
