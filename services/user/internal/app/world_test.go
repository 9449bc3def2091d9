package app_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/sendtip/sendtip/kit/auth"
	kitjobs "github.com/sendtip/sendtip/kit/jobs"
	"github.com/sendtip/sendtip/kit/pgtest"
	"github.com/sendtip/sendtip/kit/seal"
	"github.com/sendtip/sendtip/providers/smileid"
	"github.com/sendtip/sendtip/sandbox"
	"github.com/sendtip/sendtip/sandbox/control"
	"github.com/sendtip/sendtip/services/user/internal/app"
	"github.com/sendtip/sendtip/services/user/internal/jobs"
	usersql "github.com/sendtip/sendtip/sql/user"
)

const (
	phone  = "+254712345678"
	pin    = "7294"
	device = "device-0123456789"
)

// world is the service's use cases on a real database, with a clock of its own and the sandbox as Smile ID.
type world struct {
	*testing.T
	app    *app.App
	deps   app.Deps
	db     *pgtest.DB
	box    *control.Client
	boxURL string
	queue  *kitjobs.Client
	logs   *logBuffer

	mu  sync.Mutex
	now time.Time
}

func setup(t *testing.T) *world {
	t.Helper()
	return setupOn(t, pgtest.Open(t, "user", usersql.Migrations()))
}

// setupOn builds the world on a database that may have rows already.
func setupOn(t *testing.T, db *pgtest.DB) *world {
	t.Helper()
	w := &world{T: t, db: db, now: time.Now().UTC().Truncate(time.Second), logs: &logBuffer{}}
	sealer, err := seal.New(bytes.Repeat([]byte{7}, seal.KeySize))
	w.must(err)
	keys, err := app.NewKeys(newKeyPEM(t))
	w.must(err)
	workers := river.NewWorkers()
	w.queue, err = kitjobs.NewClient(w.db.Pool, workers, kitjobs.Config{Service: "user", Log: slog.New(slog.NewJSONHandler(w.logs, nil))})
	w.must(err)
	hooks := httptest.NewServer(http.HandlerFunc(w.hook))
	t.Cleanup(hooks.Close)
	box, err := sandbox.New(sandbox.Config{KYCDelay: -1})
	w.must(err)
	server := httptest.NewServer(box.Handler())
	t.Cleanup(server.Close)
	t.Cleanup(box.Close) // first: callbacks end before the servers do
	w.boxURL, w.box = server.URL, control.New(server.URL, nil)
	w.deps = app.Deps{
		Pool: w.db.Pool, Sealer: sealer, Keys: keys, Jobs: w.queue, Env: "test", PublicURL: hooks.URL + "/", Now: w.clock,
		Log:   slog.New(slog.NewJSONHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Smile: smileid.New(smileid.Config{BaseURL: server.URL, PartnerID: sandbox.DefaultSmilePartnerID, APIKey: sandbox.DefaultSmileAPIKey}),
	}
	w.app, err = app.New(w.deps)
	w.must(err)
	jobs.Register(workers, w.app)
	return w
}

// hook is where the sandbox calls back: the path of the contract, straight to the use case.
func (w *world) hook(rw http.ResponseWriter, r *http.Request) {
	parts := strings.Split(r.URL.Path, "/")
	if len(parts) != 6 || strings.Join(parts[:4], "/") != "/v1/hooks/ky" {
		rw.WriteHeader(http.StatusNotFound)
		return
	}
	body, err := io.ReadAll(r.Body)
	id, parseErr := uuid.Parse(parts[5])
	if err = errors.Join(err, parseErr); err == nil {
		err = w.app.ReceiveKycCallback(r.Context(), parts[4], id, body)
	}
	if err != nil {
		rw.WriteHeader(http.StatusInternalServerError)
	}
}

func newKeyPEM(t testing.TB) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) wait(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// want fails unless err is the fault.
func (w *world) want(err, fault error) {
	w.Helper()
	if !errors.Is(err, fault) {
		w.Fatalf("got %v, want %v", err, fault)
	}
}

// anyone is who comes without a token.
func (w *world) anyone() context.Context {
	return auth.With(w.Context(), auth.Principal{Subject: "anonymous", Operation: "test"})
}

func (w *world) as(user, session uuid.UUID, scopes ...string) context.Context {
	return auth.With(w.Context(), auth.Principal{Subject: "user:" + user.String(), SessionID: session.String(), Scopes: scopes,
		Operation: "test"})
}

func (w *world) service(scopes ...string) context.Context {
	return auth.With(w.Context(), auth.Principal{Subject: "service:wallet", Scopes: scopes, Operation: "test"})
}

// code fetches a challenge's code as the notification service does.
func (w *world) code(id uuid.UUID) string {
	w.Helper()
	c, err := w.app.TakeOtp(w.service("users:otp"), id)
	w.must(err)
	return c.Code
}

// wrong returns a code that is not the right one.
func wrong(code string) string {
	if code == "000000" {
		return "000001"
	}
	return "000000"
}

// customer is a registered customer with a session.
type customer struct {
	id     uuid.UUID
	phone  string
	tokens app.Tokens
	ctx    context.Context
}

func (w *world) register(phone string) customer {
	w.Helper()
	c, err := w.app.StartRegistration(w.anyone(), phone, "KE", "en")
	w.must(err)
	p, t, err := w.app.CompleteRegistration(w.anyone(), app.RegistrationInput{ID: c.ID, Otp: w.code(c.ID), Pin: pin, Device: device})
	w.must(err)
	return customer{id: p.ID, phone: phone, tokens: t, ctx: w.as(p.ID, t.SessionID, "profile", "kyc")}
}

func (w *world) admin() (uuid.UUID, context.Context) {
	w.Helper()
	id, err := w.app.CreateAdmin(w.anyone(), "+254799000001", "5821", device)
	w.must(err)
	return id, w.as(id, uuid.New(), "admin:kyc", "admin:users")
}

// events returns the types of the outbox's events, oldest first, and the data of the last one.
func (w *world) events() (types []string, last map[string]any) {
	w.Helper()
	rows, err := w.db.Pool.Query(w.Context(), "SELECT payload FROM outbox ORDER BY id")
	w.must(err)
	defer rows.Close()
	for rows.Next() {
		var payload []byte
		w.must(rows.Scan(&payload))
		var e struct {
			Type string
			Data map[string]any
		}
		w.must(json.Unmarshal(payload, &e))
		types, last = append(types, e.Type), e.Data
	}
	w.must(rows.Err())
	return types, last
}

func (w *world) count(query string, args ...any) int {
	w.Helper()
	var n int
	w.must(w.db.Pool.QueryRow(w.Context(), query, args...).Scan(&n))
	return n
}

// everything is the number of rows that a use case may have left, to show that a refusal leaves none.
func (w *world) everything() int {
	w.Helper()
	return w.count(`SELECT (SELECT count(*) FROM users) + (SELECT count(*) FROM devices) + (SELECT count(*) FROM sessions)
		+ (SELECT count(*) FROM refresh_tokens) + (SELECT count(*) FROM revocations) + (SELECT count(*) FROM kyc_verifications)
		+ (SELECT count(*) FROM kyc_callbacks) + (SELECT count(*) FROM otp_challenges) + (SELECT count(*) FROM outbox)
		+ (SELECT count(*) FROM audit_log) + (SELECT count(*) FROM idempotency_keys) + (SELECT count(*) FROM river_job)`)
}

// together runs n calls at once and returns their errors.
func together(n int, call func(i int) error) []error {
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

// begin opens a transaction that ends with the test, if not before: the pool would wait for it for ever.
func (w *world) begin() pgx.Tx {
	w.Helper()
	tx, err := w.db.Pool.Begin(w.Context())
	w.must(err)
	w.Cleanup(func() { _ = tx.Rollback(context.WithoutCancel(w.Context())) })
	return tx
}

// waiting returns when n transactions wait for a lock. It is the signal that all of them have come so far.
func (w *world) waiting(n int) {
	w.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); <-time.After(2 * time.Millisecond) {
		if w.count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") >= n {
			return
		}
	}
	w.Fatalf("%d transactions never waited for a lock", n)
}

// tally counts how many errors are nil, and how many are the fault.
func tally(errs []error, fault error) (ok, refused int) {
	for _, err := range errs {
		switch {
		case err == nil:
			ok++
		case errors.Is(err, fault):
			refused++
		}
	}
	return ok, refused
}

// with replaces Smile ID.
func (w *world) with(smile *smileid.Client) {
	w.Helper()
	w.deps.Smile = smile
	var err error
	w.app, err = app.New(w.deps)
	w.must(err)
}

func contextWithCancel(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithCancel(context.WithoutCancel(t.Context()))
}

// logBuffer collects log lines, to prove what is not in them.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
