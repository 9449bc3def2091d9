package servicetest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/event"
	"github.com/sendtip/sendtip/kit/jobs"
	"github.com/sendtip/sendtip/kit/outbox"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/servicetest"

	"github.com/jackc/pgx/v5"
)

var contracts = fstest.MapFS{"probe.yaml": {Data: []byte(`
openapi: 3.0.3
info: {title: probe, version: 1.0.0}
paths:
  /v1/probes:
    get:
      operationId: getProbe
      parameters:
        - {name: answer, in: query, required: true, schema: {type: string}}
      responses:
        "200": {description: ok, content: {application/json: {schema: {type: object, required: [who], properties: {who: {type: string}}}}}}
        "401": {description: no, content: {application/problem+json: {schema: {type: object}}}}
`)}}

// recorder takes the faults that a test would report.
type recorder struct {
	testing.TB
	faults []string
}

func (r *recorder) Helper() {}
func (r *recorder) Errorf(format string, args ...any) {
	r.faults = append(r.faults, fmt.Sprintf(format, args...))
}

func mount(r chi.Router) {
	r.Get("/v1/probes", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"%s": %q}`, r.URL.Query().Get("answer"), auth.From(r.Context()).Subject)
	})
	r.Get("/v1/hidden", func(http.ResponseWriter, *http.Request) {})
	r.Get("/v1/untyped", func(w http.ResponseWriter, r *http.Request) {
		if _, typed := r.Header["Content-Type"]; !typed {
			w.WriteHeader(http.StatusConflict)
		}
	})
}

// TestAPI: an answer and a request that the contract does not have are faults, and the chain is that of a service.
func TestAPI(t *testing.T) {
	t.Parallel()
	tb := &recorder{TB: t}
	api := servicetest.New(tb, "probe", fstest.MapFS{}, nil).API(contracts, "probe.yaml", mount, 0)
	ask := func(who, query string) int {
		return api.Do(servicetest.Request{Who: who, Method: http.MethodGet, Path: "/v1/probes" + query}).Code
	}
	if got := ask("user:1", "?answer=who"); got != http.StatusOK || len(tb.faults) != 0 {
		t.Errorf("%d %v", got, tb.faults)
	}
	if got := ask("", "?answer=who"); got != http.StatusUnauthorized || len(tb.faults) != 0 {
		t.Errorf("without an identity: %d %v", got, tb.faults)
	}
	ask("user:1", "?answer=whom")
	if len(tb.faults) != 1 || !strings.Contains(tb.faults[0], "the answer") && !strings.Contains(tb.faults[0], "answer 200 breaks") {
		t.Errorf("another answer: %v", tb.faults)
	}
	tb.faults = nil
	ask("user:1", "/more")
	if len(tb.faults) != 1 || !strings.Contains(tb.faults[0], "is not in probe.yaml") {
		t.Errorf("a path that the contract does not have: %v", tb.faults)
	}
	tb.faults = nil
	for path, faults := range map[string]int{"/v1/probes/more": 0, "/v1/hidden": 1} {
		tb.faults = nil
		api.Do(servicetest.Request{Who: "user:1", Method: http.MethodGet, Path: path, Stray: true})
		if len(tb.faults) != faults {
			t.Errorf("%s, which strays: %v", path, tb.faults)
		}
	}
	tb.faults = nil
	ask("user:1", "")
	if len(tb.faults) == 0 || !strings.Contains(tb.faults[0], "the request breaks") {
		t.Errorf("a request without its parameter: %v", tb.faults)
	}
}

// TestAPIPastItsContract: the bare chain is asked by no contract, calls of others are, and an empty value takes a header away.
func TestAPIPastItsContract(t *testing.T) {
	t.Parallel()
	tb := &recorder{TB: t}
	api := servicetest.New(tb, "probe", fstest.MapFS{}, nil).API(contracts, "probe.yaml", mount, 0)
	ask := func(h http.Handler) int {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/hidden", nil)
		r.Header.Set(auth.IdentityHeader, api.Token(servicetest.Request{Who: "user:1"}))
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		return rec.Code
	}
	if got := ask(api.Bare()); got != http.StatusOK || len(tb.faults) != 0 {
		t.Errorf("past the contract: %d %v", got, tb.faults)
	}
	if got := ask(api); got != http.StatusNotFound || len(tb.faults) != 1 {
		t.Errorf("by another part: %d %v", got, tb.faults)
	}
	tb.faults = nil
	untyped := map[string]string{"Content-Type": ""}
	rec := api.Do(servicetest.Request{Who: "user:1", Method: http.MethodGet, Path: "/v1/untyped", Body: "{}", Header: untyped, Stray: true})
	if rec.Code != http.StatusConflict || len(tb.faults) != 0 {
		t.Errorf("without a type: %d %v", rec.Code, tb.faults)
	}
}

// TestAgain: parts that are made again take metrics and workers of the same names, and leave the world's own as they are.
func TestAgain(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t, "probe", fstest.MapFS{}, nil)
	w.Handler(mount, 0)
	jobs.Add(w.Workers, func(context.Context, *river.Job[probeArgs]) (time.Duration, error) {
		return 0, errors.New("the old one")
	})
	before := w.Parts
	p := w.Again()
	p.Now = nil
	p.Handler(mount, 0) // registers its metrics
	done := make(chan struct{})
	jobs.Add(p.Workers, func(context.Context, *river.Job[probeArgs]) (time.Duration, error) { close(done); return 0, nil })
	if w.Parts != before || w.Parts.Now == nil || p.Pool != w.Pool || p.Clock != w.Clock {
		t.Error("the world's parts have changed, or the new ones are of another world")
	}
	w.Parts = p
	w.RunJobs()
	if _, err := w.Jobs.Insert(t.Context(), probeArgs{}, nil); err != nil {
		t.Fatal(err)
	}
	servicetest.Eventually(t, "the new worker does the job", func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	})
}

type probeArgs struct{}

func (probeArgs) Kind() string { return "probe.job" }

// TestPeers: a peer is found by its contract; a call that is in none, or comes without the key, is a fault.
func TestPeers(t *testing.T) {
	t.Parallel()
	tb := &recorder{TB: t}
	r := chi.NewRouter()
	r.Get("/v1/probes", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("answer") {
			_, _ = fmt.Fprintf(answering(w, "application/json", http.StatusOK), `{"who": ""}`)
			return
		}
		_, _ = fmt.Fprint(answering(w, "application/problem+json", http.StatusUnauthorized), `{}`)
	})
	peers := servicetest.New(tb, "probe", fstest.MapFS{}, nil).Peers(contracts, servicetest.Peer{File: "probe.yaml", Handler: r})
	get := func(path string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, peers.GatewayURL()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := peers.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		return res.StatusCode
	}
	if got := get("/v1/probes?answer=who"); got != http.StatusOK || len(tb.faults) != 0 {
		t.Errorf("%d %v", got, tb.faults)
	}
	if got := get("/v1/others"); got != http.StatusNotFound || len(tb.faults) != 1 {
		t.Errorf("%d %v", got, tb.faults)
	}
	if got := get("/v1/probes"); got != http.StatusUnauthorized || len(tb.faults) != 2 { // a refusal does not excuse a request of ours
		t.Errorf("%d %v", got, tb.faults)
	}
}

func answering(w http.ResponseWriter, contentType string, status int) http.ResponseWriter {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	return w
}

// TestEvents: what a service publishes is read back, and what it hears has its effect once.
func TestEvents(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t, "probe", fstest.MapFS{}, nil)
	heard := w.Event("sendtip.other.v1", "other.happened", map[string]string{"id": "1"})
	handlers := map[string]event.Handler{"other.happened": func(ctx context.Context, tx pgx.Tx, e event.Event) error {
		out, err := event.New("sendtip.probe.v1", "probe.heard", e.Key, w.Now(), map[string]string{"id": "2"})
		if err != nil {
			return err
		}
		return outbox.Append(ctx, tx, out)
	}}
	for range 2 {
		if err := w.Deliver(handlers, heard); err != nil {
			t.Fatal(err)
		}
	}
	if out := w.Published(); len(out) != 1 || out[0].Type != "probe.heard" || out[0].Key != heard.Key ||
		!out[0].Time.Equal(servicetest.Start) {
		t.Errorf("%+v", out)
	}
	if said := w.PublishedOf("probe.heard"); len(said) != 1 || said[0]["id"] != "2" {
		t.Errorf("said %v", said)
	}
	if said := w.PublishedOf("probe.other"); len(said) != 0 {
		t.Errorf("said %v", said)
	}
}

// TestTime: the world's time stands until it is moved, and moves for jobs as well.
func TestTime(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t, "probe", fstest.MapFS{}, nil)
	w.Advance(36 * time.Hour)
	if got := w.Now(); !got.Equal(servicetest.Start.Add(36 * time.Hour)) {
		t.Error(got)
	}
	if behind := w.Clock.Now().Sub(w.Now()); behind < 0 || behind > time.Minute {
		t.Errorf("the clock of jobs is %s away", behind)
	}
	id := uuid.New()
	if got, err := auth.UserFrom(w.User(id, "profile")); err != nil || got != id {
		t.Error(got, err)
	}
	if err := pg.InTx(t.Context(), w.Pool, func(tx pgx.Tx) error { _, err := tx.Exec(t.Context(), "SELECT 1"); return err }); err != nil {
		t.Error(err)
	}
	if got := w.Text("SELECT $1::text", "x"); got != "x" {
		t.Error(got)
	}
	if got := w.Count("SELECT count(*) FROM generate_series(1, $1)", 3); got != 3 {
		t.Error(got)
	}
	var owner string
	if err := w.Connect(w.DB.OwnerURL).QueryRow(t.Context(), "SELECT current_user").Scan(&owner); err != nil || owner != "probe_owner" {
		t.Error(owner, err)
	}
}

// TestSight: what rows, metrics and locks say of a service is what the test sees.
func TestSight(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t, "probe", fstest.MapFS{}, nil)
	if got := w.Count("SELECT count(*) FROM generate_series(1, $1::int)", 3); got != 3 {
		t.Error(got)
	}
	seen := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "probe_seen_total", Help: "Seen."}, []string{"what"})
	w.Registry.MustRegister(seen)
	seen.WithLabelValues("one").Inc()
	seen.WithLabelValues("two").Add(2)
	if one, all, other := w.Counted("probe_seen_total", "one"), w.Counted("probe_seen_total"), w.Counted("probe_seen"); one != 1 || all != 3 ||
		other != 0 {
		t.Errorf("%d, %d, %d", one, all, other)
	}
	const lock = "SELECT pg_advisory_xact_lock(1)"
	holder, err := w.DB.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := holder.Exec(t.Context(), lock); err != nil {
		t.Fatal(err)
	}
	go func() {
		w.AwaitLocks(3)
		_ = holder.Rollback(context.WithoutCancel(t.Context()))
	}()
	for i, err := range servicetest.Together(3, func(int) error { _, err := w.Pool.Exec(t.Context(), lock); return err }) {
		if err != nil {
			t.Errorf("call %d: %v", i, err)
		}
	}
}
