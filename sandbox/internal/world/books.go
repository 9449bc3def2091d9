package world

import (
	"errors"
	"maps"
	"slices"

	"github.com/sendtip/sendtip/sandbox/control"
)

// Bounds of what M-Pesa keeps of a short code and of a wallet.
const (
	maxMovements = 200_000    // per short code; the oldest go first
	maxWallet    = 500_000_00 // what a customer may hold
)

// The two accounts that money moves on.
const (
	Utility = "utility"
	Working = "working"
)

// Why M-Pesa does not move money.
var (
	ErrNoFloat     = errors.New("the short code's account does not hold that much")
	ErrWalletFull  = errors.New("the customer would hold too much")
	ErrNoPayment   = errors.New("no payment with this receipt came to the short code")
	ErrReversed    = errors.New("the payment was given back before")
	ErrOtherAmount = errors.New("the payment was of another amount")
)

// book is a short code's accounts and what happened to them.
type book struct {
	utility, working, charges int64

	moves    []control.Movement
	count    int
	reversed map[string]bool // receipts that were given back
	queue    []control.Script
}

// book returns a short code's book and opens it on first sight; there are about a thousand short codes. Callers hold mu.
func (w *World) book(shortCode string) *book {
	b := w.books[shortCode]
	if b == nil {
		b = &book{reversed: map[string]bool{}}
		w.books[shortCode] = b
		for _, account := range []string{Utility, Working} {
			if w.float[shortCode] > 0 {
				b.move(control.Movement{Kind: "opening", Account: account, AmountMinor: w.float[shortCode], At: w.Now()})
			}
		}
	}
	return b
}

func (b *book) account(name string) *int64 {
	if name == Working {
		return &b.working
	}
	return &b.utility
}

// move writes one line and returns it with the balance after it.
func (b *book) move(m control.Movement) control.Movement {
	balance := b.account(m.Account)
	*balance += m.AmountMinor
	b.charges -= m.ChargeMinor
	m.BalanceMinor = *balance
	b.count++
	b.moves = push(b.moves, m, maxMovements)
	return m
}

func (b *book) view(shortCode string) control.Organisation {
	return control.Organisation{ShortCode: shortCode, UtilityMinor: b.utility, WorkingMinor: b.working, ChargesMinor: b.charges,
		Movements: b.count, Queued: len(b.queue)}
}

// Organisation returns a short code's accounts.
func (w *World) Organisation(shortCode string) control.Organisation {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.book(shortCode).view(shortCode)
}

// Organisations lists the short codes that have been used.
func (w *World) Organisations() []control.Organisation {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]control.Organisation, 0, len(w.books))
	for _, code := range slices.Sorted(maps.Keys(w.books)) {
		out = append(out, w.books[code].view(code))
	}
	return out
}

// Movements returns a short code's statement, oldest first, the last lines only (0: all).
func (w *World) Movements(shortCode string, last int) control.OrganisationStatement {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.book(shortCode)
	lines := b.moves
	if last > 0 && last < len(lines) {
		lines = lines[len(lines)-last:]
	}
	return control.OrganisationStatement{Data: append([]control.Movement{}, lines...), Count: b.count, Dropped: b.count - len(b.moves)}
}

// Movement finds a receipt on a short code's statement.
func (w *World) Movement(shortCode, receipt string) (control.Movement, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.book(shortCode).find(receipt)
}

func (b *book) find(receipt string) (control.Movement, bool) {
	for _, m := range slices.Backward(b.moves) {
		if m.Receipt == receipt && receipt != "" {
			return m, true
		}
	}
	return control.Movement{}, false
}

// SetFloat brings accounts to the given balances; each difference is a line.
func (w *World) SetFloat(shortCode string, f control.Float) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.book(shortCode)
	for account, minor := range map[string]*int64{Utility: f.UtilityMinor, Working: f.WorkingMinor} {
		if minor != nil {
			b.move(control.Movement{Kind: "adjustment", Account: account, AmountMinor: *minor - *b.account(account), At: w.Now()})
		}
	}
}

// PayOut moves money from a short code's Utility account to a handset; m says how much and as what. It returns the line and what the
// customer holds then, or why nothing moved.
func (w *World) PayOut(shortCode string, m control.Movement) (control.Movement, int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b, p := w.book(shortCode), w.phone(m.Party)
	switch {
	case b.utility < m.AmountMinor:
		return control.Movement{}, 0, ErrNoFloat
	case p.balance+m.AmountMinor > maxWallet:
		return control.Movement{}, 0, ErrWalletFull
	}
	p.balance += m.AmountMinor
	m.Account, m.AmountMinor = Utility, -m.AmountMinor
	return b.move(m), p.balance, nil
}

// TakeBack undoes a payout by hand, as Safaricom's staff can: the customer pays it back, below zero if it is spent already.
func (w *World) TakeBack(shortCode string, m control.Movement) (int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.book(shortCode)
	if b.reversed[m.Original] {
		return 0, ErrReversed
	}
	b.reversed[m.Original] = true
	p := w.phone(m.Party)
	p.balance -= m.AmountMinor
	m.Account = Utility
	b.move(m)
	return p.balance, nil
}

// Transfer moves money from one account of a short code to an account of another, or of the same.
func (w *World) Transfer(from, fromAccount, to, toAccount string, m control.Movement) (control.Movement, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	source, target := w.book(from), w.book(to)
	if *source.account(fromAccount) < m.AmountMinor {
		return control.Movement{}, ErrNoFloat
	}
	arrived := m
	arrived.Account, arrived.Party, arrived.ChargeMinor = toAccount, from, 0
	m.Account, m.Party, m.AmountMinor = fromAccount, to, -m.AmountMinor
	line := source.move(m)
	target.move(arrived)
	return line, nil
}

// Reverse gives a customer's payment back out of the Utility account, once. m names the payment as Original; the line and what the customer
// holds then are returned.
func (w *World) Reverse(shortCode string, m control.Movement) (control.Movement, int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.book(shortCode)
	paid, ok := b.find(m.Original)
	switch {
	case !ok || (paid.Kind != "stk" && paid.Kind != "c2b"):
		return control.Movement{}, 0, ErrNoPayment
	case b.reversed[m.Original]:
		return control.Movement{}, 0, ErrReversed
	case paid.AmountMinor != m.AmountMinor:
		return control.Movement{}, 0, ErrOtherAmount
	case b.utility < m.AmountMinor:
		return control.Movement{}, 0, ErrNoFloat
	}
	b.reversed[m.Original] = true
	p := w.phone(paid.Party)
	p.balance += m.AmountMinor
	m.Kind, m.Account, m.Party, m.AmountMinor = "reversal", Utility, paid.Party, -m.AmountMinor
	return b.move(m), p.balance, nil
}

// received books a customer's payment. Callers hold mu.
func (w *World) received(e control.Entry) {
	w.book(e.ShortCode).move(control.Movement{Receipt: e.Receipt, Kind: e.Kind, Account: Utility, AmountMinor: e.AmountMinor, Party: e.Msisdn,
		AccountReference: e.AccountReference, ConversationID: e.CheckoutRequestID, At: e.At})
}

// QueueOrder adds a script for one later order of a short code.
func (w *World) QueueOrder(shortCode string, s control.Script) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.book(shortCode)
	if len(b.queue) >= maxQueued {
		return errors.New("too many scripts are queued for this short code")
	}
	b.queue = append(b.queue, s)
	return nil
}

// OrderScript is the script for an order of a short code about a handset ("" if it concerns none), with the short code's next queued script
// on top, which it uses up. The channel is "" for what no storm strikes.
func (w *World) OrderScript(shortCode, msisdn, channel string) control.Script {
	w.mu.Lock()
	defer w.mu.Unlock()
	script := w.scriptFor(msisdn)
	if b := w.book(shortCode); len(b.queue) > 0 {
		queued := b.queue[0]
		b.queue = b.queue[1:]
		return queued.Over(script)
	}
	if channel != "" {
		return w.strike(channel, msisdn).Over(script)
	}
	return script
}

// PayoutScript is the script for a payout to a handset, with the first queued one that is about payouts on top, which it uses up and also
// returns alone.
func (w *World) PayoutScript(msisdn string) (script, queued control.Script) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.useQueued(msisdn, true)
}

// useQueued takes the first queued script that is for payouts, or for prompts. Callers hold mu.
func (w *World) useQueued(msisdn string, payout bool) (script, queued control.Script) {
	script = w.scriptFor(msisdn)
	channel := Prompt
	if payout {
		channel = Payout
	}
	p := w.phones[msisdn]
	if p == nil {
		return w.strike(channel, msisdn).Over(script), queued
	}
	at := slices.IndexFunc(p.queue, func(s control.Script) bool { return s.ForPayout() == payout })
	if at < 0 {
		return w.strike(channel, msisdn).Over(script), queued
	}
	queued = p.queue[at]
	p.queue = slices.Delete(p.queue, at, at+1)
	return queued.Over(script), queued
}
