package e2e_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/cmd/sendtip/journey"
	"github.com/sendtip/sendtip/cmd/sendtip/platform"
	"github.com/sendtip/sendtip/generated/common"
	userclient "github.com/sendtip/sendtip/generated/user/client"
	"github.com/sendtip/sendtip/kit/clock"
	"github.com/sendtip/sendtip/sandbox/control"
)

const (
	claimsPath    = "/v1/me/number-claims"
	decisionsPath = "/v1/admin/number-claim-decisions"
)

// claimed lets a newcomer prove a customer's number, and returns both the newcomer and the claim as the customer's devices see it.
func (w *world) claimed(t *testing.T, c *journey.Customer) (*journey.Customer, userclient.NumberClaim) {
	t.Helper()
	n, err := w.Newcomer("Otieno", c)
	if err != nil {
		t.Fatal(err)
	}
	done, err := w.Prove(t.Context(), n)
	if err != nil || done.StatusCode() != http.StatusConflict || refusalOf(done.Body) != "number_in_review" {
		t.Fatalf("a stranger registers: %v %v", done, err)
	}
	return n, w.claim(t, c)
}

// claim is the newest claim on a customer's number.
func (w *world) claim(t *testing.T, c *journey.Customer) userclient.NumberClaim {
	t.Helper()
	list, err := c.User.ListMyNumberClaimsWithResponse(t.Context(), nil)
	if err != nil || list.JSON200 == nil || len(list.JSON200.Data) != 1 {
		t.Fatalf("claims: %v %v", list, err)
	}
	return list.JSON200.Data[0]
}

// answer sends a holder's answer with an approval by PIN.
func answer(t *testing.T, c *journey.Customer, claim uuid.UUID, what, operation string, status int, code string) {
	t.Helper()
	approval, err := c.StepUpFor(t.Context(), operation, claim)
	if err != nil {
		t.Fatal(err)
	}
	ask(t, c, http.MethodPost, claimsPath+"/"+claim.String()+"/"+what, "", map[string]string{"Step-Up-Token": approval}, status, code)
}

// numberIs waits until wallet has heard what a customer's number may be used for.
func (w *world) numberIs(t *testing.T, c *journey.Customer, want string) {
	t.Helper()
	eventually(t, "wallet to know that the number is "+want, func() bool {
		return query[string](t, w, "wallet", "SELECT number FROM customers WHERE user_id = $1", c.UserID) == want
	})
}

// mailed waits for a mail to a customer.
func (w *world) mailed(t *testing.T, c *journey.Customer, subject string) {
	t.Helper()
	if _, err := w.Sandbox.WaitMail(t.Context(), func(m control.Mail) bool {
		return slices.Contains(m.To, c.Email) && m.Subject == subject
	}); err != nil {
		t.Fatalf("mail %q: %v", subject, err)
	}
}

// told waits until a message is in the app with its text.
func told(t *testing.T, c *journey.Customer, kind string) {
	t.Helper()
	eventually(t, kind+" to be read in the app", func() bool {
		for _, n := range notifications(t, c) {
			if n.Type == kind && n.Text != nil {
				return true
			}
		}
		return false
	})
}

// TestClaimedNumberIsKept: a stranger proves a customer's number. Nothing more is sent or paid to it, the customer hears of it on a device
// of hers and by e-mail and says that it is hers, and two compliance officers leave it to her.
func TestClaimedNumberIsKept(t *testing.T) {
	t.Parallel()
	w := shared(t)
	amina, brian := w.customer(t, "Amina", 500_00), w.customer(t, "Brian", 500_00)
	maker, checker := w.staff(t, "compliance"), w.staff(t, "compliance")
	pinned, err := brian.Quote(t.Context(), amina, 10_00)
	if err != nil || pinned.JSON201 == nil {
		t.Fatalf("quote: %v %v", pinned, err)
	}
	stranger, claim := w.claimed(t, amina)
	if claim.State != "open" || claim.ReleaseAt.Sub(claim.OpenedAt) != 7*24*time.Hour {
		t.Errorf("claim is %+v", claim)
	}
	if again, err := w.Prove(t.Context(), stranger); err != nil || refusalOf(again.Body) != "number_in_review" {
		t.Errorf("the stranger tries again: %v %v", again, err)
	}
	w.mailed(t, amina, "Somebody else uses your phone number")
	told(t, amina, "number_claimed")

	w.numberIs(t, amina, "in_review")
	w.heldBack(t, amina, brian, pinned.JSON201.ID)

	path := claimsPath + "/" + claim.ClaimID.String()
	ask(t, amina, http.MethodPost, path+"/rejection", "", nil, http.StatusForbidden, "step_up_required")
	ask(t, amina, http.MethodPost, path+"/release", "", nil, http.StatusForbidden, "step_up_required")
	for what, operation := range map[string]string{"rejection": "rejectNumberClaim", "release": "releaseNumberClaim"} {
		answer(t, amina, uuid.New(), what, operation, http.StatusNotFound, "not_found")
		answer(t, brian, claim.ClaimID, what, operation, http.StatusNotFound, "not_found")
		answer(t, amina, claim.ClaimID, what+"?unheard_of=1", operation, http.StatusBadRequest, "invalid_request")
		ask(t, stranger, http.MethodPost, path+"/"+what, "", nil, http.StatusUnauthorized, "unauthenticated")
	}
	ask(t, stranger, http.MethodGet, claimsPath, "", nil, http.StatusUnauthorized, "unauthenticated")
	for range 2 {
		answer(t, amina, claim.ClaimID, "rejection", "rejectNumberClaim", http.StatusOK, "")
	}
	answer(t, amina, claim.ClaimID, "release", "releaseNumberClaim", http.StatusConflict, "number_claim_disputed")
	told(t, amina, "number_disputed")

	w.decided(t, maker, checker, amina, claim.ClaimID)
	w.numberIs(t, amina, "held")
	w.sms(t, amina, "stays with your account")
	answer(t, amina, claim.ClaimID, "rejection", "rejectNumberClaim", http.StatusConflict, "number_claim_closed")
	if tr, err := brian.Send(t.Context(), amina, 10_00); err != nil || tr.Status != "completed" {
		t.Errorf("he sends to the number: %+v %v", tr, err)
	}
}

// heldBack proves that nothing comes to a claimed number or goes by it, and that its holder's own device goes on.
func (w *world) heldBack(t *testing.T, c, payer *journey.Customer, pinned uuid.UUID) {
	t.Helper()
	before := len(w.inbox(t, c))
	approval, err := payer.StepUp(t.Context(), pinned)
	if err != nil {
		t.Fatal(err)
	}
	if tr, err := payer.Transfer(t.Context(), pinned, approval, key()); err != nil || refusalOf(tr.Body) != "recipient_in_review" {
		t.Errorf("a quote from before the claim: %v %v", tr, err)
	}
	if q, err := payer.Quote(t.Context(), c, 10_00); err != nil || refusalOf(q.Body) != "recipient_in_review" {
		t.Errorf("a quote for the number: %v %v", q, err)
	}
	login, err := c.User.StartLoginChallengeWithResponse(t.Context(),
		userclient.LoginChallengeRequest{Phone: c.Phone, DeviceID: c.Device})
	if err != nil || login.JSON202 == nil {
		t.Errorf("a code to sign in, as ever: %v %v", login, err)
	}
	if err := c.LogIn(t.Context()); err != nil {
		t.Errorf("she signs in on her device: %v", err)
	}
	if tr, err := c.Send(t.Context(), payer, 20_00); err != nil || tr.Status != "completed" {
		t.Errorf("she pays from her device: %+v %v", tr, err)
	}
	ask(t, c, http.MethodPost, "/v1/topups", `{"wallet_id":"`+c.WalletID.String()+`","amount":{"amount":10000,"currency":"KES"}}`,
		map[string]string{"Idempotency-Key": key()}, http.StatusUnprocessableEntity, "no_phone_number")
	ask(t, c, http.MethodPost, "/v1/prompt-block-lifts", "", nil, http.StatusNotFound, "not_found")
	w.mailed(t, c, "You sent KES 20.00")
	told(t, c, "transfer_sent")
	if after := w.inbox(t, c); len(after) != before {
		t.Errorf("sent to the number: %+v", after[:len(after)-before])
	}
}

// decided lets two compliance officers leave a number to its holder.
func (w *world) decided(t *testing.T, maker, checker, holder *journey.Customer, claim uuid.UUID) {
	t.Helper()
	disputed := userclient.ListNumberClaimsParamsStateDisputed
	limit := common.Limit(100)
	list, err := maker.User.ListNumberClaimsWithResponse(t.Context(), &userclient.ListNumberClaimsParams{State: &disputed, Limit: &limit})
	if err != nil || list.JSON200 == nil || !slices.ContainsFunc(list.JSON200.Data, func(c userclient.NumberClaimReview) bool {
		return c.ClaimID == claim && c.UserID == holder.UserID && c.Phone == holder.Phone
	}) {
		t.Fatalf("disputed claims: %v %v", list, err)
	}
	propose := func(id uuid.UUID, status int, code string) {
		t.Helper()
		ask(t, maker, http.MethodPost, decisionsPath, `{"claim_id":"`+id.String()+`","outcome":"keep","reason":"The network saw a swap."}`, nil,
			status, code)
	}
	ask(t, holder, http.MethodPost, decisionsPath, `{}`, nil, http.StatusForbidden, "forbidden")
	propose(uuid.New(), http.StatusUnprocessableEntity, "number_claim_unknown")
	propose(claim, http.StatusCreated, "")
	propose(claim, http.StatusConflict, "approval_waiting")
	open := userclient.ListUserApprovalsParamsStateOpen
	asked, err := checker.User.ListUserApprovalsWithResponse(t.Context(), &userclient.ListUserApprovalsParams{State: &open, Limit: &limit})
	if err != nil || asked.JSON200 == nil {
		t.Fatalf("approvals: %v %v", asked, err)
	}
	at := slices.IndexFunc(asked.JSON200.Data, func(a common.Approval) bool { return a.ObjectID == claim.String() })
	if at < 0 {
		t.Fatal("the decision is not on the list")
	}
	done, err := checker.User.ApproveUserApprovalWithResponse(t.Context(), asked.JSON200.Data[at].ApprovalID,
		common.ApprovalDecision{Digest: asked.JSON200.Data[at].Digest})
	if err != nil || done.JSON200 == nil {
		t.Fatalf("approve: %v %v", done, err)
	}
	if got := w.claim(t, holder); got.State != "kept" {
		t.Errorf("claim is %+v", got)
	}
}

// TestSilenceReleasesANumber: a week later nobody has answered. The newcomer registers and is paid by the number; who had it before has the
// account, the money and the device as ever, and no number.
func TestSilenceReleasesANumber(t *testing.T) {
	t.Parallel()
	c := clock.New(0)
	w := start(t, func(o *platform.Options) { o.Clock = c })
	amina, brian := w.customer(t, "Amina", 500_00), w.customer(t, "Brian", 500_00)
	otieno, _ := w.claimed(t, amina)
	c.Set(c.Offset() + 7*24*time.Hour)
	for _, p := range []*journey.Customer{amina, brian} {
		if err := p.LogIn(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the number to be released", func() bool { return w.claim(t, amina).State == "released" })
	w.mailed(t, amina, "Your account no longer has its phone number")
	w.numberIs(t, amina, "none")

	if done, err := w.Prove(t.Context(), otieno); err != nil || done.JSON201 == nil {
		t.Fatalf("the newcomer registers: %v %v", done, err)
	}
	if status, err := otieno.SubmitKYC(t.Context(), nationalID(0)); err != nil || status != "verified" {
		t.Fatalf("the check ended as %s: %v", status, err)
	}
	if err := otieno.WaitWallet(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := balance(t, amina)
	if tr, err := brian.Send(t.Context(), otieno, 10_00); err != nil || tr.Status != "completed" || balance(t, otieno) != 10_00 {
		t.Errorf("he sends to the number: %+v %v", tr, err)
	}
	if balance(t, amina) != before {
		t.Error("the money went to who had the number before")
	}
	if err := amina.LogIn(t.Context()); err != nil {
		t.Fatalf("she signs in on her device with the number that she had: %v", err)
	}
	me, err := amina.User.GetProfileWithResponse(t.Context())
	if err != nil || me.JSON200 == nil || me.JSON200.UserID != amina.UserID || me.JSON200.Phone != nil {
		t.Errorf("profile: %v %v", me, err)
	}
	if tr, err := amina.Send(t.Context(), brian, 20_00); err != nil || tr.Status != "completed" {
		t.Errorf("she pays from her device: %+v %v", tr, err)
	}
	if _, err := w.ChangeNumber(t.Context(), amina); err != nil {
		t.Errorf("she asks for another number: %v", err)
	}
}

// TestHolderGivesANumberUp: the newcomer need not wait.
func TestHolderGivesANumberUp(t *testing.T) {
	t.Parallel()
	w := shared(t)
	amina := w.registered(t, "Amina")
	otieno, claim := w.claimed(t, amina)
	answer(t, amina, claim.ClaimID, "release", "releaseNumberClaim", http.StatusOK, "")
	answer(t, amina, claim.ClaimID, "release", "releaseNumberClaim", http.StatusOK, "") // said twice
	if done, err := w.Prove(t.Context(), otieno); err != nil || done.JSON201 == nil {
		t.Errorf("the newcomer registers: %v %v", done, err)
	}
}
