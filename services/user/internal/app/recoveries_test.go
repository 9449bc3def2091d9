package app_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/generated/scopes"
	"github.com/sendtip/sendtip/kit/approve"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/servicetest"
	"github.com/sendtip/sendtip/services/user/internal/app"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

const (
	newPin    = "8361"
	newDevice = "new-device-0123456789"
	document  = "30112230"
)

// asked is a request to recover, of a person with a number, a document and a device.
func (w *world) asked(phone, number, device string) app.RecoveryInput {
	w.Helper()
	c, err := w.App.StartRecovery(w.anyone(), phone, "KE", "sw")
	w.must(err)
	return app.RecoveryInput{ID: c.ID, Otp: w.code(c.ID), Pin: newPin, Device: device, Submission: details(number), ConsentVersion: "2026-01"}
}

// recovering is a recovery that was completed and checked.
func (w *world) recovering(phone, number, device string) app.RecoveryReceipt {
	w.Helper()
	r, err := w.App.CompleteRecovery(w.anyone(), w.asked(phone, number, device))
	w.must(err)
	w.check(r.ID)
	return r
}

// check works the job by hand until there is nothing left to do.
func (w *world) check(id uuid.UUID) {
	w.Helper()
	servicetest.Eventually(w, "the check ends", func() bool {
		again, err := w.App.CheckRecovery(w.Context(), id, 0)
		w.must(err)
		return again == 0
	})
}

// officers are two of compliance, with the right to propose and approve.
type officers struct{ maker, checker context.Context }

func (w *world) officers() officers {
	w.Helper()
	return officers{w.member("+254799000011", scopes.RoleCompliance).ctx, w.member("+254799000012", scopes.RoleCompliance).ctx}
}

// agreed lets two people agree on a recovery.
func (w *world) agreed(o officers, id uuid.UUID) error {
	w.Helper()
	a, err := w.App.ProposeRecovery(o.maker, id, "Same person as on the card.")
	if err != nil {
		return err
	}
	_, err = w.App.Approvals.Approve(o.checker, w.DB.Pool, a.ID, a.Digest)
	return err
}

func (w *world) recovery(id uuid.UUID) string {
	w.Helper()
	return w.Text("SELECT state || ' ' || reason_code FROM recoveries WHERE id = $1", id)
}

func TestRecovery(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	w.decided(c, document)
	o := w.officers()
	r := w.recovering(newPhone, document, newDevice)
	if st, err := w.App.GetRecovery(w.anyone(), r.ID, r.Token); err != nil || st.State != "processing" {
		t.Fatalf("checked: %+v %v", st, err)
	}
	list, _, err := w.App.ListRecoveries(o.maker, domain.RecoveryChecked, page.Request{})
	w.must(err)
	if len(list) != 1 || *list[0].UserID != c.id || list[0].Phone != newPhone || list[0].NumberTaken || list[0].Returned == nil {
		t.Fatalf("the list is %+v", list)
	}
	a, err := w.App.ProposeRecovery(o.maker, r.ID, "Same person as on the card.")
	w.must(err)
	_, err = w.App.Approvals.Approve(o.maker, w.DB.Pool, a.ID, a.Digest)
	w.want(err, approve.ErrSamePerson)
	_, err = w.App.Approvals.Approve(o.checker, w.DB.Pool, a.ID, a.Digest)
	w.must(err)
	if types, _ := w.events(); !slices.Contains(types, "user.recovery_started") {
		t.Errorf("the customer is not told: %v", types)
	}
	st, err := w.App.GetRecovery(w.anyone(), r.ID, r.Token)
	if w.must(err); st.State != "cooling" || !st.AppliesAt.Equal(w.Now().Add(24*time.Hour)) {
		t.Fatalf("approved: %+v", st)
	}
	_, err = w.App.GetRecovery(w.anyone(), r.ID, r.Token+"x")
	w.want(err, fault.ErrNotFound)

	w.Advance(24*time.Hour - time.Second)
	if wait, err := w.App.ApplyRecovery(t.Context(), r.ID); err != nil || wait != time.Second {
		t.Fatalf("a second too early: %s %v", wait, err)
	}
	w.Advance(time.Second)
	for range 2 { // a job may come twice
		w.must(ignore(w.App.ApplyRecovery(t.Context(), r.ID)))
	}
	w.recovered(c, r)
}

// recovered says that the account has the number, PIN and device of the recovery, and nothing of before.
func (w *world) recovered(c customer, r app.RecoveryReceipt) {
	w.Helper()
	if got := w.recovery(r.ID); got != "applied " || w.phoneOf(c) != newPhone {
		w.Fatalf("it is %s, the number %s", got, w.phoneOf(c))
	}
	_, err := w.App.CreateSession(w.anyone(), app.SessionInput{Phone: newPhone, Pin: newPin, Device: newDevice})
	w.must(err)
	_, err = w.App.CreateSession(w.anyone(), app.SessionInput{Phone: newPhone, Pin: newPin, Device: device})
	w.want(err, domain.ErrDeviceUnknown)
	_, err = w.App.CreateSession(w.anyone(), app.SessionInput{Phone: newPhone, Pin: pin, Device: newDevice})
	w.want(err, domain.ErrCredentialsInvalid)
	_, err = w.refresh(c.tokens.Refresh, device, "key-a")
	w.want(err, domain.ErrRefreshInvalid)
	if st, err := w.App.GetRecovery(w.anyone(), r.ID, r.Token); err != nil || st.State != "done" {
		w.Errorf("%+v %v", st, err)
	}
	standing, err := w.App.GetStanding(w.service("users:standing"), c.id)
	w.must(err)
	if !standing.CredentialsChangedAt.Equal(w.Now()) {
		w.Errorf("credentials changed at %s", standing.CredentialsChangedAt)
	}
	types, last := w.events()
	if !slices.Contains(types, "user.recovered") {
		w.Errorf("events %v %v", types, last)
	}
	for _, action := range []string{"recovery.started", "recovery.checked", "recovery.approved", "recovery.applied"} {
		if n := w.Count("SELECT count(*) FROM audit_log WHERE action = $$" + action + "$$"); n != 1 {
			w.Errorf("%s is audited %d times", action, n)
		}
	}
	if n := w.Count("SELECT count(*) FROM recoveries WHERE pin_sealed IS NOT NULL"); n != 0 {
		w.Error("the PIN is kept")
	}
}

// TestRecoveryRepeated: the same request gets the same receipt and makes no second recovery; another code or device does not.
func TestRecoveryRepeated(t *testing.T) {
	t.Parallel()
	w := setup(t)
	in := w.asked(newPhone, document, newDevice)
	weak, unknown, young, wrongCode := in, in, in, in
	weak.Pin, unknown.ID, young.Submission.DateOfBirth, wrongCode.Otp = "1111", uuid.New(), "2020-01-01", wrong(in.Otp)
	for _, c := range []struct {
		in   app.RecoveryInput
		want error
	}{{weak, domain.ErrPinWeak}, {unknown, fault.ErrNotFound}, {young, domain.ErrKycInvalid}, {wrongCode, domain.ErrOtpInvalid}} {
		_, err := w.App.CompleteRecovery(w.anyone(), c.in)
		w.want(err, c.want)
	}
	receipts := make([]app.RecoveryReceipt, 4)
	for _, err := range servicetest.Together(len(receipts), func(i int) (err error) {
		receipts[i], err = w.App.CompleteRecovery(w.anyone(), in)
		return err
	}) {
		w.must(err)
	}
	if again, err := w.App.CompleteRecovery(w.anyone(), in); err != nil || again != receipts[0] || receipts[1] != receipts[0] {
		t.Errorf("%+v %v, %v", again, err, receipts)
	}
	elsewhere := in
	elsewhere.Device = "thief-0123456789"
	for _, other := range []app.RecoveryInput{elsewhere, wrongCode} {
		_, err := w.App.CompleteRecovery(w.anyone(), other)
		w.want(err, domain.ErrOtpInvalid)
	}
	if n := w.Count("SELECT count(*) FROM recoveries") + w.Count("SELECT count(*) FROM river_job WHERE kind = 'user.check_recovery'"); n != 2 {
		t.Errorf("%d rows and jobs, want one of each", n)
	}
}

// TestRecoveryTellsNothing: whoever has somebody's document learns neither whether they are a customer nor what the authority says, and
// of nobody's the authority is not asked.
func TestRecoveryTellsNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	w.decided(c, document)
	suspended := w.register("+254712345600")
	w.decided(suspended, "30112240")
	o := w.officers()
	byPerson := w.register("+254712345601")
	k := w.decided(byPerson, "30112247") // the authority's answer is one that nobody knows
	w.must(ignore(w.App.DecideKycReview(o.maker, app.DecisionInput{KycID: k.ID, Approve: true, Reason: "Seen in the branch."})))
	w.must(ignore(w.App.SuspendUser(o.maker, suspended.id, "Lost phone of Amina")))
	other := details(document)
	other.FirstName, other.LastName = "Brian", "Otieno"
	for name, x := range map[string]struct {
		sub  domain.Submission
		want string
	}{
		"nobody's document": {details("30112250"), "refused no_such_customer"},
		"a suspended one's": {details("30112240"), "refused not_active"},
		"not confirmed":     {details("30112247"), "refused unknown_result"},
		"other names":       {other, "refused identity_differs"},
		"the right ones":    {details(document), "checked "},
	} {
		in := w.asked("+2547123456"+fmt.Sprint(10+len(name)), document, newDevice)
		in.Submission = x.sub
		r, err := w.App.CompleteRecovery(w.anyone(), in)
		w.must(err)
		w.check(r.ID)
		st, err := w.App.GetRecovery(w.anyone(), r.ID, r.Token)
		w.must(err)
		if got := w.recovery(r.ID); got != x.want || st.State != "processing" || st.AppliesAt != nil {
			t.Errorf("%s: %s, shown %+v", name, got, st)
		}
		if strings.HasPrefix(x.want, "refused") {
			_, err := w.App.ProposeRecovery(o.maker, r.ID, "Same person as on the card.")
			w.want(err, domain.ErrRecoveryNotChecked)
		}
	}
	w.Advance(domain.RecoveryLife + time.Second)
	w.must(ignore(w.App.Sweep(t.Context())))
	if n := w.Count("SELECT count(*) FROM recoveries WHERE state IN ('checking', 'checked') OR pin_sealed IS NOT NULL"); n != 0 {
		t.Errorf("%d recoveries outlive their time", n)
	}
	_, err := w.App.ProposeRecovery(o.maker, uuid.New(), "Same person as on the card.")
	w.want(err, fault.ErrNotFound)
}

// TestRecoveryLimit: an identity has so many completions a day, whosever it is, and so has a device.
func TestRecoveryLimit(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for i := range domain.MaxKycPerDay {
		w.must(ignore(w.App.CompleteRecovery(w.anyone(),
			w.asked(fmt.Sprintf("+2547123456%02d", i), document, fmt.Sprintf("device-01234567-%d", i)))))
	}
	in := w.asked("+254712345690", document, newDevice)
	_, err := w.App.CompleteRecovery(w.anyone(), in)
	w.want(err, domain.ErrRecoveryLimit)
	in.Submission.FirstName = "Somebody"                   // who knows but the number of a document uses up nobody's attempts
	w.must(ignore(w.App.CompleteRecovery(w.anyone(), in))) // and the code was not spent
}

// TestRecoveryIsCancelled: who has a bound device and the PIN stops it; of a cancellation and the job at the same moment one wins.
func TestRecoveryIsCancelled(t *testing.T) {
	t.Parallel()
	w := setup(t)
	o := w.officers()
	for i := range 4 {
		number := fmt.Sprintf("3011%d230", i)
		c := w.register(fmt.Sprintf("+2547123400%02d", i))
		w.decided(c, number)
		r := w.recovering(fmt.Sprintf("+2547123500%02d", i), number, fmt.Sprintf("new-device-0123456-%d", i))
		_, err := w.App.CancelRecovery(w.approved(c, "cancelRecovery", r.ID), r.ID)
		w.want(err, fault.ErrNotFound) // nothing was approved
		w.must(w.agreed(o, r.ID))
		mine, _, err := w.App.ListMyRecoveries(c.ctx, page.Request{})
		if w.must(err); len(mine) != 1 || mine[0].State != domain.RecoveryCooling {
			t.Fatalf("%+v", mine)
		}
		_, err = w.App.CancelRecovery(c.ctx, r.ID)
		w.want(err, domain.ErrStepUpMissing)
		w.Advance(24 * time.Hour)
		ctx := w.approved(c, "cancelRecovery", r.ID)
		errs := servicetest.Together(2, func(k int) error {
			if k == i%2 {
				return ignore(w.App.ApplyRecovery(t.Context(), r.ID))
			}
			return ignore(w.App.CancelRecovery(ctx, r.ID))
		})
		w.must(errs[i%2])
		state, phone := w.recovery(r.ID), w.phoneOf(c)
		switch cancelled := errs[1-i%2] == nil; {
		case cancelled && (state != "cancelled fraud" || phone != c.phone):
			t.Errorf("cancelled, and it is %s with %s", state, phone)
		case !cancelled && (state != "applied " || phone == c.phone):
			t.Errorf("not cancelled (%v), and it is %s with %s", errs[1-i%2], state, phone)
		case cancelled:
			w.must(ignore(w.App.CancelRecovery(c.ctx, r.ID))) // repeated
			if _, err := w.App.CreateSession(w.anyone(), app.SessionInput{Phone: c.phone, Pin: pin, Device: device}); err != nil {
				t.Errorf("the customer is kept out: %v", err)
			}
		}
	}
}

// TestRecoveryIsHindered: what changes between the approval and its time is judged again.
func TestRecoveryIsHindered(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		do   func(w *world, o officers, c customer)
		want string
	}{
		"suspended": {func(w *world, o officers, c customer) {
			w.must(ignore(w.App.SuspendUser(o.maker, c.id, "Lost phone of Amina")))
		}, "failed not_active"},
		"another identity": {func(w *world, _ officers, _ customer) {
			_, err := w.DB.Pool.Exec(w.Context(), "UPDATE kyc_verifications SET status = 'rejected'")
			w.must(err)
		}, "failed identity_differs"},
		"the number has another holder": {func(w *world, _ officers, _ customer) { w.register(newPhone) }, "failed number_taken"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			c := w.register(phone)
			w.decided(c, document)
			o := w.officers()
			r := w.recovering(newPhone, document, newDevice)
			w.must(w.agreed(o, r.ID))
			x.do(w, o, c)
			w.Advance(24 * time.Hour)
			w.must(ignore(w.App.ApplyRecovery(t.Context(), r.ID)))
			if got := w.recovery(r.ID); got != x.want || w.phoneOf(c) != phone {
				t.Errorf("%s with %s", got, w.phoneOf(c))
			}
			if st, err := w.App.GetRecovery(w.anyone(), r.ID, r.Token); err != nil || st.State != "closed" {
				t.Errorf("%+v %v", st, err)
			}
			if _, last := w.events(); fmt.Sprint(last["state"], " ", last["reason_code"]) != x.want {
				t.Errorf("the customer is told %v", last)
			}
		})
	}
}

// TestRecoveryOfANumberThatIsTaken: it is not approved, and the list says why. Of two recoveries of one account one waits.
func TestRecoveryOfANumberThatIsTaken(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	w.decided(c, document)
	w.register("+254712345677")
	o := w.officers()
	taken := w.recovering("+254712345677", document, newDevice)
	w.want(w.agreed(o, taken.ID), domain.ErrNumberTaken)
	list, _, err := w.App.ListRecoveries(o.maker, domain.RecoveryChecked, page.Request{})
	if w.must(err); len(list) != 1 || !list[0].NumberTaken {
		t.Errorf("%+v", list)
	}
	own, next := w.recovering(phone, document, newDevice), w.recovering(newPhone, document, newDevice)
	w.must(w.agreed(o, own.ID))
	w.want(w.agreed(o, next.ID), domain.ErrRecoveryOpen)
	w.cooling(c, "+254712345699") // by whoever has the phone and the PIN
	w.Advance(24*time.Hour + time.Second)
	w.must(ignore(w.App.ApplyRecovery(t.Context(), own.ID)))
	if got := w.recovery(own.ID); got != "applied " || w.phoneOf(c) != phone {
		t.Errorf("with the number of before it is %s", got)
	}
	if got := w.recovery(next.ID); got != "refused recovered" {
		t.Errorf("the other one is %s", got)
	}
	if got := w.Text("SELECT state || ' ' || reason_code FROM number_changes"); got != "cancelled recovery" {
		t.Errorf("the change that was begun is %s", got)
	}
	if n := w.Count("SELECT count(*) FROM former_numbers"); n != 0 {
		t.Error("a number that stays was left")
	}
}

// TestRecoveryCallback: Smile ID's message wakes a job, and is kept unread.
func TestRecoveryCallback(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.decided(w.register(phone), document)
	w.recovering(newPhone, document, newDevice)
	servicetest.Eventually(w, "the callback is there", func() bool { return w.Count("SELECT count(*) FROM recovery_callbacks") == 1 })
	if n := w.Count("SELECT count(*) FROM river_job WHERE kind = 'user.judge_recovery'"); n != 1 {
		t.Errorf("%d jobs", n)
	}
}
