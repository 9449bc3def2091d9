package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/cmd/sendtip/journey"
	"github.com/sendtip/sendtip/cmd/sendtip/platform"
	gatewayclient "github.com/sendtip/sendtip/generated/gateway/client"
	userclient "github.com/sendtip/sendtip/generated/user/client"
	"github.com/sendtip/sendtip/services/user"
)

// makeAdmin does what `sendtip admin create` does.
func (w *world) makeAdmin(ctx context.Context, c *journey.Customer, breakGlass string) error {
	environ, err := platform.ServiceEnviron(w.ports, w.p.Keys(), w.p.AdminURL("postgres"), w.p.Brokers(),
		map[string]string{"SENDTIP_CLOCK_OFFSET": time.Until(w.Now()).String()}, "user")
	if err != nil {
		return err
	}
	cfg, err := user.LoadConfig(environ)
	if err != nil {
		return err
	}
	c.UserID, err = user.CreateAdmin(ctx, cfg, user.Admin{Phone: c.Phone, Pin: c.PIN, Device: c.Device, BreakGlass: breakGlass})
	return err
}

// staff is a member of staff of a role, whom the platform's two admins appointed.
func (w *world) staff(t testing.TB, role string) *journey.Customer {
	t.Helper()
	w.appointing.Lock()
	defer w.appointing.Unlock()
	if w.admins[0] == nil {
		var err error
		if w.admins, err = w.MakeAdmins(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range w.admins { // a run lasts longer than a token
		if err := a.Refresh(t.Context()); err != nil {
			t.Fatalf("an admin's session: %v", err)
		}
	}
	if role == "admin" {
		return w.admins[0]
	}
	c, err := w.Appoint(t.Context(), w.admins, "Njeri", role)
	if err != nil {
		t.Fatalf("appoint %s: %v", role, err)
	}
	return c
}

// nationalID is a number whose last digit decides what the sandbox's authority says.
func nationalID(last int) string {
	return fmt.Sprintf("4%06d%d", rand.IntN(1_000_000), last)
}

func TestAPIKeys(t *testing.T) {
	t.Parallel()
	w := shared(t)
	admin, customer := w.staff(t, "admin"), w.registered(t, "Amina")
	partner, err := w.NewCustomer("Partner")
	if err != nil {
		t.Fatal(err)
	}
	keysOf := func(c *journey.Customer) *gatewayclient.ClientWithResponses {
		client, err := gatewayclient.NewClientWithResponses(w.Gateway, gatewayclient.WithHTTPClient(c))
		if err != nil {
			t.Fatal(err)
		}
		return client
	}
	request := gatewayclient.CreateAPIKeyRequest{Name: "Price comparison", Scopes: []string{"tariffs:read"}}
	params := &gatewayclient.CreateAPIKeyParams{IdempotencyKey: key()}
	if refused, err := keysOf(customer).CreateAPIKeyWithResponse(t.Context(), params, request); err != nil ||
		refused.StatusCode() != http.StatusForbidden {
		t.Fatalf("a customer made a key: %v %v", refused, err)
	}
	created, err := keysOf(admin).CreateAPIKeyWithResponse(t.Context(), params, request)
	if err != nil || created.JSON201 == nil || created.JSON201.Secret == nil {
		t.Fatalf("create: %v %v", created, err)
	}
	replay, err := keysOf(admin).CreateAPIKeyWithResponse(t.Context(), params, request)
	if err != nil || replay.JSON201 == nil || replay.JSON201.ID != created.JSON201.ID || replay.JSON201.Secret != nil {
		t.Fatalf("a replay must name the same key without its secret: %d %v", replay.StatusCode(), err)
	}
	wide := gatewayclient.CreateAPIKeyRequest{Name: "Too much", Scopes: []string{"wallet:write"}}
	if refused, err := keysOf(admin).CreateAPIKeyWithResponse(t.Context(), &gatewayclient.CreateAPIKeyParams{IdempotencyKey: key()},
		wide); err != nil || refused.StatusCode() != http.StatusUnprocessableEntity {
		t.Errorf("a scope that is not for keys: %v %v", refused, err)
	}

	const estimate = `{"kind":"transfer","amount":{"amount":25000,"currency":"KES"}}`
	header := map[string]string{"X-Api-Key": *created.JSON201.Secret}
	eventually(t, "the key to be known to the gateway, which hears of it from the database", func() bool {
		status, _, err := partner.Raw(t.Context(), http.MethodPost, "/v1/fee-estimates", estimate, header)
		return err == nil && status == http.StatusOK
	})
	ask(t, partner, http.MethodPost, "/v1/fee-estimates", estimate, nil, http.StatusUnauthorized, "unauthenticated")
	if status, code, err := partner.Raw(t.Context(), http.MethodGet, "/v1/wallets", "", header); err != nil ||
		status != http.StatusForbidden || code != "forbidden" {
		t.Errorf("a partner's key opened a customer's operation: %d %s %v", status, code, err)
	}

	if resp, err := keysOf(admin).RevokeAPIKeyWithResponse(t.Context(), created.JSON201.ID); err != nil ||
		resp.StatusCode() != http.StatusNoContent {
		t.Fatalf("revoke: %v %v", resp, err)
	}
	dies(t, partner, "/v1/fee-estimates", estimate, header)
	list, err := keysOf(admin).ListAPIKeysWithResponse(t.Context(), nil)
	if err != nil || list.JSON200 == nil || !slices.ContainsFunc(list.JSON200.Data, func(k gatewayclient.APIKey) bool {
		return k.ID == created.JSON201.ID && k.Status == "revoked" && k.Secret == nil
	}) {
		t.Errorf("the list does not show the revoked key without its secret: %s %v", list.Body, err)
	}
}

// review finds a customer's submission among those that wait for a person.
func review(t testing.TB, admin, c *journey.Customer) (userclient.KycReview, bool) {
	t.Helper()
	limit := int32(100)
	params := &userclient.ListKycReviewsParams{Limit: &limit}
	for {
		resp, err := admin.User.ListKycReviewsWithResponse(t.Context(), params)
		if err != nil || resp.JSON200 == nil {
			t.Fatalf("list reviews: %v %v", resp, err)
		}
		for _, r := range resp.JSON200.Data {
			if r.UserID == c.UserID {
				return r, true
			}
		}
		if resp.JSON200.NextCursor == nil {
			return userclient.KycReview{}, false
		}
		params.Cursor = resp.JSON200.NextCursor
	}
}

func decide(t testing.TB, admin *journey.Customer, r userclient.KycReview,
	d userclient.KycDecisionDecision) *userclient.DecideKycReviewResponse {
	t.Helper()
	resp, err := admin.User.DecideKycReviewWithResponse(t.Context(), r.KycID,
		userclient.KycDecision{Decision: d, Reason: "Seen in the branch."})
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func submit(t testing.TB, c *journey.Customer, idNumber, want string) {
	t.Helper()
	if status, err := c.SubmitKYC(t.Context(), idNumber); err != nil || status != want {
		t.Fatalf("an ID number that ends in %s: want %s, got %s %v", idNumber[len(idNumber)-1:], want, status, err)
	}
}

func wallets(t testing.TB, c *journey.Customer) int {
	t.Helper()
	resp, err := c.Wallet.ListWalletsWithResponse(t.Context())
	if err != nil || resp.JSON200 == nil {
		t.Fatalf("list wallets: %v %v", resp, err)
	}
	return len(resp.JSON200.Data)
}

// TestIdentityReview: what the authority does not settle, a person does.
func TestIdentityReview(t *testing.T) {
	t.Parallel()
	w := shared(t)
	admin := w.staff(t, "compliance")

	t.Run("unknown result approved", func(t *testing.T) {
		t.Parallel()
		c := w.registered(t, "Amina")
		submit(t, c, nationalID(7), "review")
		r, ok := review(t, admin, c)
		if !ok || wallets(t, c) != 0 {
			t.Fatalf("in the list: %v, wallets: %d", ok, wallets(t, c))
		}
		ask(t, c, http.MethodPost, "/v1/admin/kyc-reviews/"+r.KycID.String()+"/decision", `{"decision":"approve","reason":"Me."}`, nil,
			http.StatusForbidden, "forbidden")
		if resp := decide(t, admin, r, userclient.KycDecisionDecisionApprove); resp.JSON200 == nil || resp.JSON200.Status != "verified" {
			t.Fatalf("approve: %d %s", resp.StatusCode(), resp.Body)
		}
		if err := c.WaitWallet(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.fund(t, c, 100_00)
		if resp := decide(t, admin, r, userclient.KycDecisionDecisionReject); resp.ApplicationProblemJSON409 == nil {
			t.Errorf("decided twice: %d %s", resp.StatusCode(), resp.Body)
		}
	})
	t.Run("provisional result rejected", func(t *testing.T) {
		t.Parallel()
		c := w.registered(t, "Brian")
		submit(t, c, nationalID(6), "review")
		r, ok := review(t, admin, c)
		if !ok {
			t.Fatal("not in the list")
		}
		if resp := decide(t, admin, r, userclient.KycDecisionDecisionReject); resp.JSON200 == nil || resp.JSON200.Status != "rejected" {
			t.Fatalf("reject: %d %s", resp.StatusCode(), resp.Body)
		}
		w.sms(t, c, "identity")
		if n := wallets(t, c); n != 0 {
			t.Errorf("a rejected customer has %d wallets", n)
		}
		submit(t, c, nationalID(0), "verified") // may try again, with another document
		if err := c.WaitWallet(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	for last, what := range map[int]string{1: "not found", 5: "somebody else's"} {
		t.Run("a number that is "+what, func(t *testing.T) {
			t.Parallel()
			c := w.registered(t, "Chebet")
			submit(t, c, nationalID(last), "rejected")
			if n := wallets(t, c); n != 0 {
				t.Errorf("a rejected customer has %d wallets", n)
			}
		})
	}
}

// TestOneIdentityOneCustomer: a document verifies one customer only, whoever decides.
func TestOneIdentityOneCustomer(t *testing.T) {
	t.Parallel()
	w := shared(t)
	admin, first, second := w.staff(t, "compliance"), w.registered(t, "Amina"), w.registered(t, "Amina")
	number := nationalID(0)
	submit(t, first, number, "verified")
	submit(t, second, "0"+number, "review") // leading zeros make no other document
	r, ok := review(t, admin, second)
	if !ok || r.ReasonCode != "duplicate_identity" {
		t.Fatalf("the second customer with the document is not among those who wait for a person, or for another reason: %v %s", ok, r.ReasonCode)
	}
	if resp := decide(t, admin, r, userclient.KycDecisionDecisionApprove); resp.ApplicationProblemJSON409 == nil ||
		resp.ApplicationProblemJSON409.Code != "duplicate_identity" {
		t.Errorf("an operator approved it: %d %s", resp.StatusCode(), resp.Body)
	}
	if _, ok := review(t, admin, second); !ok {
		t.Error("the refused approval closed the case")
	}
	if n := wallets(t, second); n != 0 {
		t.Errorf("the second customer has %d wallets", n)
	}
}

// TestSuspension: a suspended customer's tokens die, nothing is sent to them, and reinstating undoes it.
func TestSuspension(t *testing.T) {
	t.Parallel()
	w := shared(t)
	admin, amina, brian := w.staff(t, "compliance"), w.customer(t, "Amina", 500_00), w.customer(t, "Brian", 100_00)
	before, err := amina.Quote(t.Context(), brian, 10_00)
	if err != nil || before.JSON201 == nil {
		t.Fatalf("quote: %v %v", before, err)
	}
	resp, err := admin.User.SuspendUserWithResponse(t.Context(), brian.UserID, userclient.SuspensionRequest{Reason: "Phone reported lost."})
	if err != nil || resp.JSON200 == nil || resp.JSON200.Status != "suspended" {
		t.Fatalf("suspend: %v %v", resp, err)
	}
	dies(t, brian, "/v1/me", "", nil)
	dies(t, brian, "/v1/wallets", "", nil)
	if err := brian.LogIn(t.Context()); err == nil {
		t.Error("a suspended customer signed in")
	}
	if late := refresh(t, brian, brian.Tokens.RefreshToken, brian.Device, key()); late.JSON201 != nil {
		t.Error("a suspended customer's session went on")
	}
	eventually(t, "transfers to a suspended customer to be refused", func() bool {
		q, err := amina.Quote(t.Context(), brian, 10_00)
		return err == nil && refusalOf(q.Body) == "recipient_cannot_receive"
	})
	approval, err := amina.StepUp(t.Context(), before.JSON201.ID)
	if err != nil {
		t.Fatal(err)
	}
	if tr, err := amina.Transfer(t.Context(), before.JSON201.ID, approval, key()); err != nil ||
		tr.StatusCode() != http.StatusUnprocessableEntity {
		t.Errorf("a quote made before the suspension was carried out: %d %s %v", tr.StatusCode(), tr.Body, err)
	}
	if got := balance(t, amina); got != 500_00 {
		t.Errorf("%d left of 500.00", got)
	}

	back, err := admin.User.ReinstateUserWithResponse(t.Context(), brian.UserID)
	if err != nil || back.JSON200 == nil || back.JSON200.Status != "active" {
		t.Fatalf("reinstate: %v %v", back, err)
	}
	ask(t, brian, http.MethodGet, "/v1/me", "", nil, http.StatusUnauthorized, "session_revoked") // old sessions stay dead
	if err := brian.LogIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a transfer to the reinstated customer", func() bool {
		tr, err := amina.Send(t.Context(), brian, 10_00)
		return err == nil && tr.Status == "completed"
	})
	if _, err := brian.Send(t.Context(), amina, 5_00); err != nil {
		t.Errorf("the reinstated customer sends: %v", err)
	}
	own, err := admin.User.SuspendUserWithResponse(t.Context(), admin.UserID, userclient.SuspensionRequest{Reason: "Myself."})
	if err != nil || own.StatusCode() != http.StatusForbidden {
		t.Errorf("an operator suspended themselves: %v %v", own, err)
	}
	ask(t, amina, http.MethodPost, "/v1/admin/users/"+uuid.NewString()+"/suspension", `{"reason":"Why not."}`, nil, http.StatusForbidden,
		"forbidden")
}

// refusalOf is the stable code of a problem.
func refusalOf(body []byte) string {
	var p struct {
		Code string `json:"code"`
	}
	_ = json.Unmarshal(body, &p) // no problem: no code
	return p.Code
}
