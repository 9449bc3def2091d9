package app_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/generated/scopes"
	"github.com/sendtip/sendtip/kit/approve"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/stepup"
	"github.com/sendtip/sendtip/services/user/internal/app"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

const stranger = "a-device-of-nobody-we-know"

// claim registers with a number on a device, as its new owner does.
func (w *world) claim(phone, device string) error {
	w.Helper()
	c, err := w.App.StartRegistration(w.anyone(), phone, "KE", "en")
	w.must(err)
	_, _, err = w.App.CompleteRegistration(w.anyone(), app.RegistrationInput{ID: c.ID, Otp: w.code(c.ID), Pin: "9173", Device: device})
	return err
}

// claimed is a customer whose number a stranger has proved, and the claim.
func (w *world) claimed() (customer, app.Claim) {
	w.Helper()
	c := w.register(phone)
	w.want(w.claim(phone, stranger), domain.ErrNumberInReview)
	return c, w.claimsOf(c)[0]
}

func (w *world) claimsOf(c customer) []app.Claim {
	w.Helper()
	all, next, err := w.App.ListMyNumberClaims(c.ctx, page.Request{})
	if w.must(err); next != nil {
		w.Fatal("more than a page")
	}
	return all
}

// approved is a customer's call with an approval of an operation on a claim.
func (w *world) approved(c customer, operation string, id uuid.UUID) context.Context {
	p := auth.From(c.ctx)
	p.StepUp = &auth.StepUp{JTI: uuid.NewString(), Hash: stepup.Hash(operation, id), ExpiresAt: w.Now().Add(time.Minute)}
	return auth.With(w.Context(), p)
}

func (w *world) reject(c customer, id uuid.UUID) (app.Claim, error) {
	return w.App.RejectNumberClaim(w.approved(c, "rejectNumberClaim", id), id)
}

func (w *world) giveUp(c customer, id uuid.UUID) (app.Claim, error) {
	return w.App.ReleaseNumberClaim(w.approved(c, "releaseNumberClaim", id), id)
}

// deciders are two compliance officers.
func (w *world) deciders() (maker, checker context.Context) {
	w.Helper()
	one, two := w.Staff("+254712000091", scopes.RoleCompliance), w.Staff("+254712000092", scopes.RoleCompliance)
	return w.as(one, uuid.New(), "admin:numbers"), w.as(two, uuid.New(), "admin:numbers:approve")
}

func (w *world) standing(c customer) app.Standing {
	w.Helper()
	s, err := w.App.GetStanding(w.service("users:standing"), c.id)
	w.must(err)
	return s
}

// enter signs in on a device without a code.
func (w *world) enter(phone, device string) error {
	_, err := w.App.CreateSession(w.anyone(), app.SessionInput{Phone: phone, Pin: pin, Device: device})
	return err
}

// happened counts the events of a type.
func (w *world) happened(eventType string) int {
	w.Helper()
	types, _ := w.events()
	return len(slices.DeleteFunc(types, func(t string) bool { return t != eventType }))
}

// A customer whose number has passed to somebody else has an account like any other; what there is none of is shown as none.
func TestCustomerWithoutANumber(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	_, err := w.DB.Pool.Exec(t.Context(), "UPDATE users SET phone_sealed = NULL, phone_index = NULL WHERE id = $1", c.id)
	w.must(err)
	p, err := w.App.GetProfile(c.ctx)
	if w.must(err); p.Phone != "" || p.ID != c.id {
		t.Errorf("profile is %+v", p)
	}
	p, err = w.App.GetContacts(w.service("users:contacts"), c.id)
	if w.must(err); p.Phone != "" || p.Language != "en" {
		t.Errorf("contacts are %+v", p)
	}
	if _, err := w.App.CreateStepUp(c.ctx, app.StepUpInput{Pin: pin, Operation: "createTransfer", Approves: quoted(c.id)}); err != nil {
		t.Errorf("approve: %v", err)
	}
	if other := w.register(phone); other.id == c.id {
		t.Error("the number is still the former holder's")
	}
}

// TestClaimHoldsTheNumberBack: from the claim on nothing goes to the number or comes by it, and the holder's devices go on.
func TestClaimHoldsTheNumberBack(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	w.Advance(domain.OtpWindow)
	login, err := w.App.StartLoginChallenge(w.anyone(), phone, "another-device-of-amina")
	w.must(err)
	code := w.code(login.ID)
	reset, err := w.App.StartPinReset(w.anyone(), phone, device)
	w.must(err)
	resetCode := w.code(reset.ID)
	before := w.standing(c)

	w.want(w.claim(phone, device), domain.ErrAlreadyRegistered) // on the holder's own device it is no claim
	if n := len(w.claimsOf(c)); n != 0 {
		t.Fatalf("%d claims by the holder", n)
	}
	w.want(w.claim(phone, stranger), domain.ErrNumberInReview)
	types, last := w.events()
	if types[len(types)-1] != "user.number_claimed" || last["user_id"] != c.id.String() {
		t.Errorf("the last event is %s %v", types[len(types)-1], last)
	}
	all := w.claimsOf(c)
	if len(all) != 1 || all[0].State != "open" || all[0].ReleaseAt.Sub(all[0].OpenedAt) != domain.NumberSilence {
		t.Fatalf("claims are %+v", all)
	}
	if s := w.standing(c); s.Number != "in_review" || s.Version != before.Version+1 || before.Number != "held" {
		t.Errorf("standing is %+v, was %+v", s, before)
	}
	_, err = w.App.TakeOtp(w.service("users:otp"), login.ID)
	w.want(err, fault.ErrNotFound) // was asked for before, and is not sent any more
	_, err = w.App.CreateSession(w.anyone(),
		app.SessionInput{Phone: phone, Pin: pin, Device: "another-device-of-amina", ChallengeID: &login.ID,
			Otp: code})
	w.want(err, domain.ErrOtpInvalid)
	w.want(w.App.CompletePinReset(w.anyone(), app.PinResetInput{ID: reset.ID, Otp: resetCode, Pin: "8361", Device: device}),
		domain.ErrOtpInvalid)

	w.Advance(domain.OtpWindow)
	n := len(types)
	if _, err = w.App.StartLoginChallenge(w.anyone(), phone, "another-device-of-amina"); err != nil {
		t.Errorf("a code to sign in: %v", err) // as ever, and no message
	}
	if _, err = w.App.StartPinReset(w.anyone(), phone, device); err != nil {
		t.Errorf("a code for a PIN: %v", err)
	}
	if types, _ := w.events(); len(types) != n {
		t.Errorf("messages to the number: %v", types[n:])
	}
	p, err := w.App.GetContacts(w.service("users:contacts"), c.id)
	if w.must(err); p.Phone != "" {
		t.Error("texts still go to the number")
	}
	_, err = w.App.LookupRecipient(w.service("users:lookup"), phone)
	w.want(err, domain.ErrRecipientInReview)

	w.must(w.enter(phone, device))
	if p, err := w.App.GetProfile(c.ctx); err != nil || p.Phone != phone {
		t.Errorf("own profile: %+v, %v", p, err)
	}
}

// TestClaimOnce: a repeated or concurrent claim opens no second one.
func TestClaimOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c, _ := w.claimed()
	w.Advance(20 * time.Minute) // the limit of codes
	w.want(w.claim(phone, stranger), domain.ErrNumberInReview)
	var ids []app.Challenge
	for range 2 {
		one, err := w.App.StartRegistration(w.anyone(), phone, "KE", "en")
		w.must(err)
		ids = append(ids, one)
	}
	errs := make([]error, len(ids))
	codes := []string{w.code(ids[0].ID), w.code(ids[1].ID)}
	var wg sync.WaitGroup
	for i, one := range ids {
		wg.Go(func() {
			_, _, errs[i] = w.App.CompleteRegistration(w.anyone(), app.RegistrationInput{ID: one.ID, Otp: codes[i], Pin: "9173", Device: stranger})
		})
	}
	wg.Wait()
	if _, refused := tally(errs, domain.ErrNumberInReview); refused != 2 {
		t.Errorf("answers are %v", errs)
	}
	if all := w.claimsOf(c); len(all) != 1 {
		t.Errorf("claims are %+v", all)
	}
	if n := w.happened("user.number_claimed"); n != 1 {
		t.Errorf("%d events", n)
	}
	if n := w.Count("SELECT count(*) FROM audit_log WHERE action LIKE 'number_claim.%'"); n != 4 {
		t.Errorf("%d audit rows for a claim and three repetitions", n)
	}
	if n := w.Count("SELECT count(*) FROM otp_challenges WHERE purpose = 'registration' AND consumed_at IS NULL"); n != 0 {
		t.Errorf("%d codes are good for a second claim", n)
	}
}

// TestSilenceReleasesTheNumber: the whole second story, with what was counted against the number.
func TestSilenceReleasesTheNumber(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c, claim := w.claimed()
	for range 3 {
		_, err := w.App.CreateSession(w.anyone(), app.SessionInput{Phone: phone, Pin: "1357", Device: device})
		w.want(err, domain.ErrCredentialsInvalid)
	}
	if _, err := w.DB.Pool.Exec(t.Context(), `INSERT INTO pin_attempts (phone_index, tries, locks, locked_until, updated_at)
		SELECT phone_index, 5, 9, $1, $1 FROM users WHERE id = $2`, w.Now().Add(30*24*time.Hour), c.id); err != nil {
		t.Fatal(err)
	}
	wait, err := w.App.EndNumberClaim(t.Context(), claim.ID)
	if w.must(err); wait <= 6*24*time.Hour || wait > domain.NumberSilence {
		t.Errorf("the job is put off for %v", wait)
	}
	w.Advance(domain.NumberSilence)
	for range 2 {
		if wait, err = w.App.EndNumberClaim(t.Context(), claim.ID); err != nil || wait != 0 {
			t.Errorf("end: %v, %v", wait, err)
		}
	}
	if got := w.claimsOf(c)[0]; got.State != "released" || got.Reason != "silence" || got.ClosedAt == nil || got.AnsweredAt != nil {
		t.Errorf("claim is %+v", got)
	}
	if types, last := w.events(); types[len(types)-1] != "user.number_claim_closed" || last["state"] != "released" {
		t.Errorf("the last event is %v", last)
	}
	if s := w.standing(c); s.Number != "none" || s.Status != "active" {
		t.Errorf("standing is %+v", s)
	}
	if n := w.Count("SELECT count(*) FROM pin_attempts WHERE locks > 0"); n != 0 {
		t.Error("the lock of the former holder's number is left")
	}
	fresh := w.register2(phone, stranger)
	w.must(w.enter(phone, stranger))
	found, err := w.App.LookupRecipient(w.service("users:lookup"), phone)
	if w.must(err); found.ID != fresh {
		t.Errorf("the number is %s's", found.ID)
	}
	s, err := w.App.CreateSession(w.anyone(), app.SessionInput{Phone: phone, Pin: pin, Device: device})
	w.must(err) // the former holder, on the device that knows them
	if p, err := w.App.GetProfile(w.as(c.id, s.SessionID, "profile")); err != nil || p.ID != c.id || p.Phone != "" {
		t.Errorf("profile is %+v, %v", p, err)
	}
	w.want(w.enter(phone, "another-device-of-amina"), domain.ErrDeviceUnknown)
}

// register2 registers on a device, as register does on the usual one.
func (w *world) register2(phone, device string) uuid.UUID {
	w.Helper()
	c, err := w.App.StartRegistration(w.anyone(), phone, "KE", "en")
	w.must(err)
	p, _, err := w.App.CompleteRegistration(w.anyone(), app.RegistrationInput{ID: c.ID, Otp: w.code(c.ID), Pin: pin, Device: device})
	w.must(err)
	return p.ID
}

// TestHolderAnswers: with an approval by PIN that is for this answer, in time and unused; a repeated answer needs none.
func TestHolderAnswers(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c, claim := w.claimed()
	other := w.register("+254712000077")
	_, err := w.App.RejectNumberClaim(c.ctx, claim.ID)
	w.want(err, domain.ErrStepUpMissing)
	_, err = w.App.RejectNumberClaim(w.approved(c, "releaseNumberClaim", claim.ID), claim.ID)
	w.want(err, domain.ErrStepUpMismatch)
	late := auth.From(w.approved(c, "rejectNumberClaim", claim.ID))
	late.StepUp.ExpiresAt = w.Now()
	_, err = w.App.RejectNumberClaim(auth.With(t.Context(), late), claim.ID)
	w.want(err, domain.ErrStepUpExpired)
	_, err = w.reject(other, claim.ID)
	w.want(err, fault.ErrNotFound)
	_, err = w.reject(c, uuid.New())
	w.want(err, fault.ErrNotFound)
	if got := w.claimsOf(c)[0]; got.State != "open" || len(w.claimsOf(other)) != 0 {
		t.Fatalf("claim is %+v", got)
	}

	ctx := w.approved(c, "rejectNumberClaim", claim.ID)
	for range 2 {
		got, err := w.App.RejectNumberClaim(ctx, claim.ID)
		if w.must(err); got.State != "disputed" || got.Reason != "rejected" || got.AnsweredAt == nil {
			t.Errorf("claim is %+v", got)
		}
	}
	if n := w.happened("user.number_claim_disputed"); n != 1 {
		t.Errorf("%d events", n)
	}
	_, err = w.giveUp(c, claim.ID)
	w.want(err, domain.ErrClaimDisputed)
	w.Advance(2 * domain.NumberSilence)
	if wait, err := w.App.EndNumberClaim(t.Context(), claim.ID); err != nil || wait != 0 || w.claimsOf(c)[0].State != "disputed" {
		t.Errorf("after a rejection time ends a claim: %v, %v", wait, err)
	}
	w.want(w.claim(phone, stranger), domain.ErrNumberInReview)
}

// TestStepUpWorksOnce: an approval that was used on one claim is of no use for the next.
func TestStepUpWorksOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c, claim := w.claimed()
	p := auth.From(w.approved(c, "rejectNumberClaim", claim.ID))
	_, err := w.DB.Pool.Exec(t.Context(), "INSERT INTO step_ups (jti, expires_at) VALUES ($1, $2)", p.StepUp.JTI, p.StepUp.ExpiresAt)
	w.must(err)
	_, err = w.App.RejectNumberClaim(auth.With(t.Context(), p), claim.ID)
	w.want(err, domain.ErrStepUpUsed)
	w.Advance(10 * time.Minute)
	_, err = w.App.Sweep(t.Context())
	w.must(err)
	if n := w.Count("SELECT count(*) FROM step_ups"); n != 0 {
		t.Error("a used approval is kept for ever")
	}
}

// TestHolderGivesUp: the number is free at once.
func TestHolderGivesUp(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c, claim := w.claimed()
	w.want(w.claim(phone, stranger), domain.ErrNumberInReview) // the last code that the number gets for now
	got, err := w.giveUp(c, claim.ID)
	if w.must(err); got.State != "released" || got.Reason != "given_up" || got.AnsweredAt == nil || got.ClosedAt == nil {
		t.Errorf("claim is %+v", got)
	}
	if again, err := w.giveUp(c, claim.ID); err != nil || again.State != "released" {
		t.Errorf("repeated: %+v, %v", again, err)
	}
	if w.register2(phone, stranger) == c.id {
		t.Error("the number is still the former holder's")
	}
}

// TestSuspendedHolderIsNotSilent: who could not answer does not lose the number by silence.
func TestSuspendedHolderIsNotSilent(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c, claim := w.claimed()
	_, officer := w.officer()
	_, err := w.App.SuspendUser(officer, c.id, "a test")
	w.must(err)
	w.Advance(domain.NumberSilence)
	_, err = w.App.EndNumberClaim(t.Context(), claim.ID)
	w.must(err)
	if state := w.Text("SELECT state || ' ' || reason FROM number_claims WHERE id = $1", claim.ID); state != "disputed suspended" {
		t.Errorf("the claim is %s", state)
	}
	if n := w.Count("SELECT count(*) FROM users WHERE id = $1 AND phone_index IS NOT NULL", c.id); n != 1 {
		t.Error("the number is gone")
	}
}

// TestStaffIsNotSilent: a member of staff cannot get another number, so nobody gets theirs by waiting.
func TestStaffIsNotSilent(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c, claim := w.claimed()
	_, err := w.Pool.Exec(t.Context(), "UPDATE users SET role = 'support' WHERE id = $1", c.id)
	w.must(err)
	w.Advance(domain.NumberSilence)
	_, err = w.App.EndNumberClaim(t.Context(), claim.ID)
	w.must(err)
	if state := w.Text("SELECT state FROM number_claims WHERE id = $1", claim.ID); state != "disputed" {
		t.Errorf("the claim is %s", state)
	}
}

// TestComplianceDecides: two people, on what was shown; nobody on their own number.
func TestComplianceDecides(t *testing.T) {
	t.Parallel()
	for outcome, want := range map[string]string{app.OutcomeKeep: "kept", app.OutcomeRelease: "released"} {
		t.Run(outcome, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			c, claim := w.claimed()
			maker, checker := w.deciders()
			_, err := w.reject(c, claim.ID)
			w.must(err)
			_, _, err = w.App.ListNumberClaims(c.ctx, "disputed", page.Request{})
			w.want(err, fault.ErrForbidden)
			listed, _, err := w.App.ListNumberClaims(maker, "disputed", page.Request{})
			if w.must(err); len(listed) != 1 || listed[0].ID != claim.ID || listed[0].UserID != c.id || listed[0].Phone != phone {
				t.Errorf("listed are %+v", listed)
			}
			if n := w.Count("SELECT count(*) FROM audit_log WHERE action = 'number_claim.read'"); n != 1 {
				t.Error("the reading is not audited")
			}
			_, err = w.App.ProposeNumberDecision(maker, uuid.New(), outcome, "the network was asked")
			w.want(err, domain.ErrClaimUnknown)
			a, err := w.App.ProposeNumberDecision(maker, claim.ID, outcome, "the network was asked")
			w.must(err)
			_, err = w.App.Approvals.Approve(w.as(a.Maker, uuid.New(), "admin:numbers:approve"), w.DB.Pool, a.ID, a.Digest)
			w.want(err, approve.ErrSamePerson)
			_, err = w.App.Approvals.Approve(checker, w.DB.Pool, a.ID, a.Digest)
			w.must(err)
			if got := w.claimsOf(c)[0]; got.State != want || got.Reason != "decided" {
				t.Errorf("claim is %+v", got)
			}
			_, err = w.App.ProposeNumberDecision(maker, claim.ID, outcome, "the network was asked")
			w.want(err, domain.ErrClaimClosed)
			if outcome == app.OutcomeRelease {
				w.register2(phone, stranger)
				return
			}
			if s := w.standing(c); s.Number != "held" {
				t.Errorf("standing is %+v", s)
			}
			found, err := w.App.LookupRecipient(w.service("users:lookup"), phone)
			if w.must(err); found.ID != c.id {
				t.Error("the number is not the holder's")
			}
			w.Advance(domain.OtpWindow)
			login, err := w.App.StartLoginChallenge(w.anyone(), phone, "another-device-of-amina")
			w.must(err)
			code := w.code(login.ID)
			_, err = w.App.CreateSession(w.anyone(), app.SessionInput{Phone: phone, Pin: pin, Device: "another-device-of-amina",
				ChallengeID: &login.ID, Otp: code})
			w.must(err)
			w.want(w.claim(phone, stranger), domain.ErrNumberInReview) // a new claim is a new case
			if n := len(w.claimsOf(c)); n != 2 {
				t.Errorf("%d claims", n)
			}
		})
	}
}

// Nobody decides on their own number.
func TestOwnNumberIsDecidedByOthers(t *testing.T) {
	t.Parallel()
	w := setup(t)
	maker, _ := w.deciders()
	w.want(w.claim("+254712000091", stranger), domain.ErrNumberInReview)
	id := w.one("SELECT id FROM number_claims")
	_, err := w.App.ProposeNumberDecision(maker, id, app.OutcomeKeep, "it is mine")
	w.want(err, domain.ErrOwnRecord)
}

// TestClaimOfANumberThatWasChanged: who gets another number gives the claimed one up, and nothing is said to it.
func TestClaimOfANumberThatWasChanged(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c, claim := w.claimed()
	w.due(w.cooling(c, newPhone))
	if got := w.claimsOf(c); len(got) != 1 || got[0].ID != claim.ID || got[0].State != "released" || got[0].Reason != "given_up" {
		t.Errorf("claims are %+v", got)
	}
	if s := w.standing(c); s.Number != "held" || w.phoneOf(c) != newPhone {
		t.Errorf("standing is %+v", s)
	}
	if n := w.Count("SELECT count(*) FROM former_numbers"); n != 0 {
		t.Error("the number that somebody else reads is told")
	}
	if w.register2(phone, stranger) == c.id {
		t.Error("the former number is still the customer's")
	}
	if _, err := w.App.EndNumberClaim(t.Context(), claim.ID); err != nil || w.phoneOf(c) != newPhone {
		t.Errorf("the new number went with the old: %v", err)
	}
}

// TestEveryOrderEndsInOneState: the job, both answers, both decisions and a second claim at the same time, in chance orders.
func TestEveryOrderEndsInOneState(t *testing.T) {
	t.Parallel()
	for round := range 8 {
		w := setup(t)
		c, claim := w.claimed()
		maker, checker := w.deciders()
		w.Advance(domain.NumberSilence)
		s, err := w.App.CreateSession(w.anyone(), app.SessionInput{Phone: phone, Pin: pin, Device: device})
		w.must(err)
		c.ctx = w.as(c.id, s.SessionID, "profile")
		a, err := w.App.ProposeNumberDecision(maker, claim.ID, []string{app.OutcomeKeep, app.OutcomeRelease}[round%2], "the network was asked")
		w.must(err)
		second, err := w.App.StartRegistration(w.anyone(), phone, "KE", "en")
		w.must(err)
		code := w.code(second.ID)
		acts := []func() error{
			func() error { _, err := w.App.EndNumberClaim(t.Context(), claim.ID); return err },
			func() error { _, err := w.reject(c, claim.ID); return err },
			func() error { _, err := w.giveUp(c, claim.ID); return err },
			func() error { _, err := w.App.Approvals.Approve(checker, w.DB.Pool, a.ID, a.Digest); return err },
			func() error {
				_, _, err := w.App.CompleteRegistration(w.anyone(), app.RegistrationInput{ID: second.ID, Otp: code, Pin: pin, Device: stranger})
				return err
			},
		}
		rand.Shuffle(len(acts), func(i, j int) { acts[i], acts[j] = acts[j], acts[i] })
		var wg sync.WaitGroup
		errs := make([]error, len(acts))
		for i, act := range acts {
			wg.Go(func() { errs[i] = act() })
		}
		wg.Wait()
		for _, err := range errs {
			if f, ok := fault.As(err); err != nil && (!ok || f.Kind != fault.Conflict) {
				t.Errorf("round %d: %v", round, err)
			}
		}
		w.oneState(c, claim.ID, errors.Join(errs...))
	}
}

// oneState says whether claim, number, standing and events agree.
func (w *world) oneState(c customer, claim uuid.UUID, errs error) {
	w.Helper()
	state := w.Text("SELECT state FROM number_claims WHERE id = $1", claim)
	holds := w.Count("SELECT count(*) FROM users WHERE id = $1 AND phone_index IS NOT NULL", c.id) == 1
	closed := w.happened("user.number_claim_closed")
	waits := w.Count("SELECT count(*) FROM number_claims WHERE user_id = $1 AND state IN ('open', 'disputed')", c.id)
	number := w.standing(c).Number
	ok := false
	switch state {
	case "disputed":
		ok = holds && closed == 0 && waits == 1 && number == "in_review"
	case "kept": // and perhaps claimed again
		ok = holds && closed == 1 && waits <= 1 && (number == "in_review") == (waits == 1)
	case "released":
		ok = !holds && closed == 1 && waits == 0 && number == "none"
	}
	if !ok {
		w.Errorf("claim %s, holds %t, %d closing events, %d waiting, number %s: %v", state, holds, closed, waits, number, errs)
	}
}
