package event_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/trace"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/event"
	"github.com/sendtip/sendtip/kit/pgtest"
)

// effects is a table that shows what handlers did, in order.
var effects = fstest.MapFS{"00001_effects.sql": {Data: []byte(`-- +goose Up
CREATE TABLE effects (seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key text NOT NULL, data jsonb NOT NULL);
`)}}

func setup(t testing.TB) *pgxpool.Pool {
	t.Helper()
	return pgtest.Open(t, "wallet", effects).Pool
}

func insertEffect(ctx context.Context, tx pgx.Tx, e event.Event) error {
	_, err := tx.Exec(ctx, `INSERT INTO effects (key, data) VALUES ($1, $2)`, e.Key, e.Data)
	return err
}

func count(t testing.TB, pool *pgxpool.Pool, query string) int {
	t.Helper()
	var n int
	if err := pool.QueryRow(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestDispatchOncePerGroup(t *testing.T) {
	t.Parallel()
	pool, e := setup(t), happened(t, "k", 1)
	handlers := map[string]event.Handler{"wallet.happened": insertEffect}
	var wg sync.WaitGroup
	for range 8 { // deliveries of one event at the same time
		wg.Go(func() {
			if err := event.Dispatch(t.Context(), pool, "wallet", time.Now(), handlers, e); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := count(t, pool, `SELECT count(*) FROM effects`); n != 1 {
		t.Fatalf("%d effects", n)
	}
	if err := event.Dispatch(t.Context(), pool, "notification", time.Now(), handlers, e); err != nil {
		t.Fatal(err)
	}
	if n := count(t, pool, `SELECT count(*) FROM effects`); n != 2 {
		t.Fatalf("another group must see it too: %d effects", n)
	}
}

func TestDispatchFailureLeavesNoTrace(t *testing.T) {
	t.Parallel()
	pool, e := setup(t), happened(t, "k", 1)
	broken := errors.New("broken")
	for _, failure := range []error{broken, event.Refuse(broken)} {
		handlers := map[string]event.Handler{"wallet.happened": func(ctx context.Context, tx pgx.Tx, e event.Event) error {
			return errors.Join(insertEffect(ctx, tx, e), failure)
		}}
		err := event.Dispatch(t.Context(), pool, "wallet", time.Now(), handlers, e)
		if !errors.Is(err, broken) || event.IsRefused(err) != event.IsRefused(failure) {
			t.Fatalf("got %v", err)
		}
	}
	if n := count(t, pool, `SELECT (SELECT count(*) FROM effects) + (SELECT count(*) FROM inbox)`); n != 0 {
		t.Fatalf("%d rows left", n)
	}
	if err := event.Dispatch(t.Context(), pool, "wallet", time.Now(),
		map[string]event.Handler{"wallet.happened": insertEffect}, e); err != nil {
		t.Fatal(err)
	}
	if n := count(t, pool, `SELECT count(*) FROM effects`); n != 1 {
		t.Fatalf("a later try must work: %d effects", n)
	}
}

func TestDispatchSkipsUnknownTypes(t *testing.T) {
	t.Parallel()
	pool := setup(t)
	if err := event.Dispatch(t.Context(), pool, "wallet", time.Now(),
		map[string]event.Handler{"wallet.other": insertEffect}, happened(t, "k", 1)); err != nil {
		t.Fatal(err)
	}
	if n := count(t, pool, `SELECT (SELECT count(*) FROM effects) + (SELECT count(*) FROM inbox)`); n != 0 {
		t.Fatalf("%d rows", n)
	}
}

func TestDispatchActsAsServiceInTheTraceOfTheCause(t *testing.T) {
	t.Parallel()
	pool, e := setup(t), happened(t, "k", 1)
	e.TraceParent = "00-01000000000000000000000000000000-0200000000000000-01"
	ran := false
	err := event.Dispatch(t.Context(), pool, "wallet", time.Now(), map[string]event.Handler{
		"wallet.happened": func(ctx context.Context, _ pgx.Tx, _ event.Event) error {
			ran = true
			if p := auth.From(ctx); p.Subject != "service:wallet" {
				t.Errorf("acts as %+v", p)
			}
			if id := trace.SpanContextFromContext(ctx).TraceID(); id != (trace.TraceID{1}) {
				t.Errorf("trace %s", id)
			}
			return nil
		},
	}, e)
	if err != nil || !ran {
		t.Fatalf("ran %v: %v", ran, err)
	}
}
