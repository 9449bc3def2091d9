package app_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/seal"
	"github.com/sendtip/sendtip/kit/service"
	"github.com/sendtip/sendtip/kit/servicetest"
	"github.com/sendtip/sendtip/services/user/internal/app"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

// stranger is one request of somebody who knows a number and nothing else; the kinds take turns.
func (w *world) stranger(n int, phone string) error {
	elsewhere := fmt.Sprintf("stranger-%08d", n)
	var err error
	switch n % 4 {
	case 0:
		_, err = w.App.StartRegistration(w.anyone(), phone, "KE", "en")
	case 1:
		_, err = w.App.StartLoginChallenge(w.anyone(), phone, elsewhere)
	case 2:
		_, err = w.App.StartPinReset(w.anyone(), phone, elsewhere)
	default:
		_, err = w.App.CreateSession(w.anyone(),
			app.SessionInput{Phone: phone, Pin: pin, Device: elsewhere, ChallengeID: ptr(uuid.New()), Otp: "123456"})
	}
	return err
}

// TestStrangersSpendNothing: 1,000 requests with her number, and she signs in, approves and resets her PIN on her own phone.
func TestStrangersSpendNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	w.Advance(domain.OtpWindow)
	var codes, tries, refused int
	for n := range 1000 {
		err := w.stranger(n, phone)
		f, ok := fault.As(err)
		switch {
		case err == nil:
			codes++
		case ok && f.Code == domain.ErrOtpInvalid.Code:
			tries++
		case ok && f.Kind == fault.TooMany && f.RetryAfter == domain.OtpWindow:
			refused++
		default:
			t.Fatalf("request %d: %v", n, err)
		}
	}
	if codes != 3 || tries != 20 || refused != 977 {
		t.Errorf("strangers got %d codes and %d tries, %d were refused; want 3, 20 and the others", codes, tries, refused)
	}
	w.must(w.signIn(pin))
	_, err := w.App.CreateStepUp(c.ctx, app.StepUpInput{Pin: pin, Operation: "createTransfer", Approves: quoted(uuid.New())})
	w.must(err)
	_, err = w.App.StartLoginChallenge(w.anyone(), phone, device)
	w.must(err)
	r, err := w.App.StartPinReset(w.anyone(), phone, device)
	w.must(err)
	w.must(w.App.CompletePinReset(w.anyone(), app.PinResetInput{ID: r.ID, Otp: w.code(r.ID), Pin: "8361", Device: device}))
	w.must(w.signIn("8361"))
	_, err = w.App.StartLoginChallenge(w.anyone(), phone, "her-new-phone-0001")
	w.want(err, domain.ErrOtpLimit) // a new phone is a stranger until a code has proved it
	w.Advance(domain.OtpWindow)
	_, err = w.App.StartLoginChallenge(w.anyone(), phone, "her-new-phone-0001")
	w.must(err)
	if n := w.Count("SELECT count(*) FROM limit_counts WHERE position(convert_to('712345678', 'UTF8') IN key) > 0"); n != 0 {
		t.Error("a key shows the phone")
	}
}

// TestLimitTellsNothing: a stranger sees the same admitted and refused, and the same waits, for a customer's phone and for nobody's.
func TestLimitTellsNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.register(phone)
	w.Advance(domain.OtpWindow)
	see := func(phone string, n int) string {
		err := w.stranger(n, phone)
		f, ok := fault.As(err)
		if !ok {
			return fmt.Sprint(err)
		}
		return fmt.Sprint(f.Code, f.RetryAfter)
	}
	for n := range 120 {
		if known, unknown := see(phone, n), see("+254712000000", n); known != unknown {
			t.Fatalf("request %d: %s of a customer's phone, %s of nobody's", n, known, unknown)
		}
		w.Advance(7 * time.Second)
	}
}

// TestLimitsAreExact: as many as the limit are admitted of many at once; the refusal's wait is not a microsecond too short or too long;
// and the window slides: in none of its length were more admitted.
func TestLimitsAreExact(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.register(phone)
	const elsewhere = "stranger-0123456789"
	signIn := func(device string) func() error {
		return func() error {
			_, err := w.App.CreateSession(w.anyone(), app.SessionInput{Phone: phone, Pin: "9999", Device: device})
			if f, ok := fault.As(err); ok && f.Code != domain.ErrSignInLimit.Code {
				return nil // admitted, and refused for another reason
			}
			return err
		}
	}
	code := func(device string) func() error {
		return func() error { _, err := w.App.StartLoginChallenge(w.anyone(), phone, device); return err }
	}
	for name, c := range map[string]struct {
		limit domain.Limit
		ask   func() error
	}{
		"sign-ins on her device": {domain.SignInsOfDevice, signIn(device)}, "sign-ins elsewhere": {domain.SignInsOfPhone, signIn(elsewhere)},
		"codes on her device": {domain.CodesOfDevice, code(device)}, "codes elsewhere": {domain.CodesOfPhone, code(elsewhere)},
	} {
		w.Advance(c.limit.Window)
		errs := servicetest.Together(c.limit.Max+20, func(int) error { return c.ask() })
		if ok, refused := tally(errs, c.limit.Refused); ok != c.limit.Max || refused != 20 {
			t.Fatalf("%s: %d admitted at once and %d refused, want %d and 20", name, ok, refused, c.limit.Max)
		}
		w.Advance(c.limit.Window)
		var admitted []time.Time
		for n := range 3 * c.limit.Max {
			err := c.ask()
			if f, ok := fault.As(err); ok && f.Code == c.limit.Refused.Code {
				w.Advance(f.RetryAfter - time.Microsecond)
				w.want(c.ask(), c.limit.Refused)
				w.Advance(time.Microsecond)
				err = c.ask()
			}
			if err != nil {
				t.Fatalf("%s: request %d after the wait it was told: %v", name, n, err)
			}
			admitted = append(admitted, w.Now())
			w.Advance(time.Duration(n%7) * time.Second)
		}
		for i := c.limit.Max; i < len(admitted); i++ {
			if d := admitted[i].Sub(admitted[i-c.limit.Max]); d < c.limit.Window {
				t.Fatalf("%s: %d admitted within %v", name, c.limit.Max+1, d)
			}
		}
	}
}

// TestLimitAcrossRotation: a new key-encryption key, with the old one beside it, is no fresh start.
func TestLimitAcrossRotation(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ask := func() error { _, err := w.App.StartRegistration(w.anyone(), phone, "KE", "en"); return err }
	w.must(ask())
	w.Advance(time.Minute)
	w.must(ask())
	sealer, err := seal.New(bytes.Repeat([]byte{8}, seal.KeySize), bytes.Repeat([]byte{7}, seal.KeySize))
	w.must(err)
	w.Rebuild(func(p *service.Parts, _ *app.Deps) { p.Sealer = sealer })
	w.Advance(time.Minute)
	w.must(ask())
	err = ask()
	w.want(err, domain.ErrOtpLimit)
	if f, _ := fault.As(err); f.RetryAfter != 13*time.Minute {
		t.Errorf("the next is admitted in %v, want 13m", f.RetryAfter)
	}
	w.Advance(13 * time.Minute)
	w.must(ask())
	w.want(ask(), domain.ErrOtpLimit)
}

// TestPrefixLimit: at most 200 codes an hour go to one range of numbers, whoever's they are; customers' devices and other ranges do not
// notice, a full range does not tell whose the numbers are, and what it refuses is counted nowhere else.
func TestPrefixLimit(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	w.Advance(time.Hour)
	errs := servicetest.Together(250, func(i int) error {
		number := fmt.Sprintf("+25471230%04d", i)
		if i%2 == 0 {
			_, err := w.App.StartRegistration(w.anyone(), number, "KE", "en")
			return err
		}
		_, err := w.App.StartLoginChallenge(w.anyone(), number, "stranger-0123456789") // nobody's: counted all the same
		return err
	})
	if ok, refused := tally(errs, domain.ErrOtpLimit); ok != 200 || refused != 50 {
		t.Fatalf("%d codes went to the range and %d were refused, want 200 and 50", ok, refused)
	}
	if n := w.Counted("user_limited_total", "code_prefix"); n != 50 {
		t.Errorf("the metric counts %v, want 50", n)
	}
	for what, ask := range map[string]func() error{
		"a new number": func() error { _, err := w.App.StartRegistration(w.anyone(), "+254712399999", "KE", "en"); return err },
		"a customer's": func() error {
			_, err := w.App.StartLoginChallenge(w.anyone(), c.phone, "stranger-0123456789")
			return err
		},
		"a customer's reset": func() error { _, err := w.App.StartPinReset(w.anyone(), c.phone, "stranger-0123456789"); return err },
	} {
		err := ask()
		w.want(err, domain.ErrOtpLimit)
		if f, _ := fault.As(err); f.RetryAfter != time.Hour {
			t.Errorf("%s: wait %v, want an hour", what, f.RetryAfter)
		}
	}
	_, err := w.App.StartPinReset(w.anyone(), c.phone, device)
	w.must(err) // on her own device
	_, err = w.App.StartRegistration(w.anyone(), "+254712400000", "KE", "en")
	w.must(err) // the next range
	w.Advance(time.Hour)
	for range 3 { // the refused ones took nothing of the phone's own count
		_, err = w.App.StartLoginChallenge(w.anyone(), c.phone, "stranger-0123456789")
		w.must(err)
	}
}
