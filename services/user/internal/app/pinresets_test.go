package app_test

import (
	"testing"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/servicetest"
	"github.com/sendtip/sendtip/services/user/internal/app"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

func (w *world) signIn(pin string) error {
	_, err := w.App.CreateSession(w.anyone(), app.SessionInput{Phone: phone, Pin: pin, Device: device})
	return err
}

func TestPinReset(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	for range 5 {
		w.want(w.signIn("9999"), domain.ErrCredentialsInvalid)
	}
	w.want(w.signIn(pin), domain.ErrPinLocked)
	r, err := w.App.StartPinReset(w.anyone(), phone, device)
	w.must(err)
	in := app.PinResetInput{ID: r.ID, Otp: w.code(r.ID), Pin: "8361", Device: device}
	weak, elsewhere := in, in
	weak.Pin, elsewhere.Device = "1111", "thief-0123456789"
	w.want(w.App.CompletePinReset(w.anyone(), weak), domain.ErrPinWeak)
	w.want(w.App.CompletePinReset(w.anyone(), elsewhere), domain.ErrOtpInvalid)
	errs := servicetest.Together(3, func(int) error { return w.App.CompletePinReset(w.anyone(), in) })
	if ok, refused := tally(errs, domain.ErrOtpInvalid); ok != 1 || refused != 2 {
		t.Errorf("one code resets %d times: %v", ok, errs)
	}
	w.want(w.signIn(pin), domain.ErrCredentialsInvalid)
	w.must(w.signIn("8361"))
	_, err = w.refresh(c.tokens.Refresh, device, "key-a")
	w.want(err, domain.ErrRefreshInvalid) // whoever was signed in is out
	if n := w.Count("SELECT count(*) FROM audit_log WHERE action = 'user.pin_reset'"); n != 1 {
		t.Errorf("%d audit rows", n)
	}
}

func TestPinResetOfVerified(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.decided(w.register(phone), "30112230")
	r, err := w.App.StartPinReset(w.anyone(), phone, device)
	w.must(err)
	in := app.PinResetInput{ID: r.ID, Otp: w.code(r.ID), Pin: "8361", Device: device}
	w.want(w.App.CompletePinReset(w.anyone(), in), domain.ErrIdentityRequired)
	in.IDNumber = "30112231"
	w.want(w.App.CompletePinReset(w.anyone(), in), domain.ErrIdentityRequired)
	w.must(w.signIn(pin)) // nothing has changed
	in.IDNumber = "030112230"
	w.must(w.App.CompletePinReset(w.anyone(), in))
	w.must(w.signIn("8361"))

	r, err = w.App.StartPinReset(w.anyone(), phone, device)
	w.must(err)
	in = app.PinResetInput{ID: r.ID, Otp: w.code(r.ID), Pin: "9462", Device: device, IDNumber: "1"}
	for range 5 {
		w.want(w.App.CompletePinReset(w.anyone(), in), domain.ErrIdentityRequired)
	}
	in.IDNumber = "30112230"
	w.want(w.App.CompletePinReset(w.anyone(), in), domain.ErrOtpInvalid) // guesses of the number cost the code's tries
}

// TestPinResetDuringSignIn: a PIN that was right when it was compared opens no session once another one is set. Both wait for the
// customer's row, the reset first.
func TestPinResetDuringSignIn(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	r, err := w.App.StartPinReset(w.anyone(), phone, device)
	w.must(err)
	in := app.PinResetInput{ID: r.ID, Otp: w.code(r.ID), Pin: "8361", Device: device}
	hold := w.begin()
	_, err = hold.Exec(t.Context(), "SELECT 1 FROM users WHERE id = $1 FOR UPDATE", c.id)
	w.must(err)
	reset, signedIn := make(chan error, 1), make(chan error, 1)
	go func() { reset <- w.App.CompletePinReset(w.anyone(), in) }()
	w.AwaitLocks(1)
	go func() { signedIn <- w.signIn(pin) }() // the PIN is still the one that is stored
	w.AwaitLocks(2)
	w.must(hold.Rollback(t.Context()))
	w.must(<-reset)
	w.want(<-signedIn, domain.ErrCredentialsInvalid)
	if n := w.Count("SELECT count(*) FROM sessions WHERE revoked_at IS NULL"); n != 0 {
		t.Errorf("%d sessions outlive the reset", n)
	}
	w.must(w.signIn("8361"))
}

func TestPinResetTellsNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.register(phone)
	w.officer()
	before, _ := w.events()
	for _, c := range [][2]string{{"+254712000000", device}, {phone, "thief-0123456789"}, {"+254799000001", device}} {
		r, err := w.App.StartPinReset(w.anyone(), c[0], c[1])
		w.must(err)
		_, err = w.App.TakeOtp(w.service("users:otp"), r.ID)
		w.want(err, fault.ErrNotFound)
		w.want(w.App.CompletePinReset(w.anyone(), app.PinResetInput{ID: r.ID, Otp: "123456", Pin: "8361", Device: c[1]}), domain.ErrOtpInvalid)
	}
	if after, _ := w.events(); len(after) != len(before) {
		t.Errorf("%d messages to strangers", len(after)-len(before))
	}
	login, err := w.App.StartLoginChallenge(w.anyone(), phone, device)
	w.must(err)
	// a code serves its purpose only
	w.want(w.App.CompletePinReset(w.anyone(), app.PinResetInput{ID: login.ID, Otp: w.code(login.ID), Pin: "8361", Device: device}),
		domain.ErrOtpInvalid)
}
