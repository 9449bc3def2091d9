package domain

import (
	"slices"
	"time"

	"github.com/sendtip/sendtip/kit/fault"
)

// Limit is how many requests one counter admits in any stretch of time of a length. Strangers share a counter per phone, each device of
// a customer's has its own: whoever knows a number spends nothing that its owner needs.
type Limit struct {
	Name    string // part of stored keys, and the metric's label
	Max     int
	Window  time.Duration
	Refused *fault.Error
}

// The limits of this service.
var (
	CodesOfDevice   = Limit{"code_device", MaxOtpSends, OtpWindow, ErrOtpLimit}
	CodesOfPhone    = Limit{"code_phone", MaxOtpSends, OtpWindow, ErrOtpLimit}
	CodesOfPrefix   = Limit{"code_prefix", 200, time.Hour, ErrOtpLimit}
	SignInsOfDevice = Limit{"sign_in_device", 60, 15 * time.Minute, ErrSignInLimit}
	SignInsOfPhone  = Limit{"sign_in_phone", 20, 15 * time.Minute, ErrSignInLimit}
)

// Take admits one more request: taken are the times of those before, elsewhere those that are kept under other keys. The answer is what
// has to be kept here. The refusal says when the next one is admitted. A time counts until the window has passed, and not at that moment.
func (l Limit) Take(taken, elsewhere []time.Time, now time.Time) ([]time.Time, error) {
	over := func(t time.Time) bool { return !t.After(now.Add(-l.Window)) }
	keep := slices.DeleteFunc(slices.Clone(taken), over)
	counts := slices.DeleteFunc(slices.Concat(keep, elsewhere), over)
	slices.SortFunc(counts, time.Time.Compare) // clocks of several processes differ a little
	if len(counts) >= l.Max {
		return nil, l.Refused.WithRetryAfter(counts[len(counts)-l.Max].Add(l.Window).Sub(now))
	}
	return append(keep, now), nil
}
