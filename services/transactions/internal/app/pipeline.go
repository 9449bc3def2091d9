package app

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	transactionsdb "github.com/sendtip/sendtip/generated/transactions/db"
)

// pipeline collects statements that return no rows, so that a batch's writes take one round trip while the accounts are locked.
type pipeline struct{ batch pgx.Batch }

var _ transactionsdb.DBTX = (*pipeline)(nil)

// Exec queues the statement; its error shows when the pipeline is sent.
func (p *pipeline) Exec(_ context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	p.batch.Queue(sql, args...)
	return pgconn.CommandTag{}, nil
}

// Query panics: an answer cannot be had before the pipeline is sent.
func (p *pipeline) Query(context.Context, string, ...any) (pgx.Rows, error) {
	panic("a query in a pipeline of writes")
}

// QueryRow panics, as Query does.
func (p *pipeline) QueryRow(context.Context, string, ...any) pgx.Row {
	panic("a query in a pipeline of writes")
}

// send runs the statements in tx and returns the first error.
func (p *pipeline) send(ctx context.Context, tx pgx.Tx) error {
	return tx.SendBatch(ctx, &p.batch).Close()
}
