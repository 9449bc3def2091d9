package paystack

import (
	"maps"

	"github.com/sendtip/sendtip/providers/paystack"
	"github.com/sendtip/sendtip/sandbox/control"
)

// books are the balances and what changed them.
type books struct {
	balances map[string]int64
	lines    []control.PaystackLine
	count    int
}

func (b *books) add(l control.PaystackLine) {
	b.balances[l.Currency] += l.AmountMinor - l.FeeMinor
	l.BalanceMinor = b.balances[l.Currency]
	b.count++
	if len(b.lines) >= maxLines {
		b.lines = append(b.lines[:0:0], b.lines[maxLines/10:]...)
	}
	b.lines = append(b.lines, l)
}

// Statement returns the books.
func (s *Server) Statement() control.PaystackStatement {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &s.books
	return control.PaystackStatement{Data: append([]control.PaystackLine{}, b.lines...), Count: b.count, Dropped: b.count - len(b.lines),
		Balances: maps.Clone(b.balances)}
}

// SetBalance brings a balance to a value; the difference is a line.
func (s *Server) SetBalance(currency string, minor int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.books.add(control.PaystackLine{Kind: "adjustment", Currency: currency, AmountMinor: minor - s.books.balances[currency],
		At: s.world.Now()})
}

// chargeFee is what a payment costs: 2.9 % by card, else 1.5 %, rounded half up. The rates are ours, no contract of Paystack's.
func chargeFee(channel string, minor int64) int64 {
	permille := int64(15)
	if channel == paystack.Card {
		permille = 29
	}
	return (minor/1000)*permille + (minor%1000*permille+500)/1000
}

// transferFee is what a payout costs. The amounts are ours too.
func transferFee(kind string) int64 {
	if kind == paystack.Wallet {
		return 20_00
	}
	return 80_00
}
