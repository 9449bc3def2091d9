package app_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"github.com/sendtip/sendtip/generated/scopes"
	"github.com/sendtip/sendtip/kit/approve"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/servicetest"
	"github.com/sendtip/sendtip/services/user/internal/app"
	"github.com/sendtip/sendtip/services/user/internal/domain"
	"github.com/sendtip/sendtip/services/user/internal/testworld"
)

// member signs in as a member of staff without an authenticator, and sets one up.
type member struct {
	id     uuid.UUID
	phone  string
	secret string
	tokens app.Tokens
	ctx    context.Context // with every right of the role
}

func (w *world) signInAs(m *member, code string) error {
	w.Helper()
	t, err := w.App.CreateSession(w.anyone(), app.SessionInput{Phone: m.phone, Pin: testworld.OperatorPin, Device: device, Totp: code})
	if err == nil {
		m.tokens = t
	}
	return err
}

func (w *world) member(phone, role string) *member {
	w.Helper()
	m := &member{id: w.Staff(phone, role), phone: phone}
	w.must(w.signInAs(m, ""))
	ctx := w.as(m.id, m.tokens.SessionID, "profile", "totp")
	shown, err := w.App.CreateTotp(ctx, testworld.OperatorPin)
	w.must(err)
	m.secret = shown.Secret
	w.must(w.App.ConfirmTotp(ctx, w.totp(m, 0)))
	m.ctx = w.as(m.id, m.tokens.SessionID, scopes.OfRole(role)...)
	return m
}

// totp is the code of a time step, counted from now.
func (w *world) totp(m *member, ahead int64) string {
	w.Helper()
	step := w.Now().Unix()/30 + ahead
	code, err := hotp.GenerateCodeCustom(m.secret, uint64(step),
		hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	w.must(err)
	return code
}

func (w *world) rightsOf(t app.Tokens) (scope, role string) {
	w.Helper()
	claims := w.parse(t.Access, "at+jwt")
	return fmt.Sprint(claims["scope"]), fmt.Sprint(claims["roles"])
}

// TestStaffRights: without an authenticator a member of staff can do nothing but set one up; with it, what the role says, and nothing of
// a customer's.
func TestStaffRights(t *testing.T) {
	t.Parallel()
	for _, role := range []string{scopes.RoleSupport, scopes.RoleCompliance, scopes.RoleFinance, scopes.RoleConfig, scopes.RoleAdmin} {
		w := setup(t)
		m := &member{id: w.Staff(testworld.OperatorPhone, role), phone: testworld.OperatorPhone}
		w.must(w.signInAs(m, ""))
		if scope, roles := w.rightsOf(m.tokens); scope != "profile totp" || roles != "[staff]" {
			t.Errorf("%s without an authenticator: %s %s", role, scope, roles)
		}
		ctx := w.as(m.id, m.tokens.SessionID, "profile", "totp")
		_, err := w.App.CreateTotp(ctx, "0000")
		w.want(err, domain.ErrPinInvalid)
		w.want(w.App.ConfirmTotp(ctx, "123456"), domain.ErrTotpInvalid) // nothing was shown yet
		old, err := w.App.CreateTotp(ctx, testworld.OperatorPin)
		w.must(err)
		_, err = w.DB.Pool.Exec(t.Context(), "UPDATE totp_factors SET session_id = NULL") // as a replica of an older version writes it
		w.must(err)
		m.secret = old.Secret
		w.want(w.App.ConfirmTotp(ctx, w.totp(m, 0)), domain.ErrTotpInvalid)
		elsewhere := &member{id: m.id, phone: m.phone}
		w.must(w.signInAs(elsewhere, ""))
		first, err := w.App.CreateTotp(w.as(m.id, elsewhere.tokens.SessionID, "profile", "totp"), testworld.OperatorPin)
		w.must(err)
		shown, err := w.App.CreateTotp(ctx, testworld.OperatorPin)
		w.must(err)
		again, err := w.App.CreateTotp(ctx, testworld.OperatorPin) // the answer was lost
		w.must(err)
		if again != shown || first == shown || old == shown {
			t.Errorf("shown %v, again %v, elsewhere %v", shown, again, first)
		}
		m.secret = first.Secret
		w.want(w.App.ConfirmTotp(ctx, w.totp(m, 0)), domain.ErrTotpInvalid)
		m.secret = shown.Secret
		w.want(w.App.ConfirmTotp(w.as(m.id, elsewhere.tokens.SessionID, "profile", "totp"), w.totp(m, 0)), domain.ErrTotpInvalid)
		w.must(w.App.ConfirmTotp(ctx, w.totp(m, 0)))
		w.want(w.App.ConfirmTotp(ctx, w.totp(m, 1)), domain.ErrTotpEnrolled)
		_, err = w.App.CreateTotp(ctx, testworld.OperatorPin)
		w.want(err, domain.ErrTotpEnrolled)
		next, err := w.App.RefreshSession(w.anyone(),
			app.RefreshInput{Token: m.tokens.Refresh, Device: device, IdempotencyKey: "0123456789abcdef"})
		w.must(err)
		scope, roles := w.rightsOf(next)
		if roles != "["+role+"]" {
			t.Errorf("%s: roles %s", role, roles)
		}
		for _, right := range scopes.OfRole(role) {
			if right == scopes.WalletRead || right == scopes.WalletWrite || right == scopes.Kyc {
				t.Errorf("%s has a customer's right %s", role, right)
			}
		}
		if want := fmt.Sprint(scopes.OfRole(role)); "["+scope+"]" != want {
			t.Errorf("%s: %s, want %s", role, scope, want)
		}
	}
	w := setup(t)
	c := w.register(phone)
	_, err := w.App.CreateTotp(w.as(c.id, c.tokens.SessionID, "profile", "totp"), pin)
	w.want(err, domain.ErrNotStaff)
}

// TestTotpSignIn: the code is asked for after the PIN, works once and for a phone whose clock is off by half a minute, and locks.
func TestTotpSignIn(t *testing.T) {
	t.Parallel()
	w := setup(t)
	m := w.member(testworld.OperatorPhone, scopes.RoleCompliance)
	w.want(w.signInAs(m, ""), domain.ErrTotpRequired)
	w.want(w.signInAs(m, w.totp(m, 0)), domain.ErrTotpInvalid) // it confirmed the authenticator
	w.want(w.signInAs(m, w.totp(m, 2)), domain.ErrTotpInvalid)
	w.must(w.signInAs(m, w.totp(m, 1)))
	if scope, _ := w.rightsOf(
		m.tokens); scope != "profile totp admin:users admin:kyc admin:kyc:approve admin:numbers admin:numbers:approve admin:ledger" {
		t.Errorf("scope %s", scope)
	}
	w.want(w.signInAs(m, w.totp(m, 1)), domain.ErrTotpInvalid)
	w.want(w.signInAs(m, w.totp(m, 0)), domain.ErrTotpInvalid) // older than the newest that was taken
	w.Advance(time.Minute)
	errs := servicetest.Together(8, func(int) error { return w.signInAs(&member{phone: m.phone}, w.totp(m, 0)) })
	if ok, _ := tally(errs, nil); ok != 1 {
		t.Errorf("one code signed in %d times: %v", ok, errs)
	}
	w.Advance(time.Hour) // whatever lock the seven others set
	w.must(w.signInAs(m, w.totp(m, 0)))
	counted := w.Counted("user_pin_refused_total", "totp")
	for range domain.MaxPinTries {
		w.want(w.signInAs(m, wrong(w.totp(m, 1))), domain.ErrTotpInvalid)
	}
	if n := w.Counted("user_pin_refused_total", "totp") - counted; n != domain.MaxPinTries {
		t.Errorf("%d wrong codes counted", n)
	}
	w.want(w.signInAs(m, w.totp(m, 1)), domain.ErrTotpLocked)
	w.Advance(domain.PinLock)
	w.must(w.signInAs(m, w.totp(m, 0)))
}

// TestStaffSessionEnds: 30 minutes without a refresh, 12 hours with them; a customer's goes on.
func TestStaffSessionEnds(t *testing.T) {
	t.Parallel()
	w := setup(t)
	m, c := w.member(testworld.OperatorPhone, scopes.RoleAdmin), w.register(phone)
	refresh := func(token, key string) (app.Tokens, error) {
		return w.App.RefreshSession(w.anyone(), app.RefreshInput{Token: token, Device: device, IdempotencyKey: "0123456789abcdef" + key})
	}
	const step = 29*time.Minute + 36*time.Second // the last one is in the last minutes of the session
	tokens, began := m.tokens, w.Now()
	for i := 0; w.Now().Add(step).Before(began.Add(domain.StaffSessionLife)); i++ {
		w.Advance(step)
		var err error
		if tokens, err = refresh(tokens.Refresh, fmt.Sprint(i)); err != nil {
			t.Fatalf("after %s: %v", w.Now().Sub(began), err)
		}
	}
	if tokens.AccessExpires.After(began.Add(domain.StaffSessionLife)) {
		t.Error("an access token outlives the session")
	}
	w.Advance(step)
	_, err := refresh(tokens.Refresh, "late")
	w.want(err, domain.ErrRefreshInvalid)
	w.must(w.signInAs(m, w.totp(m, 0)))
	w.Advance(domain.StaffIdle - time.Microsecond)
	session := w.as(m.id, m.tokens.SessionID, scopes.OfRole(scopes.RoleAdmin)...)
	if _, err := w.App.CreateStepUp(session,
		app.StepUpInput{Pin: testworld.OperatorPin, Operation: "createTransfer", Approves: quoted(uuid.New())}); err != nil {
		t.Errorf("a session before its end: %v", err)
	}
	w.Advance(time.Microsecond)
	_, err = w.App.CreateStepUp(session,
		app.StepUpInput{Pin: testworld.OperatorPin, Operation: "createTransfer", Approves: quoted(uuid.New())})
	w.want(err, domain.ErrSessionEnded)
	_, err = refresh(m.tokens.Refresh, "idle")
	w.want(err, domain.ErrRefreshInvalid)
	if _, err := refresh(c.tokens.Refresh, "customer"); err != nil {
		t.Errorf("a customer's session ended with the staff's: %v", err)
	}
}

// decide approves what another admin proposed.
func (w *world) decide(m *member, a approve.Approval) error {
	_, err := w.App.Approvals.Approve(m.ctx, w.App.Pool, a.ID, a.Digest)
	return err
}

// TestRoleChange: two admins make a member of staff, and unmake one; every session of theirs ends.
func TestRoleChange(t *testing.T) {
	t.Parallel()
	w := setup(t)
	one, two := w.member("+254799000001", scopes.RoleAdmin), w.member("+254799000002", scopes.RoleAdmin)
	c := w.register(phone)
	a, err := w.App.ProposeRole(one.ctx, c.id, scopes.RoleSupport, "Joins the team")
	w.must(err)
	w.want(w.decide(one, a), approve.ErrSamePerson)
	if role := w.Text("SELECT role FROM users WHERE id = $1", c.id); role != scopes.RoleCustomer {
		t.Fatalf("role %s before anybody approved", role)
	}
	w.must(w.decide(two, a))
	w.must(w.decide(two, a))
	if role := w.Text("SELECT role FROM users WHERE id = $1", c.id); role != scopes.RoleSupport {
		t.Errorf("role %s", role)
	}
	if n := w.Count("SELECT count(*) FROM sessions WHERE user_id = $1 AND revoked_at IS NULL", c.id); n != 0 {
		t.Errorf("%d sessions of the old role go on", n)
	}
	_, err = w.App.RefreshSession(w.anyone(), app.RefreshInput{Token: c.tokens.Refresh, Device: device, IdempotencyKey: "0123456789abcdef"})
	w.want(err, domain.ErrRefreshInvalid)
	_, err = w.submit(c, "30112230", "0123456789abcdef") // with a token of before
	w.want(err, fault.ErrForbidden)
	staff, _, err := w.App.ListStaff(one.ctx, page.Request{})
	w.must(err)
	if len(staff) != 3 || staff[2].Role != scopes.RoleSupport && staff[0].Role != scopes.RoleSupport {
		t.Errorf("staff %+v", staff)
	}
	a, err = w.App.ProposeRole(two.ctx, c.id, scopes.RoleCustomer, "Leaves the team")
	w.must(err)
	w.must(w.decide(one, a))
	session, err := w.App.CreateSession(w.anyone(), app.SessionInput{Phone: phone, Pin: pin, Device: device})
	w.must(err)
	if scope, _ := w.rightsOf(session); scope != "banking:read banking:write profile kyc wallet:read wallet:write" {
		t.Errorf("a customer again: %s", scope)
	}
	if n := w.Count("SELECT count(*) FROM audit_log WHERE action = 'user.role_changed'"); n != 2 {
		t.Errorf("%d changes audited", n)
	}
}

func TestRoleChangeRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	one, two := w.member("+254799000001", scopes.RoleAdmin), w.member("+254799000002", scopes.RoleAdmin)
	support := w.member("+254799000003", scopes.RoleSupport)
	customer, verified := w.register(phone), w.register("+254712345679")
	w.decided(verified, "30112230")
	w.called(1)
	before := w.everything()
	for name, c := range map[string]struct {
		ctx  context.Context
		user uuid.UUID
		role string
		want error
	}{
		"nobody has this id":      {one.ctx, uuid.New(), scopes.RoleSupport, fault.ErrNotFound},
		"oneself":                 {one.ctx, one.id, scopes.RoleSupport, domain.ErrOwnRecord},
		"the same role":           {one.ctx, customer.id, scopes.RoleCustomer, domain.ErrRoleUnchanged},
		"a verified customer":     {one.ctx, verified.id, scopes.RoleSupport, domain.ErrRoleCustomer},
		"one of the last admins":  {one.ctx, two.id, scopes.RoleCustomer, domain.ErrLastAdmins},
		"by support":              {support.ctx, customer.id, scopes.RoleAdmin, fault.ErrForbidden},
		"by a scope without role": {w.as(support.id, uuid.New(), scopes.AdminRoles), customer.id, scopes.RoleAdmin, fault.ErrForbidden},
		"by a customer":           {customer.ctx, customer.id, scopes.RoleAdmin, fault.ErrForbidden},
	} {
		if _, err := w.App.ProposeRole(c.ctx, c.user, c.role, "because"); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if n := w.everything(); n != before {
		t.Errorf("refusals left %d rows", n-before)
	}
	// What was right when it was proposed is judged again: the customer submits an identity before it is approved.
	a, err := w.App.ProposeRole(one.ctx, customer.id, scopes.RoleSupport, "Joins the team")
	w.must(err)
	_, err = w.submit(customer, "30112231", "0123456789abcdef")
	w.must(err)
	w.want(w.decide(two, a), domain.ErrRoleCustomer)
	// Nobody decides on themselves, whoever proposed it.
	w.Staff("+254799000004", scopes.RoleAdmin)
	own, err := w.App.ProposeRole(one.ctx, two.id, scopes.RoleFinance, "Other work")
	w.must(err)
	w.want(w.decide(two, own), domain.ErrOwnRecord)
	_, err = w.App.Approvals.Reject(two.ctx, w.App.Pool, own.ID, "I stay where I am")
	w.want(err, domain.ErrOwnRecord)
	// A checker who lost the role, but still holds a token of it.
	b, err := w.App.ProposeRole(two.ctx, support.id, scopes.RoleFinance, "Other work")
	w.must(err)
	_, err = w.DB.Pool.Exec(t.Context(), "UPDATE users SET role = 'support' WHERE id = $1", one.id)
	w.must(err)
	w.want(w.decide(one, b), fault.ErrForbidden)
}

// TestTotpReset: two admins void a lost authenticator; the next sign-in sets up another.
func TestTotpReset(t *testing.T) {
	t.Parallel()
	w := setup(t)
	one, two := w.member("+254799000001", scopes.RoleAdmin), w.member("+254799000002", scopes.RoleAdmin)
	lost := w.member("+254799000003", scopes.RoleSupport)
	_, err := w.App.ProposeTotpReset(one.ctx, w.register(phone).id, "a customer has none")
	w.want(err, domain.ErrNotStaff)
	a, err := w.App.ProposeTotpReset(one.ctx, lost.id, "The phone fell into the lake")
	w.must(err)
	w.must(w.decide(two, a))
	w.must(w.signInAs(lost, ""))
	if scope, _ := w.rightsOf(lost.tokens); scope != "profile totp" {
		t.Errorf("scope %s", scope)
	}
}

// TestBreakGlass: the command line does alone what needs two people, for a reason, and an alarm shows it for a day.
func TestBreakGlass(t *testing.T) {
	t.Parallel()
	w := setup(t)
	one := w.member("+254799000001", scopes.RoleAdmin)
	w.register(phone)
	for number, why := range map[string]string{phone: "a customer has none", "+254712345670": "nobody has this number", one.phone: " \t "} {
		if _, err := w.App.ResetTotpAlone(w.anyone(), number, why); !errors.Is(err, domain.ErrNotStaff) && !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("%s for %q: %v", number, why, err)
		}
	}
	w.Advance(24 * time.Hour) // past the use that made the member
	shown := func() float64 {
		t.Helper()
		w.must(w.App.WatchGlass(t.Context()))
		families, err := w.Registry.Gather()
		w.must(err)
		for _, f := range families {
			if f.GetName() == "user_break_glass_uses" {
				return f.GetMetric()[0].GetGauge().GetValue()
			}
		}
		t.Fatal("no metric")
		return 0
	}
	if n := shown(); n != 0 {
		t.Errorf("%v uses before there was one", n)
	}
	id, err := w.App.ResetTotpAlone(w.anyone(), one.phone, "Both phones are lost, said Wairimu")
	w.must(err)
	if id != one.id || shown() != 1 {
		t.Errorf("reset of %s, %v shown", id, shown())
	}
	if leaks := w.Count("SELECT count(*) FROM audit_log WHERE detail::text LIKE '%Wairimu%'"); leaks != 0 {
		t.Error("the reason stands in clear text")
	}
	w.must(w.signInAs(one, ""))
	w.Advance(24 * time.Hour)
	if n := shown(); n != 0 {
		t.Errorf("%v uses after a day", n)
	}
}

// TestFirstAdmins: two, and no third but by breaking the glass, whoever comes at the same time.
func TestFirstAdmins(t *testing.T) {
	t.Parallel()
	w := setup(t)
	make := func(n int, why string) error {
		_, err := w.App.CreateAdmin(w.anyone(),
			app.AdminInput{Phone: fmt.Sprintf("+25479900000%d", n), Pin: "5821", Device: device, BreakGlass: why})
		return err
	}
	_, err := w.App.CreateAdmin(w.anyone(), app.AdminInput{Phone: "+254799000009", Pin: "1111", Device: device})
	w.want(err, domain.ErrPinWeak)
	_, err = w.App.CreateAdmin(w.anyone(), app.AdminInput{Phone: "+12025550123", Pin: "5821", Device: device})
	w.want(err, domain.ErrPhoneInvalid)
	errs := servicetest.Together(6, func(i int) error { return make(i, "") })
	if ok, refused := tally(errs, domain.ErrAdminsExist); ok != 2 || refused != 4 {
		t.Errorf("%d made, %d refused: %v", ok, refused, errs)
	}
	w.must(make(7, "Both admins are on holiday"))
	w.want(make(7, "once more"), domain.ErrAlreadyRegistered)
	if n := w.Count("SELECT count(*) FROM break_glass_uses"); n != 1 {
		t.Errorf("%d uses", n)
	}
	if n := w.Count("SELECT count(*) FROM audit_log WHERE action = 'glass.broken'"); n != 1 {
		t.Errorf("%d audited", n)
	}
	if types, _ := w.events(); len(types) != 0 {
		t.Errorf("events %v: an admin is no customer", types)
	}
	if _, err := w.App.LookupRecipient(w.service("users:lookup"), "+254799000007"); err == nil {
		t.Error("an admin can be paid")
	}
}

// TestStaffAreSuspendedByAdmins: nobody else suspends staff or lets them back in, one admin always remains, and what the suspended proposed
// is withdrawn.
func TestStaffAreSuspendedByAdmins(t *testing.T) {
	t.Parallel()
	w := setup(t)
	one, two := w.member("+254799000001", scopes.RoleAdmin), w.member("+254799000002", scopes.RoleAdmin)
	officer, support := w.member("+254799000003", scopes.RoleCompliance), w.member("+254799000004", scopes.RoleSupport)
	c := w.register(phone)
	for _, m := range []*member{officer, support} {
		for _, target := range []*member{one, officer, support} {
			if _, err := w.App.SuspendUser(m.ctx, target.id, "because"); !errors.Is(err, fault.ErrForbidden) &&
				!errors.Is(err, domain.ErrOwnRecord) {
				t.Errorf("%s suspended: %v", target.phone, err)
			}
		}
	}
	proposed, err := w.App.ProposeRole(two.ctx, c.id, scopes.RoleAdmin, "A friend of mine")
	w.must(err)
	errs := servicetest.Together(2, func(i int) error {
		from, to := one, two
		if i == 1 {
			from, to = two, one
		}
		_, err := w.App.SuspendUser(from.ctx, to.id, "because")
		return err
	})
	if n := w.Count("SELECT count(*) FROM users WHERE role = 'admin' AND status = 'active'"); n != 1 {
		t.Fatalf("%d active admins: %v", n, errs)
	}
	if errs[1] == nil { // the second won: the rest of the test is told from the other side
		return
	}
	if state := w.Text("SELECT state FROM approvals WHERE id = $1", proposed.ID); state != approve.Withdrawn {
		t.Errorf("what a suspended admin proposed is %s", state)
	}
	_, err = w.App.ReinstateUser(support.ctx, two.id)
	w.want(err, fault.ErrForbidden)
	_, err = w.App.ReinstateUser(one.ctx, two.id)
	w.must(err)
	_, err = w.App.SuspendUser(one.ctx, support.id, "because")
	w.must(err)
	if _, err := w.App.SuspendUser(officer.ctx, c.id, "because"); err != nil {
		t.Errorf("a customer: %v", err)
	}
}

// TestPinResetOfNewStaff: a code from before the role opens nothing after it.
func TestPinResetOfNewStaff(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	reset, err := w.App.StartPinReset(w.anyone(), phone, device)
	w.must(err)
	code := w.code(reset.ID)
	_, err = w.DB.Pool.Exec(t.Context(), "UPDATE users SET role = 'support' WHERE id = $1", c.id)
	w.must(err)
	w.want(w.App.CompletePinReset(w.anyone(), app.PinResetInput{ID: reset.ID, Otp: code, Pin: "8361", Device: device}), domain.ErrOtpInvalid)
}

// TestKycOverride: an identity that was rejected is verified by two people, as if by the authority.
func TestKycOverride(t *testing.T) {
	t.Parallel()
	w := setup(t)
	one, two := w.member("+254799000001", scopes.RoleCompliance), w.member("+254799000002", scopes.RoleCompliance)
	c, taken := w.register(phone), w.register("+254712345679")
	k := w.decided(c, "30112231") // the authority does not know it
	open := w.decided(taken, "30112240")
	rejected, _, err := w.App.ListKycReviews(two.ctx, domain.KycRejected, page.Request{})
	w.must(err)
	if len(rejected) != 1 || rejected[0].ID != k.ID || rejected[0].Status != domain.KycRejected || rejected[0].Submitted.FirstName == "" {
		t.Errorf("rejected: %+v", rejected)
	}
	_, err = w.App.ProposeKycOverride(one.ctx, open.ID, "It is verified")
	w.want(err, domain.ErrKycNotRejected)
	_, err = w.App.ProposeKycOverride(one.ctx, uuid.New(), "There is none")
	w.want(err, fault.ErrNotFound)
	a, err := w.App.ProposeKycOverride(one.ctx, k.ID, "Original card seen")
	w.must(err)
	w.must(w.decide(two, a))
	p, err := w.App.GetProfile(c.ctx)
	w.must(err)
	if p.Tier != domain.TierVerified || p.KycStatus != domain.KycVerified || p.FirstName == "" {
		t.Errorf("profile %+v", p)
	}
	if types, last := w.events(); types[len(types)-1] != "user.kyc_verified" || last["user_id"] != c.id.String() {
		t.Errorf("events %v %v", types, last)
	}
	again, err := w.App.GetKyc(c.ctx, k.ID)
	w.must(err)
	if again.Status != domain.KycVerified || again.Reason != domain.ReasonOverridden {
		t.Errorf("%+v", again)
	}
}

// TestKycOverrideOvertaken: an approval judges what is there when it is given.
func TestKycOverrideOvertaken(t *testing.T) {
	t.Parallel()
	w := setup(t)
	one, two := w.member("+254799000001", scopes.RoleCompliance), w.member("+254799000002", scopes.RoleCompliance)
	c := w.register(phone)
	k := w.decided(c, "30112231")
	a, err := w.App.ProposeKycOverride(one.ctx, k.ID, "Original card seen")
	w.must(err)
	w.decided(c, "30112250") // the customer tries again with another document, and is verified
	w.want(w.decide(two, a), domain.ErrKycNotRejected)
	if n := w.Count("SELECT count(*) FROM kyc_verifications WHERE status = 'verified'"); n != 1 {
		t.Errorf("%d verified", n)
	}
}

// TestRequestsEndWithTheRole: what somebody proposed is withdrawn with the role that allowed it and with a suspension, and a token of
// before gives no right that the new role has not.
func TestRequestsEndWithTheRole(t *testing.T) {
	t.Parallel()
	w := setup(t)
	one, two := w.member("+254799000001", scopes.RoleAdmin), w.member("+254799000002", scopes.RoleAdmin)
	first, second := w.member("+254799000003", scopes.RoleCompliance), w.member("+254799000004", scopes.RoleCompliance)
	k := w.decided(w.register(phone), "30112231")
	override, err := w.App.ProposeKycOverride(first.ctx, k.ID, "Original card seen")
	w.must(err)
	leaving, err := w.App.ProposeRole(one.ctx, first.id, scopes.RoleCustomer, "Leaves the team")
	w.must(err)
	w.must(w.decide(two, leaving))
	w.want(w.decide(second, override), approve.ErrDecided)
	if status := w.Text("SELECT status FROM kyc_verifications WHERE id = $1", k.ID); status != domain.KycRejected {
		t.Errorf("the identity is %s", status)
	}
	moving, err := w.App.ProposeRole(one.ctx, second.id, scopes.RoleSupport, "Moves to support")
	w.must(err)
	w.must(w.decide(two, moving))
	_, err = w.App.ProposeKycOverride(second.ctx, k.ID, "Original card seen")
	w.want(err, fault.ErrForbidden)
	joining, err := w.App.ProposeRole(two.ctx, first.id, scopes.RoleSupport, "Comes back")
	w.must(err)
	_, err = w.App.SuspendUser(one.ctx, two.id, "because")
	w.must(err)
	if state := w.Text("SELECT state FROM approvals WHERE id = $1", joining.ID); state != approve.Withdrawn {
		t.Errorf("what a suspended admin proposed is %s", state)
	}
}
