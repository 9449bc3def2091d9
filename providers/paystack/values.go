package paystack

import (
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"time"

	"github.com/sendtip/sendtip/providers/internal/wire"
)

// maxText bounds what is kept of a text of Paystack's.
const maxText = 500

// text is a member as text, bounded.
func text(f wire.Fields, name string) string {
	s := []rune(f.Text(name))
	return string(s[:min(len(s), maxText)])
}

// child is a member that is an object; empty if it is none.
func child(f wire.Fields, name string) wire.Fields {
	out, err := wire.ParseFields(f[name])
	if err != nil {
		return wire.Fields{}
	}
	return out
}

var whole = regexp.MustCompile(`^(0|[1-9]\d{0,15})$`)

// minor is an amount in minor units, sent as a number or a string. Fractions are refused: nobody can say whether they are major units.
func minor(s string) (int64, error) {
	if !whole.MatchString(s) {
		return 0, errors.New("not an amount in minor units")
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n > maxMinor {
		return 0, errors.New("amount is out of range")
	}
	return n, nil
}

// optionalMinor is nil when the amount is absent or unreadable: for side values, which must not lose a payment.
func optionalMinor(f wire.Fields, name string) *int64 {
	n, err := minor(f.Text(name))
	if err != nil {
		return nil
	}
	return &n
}

// at is the time under the first name that has one, in either spelling; zero when there is none: a bad time must not lose a payment.
func at(f wire.Fields, names ...string) time.Time {
	for _, name := range names {
		if t, err := time.Parse(time.RFC3339Nano, f.Text(name)); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// id is one of Paystack's unsigned 64-bit numbers, kept as text.
func id(f wire.Fields, name string) string {
	s := f.Text(name)
	if _, err := strconv.ParseUint(s, 10, 64); err != nil {
		return ""
	}
	return s
}

// object is a JSON object whose side fields may be anything.
type object struct{ wire.Fields }

// UnmarshalJSON reads an object.
func (o *object) UnmarshalJSON(raw []byte) (err error) {
	o.Fields, err = wire.ParseFields(raw)
	return err
}

// list are JSON objects.
type list []object

// sum is what both a payment and a payout must have.
func sum(f wire.Fields) (amount int64, currency string, err error) {
	if amount, err = minor(f.Text("amount")); err != nil {
		return 0, "", err
	}
	if currency = f.Text("currency"); !currencyCode.MatchString(currency) {
		return 0, "", errors.New("no currency")
	}
	return amount, currency, nil
}

var _ json.Unmarshaler = (*object)(nil)
