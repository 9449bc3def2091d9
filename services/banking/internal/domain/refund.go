package domain

import (
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/providers/paystack"
)

// States of a refund, besides those that a withdrawal has as well (stored, held, requested, accepted, unknown, failed).
const (
	Attention Status = "attention" // Paystack needs the customer's account: people must act; the money stays held
	Processed Status = "processed" // the customer has the money
)

// AbsentAfter is how long Paystack's list must not have had a refund before people may say how it ended.
const AbsentAfter = 24 * time.Hour

// KindRefund is what refunds are called at the ledger.
const KindRefund = "refund"

// refundMoves is the whole machine of refunds. The schema has the same list. A refund is sent once: what may have arrived is looked up.
var refundMoves = map[Status][]Status{
	"":        {Stored},
	Stored:    {Held, Failed},
	Held:      {Requested},
	Requested: {Accepted, Unknown, Attention, Processed, Failed},
	Accepted:  {Attention, Processed, Failed},
	Unknown:   {Accepted, Attention, Processed, Failed},
	Attention: {Processed, Failed},
}

// Refund is a deposit, or a part of it, on its way back.
type Refund struct {
	ID, DepositID, ApprovalID, UserID, WalletID uuid.UUID
	Amount                                      money.Money
	Status                                      Status
	Seq                                         int32
	FailureCode                                 string
	HoldID                                      *uuid.UUID
	ProviderID                                  string
	Asked                                       int32
	FirstSentAt, AbsentAt                       *time.Time
	CreatedAt, UpdatedAt                        time.Time // UTC
}

// Open says whether Paystack may still decide.
func (r Refund) Open() bool {
	return r.Status == Requested || r.Status == Accepted || r.Status == Unknown || r.Status == Attention
}

// Move applies a transition. It reports false when the machine does not have it.
func (r Refund) Move(to Status, b Because, at time.Time) (Refund, Transition, bool) {
	legal := false
	for _, s := range refundMoves[r.Status] {
		legal = legal || s == to
	}
	if !legal {
		return r, Transition{}, false
	}
	t := Transition{Seq: r.Seq + 1, From: r.Status, To: to, Reason: b.Reason, Evidence: b.Evidence, EvidenceID: b.ID, At: at}
	switch {
	case to == Processed:
		t.Ledger = StepCapture
	case to == Failed && r.Status != Stored:
		t.Ledger = StepRelease
	}
	r.Status, r.Seq, r.UpdatedAt = to, t.Seq, at
	switch to {
	case Requested:
		r.FirstSentAt = &at
	case Failed:
		r.FailureCode = b.Reason
	}
	return r, t, true
}

// RefundEnds says what Paystack's word about a refund leads to; "" for nothing.
func RefundEnds(status string) (to Status, reason string) {
	switch status {
	case paystack.RefundProcessed:
		return Processed, ""
	case paystack.RefundFailed:
		return Failed, "refund_failed"
	case paystack.RefundNeedsAttention:
		return Attention, ""
	}
	return Accepted, ""
}

// Lookup finds a refund whose answer was lost in Paystack's list: by our own id in its note, or, where the note is missing, by its amount
// if one only fits. taken says which numbers are other refunds'.
func (r Refund) Lookup(list []paystack.Refund, taken func(providerID string) bool) (found paystack.Refund, ok bool) {
	n := 0
	for _, p := range list {
		if p.MerchantNote == r.ID.String() {
			return p, true
		}
		if p.MerchantNote == "" && p.AmountMinor == r.Amount.Amount && p.Currency == r.Amount.Currency && !taken(p.ID) {
			found, n = p, n+1
		}
	}
	return found, n == 1
}

// Settleable says whether people may say how it ended: Paystack waits for them, or has been proved not to have it for long enough.
func (r Refund) Settleable(now time.Time, s Schedule) bool {
	return r.Status == Attention || r.Status == Unknown && r.AbsentAt != nil && now.Sub(*r.AbsentAt) >= s.Scaled(AbsentAfter)
}

// NextRefund says how long to wait for the next question about a refund; false: there is none any more.
func (s Schedule) NextRefund(r Refund, now time.Time) (wait time.Duration, asks bool) {
	if !r.Open() || r.FirstSentAt == nil {
		return 0, false
	}
	return max(s.due(r.Asked)-now.Sub(*r.FirstSentAt), 0), true
}

// AskedRefund is the count of a refund that is asked about now.
func (s Schedule) AskedRefund(r Refund, now time.Time) int32 {
	return s.Asked(Withdrawal{Asked: r.Asked, FirstSentAt: r.FirstSentAt}, now)
}

// Hold reserves the money in the wallet.
func (r Refund) Hold() LedgerRequest {
	q := r.request("hold", "hold")
	q.Postings = []Posting{{Source: r.WalletID.String(), Destination: paystackAccount + r.Amount.Currency, Amount: r.Amount}}
	return q
}

// Step is the transaction of a ledger step.
func (r Refund) Step(step string) LedgerRequest {
	q := r.request(step, step) // capture and release are called as what they do
	q.HoldID = r.HoldID
	return q
}

func (r Refund) request(step, action string) LedgerRequest {
	return LedgerRequest{Reference: r.ID.String() + ":" + step, Action: action, Type: KindRefund, Channel: RailPaystack}
}
