package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/cmd/sendtip/keys"
	"github.com/sendtip/sendtip/generated/common"
	"github.com/sendtip/sendtip/generated/scopes"
	walletclient "github.com/sendtip/sendtip/generated/wallet/client"
	"github.com/sendtip/sendtip/kit/config"
	"github.com/sendtip/sendtip/kit/hook"
	"github.com/sendtip/sendtip/kit/seal"
	"github.com/sendtip/sendtip/sandbox"
	"github.com/sendtip/sendtip/sandbox/control"
)

// TestSuspense: what was paid to nobody's account goes to the customer whose it is, or back to its payer: both sides agree to the cent. The
// reversals' answers are lost, and one is told twice.
func TestSuspense(t *testing.T) {
	t.Parallel()
	w := shared(t)
	amina := w.customer(t, "Amina", 0)
	finance, second := w.staff(t, scopes.RoleFinance), w.staff(t, scopes.RoleFinance)
	is := func(id uuid.UUID) func(walletclient.SuspenseItem) bool {
		return func(i walletclient.SuspenseItem) bool { return i.ID == id }
	}
	matched, err := w.Misdirect(t.Context(), amina, finance, 150_00)
	must(t, err)
	if matched.Payer == nil || matched.BillReference == nil || *matched.BillReference != "NOBODY" {
		t.Errorf("the item is %+v", matched)
	}
	_, err = finance.DecideSuspense(t.Context(), matched.ID, &amina.WalletID)
	must(t, err)
	eventually(t, "the money is in the wallet", func() bool { return balance(t, amina) == 150_00 })
	w.sms(t, amina, "150.00")
	_, err = finance.WaitSuspense(t.Context(), is(matched.ID), walletclient.ListSuspenseParamsStatusMatched)
	must(t, err)

	must(t, w.Sandbox.SetBalance(t.Context(), amina.Phone, 20_000_00))
	large, err := w.Misdirect(t.Context(), amina, finance, 6_000_00)
	must(t, err)
	asked, err := finance.DecideSuspense(t.Context(), large.ID, nil)
	must(t, err)
	if asked.Approval == nil || asked.Item.Status != "open" {
		t.Fatalf("one person decided: %+v", asked)
	}
	must(t, w.Sandbox.SetPhoneScript(t.Context(), amina.Phone, control.Script{OrderAnswer: "lose", Result: "duplicate"}))
	approved, err := second.Wallet.ApproveWalletApprovalWithResponse(t.Context(), asked.Approval.ApprovalID,
		common.ApprovalDecision{Digest: asked.Approval.Digest})
	must(t, err)
	if approved.JSON200 == nil {
		t.Fatalf("%d %s", approved.StatusCode(), approved.Body)
	}
	returned, err := finance.WaitSuspense(t.Context(), is(large.ID), walletclient.ListSuspenseParamsStatusReturned)
	must(t, err)
	phone, err := w.Sandbox.Phone(t.Context(), amina.Phone)
	must(t, err)
	if phone.BalanceMinor != 20_000_00 {
		t.Errorf("the payer has %d", phone.BalanceMinor)
	}
	statement, err := w.Sandbox.OrganisationStatement(t.Context(), sandbox.DefaultShortCode, 0)
	must(t, err)
	back := 0
	for _, m := range statement.Data {
		if m.Original == *returned.Receipt && m.AmountMinor == -6_000_00 {
			back++
		}
	}
	if back != 1 {
		t.Errorf("the paybill gave it back %d times", back)
	}
	eventually(t, "the return is booked", func() bool {
		i, err := finance.WaitSuspense(t.Context(), is(large.ID), walletclient.ListSuspenseParamsStatusReturned)
		must(t, err)
		return i.Transitions[len(i.Transitions)-1].LedgerTransactionID != nil
	})
}

// TestSuspenseRefuses: what cannot be decided is refused by name.
func TestSuspenseRefuses(t *testing.T) {
	t.Parallel()
	w := shared(t)
	amina, finance := w.customer(t, "Amina", 0), w.staff(t, scopes.RoleFinance)
	item, err := w.Misdirect(t.Context(), amina, finance, 50_00)
	must(t, err)
	decision := func(id uuid.UUID) string { return "/v1/wallet/suspense-items/" + id.String() + "/decision" }
	to := func(wallet uuid.UUID) string {
		return `{"action":"match","wallet_id":"` + wallet.String() + `","reason":"The payer wrote."}`
	}
	here := decision(item.ID)
	ask(t, finance, http.MethodPost, here, `{"action":"match","reason":"The payer wrote."}`, nil, http.StatusBadRequest, "invalid_request")
	ask(t, finance, http.MethodPost, here, to(uuid.New()), nil, http.StatusUnprocessableEntity, "suspense_wallet")
	ask(t, finance, http.MethodPost, here, to(amina.WalletID), map[string]string{"Content-Type": "text/plain"},
		http.StatusUnsupportedMediaType, "unsupported_media_type")
	ask(t, finance, http.MethodPost, decision(uuid.New()), to(amina.WalletID), nil, http.StatusNotFound, "not_found")
	ask(t, amina, http.MethodPost, here, to(amina.WalletID), nil, http.StatusForbidden, "forbidden")
	ask(t, amina, http.MethodGet, "/v1/wallet/suspense-items", "", nil, http.StatusForbidden, "forbidden")
	ask(t, finance, http.MethodGet, "/v1/wallet/suspense-items?status=lost", "", nil, http.StatusBadRequest, "invalid_request")
	ask(t, finance, http.MethodGet, "/v1/wallet/suspense-items?cursor=abc", "", nil, http.StatusUnprocessableEntity, "cursor_invalid")
	ask(t, finance, http.MethodPost, here, to(amina.WalletID), nil, http.StatusOK, "")
	ask(t, finance, http.MethodPost, here, to(amina.WalletID), nil, http.StatusOK, "")
	ask(t, finance, http.MethodPost, here, `{"action":"return","reason":"The payer wrote."}`, nil, http.StatusConflict, "suspense_decided")
	eventually(t, "the money is in the wallet", func() bool { return balance(t, amina) == 50_00 })
	ask(t, amina, http.MethodGet, "/v1/wallet/rail-balances", "", nil, http.StatusForbidden, "forbidden")
	ask(t, finance, http.MethodGet, "/v1/wallet/rail-balances?unheard_of=1", "", nil, http.StatusBadRequest, "invalid_request")
	for _, late := range []string{"", "/late"} {
		path := "/v1/hooks/wr/" + "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/" + uuid.NewString() + late
		ask(t, finance, http.MethodPost, path, "{}", nil, http.StatusNotFound, "not_found")
		ask(t, finance, http.MethodPost, path+"?unheard_of=1", "{}", nil, http.StatusNotFound, "not_found")
	}
	eventually(t, "Safaricom says what the paybill holds", func() bool {
		b, err := finance.Wallet.ListRailBalancesWithResponse(t.Context())
		must(t, err)
		return b.JSON200 != nil && len(b.JSON200.Data) > 0
	})
	request := query[uuid.UUID](t, w, "wallet", "SELECT id FROM rail_requests LIMIT 1")
	kek, err := w.p.Keys().Read(keys.Of("wallet", keys.KEK))
	must(t, err)
	sealer, err := seal.New(config.NewSecret(kek).Bytes())
	must(t, err)
	address := hook.Address{Path: "/v1/hooks/wr/", Token: "paybill result"}.Secret(sealer, request.String()) + "/" + request.String()
	for _, late := range []string{"", "/late"} { // a stranger's word, at the right address: kept, and believed by nobody
		ask(t, amina, http.MethodPost, address+late, `{"Result":{}}`, nil, http.StatusOK, "")
		ask(t, amina, http.MethodPost, address+late+"?x="+strings.Repeat("x", 20_000), `{"Result":{}}`, nil, http.StatusBadRequest,
			"uri_too_long")
	}
}
