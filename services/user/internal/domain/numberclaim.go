package domain

import (
	"time"

	"github.com/sendtip/sendtip/kit/fault"
)

// NumberSilence is how long the holder of a number may take to answer a claim on it. Networks keep a number back for months before somebody
// else gets it; who still has a device of the account has heard of the claim there long before.
const NumberSilence = 7 * 24 * time.Hour

// States of a claim on a number, as stored and shown. The first two are those in which the number is held back.
const (
	ClaimOpen     = "open"     // waits for the holder
	ClaimDisputed = "disputed" // waits for compliance
	ClaimReleased = "released" // the number is whoever's proves it
	ClaimKept     = "kept"     // the number is the holder's
)

// Reasons of a claim's state.
const (
	ClaimRejected      = "rejected"  // the holder says that the number is theirs
	ClaimSuspended     = "suspended" // the holder could not answer
	ClaimGivenUp       = "given_up"  // the holder says that it is not, or has another one
	ClaimSilence       = "silence"
	ClaimDecidedByUser = "decided" // by compliance, two of them
)

// What the number of a customer may be used for, as other services are told.
const (
	NumberHeld     = "held"
	NumberInReview = "in_review"
	NumberNone     = "none"
)

// Refusals about claims.
var (
	ErrNumberInReview = fault.New(fault.Conflict, "number_in_review",
		"This number belongs to an account, whose owner has 7 days to answer; try again after that. If it is yours, use your own device.")
	ErrClaimUnknown = fault.New(fault.Unprocessable, "number_claim_unknown", "There is no such claim.").WithField("/claim_id", "unknown",
		"There is no such claim.")
	ErrClaimClosed   = fault.New(fault.Conflict, "number_claim_closed", "This claim has been closed.")
	ErrClaimDisputed = fault.New(fault.Conflict, "number_claim_disputed",
		"You have said that the number is yours; our compliance team decides now.")
	ErrRecipientInReview = fault.New(fault.NotFound, "recipient_in_review", "This number cannot receive payments at the moment.")
)

// NumberClaim is what decides about a claim on a number.
type NumberClaim struct {
	State, Reason string
	OpenedAt      time.Time
}

// ReleaseAt is when the number is released unless the holder answers.
func (c NumberClaim) ReleaseAt() time.Time { return c.OpenedAt.Add(NumberSilence) }

// Waiting says whether the number is held back.
func (c NumberClaim) Waiting() bool { return c.State == ClaimOpen || c.State == ClaimDisputed }

func (c NumberClaim) to(state, reason string) NumberClaim {
	c.State, c.Reason = state, reason
	return c
}

// Reject is the holder's answer that the number is theirs. It hands the claim to compliance and ends nothing: whoever reads the number's
// codes may have a copy of the SIM card. A repeated answer changes nothing.
func (c NumberClaim) Reject() (NumberClaim, error) {
	switch c.State {
	case ClaimOpen:
		return c.to(ClaimDisputed, ClaimRejected), nil
	case ClaimDisputed:
		return c, nil
	}
	return c, ErrClaimClosed
}

// GiveUp is the holder's answer that the number is not theirs. After a rejection it is not taken: then compliance decides, and who asks may
// be made to. A repeated answer changes nothing.
func (c NumberClaim) GiveUp() (NumberClaim, error) {
	switch {
	case c.State == ClaimOpen, c.State == ClaimReleased && c.Reason == ClaimGivenUp:
		return c.to(ClaimReleased, ClaimGivenUp), nil
	case c.State == ClaimDisputed:
		return c, ErrClaimDisputed
	}
	return c, ErrClaimClosed
}

// Decide is compliance's decision.
func (c NumberClaim) Decide(keep bool) (NumberClaim, error) {
	switch {
	case !c.Waiting():
		return c, ErrClaimClosed
	case keep:
		return c.to(ClaimKept, ClaimDecidedByUser), nil
	}
	return c.to(ClaimReleased, ClaimDecidedByUser), nil
}

// Silent is what becomes of a claim at a time without an answer. A holder who cannot sign in was not silent: compliance decides.
func (c NumberClaim) Silent(now time.Time, mayAnswer bool) NumberClaim {
	switch {
	case c.State != ClaimOpen, now.Before(c.ReleaseAt()):
		return c
	case !mayAnswer:
		return c.to(ClaimDisputed, ClaimSuspended)
	}
	return c.to(ClaimReleased, ClaimSilence)
}
