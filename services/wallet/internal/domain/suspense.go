package domain

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/money"
)

// Refusals of decisions on money in suspense.
var (
	ErrSuspenseDecided = fault.New(fault.Conflict, "suspense_decided", "Something else was decided about this money.")
	ErrSuspenseWallet  = fault.New(fault.Unprocessable, "suspense_wallet", "The money cannot go to this wallet.")
	ErrNotReturnable   = fault.New(fault.Unprocessable, "suspense_not_returnable",
		"M-Pesa cannot give this payment back: it needs a receipt, whole shillings, and the paybill's initiator in the settings.")
)

// SuspenseStatus is a state of money in suspense.
type SuspenseStatus string

// States of an item.
const (
	SuspenseOpen      SuspenseStatus = "open"      // it waits for a decision
	SuspenseMatching  SuspenseStatus = "matching"  // it is being posted to a wallet
	SuspenseMatched   SuspenseStatus = "matched"   // it is in the wallet
	SuspenseReturning SuspenseStatus = "returning" // Safaricom is asked to give it back
	SuspenseReturned  SuspenseStatus = "returned"  // the payer certainly has it
)

// suspenseTransitions is the whole machine, as the table's constraint has it. A return that counted as failed can turn out done.
var suspenseTransitions = map[SuspenseStatus][]SuspenseStatus{
	SuspenseOpen:      {SuspenseMatching, SuspenseReturning, SuspenseReturned},
	SuspenseMatching:  {SuspenseMatched, SuspenseOpen},
	SuspenseReturning: {SuspenseReturned, SuspenseOpen},
}

// SuspenseItem is a pay-in that fits nobody.
type SuspenseItem struct {
	ID       uuid.UUID // of the deposit or top-up
	Source   string    // deposit or topup
	Why      string
	Amount   money.Money
	Status   SuspenseStatus
	Seq      int32
	BookedAt time.Time
	Receipt  string // of the payment, in its normal form; "" while nobody has named it
}

// Moves says whether the machine has a transition.
func (i SuspenseItem) Moves(to SuspenseStatus) bool {
	for _, s := range suspenseTransitions[i.Status] {
		if s == to {
			return true
		}
	}
	return false
}

// CheckReturnable refuses the return of what M-Pesa cannot reverse.
func (i SuspenseItem) CheckReturnable() error {
	if !ReadableReceipt(i.Receipt) || i.Amount.Currency != MpesaCurrency || i.Amount.Amount%100 != 0 {
		return ErrNotReturnable
	}
	return nil
}

// MatchRequest gives the money to a wallet. seq is that of the decision: a refusal is for ever, and the next decision is another one.
func (i SuspenseItem) MatchRequest(wallet uuid.UUID, seq int32) LedgerRequest {
	return LedgerRequest{Reference: fmt.Sprintf("%s:match:%d", i.ID, seq), Type: "suspense_match", Channel: "internal", HoldOverMaximum: true,
		Postings: []Posting{{Source: AccountSuspense + i.Amount.Currency, Destination: wallet.String(), Amount: i.Amount}}}
}

// ReturnRequest books that the payer has the money back.
func (i SuspenseItem) ReturnRequest() LedgerRequest {
	return LedgerRequest{Reference: i.ID.String() + ":return", Type: "suspense_return", Channel: "mpesa",
		Postings: []Posting{{Source: AccountSuspense + i.Amount.Currency, Destination: AccountPaybill + i.Amount.Currency, Amount: i.Amount}}}
}

// Answers to a request, and what became of it.
const (
	AnswerAccepted = "accepted"
	AnswerRefused  = "refused" // for good
	AnswerBusy     = "busy"    // certainly not taken, but it may be sent again
	AnswerLost     = "lost"

	OutcomeDone     = "done"     // the payer has the money
	OutcomeFailed   = "failed"   // this order gave nothing back
	OutcomeStanding = "standing" // of a question: the payment is in Safaricom's books, so a reversal may be ordered again
)

// Reversal is one order to give a payment back. The first that Safaricom carries out counts; any other finds it done (R000001).
type Reversal struct {
	ID         uuid.UUID
	Seq        int32 // of the decision that it carries out
	SentAt     time.Time
	Answer     string // "" while it is under way, or its sender has died
	Originator string // Safaricom's name of it, if the answer told
	Outcome    string
	Reason     string
	Declined   bool               // as an answer says, which does not say whether because the payer has the money already
	Questions  []ReversalQuestion // about it, in their order
}

// ReversalQuestion asks what became of a reversal.
type ReversalQuestion struct {
	SentAt  time.Time
	Outcome string
}

// open says that nobody knows whether the order was carried out, or will be.
func (r Reversal) open() bool {
	return r.Outcome == "" && !r.Declined && r.Answer != AnswerRefused && r.Answer != AnswerBusy
}

// When to ask about a reversal without a result, by the time since it was ordered.
const (
	returnFirst     = 45 * time.Second
	returnSecond    = 2 * time.Minute
	returnThird     = 10 * time.Minute
	returnHourly    = time.Hour
	returnBusy      = time.Minute    // after Safaricom was too busy to take one
	returnForgotten = 24 * time.Hour // of an order that nothing was heard of by then Safaricom has no memory either
)

// ReturnSchedule is when Safaricom is asked. Speed divides every wait, for trials; 1 is real.
type ReturnSchedule struct{ Speed int64 }

func (s ReturnSchedule) scaled(d time.Duration) time.Duration {
	return d / time.Duration(max(s.Speed, 1))
}

func (s ReturnSchedule) due(asked int) time.Duration {
	switch asked {
	case 0:
		return s.scaled(returnFirst)
	case 1:
		return s.scaled(returnSecond)
	case 2:
		return s.scaled(returnThird)
	}
	return s.scaled(returnHourly * time.Duration(asked-2))
}

// ReturnStep is what to do about money that is being returned.
type ReturnStep string

// What to do.
const (
	ReturnWait ReturnStep = ""
	ReturnSend ReturnStep = "send"
	ReturnAsk  ReturnStep = "ask"
	ReturnOpen ReturnStep = "open" // it definitely failed
)

// NextReturn says what to do now about an item that is returning since the decision of a number, by all reversals of it in their order,
// or how long to wait. A reversal is ordered again only after an answer: the payment stands in the books, or this order did nothing.
// It has failed only when every order has, or one that was sent when those of before were forgotten: it would have found the payment
// given back.
func NextReturn(all []Reversal, seq int32, now time.Time, s ReturnSchedule) (ReturnStep, time.Duration) {
	if len(all) == 0 || all[len(all)-1].Seq != seq {
		return ReturnSend, 0
	}
	last := all[len(all)-1]
	if last.Answer == AnswerBusy {
		if wait := s.scaled(returnBusy) - now.Sub(last.SentAt); wait > 0 {
			return ReturnWait, wait
		}
		return ReturnSend, 0
	}
	if last.Answer == AnswerRefused || last.Outcome == OutcomeFailed {
		return afterFailure(all, now, s)
	}
	asked := len(last.Questions)
	if asked > 0 && last.Questions[asked-1].Outcome == OutcomeStanding {
		return ReturnSend, 0
	}
	orders := 0
	for _, r := range all {
		if r.Seq == seq {
			orders++
		}
	}
	if wait := s.due(asked+orders-1) - now.Sub(last.SentAt); wait > 0 {
		return ReturnWait, wait
	}
	return ReturnAsk, 0
}

// afterFailure says what follows when the last order did nothing.
func afterFailure(all []Reversal, now time.Time, s ReturnSchedule) (ReturnStep, time.Duration) {
	last := all[len(all)-1]
	for _, r := range all {
		forgotten := r.SentAt.Add(s.scaled(returnForgotten))
		switch {
		case !r.open():
		case now.Before(forgotten): // an order before it may yet be carried out
			return ReturnWait, min(forgotten.Sub(now), s.scaled(returnHourly))
		case last.SentAt.Before(forgotten):
			return ReturnSend, 0
		}
	}
	return ReturnOpen, 0
}

// RailSaid is what a message says about a reversal, in Safaricom's name.
type RailSaid struct {
	Known        bool   // from an address of Safaricom's
	Conversation string // of the request whose result this is
	Done, Failed bool   // of the reversal; neither: no outcome
	Standing     bool   // of a question: the payment is in the books, or the order did nothing
	Already      bool   // it was given back before this order (R000001)
	Reason       string
	Receipt      string // of the reversal
	Original     string // the receipt that it speaks about; "" where it names none
	Originator   string // of a question by conversation: the order that it speaks about
	AmountMinor  int64
}

// RailAsked is the request that a message is the result of.
type RailAsked struct {
	Question     bool
	ByReceipt    bool
	Conversation string // "" when the answer was lost
	Originator   string // of the order that a question is about
	Outcome      string // that was counted
}

// Verdicts on results of Safaricom about money in suspense.
const (
	VerdictReturned Verdict = "returned"
	VerdictFailed   Verdict = "failed"
	VerdictStanding Verdict = "standing"
	VerdictNothing  Verdict = "nothing"
	VerdictStranger Verdict = "stranger"
	VerdictOther    Verdict = "other" // for another request than the one whose address it came to
	VerdictAmount   Verdict = "amount"
)

// JudgeReturn says what a message means for an item. Only a message of Safaricom's, to the address of a request that we sent, with that
// request's conversation, our receipt and amount, decides anything. Where the answer to a reversal was lost, its conversation is not known;
// a result that names receipt and amount is believed then, and any other is not: the next question decides.
func JudgeReturn(i SuspenseItem, q RailAsked, s RailSaid) Verdict {
	named := q.Conversation != "" && s.Conversation == q.Conversation
	whole := !q.Question && q.Conversation == "" && s.Done && s.Original != ""
	switch {
	case !s.Known:
		return VerdictStranger
	case !named && !whole, s.Original != "" && s.Original != i.Receipt, q.Question && !q.ByReceipt && s.Originator != q.Originator:
		return VerdictOther
	case !s.Done && !s.Failed && !s.Standing:
		return VerdictNothing
	case (s.Done && !s.Already || s.Standing && q.ByReceipt) && s.AmountMinor != i.Amount.Amount:
		return VerdictAmount
	case q.Outcome != "" && (q.Outcome == OutcomeDone) != s.Done:
		return VerdictConflict
	case q.Outcome != "":
		return VerdictDuplicate
	case s.Standing:
		return VerdictStanding
	case s.Failed:
		return VerdictFailed
	case i.Status == SuspenseReturned:
		return VerdictDuplicate
	case !i.Moves(SuspenseReturned):
		return VerdictConflict // it was given to a wallet, and to its payer too
	}
	return VerdictReturned
}

// MaskPayer shows the last three digits of the number that a message names, which may be masked already; "" where it is none (a hash).
func MaskPayer(msisdn string) string {
	var digits []byte
	for _, c := range []byte(msisdn) {
		if c >= '0' && c <= '9' {
			digits = append(digits, c)
		} else if c != '+' && c != '*' && c != ' ' {
			return ""
		}
	}
	if len(digits) < 3 {
		return ""
	}
	return "***" + string(digits[len(digits)-3:])
}
