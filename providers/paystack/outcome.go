package paystack

// Outcome is what a status says about the money of a payment or payout.
type Outcome string

// The outcomes. Unknown is neither paid nor failed: ask again.
const (
	Paid     Outcome = "paid"
	Failed   Outcome = "failed"
	Reversed Outcome = "reversed" // paid, and given back since
	Pending  Outcome = "pending"
	Unknown  Outcome = "unknown"
)

// ClassifyTransaction maps the status of a payment. Abandoned is what a page says that nobody has finished, from its first moment on: it
// can still be paid, so it is Pending, and its end is a matter of age. A late success after a failure (a customer who tried again on the
// same page) must still be accepted.
func ClassifyTransaction(status string) Outcome {
	switch status {
	case "success":
		return Paid
	case "failed":
		return Failed
	case "reversed":
		return Reversed
	case "abandoned", "ongoing", "pending", "processing", "queued":
		return Pending
	}
	return Unknown
}

// chargeOutcome maps the status of a charge, which may also be what the charge waits for. A timeout is not final.
func chargeOutcome(status string) Outcome {
	switch status {
	case StatusPayOffline, StatusPendingBankTransfer, "send_pin", StatusSendOTP, "send_phone", "send_birthday", "send_address", "open_url":
		return Pending
	}
	return ClassifyTransaction(status)
}

// ClassifyTransfer maps the status of a payout. Success can still become Reversed later.
func ClassifyTransfer(status string) Outcome {
	switch status {
	case "success":
		return Paid
	case "failed", "abandoned", "blocked", "rejected":
		return Failed
	case "reversed":
		return Reversed
	case "pending", "otp", "received":
		return Pending
	}
	return Unknown
}

// Statuses of a refund. What is none of them is still open.
const (
	RefundPending        = "pending"
	RefundProcessing     = "processing"
	RefundProcessed      = "processed"
	RefundFailed         = "failed"
	RefundNeedsAttention = "needs-attention" // Paystack wants the customer's account: people must act
)
