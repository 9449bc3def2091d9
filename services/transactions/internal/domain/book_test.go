package domain

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// TestBooksDiffer: no posting, and no line of a hold, is between accounts of two books, whatever leads to it; postings of one transaction
// may be in several.
func TestBooksDiffer(t *testing.T) {
	t.Parallel()
	carol, dave := uuid.MustParse("01937c5e-3333-7c1b-9d7e-3f6b2a1c0d4e"), uuid.MustParse("01937c5e-4444-7c1b-9d7e-3f6b2a1c0d4e")
	held := func(to uuid.UUID) []HoldLine { return []HoldLine{{Destination: to, Amount: 50, Remaining: 50}} }
	for name, c := range map[string]struct {
		lines []HoldLine // of the hold that there is, of alice's money
		body  Body
		code  string
	}{
		"a post":               {nil, Body{Action: ActionPost, Postings: []Posting{posting(alice, carol, 1)}}, "books_differ"},
		"a post the other way": {nil, Body{Action: ActionPost, Postings: []Posting{posting(carol, alice, 1)}}, "books_differ"},
		"a post of which one does": {nil, Body{Action: ActionPost, Postings: []Posting{posting(alice, bob, 1), posting(dave, bob, 1)}},
			"books_differ"},
		"a post in each of two books": {nil, Body{Action: ActionPost, Postings: []Posting{posting(alice, bob, 1), posting(carol, dave, 1)}},
			""},
		"a hold": {nil, Body{Action: ActionHold, Postings: []Posting{posting(alice, carol, 1)}}, "books_differ"},
		"a hold of which one line does": {nil, Body{Action: ActionHold, Postings: []Posting{posting(alice, bob, 1), posting(alice, dave, 1)}},
			"books_differ"},
		"a hold in one book": {nil, Body{Action: ActionHold, Postings: []Posting{posting(alice, bob, 1)}}, ""},
		"a capture to another book": {held(bob), Body{Action: ActionCapture, HoldID: bank, Postings: []Posting{posting(alice, carol, 50)}},
			"books_differ"},
		"a capture along a line of old": {held(carol), Body{Action: ActionCapture, HoldID: bank}, "books_differ"},
		"a capture of a part of that": {held(carol), Body{Action: ActionCapture, HoldID: bank, HasAmount: true, Amount: 1, Currency: "KES"},
			"books_differ"},
		"a release of a hold of old":      {held(carol), Body{Action: ActionRelease, HoldID: bank}, ""},
		"a capture in one book":           {held(bob), Body{Action: ActionCapture, HoldID: bank}, ""},
		"a reversal of a posting of old":  {nil, Body{Action: ActionReverse, OriginalID: carol}, "books_differ"},
		"a reversal of a posting of ours": {nil, Body{Action: ActionReverse, OriginalID: bob}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := state(Account{ID: alice, Book: BookEmoney, NormalSide: Credit, Credits: 100, PendingDebits: 50},
				Account{ID: bob, Book: BookEmoney, NormalSide: Credit, PendingCredits: 50},
				Account{ID: carol, Book: BookLending, NormalSide: Debit, PendingCredits: 50},
				Account{ID: dave, Book: BookLending, NormalSide: Credit})
			s.Holds = map[uuid.UUID]HoldState{bank: {ID: bank, AccountID: alice, Currency: "KES", Amount: 50, Lines: c.lines,
				Reason: HoldRequested, Status: HoldActive}}
			s.Originals = map[uuid.UUID]Original{}
			for _, to := range []uuid.UUID{bob, carol} {
				s.Originals[to] = Original{ID: to, Action: ActionPost, Postings: []OriginalPosting{{Posting: posting(alice, to, 5)}}}
			}
			d := Decide(s, []Request{{TransactionID: dave, Reference: "r", Body: c.body}})
			if d.Outcomes[0].Code != c.code {
				t.Fatalf("%+v, want %q", d.Outcomes[0], c.code)
			}
			if written := len(d.Transactions) + len(d.Accounts) + len(d.Holds) + len(d.NewHolds); c.code != "" && written > 0 {
				t.Errorf("a refusal writes %d rows", written)
			}
		})
	}
}

// TestBooksBalanceAlone: whatever is posted, held, captured, released and reversed among accounts of three books, the debits of each book
// are its credits, and the rest of the ledger's money is none of its business.
func TestBooksBalanceAlone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := State{Accounts: map[uuid.UUID]Account{}, Holds: map[uuid.UUID]HoldState{}, Originals: map[uuid.UUID]Original{},
			Now: time.Unix(1e9, 0).UTC()}
		var accounts []uuid.UUID
		for i := range 6 {
			a := Account{ID: uuid.NewSHA1(uuid.Nil, []byte{byte(i)}), Currency: "KES", NormalSide: []Side{Credit, Debit}[i%2], Status: Active,
				Book: []Book{BookEmoney, BookLending, BookSavings}[i/2]}
			if rapid.Bool().Draw(t, "limited") {
				a.Minimum, a.Maximum = new(int64(-200)), new(int64(200))
			}
			s.Accounts[a.ID] = a
			accounts = append(accounts, a.ID)
		}
		ids := []uuid.UUID{uuid.NewSHA1(uuid.Nil, []byte("nothing"))}
		for n := 0; n < 40; {
			list := drawList(t, accounts, ids, n)
			n += len(list)
			d := Decide(s, list)
			for i, o := range d.Outcomes {
				between := len(list[i].Postings) > 0 && s.Accounts[list[i].Postings[0].Source].Book != s.Accounts[list[i].Postings[0].Destination].Book
				if between != (o.Code == "books_differ") && o.Code != "batch_refused" {
					t.Fatalf("%+v: %+v, between two books: %v", list[i], o, between)
				}
			}
			apply(&s, d)
			for _, tx := range d.Transactions {
				ids = append(ids, tx.ID)
			}
			sums := map[Book]int64{}
			for _, a := range s.Accounts {
				sums[a.Book] += a.Debits - a.Credits
			}
			for book, sum := range sums {
				if sum != 0 {
					t.Fatalf("the book %s is off by %d after %+v", book, sum, list)
				}
			}
		}
	})
}
