package domain

import (
	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/money"
)

// Accounts of the ledger's chart; a currency follows.
const (
	accountFees       = "fees.revenue."
	accountExcise     = "excise.payable."
	accountSuspense   = "suspense."
	accountReceivable = "dispute.receivable." // what customers owe because a rail paid after all
)

// railAccount is where the money of a rail is at the other side.
func railAccount(rail string) string {
	if rail == RailPaystack {
		return "rail.paystack.balance."
	}
	return "rail." + rail + ".b2c."
}

func doubtAccount(rail string) string { return "rail." + rail + ".in_doubt." }

// Kinds of payments, at the limits, in the tariffs and at the ledger.
const (
	KindWithdrawal = "withdrawal"
	KindDeposit    = "deposit"
)

// Posting moves an amount between two accounts, each an id or a code of the chart.
type Posting struct {
	Source, Destination string
	Amount              money.Money
}

// LedgerRequest is one transaction for the ledger. It depends on stored rows only, so that every try sends the same.
type LedgerRequest struct {
	Reference string
	Action    string // post, hold, capture or release
	Type      string // what it is for; shown on statements
	Channel   string
	Postings  []Posting
	HoldID    *uuid.UUID
	// OverMaximum lets a return of money be held above the wallet's maximum.
	OverMaximum bool
}

// Hold reserves what the withdrawal takes from the wallet.
func (w Withdrawal) Hold() LedgerRequest {
	return w.request("hold", "hold", w.outOf(w.WalletID.String(), railAccount(w.Rail)))
}

// Booked says where the money of a step ended.
type Booked string

// Where it ended.
const (
	BookedNothing    Booked = "nothing"    // there was nothing to book
	BookedWallet     Booked = "wallet"     // as it should
	BookedDoubt      Booked = "in_doubt"   // out of the wallet, until the rail has said the end
	BookedSuspense   Booked = "suspense"   // the wallet cannot take it
	BookedReceivable Booked = "receivable" // the wallet does not have it: the customer owes it
)

// Step is the transaction of a ledger step. paid says how the payment that an undo takes back was booked.
func (w Withdrawal) Step(step string, paid Booked) LedgerRequest {
	wallet, rail, doubt := w.WalletID.String(), railAccount(w.Rail), doubtAccount(w.Rail)+w.currency()
	switch step {
	case StepCapture:
		return w.ofHold(step, "capture", nil)
	case StepRelease:
		return w.ofHold(step, "release", nil)
	case StepDoubt:
		return w.ofHold(step, "capture", []Posting{{Source: wallet, Destination: doubt, Amount: w.Total()}})
	case StepClear:
		return w.request(step, "post", w.outOf(doubt, rail))
	case StepReturn:
		r := w.request(step, "post", []Posting{{Source: doubt, Destination: wallet, Amount: w.Total()}})
		r.OverMaximum = true
		return r
	case StepLate:
		return w.request(step, "post", w.outOf(wallet, rail))
	case StepUndo:
		if paid == BookedReceivable {
			return w.request(step, "post", []Posting{{Source: rail + w.currency(), Destination: accountReceivable + w.currency(), Amount: w.Amount}})
		}
		r := w.request(step, "post", w.backTo(wallet, rail))
		r.OverMaximum = true
		return r
	}
	return LedgerRequest{}
}

// Otherwise is the transaction of a step whose own was refused for ever: money that the wallet cannot take goes to suspense, and money that
// it does not have is owed. It reports false for a step that no refusal ends.
func (w Withdrawal) Otherwise(step string) (LedgerRequest, Booked, bool) {
	suspense, rail := accountSuspense+w.currency(), railAccount(w.Rail)
	switch step {
	case StepReturn:
		return w.request("suspense", "post", []Posting{{Source: doubtAccount(w.Rail) + w.currency(), Destination: suspense, Amount: w.Total()}}),
			BookedSuspense, true
	case StepUndo:
		return w.request("undo_suspense", "post", w.backTo(suspense, rail)), BookedSuspense, true
	case StepLate: // the customer was told that it had failed: no fee is owed
		return w.request("receivable", "post", []Posting{{Source: accountReceivable + w.currency(), Destination: rail + w.currency(),
			Amount: w.Amount}}), BookedReceivable, true
	}
	return LedgerRequest{}, "", false
}

func (w Withdrawal) currency() string { return w.Amount.Currency }

// outOf moves amount, fee and duty from one account to where they belong.
func (w Withdrawal) outOf(source, rail string) []Posting {
	out := []Posting{{Source: source, Destination: rail + w.currency(), Amount: w.Amount}}
	if w.Fee.Amount > 0 {
		out = append(out, Posting{Source: source, Destination: accountFees + w.currency(), Amount: w.Fee})
	}
	if w.Excise.Amount > 0 {
		out = append(out, Posting{Source: source, Destination: accountExcise + w.currency(), Amount: w.Excise})
	}
	return out
}

// backTo is outOf the other way.
func (w Withdrawal) backTo(destination, rail string) []Posting {
	out := w.outOf("", rail)
	for i, p := range out {
		out[i] = Posting{Source: p.Destination, Destination: destination, Amount: p.Amount}
	}
	return out
}

func (w Withdrawal) request(step, action string, postings []Posting) LedgerRequest {
	return LedgerRequest{Reference: w.ID.String() + ":" + step, Action: action, Type: KindWithdrawal, Channel: w.Rail, Postings: postings}
}

func (w Withdrawal) ofHold(step, action string, postings []Posting) LedgerRequest {
	r := w.request(step, action, postings)
	r.HoldID = w.HoldID
	return r
}
