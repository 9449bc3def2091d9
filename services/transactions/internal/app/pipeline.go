package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	transactionsdb "github.com/sendtip/sendtip/generated/transactions/db"
)

// errQueued is what a generated query returns when it was queued instead of run; its rows come when the pipeline is sent.
var errQueued = errors.New("queued")

// pipeline collects statements of the generated code, so that they take one round trip together: every round trip is time in which the
// accounts stay locked.
type pipeline struct {
	batch pgx.Batch
	err   error
}

var _ transactionsdb.DBTX = (*pipeline)(nil)

// Exec queues the statement; its error shows when the pipeline is sent.
func (p *pipeline) Exec(_ context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	p.batch.Queue(sql, args...)
	return pgconn.CommandTag{}, nil
}

// Query queues the statement and returns errQueued; rows says what becomes of the answer.
func (p *pipeline) Query(_ context.Context, sql string, args ...any) (pgx.Rows, error) {
	p.batch.Queue(sql, args...)
	return nil, errQueued
}

// QueryRow panics: nothing here asks for one row by it.
func (p *pipeline) QueryRow(context.Context, string, ...any) pgx.Row {
	panic("QueryRow in a pipeline")
}

// collect says that the rows of the statement queued last by a generated query go into a list.
func collect[T any](p *pipeline, queued error, row pgx.RowToFunc[T], into *[]T) {
	if !errors.Is(queued, errQueued) {
		p.err = errors.Join(p.err, fmt.Errorf("queue: %w", queued))
		return
	}
	p.batch.QueuedQueries[len(p.batch.QueuedQueries)-1].Query(func(rows pgx.Rows) (err error) {
		*into, err = pgx.CollectRows(rows, row)
		return err
	})
}

// send runs the statements and returns the first error.
func (p *pipeline) send(ctx context.Context, tx pgx.Tx) error {
	if p.err != nil {
		return p.err
	}
	return tx.SendBatch(ctx, &p.batch).Close()
}
