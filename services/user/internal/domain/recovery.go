package domain

import (
	"time"

	"github.com/sendtip/sendtip/kit/fault"
)

// States of a recovery.
const (
	RecoveryChecking  = "checking"
	RecoveryChecked   = "checked" // the authority confirmed the identity, and it is a customer's
	RecoveryCooling   = "cooling" // two people agreed
	RecoveryApplied   = "applied"
	RecoveryCancelled = "cancelled" // by the customer: fraud
	RecoveryFailed    = "failed"
	RecoveryRefused   = "refused"
	RecoveryExpired   = "expired"
)

// Why a recovery ended; stable codes, besides those of identity checks and of changes of number.
const (
	RecoveryFraud     = "fraud"
	RecoveryNobody    = "no_such_customer"
	RecoveryCountry   = "country_differs"
	RecoveryNotTheirs = "identity_differs"
)

// RecoveryLife is how long a recovery waits for two people to decide.
const RecoveryLife = 7 * 24 * time.Hour

// Limits of completions: each costs a question to the authority.
var (
	RecoveriesOfIdentity = Limit{"recovery_identity", MaxKycPerDay, 24 * time.Hour, ErrRecoveryLimit}
	RecoveriesOfDevice   = Limit{"recovery_device", MaxKycPerDay, 24 * time.Hour, ErrRecoveryLimit}
)

// Refusals of recoveries.
var (
	ErrRecoveryLimit      = fault.New(fault.TooMany, "recovery_limit", "Too many attempts to recover an account today.")
	ErrRecoveryNotChecked = fault.New(fault.Conflict, "recovery_not_checked",
		"This recovery cannot be approved: its identity is not confirmed, or it has ended.")
	ErrRecoveryOpen   = fault.New(fault.Conflict, "recovery_open", "Another recovery of this account is waiting for its time.")
	ErrRecoveryClosed = fault.New(fault.Conflict, "recovery_closed", "This recovery has ended already.")
)

// SamePerson says whether two submissions are of one person, as far as names and date of birth tell: every name of one stands in the other.
func SamePerson(submitted, verified Submission) bool {
	names := nameTokens(submitted.FullName())
	exact, _ := nameMatch(names, nameTokens(verified.FullName()))
	return len(names) > 0 && exact == len(names) && submitted.DateOfBirth == verified.DateOfBirth
}

// RecoveryShown is what a person who asked for a recovery may know of it: until two people agreed, nothing that depends on whether the
// identity is a customer's.
func RecoveryShown(state string, expiresAt, now time.Time) string {
	switch state {
	case RecoveryCooling:
		return "cooling"
	case RecoveryApplied:
		return "done"
	case RecoveryCancelled, RecoveryFailed:
		return "closed"
	}
	if now.Before(expiresAt) {
		return "processing"
	}
	return "closed"
}
