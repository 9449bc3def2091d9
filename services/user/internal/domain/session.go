package domain

import (
	"bytes"
	"regexp"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/stepup"
)

// Lives of tokens (assurance.md section 5, JWT and refresh).
const (
	AccessLife  = 10 * time.Minute
	StepUpLife  = 5 * time.Minute
	SessionLife = 30 * 24 * time.Hour // absolute, whatever is refreshed
	// Sessions of staff end after 12 hours, and after 30 minutes without a refresh (NIST SP 800-63B section 4.2.3, AAL2).
	StaffSessionLife = 12 * time.Hour
	StaffIdle        = 30 * time.Minute
	// RefreshRepeat is how long a spent refresh token still yields its successor to a caller who lost the answer.
	RefreshRepeat = 30 * time.Second
	// RevocationKeep is how long a revocation can matter: an access token's life and as much again for clocks that differ.
	RevocationKeep = 2 * AccessLife
)

// RefreshTry is what is known when a refresh token is shown.
type RefreshTry struct {
	SameDevice bool
	UsedAt     *time.Time // nil: unspent
	UsedBy     []byte     // hash of the key that spent it
	AskedBy    []byte     // hash of the key of this request
	Now        time.Time
}

// RefreshVerdict is what happens with a refresh token.
type RefreshVerdict int

// RefreshReuse is the zero value: whatever is not proved to be fine closes the session.
const (
	RefreshReuse RefreshVerdict = iota
	RefreshSpend
	RefreshRepeated
)

// JudgeRefresh decides: an unspent token on its device is spent; a spent one, repeated with the same key on the same device
// within RefreshRepeat, yields the same successor; everything else is somebody who should not have the token.
func JudgeRefresh(t RefreshTry) RefreshVerdict {
	switch {
	case !t.SameDevice:
		return RefreshReuse
	case t.UsedAt == nil:
		return RefreshSpend
	case len(t.AskedBy) > 0 && bytes.Equal(t.UsedBy, t.AskedBy) && t.Now.Sub(*t.UsedAt) <= RefreshRepeat:
		return RefreshRepeated
	}
	return RefreshReuse
}

// StepUpSubject is what a step-up token approves: a quote for createTransfer, an object's id for every other operation.
type StepUpSubject struct{ QuoteID, ID *uuid.UUID }

// stepUpOperations are those that are approved by an object's id.
var stepUpOperations = map[string]bool{
	"createWithdrawal":  true,
	"createBankAccount": true,
	"rejectNumberClaim": true, "releaseNumberClaim": true, "confirmNumberChange": true, "cancelRecovery": true,
}

// StepUpHash is the hash of what a step-up token approves (kit/stepup). The operation's owner computes the same.
func StepUpHash(operation string, s StepUpSubject) (string, error) {
	switch {
	case operation == "createTransfer" && s.QuoteID == nil:
		return "", fault.ErrInvalid.WithField("/approves/quote_id", "required", "A transfer is approved by its quote's id.")
	case operation == "createTransfer":
		return stepup.OfQuote(*s.QuoteID), nil
	case !stepUpOperations[operation]:
		return "", ErrStepUpUnknown.WithField("/operation", "unknown", "The operation cannot be approved.")
	case s.ID == nil:
		return "", fault.ErrInvalid.WithField("/approves/id", "required", "This operation is approved by its object's id.")
	}
	return stepup.Hash(operation, *s.ID), nil
}

// deviceID is what the contract takes for the id of a device.
var deviceID = regexp.MustCompile(`^[A-Za-z0-9_.:-]{16,128}$`)

// CheckDevice refuses an id that no request can carry; the contract does the same for requests.
func CheckDevice(id string) error {
	if !deviceID.MatchString(id) {
		return fault.ErrInvalid.WithField("/device_id", "pattern", "A device id has 16 to 128 letters, digits or _ . : -")
	}
	return nil
}
