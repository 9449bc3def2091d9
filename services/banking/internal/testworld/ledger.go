package testworld

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"

	"github.com/google/uuid"

	transactionsapi "github.com/sendtip/sendtip/generated/transactions/api"
)

// Ledger is a scripted ledger: it keeps balances and holds of what it is asked to post, once per reference, and can lose answers.
type Ledger struct {
	transactionsapi.StrictServerInterface

	mu       sync.Mutex
	balances map[string]int64
	held     map[uuid.UUID]hold
	outcomes map[string]transactionsapi.Outcome
	bodies   map[string]string
	refuseOf map[string]string // codes by the step of a reference
	before   func() bool
	after    func() bool
}

type hold struct {
	account  string
	postings []transactionsapi.PostingRequest
	minor    int64
}

func newLedger() *Ledger {
	return &Ledger{balances: map[string]int64{}, held: map[uuid.UUID]hold{}, outcomes: map[string]transactionsapi.Outcome{},
		bodies: map[string]string{}, refuseOf: map[string]string{}}
}

// script breaks connections where the test wants it: before the posting, or after it.
func (l *Ledger) script(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		before, after := l.before, l.after
		l.mu.Unlock()
		if before != nil && before() {
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(w, r)
		if after != nil && after() {
			panic(http.ErrAbortHandler)
		}
	})
}

// Lose breaks the connection of each request while lost says so: before it is posted, or after.
func (l *Ledger) Lose(before, after func() bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.before, l.after = before, after
}

// Refuse makes the transactions of a step end in a refusal.
func (l *Ledger) Refuse(step, code string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refuseOf[step] = code
}

// Set gives an account a balance in minor units.
func (l *Ledger) Set(account string, minor int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.balances[account] = minor
}

// Balance is what the postings left, in minor units; accounts of the chart can be negative here, as there are no sides.
func (l *Ledger) Balance(account string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.balances[account]
}

// Held is what is reserved of an account, in minor units.
func (l *Ledger) Held(account string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heldOf(account)
}

func (l *Ledger) heldOf(account string) (sum int64) {
	for _, h := range l.held {
		if h.account == account {
			sum += h.minor
		}
	}
	return sum
}

// References are what was decided.
func (l *Ledger) References() map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[string]string{}
	for reference, o := range l.outcomes {
		out[reference] = string(o.Status)
	}
	return out
}

// PostTransactions answers POST /v1/ledger/transactions.
func (l *Ledger) PostTransactions(_ context.Context,
	r transactionsapi.PostTransactionsRequestObject) (transactionsapi.PostTransactionsResponseObject, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out transactionsapi.PostTransactions200JSONResponse
	for _, t := range r.Body.Transactions {
		body, err := json.Marshal(t)
		if err != nil {
			return nil, err
		}
		o, known := l.outcomes[t.Reference]
		if !known {
			o = l.decide(t)
			l.outcomes[t.Reference], l.bodies[t.Reference] = o, string(body)
		} else if l.bodies[t.Reference] != string(body) {
			o = refused(t, "reference_reused")
		}
		out.Outcomes = append(out.Outcomes, o)
	}
	return out, nil
}

func refused(t transactionsapi.LedgerRequest, code string) transactionsapi.Outcome {
	return transactionsapi.Outcome{Reference: t.Reference, Status: transactionsapi.OutcomeStatusRefused, Code: &code}
}

func (l *Ledger) decide(t transactionsapi.LedgerRequest) transactionsapi.Outcome {
	step := t.Reference[len(uuid.Nil.String())+1:]
	if code := l.refuseOf[step]; code != "" {
		return refused(t, code)
	}
	id := uuid.Must(uuid.NewV7())
	posted := transactionsapi.Outcome{Reference: t.Reference, Status: transactionsapi.OutcomeStatusPosted, TransactionID: &id}
	switch t.Action {
	case transactionsapi.LedgerActionHold:
		h := hold{account: t.Postings[0].Source, postings: t.Postings}
		for _, p := range t.Postings {
			h.minor += p.Amount.Amount
		}
		if l.balances[h.account]-l.heldOf(h.account) < h.minor {
			return refused(t, "insufficient_funds")
		}
		l.held[id] = h
		posted.HoldID = &id
	case transactionsapi.LedgerActionCapture, transactionsapi.LedgerActionRelease:
		h, active := l.held[*t.HoldID]
		if !active {
			return refused(t, "hold_not_active")
		}
		delete(l.held, *t.HoldID)
		switch {
		case t.Action == transactionsapi.LedgerActionRelease:
		case len(t.Postings) > 0:
			l.apply(t.Postings)
		default:
			l.apply(h.postings)
		}
	default:
		spent := map[string]int64{}
		for _, p := range t.Postings {
			spent[p.Source] += p.Amount.Amount
		}
		for account, minor := range spent {
			if _, err := uuid.Parse(account); err == nil && l.balances[account]-l.heldOf(account) < minor {
				return refused(t, "insufficient_funds")
			}
		}
		l.apply(t.Postings)
	}
	return posted
}

func (l *Ledger) apply(postings []transactionsapi.PostingRequest) {
	for _, p := range postings {
		l.balances[p.Source] -= p.Amount.Amount
		l.balances[p.Destination] += p.Amount.Amount
	}
}
