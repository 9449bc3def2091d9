package app_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/servicetest"
	"github.com/sendtip/sendtip/services/user/internal/app"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

func TestSuspendUser(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, admin := w.officer()
	c := w.register(phone)
	second, err := w.App.CreateSession(w.anyone(), app.SessionInput{Phone: phone, Pin: pin, Device: device})
	w.must(err)
	errs := servicetest.Together(5, func(int) error { _, err := w.App.SuspendUser(admin, c.id, "Lost phone of Amina"); return err })
	if ok, _ := tally(errs, nil); ok != 5 {
		t.Errorf("repeated suspensions: %v", errs)
	}
	types, last := w.events()
	if n := len(types); types[n-1] != "user.status_changed" || types[n-2] == "user.status_changed" || last["status"] != "suspended" ||
		last["version"] != 2.0 {
		t.Errorf("events %v, last %v", types, last)
	}
	_, list, err := w.App.ListRevocations(w.service("users:revocations"), nil)
	w.must(err)
	var revoked []uuid.UUID
	for _, r := range list {
		revoked = append(revoked, r.ID)
	}
	if len(revoked) != 2 || !slices.Contains(revoked, c.tokens.SessionID) || !slices.Contains(revoked, second.SessionID) {
		t.Errorf("revoked %v", revoked)
	}
	_, err = w.App.CreateSession(w.anyone(), app.SessionInput{Phone: phone, Pin: pin, Device: device})
	w.want(err, domain.ErrUserSuspended)
	_, err = w.App.CreateSession(w.anyone(), app.SessionInput{Phone: phone, Pin: "9999", Device: device})
	w.want(err, domain.ErrCredentialsInvalid) // only who knows the PIN learns of the suspension
	_, err = w.refresh(c.tokens.Refresh, device, "key-a")
	w.want(err, domain.ErrRefreshInvalid)
	_, err = w.App.UpdateProfile(c.ctx, app.ProfileInput{Language: ptr("sw")})
	w.want(err, domain.ErrUserSuspended)
	_, err = w.submit(c, "30112230", "key-a")
	w.want(err, domain.ErrUserSuspended)
	out, err := w.App.ReinstateUser(admin, c.id)
	w.must(err)
	if out.Status != "active" || out.Version != 3 {
		t.Errorf("%+v", out)
	}
	if out, err = w.App.ReinstateUser(admin, c.id); err != nil || out.Version != 3 {
		t.Errorf("repeated: %+v, %v", out, err)
	}
	_, err = w.refresh(c.tokens.Refresh, device, "key-a")
	w.want(err, domain.ErrRefreshInvalid) // old sessions stay dead
	_, err = w.App.CreateSession(w.anyone(), app.SessionInput{Phone: phone, Pin: pin, Device: device})
	w.must(err)
	w.noPlaintext("Lost phone of Amina")
	for action, want := range map[string]int{"user.suspended": 1, "user.reinstated": 1} {
		if n := w.Count("SELECT count(*) FROM audit_log WHERE action = $1 AND object_id = $2", action, c.id.String()); n != want {
			t.Errorf("%s audited %d times", action, n)
		}
	}
}

// TestSuspendedCustomer: what a suspended customer holds and asks for gives them nothing: with the sessions that the suspension ended, and
// with one that is live all the same, as after a repair by hand.
func TestSuspendedCustomer(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, admin := w.officer()
	ended, live := w.register(phone), w.register("+254712000001")
	_, err := w.App.SuspendUser(admin, ended.id, "Lost phone")
	w.must(err)
	_, err = w.DB.Pool.Exec(t.Context(), "UPDATE users SET status = 'suspended' WHERE id = $1", live.id)
	w.must(err)
	for name, c := range map[string]struct {
		customer
		refresh, stepUp error
	}{
		"sessions ended": {ended, domain.ErrRefreshInvalid, domain.ErrSessionEnded},
		"session live":   {live, domain.ErrUserSuspended, domain.ErrUserSuspended},
	} {
		r, err := w.App.StartPinReset(w.anyone(), c.phone, device) // the same answer as for anybody
		w.must(err)
		code, before := w.code(r.ID), w.everything()
		_, err = w.refresh(c.tokens.Refresh, device, "key-a")
		w.want(err, c.refresh)
		_, err = w.App.CreateStepUp(c.ctx, app.StepUpInput{Pin: pin, Operation: "createTransfer", Approves: quoted(uuid.New())})
		w.want(err, c.stepUp)
		w.want(w.App.CompletePinReset(w.anyone(), app.PinResetInput{ID: r.ID, Otp: code, Pin: "8361", Device: device}), domain.ErrUserSuspended)
		if n := w.everything(); n != before {
			t.Errorf("%s: refusals left %d rows", name, n-before)
		}
		if n := w.Count("SELECT count(*) FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id WHERE s.user_id = $1 AND t.used_at IS "+
			"NOT NULL", c.id); n != 0 {
			t.Errorf("%s: %d refresh tokens were spent", name, n)
		}
		_, err = w.App.ReinstateUser(admin, c.id)
		w.must(err)
		_, err = w.App.CreateSession(w.anyone(), app.SessionInput{Phone: c.phone, Pin: pin, Device: device}) // the PIN is the old one
		w.must(err)
	}
}

func TestSuspendAgainstSignIn(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, admin := w.officer()
	c := w.register(phone)
	servicetest.Together(6, func(i int) error {
		if i == 3 {
			_, err := w.App.SuspendUser(admin, c.id, "race")
			return err
		}
		_, err := w.App.CreateSession(w.anyone(), app.SessionInput{Phone: phone, Pin: pin, Device: device})
		return err
	})
	if n := w.Count("SELECT count(*) FROM sessions WHERE revoked_at IS NULL"); n != 0 {
		t.Errorf("%d sessions of a suspended customer live", n)
	}
}

func TestSuspendRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	adminID, admin := w.officer()
	c := w.register(phone)
	before := w.everything()
	_, err := w.App.SuspendUser(c.ctx, adminID, "revenge")
	w.want(err, fault.ErrForbidden)
	_, err = w.App.SuspendUser(w.as(c.id, c.tokens.SessionID, "admin:users"), adminID, "revenge")
	w.want(err, fault.ErrForbidden)
	_, err = w.App.SuspendUser(admin, adminID, "mistake")
	w.want(err, domain.ErrOwnRecord)
	_, err = w.App.SuspendUser(admin, uuid.New(), "nobody")
	w.want(err, fault.ErrNotFound)
	if n := w.everything(); n != before {
		t.Errorf("refusals left %d rows", n-before)
	}
}

// TestManyRevocations: a gateway that reads on from the time of each answer, less 30 s, misses none of more than one answer can hold.
func TestManyRevocations(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const all = 120_000 // the rest is older than the overlap
	_, err := w.DB.Pool.Exec(t.Context(), `INSERT INTO revocations (kind, subject_id, revoked_at)
		SELECT 'session', gen_random_uuid(), $2::timestamptz - interval '5 minutes' * (1 - n::float / $1) FROM generate_series(1, $1) n`,
		all, w.Clock.Now())
	w.must(err)
	ctx, seen := w.service("users:revocations"), map[uuid.UUID]bool{}
	var since *time.Time
	for range 3 {
		at, list, err := w.App.ListRevocations(ctx, since)
		w.must(err)
		for _, r := range list {
			seen[r.ID] = true
		}
		since = ptr(at.Add(-30 * time.Second))
	}
	if len(seen) != all {
		t.Errorf("the gateway learns of %d revocations of %d", len(seen), all)
	}
}

func TestLookups(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	other := w.register("+254712000001")
	lookup := w.service("users:lookup")
	p, err := w.App.LookupRecipient(lookup, phone)
	w.must(err)
	if p.ID != c.id || p.MaskedName() != "" || p.Tier != 0 {
		t.Errorf("before verification: %+v", p)
	}
	w.decided(c, "30112230")
	p, err = w.App.LookupRecipient(lookup, phone)
	w.must(err)
	if p.MaskedName() != "Amina W." || p.Tier != 1 || p.Status != "active" {
		t.Errorf("%+v", p)
	}
	_, err = w.App.LookupRecipient(lookup, "+254712000009")
	w.want(err, domain.ErrRecipientNotFound)
	_, err = w.App.LookupRecipient(c.ctx, phone)
	w.want(err, fault.ErrForbidden)

	w.must(ignore(w.App.UpdateProfile(c.ctx, app.ProfileInput{Email: ptr("amina@example.com"), Language: ptr("sw")})))
	p, err = w.App.GetContacts(w.service("users:contacts"), c.id)
	w.must(err)
	if p.Phone != phone || p.Email != "amina@example.com" || p.Language != "sw" || p.FirstName != "Amina" {
		t.Errorf("contacts %+v", p)
	}
	behalf := auth.Principal{Subject: "user:" + other.id.String(), Act: "service:notification", Scopes: []string{"users:contacts"}}
	_, err = w.App.GetContacts(auth.With(t.Context(), behalf), c.id)
	w.want(err, fault.ErrForbidden)
	w.must(ignore(w.App.GetContacts(auth.With(t.Context(), behalf), other.id)))
	_, err = w.App.GetContacts(w.service("users:lookup"), c.id)
	w.want(err, fault.ErrForbidden)
	_, err = w.App.GetContacts(w.service("users:contacts"), uuid.New())
	w.want(err, fault.ErrNotFound)
	w.noPlaintext("amina@example.com", "Amina")
}

func ignore[T any](_ T, err error) error { return err }

func TestUpdateProfile(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	before := w.everything()
	_, err := w.App.UpdateProfile(c.ctx, app.ProfileInput{})
	w.want(err, fault.ErrInvalid)
	_, err = w.App.UpdateProfile(w.as(c.id, c.tokens.SessionID, "kyc"), app.ProfileInput{Language: ptr("sw")})
	w.want(err, fault.ErrForbidden)
	_, err = w.App.UpdateProfile(w.service("profile"), app.ProfileInput{Language: ptr("sw")})
	w.want(err, fault.ErrForbidden)
	if n := w.everything(); n != before {
		t.Errorf("refusals left %d rows", n-before)
	}
	p, err := w.App.UpdateProfile(c.ctx, app.ProfileInput{Email: ptr("amina@example.com")})
	w.must(err)
	if p.Email != "amina@example.com" || p.Language != "en" {
		t.Errorf("%+v", p)
	}
	p, err = w.App.UpdateProfile(c.ctx, app.ProfileInput{Language: ptr("sw")})
	w.must(err)
	if p.Email != "amina@example.com" || p.Language != "sw" {
		t.Errorf("%+v", p)
	}
	if n := w.Count("SELECT count(*) FROM audit_log WHERE action = 'user.profile_updated'"); n != 2 {
		t.Errorf("%d audit rows", n)
	}
}

// TestStanding is what other services may believe: as it is now, for those with the scope only.
func TestStanding(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, admin := w.officer()
	c, registered := w.register(phone), w.Now().UTC()
	may := w.service("users:standing")
	first, err := w.App.GetStanding(may, c.id)
	w.must(err)
	if want := (app.Standing{UserID: c.id, Status: domain.StatusActive, Country: "KE", Number: domain.NumberHeld, Version: 1,
		CredentialsChangedAt: registered}); first != want {
		t.Errorf("%+v, want %+v", first, want)
	}
	w.must(ignore(w.App.SuspendUser(admin, c.id, "Lost phone of Amina")))
	second, err := w.App.GetStanding(may, c.id)
	w.must(err)
	if second.Status != domain.StatusSuspended || second.Version != 2 {
		t.Errorf("suspended: %+v", second)
	}
	_, err = w.App.GetStanding(w.service("users:contacts"), c.id)
	w.want(err, fault.ErrForbidden)
	_, err = w.App.GetStanding(may, uuid.New())
	w.want(err, fault.ErrNotFound)
}
