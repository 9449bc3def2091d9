package app_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/servicetest"
	"github.com/sendtip/sendtip/services/user/internal/app"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

func TestRegistration(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	p, err := w.App.GetProfile(c.ctx)
	w.must(err)
	if p.Phone != phone || p.Status != "active" || p.KycStatus != "none" || p.Tier != 0 || p.Role != "customer" || p.Country != "KE" ||
		p.FirstName != "" {
		t.Errorf("profile %+v", p)
	}
	types, last := w.events()
	if !slices.Equal(types, []string{"user.otp_requested", "user.registered"}) || last["user_id"] != c.id.String() {
		t.Errorf("events %v, last %v", types, last)
	}
	if n := w.Count("SELECT count(*) FROM audit_log WHERE action = 'user.registered' AND object_id = $1", c.id.String()); n != 1 {
		t.Errorf("%d audit rows", n)
	}
	if !c.tokens.RefreshExpires.Equal(w.Now().Add(30 * 24 * time.Hour)) {
		t.Errorf("refresh expires %v", c.tokens.RefreshExpires)
	}
	w.noPlaintext(phone, pin)
}

// noPlaintext looks through every row of every table, events included, and every log line.
func (w *world) noPlaintext(secrets ...string) {
	w.Helper()
	rows, err := w.DB.Pool.Query(w.Context(), "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
	w.must(err)
	logs := w.Logs.String()
	for _, secret := range secrets {
		if len(secret) >= 6 && strings.Contains(logs, secret) {
			w.Error("a log line shows a secret")
		}
	}
	var tables []string
	for rows.Next() {
		var name string
		w.must(rows.Scan(&name))
		tables = append(tables, name)
	}
	w.must(rows.Err())
	for _, table := range tables {
		for _, secret := range secrets {
			if len(secret) < 6 {
				continue // four digits are in every timestamp
			}
			n := w.Count("SELECT count(*) FROM "+table+
				" r WHERE r::text LIKE '%' || $1 || '%' OR r::text LIKE '%' || encode(convert_to($1, 'UTF8'), 'hex') || '%'", secret)
			if n != 0 {
				w.Errorf("table %s shows %d secrets in plain", table, n)
			}
		}
	}
}

func TestRegistrationRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, err := w.App.StartRegistration(w.anyone(), "+254202222222", "KE", "en")
	w.want(err, domain.ErrPhoneInvalid)
	if n := w.everything(); n != 0 {
		t.Errorf("a refused phone left %d rows", n)
	}
	c, err := w.App.StartRegistration(w.anyone(), phone, "KE", "en")
	w.must(err)
	code, before := w.code(c.ID), w.everything()
	complete := func(otp, pin string) error {
		_, _, err := w.App.CompleteRegistration(w.anyone(), app.RegistrationInput{ID: c.ID, Otp: otp, Pin: pin, Device: device})
		return err
	}
	for range 10 {
		w.want(complete(code, "1234"), domain.ErrPinWeak) // costs no try
	}
	for range 5 {
		w.want(complete(wrong(code), pin), domain.ErrOtpInvalid)
	}
	w.want(complete(code, pin), domain.ErrOtpInvalid) // the sixth try is none
	_, err = w.App.TakeOtp(w.service("users:otp"), c.ID)
	w.want(err, fault.ErrNotFound)
	if n := w.everything(); n != before {
		t.Errorf("refusals left %d rows", n-before)
	}
}

func TestOtpLife(t *testing.T) {
	t.Parallel()
	w := setup(t)
	complete := func(id uuid.UUID, otp string) error {
		_, _, err := w.App.CompleteRegistration(w.anyone(), app.RegistrationInput{ID: id, Otp: otp, Pin: pin, Device: device})
		return err
	}
	c, err := w.App.StartRegistration(w.anyone(), phone, "KE", "en")
	w.must(err)
	code := w.code(c.ID)
	w.Advance(domain.OtpLife)
	w.want(complete(c.ID, code), domain.ErrOtpInvalid)
	_, err = w.App.TakeOtp(w.service("users:otp"), c.ID)
	w.want(err, fault.ErrNotFound)

	c, err = w.App.StartRegistration(w.anyone(), phone, "KE", "en")
	w.must(err)
	code = w.code(c.ID)
	w.Advance(domain.OtpLife - time.Microsecond)
	w.must(complete(c.ID, code))
	w.want(complete(c.ID, code), domain.ErrOtpInvalid) // single use
	w.want(complete(uuid.New(), code), domain.ErrOtpInvalid)
	_, err = w.App.TakeOtp(w.service("users:contacts"), c.ID)
	w.want(err, fault.ErrForbidden)
}

func TestOtpGuessesRace(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c, err := w.App.StartRegistration(w.anyone(), phone, "KE", "en")
	w.must(err)
	code := w.code(c.ID)
	servicetest.Together(40, func(int) error {
		_, _, err := w.App.CompleteRegistration(w.anyone(), app.RegistrationInput{ID: c.ID, Otp: wrong(code), Pin: pin, Device: device})
		return err
	})
	if n := w.Count("SELECT tries FROM otp_challenges"); n != 5 {
		t.Errorf("%d guesses were looked at, want 5", n)
	}
	if n := w.Count("SELECT count(*) FROM users"); n != 0 {
		t.Errorf("%d users", n)
	}
}

func TestOtpSendLimit(t *testing.T) {
	t.Parallel()
	w := setup(t)
	errs := servicetest.Together(20, func(int) error {
		_, err := w.App.StartRegistration(w.anyone(), phone, "KE", "en")
		return err
	})
	if ok, refused := tally(errs, domain.ErrOtpLimit); ok != 3 || refused != 17 {
		t.Fatalf("%d codes sent, %d refused, want 3 and 17", ok, refused)
	}
	w.Advance(10 * time.Minute)
	_, err := w.App.StartLoginChallenge(w.anyone(), phone, device) // one limit for all purposes
	w.want(err, domain.ErrOtpLimit)
	if f, _ := fault.As(err); f.RetryAfter != 5*time.Minute {
		t.Errorf("retry after %v, want 5m", f.RetryAfter)
	}
	w.Advance(5 * time.Minute)
	_, err = w.App.StartRegistration(w.anyone(), phone, "KE", "en")
	w.must(err)
}

func TestRegistrationTwice(t *testing.T) {
	t.Parallel()
	w := setup(t)
	first := w.register(phone)
	before := w.Count("SELECT count(*) FROM audit_log")
	c, err := w.App.StartRegistration(w.anyone(), phone, "KE", "en") // the same answer as for anybody
	w.must(err)
	_, _, err = w.App.CompleteRegistration(w.anyone(),
		app.RegistrationInput{ID: c.ID, Otp: w.code(c.ID), Pin: "8361", Device: device})
	w.want(err, domain.ErrAlreadyRegistered)
	if n := w.Count("SELECT count(*) FROM audit_log"); n != before {
		t.Errorf("the refusal was written: %d audit rows", n-before)
	}
	_, err = w.App.CreateSession(w.anyone(), app.SessionInput{Phone: phone, Pin: pin, Device: device})
	w.must(err)
	if p, err := w.App.GetProfile(first.ctx); err != nil || p.ID != first.id {
		t.Errorf("first customer: %+v, %v", p, err)
	}
}

func TestRegistrationConcurrent(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var ids [2]uuid.UUID
	var codes [2]string
	for i := range ids {
		c, err := w.App.StartRegistration(w.anyone(), phone, "KE", "en")
		w.must(err)
		ids[i], codes[i] = c.ID, w.code(c.ID)
	}
	errs := servicetest.Together(8, func(i int) error {
		_, _, err := w.App.CompleteRegistration(w.anyone(), app.RegistrationInput{ID: ids[i%2], Otp: codes[i%2], Pin: pin, Device: device})
		return err
	})
	if ok, _ := tally(errs, nil); ok != 1 {
		t.Errorf("%d registrations succeeded: %v", ok, errs)
	}
	if n := w.Count("SELECT count(*) FROM users"); n != 1 {
		t.Errorf("%d users", n)
	}
}

func TestPinIsSealed(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.register(phone)
	var sealed []byte
	w.must(w.DB.Pool.QueryRow(t.Context(), "SELECT pin_sealed FROM users").Scan(&sealed))
	if bytes.Contains(sealed, []byte("argon2id")) {
		t.Error("the hash is stored in plain")
	}
}
