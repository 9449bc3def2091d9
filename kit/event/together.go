package event

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/pg"
)

// maxTogether bounds the events of one transaction.
const maxTogether = 64

// BatchHandler applies events of different keys in tx, which already holds their inbox rows: all of them, or none. Any error, a refusal
// too, makes the consumer apply each event alone by its Handler, so the two must have the same effect.
type BatchHandler func(ctx context.Context, tx pgx.Tx, events []Event) error

// DispatchAll is Dispatch for several events in one transaction. Events that the group has seen, or that come twice, are left out.
func DispatchAll(ctx context.Context, pool *pgxpool.Pool, group string, handle BatchHandler, events []Event) error {
	ctx = auth.With(ctx, auth.Principal{Subject: "service:" + group, Operation: "events"})
	ids := make([]uuid.UUID, len(events))
	for i, e := range events {
		ids[i] = e.ID
	}
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }) // twins in two processes wait the same way
	err := pg.InTx(ctx, pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `INSERT INTO inbox (consumer, event_id) SELECT $1, unnest($2::uuid[]) ON CONFLICT DO NOTHING RETURNING event_id`, group, ids)
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

// together collects the events that arrive while a transaction is under way and applies them with the next one. Each partition has one
// event at a time in it, so the order per key is kept. When nothing runs, an event is applied at once.
type together struct {
	dispatch func(ctx context.Context, events []Event) error
	timeout  time.Duration
	log      *slog.Logger

	mu      sync.Mutex
	waiting []arrival
	running bool
}

type arrival struct {
	event Event
	done  chan bool // whether it was applied
}

// submit waits until e is applied with others. False says that it was not, or that this is not known: then it is applied alone.
func (g *together) submit(ctx context.Context, e Event) bool {
	a := arrival{event: e, done: make(chan bool, 1)}
	g.mu.Lock()
	g.waiting = append(g.waiting, a)
	if !g.running {
		g.running = true
		go g.drain()
	}
	g.mu.Unlock()
	select {
	case applied := <-a.done:
		return applied
	case <-ctx.Done():
		return false
	}
}

func (g *together) drain() {
	for batch := g.next(); batch != nil; batch = g.next() {
		err := g.try(batch)
		if err != nil && len(batch) > 1 {
			g.log.Warn("events were not applied together, each is applied alone", "events", len(batch), "err", err)
		}
		for _, a := range batch {
			a.done <- err == nil
		}
	}
}

func (g *together) next() []arrival {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := min(len(g.waiting), maxTogether)
	if n == 0 {
		g.running = false
		return nil
	}
	batch := g.waiting[:n:n]
	g.waiting = g.waiting[n:]
	return batch
}

func (g *together) try(batch []arrival) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), g.timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil { // no router's recoverer is around it
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	events := make([]Event, len(batch))
	for i, a := range batch {
		events[i] = a.event
	}
	return g.dispatch(ctx, events)
}
