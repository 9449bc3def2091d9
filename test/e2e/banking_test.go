package e2e_test

import (
	"crypto/sha256"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/cmd/sendtip/journey"
	"github.com/sendtip/sendtip/cmd/sendtip/keys"
	bankingclient "github.com/sendtip/sendtip/generated/banking/client"
	"github.com/sendtip/sendtip/generated/common"
	"github.com/sendtip/sendtip/generated/scopes"
	"github.com/sendtip/sendtip/kit/config"
	"github.com/sendtip/sendtip/kit/hook"
	"github.com/sendtip/sendtip/kit/seal"
	"github.com/sendtip/sendtip/providers/paystack"
	"github.com/sendtip/sendtip/sandbox"
	"github.com/sendtip/sendtip/sandbox/control"
)

// TestWithdrawals: each way in which M-Pesa ends a payout, or does not say how it ended, leaves the customer with the money once.
func TestWithdrawals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script control.Script
		want   string
	}{
		"paid":                       {control.Script{}, "paid"},
		"no M-Pesa":                  {control.Script{B2C: "unregistered"}, "failed"},
		"result lost":                {control.Script{Result: "lose"}, "paid"},
		"result five times":          {control.Script{Result: "duplicate"}, "paid"},
		"result altered":             {control.Script{Result: "alter"}, "paid"},
		"forged":                     {control.Script{Result: "forge"}, "paid"},
		"forged from their address":  {control.Script{Result: "forge_source"}, "paid"},
		"answer lost":                {control.Script{OrderAnswer: "lose"}, "paid"},
		"answer an error":            {control.Script{OrderAnswer: "error"}, "paid"},
		"nothing done, spike arrest": {control.Script{OrderAnswer: "busy"}, "paid"},
		"late in the queue":          {control.Script{Result: "queue_timeout"}, "paid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := shared(t)
			amina := w.customer(t, "Amina", 1000_00)
			before := balance(t, amina)
			must(t, w.Sandbox.QueueScript(t.Context(), amina.Phone, c.script))
			begun, err := amina.Withdraw(t.Context(), 200_00)
			must(t, err)
			done, err := amina.WaitWithdrawal(t.Context(), begun.ID, "paid", "failed", "returned")
			must(t, err)
			if done.Status != c.want {
				t.Fatalf("%+v", done)
			}
			left := before
			if c.want == "paid" {
				left -= done.Total.Amount
			}
			eventually(t, "the booking", func() bool { return balance(t, amina) == left })
		})
	}
}

// TestWithdrawalOperations: a quote is spent once, and what was paid cannot be cancelled; lists show what there is.
func TestWithdrawalOperations(t *testing.T) {
	t.Parallel()
	w := shared(t)
	amina, brian := w.customer(t, "Amina", 1000_00), w.customer(t, "Brian", 0)
	quote, err := amina.WithdrawalQuote(t.Context(), 100_00)
	must(t, err)
	approval, err := amina.StepUpFor(t.Context(), "createWithdrawal", quote.ID)
	must(t, err)
	reference := "rent-" + uuid.NewString()
	create := func(key string) *bankingclient.CreateWithdrawalResponse {
		resp, err := amina.Banking.CreateWithdrawalWithResponse(t.Context(),
			&bankingclient.CreateWithdrawalParams{IdempotencyKey: key, StepUpToken: approval},
			bankingclient.CreateWithdrawalRequest{WithdrawalQuoteID: quote.ID, ClientReference: &reference})
		must(t, err)
		return resp
	}
	key := uuid.NewString()
	made, again := create(key), create(key)
	if made.JSON202 == nil || again.JSON202 == nil || made.JSON202.ID != again.JSON202.ID {
		t.Fatalf("%d %s, again %d", made.StatusCode(), made.Body, again.StatusCode())
	}
	if resp := create(uuid.NewString()); resp.StatusCode() != http.StatusConflict {
		t.Errorf("a spent quote: %d", resp.StatusCode())
	}
	id := made.JSON202.ID
	_, err = amina.WaitWithdrawal(t.Context(), id, "paid")
	must(t, err)
	late, err := amina.Banking.CancelWithdrawalWithResponse(t.Context(), id)
	must(t, err)
	others, err := brian.Banking.GetWithdrawalWithResponse(t.Context(), id)
	must(t, err)
	if late.StatusCode() != http.StatusConflict || others.StatusCode() != http.StatusNotFound {
		t.Errorf("cancelled late: %d, read by another: %d", late.StatusCode(), others.StatusCode())
	}
	list, err := amina.Banking.ListWithdrawalsWithResponse(t.Context(), &bankingclient.ListWithdrawalsParams{ClientReference: &reference})
	must(t, err)
	if list.JSON200 == nil || len(list.JSON200.Data) != 1 || list.JSON200.Data[0].ID != id {
		t.Errorf("%d %s", list.StatusCode(), list.Body)
	}
}

// TestSettlement: what M-Pesa never had is in doubt; finance rejects one proposal and agrees on another, and the money is back.
func TestSettlement(t *testing.T) {
	t.Parallel()
	w := shared(t)
	amina := w.customer(t, "Amina", 1000_00)
	before := balance(t, amina)
	must(t, w.Sandbox.SetPhoneScript(t.Context(), amina.Phone, control.Script{OrderAnswer: "error_before"}))
	begun, err := amina.Withdraw(t.Context(), 200_00)
	must(t, err)
	doubt, err := amina.WaitWithdrawal(t.Context(), begun.ID, "in_doubt")
	must(t, err)
	eventually(t, "the money leaves the wallet", func() bool { return balance(t, amina) == before-doubt.Total.Amount })
	w.sms(t, amina, "has not confirmed your withdrawal")
	maker, checker := w.staff(t, scopes.RoleFinance), w.staff(t, scopes.RoleFinance)
	seen, err := maker.Banking.ListWithdrawalsByStatusWithResponse(t.Context(), nil)
	must(t, err)
	ours := func(o bankingclient.OperatorWithdrawal) bool { return o.ID == begun.ID }
	if seen.JSON200 == nil || !slices.ContainsFunc(seen.JSON200.Data, ours) {
		t.Errorf("%d %s", seen.StatusCode(), seen.Body)
	}
	type answer = *bankingclient.ProposeSettlementResponse
	propose := func(c *journey.Customer, id uuid.UUID, outcome bankingclient.SettlementProposalOutcome) answer {
		resp, err := c.Banking.ProposeSettlementWithResponse(t.Context(), id, bankingclient.SettlementProposal{Outcome: outcome,
			Evidence: "Statement, page 4: no such payment.", Reason: "The statement shows it."})
		must(t, err)
		return resp
	}
	if resp := propose(maker, begun.ID, bankingclient.SettlementProposalOutcomePaid); resp.StatusCode() != http.StatusBadRequest {
		t.Errorf("paid without a receipt: %d", resp.StatusCode())
	}
	if resp := propose(maker, uuid.New(), bankingclient.SettlementProposalOutcomeReturned); resp.StatusCode() != http.StatusNotFound {
		t.Errorf("nothing: %d", resp.StatusCode())
	}
	first := propose(maker, begun.ID, bankingclient.SettlementProposalOutcomeReturned)
	if first.JSON201 == nil {
		t.Fatalf("%d %s", first.StatusCode(), first.Body)
	}
	rejected, err := checker.Banking.RejectBankingApprovalWithResponse(t.Context(), first.JSON201.ApprovalID,
		common.ApprovalRejection{Reason: "Look again."})
	must(t, err)
	second := propose(maker, begun.ID, bankingclient.SettlementProposalOutcomeReturned)
	if rejected.JSON200 == nil || second.JSON201 == nil {
		t.Fatalf("%d, again %d", rejected.StatusCode(), second.StatusCode())
	}
	list, err := checker.Banking.ListBankingApprovalsWithResponse(t.Context(), nil)
	must(t, err)
	approve := func(c *journey.Customer) int {
		resp, err := c.Banking.ApproveBankingApprovalWithResponse(t.Context(), second.JSON201.ApprovalID,
			common.ApprovalDecision{Digest: second.JSON201.Digest})
		must(t, err)
		return resp.StatusCode()
	}
	alone, both, again := approve(maker), approve(checker), approve(checker)
	if list.JSON200 == nil || alone != http.StatusForbidden || both != http.StatusOK || again != http.StatusOK {
		t.Errorf("alone %d, both %d, again %d", alone, both, again)
	}
	_, err = amina.WaitWithdrawal(t.Context(), begun.ID, "returned")
	must(t, err)
	eventually(t, "the money is back", func() bool { return balance(t, amina) == before })
	w.sms(t, amina, "The money is back in your wallet")
	if resp := propose(maker, begun.ID, bankingclient.SettlementProposalOutcomeReturned); resp.StatusCode() != http.StatusConflict {
		t.Errorf("settled: %d", resp.StatusCode())
	}
}

// TestBankingRefuses: what cannot be withdrawn or settled is refused by name, and what comes to an address of M-Pesa's is taken as it is.
func TestBankingRefuses(t *testing.T) {
	t.Parallel()
	w := shared(t)
	amina, brian := w.customer(t, "Amina", 1000_00), w.customer(t, "Brian", 0)
	quotes := "/v1/withdrawal-quotes"
	of := func(c *journey.Customer, minor string) string {
		return `{"wallet_id":"` + c.WalletID.String() + `","amount":{"amount":` + minor + `,"currency":"KES"}}`
	}
	ask(t, amina, http.MethodPost, quotes, of(brian, "10000"), nil, http.StatusNotFound, "not_found")
	ask(t, amina, http.MethodPost, quotes, of(amina, "10050"), nil, http.StatusUnprocessableEntity, "rail_amount")

	quote, err := amina.WithdrawalQuote(t.Context(), 100_00)
	must(t, err)
	with := func(id uuid.UUID, more ...string) map[string]string {
		header := approvedFor(t, amina, "createWithdrawal", id.String())
		header["Idempotency-Key"] = key()
		for i := 0; i < len(more); i += 2 {
			header[more[i]] = more[i+1]
		}
		return header
	}
	create := func(id uuid.UUID) string { return `{"withdrawal_quote_id":"` + id.String() + `"}` }
	none := uuid.New()
	ask(t, amina, http.MethodPost, "/v1/withdrawals", create(none), with(none), http.StatusNotFound, "quote_not_found")
	ask(t, amina, http.MethodPost, "/v1/withdrawals?unheard_of=1", create(quote.ID), with(quote.ID), http.StatusBadRequest, "invalid_request")
	ask(t, amina, http.MethodPost, "/v1/withdrawals", create(quote.ID), with(quote.ID, "Content-Type", "text/plain"),
		http.StatusUnsupportedMediaType, "unsupported_media_type")
	header := with(quote.ID)
	ask(t, amina, http.MethodPost, "/v1/withdrawals", create(quote.ID), header, http.StatusAccepted, "")
	ask(t, amina, http.MethodPost, "/v1/withdrawals", create(none), header, http.StatusUnprocessableEntity, "idempotency_key_reused")

	cancelled := false
	for range 30 { // it leaves within milliseconds
		begun, err := amina.Withdraw(t.Context(), 10_00)
		must(t, err)
		resp, err := amina.Banking.CancelWithdrawalWithResponse(t.Context(), begun.ID)
		must(t, err)
		if cancelled = resp.JSON200 != nil && resp.JSON200.Status == "cancelled"; cancelled {
			break
		}
	}
	if !cancelled {
		t.Error("no withdrawal could be cancelled")
	}
}

// TestSettlementRefuses: a decision needs what was shown, and is taken once.
func TestSettlementRefuses(t *testing.T) {
	t.Parallel()
	w := shared(t)
	amina := w.customer(t, "Amina", 1000_00)
	must(t, w.Sandbox.SetPhoneScript(t.Context(), amina.Phone, control.Script{OrderAnswer: "error_before"}))
	begun, err := amina.Withdraw(t.Context(), 100_00)
	must(t, err)
	_, err = amina.WaitWithdrawal(t.Context(), begun.ID, "in_doubt")
	must(t, err)
	maker, checker := w.staff(t, scopes.RoleFinance), w.staff(t, scopes.RoleFinance)
	settle := "/v1/banking/withdrawals/" + begun.ID.String() + "/settlement"
	proposal := func(reason string) string {
		return `{"outcome":"returned","evidence":"Page 4.","reason":"` + reason + `"}`
	}
	ask(t, maker, http.MethodPost, settle, proposal(`N\u0000`), nil, http.StatusUnprocessableEntity, "invalid_text")
	resp, err := maker.Banking.ProposeSettlementWithResponse(t.Context(), begun.ID, bankingclient.SettlementProposal{Evidence: "Page 4.",
		Outcome: bankingclient.SettlementProposalOutcomeReturned, Reason: "The statement shows it."})
	must(t, err)
	if resp.JSON201 == nil {
		t.Fatalf("%d %s", resp.StatusCode(), resp.Body)
	}
	decision := "/v1/banking/approvals/" + resp.JSON201.ApprovalID.String()
	other := `{"digest":"` + strings.Repeat("A", len(resp.JSON201.Digest)) + `"}`
	ask(t, checker, http.MethodPost, decision+"/approval", other, nil, http.StatusConflict, "approval_changed")
	ask(t, checker, http.MethodPost, decision+"/rejection", `{"reason":"N\u0000"}`, nil, http.StatusUnprocessableEntity, "invalid_text")
	ask(t, checker, http.MethodPost, decision+"/approval", `{"digest":"`+resp.JSON201.Digest+`"}`, nil, http.StatusOK, "")
	ask(t, checker, http.MethodPost, decision+"/rejection", `{"reason":"Too late."}`, nil, http.StatusConflict, "approval_decided")
	_, err = amina.WaitWithdrawal(t.Context(), begun.ID, "returned")
	must(t, err)

	receipt := "SKL" + strings.ToUpper(uuid.NewString()[:7])
	for i, status := range []int{http.StatusOK, http.StatusUnprocessableEntity} { // a receipt is of one withdrawal
		c := w.customer(t, "Amina", 1000_00)
		must(t, w.Sandbox.SetPhoneScript(t.Context(), c.Phone, control.Script{OrderAnswer: "error_before"}))
		begun, err := c.Withdraw(t.Context(), 100_00)
		must(t, err)
		_, err = c.WaitWithdrawal(t.Context(), begun.ID, "in_doubt")
		must(t, err)
		resp, err := maker.Banking.ProposeSettlementWithResponse(t.Context(), begun.ID, bankingclient.SettlementProposal{Receipt: &receipt,
			Evidence: "Page 4.", Outcome: bankingclient.SettlementProposalOutcomePaid, Reason: "The statement shows it."})
		must(t, err)
		if resp.JSON201 == nil {
			t.Fatalf("%d: %d %s", i, resp.StatusCode(), resp.Body)
		}
		ask(t, checker, http.MethodPost, "/v1/banking/approvals/"+resp.JSON201.ApprovalID.String()+"/approval",
			`{"digest":"`+resp.JSON201.Digest+`"}`, nil, status, "")
	}
	request := query[uuid.UUID](t, w, "banking", "SELECT id FROM rail_requests WHERE withdrawal_id = $1 LIMIT 1", begun.ID)
	kek, err := w.p.Keys().Read(keys.Of("banking", keys.KEK))
	must(t, err)
	sealer, err := seal.New(config.NewSecret(kek).Bytes())
	must(t, err)
	address := hook.Address{Path: "/v1/hooks/br/", Token: "rail result"}.Secret(sealer, request.String())
	for _, late := range []string{"", "/late"} { // a stranger's word, at the right address: kept, and believed by nobody
		ask(t, amina, http.MethodPost, address+"/"+request.String()+late, `{"Result":{}}`, nil, http.StatusOK, "")
		long := address + "/" + request.String() + late + "?x=" + strings.Repeat("x", 20_000)
		ask(t, amina, http.MethodPost, long, `{"Result":{}}`, nil, http.StatusBadRequest, "uri_too_long")
	}
}

// TestRails: without float no withdrawal is begun, and finance sees why.
func TestRails(t *testing.T) {
	t.Parallel()
	w := start(t, nil) // its own: the rail is closed
	amina := w.customer(t, "Amina", 1000_00)
	must(t, w.Sandbox.SetPhoneScript(t.Context(), amina.Phone, control.Script{B2C: "insufficient"}))
	begun, err := amina.Withdraw(t.Context(), 100_00)
	must(t, err)
	_, err = amina.WaitWithdrawal(t.Context(), begun.ID, "failed")
	must(t, err)
	refused, err := amina.Banking.CreateWithdrawalQuoteWithResponse(t.Context(), bankingclient.WithdrawalQuoteRequest{WalletID: amina.WalletID,
		Amount: common.PositiveMoney{Amount: 100_00, Currency: "KES"}})
	must(t, err)
	if after := refused.HTTPResponse.Header.Get("Retry-After"); refused.StatusCode() != http.StatusServiceUnavailable || after == "" {
		t.Errorf("a quote: %d %s, again after %q", refused.StatusCode(), refused.Body, after)
	}
	seen, err := w.staff(t, scopes.RoleFinance).Banking.ListBankingRailsWithResponse(t.Context())
	must(t, err)
	if seen.JSON200 == nil || seen.JSON200.Data[0].State != "down" || *seen.JSON200.Data[0].Reason != "no_float" {
		t.Errorf("%d %s", seen.StatusCode(), seen.Body)
	}
}

// TestRailSwitchRefuses: who may not, what says nothing, and what waits already.
func TestRailSwitchRefuses(t *testing.T) {
	t.Parallel()
	w := shared(t)
	amina := w.customer(t, "Amina", 0)
	maker, checker := w.staff(t, scopes.RoleFinance), w.staff(t, scopes.RoleFinance)
	ask(t, maker, http.MethodGet, "/v1/banking/rails", "", nil, http.StatusOK, "")
	ask(t, amina, http.MethodGet, "/v1/banking/rails", "", nil, http.StatusForbidden, "forbidden")
	ask(t, maker, http.MethodGet, "/v1/wallet/rails", "", nil, http.StatusOK, "")
	for _, at := range []string{"/v1/banking/rails/mpesa.b2c/switches", "/v1/wallet/rails/mpesa.stk/switches"} {
		ask(t, maker, http.MethodPost, at, `{"off":true,"reason":"Maintenance."}`, nil, http.StatusCreated, "")
		ask(t, checker, http.MethodPost, at, `{"off":true,"reason":"Maintenance."}`, nil, http.StatusConflict, "approval_waiting")
		ask(t, maker, http.MethodPost, at, `{"off":true,"reason":"N\u0000"}`, nil, http.StatusUnprocessableEntity, "invalid_text")
		ask(t, amina, http.MethodPost, at, `{"off":true,"reason":"Maintenance."}`, nil, http.StatusForbidden, "forbidden")
		ask(t, maker, http.MethodPost, at, `{"off":true}`, nil, http.StatusBadRequest, "invalid_request")
	}
}

// TestPaystackSigns: an event counts with the signature of its very bytes; it is stored once, whatever it is about.
func TestPaystackSigns(t *testing.T) {
	t.Parallel()
	w := shared(t)
	stranger, err := w.NewCustomer("Nobody")
	must(t, err)
	event := `{"event":"subscription.create","data":{"id":"` + uuid.NewString() + `"}}`
	signed := map[string]string{paystack.SignatureHeader: paystack.Sign(sandbox.DefaultPaystackKey, []byte(event))}
	const address = "/v1/hooks/bp"
	ask(t, stranger, http.MethodPost, address, event, nil, http.StatusUnauthorized, "signature_invalid")
	ask(t, stranger, http.MethodPost, address, event+" ", signed, http.StatusUnauthorized, "signature_invalid")
	ask(t, stranger, http.MethodPost, address, event, signed, http.StatusOK, "")
	ask(t, stranger, http.MethodPost, address, event, signed, http.StatusOK, "")
	ask(t, stranger, http.MethodPost, address+"?x="+strings.Repeat("x", 20_000), event, signed, http.StatusBadRequest, "uri_too_long")
	if n := query[int](t, w, "banking", "SELECT count(*) FROM paystack_events WHERE body_hash = $1", hash(event)); n != 1 {
		t.Errorf("stored %d times", n)
	}
}

func hash(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
