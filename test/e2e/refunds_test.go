package e2e_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/google/uuid"

	bankingclient "github.com/sendtip/sendtip/generated/banking/client"
	"github.com/sendtip/sendtip/generated/common"
	"github.com/sendtip/sendtip/generated/scopes"
	"github.com/sendtip/sendtip/sandbox/control"
)

// TestRefunds: finance gives a deposit back; what needs attention stays held until two people have said how it ended.
func TestRefunds(t *testing.T) {
	t.Parallel()
	w := shared(t)
	amina := w.customer(t, "Amina", 0)
	made, err := amina.Deposit(t.Context(), 300_00, "page")
	must(t, err)
	maker, checker := w.staff(t, scopes.RoleFinance), w.staff(t, scopes.RoleFinance)
	path := "/v1/banking/deposits/" + made.ID.String() + "/refund"
	of := func(minor, reason string) string {
		return `{"amount":{"amount":` + minor + `,"currency":"KES"},"reason":"` + reason + `"}`
	}
	ask(t, maker, http.MethodPost, path, of("10000", "Not delivered."), nil, http.StatusConflict, "not_refundable")
	_, err = w.Sandbox.AnswerPaystack(t.Context(), made.ID.String(), "pay")
	must(t, err)
	_, err = amina.WaitDeposit(t.Context(), made.ID, "paid")
	must(t, err)
	eventually(t, "the credit", func() bool { return balance(t, amina) == 300_00 })
	plain := map[string]string{"Content-Type": "text/plain"}
	ask(t, maker, http.MethodPost, path, of("30001", "Not delivered."), nil, http.StatusUnprocessableEntity, "refund_too_much")
	ask(t, maker, http.MethodPost, path, of("0", "Not delivered."), nil, http.StatusBadRequest, "invalid_request")
	ask(t, maker, http.MethodPost, path, of("10000", "Not delivered."), plain, http.StatusUnsupportedMediaType, "unsupported_media_type")
	ask(t, maker, http.MethodPost, "/v1/banking/deposits/"+uuid.NewString()+"/refund", of("10000", "Not delivered."), nil,
		http.StatusNotFound, "not_found")

	refund := func(minor int64) {
		asked, err := maker.Banking.ProposeRefundWithResponse(t.Context(), made.ID, bankingclient.RefundProposal{Reason: "Not delivered.",
			Amount: common.PositiveMoney{Amount: minor, Currency: "KES"}})
		must(t, err)
		if asked.JSON201 == nil {
			t.Fatalf("%d %s", asked.StatusCode(), asked.Body)
		}
		ask(t, checker, http.MethodPost, "/v1/banking/approvals/"+asked.JSON201.ApprovalID.String()+"/approval",
			`{"digest":"`+asked.JSON201.Digest+`"}`, nil, http.StatusOK, "")
	}
	refund(100_00)
	eventually(t, "the refund", func() bool { return balance(t, amina) == 200_00 })

	must(t, w.Sandbox.SetPaystackReferenceScript(t.Context(), made.ID.String(), control.PaystackScript{Refund: "needs_attention"}))
	refund(50_00)
	var waiting bankingclient.Refund
	eventually(t, "the refund in the queue", func() bool {
		seen, err := maker.Banking.ListRefundsByStatusWithResponse(t.Context(), nil)
		must(t, err)
		if seen.JSON200 == nil {
			return false
		}
		i := slices.IndexFunc(seen.JSON200.Data, func(r bankingclient.Refund) bool { return r.DepositID == made.ID })
		if i >= 0 {
			waiting = seen.JSON200.Data[i]
		}
		return i >= 0
	})
	settle := func(id uuid.UUID) string { return "/v1/banking/refunds/" + id.String() + "/settlement" }
	proposal := func(outcome, reason string) string {
		return `{"outcome":"` + outcome + `","evidence":"Page 4.","reason":"` + reason + `"}`
	}
	ask(t, maker, http.MethodPost, settle(uuid.New()), proposal("failed", "Page 4."), nil, http.StatusNotFound, "not_found")
	ask(t, maker, http.MethodPost, settle(waiting.ID), proposal("lost", "Page 4."), nil, http.StatusBadRequest, "invalid_request")
	ask(t, maker, http.MethodPost, settle(waiting.ID), proposal("failed", "Page 4."), plain, http.StatusUnsupportedMediaType,
		"unsupported_media_type")
	ask(t, maker, http.MethodPost, settle(waiting.ID), proposal("failed", `N\u0000`), nil, http.StatusUnprocessableEntity, "invalid_text")
	asked, err := maker.Banking.ProposeRefundSettlementWithResponse(t.Context(), waiting.ID, bankingclient.RefundSettlementProposal{
		Evidence: "Page 4.", Outcome: bankingclient.RefundSettlementProposalOutcomeFailed, Reason: "The dashboard says so."})
	must(t, err)
	if asked.JSON201 == nil {
		t.Fatalf("%d %s", asked.StatusCode(), asked.Body)
	}
	ask(t, checker, http.MethodPost, "/v1/banking/approvals/"+asked.JSON201.ApprovalID.String()+"/approval",
		`{"digest":"`+asked.JSON201.Digest+`"}`, nil, http.StatusOK, "")
	ask(t, maker, http.MethodPost, settle(waiting.ID), proposal("failed", "Page 4."), nil, http.StatusConflict, "not_settleable")
}
