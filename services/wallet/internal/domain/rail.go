package domain

import "time"

// OperationStk is the prompt on a phone, as its health is kept. It is stored: never change it.
const OperationStk = "mpesa.stk"

// byPayer are failures that are the payer's own doing, and say nothing about the rail.
var byPayer = map[string]bool{
	"insufficient_mpesa_funds": true, "mpesa_limit": true, "no_answer": true, "cancelled_by_customer": true, "wrong_pin": true,
	"phone_required": true, "phone_not_supported": true,
}

// RailMark is what an event of a top-up shows of the rail: that it did its work, that it did not, or nothing (known is false). A prompt
// that was counted as lost is not counted again when it is given up.
func RailMark(before Topup, e TopupEvent, failure string) (good, known bool) {
	switch e {
	case EventPaid:
		return true, before.Status != TopupFailed && before.Status != TopupExpired
	case EventLost:
		return false, true
	case EventSilent:
		return false, before.Status == TopupPrompted
	case EventRefused, EventDeclined:
		return false, !byPayer[failure]
	}
	return false, false
}

// Took is how long ago the prompt of a top-up was asked for.
func (t Topup) Took(now time.Time) time.Duration {
	if t.PromptedAt != nil {
		return now.Sub(*t.PromptedAt)
	}
	return now.Sub(t.CreatedAt)
}
