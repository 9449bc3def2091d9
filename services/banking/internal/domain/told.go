package domain

// Told is what a rail answers at once when it is asked about a payment.
type Told struct {
	Paid, Failed, Reversed bool // none of them: it is under way, or nothing can be made of it
	UnderWay               bool // it has arrived, and nothing is decided
	OtherDomain            bool // test or live: not ours
	OtherAccount           bool // it went to another account than ordered
	AmountMinor            int64
	Currency               string
	Overtaken              bool // the withdrawal has moved to an end since it was asked
}

// Hear says what an answer means for a withdrawal, and which state it leads to; "" for none. Only the payment that was ordered decides
// anything. One that was paid and taken back before anybody had asked never left, as far as the customer's money goes.
func (w Withdrawal) Hear(t Told) (Verdict, Status) {
	switch {
	case t.OtherDomain:
		return VerdictDomain, ""
	case t.OtherAccount:
		return VerdictOther, ""
	case t.AmountMinor != w.Amount.Amount || t.Currency != w.Amount.Currency:
		return VerdictAmount, ""
	case t.Overtaken:
		return VerdictNothing, ""
	case t.Paid:
		return w.heard(VerdictPaid, Paid)
	case t.Reversed && w.Status == Paid:
		return VerdictReversed, Reversed
	case t.Failed, t.Reversed:
		if w.Status == Reversed {
			return VerdictAgain, ""
		}
		return w.heard(VerdictFailed, Said{Failed: true}.ends(w.Status))
	case t.UnderWay && (w.Status == Requested || w.Status == Unknown):
		return VerdictNothing, Accepted
	}
	return VerdictNothing, ""
}

// heard is a verdict that leads to a state, if the machine has that.
func (w Withdrawal) heard(v Verdict, to Status) (Verdict, Status) {
	if w.Status == to || v == VerdictFailed && w.Status == Returned {
		return VerdictAgain, ""
	}
	if _, _, legal := w.Move(to, Because{}, w.UpdatedAt); !legal {
		return VerdictConflict, ""
	}
	return v, to
}

// Waits between a payment by Paystack and two looks for one that was taken back, whose message may have been lost.
var reversalLooks = []int64{1, 3} // days

// ReversalDays are the days after which a paid withdrawal is looked at again.
func (w Withdrawal) ReversalDays() []int64 {
	if w.Rail != RailPaystack || w.Status != Paid {
		return nil
	}
	return reversalLooks
}
