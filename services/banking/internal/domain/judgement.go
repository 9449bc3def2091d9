package domain

import "time"

// Verdict is what a message of a rail was taken for.
type Verdict string

// Verdicts.
const (
	VerdictPaid       Verdict = "paid"
	VerdictFailed     Verdict = "failed"
	VerdictAgain      Verdict = "again"      // it says what is known already
	VerdictNothing    Verdict = "nothing"    // it says no outcome: the time in the queue, a question that failed, still under way
	VerdictStranger   Verdict = "stranger"   // not from an address of the rail
	VerdictUnreadable Verdict = "unreadable" // nothing can be read of it
	VerdictOther      Verdict = "other"      // for another request than the one whose address it came to
	VerdictUsed       Verdict = "used"       // the address was used up by another message
	VerdictAmount     Verdict = "amount"     // another amount than was sent
	VerdictReceipt    Verdict = "receipt"    // the receipt of another withdrawal
	VerdictConflict   Verdict = "conflict"   // against what is known
	VerdictHint       Verdict = "hint"       // the provider is asked about what it names
	VerdictDomain     Verdict = "domain"     // of the provider's other mode, test or live
	VerdictNobody     Verdict = "nobody"     // about a payment that is not ours
	VerdictReversed   Verdict = "reversed"   // paid, and taken back
)

// Harmless says that no person needs to look.
func (v Verdict) Harmless() bool {
	return v == VerdictPaid || v == VerdictFailed || v == VerdictReversed || v == VerdictAgain || v == VerdictNothing || v == VerdictHint
}

// Asks says that the rail is asked, because the message decides nothing by itself and something may have happened. The answer to a question
// never leads to another one, whatever it says: the schedule has the next.
func (v Verdict) Asks(pay bool) bool {
	return pay && v != VerdictPaid && v != VerdictFailed && v != VerdictAgain
}

// QuestionPause is how long no further question is sent besides the schedule's after one was.
const QuestionPause = 30 * time.Second

// MayBeAsked says whether a question about a withdrawal can change anything: the rail may still decide, or has told a failure, or, of
// Paystack, may take back what it has paid.
func (w Withdrawal) MayBeAsked() bool {
	return w.FirstSentAt != nil &&
		(w.Status.Open() || w.Status == Failed || w.Status == Returned || w.Rail == RailPaystack && w.Status == Paid)
}

// Said is what a message says about a withdrawal, in the rail's name.
type Said struct {
	Known        bool // from an address of the rail
	Paid, Failed bool // neither: no outcome
	Reason       string
	Receipt      string
	AmountMinor  int64
	Originator   string // whose payment it speaks about
	Conversation string // of the request whose result this is
}

// Asked is the request that a message is the result of.
type Asked struct {
	Pay          bool   // the payment itself; else a question about it
	Conversation string // as the rail's answer gave it; "" when that was lost
	Used         bool   // a result was counted
}

// Judge says what a message means for a withdrawal. Only a message from the rail, to the address of a request that we sent, with that
// request's conversation and our id and amount, decides anything. Where the answer to the payment was lost, its conversation is not known,
// and our own id, which nobody else has seen, stands for it; a question without an answer is asked again instead.
func Judge(w Withdrawal, q Asked, s Said) Verdict {
	switch {
	case !s.Known:
		return VerdictStranger
	case q.Conversation != "" && s.Conversation != q.Conversation, q.Conversation == "" && !q.Pay, s.Originator != "" &&
		s.Originator != w.ID.String(),
		s.Originator == "" && (s.Paid || s.Failed):
		return VerdictOther
	case !s.Paid && !s.Failed:
		return VerdictNothing
	case s.Paid && s.AmountMinor != w.Amount.Amount:
		return VerdictAmount
	case w.Status == Paid && s.Paid && (s.Receipt == w.Receipt || w.Receipt == ""), s.Failed && (w.Status == Failed || w.Status == Returned):
		return VerdictAgain
	case q.Used:
		return VerdictUsed
	}
	to := Paid
	if s.Failed {
		to = s.ends(w.Status)
	}
	if _, _, legal := w.Move(to, Because{}, w.UpdatedAt); !legal {
		return VerdictConflict
	}
	if s.Failed {
		return VerdictFailed
	}
	return VerdictPaid
}

// ends is the state that a failure leads to.
func (s Said) ends(from Status) Status {
	if from == InDoubt {
		return Returned
	}
	return Failed
}

// Leads is the state that a verdict leads to; "" for one that moves nothing.
func (s Said) Leads(v Verdict, from Status) Status {
	switch v {
	case VerdictPaid:
		return Paid
	case VerdictFailed:
		return s.ends(from)
	}
	return ""
}
