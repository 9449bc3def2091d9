// Package servicetest is what the tests of every service stand on: the service's own parts on a real database, a clock that only the test
// moves, requests and answers that are held against the contract, peers that are scripted on their generated interfaces, events in and out,
// and jobs that run. It knows no service and no business word; a service's own test world adds what is its own.
package servicetest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/clock"
	"github.com/sendtip/sendtip/kit/config"
	"github.com/sendtip/sendtip/kit/event"
	"github.com/sendtip/sendtip/kit/jobs"
	"github.com/sendtip/sendtip/kit/pgtest"
	"github.com/sendtip/sendtip/kit/service"
)

// Start is when the clock of every world stands at first.
var Start = time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)

const (
	// patience ends a wait for what should come at once.
	patience = 20 * time.Second
	poolSize = 16
)

var (
	identityKey = bytes.Repeat([]byte{3}, 32)
	kek         = bytes.Repeat([]byte{7}, 32)
)

// World is one test's: the parts of a service, as kit/service makes them.
type World struct {
	*service.Parts

	DB   *pgtest.DB
	Logs *Logs // every line that the service writes

	tb  testing.TB
	mu  sync.Mutex
	now time.Time
}

// New makes a world with an empty database of the migrations. queues are as in service.Spec.
func New(tb testing.TB, name string, migrations fs.FS, queues map[string]int) *World {
	tb.Helper()
	return On(tb, name, pgtest.Open(tb, name, migrations), queues)
}

// On makes a world on a database that has rows already.
func On(tb testing.TB, name string, db *pgtest.DB, queues map[string]int) *World {
	tb.Helper()
	w := &World{DB: db, Logs: &Logs{}, tb: tb, now: Start}
	log := slog.New(slog.NewJSONHandler(w.Logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	common := Common(db.AppURL)
	host := service.Host{Log: log, Clock: clock.New(time.Until(Start))}
	parts, err := service.Open(tb.Context(), service.Spec{Name: name, Common: common, Host: host, Queues: queues})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(parts.Close)
	parts.Now = w.Now
	w.Parts = parts
	return w
}

// Again makes the world's parts once more, for use cases that are made a second time, as by a restart: on the same database and clock, with
// a registry, workers and a client of jobs of their own.
func (w *World) Again() *service.Parts {
	w.tb.Helper()
	p := *w.Parts
	p.Registry, p.Workers = prometheus.NewRegistry(), river.NewWorkers()
	var err error
	p.Jobs, err = jobs.NewClient(p.Pool, p.Workers, jobs.Config{Service: p.Name, Queues: p.Queues, Log: p.Log, Clock: p.Clock})
	if err != nil {
		w.tb.Fatal(err)
	}
	return &p
}

// Common are the settings that every service needs, with a broker that is not there.
func Common(databaseURL string) config.Common {
	secret := func(b []byte) config.Secret { return config.NewSecret(base64.StdEncoding.EncodeToString(b)) }
	return config.Common{
		Env: "test", Listen: "127.0.0.1:0", DatabaseURL: config.NewSecret(databaseURL), PoolSize: poolSize,
		Kafka: config.Kafka{Brokers: []string{"127.0.0.1:1"}}, IdentityKey: secret(identityKey), KEK: secret(kek),
	}
}

// Now is the world's time: it stands until the test moves it.
func (w *World) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// Advance moves the time, that of jobs too.
func (w *World) Advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
	w.Clock.Set(w.Clock.Offset() + d)
}

// As is a context whose caller is the subject (`user:…`, `partner:…`, `service:…`) with scopes, as after the check of an identity token.
func (w *World) As(subject string, scopes ...string) context.Context {
	return auth.With(w.tb.Context(), auth.Principal{Subject: subject, Scopes: scopes, Operation: "test"})
}

// User is the context of a customer.
func (w *World) User(id uuid.UUID, scopes ...string) context.Context {
	return w.As("user:"+id.String(), scopes...)
}

// Event makes an event as another service publishes it, at the world's time.
func (w *World) Event(topic, eventType string, data any) event.Event {
	w.tb.Helper()
	e, err := event.New(topic, eventType, uuid.NewString(), w.Now(), data)
	if err != nil {
		w.tb.Fatal(err)
	}
	return e
}

// Deliver applies an event as the consumer does: the inbox row and the effect in one transaction.
func (w *World) Deliver(handlers map[string]event.Handler, e event.Event) error {
	return event.Dispatch(w.tb.Context(), w.Pool, w.Name, w.Now(), handlers, e)
}

// Published are the events in the outbox, in their order.
func (w *World) Published() []event.Event {
	w.tb.Helper()
	rows, err := w.DB.Pool.Query(w.tb.Context(), "SELECT topic, payload FROM outbox ORDER BY id")
	if err != nil {
		w.tb.Fatal(err)
	}
	defer rows.Close()
	var out []event.Event
	for rows.Next() {
		var topic string
		var payload []byte
		if err := rows.Scan(&topic, &payload); err != nil {
			w.tb.Fatal(err)
		}
		e, err := event.Decode(topic, payload)
		if err != nil {
			w.tb.Fatal(err)
		}
		out = append(out, e)
	}
	if err := rows.Err(); err != nil {
		w.tb.Fatal(err)
	}
	return out
}

// PublishedOf is what the events of a type in the outbox say, in their order.
func (w *World) PublishedOf(eventType string) []map[string]any {
	w.tb.Helper()
	out := []map[string]any{}
	for _, e := range w.Published() {
		if e.Type != eventType {
			continue
		}
		var data map[string]any
		if err := json.Unmarshal(e.Data, &data); err != nil {
			w.tb.Fatal(err)
		}
		out = append(out, data)
	}
	return out
}

// RunJobs works jobs until the test ends. The service has added its workers to the world's.
func (w *World) RunJobs() {
	w.tb.Helper()
	ctx, stop := context.WithCancel(context.Background()) // the test's own ends before its cleanups
	done := make(chan error, 1)
	go func() { done <- jobs.Loop(w.Jobs)(ctx) }()
	w.tb.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			w.tb.Errorf("jobs: %v", err)
		}
	})
}

// Connect is a connection of its own to the world's database, at one of the addresses of DB: as the owner of the tables, or as somebody who
// may do anything. It is closed with the test.
func (w *World) Connect(url string) *pgx.Conn {
	w.tb.Helper()
	conn, err := pgx.Connect(w.tb.Context(), url)
	if err != nil {
		w.tb.Fatal(err)
	}
	w.tb.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// Text is the one text that a query answers.
func (w *World) Text(query string, args ...any) string {
	w.tb.Helper()
	var out any
	if err := w.DB.Pool.QueryRow(w.tb.Context(), query, args...).Scan(&out); err != nil {
		w.tb.Fatalf("%s: %v", query, err)
	}
	return fmt.Sprint(out)
}

// Count is the one number that a query answers.
func (w *World) Count(query string, args ...any) int {
	w.tb.Helper()
	var out int
	if err := w.DB.Pool.QueryRow(w.tb.Context(), query, args...).Scan(&out); err != nil {
		w.tb.Fatalf("%s: %v", query, err)
	}
	return out
}

// AwaitLocks returns when n transactions wait for a lock: the signal that all of them have come so far.
func (w *World) AwaitLocks(n int) {
	w.tb.Helper()
	const waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
	Eventually(w.tb, fmt.Sprintf("%d transactions wait for a lock", n), func() bool { return w.Count(waiting) >= n })
}

// Counted is what a counter of the service says: all of it, or what it says of one value of its first label.
func (w *World) Counted(name string, label ...string) int {
	w.tb.Helper()
	families, err := w.Registry.Gather()
	if err != nil {
		w.tb.Fatal(err)
	}
	total := 0.0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (len(label) == 0 || m.GetLabel()[0].GetValue() == label[0]) {
				total += m.GetCounter().GetValue()
			}
		}
	}
	return int(total)
}

// Eventually waits until a condition holds, and fails the test with what was awaited.
func Eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			tb.Fatalf("waited too long: %s", what)
		case <-tick.C:
		}
	}
}

// Together makes n calls at the same moment and returns their errors.
func Together(n int, call func(i int) error) []error {
	errs := make([]error, n)
	var ready, done sync.WaitGroup
	ready.Add(n)
	for i := range n {
		done.Go(func() {
			ready.Done()
			ready.Wait()
			errs[i] = call(i)
		})
	}
	done.Wait()
	return errs
}

// FreeAddress is one that nothing listens on, for a process that the test starts.
func FreeAddress(tb testing.TB) string {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// Logs keeps what is written.
type Logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *Logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

// String is all of it.
func (l *Logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
