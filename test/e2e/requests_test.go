package e2e_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/cmd/sendtip/journey"
	"github.com/sendtip/sendtip/cmd/sendtip/platform"
	walletclient "github.com/sendtip/sendtip/generated/wallet/client"
	"github.com/sendtip/sendtip/kit/clock"
)

// TestPaymentRequests: a request is paid once, declined or withdrawn, and each side learns what it may.
func TestPaymentRequests(t *testing.T) {
	t.Parallel()
	w := shared(t)
	amina, brian := w.customer(t, "Amina", 0), w.customer(t, "Brian", 1000_00)
	path := func(id uuid.UUID, what string) string { return "/v1/payment-requests/" + id.String() + what }
	paid, err := amina.Ask(t.Context(), brian, 100_00)
	must(t, err)
	w.sms(t, brian, "Amina", "asks you for KES 100.00")
	spare, err := brian.QuoteRequest(t.Context(), paid.ID)
	must(t, err)
	done, err := brian.Pay(t.Context(), paid.ID)
	must(t, err)
	seen, err := amina.Request(t.Context(), paid.ID)
	must(t, err)
	if done.Status != "completed" || seen.Status != "paid" || balance(t, amina) != 100_00 {
		t.Fatalf("%+v, %+v", done, seen)
	}
	approval, err := brian.StepUp(t.Context(), spare.JSON201.ID)
	must(t, err)
	again, err := brian.Transfer(t.Context(), spare.JSON201.ID, approval, key())
	must(t, err)
	if again.StatusCode() != http.StatusConflict || refusalOf(again.Body) != "request_closed" {
		t.Errorf("paid again: %d %s", again.StatusCode(), again.Body)
	}
	late, err := brian.QuoteRequest(t.Context(), paid.ID)
	must(t, err)
	if late.StatusCode() != http.StatusConflict {
		t.Errorf("a quote for what is paid: %d", late.StatusCode())
	}
	ask(t, brian, http.MethodPost, path(paid.ID, "/decline"), "", nil, http.StatusConflict, "request_closed")
	ask(t, amina, http.MethodPost, path(paid.ID, "/cancellation"), "", nil, http.StatusConflict, "request_closed")

	declined, err := amina.Ask(t.Context(), brian, 10_00)
	must(t, err)
	withdrawn, err := amina.Ask(t.Context(), brian, 20_00)
	must(t, err)
	ask(t, amina, http.MethodPost, path(declined.ID, "/reminders"), "", nil, http.StatusConflict, "reminder_too_soon")
	for range 2 {
		ask(t, brian, http.MethodPost, path(declined.ID, "/decline"), "", nil, http.StatusOK, "")
		ask(t, amina, http.MethodPost, path(withdrawn.ID, "/cancellation"), "", nil, http.StatusOK, "")
	}
	w.sms(t, amina, "has declined your request for KES 10.00")
	received := walletclient.RequestDirectionFilterReceived
	list, err := brian.Wallet.ListPaymentRequestsWithResponse(t.Context(), &walletclient.ListPaymentRequestsParams{Direction: &received})
	must(t, err)
	if list.JSON200 == nil || len(list.JSON200.Data) != 3 || list.JSON200.Data[0].Status != "cancelled" ||
		list.JSON200.Data[0].WalletID != nil {
		t.Errorf("%d %s", list.StatusCode(), list.Body)
	}
}

// TestPaymentRequestRefuses: who cannot be asked, or not so often, is not asked.
func TestPaymentRequestRefuses(t *testing.T) {
	t.Parallel()
	w := shared(t)
	amina, brian := w.customer(t, "Amina", 0), w.customer(t, "Brian", 0)
	request := func(c *journey.Customer, phone, note string) string {
		return `{"wallet_id":"` + c.WalletID.String() + `","payer_phone":"` + phone + `","amount":{"amount":1000,"currency":"KES"},"note":"` +
			note + `"}`
	}
	try := func(body string, status int, code string) {
		t.Helper()
		ask(t, amina, http.MethodPost, "/v1/payment-requests", body, map[string]string{"Idempotency-Key": key()}, status, code)
	}
	try(request(amina, "+254700000001", "Lunch"), http.StatusNotFound, "payer_not_found")
	try(request(brian, brian.Phone, "Lunch"), http.StatusNotFound, "not_found")
	try(request(amina, amina.Phone, "Lunch"), http.StatusUnprocessableEntity, "payer_is_requester")
	try(request(amina, brian.Phone, "see evil.example"), http.StatusUnprocessableEntity, "request_note")
	for range 3 {
		try(request(amina, brian.Phone, "Lunch"), http.StatusCreated, "")
	}
	try(request(amina, brian.Phone, "Lunch"), http.StatusConflict, "request_limit_payer")
	quote := `{"wallet_id":"` + amina.WalletID.String() + `","recipient_phone":"` + brian.Phone + `"}`
	ask(t, amina, http.MethodPost, "/v1/transfer-quotes", quote, nil, http.StatusBadRequest, "invalid_request")
}

// TestPaymentRequestInTime: a reminder after a day, and the end after a week.
func TestPaymentRequestInTime(t *testing.T) {
	t.Parallel()
	c := clock.New(0)
	w := start(t, func(o *platform.Options) { o.Clock = c })
	amina, brian := w.customer(t, "Amina", 0), w.customer(t, "Brian", 0)
	asked, err := amina.Ask(t.Context(), brian, 10_00)
	must(t, err)
	c.Set(24*time.Hour + time.Minute)
	must(t, amina.LogIn(t.Context()))
	ask(t, amina, http.MethodPost, "/v1/payment-requests/"+asked.ID.String()+"/reminders", "", nil, http.StatusOK, "")
	w.sms(t, brian, "Reminder: Amina", "KES 10.00")
	c.Set(7*24*time.Hour + time.Minute)
	must(t, amina.LogIn(t.Context()))
	seen, err := amina.Request(t.Context(), asked.ID)
	must(t, err)
	if seen.Status != "expired" || seen.RemindersSent != 1 {
		t.Errorf("%+v", seen)
	}
	w.sms(t, amina, "has expired without a payment")
}
