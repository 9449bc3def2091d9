package outbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.opentelemetry.io/otel/trace"

	"github.com/sendtip/sendtip/kit/event"
	"github.com/sendtip/sendtip/kit/outbox"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/pgtest"
	"github.com/sendtip/sendtip/kit/servicetest"
)

const (
	topic    = "sendtip.wallet.v1"
	patience = 60 * time.Second
)

// tables: an aggregate whose row lock orders its events, and what the consumer did, in order.
var tables = fstest.MapFS{"00001_tables.sql": {Data: []byte(`-- +goose Up
CREATE TABLE aggregates (key text PRIMARY KEY, version bigint NOT NULL);
GRANT UPDATE ON aggregates TO wallet_app;
CREATE TABLE effects (seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key text NOT NULL, version bigint NOT NULL);
`)}}

type world struct {
	db      *pgtest.DB
	pool    *pgxpool.Pool
	cluster *kfake.Cluster
}

func setup(t testing.TB) world {
	t.Helper()
	db := pgtest.Open(t, "wallet", tables)
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(6, topic), kfake.SeedTopics(1, event.DeadTopic))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return world{db: db, pool: db.Pool, cluster: cluster}
}

func (w world) relay(t testing.TB, pool *pgxpool.Pool, metrics ...prometheus.Registerer) *outbox.Relay {
	t.Helper()
	p := event.NewPublisher(event.Broker{Addresses: w.cluster.ListenAddrs()})
	t.Cleanup(func() { _ = p.Close() })
	return outbox.NewRelay(pool, p, time.Now, slog.New(slog.DiscardHandler), metrics...)
}

// background runs something until the test ends.
func background(t testing.TB, run func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("run: %v", err)
			}
		case <-time.After(patience):
			t.Error("it did not end")
		}
	})
}

type change struct {
	Version int64 `json:"version"`
}

// write is the business transaction that services copy: lock the aggregate's row, change it, append the event.
func write(ctx context.Context, tx pgx.Tx, topic, key string) error {
	var version int64
	err := tx.QueryRow(ctx, `INSERT INTO aggregates AS a (key, version) VALUES ($1, 1)
		ON CONFLICT (key) DO UPDATE SET version = a.version + 1 RETURNING version`, key).Scan(&version)
	if err != nil {
		return err
	}
	e, err := event.New(topic, "wallet.changed", key, time.Now(), change{Version: version})
	if err != nil {
		return err
	}
	return outbox.Append(ctx, tx, e)
}

func (w world) writeNow(t testing.TB, topic, key string) {
	t.Helper()
	if err := pg.InTx(t.Context(), w.pool, func(tx pgx.Tx) error { return write(t.Context(), tx, topic, key) }); err != nil {
		t.Fatal(err)
	}
}

func (w world) count(t testing.TB, query string) int {
	t.Helper()
	var n int
	if err := w.pool.QueryRow(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func (w world) unpublished(t testing.TB) int {
	t.Helper()
	return w.count(t, `SELECT count(*) FROM outbox WHERE published_at IS NULL`)
}

func applyChange(ctx context.Context, tx pgx.Tx, e event.Event) error {
	var c change
	if err := json.Unmarshal(e.Data, &c); err != nil {
		return event.Refuse(err)
	}
	_, err := tx.Exec(ctx, `INSERT INTO effects (key, version) VALUES ($1, $2)`, e.Key, c.Version)
	return err
}

func TestAppendBelongsToTheTransaction(t *testing.T) {
	t.Parallel()
	w := setup(t)
	refused := errors.New("refused")
	err := pg.InTx(t.Context(), w.pool, func(tx pgx.Tx) error {
		return errors.Join(write(t.Context(), tx, topic, "k"), refused)
	})
	if !errors.Is(err, refused) || w.count(t, `SELECT count(*) FROM outbox`) != 0 {
		t.Fatalf("a refused transaction left an event: %v", err)
	}
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: 1})
	ctx := trace.ContextWithSpanContext(t.Context(), span)
	if err := pg.InTx(ctx, w.pool, func(tx pgx.Tx) error { return write(ctx, tx, topic, "k") }); err != nil {
		t.Fatal(err)
	}
	var payload []byte
	var key string
	if err := w.pool.QueryRow(ctx, `SELECT key, payload FROM outbox WHERE topic = $1`, topic).Scan(&key, &payload); err != nil {
		t.Fatal(err)
	}
	e, err := event.Decode(topic, payload)
	if err != nil || key != "k" || e.Key != "k" || e.TraceParent != "00-01000000000000000000000000000000-0200000000000000-01" {
		t.Fatalf("%+v %v", e, err)
	}
}

func TestPass(t *testing.T) {
	t.Parallel()
	w := setup(t)
	relay := w.relay(t, w.pool)
	for range 3 {
		w.writeNow(t, topic, "k")
	}
	if n, err := relay.Pass(t.Context()); n != 3 || err != nil {
		t.Fatalf("%d %v", n, err)
	}
	if n, err := relay.Pass(t.Context()); n != 0 || err != nil || w.unpublished(t) != 0 {
		t.Fatalf("again: %d %v", n, err)
	}
	// A relay elsewhere holds the lock: nothing to do here.
	w.writeNow(t, topic, "k")
	err := pg.InTx(t.Context(), w.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `SELECT pg_advisory_xact_lock($1)`, int64(0x6f7574626f78)); err != nil {
			return err
		}
		if n, err := relay.Pass(t.Context()); n != 0 || err != nil {
			return fmt.Errorf("beside another relay: %d %w", n, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPassStopsOnlyTheKeysThatFail(t *testing.T) {
	t.Parallel()
	w := setup(t)
	relay := w.relay(t, w.pool)
	w.writeNow(t, "sendtip.missing.v1", "lost")
	w.writeNow(t, topic, "good")
	w.writeNow(t, "sendtip.missing.v1", "lost")
	if n, err := relay.Pass(t.Context()); n != 1 || err == nil {
		t.Fatalf("%d %v", n, err)
	}
	if n := w.count(t, `SELECT count(*) FROM outbox WHERE published_at IS NULL AND topic = 'sendtip.missing.v1'`); n != 2 ||
		w.unpublished(t) != 2 {
		t.Fatalf("%d of %d unpublished", n, w.unpublished(t))
	}
}

func TestPassFailsWithoutBroker(t *testing.T) {
	t.Parallel()
	w := setup(t)
	registry := prometheus.NewRegistry()
	relay := w.relay(t, w.pool, registry)
	w.writeNow(t, topic, "k")
	w.cluster.Close()
	if n, err := relay.Pass(t.Context()); n != 0 || err == nil || w.unpublished(t) != 1 {
		t.Fatalf("%d %v", n, err)
	}
	background(t, relay.Run) // goes on trying, and shows what waits
	servicetest.Eventually(t, "backlog", func() bool {
		return testutil.ToFloat64(gauge(t, registry, "outbox_backlog_events")) == 1
	})
}

// gauge reads one metric of a registry as a collector.
func gauge(t testing.TB, registry *prometheus.Registry, name string) prometheus.Gauge {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name})
	for _, family := range families {
		if family.GetName() == name {
			g.Set(family.GetMetric()[0].GetGauge().GetValue())
			return g
		}
	}
	t.Fatalf("no metric %s", name)
	return nil
}

func TestWakeAndSweep(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.writeNow(t, topic, "old")
	w.writeNow(t, topic, "young")
	if _, err := w.pool.Exec(t.Context(),
		`UPDATE outbox SET published_at = now() - CASE key WHEN 'old' THEN interval '7 days 1 hour' ELSE interval '6 days' END`); err != nil {
		t.Fatal(err)
	}
	w.writeNow(t, topic, "new")
	// More than two statements delete, and one of the oldest in the inbox.
	for _, stmt := range []string{
		`INSERT INTO outbox (event_id, topic, key, payload, published_at)
			SELECT gen_random_uuid(), 'x', 'old', '', now() - interval '8 days' FROM generate_series(1, 11000)`,
		`INSERT INTO inbox VALUES ('x', gen_random_uuid(), now() - interval '1 hour')`,
	} {
		if _, err := w.pool.Exec(t.Context(), stmt); err != nil {
			t.Fatal(err)
		}
	}
	metrics := prometheus.NewRegistry()
	relay := w.relay(t, w.pool, metrics)
	background(t, relay.Run)
	servicetest.Eventually(t, "publish the new row and drop the old ones", func() bool {
		return w.unpublished(t) == 0 && w.count(t, `SELECT count(*) FROM outbox`) == 2
	})
	if n := w.count(t, `SELECT count(*) FROM outbox WHERE key = 'old'`); n != 0 {
		t.Fatal("the wrong row was dropped")
	}
	if kept, inbox := testutil.ToFloat64(gauge(t, metrics, "outbox_kept_seconds")),
		testutil.ToFloat64(gauge(t, metrics, "inbox_kept_seconds")); kept < 6*86400 || inbox < 3600 || inbox > 7200 {
		t.Errorf("outbox keeps %v s, inbox %v s", kept, inbox)
	}
	for range 100 {
		relay.Wake() // never blocks
	}
	w.writeNow(t, topic, "woken")
	relay.Wake()
	servicetest.Eventually(t, "publish after a wake", func() bool { return w.unpublished(t) == 0 })
}

// TestNothingIsLostOrDoubledOrReordered: 200 transactions on 20 aggregates, half of them committing after a later one;
// two relays; whichever of them works has its connection cut in mid-pass, several times.
func TestNothingIsLostOrDoubledOrReordered(t *testing.T) {
	t.Parallel()
	const pairs, keys, kills = 100, 20, 4
	w := setup(t)
	killed := w.killRelays(t, kills)
	for range 2 {
		pool, err := pg.Open(t.Context(), w.db.AppURL, pg.Options{MaxConns: 2})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		background(t, w.relay(t, pool).Run)
	}
	consumer := event.NewConsumer(event.ConsumerConfig{
		Broker: event.Broker{Addresses: w.cluster.ListenAddrs()}, Group: "wallet", Topics: []string{topic}, Pool: w.pool,
	}, map[string]event.Handler{"wallet.changed": applyChange})
	background(t, consumer.Run)

	writers, err := pg.Open(t.Context(), w.db.AppURL, pg.Options{MaxConns: 24, LockTimeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(writers.Close)
	slots := make(chan struct{}, 12) // two connections each
	var wg sync.WaitGroup
	for n := range pairs {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			even := rand.IntN(keys/2) * 2
			if err := outOfOrder(t.Context(), writers, "key-"+strconv.Itoa(even), "key-"+strconv.Itoa(even+1)); err != nil {
				t.Errorf("pair %d: %v", n, err)
			}
		})
	}
	wg.Wait()
	servicetest.Eventually(t, "all effects", func() bool { return w.count(t, `SELECT count(*) FROM effects`) >= 2*pairs })
	servicetest.Eventually(t, "everything marked", func() bool { return w.unpublished(t) == 0 })
	if n := w.count(t, `SELECT count(*) FROM effects`); n != 2*pairs {
		t.Errorf("%d effects of %d events", n, 2*pairs)
	}
	if n := w.count(t, `SELECT count(*) FROM (
		SELECT version <> row_number() OVER (PARTITION BY key ORDER BY seq) AS wrong FROM effects) o WHERE wrong`); n != 0 {
		t.Errorf("%d effects out of order", n)
	}
	if n := killed.Load(); n == 0 {
		t.Error("no relay was killed in mid-pass: the test proved too little")
	}
}

// outOfOrder appends for first, then for second, and commits second before first.
func outOfOrder(ctx context.Context, pool *pgxpool.Pool, first, second string) error {
	return pg.InTx(ctx, pool, func(outer pgx.Tx) error {
		if err := write(ctx, outer, topic, first); err != nil {
			return err
		}
		return pg.InTx(ctx, pool, func(inner pgx.Tx) error { return write(ctx, inner, topic, second) })
	})
}

// killRelays cuts the connection of the relay that holds the lock while the broker is handling its messages. The first
// message of such a pass is stored by the broker, so the relay that comes next must send it twice.
func (w world) killRelays(t testing.TB, times int64) *atomic.Int64 {
	t.Helper()
	admin, err := pg.Open(t.Context(), w.db.AppURL, pg.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(admin.Close)
	var requests, killed atomic.Int64
	w.cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		w.cluster.KeepControl()
		if requests.Add(1)%5 != 0 || killed.Load() >= times {
			return nil, nil, false
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		var n int64
		err := admin.QueryRow(ctx, `
			SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_locks
			WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`).Scan(&n)
		if err != nil {
			t.Errorf("kill: %v", err)
		}
		killed.Add(n)
		return nil, nil, false
	})
	return &killed
}
