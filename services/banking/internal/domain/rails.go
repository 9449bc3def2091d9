package domain

import "github.com/sendtip/sendtip/providers/daraja"

// Operations of the rails, as their health is kept. They are stored: never change one.
const (
	OperationB2C     = "mpesa.b2c"
	OperationDeposit = "paystack.deposit"
)

// Operations are all of them.
var Operations = []string{OperationB2C, OperationDeposit, OperationTransfer}

// OperationTransfer is a transfer by Paystack.
const OperationTransfer = "paystack.transfer"

// Operation is the operation by which a rail pays out.
func Operation(rail string) string {
	return map[string]string{RailMpesa: OperationB2C, RailPaystack: OperationTransfer}[rail]
}

// Mark is what a transition says about the rail.
type Mark string

// Marks.
const (
	MarkNone    Mark = ""         // nothing, or the customer's own doing
	MarkGood    Mark = "good"     // it did its work
	MarkBad     Mark = "bad"      // it did not, or said nothing in time
	MarkNoFloat Mark = "no_float" // it has no money of ours left: nothing can be paid
)

// byCustomer are failures that are about who gets the money, and say nothing about the rail.
var byCustomer = map[string]bool{
	string(daraja.ReasonBelowMinimum): true, string(daraja.ReasonAboveMaximum): true, string(daraja.ReasonDailyLimit): true,
	string(daraja.ReasonReceiverFull): true, string(daraja.ReasonReceiverUnknown): true, string(daraja.ReasonReceiverNotAllowed): true,
	string(daraja.ReasonCancelled): true, string(daraja.ReasonDeclined): true,
	"bank_refused": true, "bank_account_changed": true,
}

// MarkOf says what a transition shows of the rail. What was never sent says nothing, and a payment that was counted as lost once is not
// counted again when it is given up.
func MarkOf(t Transition) Mark {
	switch {
	case t.From == Stored, t.Evidence == ByPeople:
		return MarkNone
	case t.To == Paid && t.From.Open():
		return MarkGood
	case t.To == Unknown, t.To == InDoubt && t.From == Accepted:
		return MarkBad
	case t.To != Failed || byCustomer[t.Reason]:
		return MarkNone
	case t.Reason == string(daraja.ReasonNoFloat):
		return MarkNoFloat
	}
	return MarkBad
}

// MarkOfDeposit says what a transition of a deposit shows of the rail: only what was sent, and a customer who does not pay, or whose bank
// declines, is no fault of it.
func MarkOfDeposit(t Transition) Mark {
	switch {
	case t.To == Paid && (t.From == Requested || t.From == Waiting):
		return MarkGood
	case t.From == Requested && (t.To == Failed && t.Evidence != ByVerify || t.To == Expired):
		return MarkBad
	}
	return MarkNone
}
