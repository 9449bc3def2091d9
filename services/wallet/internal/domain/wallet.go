package domain

import (
	"encoding/base32"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/country"
	"github.com/sendtip/sendtip/providers/safaricom"
)

// States of a wallet.
const (
	WalletOpening = "opening" // the ledger has no account yet
	WalletOpen    = "open"
)

// States of a customer.
const (
	CustomerActive    = "active"
	CustomerSuspended = "suspended"

	NumberHeld     = "held"
	NumberInReview = "in_review" // somebody else has proved to receive what is sent to the customer's number
	NumberNone     = "none"
)

// MaxTier bounds what a tier can be; the column has the same bound.
const MaxTier = 9

// Customer is what user says about somebody.
type Customer struct {
	UserID   uuid.UUID
	Status   string
	Tier     int16
	Country  string // ISO 3166-1; empty as long as nothing is known
	Revision int64  // grows with each change
}

// MayPay says whether the customer may start a payment.
func (c Customer) MayPay() error {
	switch {
	case c.Status != CustomerActive:
		return ErrSuspended
	case c.Tier < 1:
		return ErrKycRequired
	}
	return nil
}

// MayReceive says whether money may be sent to the customer. The sender learns no more than that.
func (c Customer) MayReceive() error {
	if c.Status != CustomerActive || c.Tier < 1 {
		return ErrRecipientCannot
	}
	return nil
}

// Wallet is a customer's purse in one currency. Its id is its account's id at the ledger, which alone knows the balance.
type Wallet struct {
	ID             uuid.UUID
	UserID         uuid.UUID
	Currency       string
	Status         string
	DepositAccount string // what a payer types at the paybill; only wallets in its currency
	CreatedAt      time.Time
	// HeldAboveMaximumMinor is the part of the balance above the tier's maximum, where the ledger was asked.
	HeldAboveMaximumMinor int64
}

// HomeCurrency is the currency of the first wallet in a country, or "" for a country that the platform does not serve.
func HomeCurrency(code string) string {
	c, _ := country.Of(code)
	return c.Currency
}

// MpesaCurrency is the only currency of the paybill.
const MpesaCurrency = safaricom.Currency

// AccountNumberBytes is how many random bytes an account number needs.
const AccountNumberBytes = 7

// AccountNumber makes the 12 characters that M-Pesa allows for an account out of random bytes: a letter for its kind and 11 of base32,
// 55 bits, so that nobody hits another's by guessing or by a slip.
func AccountNumber(kind byte, random [AccountNumberBytes]byte) string {
	return string(kind) + base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(random[:])[:11]
}

// NormalizeAccount returns the one form in which account numbers are compared. Payers type them in any case, with blanks, hyphens, dots and
// invisible characters, and with digits that the alphabet does not have instead of the letters that look like them.
func NormalizeAccount(typed string) string {
	return strings.Map(func(r rune) rune {
		switch r = unicode.ToUpper(r); {
		case r == '0':
			return 'O'
		case r == '1':
			return 'I'
		case r == '8':
			return 'B'
		case r >= 'A' && r <= 'Z', r >= '2' && r <= '9':
			return r
		}
		return -1
	}, typed)
}

// The first letters of account numbers.
const (
	AccountOfWallet byte = 'W'
	AccountOfTopup  byte = 'T'
)
