package domain

import (
	"regexp"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/money"
)

// contradictionPatience is how long a confirmation with another amount waits for its top-up's own result.
const contradictionPatience = QueryWindow + time.Minute

// Verdict is what was made of a message of M-Pesa. Those that are not harmless raise an alarm of the same name.
type Verdict string

// Verdicts.
const (
	VerdictApplied          Verdict = "applied"
	VerdictDuplicate        Verdict = "duplicate"
	VerdictNoResult         Verdict = "no_result"
	VerdictDeposit          Verdict = "deposit"
	VerdictSuspense         Verdict = "suspense"
	VerdictUnverified       Verdict = "unverified" // a claim: Safaricom's books are asked
	VerdictUnreadable       Verdict = "unreadable"
	VerdictUnknownTopup     Verdict = "unknown_topup"
	VerdictNotRequested     Verdict = "not_requested"
	VerdictCheckoutMismatch Verdict = "checkout_mismatch"
	VerdictAmountMismatch   Verdict = "amount_mismatch"
	VerdictRefuted          Verdict = "refuted"
	VerdictConflict         Verdict = "conflict"
	VerdictOtherShortCode   Verdict = "other_short_code"
)

// Harmless says whether nobody has to look.
func (v Verdict) Harmless() bool {
	switch v {
	case VerdictApplied, VerdictDuplicate, VerdictNoResult, VerdictDeposit, VerdictReturned, VerdictFailed, VerdictStanding,
		VerdictNothing:
		return true
	}
	return false
}

// receiptPattern is wider than Safaricom's ten capitals and digits, and fits into a ledger reference.
var receiptPattern = regexp.MustCompile(`^[A-Z0-9]{1,50}$`)

// ReadableReceipt says whether a receipt in its normal form can be one.
func ReadableReceipt(receipt string) bool { return receiptPattern.MatchString(receipt) }

// Who says that a payment was made.
const (
	SourceCallback = "callback" // the result of a prompt
	SourceC2b      = "c2b"      // a confirmation of the paybill
	SourcePull     = "pull"     // Safaricom's books
)

// Payment is money on the paybill, as a message tells of it.
type Payment struct {
	Receipt string // in its normal form
	Amount  money.Money
	Account string    // what it was paid to, in its normal form
	PaidAt  time.Time // as the message says; zero if it does not
	Source  string
}

// StkResult is what a message says about a prompt.
type StkResult struct {
	Paid, Failed                         bool // neither: nothing that can be relied on
	Failure                              string
	CheckoutRequestID, MerchantRequestID string
	Receipt                              string
	Amount                               money.Money
	PaidAt                               time.Time
	// Confirmed says that a success is believed: the prompt's id is ours, or Safaricom was asked.
	Confirmed bool
}

// payment is the money that a success tells of.
func (r StkResult) payment(t Topup) Payment {
	return Payment{Receipt: r.Receipt, Amount: r.Amount, Account: t.AccountReference, PaidAt: r.PaidAt, Source: SourceCallback}
}

// Taken is what a receipt is booked for already.
type Taken struct {
	TopupID     *uuid.UUID // nil: a deposit
	AmountMinor int64
}

// Owner is whose a deposit is.
type Owner struct{ WalletID, UserID uuid.UUID }

// Known is what a message is judged by. It is read under the lock of the top-up, if there is one.
type Known struct {
	Topup  *Topup // that the message is about; nil: none
	Booked string // its receipt, in the normal form
	Taken  *Taken // the message's receipt; nil: it is new
	Owner  *Owner // of the account that was paid to, if that is no top-up; nil: nobody
	// ReceivedAt is when the message came, Now when it is judged.
	ReceivedAt, Now time.Time
}

// Judgement is what a message comes to. It only says: nothing has happened yet.
type Judgement struct {
	Verdict Verdict
	// NotYet says that the verdict depends on something that is still open: nothing is done, and the message is judged again.
	NotYet bool
	// Topup is to be stored, with what the message tells, and with what follows from Event unless that is empty; nil: it stays as it is.
	Topup   *Topup
	Event   TopupEvent
	Failure string
	// Payment is what the steps below are about.
	Payment    Payment
	BookTopup  *Topup // the receipt is to be booked for it
	NewDeposit bool   // the receipt is to be booked as a deposit of Owner, or of nobody
	Owner      *Owner
	Claim      bool       // nothing moves until Safaricom's books show the same
	EndClaims  bool       // the payment is accounted for: claims to its receipt have an answer
	Ask        *uuid.UUID // the top-up about whose prompt Safaricom is to be asked, now
	// PromptedAt is when the prompt left whose success this is, as it was asked: the time in between is measured.
	PromptedAt *time.Time
}

// mismatch is the verdict on a message that cannot be about its top-up, or "".
func (k Known) mismatch(r StkResult) Verdict {
	switch {
	case k.Topup == nil:
		return VerdictUnknownTopup
	case k.Topup.Status == TopupStored:
		return VerdictNotRequested
	case k.Topup.CheckoutRequestID != "" && k.Topup.CheckoutRequestID != r.CheckoutRequestID:
		return VerdictCheckoutMismatch
	}
	return ""
}

// JudgeStk judges the result of a prompt that Safaricom's own address sent.
func JudgeStk(k Known, r StkResult) Judgement {
	if v := k.mismatch(r); v != "" {
		return Judgement{Verdict: v}
	}
	t := *k.Topup
	switch {
	case r.Failed:
		return judgeDecline(t.promptedAs(r), r.Failure, k.Now)
	case !r.Paid:
		return Judgement{Verdict: VerdictNoResult}
	case !r.Confirmed:
		return Judgement{Verdict: VerdictRefuted}
	case r.Amount != t.Amount:
		// No credit on a message that contradicts the request: Safaricom itself is asked, now. The receipt stays tied to the top-up, so
		// that a confirmation that is wrong in the same way is no deposit.
		j := Judgement{Verdict: VerdictAmountMismatch, Ask: &t.ID, Payment: r.payment(t)}
		if ReadableReceipt(r.Receipt) && t.Receipt == "" && k.Taken == nil {
			j.BookTopup = &t
		}
		return j
	case !ReadableReceipt(r.Receipt):
		return Judgement{Verdict: VerdictUnreadable, Ask: &t.ID}
	}
	j := judgeReceipt(k, t.promptedAs(r), r.payment(t))
	j.PromptedAt = t.PromptedAt
	return j
}

// promptedAs is the top-up with M-Pesa's ids of its prompt, if the answer to the request did not bring them.
func (t Topup) promptedAs(r StkResult) Topup {
	if t.CheckoutRequestID == "" {
		t.CheckoutRequestID, t.MerchantRequestID = r.CheckoutRequestID, r.MerchantRequestID
	}
	return t
}

func judgeDecline(t Topup, failure string, now time.Time) Judgement {
	_, _, moves := t.Apply(EventDeclined, failure, now)
	switch {
	case moves:
		return Judgement{Verdict: VerdictApplied, Topup: &t, Event: EventDeclined, Failure: failure}
	case t.Status == TopupPaid:
		return Judgement{Verdict: VerdictConflict} // paid is the end; somebody must look
	}
	return Judgement{Verdict: VerdictDuplicate}
}

// judgeReceipt credits the prompt's receipt once. What names it first fixes it, callback or confirmation: a second one is a claim, and
// somebody must look.
func judgeReceipt(k Known, t Topup, p Payment) Judgement {
	switch {
	case k.Booked == p.Receipt:
		return Judgement{Verdict: VerdictDuplicate}
	case t.Receipt != "" && k.Taken != nil:
		return Judgement{Verdict: VerdictConflict} // it is accounted for as something else: one of the two messages is wrong
	case t.Receipt != "":
		return Judgement{Verdict: VerdictUnverified, Claim: true, Payment: p}
	case k.takes(t):
		return k.paid(t, p)
	case t.Status == TopupPaid, k.Taken.TopupID != nil:
		return Judgement{Verdict: VerdictConflict} // if it is another prompt's, this message says nothing about this one
	}
	// The payment is credited as a deposit. Keeping its receipt stops a query from paying the top-up with the same money.
	t.Receipt = p.Receipt
	return Judgement{Verdict: VerdictConflict, Topup: &t}
}

// takes says whether the receipt is the top-up's to have: it is new, or a message that contradicted the request tied it to the top-up.
func (k Known) takes(t Topup) bool {
	return k.Taken == nil || k.Taken.TopupID != nil && *k.Taken.TopupID == t.ID
}

// paid gives a top-up its receipt, and pays it unless a query did so before.
func (k Known) paid(t Topup, p Payment) Judgement {
	j := Judgement{Verdict: VerdictApplied, EndClaims: true, Payment: p}
	if k.Taken == nil {
		j.BookTopup = &t
	}
	if _, _, moves := t.Apply(EventPaid, "", k.Now); moves {
		j.Event = EventPaid
	}
	with := t
	with.Receipt = p.Receipt
	j.Topup = &with
	return j
}

// JudgeStranger notes what a message about a prompt says whose sender nobody knows: its path is all that it had to know, and a log may have
// shown that. It decides nothing. Safaricom is asked what became of the prompt, and a receipt is a claim.
func JudgeStranger(k Known, r StkResult) Judgement {
	if v := k.mismatch(r); v != "" {
		return Judgement{Verdict: v}
	}
	j := Judgement{Verdict: VerdictUnverified}
	switch {
	case !r.Paid:
	case !ReadableReceipt(r.Receipt):
		j.Verdict = VerdictUnreadable
	default:
		j = JudgeClaim(k, r.payment(*k.Topup))
	}
	if k.Topup.Status != TopupPaid {
		j.Ask = &k.Topup.ID
	}
	return j
}

// JudgeClaim judges a payment that only Safaricom's own books can confirm. Nothing moves, and the genuine message is not kept from its
// receipt.
func JudgeClaim(k Known, p Payment) Judgement {
	switch {
	case k.Taken == nil:
		return Judgement{Verdict: VerdictUnverified, Claim: true, Payment: p}
	case k.Taken.AmountMinor == p.Amount.Amount:
		return Judgement{Verdict: VerdictDuplicate} // it is accounted for: nothing is left to claim
	}
	return Judgement{Verdict: VerdictConflict}
}

// JudgeConfirmation judges a payment that Safaricom confirms. One that contradicts its top-up is a claim: it is a payment of its own, or
// the prompt's told wrongly, and Safaricom's books tell which.
func JudgeConfirmation(k Known, p Payment) Judgement {
	j := JudgePayment(k, p)
	if j.Verdict == VerdictAmountMismatch {
		return JudgeClaim(k, p)
	}
	return j
}

// JudgePayment says whose a certain payment is: by its receipt; else by its account, if that is a top-up that still lacks a receipt and the
// amount agrees; else it is a new deposit, for the wallet of that account or for suspense. A payment that contradicts an open prompt waits
// for the prompt's own result, and is then a mismatch unless it was another payment.
func JudgePayment(k Known, p Payment) Judgement {
	t := k.Topup
	switch {
	case k.Taken != nil && k.Taken.AmountMinor != p.Amount.Amount:
		return Judgement{Verdict: VerdictConflict} // one payment told in two ways: the first counts, and somebody must look
	case t != nil && t.TakesConfirmation(p.Amount) && k.takes(*t):
		return k.paid(*t, p)
	case k.Taken != nil:
		return Judgement{Verdict: VerdictDuplicate, EndClaims: true, Payment: p}
	case t == nil:
		return deposit(k.Owner, p)
	case !t.Contradicts(p.Amount), p.Source == SourcePull: // the books' amount is the payment's
		return deposit(&Owner{WalletID: t.WalletID, UserID: t.UserID}, p)
	case t.Status != TopupPaid && k.Now.Sub(k.ReceivedAt) < contradictionPatience:
		return Judgement{NotYet: true}
	}
	return Judgement{Verdict: VerdictAmountMismatch}
}

func deposit(owner *Owner, p Payment) Judgement {
	j := Judgement{Verdict: VerdictDeposit, NewDeposit: true, Owner: owner, EndClaims: true, Payment: p}
	if owner == nil {
		j.Verdict = VerdictSuspense
	}
	return j
}
