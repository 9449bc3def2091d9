package domain

import "github.com/sendtip/sendtip/kit/fault"

// Refusal is why a well-formed transaction was refused: a stable code and a sentence. It depends on the ledger's state, so it is stored
// under the transaction's reference and repeated for ever, with two exceptions at the end of the list.
type Refusal struct{ Code, Detail string }

// Error returns the code and the sentence.
func (r *Refusal) Error() string { return r.Code + ": " + r.Detail }

// The refusals.
var (
	RefusedInsufficientFunds  = &Refusal{"insufficient_funds", "The balance is too low."}
	RefusedOverMaximum        = &Refusal{"over_maximum", "The account cannot hold that much."}
	RefusedAccountNotFound    = &Refusal{"account_not_found", "There is no such account."}
	RefusedAccountFrozen      = &Refusal{"account_frozen", "The account is frozen."}
	RefusedAccountClosed      = &Refusal{"account_closed", "The account is closed."}
	RefusedCurrencyMismatch   = &Refusal{"currency_mismatch", "An account has a different currency."}
	RefusedBooksDiffer        = &Refusal{"books_differ", "The accounts of a posting belong to different books."}
	RefusedBalanceOverflow    = &Refusal{"balance_overflow", "The balance would become too large."}
	RefusedHoldNotFound       = &Refusal{"hold_not_found", "There is no such hold."}
	RefusedHoldNotActive      = &Refusal{"hold_not_active", "The hold is used up, released or expired."}
	RefusedHoldMismatch       = &Refusal{"hold_mismatch", "The postings do not match the hold."}
	RefusedNotAboveMaximum    = &Refusal{"hold_mismatch", "The hold is not for money above a maximum."}
	RefusedExpiryPassed       = &Refusal{"expiry_passed", "The hold would expire before it begins."}
	RefusedCaptureAboveHold   = &Refusal{"capture_above_hold", "The hold has less left than the amount to capture."}
	RefusedReleaseAboveHold   = &Refusal{"release_above_hold", "The hold has less left than the amount to release."}
	RefusedTransactionUnknown = &Refusal{"transaction_not_found", "There is no such transaction, or it has no postings."}
	RefusedNotReversible      = &Refusal{"not_reversible", "A reversal cannot be reversed; post a new transaction."}
	RefusedReversalMismatch   = &Refusal{"reversal_mismatch", "The postings do not reverse the original ones."}
	RefusedReversalAbove      = &Refusal{"reversal_above_original", "The original has less left than the amount to reverse."}
	RefusedWithList           = &Refusal{"batch_refused", "Another transaction of the atomic list was refused."}

	// RefusedReferenceReused is not stored: the reference keeps the outcome of its first body.
	RefusedReferenceReused = &Refusal{"reference_reused", "The reference was already used with a different body."}
	// RefusedNoRoom is not stored: the same request may free something later.
	RefusedNoRoom = &Refusal{"no_room", "The account's maximum leaves no room."}
)

// Unstored says whether an outcome must leave nothing behind, so that its reference is as it was before.
func (o *Outcome) Unstored() bool { return o.Status == Refused && o.Code == RefusedNoRoom.Code }

// Faults of the operations on accounts.
var (
	ErrAccountDiffers = fault.New(fault.Conflict, "account_differs",
		"The account already exists with a different owner, kind, currency or book.")
	ErrAccountClosed   = fault.New(fault.Conflict, "account_closed", "The account is closed.")
	ErrAccountNotEmpty = fault.New(fault.Conflict, "account_not_empty", "An account can only be closed with a zero balance and no holds.")
	ErrRulesInvalid    = fault.New(fault.Unprocessable, "account_rules_invalid", "The rules conflict with each other or with the balance.")
	ErrBusy            = fault.New(fault.Unavailable, "ledger_busy", "Too many transactions are waiting; send the same body again.")
)
