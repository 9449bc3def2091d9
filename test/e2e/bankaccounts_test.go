package e2e_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/cmd/sendtip/journey"
	"github.com/sendtip/sendtip/cmd/sendtip/platform"
	"github.com/sendtip/sendtip/kit/clock"
	"github.com/sendtip/sendtip/sandbox/control"
)

// herAccount is one that its bank in the sandbox says is Amina Wanjiku's: of a customer whose masked name is Amina W.
const herAccount = "0100100037"

// TestBankAccounts: an account is linked by PIN, shown by its last four digits, and removed by its owner.
func TestBankAccounts(t *testing.T) {
	t.Parallel()
	c := clock.New(0)
	w := start(t, func(o *platform.Options) {
		o.Clock, o.Environ["SENDTIP_TIME_SCALE"] = c, "30"
	})
	amina, brian := w.customer(t, "Amina", 5000_00), w.customer(t, "Brian", 0)
	if _, err := amina.LinkBankAccount(t.Context(), "68", herAccount); err == nil || !strings.Contains(err.Error(), "cooling_period") {
		t.Errorf("with a phone that is new: %v", err)
	}
	c.Set(c.Offset() + 24*time.Hour)
	must(t, amina.LogIn(t.Context()))
	must(t, brian.LogIn(t.Context()))
	list, err := amina.Banking.ListBanksWithResponse(t.Context())
	must(t, err)
	if list.JSON200 == nil || len(list.JSON200.Data) != 10 {
		t.Fatalf("%d %s", list.StatusCode(), list.Body)
	}
	account, err := amina.LinkBankAccount(t.Context(), "68", herAccount)
	must(t, err)
	if account.LastFour != "0037" || !account.NameChecked || account.Name != "AMINA WANJIKU" || !account.PayableFrom.Equal(account.CreatedAt) {
		t.Errorf("%+v", account)
	}
	mine, err := amina.Banking.ListBankAccountsWithResponse(t.Context())
	must(t, err)
	if mine.JSON200 == nil || len(mine.JSON200.Data) != 1 || mine.JSON200.Data[0].ID != account.ID {
		t.Errorf("%d %s", mine.StatusCode(), mine.Body)
	}

	if slices.Contains(w.checker.Uncompared(), "BankAccount") {
		t.Error("the times of what was linked and listed were not compared")
	}

	withdrawsToBank(t, w, amina, account.ID)

	const path = "/v1/bank-accounts"
	body := func(id, bank string) string {
		return `{"id":"` + id + `","bank_code":"` + bank + `","account_number":"0100100082"}`
	}
	id := uuid.NewString()
	ask(t, amina, http.MethodPost, path, body(id, "68"), nil, http.StatusForbidden, "")
	ask(t, amina, http.MethodPost, path, body("none", "68"), approvedFor(t, amina, "createBankAccount", id), http.StatusBadRequest,
		"invalid_request")
	ask(t, amina, http.MethodPost, path, body(id, "00"), approvedFor(t, amina, "createBankAccount", id), http.StatusUnprocessableEntity,
		"bank_unknown")
	text := approvedFor(t, amina, "createBankAccount", id)
	text["Content-Type"] = "text/plain"
	ask(t, amina, http.MethodPost, path, body(id, "68"), text, http.StatusUnsupportedMediaType, "unsupported_media_type")
	used := account.ID.String()
	ask(t, amina, http.MethodPost, path, body(used, "68"), approvedFor(t, amina, "createBankAccount", used), http.StatusConflict,
		"bank_account_id_used")

	ask(t, brian, http.MethodDelete, path+"/"+used, "", nil, http.StatusNotFound, "not_found")
	ask(t, amina, http.MethodDelete, path+"/x", "", nil, http.StatusBadRequest, "invalid_request")
	ask(t, amina, http.MethodDelete, path+"/"+used, "", nil, http.StatusNoContent, "")
	long := "?x=" + strings.Repeat("x", 20_000)
	ask(t, amina, http.MethodGet, path+long, "", nil, http.StatusBadRequest, "uri_too_long")
	ask(t, amina, http.MethodGet, "/v1/banks"+long, "", nil, http.StatusBadRequest, "uri_too_long")
}

// withdrawsToBank: each way in which Paystack ends a transfer, or does not say how it ended, leaves the customer with the money once.
func withdrawsToBank(t *testing.T, w *world, amina *journey.Customer, account uuid.UUID) {
	t.Helper()
	for _, c := range []struct {
		script control.PaystackScript
		want   string
	}{
		{control.PaystackScript{Transfer: "success"}, "paid"},
		{control.PaystackScript{Transfer: "failed"}, "failed"},
		{control.PaystackScript{Transfer: "rejected"}, "failed"}, // which no event tells
		{control.PaystackScript{Transfer: "success", Webhook: "lose"}, "paid"},
		{control.PaystackScript{Transfer: "success", Webhook: "forge"}, "paid"},
		{control.PaystackScript{Transfer: "success", Answer: "lose"}, "paid"},
		{control.PaystackScript{Transfer: "reversed", DelayMS: control.Int(1500)}, "reversed"},
	} {
		before := balance(t, amina)
		must(t, w.Sandbox.QueuePaystackScript(t.Context(), c.script))
		begun, err := amina.WithdrawToBank(t.Context(), account, 200_00)
		must(t, err)
		if begun.Phone != nil || begun.BankAccount == nil || begun.BankAccount.LastFour != "0037" {
			t.Errorf("%+v", begun)
		}
		done, err := amina.WaitWithdrawal(t.Context(), begun.ID, c.want)
		if err != nil {
			t.Fatalf("%+v: %v", c.script, err)
		}
		left := before
		if c.want == "paid" {
			left -= done.Total.Amount
		}
		eventually(t, "the booking", func() bool { return balance(t, amina) == left })
	}
}
