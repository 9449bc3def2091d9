package e2e_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sendtip/sendtip/cmd/sendtip/journey"
	gatewayclient "github.com/sendtip/sendtip/generated/gateway/client"
	"github.com/sendtip/sendtip/generated/scopes"
)

// ofNobody are proposals about somebody who does not exist.
var ofNobody = []string{"proposeRoleChange", "proposeTotpReset", "proposeKycOverride", "proposeRecovery"}

// TestEveryOperationRefuses asks every public operation for what no operation serves: an unknown parameter, a body of another kind, an id
// that nobody has, a cursor that nobody gave, and a partner's key that is good for prices alone. Lists that belong to no object are
// served, too.
func TestEveryOperationRefuses(t *testing.T) {
	t.Parallel()
	w := shared(t)
	people := map[string]*journey.Customer{scopes.RoleCustomer: w.customer(t, "Fatuma", 0)}
	for _, role := range []string{scopes.RoleAdmin, scopes.RoleCompliance, scopes.RoleFinance} {
		people[role] = w.staff(t, role)
	}
	nobody, err := w.NewCustomer("Nobody")
	if err != nil {
		t.Fatal(err)
	}
	partner := map[string]string{"X-Api-Key": w.partnerKey(t, people[scopes.RoleAdmin]), "Idempotency-Key": key()}
	for _, op := range operations(t) {
		if op.visibility != "public" {
			continue
		}
		c, role := nobody, ""
		for r, person := range people {
			if !op.open && slices.ContainsFunc(op.scopes, func(s string) bool { return slices.Contains(scopes.OfRole(r), s) }) {
				c, role = person, r
			}
		}
		if !op.open && role == "" {
			t.Errorf("nobody here may call %s: add somebody who may", op.id)
			continue
		}
		body, writes := "", op.method != http.MethodGet && op.method != http.MethodDelete
		if writes && op.takesBody {
			body = "{}"
		}
		if !op.open && !slices.Contains(op.partners, scopes.TariffsRead) {
			ask(t, nobody, op.method, op.path, body, partner, http.StatusForbidden, "forbidden")
		}
		if op.stepUp {
			continue // an approval is asked for first; the journeys go on from there
		}
		header := map[string]string{"Idempotency-Key": key()}
		ask(t, c, op.method, op.path+"?unheard_of=1", body, header, http.StatusBadRequest, "invalid_request")
		if body != "" {
			header := map[string]string{"Idempotency-Key": key(), "Content-Type": "text/plain"}
			ask(t, c, op.method, op.path, body, header, http.StatusUnsupportedMediaType, "unsupported_media_type")
		}
		w.refusesWhatIsNotThere(t, c, op)
		if strings.HasSuffix(op.template, "/prompt-block-lifts") { // also where there is no block
			ask(t, c, op.method, op.path, op.example, nil, http.StatusNoContent, "")
		}
	}
}

func (w *world) refusesWhatIsNotThere(t *testing.T, c *journey.Customer, op operation) {
	t.Helper()
	owned := strings.Contains(op.template, "{") && !strings.HasPrefix(op.template, "/v1/ledger-log/")
	switch {
	case op.takesBody && (owned && !op.open || slices.Contains(ofNobody, op.id)):
		ask(t, c, op.method, op.path, op.example, nil, http.StatusNotFound, "")
	case owned && !op.takesBody:
		ask(t, c, op.method, op.path, "", nil, http.StatusNotFound, "")
	case op.paged:
		ask(t, c, op.method, op.path, "", nil, http.StatusOK, "")
		ask(t, c, op.method, op.path+"?cursor=AAAA", "", nil, http.StatusUnprocessableEntity, "cursor_invalid")
	}
}

// TestRulesThatAreNotAgreed: what one officer of finance proposes and another rejects can no longer be approved.
func TestRulesThatAreNotAgreed(t *testing.T) {
	t.Parallel()
	w := shared(t)
	maker, checker := w.staff(t, scopes.RoleFinance), w.staff(t, scopes.RoleFinance)
	ask(t, maker, http.MethodPost, "/v1/wallet/limits", `{"country":"KE","tier":1,"kind":"cash_out","currency":"KES",
		"per_transaction_minor":5000000,"per_day_minor":10000000,"per_month_minor":100000000,"effective_from":"2100-12-01T00:00:00Z",
		"reason":"For a test."}`, nil, http.StatusCreated, "")
	proposed, err := maker.Wallet.ProposeTaxWithBodyWithResponse(t.Context(), "application/json", strings.NewReader(
		`{"country":"KE","tax":"excise","rate_ppm":100000,"effective_from":"2100-12-01T00:00:00Z","reason":"For a test."}`))
	if err != nil || proposed.JSON201 == nil {
		t.Fatalf("propose a tax: %v %v", proposed, err)
	}
	request := "/v1/wallet/approvals/" + proposed.JSON201.ApprovalID.String()
	ask(t, checker, http.MethodPost, request+"/rejection", `{"reason":"Not agreed."}`, nil, http.StatusOK, "")
	ask(t, checker, http.MethodPost, request+"/rejection", `{"reason":"Not agreed."}`, nil, http.StatusOK, "") // said twice
	ask(t, checker, http.MethodPost, request+"/approval", `{"digest":"`+proposed.JSON201.Digest+`"}`, nil, http.StatusConflict, "")
}

// partnerKey is a key that may read prices.
func (w *world) partnerKey(t testing.TB, admin *journey.Customer) string {
	t.Helper()
	gateway, err := gatewayclient.NewClientWithResponses(w.Gateway, gatewayclient.WithHTTPClient(admin))
	if err != nil {
		t.Fatal(err)
	}
	made, err := gateway.CreateAPIKeyWithResponse(t.Context(), &gatewayclient.CreateAPIKeyParams{IdempotencyKey: key()},
		gatewayclient.CreateAPIKeyRequest{Name: "Partner", Scopes: []string{scopes.TariffsRead}})
	if err != nil || made.JSON201 == nil {
		t.Fatalf("make a key: %v %v", made, err)
	}
	return *made.JSON201.Secret
}
