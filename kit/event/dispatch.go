package event

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/pg"
)

// inboxKept is longer than any topic keeps messages, so a replay from the start still meets its rows.
const inboxKept = 90 * 24 * time.Hour

// Handler applies one event in tx, which already holds the inbox row. It may run again after an error, never after a
// commit. It must not call other services: it stores, and enqueues a job that calls. Return Refuse for an event that can
// never be applied; any other error is retried for ever.
type Handler func(ctx context.Context, tx pgx.Tx, e Event) error

type refusal struct{ cause error }

func (r *refusal) Error() string { return "refused: " + r.cause.Error() }
func (r *refusal) Unwrap() error { return r.cause }

// Refuse marks an error as final: the event goes to the dead letters and the partition goes on.
func Refuse(err error) error {
	if err == nil {
		err = errors.New("no reason given")
	}
	return &refusal{cause: err}
}

// IsRefused reports whether err means dead letters: refused by a handler, or undecodable.
func IsRefused(err error) bool {
	var r *refusal
	return errors.As(err, &r) || errors.Is(err, ErrUndecodable)
}

// Dispatch applies an event once for a consumer group: inbox row and effect commit together, and an event that the group
// has seen does nothing. Types without a handler are skipped without a row. The handler acts as `service:<group>`. The row
// is kept by its time, which is at.
func Dispatch(ctx context.Context, pool *pgxpool.Pool, group string, at time.Time, handlers map[string]Handler, e Event) error {
	handle, wanted := handlers[e.Type]
	if !wanted {
		return nil
	}
	ctx = auth.With(e.traceContext(ctx), auth.Principal{Subject: "service:" + group, Operation: e.Type})
	err := pg.InTx(ctx, pool, func(tx pgx.Tx) error {
		// A twin in another process waits here until this transaction ends, then finds the row.
		tag, err := tx.Exec(ctx, `INSERT INTO inbox (consumer, event_id, received_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
			group, e.ID, at)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return nil
		}
		return handle(ctx, tx, e)
	})
	if err != nil {
		return fmt.Errorf("handle %s: %w", e.Type, err)
	}
	return nil
}

// sweepLimit is how many rows one statement deletes.
const sweepLimit = 10_000

// sweepInbox deletes all rows that no message can match any more.
func sweepInbox(ctx context.Context, pool *pgxpool.Pool, group string, now time.Time) error {
	_, err := pg.Drain(ctx, func(ctx context.Context) (int64, error) {
		tag, err := pool.Exec(ctx, `
			DELETE FROM inbox WHERE (consumer, event_id) IN (
				SELECT consumer, event_id FROM inbox WHERE consumer = $1 AND received_at < $2 LIMIT $3)`,
			group, now.Add(-inboxKept), sweepLimit)
		return tag.RowsAffected(), err
	})
	return err
}
