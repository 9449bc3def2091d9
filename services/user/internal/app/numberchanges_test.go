package app_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/sendtip/sendtip/generated/scopes"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/servicetest"
	"github.com/sendtip/sendtip/services/user/internal/app"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

const newPhone = "+254712345679"

// cooling is a change of number that was proved and approved.
func (w *world) cooling(c customer, phone string) app.NumberChange {
	w.Helper()
	started, err := w.App.StartNumberChange(c.ctx, phone)
	w.must(err)
	n, err := w.App.ConfirmNumberChange(w.approved(c, "confirmNumberChange", started.ID), started.ID, w.code(started.ID))
	w.must(err)
	return n
}

// due lets the change's time come, and works its job.
func (w *world) due(n app.NumberChange) {
	w.Helper()
	w.Advance(n.AppliesAt.Sub(w.Now()))
	again, err := w.App.ApplyNumberChange(w.Context(), n.ID)
	w.must(err)
	if again != 0 {
		w.Fatalf("not due for %s", again)
	}
}

func (w *world) phoneOf(c customer) string {
	w.Helper()
	p, err := w.App.GetContacts(w.service("users:contacts"), c.id)
	w.must(err)
	return p.Phone
}

// stateOf is a change as its customer sees it.
func (w *world) stateOf(c customer, id uuid.UUID) string {
	w.Helper()
	n, err := w.App.GetNumberChange(c.ctx, id)
	w.must(err)
	return n.State + " " + n.Reason
}

func TestNumberChange(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	started, err := w.App.StartNumberChange(c.ctx, newPhone)
	w.must(err)
	if code, err := w.App.TakeOtp(w.service("users:otp"), started.ID); err != nil || code.Phone != newPhone {
		t.Fatalf("the code goes to %s: %v", code.Phone, err)
	}
	right := w.approved(c, "confirmNumberChange", started.ID)
	code := w.code(started.ID)
	_, err = w.App.ConfirmNumberChange(right, started.ID, wrong(code))
	w.want(err, domain.ErrOtpInvalid)
	_, err = w.App.ConfirmNumberChange(c.ctx, started.ID, code)
	w.want(err, domain.ErrStepUpMissing)
	_, err = w.App.ConfirmNumberChange(w.approved(c, "confirmNumberChange", uuid.New()), started.ID, code)
	w.want(err, domain.ErrStepUpMismatch)
	n, err := w.App.ConfirmNumberChange(right, started.ID, code)
	w.must(err)
	if n.State != domain.NumberCoolingDown || n.Phone != newPhone || !n.AppliesAt.Equal(w.Now().Add(24*time.Hour)) {
		t.Errorf("%+v", n)
	}
	if again, err := w.App.ConfirmNumberChange(c.ctx, started.ID, code); err != nil || again != n {
		t.Errorf("repeated: %+v %v", again, err)
	}

	w.Advance(24*time.Hour - time.Second)
	if wait, err := w.App.ApplyNumberChange(t.Context(), n.ID); err != nil || wait != time.Second || w.phoneOf(c) != phone {
		t.Fatalf("a second too early: %s %v", wait, err)
	}
	login, err := w.App.StartLoginChallenge(w.anyone(), phone, "another-0123456789") // whoever has the old number, at the last moment
	w.must(err)
	for range 2 { // a job may come twice
		w.due(n)
	}
	if got := w.phoneOf(c); got != newPhone {
		t.Errorf("the number is %s", got)
	}
	_, err = w.App.TakeOtp(w.service("users:otp"), login.ID)
	w.want(err, fault.ErrNotFound)
	types, last := w.events()
	if !slices.Contains(types, "user.number_change_started") || types[len(types)-1] != "user.number_changed" || last["version"] != 2.0 {
		t.Errorf("events %v %v", types, last)
	}
	former, err := uuid.Parse(fmt.Sprint(last["former_number_id"]))
	w.must(err)
	if f, err := w.App.GetFormerNumber(w.service("users:contacts"), former); err != nil || f.Phone != phone || f.Language != "en" {
		t.Errorf("the former number: %+v %v", f, err)
	}
	_, err = w.App.GetFormerNumber(w.service("users:otp"), former)
	w.want(err, fault.ErrForbidden)
	for _, action := range []string{"number.change_started", "number.changed"} {
		if rows := w.Count("SELECT count(*) FROM audit_log WHERE action = $$" + action + "$$"); rows != 1 {
			t.Errorf("%s is audited %d times", action, rows)
		}
	}
	st, err := w.App.GetStanding(w.service("users:standing"), c.id)
	w.must(err)
	if st.Version != 2 || !st.CredentialsChangedAt.Equal(w.Now()) {
		t.Errorf("standing %+v", st)
	}
	_, err = w.App.CreateSession(w.anyone(), app.SessionInput{Phone: newPhone, Pin: pin, Device: device})
	w.must(err)
	w.Advance(domain.FormerNumberKeep + time.Second)
	w.must(ignore(w.App.Sweep(t.Context())))
	_, err = w.App.GetFormerNumber(w.service("users:contacts"), former)
	w.want(err, fault.ErrNotFound)
}

// TestNumberChangeTellsNothing: the answer to the request is the same for a number that somebody has; who proves it learns that.
func TestNumberChangeTellsNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c, holder := w.register(phone), w.register(newPhone)
	before := w.everything()
	_, err := w.App.StartNumberChange(c.ctx, phone)
	w.want(err, domain.ErrNumberUnchanged)
	_, err = w.App.StartNumberChange(c.ctx, "+256772345678") // of another country
	w.want(err, domain.ErrPhoneInvalid)
	if after := w.everything(); after != before {
		t.Errorf("refusals left %d rows", after-before)
	}
	started, err := w.App.StartNumberChange(c.ctx, newPhone)
	w.must(err)
	code := w.code(started.ID)
	for range 2 {
		_, err = w.App.ConfirmNumberChange(w.approved(c, "confirmNumberChange", started.ID), started.ID, code)
		w.want(err, domain.ErrNumberTaken)
	}
	_, err = w.App.ConfirmNumberChange(w.approved(holder, "confirmNumberChange", started.ID), started.ID, code)
	w.want(err, fault.ErrNotFound) // somebody else's
	_, err = w.App.GetNumberChange(c.ctx, started.ID)
	w.want(err, fault.ErrNotFound)
	if n := w.Count("SELECT count(*) FROM step_ups"); n != 0 {
		t.Errorf("%d approvals are spent", n)
	}
}

func TestNumberChangeLimit(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	for i := range domain.MaxOtpSends {
		w.must(ignore(w.App.StartNumberChange(c.ctx, fmt.Sprintf("+2547123456%02d", 80+i))))
	}
	_, err := w.App.StartNumberChange(c.ctx, "+254712345690")
	w.want(err, domain.ErrOtpLimit)
	w.Advance(domain.OtpWindow)
	w.must(ignore(w.App.StartNumberChange(c.ctx, "+254712345690")))
}

func TestOneNumberChangeAtATime(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	first := w.cooling(c, newPhone)
	started, err := w.App.StartNumberChange(c.ctx, "+254712345680")
	w.must(err)
	_, err = w.App.ConfirmNumberChange(w.approved(c, "confirmNumberChange", started.ID), started.ID, w.code(started.ID))
	w.want(err, domain.ErrNumberChangeOpen)
	w.must(ignore(w.App.CancelNumberChange(c.ctx, first.ID)))
	_, err = w.App.ConfirmNumberChange(w.approved(c, "confirmNumberChange", started.ID), started.ID, w.code(started.ID))
	w.must(err)
	list, next, err := w.App.ListNumberChanges(c.ctx, page.Request{})
	w.must(err)
	if len(list) != 2 || next != nil || list[0].ID != started.ID || list[1].State != domain.NumberCancelled {
		t.Errorf("list %+v", list)
	}
	other := w.register("+254712345699")
	if list, _, err := w.App.ListNumberChanges(other.ctx, page.Request{}); err != nil || len(list) != 0 {
		t.Errorf("another customer sees %+v %v", list, err)
	}
	_, err = w.App.CancelNumberChange(other.ctx, started.ID)
	w.want(err, fault.ErrNotFound)
	if state := w.stateOf(c, started.ID); state != "cooling " {
		t.Errorf("another customer made it %s", state)
	}
	_, err = w.App.GetNumberChange(other.ctx, started.ID)
	w.want(err, fault.ErrNotFound)
}

// TestTwinsConfirm: requests with one code and one approval make one change, and all of them are answered with it.
func TestTwinsConfirm(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	started, err := w.App.StartNumberChange(c.ctx, newPhone)
	w.must(err)
	ctx, code := w.approved(c, "confirmNumberChange", started.ID), w.code(started.ID)
	for _, err := range servicetest.Together(4, func(int) error { return ignore(w.App.ConfirmNumberChange(ctx, started.ID, code)) }) {
		w.must(err)
	}
	if n := w.Count("SELECT count(*) FROM number_changes") +
		w.Count("SELECT count(*) FROM river_job WHERE kind = 'user.apply_number_change'"); n != 2 {
		t.Errorf("%d rows and jobs, want one of each", n)
	}
}

// TestCancelAgainstApply: of a cancellation and the job at the same moment one wins, and the number follows.
func TestCancelAgainstApply(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for i := range 6 {
		c := w.register(fmt.Sprintf("+2547123400%02d", i))
		n := w.cooling(c, fmt.Sprintf("+2547123500%02d", i))
		w.Advance(24 * time.Hour)
		errs := servicetest.Together(2, func(k int) error {
			if k == 0 {
				return ignore(w.App.ApplyNumberChange(t.Context(), n.ID))
			}
			return ignore(w.App.CancelNumberChange(c.ctx, n.ID))
		})
		w.must(errs[0])
		switch state, now := w.stateOf(c, n.ID), w.phoneOf(c); {
		case errs[1] == nil && (state != "cancelled customer" || now != c.phone):
			t.Errorf("cancelled, and it is %s with %s", state, now)
		case errs[1] != nil && (state != "applied " || now != n.Phone):
			t.Errorf("not cancelled (%v), and it is %s with %s", errs[1], state, now)
		}
	}
}

// TestApplyAgainstRegistration: a number has one holder, whoever is faster.
func TestApplyAgainstRegistration(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for i := range 6 {
		c, wanted := w.register(fmt.Sprintf("+2547123400%02d", i)), fmt.Sprintf("+2547123500%02d", i)
		n := w.cooling(c, wanted)
		w.Advance(24 * time.Hour)
		r, err := w.App.StartRegistration(w.anyone(), wanted, "KE", "en")
		w.must(err)
		code := w.code(r.ID)
		errs := servicetest.Together(2, func(k int) error {
			if k == 0 {
				return ignore(w.App.ApplyNumberChange(t.Context(), n.ID))
			}
			_, _, err := w.App.CompleteRegistration(w.anyone(), app.RegistrationInput{ID: r.ID, Otp: code, Pin: pin, Device: "other-0123456789"})
			return err
		})
		w.must(errs[0])
		state := w.stateOf(c, n.ID)
		if registered := errs[1] == nil; registered != (state == "failed number_taken") || !registered && state != "applied " {
			t.Errorf("registered: %v, the change is %s", errs[1], state)
		}
		if state == "failed number_taken" && w.phoneOf(c) != c.phone {
			t.Error("a change that failed took the number away")
		}
	}
}

// TestTwoWantOneNumber: both proved it, one gets it.
func TestTwoWantOneNumber(t *testing.T) {
	t.Parallel()
	w := setup(t)
	a, b := w.register(phone), w.register("+254712345688")
	first, second := w.cooling(a, newPhone), w.cooling(b, newPhone)
	w.Advance(24 * time.Hour)
	for _, err := range servicetest.Together(2, func(k int) error {
		return ignore(w.App.ApplyNumberChange(t.Context(), []uuid.UUID{first.ID, second.ID}[k]))
	}) {
		w.must(err)
	}
	states := []string{w.stateOf(a, first.ID), w.stateOf(b, second.ID)}
	slices.Sort(states)
	if !slices.Equal(states, []string{"applied ", "failed number_taken"}) {
		t.Errorf("%q", states)
	}
}

// TestNumberChangeEnds: what the credentials of before had begun does not outlive them.
func TestNumberChangeEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do   func(w *world, c customer)
		want string
	}{
		"another PIN": {func(w *world, c customer) {
			r, err := w.App.StartPinReset(w.anyone(), phone, device)
			w.must(err)
			w.must(w.App.CompletePinReset(w.anyone(), app.PinResetInput{ID: r.ID, Otp: w.code(r.ID), Pin: "8361", Device: device}))
		}, "cancelled pin_reset"},
		"suspended": {func(w *world, c customer) {
			_, admin := w.officer()
			w.must(ignore(w.App.SuspendUser(admin, c.id, "Lost phone of Amina")))
		}, "failed not_active"},
		"joined the staff": {func(w *world, c customer) {
			_, err := w.DB.Pool.Exec(w.Context(), "UPDATE users SET role = $2 WHERE id = $1", c.id, scopes.RoleSupport)
			w.must(err)
		}, "failed not_active"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			amina := w.register(phone)
			n := w.cooling(amina, newPhone)
			c.do(w, amina)
			w.due(n)
			if got := w.Text("SELECT state || ' ' || reason_code FROM number_changes"); got != c.want || w.phoneOf(amina) != phone {
				t.Errorf("%s, the number is %s", got, w.phoneOf(amina))
			}
			types, last := w.events()
			if types[len(types)-1] != "user.number_change_ended" || fmt.Sprint(last["state"], " ", last["reason_code"]) != c.want {
				t.Errorf("events %v %v", types, last)
			}
		})
	}
}

func TestStaffKeepTheirNumber(t *testing.T) {
	t.Parallel()
	w := setup(t)
	m := w.member("+254799000007", scopes.RoleSupport)
	_, err := w.App.StartNumberChange(m.ctx, newPhone)
	w.want(err, domain.ErrStaffNumber)
	c := w.register(phone)
	started, err := w.App.StartNumberChange(c.ctx, newPhone)
	w.must(err)
	_, err = w.DB.Pool.Exec(t.Context(), "UPDATE users SET role = $2 WHERE id = $1", c.id, scopes.RoleSupport)
	w.must(err)
	_, err = w.App.ConfirmNumberChange(w.approved(c, "confirmNumberChange", started.ID), started.ID, w.code(started.ID))
	w.want(err, domain.ErrStaffNumber)
}

// TestNumbersModel lets customers want each other's numbers in any order: a number has one holder at every moment, a customer one open
// change, and whoever did not apply a change has the number of before.
func TestNumbersModel(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var people []customer
	for i := range 3 {
		people = append(people, w.register(fmt.Sprintf("+25471234000%d", i)))
	}
	numbers := []string{"+254712340000", "+254712340001", "+254712340002", "+254712340003", "+254712340004"}
	holds := []string{numbers[0], numbers[1], numbers[2]}
	open := make([]app.NumberChange, len(people))
	rapid.Check(t, func(r *rapid.T) {
		w.Advance(domain.OtpWindow) // of limits nothing is left
		i, number := rapid.IntRange(0, 2).Draw(r, "who"), rapid.SampledFrom(numbers).Draw(r, "number")
		c := people[i]
		switch rapid.SampledFrom([]string{"want", "cancel", "apply"}).Draw(r, "do") {
		case "want":
			started, err := w.App.StartNumberChange(c.ctx, number)
			if err != nil {
				if number != holds[i] {
					r.Fatalf("start: %v", err)
				}
				return
			}
			n, err := w.App.ConfirmNumberChange(w.approved(c, "confirmNumberChange", started.ID), started.ID, w.code(started.ID))
			if free := open[i].State == "" && !slices.Contains(holds, number); free != (err == nil) {
				r.Fatalf("confirm: %v; %s of %v, open %+v", err, number, holds, open[i])
			}
			if err == nil {
				open[i] = n
			}
		case "cancel":
			if open[i].State != "" {
				w.must(ignore(w.App.CancelNumberChange(c.ctx, open[i].ID)))
				open[i] = app.NumberChange{}
			}
		case "apply":
			if open[i].State != "" {
				w.Advance(24 * time.Hour)
				w.must(ignore(w.App.ApplyNumberChange(t.Context(), open[i].ID)))
				if !slices.Contains(holds, open[i].Phone) {
					holds[i] = open[i].Phone
				}
				open[i] = app.NumberChange{}
			}
		}
		for k, p := range people {
			if got := w.phoneOf(p); got != holds[k] {
				r.Fatalf("customer %d has %s, want %s", k, got, holds[k])
			}
		}
	})
}
