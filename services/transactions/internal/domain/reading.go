package domain

import (
	"slices"
	"time"

	"github.com/sendtip/sendtip/kit/fault"
)

// ErrStatementTooLong refuses to export a period with more entries than one file may have.
var ErrStatementTooLong = fault.New(fault.Unprocessable, "statement_too_long",
	"The period has more than 10,000 entries; ask for a shorter one.")

// Filter narrows a list. Zero values filter nothing.
type Filter struct {
	From    time.Time // recorded at or after
	To      time.Time // recorded before
	Channel string
	Type    string
}

// Validate returns fault.ErrInvalid naming the first parameter that makes no sense, and rounds the times up to the microseconds that
// are stored: with a moment between two of them, both bounds mean the later.
func (f Filter) Validate() (Filter, error) {
	switch {
	case f.Channel != "" && !slices.Contains(channels, f.Channel):
		return f, fault.ErrInvalid.WithField("channel", "channel_invalid", "There is no such channel.")
	case f.Type != "" && !isType(f.Type):
		return f, fault.ErrInvalid.WithField("type", "type_invalid", "The type is malformed.")
	}
	f.From, f.To = stored(f.From), stored(f.To)
	if !f.To.IsZero() && !f.From.Before(f.To) {
		return f, fault.ErrInvalid.WithField("to", "period_invalid", "The period must end after it begins.")
	}
	return f, nil
}

func stored(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Add(time.Microsecond - 1).Truncate(time.Microsecond)
}

// AsOf is the moment of a balance: by the time of recording, or by effective time. Neither means now.
type AsOf struct{ Recorded, Effective time.Time }

// Validate returns the moment in the precision that is stored, and false for now; fault.ErrInvalid if there are two or it is after now.
func (a AsOf) Validate(now time.Time) (moment time.Time, past bool, err error) {
	pointer := "recorded_at"
	moment = a.Recorded
	if !a.Effective.IsZero() {
		if !moment.IsZero() {
			return moment, false, fault.ErrInvalid.WithField("effective_at", "as_of_ambiguous", "Send recorded_at or effective_at, not both.")
		}
		pointer, moment = "effective_at", a.Effective
	}
	if moment.IsZero() {
		return moment, false, nil
	}
	if moment.UTC().Year() < 0 { // no answer could name it
		return moment, false, fault.ErrInvalid.WithField(pointer, "as_of_invalid", "The moment is before the year 0 (UTC).")
	}
	if moment.After(now) {
		return moment, false, fault.ErrInvalid.WithField(pointer, "as_of_in_future", "The moment is in the future.")
	}
	return moment.UTC().Truncate(time.Microsecond), true, nil
}
