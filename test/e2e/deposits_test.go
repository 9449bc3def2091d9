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

// TestDeposits: each way in which Paystack tells of a payment, or does not, credits what came, once.
func TestDeposits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		channel string
		script  control.PaystackScript
		want    string
	}{
		"by M-Pesa":              {"mpesa", control.PaystackScript{}, "paid"},
		"message lost":           {"mpesa", control.PaystackScript{Webhook: "lose"}, "paid"},
		"message five times":     {"mpesa", control.PaystackScript{Webhook: "duplicate"}, "paid"},
		"message altered":        {"mpesa", control.PaystackScript{Webhook: "alter"}, "paid"},
		"message of another":     {"mpesa", control.PaystackScript{Webhook: "other_domain"}, "paid"},
		"message forged":         {"mpesa", control.PaystackScript{Webhook: "forge"}, "paid"},
		"answer lost":            {"mpesa", control.PaystackScript{Answer: "lose"}, "paid"},
		"answer an error":        {"mpesa", control.PaystackScript{Answer: "error"}, "paid"},
		"not reached by the way": {"mpesa", control.PaystackScript{Answer: "error_before"}, "paid"},
		"declined":               {"mpesa", control.PaystackScript{Charge: "fail"}, "failed"},
		"not answered":           {"mpesa", control.PaystackScript{Charge: "abandon"}, "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := shared(t)
			amina := w.customer(t, "Amina", 0)
			must(t, w.Sandbox.SetBalance(t.Context(), amina.Phone, 5000_00))
			if c.script.Charge == "" {
				c.script.Charge = "pay"
			}
			script := c.script
			must(t, w.Sandbox.SetPaystackAccountScript(t.Context(), amina.Phone, script))
			begun, err := amina.Deposit(t.Context(), 200_00, c.channel)
			must(t, err)
			if script.Answer == "error_before" { // nothing arrives while it lasts
				script.Answer = ""
				must(t, w.Sandbox.SetPaystackAccountScript(t.Context(), amina.Phone, script))
			}
			done, err := amina.WaitDeposit(t.Context(), begun.ID, "paid", c.want)
			must(t, err)
			if done.Status != c.want {
				t.Fatalf("%+v", done)
			}
			credit := int64(0)
			if c.want == "paid" {
				credit = done.Credit.Amount
			}
			eventually(t, "the booking", func() bool { return balance(t, amina) == credit })
		})
	}
}

// TestDepositOnPage: the address leads to the page, where the customer pays; the same key gets the same deposit; lists show what there is.
func TestDepositOnPage(t *testing.T) {
	t.Parallel()
	w := shared(t)
	amina, brian := w.customer(t, "Amina", 0), w.customer(t, "Brian", 0)
	key := uuid.NewString()
	create := func() *bankingclient.CreateDepositResponse {
		resp, err := amina.Banking.CreateDepositWithResponse(t.Context(), &bankingclient.CreateDepositParams{IdempotencyKey: key},
			bankingclient.CreateDepositRequest{WalletID: amina.WalletID, Channel: bankingclient.CreateDepositRequestChannelPage,
				Amount: common.PositiveMoney{Amount: 300_00, Currency: "KES"}})
		must(t, err)
		return resp
	}
	made, again := create(), create()
	if made.JSON201 == nil || again.JSON201 == nil || made.JSON201.ID != again.JSON201.ID || made.JSON201.CheckoutURL == nil {
		t.Fatalf("%d %s, again %d", made.StatusCode(), made.Body, again.StatusCode())
	}
	id := made.JSON201.ID
	_, err := w.Sandbox.AnswerPaystack(t.Context(), id.String(), "pay")
	must(t, err)
	_, err = amina.WaitDeposit(t.Context(), id, "paid")
	must(t, err)
	w.sms(t, amina, "Deposited")
	list, err := amina.Banking.ListDepositsWithResponse(t.Context(), nil)
	must(t, err)
	others, err := brian.Banking.GetDepositWithResponse(t.Context(), id)
	must(t, err)
	if list.JSON200 == nil || len(list.JSON200.Data) != 1 || list.JSON200.Data[0].ID != id || others.StatusCode() != http.StatusNotFound {
		t.Errorf("%d %s, read by another: %d", list.StatusCode(), list.Body, others.StatusCode())
	}
	paid := bankingclient.ListDepositsByStatusParamsStatusPaid
	seen, err := w.staff(t, scopes.RoleFinance).Banking.ListDepositsByStatusWithResponse(t.Context(),
		&bankingclient.ListDepositsByStatusParams{Status: &paid})
	must(t, err)
	ours := func(o bankingclient.OperatorDeposit) bool { return o.ID == id && o.RailFee != nil }
	if seen.JSON200 == nil || !slices.ContainsFunc(seen.JSON200.Data, ours) {
		t.Errorf("%d %s", seen.StatusCode(), seen.Body)
	}
}

// TestDepositRefusals: what cannot be deposited is refused by name; while Paystack has not answered the deposit is on its way, and its key
// busy.
func TestDepositRefusals(t *testing.T) {
	t.Parallel()
	w := shared(t)
	amina, brian := w.customer(t, "Amina", 0), w.customer(t, "Brian", 0)
	const path = "/v1/deposits"
	of := func(id uuid.UUID, minor, channel string) string {
		return `{"wallet_id":"` + id.String() + `","amount":{"amount":` + minor + `,"currency":"KES"},"channel":"` + channel + `"}`
	}
	with := func() map[string]string { return map[string]string{"Idempotency-Key": key()} }
	ask(t, amina, http.MethodPost, path, of(brian.WalletID, "10000", "page"), with(), http.StatusNotFound, "not_found")
	ask(t, amina, http.MethodPost, path, of(amina.WalletID, "299", "page"), with(), http.StatusUnprocessableEntity, "deposit_amount")
	ask(t, amina, http.MethodPost, path, of(amina.WalletID, "10000", "cheque"), with(), http.StatusBadRequest, "invalid_request")
	plain := with()
	plain["Content-Type"] = "text/plain"
	ask(t, amina, http.MethodPost, path, of(amina.WalletID, "10000", "page"), plain, http.StatusUnsupportedMediaType, "unsupported_media_type")
	ask(t, amina, http.MethodPost, path, of(amina.WalletID, "24900000", "page"), with(), http.StatusUnprocessableEntity,
		"limit_per_transaction")

	must(t, w.Sandbox.SetPaystackAccountScript(t.Context(), amina.Phone, control.PaystackScript{Answer: "error_before"}))
	header := with()
	ask(t, amina, http.MethodPost, path, of(amina.WalletID, "10000", "mpesa"), header, http.StatusAccepted, "")
	ask(t, amina, http.MethodPost, path, of(amina.WalletID, "10000", "mpesa"), header, http.StatusConflict, "request_in_progress")
}
