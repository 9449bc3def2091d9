package check_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/note"

	"github.com/sendtip/sendtip/kit/pgtest"
	"github.com/sendtip/sendtip/services/transactions/check"
	"github.com/sendtip/sendtip/services/transactions/internal/app"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
	"github.com/sendtip/sendtip/services/transactions/internal/testworld"
)

// world is a ledger whose checkpoints go to a file too.
type world struct {
	*testworld.World
	t    *testing.T
	file string
	keys []string // public keys that sign now
	n    int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return around(t, testworld.Open(t))
}

// worldOn is a ledger on a database that has been prepared.
func worldOn(t *testing.T, db *pgtest.DB) *world {
	t.Helper()
	return around(t, testworld.On(t, db))
}

func around(t *testing.T, base *testworld.World) *world {
	t.Helper()
	w := &world{World: base, t: t, file: filepath.Join(t.TempDir(), "ledger.checkpoints")}
	signer, public := testworld.Key(t)
	w.sign([]note.Signer{signer}, public)
	return w
}

// sign makes the ledger sign with these keys from now on.
func (w *world) sign(signers []note.Signer, public ...string) {
	w.keys = public
	w.App = w.Ledger(app.CheckpointSigner{Origin: testworld.Origin, Signers: signers, VerifierKeys: public, File: w.file})
}

func (w *world) seal() {
	w.t.Helper()
	if _, err := w.Seal(w.Ctx); err != nil {
		w.t.Fatal(err)
	}
	if err := w.SignCheckpoint(w.Ctx); err != nil {
		w.t.Fatal(err)
	}
}

// outside are the checkpoints in the file.
func (w *world) outside() [][]byte {
	w.t.Helper()
	data, err := os.ReadFile(w.file)
	if err != nil {
		w.t.Fatal(err)
	}
	notes, err := check.Notes(data)
	if err != nil {
		w.t.Fatal(err)
	}
	return notes
}

func (w *world) account(maximum *int64) uuid.UUID {
	w.t.Helper()
	id := uuid.Must(uuid.NewV7())
	if _, _, err := w.PutAccount(w.Ctx,
		domain.Account{ID: id, OwnerID: uuid.New(), Kind: domain.KindCustomerWallet, Currency: "KES", Maximum: maximum}); err != nil {
		w.t.Fatal(err)
	}
	return id
}

var rail, fees, kes = testworld.Rail, testworld.Fees, testworld.KES

func (w *world) request(b domain.Body) domain.Request {
	w.n++
	b.Type, b.Channel = "test", []string{"mpesa", "internal", "bank"}[w.n%3]
	return domain.Request{Reference: fmt.Sprintf("test:%d", w.n), Body: b}
}

func (w *world) post(want domain.OutcomeStatus, list ...domain.Request) []domain.Outcome {
	w.t.Helper()
	out, err := w.PostTransactions(w.Ctx, list, false)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, o := range out {
		if o.Status != want {
			w.t.Fatalf("%+v", o)
		}
	}
	return out
}

func (w *world) one(b domain.Body) domain.Outcome { return w.post(domain.Posted, w.request(b))[0] }

// round does everything that a ledger does, some of it in lists, and ends with a seal.
func (w *world) round(a, b uuid.UUID) {
	w.t.Helper()
	var list []domain.Request
	for i := range 20 {
		r := w.request(domain.Body{Action: domain.ActionPost,
			Postings: []domain.Posting{kes(rail, a, 1000+int64(i)), kes(a, fees, 3), kes(a, b, 100)}})
		if i%2 == 0 {
			r.Metadata = map[string]string{"receipt": fmt.Sprint("R", w.n), "note": "«näin» \"x\""}
		}
		if i%5 == 0 {
			r.EffectiveAt = new(time.Now().Add(-time.Hour).UTC().Truncate(time.Microsecond))
		}
		list = append(list, r)
	}
	w.post(domain.Posted, list...)
	for i := range 2 {
		h := w.one(domain.Body{Action: domain.ActionHold, ExpiresAt: new(time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)),
			Postings: []domain.Posting{kes(a, b, 50), kes(a, fees, 5)}})
		w.one(domain.Body{Action: domain.ActionCapture, HoldID: h.TransactionID, Postings: []domain.Posting{kes(a, b, 20)}})
		w.one(domain.Body{Action: domain.ActionHold, Postings: []domain.Posting{kes(a, b, 10)}})
		if i == 0 {
			w.one(domain.Body{Action: domain.ActionRelease, HoldID: h.TransactionID})
		}
		p := w.one(domain.Body{Action: domain.ActionPost, Postings: []domain.Posting{kes(a, b, 30)}})
		w.one(domain.Body{Action: domain.ActionReverse, OriginalID: p.TransactionID, Amount: 10, HasAmount: true, Currency: "KES"})
		w.one(domain.Body{Action: domain.ActionReverse, OriginalID: p.TransactionID, Amount: 5, HasAmount: true, Currency: "KES"})
		w.post(domain.Refused, w.request(domain.Body{Action: domain.ActionPost, Postings: []domain.Posting{kes(a, b, 1<<40)}}))
	}
	w.seal()
}

// in opens an account of a book.
func (w *world) in(kind domain.Kind, book domain.Book) uuid.UUID {
	w.t.Helper()
	id := uuid.Must(uuid.NewV7())
	if _, _, err := w.PutAccount(w.Ctx, domain.Account{ID: id, OwnerID: uuid.New(), Kind: kind, Currency: "KES", Book: book}); err != nil {
		w.t.Fatal(err)
	}
	return id
}

// lend has transactions of the other books: a disbursement with a posting in each of two, a repayment of the same kind, an account with
// nothing but a hold, and a refusal for the books.
func (w *world) lend(from, to uuid.UUID) {
	w.t.Helper()
	loan, funds := w.in(domain.KindLoanReceivable, ""), w.in(domain.KindSavingsPot, domain.BookLending)
	partner, pot := w.in(domain.KindLoanReceivable, domain.BookSavings), w.in(domain.KindSavingsPot, domain.BookSavings)
	w.one(domain.Body{Action: domain.ActionPost, Postings: []domain.Posting{kes(from, to, 40), kes(loan, funds, 40)}})
	w.one(domain.Body{Action: domain.ActionPost, Postings: []domain.Posting{kes(to, from, 10), kes(funds, loan, 10)}})
	w.one(domain.Body{Action: domain.ActionPost, Postings: []domain.Posting{kes(partner, pot, 70)}})
	w.one(domain.Body{Action: domain.ActionHold, Postings: []domain.Posting{kes(w.in(domain.KindLoanReceivable, ""), funds, 5)}})
	w.post(domain.Refused, w.request(domain.Body{Action: domain.ActionPost, Postings: []domain.Posting{kes(loan, to, 1)}}))
}

// history is a ledger with more than 512 leaves, holds of both reasons, refusals, and batches that wait to be sealed.
func history(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	top := int64(50)
	a, b, capped := w.account(nil), w.account(nil), w.account(&top)
	over := w.one(domain.Body{Action: domain.ActionPost, OverMaximum: true, Postings: []domain.Posting{kes(rail, capped, 80)}})
	w.one(domain.Body{Action: domain.ActionCapture, HoldID: over.TransactionID, Postings: []domain.Posting{kes(capped, a, 10)}})
	w.one(domain.Body{Action: domain.ActionPost, Postings: []domain.Posting{kes(capped, a, 5)}})
	w.one(domain.Body{Action: domain.ActionRelease, HoldID: over.TransactionID, UpToMaximum: true})
	w.round(a, b)
	w.lend(a, b)
	for range 8 {
		w.round(a, b)
	}
	var list []domain.Request
	for range 60 {
		list = append(list, w.request(domain.Body{Action: domain.ActionPost, Postings: []domain.Posting{kes(a, b, 2)}}))
	}
	for range 4 {
		for i := range list {
			list[i] = w.request(list[i].Body)
		}
		w.post(domain.Posted, list...)
	}
	w.seal()
	w.post(domain.Posted, w.request(domain.Body{Action: domain.ActionPost, Metadata: map[string]string{"a": "b"},
		Postings: []domain.Posting{kes(a, b, 2)}}))
	w.post(domain.Posted, w.request(list[0].Body), w.request(list[0].Body))
	return w
}

// superuser connects as somebody who may do anything, with triggers and foreign keys off.
func (w *world) superuser() *pgx.Conn {
	w.t.Helper()
	u := w.DB.AdminURL
	if !bytes.Contains([]byte(u), []byte(w.DB.Name)) {
		w.t.Fatalf("the superuser's address is not one of the database %s", w.DB.Name)
	}
	conn := w.Connect(u)
	if _, err := conn.Exec(context.Background(), "SET session_replication_role = replica"); err != nil {
		w.t.Fatal(err)
	}
	return conn
}

// replay verifies the whole ledger with the world's keys and its file.
func (w *world) replay() check.Report {
	w.t.Helper()
	r, err := check.Replay(context.Background(), w.DB.Pool, check.Options{Workers: 3, Keys: w.keys, Checkpoints: w.outside()})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) sound() check.Report {
	w.t.Helper()
	r := w.replay()
	for _, f := range r.Violations {
		w.t.Errorf("a sound ledger: %s", f)
	}
	return r
}
