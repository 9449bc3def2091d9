package app_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/note"

	"github.com/sendtip/sendtip/generated/scopes"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/pgtest"
	"github.com/sendtip/sendtip/kit/seal"
	"github.com/sendtip/sendtip/services/transactions/check"
	"github.com/sendtip/sendtip/services/transactions/internal/app"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
	transactionssql "github.com/sendtip/sendtip/sql/transactions"
)

// world is a ledger on a database of its own. Its cleanup proves every invariant.
type world struct {
	*app.App
	db    *pgtest.DB
	pool  *pgxpool.Pool
	ctx   context.Context // a service with all ledger scopes
	skew  *atomic.Int64   // added to the clock, nanoseconds
	calls atomic.Int64
}

func setup(t testing.TB) *world {
	t.Helper()
	w := open(t)
	t.Cleanup(func() { w.verify(t) })
	return w
}

// open is setup without the proof at the end, for tests that break the ledger on purpose.
func open(t testing.TB) *world {
	t.Helper()
	db := pgtest.Open(t, "transactions", transactionssql.Migrations())
	pool, err := pg.Open(t.Context(), db.AppURL, pg.Options{MaxConns: 16, LockTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	skew := &atomic.Int64{}
	now := func() time.Time { return time.Now().Add(time.Duration(skew.Load())) }
	return &world{App: app.New(pools(t, db.AppURL, pool), now, slog.New(slog.DiscardHandler), sealer(t), pager(t)), db: db,
		pool: pool, skew: skew, ctx: as("service:wallet", scopes.LedgerPost, scopes.LedgerRead, scopes.LedgerAccounts)}
}

// pools adds the connections that a ledger commits on.
func pools(t testing.TB, url string, shared *pgxpool.Pool) app.Pools {
	t.Helper()
	committers, err := pg.Open(t.Context(), url,
		pg.Options{MaxConns: app.CommitConns, LockTimeout: 10 * time.Second, Params: app.CommitParams()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(committers.Close)
	return app.Pools{Shared: shared, Committers: committers}
}

// pager makes the cursors of every ledger of these tests.
func pager(t testing.TB) *page.Pager {
	t.Helper()
	s, err := seal.New(make([]byte, seal.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return page.New(s)
}

// rows asks for the first page, with so many.
func rows(limit int32) page.Request { return page.Request{Limit: &limit} }

// sealer signs with a key of this test.
func sealer(t testing.TB) app.Sealer {
	t.Helper()
	secret, public, err := note.GenerateKey(rand.Reader, "sendtip.test/ledger")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	return app.Sealer{Origin: "sendtip.test/ledger", Signers: []note.Signer{signer}, VerifierKeys: []string{public}}
}

func as(subject string, scopes ...string) context.Context {
	return auth.With(context.Background(), auth.Principal{Subject: subject, Scopes: scopes, Operation: "test"})
}

func (w *world) verify(t testing.TB) {
	t.Helper()
	violations, err := check.Check(context.Background(), w.pool)
	if err != nil {
		t.Fatalf("check: %v", err)
	}
	for _, v := range violations {
		t.Errorf("broken invariant: %s", v)
	}
}

func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// customer opens a wallet account; maximum 0 means none.
func (w *world) customer(t testing.TB, currency string, maximum int64) domain.Account {
	t.Helper()
	a := domain.Account{ID: newID(), OwnerID: newID(), Kind: domain.KindCustomerWallet, Currency: currency}
	if maximum > 0 {
		a.Maximum = &maximum
	}
	got, created, err := w.PutAccount(w.ctx, a)
	if err != nil || !created {
		t.Fatalf("open account: created=%v err=%v", created, err)
	}
	return got
}

func (w *world) ref() string { return fmt.Sprintf("test:%d:%s", w.calls.Add(1), newID().String()[24:]) }

var rail = domain.SystemAccountID("rail.mpesa.paybill.KES")

func kes(source, destination uuid.UUID, amount int64) domain.Posting {
	return domain.Posting{Source: source, Destination: destination, Amount: amount, Currency: "KES"}
}

func (w *world) request(action domain.Action, postings ...domain.Posting) domain.Request {
	return domain.Request{Reference: w.ref(), Body: domain.Body{Action: action, Type: "test", Channel: "internal", Postings: postings}}
}

// one posts a single request and returns its outcome.
func (w *world) one(t testing.TB, r domain.Request) domain.Outcome {
	t.Helper()
	out, err := w.PostTransactions(w.ctx, []domain.Request{r}, false)
	if err != nil || len(out) != 1 {
		t.Fatalf("post: %d outcomes, %v", len(out), err)
	}
	return out[0]
}

func (w *world) posted(t testing.TB, r domain.Request) domain.Outcome {
	t.Helper()
	o := w.one(t, r)
	if o.Status != domain.Posted {
		t.Fatalf("refused: %s %s", o.Code, o.Detail)
	}
	return o
}

func (w *world) refused(t testing.TB, r domain.Request, code string) domain.Outcome {
	t.Helper()
	o := w.one(t, r)
	if o.Status != domain.Refused || o.Code != code {
		t.Fatalf("got %s %q, want refused %q", o.Status, o.Code, code)
	}
	return o
}

// fund pays money in.
func (w *world) fund(t testing.TB, account uuid.UUID, amount int64) domain.Outcome {
	t.Helper()
	return w.posted(t, w.request(domain.ActionPost, kes(rail, account, amount)))
}

func (w *world) account(t testing.TB, id uuid.UUID) domain.Account {
	t.Helper()
	a, err := w.GetAccount(w.ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (w *world) wantBalance(t testing.TB, id uuid.UUID, balance, available int64) {
	t.Helper()
	if a := w.account(t, id); a.Balance() != balance || a.Available() != available {
		t.Fatalf("balance %d available %d, want %d and %d", a.Balance(), a.Available(), balance, available)
	}
}

// count returns one number.
func (w *world) count(t testing.TB, query string, args ...any) int64 {
	t.Helper()
	var n int64
	if err := w.pool.QueryRow(context.Background(), query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// replica is a second ledger on the same database.
func (w *world) replica(t testing.TB) *app.App {
	t.Helper()
	return w.replicaWith(t, sealer(t))
}

// replicaWith is a second ledger that signs as it is told.
func (w *world) replicaWith(t testing.TB, with app.Sealer) *app.App {
	t.Helper()
	return app.New(pools(t, w.db.AppURL, w.pool), time.Now, slog.New(slog.DiscardHandler), with, pager(t))
}

// superuser connects as somebody who may do anything.
func (w *world) superuser(t testing.TB) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), w.db.AdminURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// fill leaves a row in every table of the ledger: a posted and a refused transaction, sealed and signed.
func (w *world) fill(t testing.TB, account uuid.UUID) {
	t.Helper()
	w.fund(t, account, 100)
	r := w.request(domain.ActionPost, kes(account, fees, 10))
	r.Metadata = map[string]string{"receipt": "ABC"}
	w.posted(t, r)
	w.refused(t, w.request(domain.ActionPost, kes(account, fees, 1000)), "insufficient_funds")
	for range 256 { // a node of the tree stands for 256 leaves
		w.posted(t, w.request(domain.ActionPost, kes(fees, account, 1)))
	}
	if _, err := w.Seal(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := w.SignCheckpoint(context.Background()); err != nil {
		t.Fatal(err)
	}
}
