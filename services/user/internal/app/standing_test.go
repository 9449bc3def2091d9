package app_test

import (
	"testing"
	"time"

	"github.com/sendtip/sendtip/services/user/internal/app"
)

// TestCredentialsChanged: standing tells when the PIN was replaced or a device bound, the last of both, and nothing of a customer of whom
// neither is known.
func TestCredentialsChanged(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	changed := func() time.Time {
		t.Helper()
		st, err := w.App.GetStanding(w.service("users:standing"), c.id)
		w.must(err)
		return st.CredentialsChangedAt
	}
	if at := changed(); !at.Equal(w.Now()) {
		t.Errorf("registered: %s", at)
	}
	w.Advance(time.Hour)
	w.must(w.signIn(pin))
	if at := changed(); !at.Equal(w.Now().Add(-time.Hour)) {
		t.Errorf("signing in changes nothing: %s", at)
	}
	r, err := w.App.StartPinReset(w.anyone(), phone, device)
	w.must(err)
	w.must(w.App.CompletePinReset(w.anyone(), app.PinResetInput{ID: r.ID, Otp: w.code(r.ID), Pin: "8361", Device: device}))
	reset := w.Now()
	if at := changed(); !at.Equal(reset) {
		t.Errorf("a new PIN: %s, want %s", at, reset)
	}
	w.Advance(time.Hour)
	const other = "another-0123456789"
	l, err := w.App.StartLoginChallenge(w.anyone(), phone, other)
	w.must(err)
	_, err = w.App.CreateSession(w.anyone(), app.SessionInput{Phone: phone, Pin: "8361", Device: other, ChallengeID: &l.ID, Otp: w.code(l.ID)})
	w.must(err)
	if at := changed(); !at.Equal(w.Now()) {
		t.Errorf("a new device: %s", at)
	}
	owner := w.Connect(w.DB.OwnerURL)
	_, err = owner.Exec(t.Context(), "DELETE FROM devices")
	w.must(err)
	if at := changed(); !at.Equal(reset) {
		t.Errorf("without devices: %s, want %s", at, reset)
	}
	_, err = owner.Exec(t.Context(), "DELETE FROM credential_changes")
	w.must(err)
	if at := changed(); !at.IsZero() {
		t.Errorf("never: %s", at)
	}
}
