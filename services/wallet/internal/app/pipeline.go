package app

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	walletdb "github.com/sendtip/sendtip/generated/wallet/db"
)

// pipeline runs statements in tx with few round trips: those without rows wait and go with the next query, or with send. The server runs
// them in their order, each with a snapshot of its own, and stops at the first that fails. It is used once.
type pipeline struct {
	tx    pgx.Tx
	batch pgx.Batch
	tags  []pgconn.CommandTag // of the statements that succeeded, but not of the query
}

var _ walletdb.DBTX = (*pipeline)(nil)

// Exec queues the statement; its error shows when the pipeline is sent.
func (p *pipeline) Exec(_ context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	p.batch.Queue(sql, args...)
	return pgconn.CommandTag{}, nil
}

// Query panics: only one query ends a pipeline, and it has one row.
func (p *pipeline) Query(context.Context, string, ...any) (pgx.Rows, error) {
	panic("a query for many rows in a pipeline")
}

// QueryRow sends everything with this query at its end.
func (p *pipeline) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	before := p.batch.Len()
	p.batch.Queue(sql, args...)
	return lastRow{pipeline: p, results: p.tx.SendBatch(ctx, &p.batch), before: before}
}

// send runs what was queued and returns the first error.
func (p *pipeline) send(ctx context.Context) error { return p.tx.SendBatch(ctx, &p.batch).Close() }

// lastRow is the answer of a pipeline's query.
type lastRow struct {
	pipeline *pipeline
	results  pgx.BatchResults
	before   int
}

// Scan implements pgx.Row. The error of an earlier statement comes first.
func (r lastRow) Scan(dest ...any) (err error) {
	defer func() {
		if closed := r.results.Close(); err == nil {
			err = closed
		}
	}()
	for range r.before {
		tag, err := r.results.Exec()
		if err != nil {
			return err
		}
		r.pipeline.tags = append(r.pipeline.tags, tag)
	}
	return r.results.QueryRow().Scan(dest...)
}

// beginIndexed starts a transaction whose plans go by index, in the round trip that BEGIN takes anyway. Plans are made when the tables
// are small or without statistics, where PostgreSQL prefers to scan them, and are kept with the connection while the tables grow.
const beginIndexed = "BEGIN; SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL enable_bitmapscan = off"

// indexed begins such transactions on the pool.
type indexed struct{ pool *pgxpool.Pool }

// BeginTx implements pg.Beginner.
func (i indexed) BeginTx(ctx context.Context, o pgx.TxOptions) (pgx.Tx, error) {
	o.BeginQuery = beginIndexed
	return i.pool.BeginTx(ctx, o)
}
