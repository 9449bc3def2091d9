package app_test

import (
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/servicetest"
	"github.com/sendtip/sendtip/services/user/internal/app"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

// parse verifies a token as the gateway does, against the public key set.
func (w *world) parse(token, kind string) jwt.MapClaims {
	w.Helper()
	claims := jwt.MapClaims{}
	parsed, err := jwt.ParseWithClaims(token, claims, func(t *jwt.Token) (any, error) {
		return publicKey(w.T, w.App.Keys.Public(), t.Header["kid"]), nil
	}, jwt.WithValidMethods([]string{"ES256"}), jwt.WithIssuer("sendtip"), jwt.WithAudience("sendtip"), jwt.WithTimeFunc(w.Now),
		jwt.WithExpirationRequired())
	w.must(err)
	if parsed.Header["typ"] != kind {
		w.Fatalf("typ %v, want %s", parsed.Header["typ"], kind)
	}
	return claims
}

func TestCreateSession(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	tokens, err := w.App.CreateSession(w.anyone(), app.SessionInput{Phone: phone, Pin: pin, Device: device})
	w.must(err)
	claims := w.parse(tokens.Access, "at+jwt")
	want := map[string]any{"sub": c.id.String(), "sid": tokens.SessionID.String(), "tier": 0.0, "env": "test",
		"scope": "banking:read banking:write profile kyc wallet:read wallet:write"}
	for k, v := range want {
		if claims[k] != v {
			t.Errorf("claim %s = %v, want %v", k, claims[k], v)
		}
	}
	if life := tokens.AccessExpires.Sub(w.Now()); life != 10*time.Minute {
		t.Errorf("access token lives %v", life)
	}
	if tokens.SessionID == c.tokens.SessionID {
		t.Error("two sign-ins share a session")
	}
}

func TestCreateSessionRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.register(phone)
	before := w.everything()
	for name, c := range map[string]struct {
		in   app.SessionInput
		want error
	}{
		"wrong pin":      {app.SessionInput{Phone: phone, Pin: "9999", Device: device}, domain.ErrCredentialsInvalid},
		"unknown phone":  {app.SessionInput{Phone: "+254712000000", Pin: pin, Device: device}, domain.ErrDeviceUnknown},
		"unknown device": {app.SessionInput{Phone: phone, Pin: pin, Device: "another-device-0001"}, domain.ErrDeviceUnknown},
		// says nothing about the PIN
		"and wrong pin": {app.SessionInput{Phone: phone, Pin: "9999", Device: "another-device-0001"}, domain.ErrDeviceUnknown},
		"unknown code": {app.SessionInput{Phone: phone, Pin: pin, Device: "another-device-0001", ChallengeID: ptr(uuid.New()), Otp: "123456"},
			domain.ErrOtpInvalid},
	} {
		if _, err := w.App.CreateSession(w.anyone(), c.in); err == nil || err.Error() != c.want.Error() {
			t.Errorf("%s: %v, want exactly %v", name, err, c.want)
		}
	}
	if n := w.everything(); n != before {
		t.Errorf("refusals left %d rows", n-before)
	}
}

func ptr[T any](v T) *T { return &v }

func TestPinLock(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.register(phone)
	try := func(phone, pin string) error {
		_, err := w.App.CreateSession(w.anyone(), app.SessionInput{Phone: phone, Pin: pin, Device: device})
		return err
	}
	for range 4 {
		w.want(try(phone, "9999"), domain.ErrCredentialsInvalid)
	}
	w.must(try(phone, pin)) // clears the count
	lock := 15 * time.Minute
	for round := range 9 {
		for range 5 {
			w.want(try(phone, "9999"), domain.ErrCredentialsInvalid)
		}
		err := try(phone, pin)
		w.want(err, domain.ErrPinLocked)
		if f, _ := fault.As(err); f.RetryAfter != lock {
			t.Errorf("lock %d lasts %v, want %v", round+1, f.RetryAfter, lock)
		}
		w.Advance(lock - time.Microsecond)
		w.want(try(phone, pin), domain.ErrPinLocked)
		w.Advance(time.Microsecond)
		lock = min(2*lock, 24*time.Hour)
	}
	w.must(try(phone, pin))
	for range 5 {
		w.want(try(phone, "9999"), domain.ErrCredentialsInvalid)
	}
	err := try(phone, pin)
	if f, _ := fault.As(err); f == nil || f.RetryAfter != 15*time.Minute {
		t.Errorf("after a success the first lock lasts %v", err)
	}
}

func TestPinGuessesRace(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.register(phone)
	errs := servicetest.Together(60, func(int) error {
		_, err := w.App.CreateSession(w.anyone(), app.SessionInput{Phone: phone, Pin: "9999", Device: device})
		return err
	})
	if _, guesses := tally(errs, domain.ErrCredentialsInvalid); guesses != 5 {
		t.Errorf("%d guesses were looked at, want 5", guesses)
	}
	if _, locked := tally(errs, domain.ErrPinLocked); locked != 55 {
		t.Errorf("%d were locked out, want 55", locked)
	}
}

func TestNewDevice(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.register(phone)
	other := w.register("+254712000001")
	const tablet = "tablet-0123456789"
	c, err := w.App.StartLoginChallenge(w.anyone(), phone, tablet)
	w.must(err)
	in := app.SessionInput{Phone: phone, Pin: pin, Device: tablet, ChallengeID: &c.ID, Otp: w.code(c.ID)}
	misuse := in
	misuse.Device = "third-device-00001"
	_, err = w.App.CreateSession(w.anyone(), misuse)
	w.want(err, domain.ErrOtpInvalid) // the code is bound to its device
	misuse = in
	misuse.Phone = other.phone
	_, err = w.App.CreateSession(w.anyone(), misuse)
	w.want(err, domain.ErrOtpInvalid) // and to its customer
	errs := servicetest.Together(6, func(int) error { _, err := w.App.CreateSession(w.anyone(), in); return err })
	if ok, _ := tally(errs, nil); ok < 1 || w.Count("SELECT count(*) FROM devices") != 3 {
		t.Errorf("new device: %v", errs)
	}
	if n := w.Count("SELECT count(*) FROM audit_log WHERE action = 'device.bound'"); n != 1 {
		t.Errorf("bound %d times with one code", n)
	}
	_, err = w.App.CreateSession(w.anyone(), app.SessionInput{Phone: phone, Pin: pin, Device: tablet})
	w.must(err) // known from now on
}

func TestLoginChallengeTellsNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.register(phone)
	before, _ := w.events()
	known, err := w.App.StartLoginChallenge(w.anyone(), phone, device)
	w.must(err)
	unknown, err := w.App.StartLoginChallenge(w.anyone(), "+254712000000", device)
	w.must(err)
	if !known.ExpiresAt.Equal(unknown.ExpiresAt) || !known.ResendAfter.Equal(unknown.ResendAfter) {
		t.Errorf("answers differ: %+v, %+v", known, unknown)
	}
	if after, _ := w.events(); len(after) != len(before)+1 {
		t.Errorf("%d messages, want 1: nobody pays for SMS to strangers", len(after)-len(before))
	}
	_, err = w.App.TakeOtp(w.service("users:otp"), unknown.ID)
	w.want(err, fault.ErrNotFound)
	for range 2 {
		_, err = w.App.StartLoginChallenge(w.anyone(), "+254712000000", device)
		w.must(err)
	}
	_, err = w.App.StartLoginChallenge(w.anyone(), "+254712000000", device)
	w.want(err, domain.ErrOtpLimit) // the limit is the same, too
}

func TestDeleteSession(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	before, none, err := w.App.ListRevocations(w.service("users:revocations"), nil)
	w.must(err)
	if len(none) != 0 {
		t.Errorf("revocations %v", none)
	}
	for range 2 {
		w.must(w.App.DeleteSession(c.ctx))
	}
	now, list, err := w.App.ListRevocations(w.service("users:revocations"), &before)
	w.must(err)
	if len(list) != 1 || list[0].ID != c.tokens.SessionID || list[0].Kind != "session" || now.Before(list[0].RevokedAt) {
		t.Errorf("revocations %+v at %v", list, now)
	}
	if _, list, _ = w.App.ListRevocations(w.service("users:revocations"), &now); len(list) != 0 {
		t.Errorf("an old revocation is listed since %v: %+v", now, list)
	}
	_, err = w.App.RefreshSession(w.anyone(),
		app.RefreshInput{Token: c.tokens.Refresh, Device: device, IdempotencyKey: "key-0123456789abcdef"})
	w.want(err, domain.ErrRefreshInvalid)
	_, err = w.App.CreateStepUp(c.ctx, app.StepUpInput{Pin: pin, Operation: "createTransfer", Approves: quoted(uuid.New())})
	w.want(err, domain.ErrSessionEnded)
	_, _, err = w.App.ListRevocations(w.service("users:lookup"), nil)
	w.want(err, fault.ErrForbidden)
	if n := w.Count("SELECT count(*) FROM audit_log WHERE action = 'session.revoked'"); n != 1 {
		t.Errorf("%d audit rows", n)
	}
}

func TestStepUp(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	quote := uuid.MustParse("01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e")
	in := app.StepUpInput{Pin: pin, Operation: "createTransfer", Approves: quoted(quote)}
	s, err := w.App.CreateStepUp(c.ctx, in)
	w.must(err)
	claims := w.parse(s.Token, "step-up+jwt")
	want := map[string]any{
		"sub": c.id.String(), "sid": c.tokens.SessionID.String(), "op": "createTransfer", "env": "test",
		"hash": "PvBoCujg8O13A27CDGacx70UqNWo8yv_cuGbItGkEFI",
	}
	for k, v := range want {
		if claims[k] != v {
			t.Errorf("claim %s = %v, want %v", k, claims[k], v)
		}
	}
	if claims["scope"] != nil || claims["jti"] == "" || s.ExpiresAt.Sub(w.Now()) != 5*time.Minute {
		t.Errorf("claims %v, expires %v", claims, s.ExpiresAt)
	}
	again, err := w.App.CreateStepUp(c.ctx, in)
	w.must(err)
	if w.parse(again.Token, "step-up+jwt")["jti"] == claims["jti"] {
		t.Error("two approvals share an id")
	}
	bad := in
	bad.Operation = "deleteEverything"
	_, err = w.App.CreateStepUp(c.ctx, bad)
	w.want(err, domain.ErrStepUpUnknown)
	_, err = w.App.CreateStepUp(w.as(c.id, c.tokens.SessionID), in)
	w.want(err, fault.ErrForbidden)
	_, err = w.App.CreateStepUp(w.as(uuid.New(), c.tokens.SessionID, "profile"), in)
	w.want(err, domain.ErrSessionEnded)
	bad = in
	bad.Pin = "9999"
	for range 5 {
		_, err = w.App.CreateStepUp(c.ctx, bad)
		w.want(err, domain.ErrPinInvalid)
	}
	_, err = w.App.CreateStepUp(c.ctx, in)
	w.want(err, domain.ErrPinLocked)
	_, err = w.App.CreateSession(w.anyone(), app.SessionInput{Phone: phone, Pin: pin, Device: device})
	w.want(err, domain.ErrPinLocked) // one lock for both
}

func TestSweep(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	w.must(w.App.DeleteSession(c.ctx))
	w.want(w.signIn("9999"), domain.ErrCredentialsInvalid)
	if n, err := w.App.Sweep(t.Context()); err != nil || n != 0 {
		t.Errorf("swept %d fresh rows, %v", n, err)
	}
	w.Advance(40 * 24 * time.Hour)
	// a code, a try, a revocation, a session, the counts of codes (phone, range) and of sign-ins
	if n, err := w.App.Sweep(t.Context()); err != nil || n != 7 {
		t.Errorf("swept %d rows, %v, want 7", n, err)
	}
	if n := w.Count("SELECT count(*) FROM users"); n != 1 {
		t.Error("the customer was swept away")
	}
	if n := w.Count("SELECT count(*) FROM refresh_tokens"); n != 0 {
		t.Errorf("%d refresh tokens outlive their session", n)
	}
}

// TestSweepAll: more than one statement takes goes all the same, and what cannot be swept keeps nothing else.
func TestSweepAll(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, err := w.DB.Pool.Exec(t.Context(),
		"INSERT INTO limit_counts (key, taken, expires_at) SELECT decode(lpad(to_hex(n), 64, '0'), 'hex'), '{}', $1 FROM generate_series(1, "+
			"2500) n", w.Now())
	w.must(err)
	_, err = w.Connect(w.DB.AdminURL).Exec(t.Context(), "REVOKE DELETE ON otp_challenges FROM user_app")
	w.must(err)
	if n, err := w.App.Sweep(t.Context()); err == nil || n != 2500 {
		t.Errorf("swept %d, %v, want all of 2,500 and an error about the codes", n, err)
	}
}

// TestSweepLeavesWhatIsCounted: a row that was due, and that a request counts on at this moment, stays with its count.
func TestSweepLeavesWhatIsCounted(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.register(phone)
	w.want(w.signIn("9999"), domain.ErrCredentialsInvalid)
	w.Advance(40 * 24 * time.Hour)
	counting := w.begin()
	for _, statement := range []string{"UPDATE limit_counts SET taken = taken || $1::timestamptz, expires_at = $1",
		"UPDATE pin_attempts SET tries = tries + 1, updated_at = $1"} {
		_, err := counting.Exec(t.Context(), statement, w.Now().Add(time.Minute))
		w.must(err)
	}
	_, err := w.App.Sweep(t.Context())
	w.must(err)
	w.must(counting.Commit(t.Context()))
	if limits, tries := w.Count("SELECT count(*) FROM limit_counts"), w.Count("SELECT count(*) FROM pin_attempts"); limits != 3 || tries != 1 {
		t.Errorf("%d counts and %d tries are left, want 3 and 1", limits, tries)
	}
}

// TestStrangersTries: who knows only a phone number learns nothing about the PIN and locks nobody; who holds the SIM as well guesses five
// times, and locks neither the owner's devices nor profits from the owner's right PINs.
func TestStrangersTries(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	const other = "stranger-0123456789"
	for _, p := range []string{"9999", pin} {
		for range 6 {
			_, err := w.App.CreateSession(w.anyone(), app.SessionInput{Phone: phone, Pin: p, Device: other})
			w.want(err, domain.ErrDeviceUnknown)
		}
	}
	w.must(w.signIn(pin))
	code := func() (uuid.UUID, string) {
		challenge, err := w.App.StartLoginChallenge(w.anyone(), phone, other)
		w.must(err)
		return challenge.ID, w.code(challenge.ID)
	}
	id, otp := code()
	holder := func(p string) error {
		_, err := w.App.CreateSession(w.anyone(), app.SessionInput{Phone: phone, Pin: p, Device: other, ChallengeID: &id, Otp: otp})
		return err
	}
	for range 4 {
		w.want(holder("9999"), domain.ErrCredentialsInvalid)
	}
	w.must(w.signIn(pin)) // the owner's success is no fresh start for the other
	w.want(holder("9999"), domain.ErrCredentialsInvalid)
	id, otp = code()
	w.want(holder(pin), domain.ErrPinLocked) // the right PIN is no better
	w.must(w.signIn(pin))
	_, err := w.App.CreateStepUp(c.ctx, app.StepUpInput{Pin: pin, Operation: "createTransfer", Approves: quoted(uuid.New())})
	w.must(err)
}
