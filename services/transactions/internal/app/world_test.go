package app_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/page"

	"github.com/sendtip/sendtip/services/transactions/internal/app"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
	"github.com/sendtip/sendtip/services/transactions/internal/testworld"
)

// world is a ledger on a database of its own. Its cleanup proves every invariant.
type world struct {
	*testworld.World
	calls atomic.Int64
}

func setup(t testing.TB) *world {
	t.Helper()
	return &world{World: testworld.New(t)}
}

// open is setup without the proof at the end, for tests that break the ledger on purpose.
func open(t testing.TB) *world {
	t.Helper()
	return &world{World: testworld.Open(t)}
}

// rows asks for the first page, with so many.
func rows(limit int32) page.Request { return page.Request{Limit: &limit} }

func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// customer opens a wallet account; maximum 0 means none.
func (w *world) customer(t testing.TB, currency string, maximum int64) domain.Account {
	t.Helper()
	a := domain.Account{ID: newID(), OwnerID: newID(), Kind: domain.KindCustomerWallet, Currency: currency}
	if maximum > 0 {
		a.Maximum = &maximum
	}
	got, created, err := w.PutAccount(w.Ctx, a)
	if err != nil || !created {
		t.Fatalf("open account: created=%v err=%v", created, err)
	}
	return got
}

func (w *world) ref() string { return fmt.Sprintf("test:%d:%s", w.calls.Add(1), newID().String()[24:]) }

var rail, fees, kes = testworld.Rail, testworld.Fees, testworld.KES

func (w *world) request(action domain.Action, postings ...domain.Posting) domain.Request {
	return domain.Request{Reference: w.ref(), Body: domain.Body{Action: action, Type: "test", Channel: "internal", Postings: postings}}
}

// one posts a single request and returns its outcome.
func (w *world) one(t testing.TB, r domain.Request) domain.Outcome {
	t.Helper()
	out, err := w.PostTransactions(w.Ctx, []domain.Request{r}, false)
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
	a, err := w.GetAccount(w.Ctx, id)
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
	if err := w.Pool.QueryRow(context.Background(), query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// replica is a second ledger on the same database.
func (w *world) replica(t testing.TB) *app.App {
	t.Helper()
	return w.Ledger(testworld.Signer(t))
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
