package domain_test

import (
	"errors"
	"testing"
	"time"

	"github.com/sendtip/sendtip/services/user/internal/domain"
)

func TestNumberClaim(t *testing.T) {
	t.Parallel()
	opened := time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)
	silent := func(after time.Duration, mayAnswer bool) func(domain.NumberClaim) (domain.NumberClaim, error) {
		return func(c domain.NumberClaim) (domain.NumberClaim, error) {
			return c.Silent(opened.Add(after), mayAnswer), nil
		}
	}
	keep := func(c domain.NumberClaim) (domain.NumberClaim, error) { return c.Decide(true) }
	release := func(c domain.NumberClaim) (domain.NumberClaim, error) { return c.Decide(false) }
	for name, c := range map[string]struct {
		state, reason string
		act           func(domain.NumberClaim) (domain.NumberClaim, error)
		want, because string
		err           error
	}{
		"rejected":                {"open", "", domain.NumberClaim.Reject, "disputed", "rejected", nil},
		"rejected twice":          {"disputed", "rejected", domain.NumberClaim.Reject, "disputed", "rejected", nil},
		"rejected after silence":  {"released", "silence", domain.NumberClaim.Reject, "released", "silence", domain.ErrClaimClosed},
		"rejected after decision": {"kept", "decided", domain.NumberClaim.Reject, "kept", "decided", domain.ErrClaimClosed},
		"given up":                {"open", "", domain.NumberClaim.GiveUp, "released", "given_up", nil},
		"given up twice":          {"released", "given_up", domain.NumberClaim.GiveUp, "released", "given_up", nil},
		"given up after rejection": {"disputed", "rejected", domain.NumberClaim.GiveUp, "disputed", "rejected",
			domain.ErrClaimDisputed},
		"given up after silence": {"released", "silence", domain.NumberClaim.GiveUp, "released", "silence", domain.ErrClaimClosed},
		"kept":                   {"disputed", "rejected", keep, "kept", "decided", nil},
		"kept at once":           {"open", "", keep, "kept", "decided", nil},
		"kept too late":          {"released", "given_up", keep, "released", "given_up", domain.ErrClaimClosed},
		"released":               {"disputed", "suspended", release, "released", "decided", nil},
		"released too late":      {"kept", "decided", release, "kept", "decided", domain.ErrClaimClosed},
		"silent":                 {"open", "", silent(domain.NumberSilence, true), "released", "silence", nil},
		"silent for less":        {"open", "", silent(domain.NumberSilence-time.Microsecond, true), "open", "", nil},
		"silenced":               {"open", "", silent(domain.NumberSilence, false), "disputed", "suspended", nil},
		"silent after rejection": {"disputed", "rejected", silent(domain.NumberSilence, true), "disputed", "rejected", nil},
		"silent after decision":  {"kept", "decided", silent(domain.NumberSilence, true), "kept", "decided", nil},
	} {
		was := domain.NumberClaim{State: c.state, Reason: c.reason, OpenedAt: opened}
		got, err := c.act(was)
		if !errors.Is(err, c.err) || got.State != c.want || got.Reason != c.because || !got.OpenedAt.Equal(opened) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if waiting := got.State == "open" || got.State == "disputed"; got.Waiting() != waiting {
			t.Errorf("%s: waiting is %t", name, !waiting)
		}
	}
	if at := (domain.NumberClaim{OpenedAt: opened}).ReleaseAt(); at.Sub(opened) != 7*24*time.Hour {
		t.Errorf("released at %v", at)
	}
}
