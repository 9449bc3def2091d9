package app_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/services/transactions/internal/app"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

var books = []domain.Book{domain.BookEmoney, domain.BookLending, domain.BookSavings}

// in opens an account of a book that may fall as low as it likes.
func (w *world) in(t testing.TB, kind domain.Kind, book domain.Book) domain.Account {
	t.Helper()
	a, _, err := w.PutAccount(w.Ctx, domain.Account{ID: newID(), OwnerID: newID(), Kind: kind, Currency: "KES", Book: book,
		Minimum: new(int64(-domain.MaxAmount))})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestBookOfAccount: the kind says the book where nobody does, and an account keeps the one that it was opened with.
func TestBookOfAccount(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, c := range []struct {
		kind domain.Kind
		said domain.Book
		want domain.Book
	}{
		{domain.KindCustomerWallet, "", domain.BookEmoney}, {domain.KindAgentFloat, "", domain.BookEmoney},
		{domain.KindSavingsPot, "", domain.BookEmoney}, {domain.KindLoanReceivable, "", domain.BookLending},
		{domain.KindSavingsPot, domain.BookSavings, domain.BookSavings}, {domain.KindLoanReceivable, domain.BookEmoney, domain.BookEmoney},
	} {
		a := w.in(t, c.kind, c.said)
		if a.Book != c.want || w.account(t, a.ID).Book != c.want {
			t.Errorf("%s in %q: %q", c.kind, c.said, a.Book)
		}
		for _, book := range append(books, "") {
			again := a
			again.Book = book
			want := map[bool]error{false: domain.ErrAccountDiffers}[book == c.want || book == "" && c.kind.Book() == c.want]
			if _, created, err := w.PutAccount(w.Ctx, again); created || !errors.Is(err, want) {
				t.Errorf("%s of %s again in %q: created %v, %v, want %v", c.kind, c.want, book, created, err, want)
			}
		}
		var audited string
		if err := w.Pool.QueryRow(w.Ctx, "SELECT detail ->> 'book' FROM audit_log WHERE object_id = $1",
			a.ID.String()).Scan(&audited); err != nil ||
			audited != string(c.want) {
			t.Errorf("the audit row says %q, %v", audited, err)
		}
	}
}

// TestAccountsOfOlderReplicas: during an upgrade a replica of the version before opens accounts without a word about books.
func TestAccountsOfOlderReplicas(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for kind, want := range map[string]domain.Book{"customer_wallet": domain.BookEmoney, "loan_receivable": domain.BookLending} {
		id := newID()
		if _, err := w.Pool.Exec(w.Ctx, `INSERT INTO accounts (id, owner_id, kind, currency, normal_side, status, minimum_minor, created_at)
			VALUES ($1, gen_random_uuid(), $2, 'KES', 'credit', 'active', 0, $3)`, id, kind, w.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		if a := w.account(t, id); a.Book != want {
			t.Errorf("%s is in the book %s", kind, a.Book)
		}
	}
	if _, err := w.Pool.Exec(w.Ctx, `INSERT INTO accounts (id, owner_id, kind, currency, normal_side, book)
		VALUES (gen_random_uuid(), gen_random_uuid(), 'customer_wallet', 'KES', 'credit', 'petty')`); err == nil ||
		!strings.Contains(err.Error(), "accounts_book") {
		t.Errorf("an unknown book: %v", err)
	}
}

// TestBooksDifferIsStored: a refusal for the books is repeated for ever, its hold never is, and an atomic list falls with it.
func TestBooksDifferIsStored(t *testing.T) {
	t.Parallel()
	w := setup(t)
	wallet, other, loan, funds := w.in(t, domain.KindCustomerWallet, ""), w.in(t, domain.KindCustomerWallet, ""),
		w.in(t, domain.KindLoanReceivable, ""), w.in(t, domain.KindSavingsPot, domain.BookLending)
	w.fund(t, wallet.ID, 500)
	lent := w.request(domain.ActionPost, kes(loan.ID, wallet.ID, 100))
	first := w.refused(t, lent, "books_differ")
	again := w.refused(t, lent, "books_differ")
	if first.Detail == "" || again.Detail != first.Detail || !again.RecordedAt.Equal(first.RecordedAt) {
		t.Errorf("%+v, then %+v", first, again)
	}
	w.refused(t, w.request(domain.ActionHold, kes(wallet.ID, funds.ID, 100)), "books_differ")
	hold := w.posted(t, w.request(domain.ActionHold, kes(wallet.ID, other.ID, 100)))
	capture := w.on(domain.ActionCapture, hold.HoldID, 0)
	capture.Postings = []domain.Posting{kes(wallet.ID, funds.ID, 100)}
	w.refused(t, capture, "books_differ")
	w.wantBalance(t, wallet.ID, 500, 400)
	w.posted(t, w.on(domain.ActionCapture, hold.HoldID, 0))

	// A disbursement is two postings, each within a book.
	disbursement := w.request(domain.ActionPost, kes(other.ID, wallet.ID, 50), kes(loan.ID, funds.ID, 50))
	crossed := w.request(domain.ActionPost, kes(loan.ID, other.ID, 50))
	out, err := w.PostTransactions(w.Ctx, []domain.Request{disbursement, crossed}, true)
	if err != nil || out[0].Code != "batch_refused" || out[1].Code != "books_differ" {
		t.Errorf("%+v, %v", out, err)
	}
	preview, err := w.PreviewTransactions(w.Ctx, []domain.Request{w.request(domain.ActionPost, kes(loan.ID, other.ID, 50))}, false)
	if err != nil || preview[0].Code != "books_differ" {
		t.Errorf("a dry run: %+v, %v", preview, err)
	}
	disbursement.Reference = w.ref()
	w.posted(t, disbursement)
	w.wantBalance(t, loan.ID, 50, 50)
	w.wantBalance(t, funds.ID, 50, 50)
}

// TestBooksBalanceUnderLoad: two replicas post at random among accounts of three books at the same time; each book's debits are its credits
// (and check proves the same at the end).
func TestBooksBalanceUnderLoad(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var ids []uuid.UUID
	in := map[uuid.UUID]domain.Book{rail: domain.BookEmoney}
	for _, kind := range []domain.Kind{domain.KindSavingsPot, domain.KindLoanReceivable} {
		for _, book := range books {
			a := w.in(t, kind, book)
			ids, in[a.ID] = append(ids, a.ID), book
		}
	}
	ids = append(ids, rail)
	var wg sync.WaitGroup
	for n, ledger := range []*app.App{w.App, w.App, w.replica(t), w.replica(t)} {
		random := rand.New(rand.NewPCG(1, uint64(n))) // #nosec G404 -- a test
		wg.Go(func() {
			for range 25 {
				var list []domain.Request
				for range 1 + random.IntN(5) {
					var postings []domain.Posting
					for range 1 + random.IntN(3) {
						pair := random.Perm(len(ids))
						postings = append(postings, kes(ids[pair[0]], ids[pair[1]], 1+random.Int64N(1000)))
					}
					list = append(list, w.request(domain.ActionPost, postings...))
				}
				out, err := ledger.PostTransactions(w.Ctx, list, random.IntN(4) == 0)
				if err != nil {
					t.Error(err)
					return
				}
				for i, o := range out {
					crossed := false
					for _, p := range list[i].Postings {
						crossed = crossed || in[p.Source] != in[p.Destination]
					}
					if crossed == (o.Status == domain.Posted) && o.Code != "batch_refused" {
						t.Errorf("%+v: %+v", list[i], o)
					}
				}
			}
		})
	}
	wg.Wait()
	_, totals, err := w.ListSystemAccounts(w.Ctx)
	if err != nil {
		t.Fatal(err)
	}
	moved := 0
	for _, c := range totals {
		if c.DebitsMinor != c.CreditsMinor {
			t.Errorf("%s %s: %+v", c.Book, c.Currency, c)
		}
		if c.Currency == "KES" && c.DebitsMinor > 0 {
			moved++
		}
	}
	if moved != len(books) {
		t.Errorf("money moved in %d books of %d", moved, len(books))
	}
}
