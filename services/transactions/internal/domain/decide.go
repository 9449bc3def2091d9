package domain

import (
	"errors"
	"maps"
	"time"

	"github.com/google/uuid"
)

// Decision is what becomes of a list of requests: one outcome per request in the same order, and the rows to write.
type Decision struct {
	Outcomes     []Outcome
	Transactions []Transaction
	Accounts     []Account   // changed ones, each once, in the order of their first change
	NewHolds     []HoldState // as they are after the whole list
	Holds        []HoldState // changed ones that existed before
}

// Decide applies requests in their order to the state, which it does not change. A refused request leaves nothing behind, and those
// after it are decided as if it had never been there.
func Decide(s State, requests []Request) Decision {
	l := &ledger{
		State:       State{Accounts: copied(s.Accounts), Holds: copied(s.Holds), Originals: copied(s.Originals), Now: s.Now},
		accountSeen: map[uuid.UUID]bool{}, holdSeen: map[uuid.UUID]bool{},
	}
	for _, r := range requests {
		l.decide(r)
	}
	d := Decision{Outcomes: l.outcomes, Transactions: l.transactions}
	for _, id := range l.accountOrder {
		d.Accounts = append(d.Accounts, l.Accounts[id])
	}
	for _, id := range l.holdOrder {
		if _, existed := s.Holds[id]; existed {
			d.Holds = append(d.Holds, l.Holds[id])
		} else {
			d.NewHolds = append(d.NewHolds, l.Holds[id])
		}
	}
	return d
}

func copied[K comparable, V any](m map[K]V) map[K]V {
	c := make(map[K]V, len(m))
	maps.Copy(c, m)
	return c
}

// ledger is the state as the requests change it.
type ledger struct {
	State
	outcomes     []Outcome
	transactions []Transaction
	accountSeen  map[uuid.UUID]bool
	accountOrder []uuid.UUID
	holdSeen     map[uuid.UUID]bool
	holdOrder    []uuid.UUID
}

// draft is the effect of one request before it is known to be allowed.
type draft struct {
	ledger   *ledger
	request  Request
	accounts map[uuid.UUID]Account
	order    []uuid.UUID
	hold     *HoldState
	original *Original
	tx       Transaction
}

func (l *ledger) decide(r Request) {
	d := &draft{ledger: l, request: r, accounts: make(map[uuid.UUID]Account, 4), tx: Transaction{
		ID: r.TransactionID, Reference: r.Reference, Action: r.Action, Type: r.Type, Channel: r.Channel, Metadata: r.Metadata}}
	err := d.apply()
	if err == nil {
		err = d.checkRules()
	}
	var refusal *Refusal
	if errors.As(err, &refusal) {
		l.outcomes = append(l.outcomes, Outcome{Reference: r.Reference, Status: Refused, Code: refusal.Code, Detail: refusal.Detail, RecordedAt: l.Now})
		return
	}
	l.outcomes = append(l.outcomes, d.commit())
}

func (d *draft) apply() error {
	switch d.request.Action {
	case ActionPost:
		return d.move(d.request.Postings)
	case ActionHold:
		return d.reserve()
	case ActionCapture:
		return d.capture()
	case ActionRelease:
		return d.release()
	case ActionReverse:
		return d.reverse()
	}
	panic("an action that validation lets through is not decided: " + string(d.request.Action))
}

// account returns the account as the draft has it, or a refusal.
func (d *draft) account(id uuid.UUID, currency string) (Account, error) {
	a, ok := d.accounts[id]
	if !ok {
		if a, ok = d.ledger.Accounts[id]; !ok {
			return a, RefusedAccountNotFound
		}
		d.order = append(d.order, id)
		d.accounts[id] = a
	}
	if a.Currency != currency {
		return a, RefusedCurrencyMismatch
	}
	if a.Status == Closed {
		return a, RefusedAccountClosed
	}
	return a, nil
}

// move books postings in their order; the rules are checked once, on what the whole transaction leaves.
func (d *draft) move(postings []Posting) error {
	for _, p := range postings {
		source, err := d.account(p.Source, p.Currency)
		if err != nil {
			return err
		}
		destination, err := d.account(p.Destination, p.Currency)
		if err != nil {
			return err
		}
		if source.Debits > maxCounter-p.Amount || destination.Credits > maxCounter-p.Amount {
			return RefusedBalanceOverflow
		}
		source.Debits += p.Amount
		source.Sequence++
		destination.Credits += p.Amount
		destination.Sequence++
		d.accounts[p.Source], d.accounts[p.Destination] = source, destination
		d.tx.Postings = append(d.tx.Postings, PostedPosting{Posting: p, ReversesPosition: -1,
			SourceSequence: source.Sequence, SourceBalance: source.Balance(),
			DestinationSequence: destination.Sequence, DestinationBalance: destination.Balance()})
	}
	return nil
}

// checkRules compares each touched account with what it was. A rule is broken only by a change for the worse: an account that a lower
// maximum already leaves above it may still fall.
func (d *draft) checkRules() error {
	for _, id := range d.order {
		before, after := d.ledger.Accounts[id], d.accounts[id]
		if b := after.Balance(); b > MaxAmount || b < -MaxAmount {
			return RefusedBalanceOverflow
		}
		worse := after.Available() < before.Available()
		// What was held before the freeze may still be captured, and a reversal is how a frozen account is put right.
		if worse && before.Status == Frozen && (d.tx.Action == ActionPost || d.tx.Action == ActionHold) {
			return RefusedAccountFrozen
		}
		if worse && after.Minimum != nil && after.Available() < *after.Minimum {
			return RefusedInsufficientFunds
		}
		if after.Maximum != nil && after.capped() > before.capped() && after.capped() > *after.Maximum {
			if err := d.holdAboveMaximum(before, after); err != nil {
				return err
			}
		}
	}
	return nil
}

// holdAboveMaximum reserves the part of a credit that the account may not have, if the request asks for that.
func (d *draft) holdAboveMaximum(before, after Account) error {
	// One transaction has one hold; a debit-normal account has no credit to hold back.
	if !d.request.OverMaximum || after.NormalSide != Credit || d.hold != nil {
		return RefusedOverMaximum
	}
	excess := after.capped() - max(*after.Maximum, before.capped())
	after.PendingDebits += excess
	after.OverCap += excess
	d.accounts[after.ID] = after
	d.newHold(HoldState{AccountID: after.ID, Currency: after.Currency, Amount: excess, Reason: HoldOverCap})
	return nil
}

func (d *draft) newHold(h HoldState) {
	h.ID, h.Status = d.tx.ID, HoldActive
	d.hold = &h
	d.tx.HoldID, d.tx.HoldDelta = h.ID, h.Amount
}

// commit takes the draft over into the ledger and returns its outcome.
func (d *draft) commit() Outcome {
	l := d.ledger
	d.tx.RecordedAt = l.recordedAt(d.order)
	o := Outcome{Reference: d.tx.Reference, Status: Posted, TransactionID: d.tx.ID, HoldID: d.tx.HoldID, RecordedAt: d.tx.RecordedAt}
	for _, id := range d.order {
		a := d.accounts[id]
		a.LastRecordedAt = d.tx.RecordedAt
		l.Accounts[id] = a
		if !l.accountSeen[id] {
			l.accountSeen[id] = true
			l.accountOrder = append(l.accountOrder, id)
		}
		o.Balances = append(o.Balances, OutcomeBalance{AccountID: id, Currency: a.Currency, Balance: a.Balance(), Available: a.Available(), Sequence: a.Sequence})
	}
	if d.hold != nil {
		if d.hold.CreatedAt.IsZero() {
			d.hold.CreatedAt = d.tx.RecordedAt
		}
		l.Holds[d.hold.ID] = *d.hold
		if !l.holdSeen[d.hold.ID] {
			l.holdSeen[d.hold.ID] = true
			l.holdOrder = append(l.holdOrder, d.hold.ID)
		}
	}
	if d.original != nil {
		l.Originals[d.original.ID] = *d.original
	}
	l.transactions = append(l.transactions, d.tx)
	return o
}

// recordedAt is the later of the clock and the accounts' last times: time never runs backwards on an account.
func (l *ledger) recordedAt(accounts []uuid.UUID) time.Time {
	at := l.Now
	for _, id := range accounts {
		if last := l.Accounts[id].LastRecordedAt; last.After(at) {
			at = last
		}
	}
	return at
}
