package event

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/together"
)

// maxTogether bounds the events of one transaction.
const maxTogether = 64

// BatchHandler applies events of different keys in tx, which already holds their inbox rows: all of them, or none. Any error, a refusal
// too, makes the consumer apply each event alone by its Handler, so the two must have the same effect.
type BatchHandler func(ctx context.Context, tx pgx.Tx, events []Event) error

// DispatchAll is Dispatch for several events in one transaction. Events that the group has seen, or that come twice, are left out.
func DispatchAll(ctx context.Context, pool *pgxpool.Pool, group string, at time.Time, handle BatchHandler, events []Event) error {
	ctx = auth.With(ctx, auth.Principal{Subject: "service:" + group, Operation: "events"})
	ids := make([]uuid.UUID, len(events))
	for i, e := range events {
		ids[i] = e.ID
	}
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }) // twins in two processes wait the same way
	err := pg.InTx(ctx, pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `INSERT INTO inbox (consumer, event_id, received_at) SELECT $1, unnest($2::uuid[]), $3
			ON CONFLICT DO NOTHING RETURNING event_id`, group, ids, at)
		if err != nil {
			return err
		}
		fresh, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		if err != nil {
			return err
		}
		var unseen []Event
		for _, e := range events {
			if i := slices.Index(fresh, e.ID); i >= 0 {
				unseen, fresh = append(unseen, e), slices.Delete(fresh, i, i+1)
			}
		}
		if len(unseen) == 0 {
			return nil
		}
		return handle(ctx, tx, unseen)
	})
	if err != nil {
		return fmt.Errorf("handle %d events: %w", len(events), err)
	}
	return nil
}

// newTogether applies the events that arrive while a transaction is under way with the next one. Each partition has one event at a time in
// it, so the order per key is kept. What was not applied together its caller applies alone.
func newTogether(cfg ConsumerConfig) *together.Group[Event, struct{}] {
	return together.New(together.Config[Event, struct{}]{
		Timeout: cfg.HandlerTimeout, Largest: maxTogether,
		Work: func(ctx context.Context, events []Event) ([]struct{}, error) {
			return make([]struct{}, len(events)), DispatchAll(ctx, cfg.Pool, cfg.Group, cfg.Now(), cfg.Together, events)
		},
		Failed: func(err error, events int) bool {
			if events > 1 {
				cfg.Log.Warn("events were not applied together, each is applied alone", "events", events, "err", err)
			}
			return false
		},
	})
}
