// Package domain holds the rules of payments over the rails. It knows no database, no HTTP, no clock and no chance: what it needs of them
// is an argument.
package domain

import (
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/stepup"
	"github.com/sendtip/sendtip/providers/safaricom"
)

// CoolingPeriod is how long after a change of PIN, device or number nothing is paid to another's number.
const CoolingPeriod = 24 * time.Hour

// QuoteLife is how long a price is pinned.
const QuoteLife = 5 * time.Minute

// RailMpesa is M-Pesa B2C.
const RailMpesa = "mpesa"

// Destination is where a withdrawal goes: a phone or a linked account, and its owner's name.
type Destination struct {
	Rail    string
	Phone   string       // E.164; "" for an account
	Account *PaidAccount // nil for a phone
	Name    string       // masked, of a phone's owner, "" where nobody knows it; of an account's owner as a whole
}

// PaidAccount is the account that is paid to, as it was when the price was pinned.
type PaidAccount struct {
	ID       uuid.UUID
	Number   string
	BankName string
}

// Rails are all of them.
var Rails = []string{RailMpesa, RailPaystack}

// Status is a state of a withdrawal.
type Status string

// States of a withdrawal.
const (
	Stored    Status = "stored"    // nothing has happened yet
	Held      Status = "held"      // limit and money are reserved
	Requested Status = "requested" // it is being sent; written before the first byte leaves
	Accepted  Status = "accepted"  // the rail has taken it
	Unknown   Status = "unknown"   // nobody knows whether the rail has it
	InDoubt   Status = "in_doubt"  // the rail did not say in time; the money waits outside of the wallet
	Paid      Status = "paid"      // the customer has the money
	Failed    Status = "failed"    // it will not be paid; the money is free again
	Cancelled Status = "cancelled" // by the customer, before it was sent
	Returned  Status = "returned"  // from doubt, back to the wallet
	Reversed  Status = "reversed"  // paid, and taken back by the rail
)

// moves is the whole machine; what is not in it does not happen. The schema has the same list. Failed and returned can become paid: rails
// have told a failure and paid after all. What was never sent cannot.
var moves = map[Status][]Status{
	"":        {Stored},
	Stored:    {Held, Failed, Cancelled},
	Held:      {Requested, Failed, Cancelled},
	Requested: {Accepted, Unknown, Paid, Failed},
	Accepted:  {Unknown, InDoubt, Paid, Failed},
	Unknown:   {Accepted, InDoubt, Paid, Failed},
	InDoubt:   {Paid, Returned},
	Failed:    {Paid},
	Returned:  {Paid},
	Paid:      {Reversed},
}

// Open says whether the rail may still decide.
func (s Status) Open() bool {
	return s == Requested || s == Accepted || s == Unknown || s == InDoubt
}

// What follows from a transition at the ledger. The names are part of references, and never change.
const (
	StepNone    = ""
	StepCapture = "capture" // the hold goes to the rail, the fees and the duty
	StepRelease = "release" // the hold is given back
	StepDoubt   = "doubt"   // all of the hold waits in the rail's in-doubt account
	StepClear   = "clear"   // from there to the rail, the fees and the duty
	StepReturn  = "return"  // from there back to the wallet
	StepLate    = "late"    // paid after all: from the wallet again, or, where it cannot, from what the customer owes
	StepUndo    = "undo"    // taken back by the rail: all of it to the wallet
)

// What becomes of the reserved limit.
const (
	LimitKept    = ""
	LimitCommit  = "commit"
	LimitRelease = "release"
)

// Follows says what a transition leads to at the ledger and at the limits.
func Follows(from, to Status) (ledger, limit string) {
	switch to {
	case Failed, Cancelled:
		if from == Stored && to == Failed { // the limit or the ledger has refused: nothing is held
			return StepNone, LimitRelease
		}
		return StepRelease, LimitRelease
	case InDoubt:
		return StepDoubt, LimitKept
	case Returned:
		return StepReturn, LimitRelease
	case Reversed:
		return StepUndo, LimitKept // the limit of the day was used
	case Paid:
		switch from {
		case InDoubt:
			return StepClear, LimitCommit
		case Failed, Returned:
			return StepLate, LimitCommit
		}
		return StepCapture, LimitCommit
	}
	return StepNone, LimitKept
}

// Price is what a withdrawal moves out of the wallet: the amount goes to the rail, the fee and the duty on it stay here.
type Price struct{ Amount, Fee, Excise money.Money }

// Total is what the wallet loses.
func (p Price) Total() money.Money {
	return money.Money{Amount: p.Amount.Amount + p.Fee.Amount + p.Excise.Amount, Currency: p.Amount.Currency}
}

// Withdrawal is a customer's money on its way to a rail.
type Withdrawal struct {
	Price

	ID, QuoteID, UserID, WalletID uuid.UUID
	Destination

	Status               Status
	Seq                  int32 // of its last transition
	FailureCode          string
	HoldID               *uuid.UUID
	Receipt              string
	ClientReference      string
	Asked                int32
	FirstSentAt          *time.Time
	CreatedAt, UpdatedAt time.Time // UTC
}

// Transition is one step of the machine, with what shows it.
type Transition struct {
	Seq        int32
	From, To   Status
	Reason     string // stable code; "" where there is nothing to explain
	Evidence   string
	EvidenceID *uuid.UUID
	At         time.Time
	Ledger     string
	Limit      string
}

// What a transition is based on.
const (
	ByRequest  = "request"  // the customer's
	ByLimit    = "limit"    // wallet's answer about the limit
	ByLedger   = "ledger"   // the ledger's answer
	ByCustomer = "customer" // a cancellation
	BySend     = "send"     // it is about to leave
	ByAnswer   = "answer"   // the rail's answer to the request
	ByResult   = "result"   // a message of the rail
	ByStatus   = "status"   // the rail's answer to a question
	BySilence  = "silence"  // the time for an answer is over
	ByPeople   = "people"   // two people, with evidence
)

// Because is why a withdrawal moves.
type Because struct {
	Evidence string
	ID       *uuid.UUID // of the message, request or approval
	Reason   string     // of a failure; a stable code
	Receipt  string     // of a payment
}

// Move applies a transition. It reports false when the machine does not have it.
func (w Withdrawal) Move(to Status, b Because, at time.Time) (Withdrawal, Transition, bool) {
	legal := false
	for _, s := range moves[w.Status] {
		legal = legal || s == to
	}
	if !legal || to == Paid && w.FirstSentAt == nil {
		return w, Transition{}, false
	}
	t := Transition{Seq: w.Seq + 1, From: w.Status, To: to, Reason: b.Reason, Evidence: b.Evidence, EvidenceID: b.ID, At: at}
	t.Ledger, t.Limit = Follows(w.Status, to)
	w.Status, w.Seq, w.UpdatedAt = to, t.Seq, at
	switch to {
	case Requested:
		w.FirstSentAt = &at
	case Failed:
		w.FailureCode = b.Reason
	case Paid:
		w.FailureCode = ""
		if b.Receipt != "" {
			w.Receipt = b.Receipt
		}
	case Returned, Reversed:
		w.FailureCode = b.Reason
	}
	return w, t, true
}

// ApprovalHash is what a step-up token for the withdrawal of this quote carries.
func ApprovalHash(quoteID uuid.UUID) string { return stepup.Hash("createWithdrawal", quoteID) }

// CheckMpesaAmount refuses what M-Pesa does not pay out: other currencies, cents, less than KES 10, more than KES 250,000 (Daraja portal,
// B2C, August 2026).
func CheckMpesaAmount(amount money.Money) error {
	switch {
	case amount.Currency != safaricom.Currency:
		return ErrRailCurrency
	case amount.Amount < 10_00 || amount.Amount > 250_000_00 || amount.Amount%100 != 0:
		return ErrRailAmount
	}
	return nil
}

// Bounds of a transfer to a bank. Paystack publishes none of its own for Kenya; these are a Pesalink transfer's, above the least that pays
// for its fee.
const (
	bankMinimum = 100_00
	bankMaximum = 999_999_00
)

// CheckBankAmount refuses what is not paid to banks: other currencies, less than KES 100, more than KES 999,999. Cents are fine.
func CheckBankAmount(amount money.Money) error {
	switch {
	case amount.Currency != safaricom.Currency:
		return ErrRailCurrency
	case amount.Amount < bankMinimum || amount.Amount > bankMaximum:
		return ErrBankAmount
	}
	return nil
}

// CheckMpesaPhone refuses a number that is not Safaricom's.
func CheckMpesaPhone(e164 string) error {
	if !safaricom.CanPrompt(e164) {
		return ErrRailPhone
	}
	return nil
}
