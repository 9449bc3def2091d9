// Package domain holds the rules of customers, PINs, codes, sessions and identity verification. It knows no database, no
// HTTP, no clock and no randomness: what it needs of them is an argument.
package domain

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// Statuses and KYC states as stored and shown.
const (
	StatusActive    = "active"
	StatusSuspended = "suspended"

	KycNone     = "none"
	KycPending  = "pending"
	KycReview   = "review"
	KycVerified = "verified"
	KycRejected = "rejected"
)

// TierVerified is the tier of a customer whose document number and names were verified (assurance.md section 6, T1).
// The next one needs a proof that the person is present.
const TierVerified = 1

// Profile is a customer's record. Names are empty before the identity is verified.
type Profile struct {
	ID        uuid.UUID
	Phone     string // E.164; empty once the number has passed to somebody else
	Email     string
	FirstName string
	LastName  string
	Country   string
	Language  string
	Role      string
	Status    string
	KycStatus string
	Tier      int32
	Version   int64
	CreatedAt time.Time // UTC
}

// MaskedName is what a sender sees of a recipient: first name and initial. It is empty before the identity is verified.
func (p Profile) MaskedName() string {
	first, last := strings.TrimSpace(p.FirstName), strings.TrimSpace(p.LastName)
	if first == "" {
		return ""
	}
	r, size := utf8.DecodeRuneInString(last)
	if size == 0 {
		return first
	}
	return first + " " + strings.ToUpper(string(r)) + "."
}
