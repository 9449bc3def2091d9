package pg

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// errQueued is what a generated query for many rows returns when it was queued instead of run; its rows come when the pipeline is sent.
var errQueued = errors.New("queued")

// Pipeline runs statements of generated code in a transaction with one round trip: every round trip is time in which rows stay locked.
// Statements wait until Send, or until a query for one row, which goes with them as the last. The server runs them in their order, each
// with a snapshot of its own, and stops at the first that fails. A pipeline is used once.
type Pipeline struct {
	tx    pgx.Tx
	batch pgx.Batch
	tags  []pgconn.CommandTag
	err   error
}

// NewPipeline returns a pipeline in tx.
func NewPipeline(tx pgx.Tx) *Pipeline { return &Pipeline{tx: tx} }

// Exec queues the statement; its error shows when the pipeline is sent.
func (p *Pipeline) Exec(_ context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	p.batch.Queue(sql, args...).Exec(func(tag pgconn.CommandTag) error {
		p.tags = append(p.tags, tag)
		return nil
	})
	return pgconn.CommandTag{}, nil
}

// Query queues the statement and returns an error that Collect knows: Collect says what becomes of the rows.
func (p *Pipeline) Query(_ context.Context, sql string, args ...any) (pgx.Rows, error) {
	p.batch.Queue(sql, args...)
	return nil, errQueued
}

// QueryRow sends everything when its row is scanned, with this query at the end.
func (p *Pipeline) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return lastRow{ctx: ctx, pipeline: p, query: p.batch.Queue(sql, args...)}
}

// Send runs what was queued and returns the first error.
func (p *Pipeline) Send(ctx context.Context) error {
	if p.err != nil {
		return p.err
	}
	return p.tx.SendBatch(ctx, &p.batch).Close()
}

// Tags are the answers to the statements without rows that succeeded, in their order.
func (p *Pipeline) Tags() []pgconn.CommandTag { return p.tags }

// Collect says that the rows of the query that a generated function has just queued go into a list. queued is what the function returned.
func Collect[T any](p *Pipeline, queued error, row pgx.RowToFunc[T], into *[]T) {
	if !errors.Is(queued, errQueued) {
		p.err = errors.Join(p.err, fmt.Errorf("queue: %w", queued))
		return
	}
	p.batch.QueuedQueries[len(p.batch.QueuedQueries)-1].Query(func(rows pgx.Rows) (err error) {
		*into, err = pgx.CollectRows(rows, row)
		return err
	})
}

// lastRow is the answer of the query that ends a pipeline.
type lastRow struct {
	ctx      context.Context // the query's: Scan of pgx.Row has none
	pipeline *Pipeline
	query    *pgx.QueuedQuery
}

// Scan implements pgx.Row. The error of an earlier statement comes first.
func (r lastRow) Scan(dest ...any) error {
	var scanned error
	r.query.QueryRow(func(row pgx.Row) error {
		if scanned = row.Scan(dest...); IsNoRows(scanned) {
			return nil // for the batch that is no error: it would forget what it knows about its statements
		}
		return scanned
	})
	if err := r.pipeline.Send(r.ctx); err != nil {
		return err
	}
	return scanned
}

// beginByIndex starts a transaction whose plans go by index, in the round trip that BEGIN takes anyway.
const beginByIndex = "BEGIN; SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; " +
	"SET LOCAL enable_bitmapscan = off"

// ByIndex begins transactions whose plans go by index. Plans are made when the tables are small or without statistics, where PostgreSQL
// prefers to scan them, and are kept with the connection while the tables grow.
func ByIndex(pool *pgxpool.Pool) Beginner { return byIndex{pool} }

type byIndex struct{ pool *pgxpool.Pool }

// BeginTx implements Beginner.
func (b byIndex) BeginTx(ctx context.Context, o pgx.TxOptions) (pgx.Tx, error) {
	o.BeginQuery = beginByIndex
	return b.pool.BeginTx(ctx, o)
}
