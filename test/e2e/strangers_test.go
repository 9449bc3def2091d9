package e2e_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/google/uuid"

	userclient "github.com/sendtip/sendtip/generated/user/client"
)

// TestStrangersWithHerNumber: 1,000 requests of others for her phone keep her out of nothing that her own device does.
func TestStrangersWithHerNumber(t *testing.T) {
	t.Parallel()
	w := shared(t)
	amina := w.registered(t, "Amina")
	stranger, err := w.NewCustomer("Stranger")
	if err != nil {
		t.Fatal(err)
	}
	admitted := 0
	for n := range 1000 {
		path, body := "/v1/sessions", fmt.Sprintf(`{"phone":%q,"pin":"7294","device_id":%q}`, amina.Phone, uuid.NewString())
		switch n % 4 {
		case 1:
			path, body = "/v1/registrations", fmt.Sprintf(`{"phone":%q,"country":"KE","language":"en"}`, amina.Phone)
		case 2:
			path, body = "/v1/login-challenges", fmt.Sprintf(`{"phone":%q,"device_id":%q}`, amina.Phone, uuid.NewString())
		case 3:
			path, body = "/v1/pin-resets", fmt.Sprintf(`{"phone":%q,"device_id":%q}`, amina.Phone, uuid.NewString())
		}
		status, code, err := stranger.Raw(t.Context(), http.MethodPost, path, body, nil)
		switch {
		case err != nil:
			t.Fatal(err)
		case status == http.StatusTooManyRequests && (code == "otp_limit" || code == "sign_in_limit"):
		case status == http.StatusAccepted, code == "device_unknown":
			admitted++
		default:
			t.Fatalf("%s: %d %s", path, status, code)
		}
	}
	if admitted != 22 { // 20 tries to sign in, and 3 codes less the one that she registered with
		t.Errorf("%d requests of strangers were admitted, want 22", admitted)
	}

	if err := amina.LogIn(t.Context()); err != nil {
		t.Fatalf("she signs in: %v", err)
	}
	if _, err := amina.StepUp(t.Context(), uuid.New()); err != nil {
		t.Fatalf("she approves: %v", err)
	}
	reset, err := amina.User.StartPinResetWithResponse(t.Context(), userclient.PinResetRequest{Phone: amina.Phone, DeviceID: amina.Device})
	if err != nil || reset.JSON202 == nil {
		t.Fatalf("she asks for a reset: %v %v", reset, err)
	}
	amina.PIN = "8361"
	done, err := amina.User.CompletePinResetWithResponse(t.Context(), reset.JSON202.PinResetID,
		userclient.PinResetCompletion{Otp: digits.FindString(w.sms(t, amina, "PIN reset")), Pin: amina.PIN, DeviceID: amina.Device})
	if err != nil || done.StatusCode() != http.StatusNoContent {
		t.Fatalf("she resets: %v %v", done, err)
	}
	if err := amina.LogIn(t.Context()); err != nil {
		t.Fatalf("she signs in with the new PIN: %v", err)
	}
}
