// Package domain holds the rules of the ledger: what a request may ask for, and what becomes of it given locked accounts. It has no
// SQL, HTTP, clock or randomness, so every rule is tested without a database.
package domain

import (
	"math"
	"time"

	"github.com/google/uuid"
)

// MaxAmount is the largest amount and the largest balance (in size), in minor units: what JSON numbers carry exactly.
const MaxAmount = 1<<53 - 1

// maxCounter bounds the growing counters far below the overflow of int64.
const maxCounter = 1 << 62

// Kind is what an account is.
type Kind string

// The kinds of accounts. System accounts come from the chart in the migrations only.
const (
	KindCustomerWallet Kind = "customer_wallet"
	KindAgentFloat     Kind = "agent_float"
	KindSavingsPot     Kind = "savings_pot"
	KindLoanReceivable Kind = "loan_receivable"
	KindSystem         Kind = "system"
)

// Book is one of the sets of accounts that balance alone: no posting is between accounts of two of them.
type Book string

// The books: customers' money with the trust accounts that back it, a lender's own, and a savings partner's.
const (
	BookEmoney  Book = "emoney"
	BookLending Book = "lending"
	BookSavings Book = "savings"
)

// Book returns the book of an account of which nobody says it.
func (k Kind) Book() Book {
	if k == KindLoanReceivable {
		return BookLending
	}
	return BookEmoney
}

// Side is a side of the books.
type Side string

// The two sides. Assets grow by debits, liabilities and income by credits.
const (
	Debit  Side = "debit"
	Credit Side = "credit"
)

// NormalSide returns the side on which the balance of a customer's account grows, and false for a kind that no caller may open.
func (k Kind) NormalSide() (Side, bool) {
	switch k {
	case KindCustomerWallet, KindAgentFloat, KindSavingsPot:
		return Credit, true
	case KindLoanReceivable:
		return Debit, true
	}
	return "", false
}

// Status says what may happen to an account.
type Status string

// The states of an account. A frozen one takes money in and lets earlier holds be captured, but gives nothing else out.
const (
	Active Status = "active"
	Frozen Status = "frozen"
	Closed Status = "closed"
)

// Account is one account of the ledger as its row is under the lock. Amounts are minor units of Currency.
type Account struct {
	ID         uuid.UUID
	Code       string // system accounts
	OwnerID    uuid.UUID
	Kind       Kind
	Currency   string
	Book       Book
	NormalSide Side
	Status     Status

	Debits         int64 // only ever grow
	Credits        int64
	PendingDebits  int64 // on hold
	PendingCredits int64
	OverCap        int64 // the part of PendingDebits that is held because it is above Maximum

	Minimum *int64 // the available balance never falls below it
	Maximum *int64 // no credit lifts Balance-OverCap above it

	Sequence       int64 // number of the last entry
	LastRecordedAt time.Time
}

// Balance is what is booked, on the account's normal side.
func (a *Account) Balance() int64 {
	if a.NormalSide == Credit {
		return a.Credits - a.Debits
	}
	return a.Debits - a.Credits
}

// Held is what is reserved to leave the account.
func (a *Account) Held() int64 {
	if a.NormalSide == Credit {
		return a.PendingDebits
	}
	return a.PendingCredits
}

// Available is the balance less what is held.
func (a *Account) Available() int64 { return a.Balance() - a.Held() }

// capped is the part of the balance that counts against the maximum.
func (a *Account) capped() int64 { return a.Balance() - a.OverCap }

// Room is what the maximum leaves for money to come in or to be freed; below zero after a lower maximum.
func (a *Account) Room() int64 {
	if a.Maximum == nil {
		return math.MaxInt64
	}
	return *a.Maximum - a.capped()
}

// systemNamespace makes ids of system accounts from their codes.
var systemNamespace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://sendtip.dev/ledger/system-accounts"))

// SystemAccountID returns the id that the chart gives to a code, so that a code needs no look-up.
func SystemAccountID(code string) uuid.UUID { return uuid.NewSHA1(systemNamespace, []byte(code)) }

// ResolveAccount returns the id that a reference to an account stands for: a UUID itself, or the code of a system account. Whether
// there is such an account shows when it is locked.
func ResolveAccount(ref string) uuid.UUID {
	if len(ref) == 36 {
		if id, err := uuid.Parse(ref); err == nil {
			return id
		}
	}
	return SystemAccountID(ref)
}

// NewAccount completes an account that is to be opened: its normal side, and the defaults minimum zero, active and the book of its kind.
func NewAccount(a Account) (Account, error) {
	side, ok := a.Kind.NormalSide()
	if !ok {
		return a, ErrRulesInvalid.WithField("/kind", "kind_invalid", "Callers cannot open accounts of this kind.")
	}
	a.NormalSide = side
	if a.Status == "" {
		a.Status = Active
	}
	if a.Book == "" {
		a.Book = a.Kind.Book()
	}
	if a.Minimum == nil {
		a.Minimum = new(int64)
	}
	switch {
	case a.ID == uuid.Nil:
		return a, ErrRulesInvalid.WithField("/account_id", "account_id_invalid", "The nil UUID is not an account.")
	case a.OwnerID == uuid.Nil:
		return a, ErrRulesInvalid.WithField("/owner_id", "owner_id_invalid", "An account must have an owner.")
	case !isCurrency(a.Currency):
		return a, ErrRulesInvalid.WithField("/currency", "currency_invalid", "The currency is malformed.")
	case a.Book != BookEmoney && a.Book != BookLending && a.Book != BookSavings:
		return a, ErrRulesInvalid.WithField("/book", "book_invalid", "There is no such book.")
	case a.Status != Active && a.Status != Frozen && a.Status != Closed:
		return a, ErrRulesInvalid.WithField("/status", "status_invalid", "There is no such status.")
	case *a.Minimum < -MaxAmount || *a.Minimum > 0: // an account starts with nothing
		return a, ErrRulesInvalid.WithField("/minimum_minor", "minimum_invalid", "The minimum is out of range.")
	case a.Maximum != nil && (*a.Maximum < 0 || *a.Maximum > MaxAmount || *a.Maximum < *a.Minimum):
		return a, ErrRulesInvalid.WithField("/maximum_minor", "maximum_invalid", "The maximum is out of range.")
	}
	return a, nil
}

// Change replaces the rules and status by those of want and says whether that changed anything.
func (a *Account) Change(want Account) (bool, error) {
	if a.OwnerID != want.OwnerID || a.Kind != want.Kind || a.Currency != want.Currency || a.Book != want.Book {
		return false, ErrAccountDiffers
	}
	if a.Status == want.Status && equal(a.Minimum, want.Minimum) && equal(a.Maximum, want.Maximum) {
		return false, nil
	}
	if a.Status == Closed {
		return false, ErrAccountClosed
	}
	if want.Status == Closed && (a.Balance() != 0 || a.PendingDebits != 0 || a.PendingCredits != 0) {
		return false, ErrAccountNotEmpty
	}
	if want.Minimum != nil && a.Available() < *want.Minimum {
		return false, ErrRulesInvalid.WithField("/minimum_minor", "minimum_invalid", "The balance is below that minimum.")
	}
	a.Status, a.Minimum, a.Maximum = want.Status, want.Minimum, want.Maximum
	return true, nil
}

func equal(a, b *int64) bool { return a == b || a != nil && b != nil && *a == *b }
