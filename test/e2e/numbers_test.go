package e2e_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/cmd/sendtip/journey"
	"github.com/sendtip/sendtip/cmd/sendtip/platform"
	userclient "github.com/sendtip/sendtip/generated/user/client"
	"github.com/sendtip/sendtip/kit/clock"
)

// TestChangeOfNumber: a day after it was proved and approved the new number is the customer's, both numbers hear of it, and money that is
// sent to the new one arrives.
func TestChangeOfNumber(t *testing.T) {
	t.Parallel()
	c := clock.New(0)
	w := start(t, func(o *platform.Options) { o.Clock = c })
	amina, brian := w.customer(t, "Amina", 0), w.customer(t, "Brian", 500_00)
	change, err := w.ChangeNumber(t.Context(), amina)
	if err != nil {
		t.Fatal(err)
	}
	w.sms(t, amina, "will get another phone number in 24 hours")
	c.Set(c.Offset() + 24*time.Hour)
	w.sms(t, amina, "has moved to another phone number") // the job ran
	old := amina.Phone
	amina.Phone = change.Phone
	w.sms(t, amina, "This is now the phone number of your account")
	if err := amina.LogIn(t.Context()); err != nil {
		t.Fatalf("she signs in with the new number: %v", err)
	}
	got, err := amina.User.GetNumberChangeWithResponse(t.Context(), change.NumberChangeID)
	if err != nil || got.JSON200 == nil || got.JSON200.State != "applied" {
		t.Fatalf("the change: %v %v", got, err)
	}
	ask(t, amina, http.MethodPost, "/v1/me/number-changes/"+change.NumberChangeID.String()+"/cancellation", "", nil, http.StatusConflict,
		"number_change_closed")
	if err := brian.LogIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	if tr, err := brian.Send(t.Context(), amina, 10_00); err != nil || tr.Status != "completed" {
		t.Errorf("he sends to the new number: %+v %v", tr, err)
	}
	amina.Phone = old
	if q, err := brian.Quote(t.Context(), amina, 10_00); err != nil || refusalOf(q.Body) != "recipient_not_found" {
		t.Errorf("he sends to the old one: %v %v", q, err)
	}
}

// TestChangeOfNumberRefusals: what a change is refused for, and that any device of the customer's stops it.
func TestChangeOfNumberRefusals(t *testing.T) {
	t.Parallel()
	w := shared(t)
	amina, holder := w.registered(t, "Amina"), w.registered(t, "Holder")
	const path = "/v1/me/number-changes"
	ask(t, amina, http.MethodPost, path, `{"phone":"`+amina.Phone+`"}`, nil, http.StatusConflict, "number_unchanged")
	ask(t, amina, http.MethodPost, path, `{"phone":"+256772345678"}`, nil, http.StatusUnprocessableEntity, "phone_invalid")
	confirm := func(id uuid.UUID, body string, header map[string]string, status int, code string) {
		t.Helper()
		approval, err := amina.StepUpFor(t.Context(), "confirmNumberChange", id)
		if err != nil {
			t.Fatal(err)
		}
		h := map[string]string{"Step-Up-Token": approval}
		for k, v := range header {
			h[k] = v
		}
		ask(t, amina, http.MethodPost, path+"/"+id.String()+"/confirmation", body, h, status, code)
	}
	taken, code, err := w.ProveNumber(t.Context(), amina, holder)
	if err != nil {
		t.Fatal(err)
	}
	confirm(taken, `{"otp":"`+code+`"}`, nil, http.StatusConflict, "number_taken")
	confirm(taken, `{}`, nil, http.StatusBadRequest, "invalid_request")
	confirm(taken, `{}`, map[string]string{"Content-Type": "text/plain"}, http.StatusUnsupportedMediaType, "unsupported_media_type")
	confirm(uuid.Must(uuid.NewV7()), `{"otp":"123456"}`, nil, http.StatusNotFound, "not_found")
	for range 4 { // the tries that are left, and one more
		confirm(taken, `{"otp":"`+other(code)+`"}`, nil, http.StatusUnprocessableEntity, "otp_invalid")
	}

	change, err := w.ChangeNumber(t.Context(), amina)
	if err != nil {
		t.Fatal(err)
	}
	if err := amina.LogIn(t.Context()); err != nil { // another session than the one that asked
		t.Fatal(err)
	}
	for range 2 {
		gone, err := amina.User.CancelNumberChangeWithResponse(t.Context(), change.NumberChangeID)
		if err != nil || gone.JSON200 == nil || gone.JSON200.State != "cancelled" {
			t.Fatalf("cancel: %v %v", gone, err)
		}
	}
	w.sms(t, amina, "Your phone number stays as it is")
	list, err := amina.User.ListNumberChangesWithResponse(t.Context(), &userclient.ListNumberChangesParams{})
	if err != nil || list.JSON200 == nil || len(list.JSON200.Data) != 1 {
		t.Errorf("list: %v %v", list, err)
	}
}

// other is a code that is not the right one.
func other(code string) string {
	if code == "000000" {
		return "000001"
	}
	return "000000"
}

// TestRecovery: a verified customer who lost phone and PIN has the account again on another phone, a day after two people agreed; one who
// did not ask for it stops it.
func TestRecovery(t *testing.T) {
	t.Parallel()
	c := clock.New(0)
	w := start(t, func(o *platform.Options) { o.Clock = c })
	amina, brian := w.customer(t, "Amina", 500_00), w.customer(t, "Brian", 0)
	maker, checker := w.staff(t, "compliance"), w.staff(t, "compliance")
	next, err := w.NewCustomer("Next")
	if err != nil {
		t.Fatal(err)
	}
	asked, err := w.AskBack(t.Context(), amina, next)
	if err != nil {
		t.Fatal(err)
	}
	token := map[string]string{"Recovery-Token": asked.Token}
	path := "/v1/recoveries/" + asked.ID.String()
	ask(t, next, http.MethodGet, path, "", token, http.StatusOK, "")
	if err := w.GiveBack(t.Context(), maker, checker, asked); err != nil {
		t.Fatal(err)
	}
	w.sms(t, amina, "asked to recover your account")
	ask(t, maker, http.MethodPost, "/v1/admin/recovery-proposals", `{"recovery_id":"`+asked.ID.String()+`","reason":"Once more."}`, nil,
		http.StatusConflict, "recovery_not_checked")
	ask(t, maker, http.MethodPost, "/v1/admin/recovery-proposals", `{"recovery_id":"`+asked.ID.String()+`","reason":"N\u0000"}`, nil,
		http.StatusUnprocessableEntity, "invalid_text")

	thief, err := w.NewCustomer("Thief")
	if err != nil {
		t.Fatal(err)
	}
	stolen, err := w.AskBack(t.Context(), brian, thief)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.GiveBack(t.Context(), maker, checker, stolen); err != nil {
		t.Fatal(err)
	}
	cancel := func(code string, status int, why string) {
		t.Helper()
		ask(t, brian, http.MethodPost, "/v1/me/recoveries/"+code+"/cancellation", "", approvedFor(t, brian, "cancelRecovery", code), status, why)
	}
	ask(t, brian, http.MethodGet, "/v1/me/recoveries", "", nil, http.StatusOK, "")
	cancel(asked.ID.String(), http.StatusNotFound, "not_found")
	cancel(stolen.ID.String(), http.StatusOK, "")
	ask(t, brian, http.MethodPost, "/v1/me/recoveries/"+stolen.ID.String()+"/cancellation?unheard_of=1", "",
		approvedFor(t, brian, "cancelRecovery", stolen.ID.String()), http.StatusBadRequest, "invalid_request")
	w.sms(t, brian, "recovery of your account was stopped")

	c.Set(c.Offset() + 24*time.Hour)
	w.sms(t, amina, "has moved to another phone number")
	w.sms(t, next, "Your account has been recovered")
	if err := amina.LogIn(t.Context()); err == nil {
		t.Error("the lost phone still signs in")
	}
	if err := next.LogIn(t.Context()); err != nil {
		t.Fatalf("she signs in: %v", err)
	}
	next.WalletID = amina.WalletID
	if got := balance(t, next); got != 500_00 {
		t.Errorf("she has %d of 500.00", got)
	}
	ask(t, next, http.MethodPost, "/v1/me/recoveries/"+asked.ID.String()+"/cancellation", "",
		approvedFor(t, next, "cancelRecovery", asked.ID.String()), http.StatusConflict, "recovery_closed")
}

// approvedFor is the header with an approval of an operation on an object.
func approvedFor(t *testing.T, c *journey.Customer, operation, id string) map[string]string {
	t.Helper()
	token, err := c.StepUpFor(t.Context(), operation, uuid.MustParse(id))
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{"Step-Up-Token": token}
}

// TestRecoveryRefusals: what is refused before anybody looks whose the document is, and to whom a proposal is.
func TestRecoveryRefusals(t *testing.T) {
	t.Parallel()
	w := shared(t)
	nobody, err := w.NewCustomer("Nobody")
	if err != nil {
		t.Fatal(err)
	}
	const body = `{"otp":"482913","pin":"8361","device_id":"5f0c9f9e-8c0c-4d6e-9c56-6b8f2a1c0d4e","country":"KE","id_type":"NATIONAL_ID",
		"id_number":"30112230","first_name":"Amina","last_name":"Wanjiru","date_of_birth":"1990-04-12","consent_version":"2026-01"}`
	unknown := "/v1/recoveries/" + uuid.Must(uuid.NewV7()).String()
	ask(t, nobody, http.MethodPost, "/v1/recoveries", `{"phone":"+254202222222","country":"KE","language":"en"}`, nil,
		http.StatusUnprocessableEntity, "phone_invalid")
	ask(t, nobody, http.MethodPost, unknown+"/completion", body, nil, http.StatusNotFound, "not_found")
	ask(t, nobody, http.MethodPost, unknown+"/completion", strings.Replace(body, `"8361"`, `"1111"`, 1), nil,
		http.StatusUnprocessableEntity, "pin_weak")
	ask(t, nobody, http.MethodGet, unknown, "", map[string]string{"Recovery-Token": "3q2-7wAAAAAAAAAA"}, http.StatusNotFound, "not_found")
}
