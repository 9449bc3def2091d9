package event_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/event"
	"github.com/sendtip/sendtip/kit/servicetest"
)

func insertEffects(ctx context.Context, tx pgx.Tx, events []event.Event) error {
	for _, e := range events {
		if err := insertEffect(ctx, tx, e); err != nil {
			return err
		}
	}
	return nil
}

func TestDispatchAllOnce(t *testing.T) {
	t.Parallel()
	pool := setup(t)
	var events []event.Event
	for i := range 20 {
		events = append(events, happened(t, fmt.Sprint("k", i), i))
	}
	if err := event.Dispatch(t.Context(), pool, "wallet", time.Now(),
		map[string]event.Handler{"wallet.happened": insertEffect}, events[3]); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for n := range 8 { // overlapping deliveries at the same time, one event twice in each
		wg.Go(func() {
			batch := append(append([]event.Event(nil), events[n:]...), events[n])
			if err := event.DispatchAll(t.Context(), pool, "wallet", time.Now(), insertEffects, batch); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n, keys := count(t, pool, `SELECT count(*) FROM effects`), count(t, pool, `SELECT count(DISTINCT key) FROM effects`); n != 20 ||
		keys != 20 {
		t.Fatalf("%d effects of %d keys", n, keys)
	}
	principal := ""
	err := event.DispatchAll(t.Context(), pool, "other", time.Now(), func(ctx context.Context, _ pgx.Tx, _ []event.Event) error {
		principal = auth.From(ctx).Subject
		return nil
	}, events[:1])
	if err != nil || principal != "service:other" {
		t.Errorf("the handler acts as %q, %v", principal, err)
	}
}

func TestDispatchAllFailureLeavesNoTrace(t *testing.T) {
	t.Parallel()
	pool := setup(t)
	broken := errors.New("broken")
	err := event.DispatchAll(t.Context(), pool, "wallet", time.Now(), func(ctx context.Context, tx pgx.Tx, events []event.Event) error {
		return errors.Join(insertEffects(ctx, tx, events), broken)
	}, []event.Event{happened(t, "a", 1), happened(t, "b", 2)})
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if n := count(t, pool, `SELECT (SELECT count(*) FROM effects) + (SELECT count(*) FROM inbox)`); n != 0 {
		t.Fatalf("%d rows left", n)
	}
}

// TestConsumerTogether sends many keys, some with an event that is refused, fails once or panics once: each other event has one effect,
// each key keeps its order, and only the refused go to the dead letters.
func TestConsumerTogether(t *testing.T) {
	t.Parallel()
	pool := setup(t)
	brokers, _ := broker(t, t.TempDir(), 0)
	var largest, failures, panics atomic.Int64
	failures.Store(1)
	panics.Store(1)
	apply := func(ctx context.Context, tx pgx.Tx, events []event.Event) error {
		largest.Store(max(largest.Load(), int64(len(events))))
		for _, e := range events {
			switch {
			case string(e.Data) == `"refuse"`:
				return event.Refuse(errors.New("no such wallet"))
			case string(e.Data) == `"panic"` && panics.Add(-1) >= 0:
				panic("broken program")
			case string(e.Data) == `"later"` && failures.Add(-1) >= 0:
				return errors.New("database is away")
			}
		}
		return insertEffects(ctx, tx, events)
	}
	c := event.NewConsumer(event.ConsumerConfig{
		Broker: event.Broker{Addresses: brokers}, Group: "wallet", Topics: []string{topic}, Pool: pool, MaxBackoff: time.Second, Together: apply,
	}, map[string]event.Handler{"wallet.happened": func(ctx context.Context, tx pgx.Tx, e event.Event) error {
		return apply(ctx, tx, []event.Event{e})
	}})
	run(t, c)
	var records []event.Record
	const keys, each = 40, 6
	for i := range keys * each {
		key, data := i%keys, any(i/keys)
		switch {
		case i/keys == 2 && key < 3:
			data = "refuse"
		case i == 3*keys+1:
			data = "panic"
		case i == 3*keys+2:
			data = "later"
		}
		record, err := happened(t, fmt.Sprint("k", key), data).Record()
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, record)
	}
	for _, err := range publisher(t, brokers).PublishEach(t.Context(), records) {
		if err != nil {
			t.Fatal(err)
		}
	}
	servicetest.Eventually(t, "all events", func() bool { return count(t, pool, `SELECT count(*) FROM effects`) >= keys*each-3 })
	if dead := deadLetters(t, brokers, 3); string(dead[0].Value) == "" {
		t.Error("an empty dead letter")
	}
	if n := count(t, pool, `SELECT count(*) FROM effects`); n != keys*each-3 {
		t.Errorf("%d effects", n)
	}
	disorder := count(t, pool, `SELECT count(*) FROM effects a JOIN effects b USING (key)
		WHERE a.seq < b.seq AND jsonb_typeof(a.data) = 'number' AND jsonb_typeof(b.data) = 'number' AND a.data::int > b.data::int`)
	if disorder != 0 || panics.Load() >= 0 && failures.Load() >= 0 {
		t.Errorf("%d pairs out of order", disorder)
	}
	if largest.Load() < 2 {
		t.Error("no two events were ever applied together")
	}
}
