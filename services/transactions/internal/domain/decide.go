package domain

import (
	"errors"
	"maps"
	"slices"
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
	l := newLedger(s, len(requests))
	for i := 0; i < len(requests); {
		n := 1
		for list := requests[i].AtomicList; list != 0 && i+n < len(requests) && requests[i+n].AtomicList == list; {
			n++
		}
		if requests[i].AtomicList != 0 {
			l.decideTogether(requests[i : i+n])
		} else {
			l.decide(&requests[i])
		}
		i += n
	}
	d := Decision{Outcomes: l.outcomes, Transactions: l.transactions}
	for _, at := range l.changed {
		d.Accounts = append(d.Accounts, l.accounts[at])
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

// ledger is the state as the requests change it.
type ledger struct {
	State                          // holds, originals and the time
	index        map[uuid.UUID]int // of accounts; it never changes
	accounts     []Account
	seen         []bool // accounts in changed
	changed      []int
	outcomes     []Outcome
	transactions []Transaction
	holdSeen     map[uuid.UUID]bool
	holdOrder    []uuid.UUID
	scratch      []touched // of drafts, one after the other
}

func newLedger(s State, requests int) *ledger {
	l := &ledger{State: State{Holds: copied(s.Holds), Originals: copied(s.Originals), Now: s.Now},
		index: make(map[uuid.UUID]int, len(s.Accounts)), accounts: make([]Account, 0, len(s.Accounts)), seen: make([]bool, len(s.Accounts)),
		outcomes: make([]Outcome, 0, requests), transactions: make([]Transaction, 0, requests), holdSeen: map[uuid.UUID]bool{}}
	for id, a := range s.Accounts {
		l.index[id] = len(l.accounts)
		l.accounts = append(l.accounts, a)
	}
	return l
}

// trial is a copy of the ledger that can be thrown away.
func (l *ledger) trial() *ledger {
	t := *l
	t.Holds, t.Originals, t.holdSeen = copied(l.Holds), copied(l.Originals), copied(l.holdSeen)
	t.accounts, t.seen, t.changed = slices.Clone(l.accounts), slices.Clone(l.seen), slices.Clone(l.changed)
	t.outcomes, t.transactions, t.holdOrder = slices.Clone(l.outcomes), slices.Clone(l.transactions), slices.Clone(l.holdOrder)
	return &t
}

func copied[K comparable, V any](m map[K]V) map[K]V {
	c := make(map[K]V, len(m))
	maps.Copy(c, m)
	return c
}

// draft is the effect of one request before it is known to be allowed.
type draft struct {
	ledger   *ledger
	request  *Request
	touched  []touched
	hold     *HoldState
	original *Original
	tx       Transaction
	released int64 // what a release frees
	currency string
}

// touched is an account as a draft leaves it; the ledger has it as it was.
type touched struct {
	at  int // in ledger.accounts
	now Account
}

// decideTogether applies an atomic list: if one of its requests is refused, all are.
func (l *ledger) decideTogether(requests []Request) {
	trial, refused := l.trial(), -1
	for i := range requests {
		if requests[i].Doomed {
			refused = len(requests) // none of them is the reason
			break
		}
		if trial.decide(&requests[i]); trial.outcomes[len(trial.outcomes)-1].Status == Refused {
			refused = i
			break
		}
	}
	if refused < 0 {
		*l = *trial
		return
	}
	for i := range requests {
		if i == refused {
			l.outcomes = append(l.outcomes, trial.outcomes[len(trial.outcomes)-1])
			continue
		}
		l.refuse(&requests[i], RefusedWithList)
	}
}

func (l *ledger) refuse(r *Request, refusal *Refusal) {
	l.outcomes = append(l.outcomes,
		Outcome{Reference: r.Reference, Status: Refused, Code: refusal.Code, Detail: refusal.Detail, RecordedAt: l.Now})
}

func (l *ledger) decide(r *Request) {
	d := draft{ledger: l, request: r, touched: l.scratch[:0], tx: Transaction{
		ID: r.TransactionID, Reference: r.Reference, Action: r.Action, Type: r.Type, Channel: r.Channel, Request: r}}
	err := d.apply()
	if err == nil {
		err = d.checkRules()
	}
	var refusal *Refusal
	if errors.As(err, &refusal) {
		l.refuse(r, refusal)
	} else {
		l.outcomes = append(l.outcomes, d.commit())
	}
	l.scratch = d.touched
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
	at, ok := d.ledger.index[id]
	if !ok {
		return Account{}, RefusedAccountNotFound
	}
	a := &d.ledger.accounts[at]
	if t := d.find(at); t != nil {
		a = &t.now
	} else {
		d.touched = append(d.touched, touched{at, *a})
	}
	if a.Currency != currency {
		return Account{}, RefusedCurrencyMismatch
	}
	if a.Status == Closed {
		return Account{}, RefusedAccountClosed
	}
	return *a, nil
}

// find returns an account that the draft has touched: there are few.
func (d *draft) find(at int) *touched {
	for i := range d.touched {
		if d.touched[i].at == at {
			return &d.touched[i]
		}
	}
	return nil
}

// put replaces an account that the draft has touched.
func (d *draft) put(a Account) { d.find(d.ledger.index[a.ID]).now = a }

// move books postings in their order; the rules are checked once, on what the whole transaction leaves.
func (d *draft) move(postings []Posting) error {
	d.tx.Postings = make([]PostedPosting, 0, len(postings))
	for i := range postings {
		p := &postings[i]
		source, err := d.account(p.Source, p.Currency)
		if err != nil {
			return err
		}
		destination, err := d.account(p.Destination, p.Currency)
		if err != nil {
			return err
		}
		if source.Book != destination.Book {
			return RefusedBooksDiffer
		}
		if source.Debits > maxCounter-p.Amount || destination.Credits > maxCounter-p.Amount {
			return RefusedBalanceOverflow
		}
		source.Debits += p.Amount
		source.Sequence++
		destination.Credits += p.Amount
		destination.Sequence++
		d.put(source)
		d.put(destination)
		d.tx.Postings = append(d.tx.Postings, PostedPosting{Posting: *p, Book: source.Book, ReversesPosition: -1,
			SourceSequence: source.Sequence, SourceBalance: source.Balance(),
			DestinationSequence: destination.Sequence, DestinationBalance: destination.Balance()})
	}
	return nil
}

// checkRules compares each touched account with what it was. A rule is broken only by a change for the worse: an account that a lower
// maximum already leaves above it may still fall.
func (d *draft) checkRules() error {
	for i := range d.touched {
		before, after := &d.ledger.accounts[d.touched[i].at], &d.touched[i].now
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
			if err := d.holdAboveMaximum(before.capped(), after); err != nil {
				return err
			}
		}
	}
	return nil
}

// holdAboveMaximum reserves the part of a credit that the account may not have, if the request asks for that.
func (d *draft) holdAboveMaximum(cappedBefore int64, after *Account) error {
	// One transaction has one hold; a debit-normal account has no credit to hold back.
	if !d.request.OverMaximum || after.NormalSide != Credit || d.hold != nil {
		return RefusedOverMaximum
	}
	excess := after.capped() - max(*after.Maximum, cappedBefore)
	after.PendingDebits += excess
	after.OverCap += excess
	d.newHold(HoldState{AccountID: after.ID, Book: after.Book, Currency: after.Currency, Amount: excess, Reason: HoldOverCap})
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
	d.tx.RecordedAt = l.recordedAt(d.touched)
	o := Outcome{Reference: d.tx.Reference, Status: Posted, TransactionID: d.tx.ID, HoldID: d.tx.HoldID, Released: d.released,
		Currency: d.currency, RecordedAt: d.tx.RecordedAt,
		Balances: make([]OutcomeBalance, 0, len(d.touched))}
	for i := range d.touched {
		at, a := d.touched[i].at, &l.accounts[d.touched[i].at]
		*a = d.touched[i].now
		a.LastRecordedAt = d.tx.RecordedAt
		if !l.seen[at] {
			l.seen[at] = true
			l.changed = append(l.changed, at)
		}
		o.Balances = append(o.Balances,
			OutcomeBalance{AccountID: a.ID, Currency: a.Currency, Balance: a.Balance(), Available: a.Available(), Sequence: a.Sequence})
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
	d.tx.Balances = o.Balances
	l.transactions = append(l.transactions, d.tx)
	return o
}

// recordedAt is the later of the clock and the accounts' last times: time never runs backwards on an account.
func (l *ledger) recordedAt(accounts []touched) time.Time {
	at := l.Now
	for i := range accounts {
		if last := accounts[i].now.LastRecordedAt; last.After(at) {
			at = last
		}
	}
	return at
}
