// Package money owns amounts: integer minor units with a currency, checked arithmetic, rounding and display.
// There are no floats, and no amount leaves the range that JSON clients can hold exactly.
package money

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// Max is the largest amount in minor units, 2^53-1: the largest integer that every JSON client reads exactly.
const Max int64 = 1<<53 - 1

// Errors of this package. They mean a broken caller or a refused input; each owner maps them to its own faults.
var (
	// ErrUnknownCurrency is returned for a code that is not in the table of currencies.
	ErrUnknownCurrency = errors.New("money: unknown currency")
	// ErrCurrencyMismatch is returned when two amounts of different currencies meet.
	ErrCurrencyMismatch = errors.New("money: currencies differ")
	// ErrOutOfRange is returned when an amount or a result is outside -Max..Max.
	ErrOutOfRange = errors.New("money: amount out of range")
	// ErrBadRatio is returned for a negative amount or ratio, or a zero denominator.
	ErrBadRatio = errors.New("money: amount and ratio must not be negative, denominator must be positive")
)

// Money is an amount in minor units (cents for KES, whole shillings for UGX) of an ISO 4217 currency.
type Money struct {
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

// New returns an amount of a known currency. Negative amounts are legal (differences); callers that need a positive
// one ask IsPositive.
func New(minor int64, currency string) (Money, error) {
	if _, err := Decimals(currency); err != nil {
		return Money{}, err
	}
	if minor > Max || minor < -Max {
		return Money{}, ErrOutOfRange
	}
	return Money{Amount: minor, Currency: currency}, nil
}

// Decimals returns how many digits of the minor unit stand behind the decimal point: KES 2, UGX 0, RWF 0 (ISO 4217).
func Decimals(currency string) (int, error) {
	switch currency {
	case "KES", "TZS", "USD":
		return 2, nil
	case "UGX", "RWF":
		return 0, nil
	}
	return 0, ErrUnknownCurrency
}

// IsPositive reports whether the amount is more than zero.
func (m Money) IsPositive() bool { return m.Amount > 0 }

// IsZero reports whether the amount is zero.
func (m Money) IsZero() bool { return m.Amount == 0 }

// Add returns m + other, refusing another currency and a result outside the range.
func (m Money) Add(other Money) (Money, error) {
	if m.Currency != other.Currency {
		return Money{}, ErrCurrencyMismatch
	}
	if !inRange(m.Amount) || !inRange(other.Amount) {
		return Money{}, ErrOutOfRange // both in range: the int64 sum below cannot wrap
	}
	return New(m.Amount+other.Amount, m.Currency)
}

// Sub returns m - other, refusing another currency and a result outside the range. The result may be negative.
func (m Money) Sub(other Money) (Money, error) {
	if !inRange(other.Amount) {
		return Money{}, ErrOutOfRange
	}
	return m.Add(Money{Amount: -other.Amount, Currency: other.Currency})
}

func inRange(minor int64) bool { return minor <= Max && minor >= -Max }

// MulRatioHalfUp returns amount * num / den rounded half up to the minor unit, the rounding that fees and the excise
// duty on them use. The product is 128 bits wide, so only the result can be out of range.
func MulRatioHalfUp(amount, num, den int64) (int64, error) {
	if amount < 0 || num < 0 || den <= 0 {
		return 0, ErrBadRatio
	}
	hi, lo := bits.Mul64(uint64(amount), uint64(num))
	if hi >= uint64(den) {
		return 0, ErrOutOfRange // the quotient would not fit 64 bits (Div64 would panic)
	}
	quotient, rest := bits.Div64(hi, lo, uint64(den))
	if quotient > uint64(Max) {
		return 0, ErrOutOfRange
	}
	if rest >= uint64(den)-rest {
		quotient++
	}
	if quotient > uint64(Max) {
		return 0, ErrOutOfRange
	}
	return int64(quotient), nil
}

// Format returns the amount as people read it: "KES 1,000.00", "UGX 1,000", "KES -0.50". An unknown currency is shown
// with its minor units, so that a wrong amount is never displayed as a right one.
func (m Money) Format() string {
	decimals, err := Decimals(m.Currency)
	if err != nil {
		return fmt.Sprintf("%s %d (minor units)", m.Currency, m.Amount)
	}
	digits := strconv.FormatInt(m.Amount, 10)
	digits, negative := strings.CutPrefix(digits, "-")
	if pad := decimals + 1 - len(digits); pad > 0 {
		digits = strings.Repeat("0", pad) + digits
	}
	whole, fraction := digits[:len(digits)-decimals], digits[len(digits)-decimals:]
	var b strings.Builder
	b.WriteString(m.Currency + " ")
	if negative {
		b.WriteByte('-')
	}
	for i, digit := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(digit)
	}
	if decimals > 0 {
		b.WriteString("." + fraction)
	}
	return b.String()
}
