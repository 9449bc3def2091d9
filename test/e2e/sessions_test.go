package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/sendtip/sendtip/cmd/sendtip/journey"
	"github.com/sendtip/sendtip/cmd/sendtip/keys"
	userclient "github.com/sendtip/sendtip/generated/user/client"
)

// registered is a customer with a PIN and a session, without a checked identity.
func (w *world) registered(t testing.TB, name string) *journey.Customer {
	t.Helper()
	c, err := w.NewCustomer(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Register(t.Context(), c); err != nil {
		t.Fatalf("%s registers: %v", name, err)
	}
	return c
}

func refresh(t testing.TB, c *journey.Customer, token, device, idempotencyKey string) *userclient.RefreshSessionResponse {
	t.Helper()
	resp, err := c.User.RefreshSessionWithResponse(t.Context(), &userclient.RefreshSessionParams{IdempotencyKey: idempotencyKey},
		userclient.RefreshRequest{RefreshToken: token, DeviceID: device})
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func bearer(token string) map[string]string {
	return map[string]string{"Authorization": "Bearer " + token}
}

// TestRefresh: a refresh token has one successor, and a stolen one ends the session for everybody.
func TestRefresh(t *testing.T) {
	t.Parallel()
	amina := shared(t).registered(t, "Amina")
	first, k := amina.Tokens, key()
	second := refresh(t, amina, first.RefreshToken, amina.Device, k)
	again := refresh(t, amina, first.RefreshToken, amina.Device, k)
	if second.JSON201 == nil || again.JSON201 == nil || second.JSON201.RefreshToken == first.RefreshToken ||
		second.JSON201.RefreshToken != again.JSON201.RefreshToken {
		t.Fatalf("one call, sent twice: %d and %d, or not one successor", second.StatusCode(), again.StatusCode())
	}
	third := refresh(t, amina, second.JSON201.RefreshToken, amina.Device, key())
	if third.JSON201 == nil {
		t.Fatalf("refresh with the successor: %d %s", third.StatusCode(), third.Body)
	}
	ask(t, amina, http.MethodGet, "/v1/me", "", bearer(third.JSON201.AccessToken), http.StatusOK, "")

	if reused := refresh(t, amina, first.RefreshToken, amina.Device, key()); reused.StatusCode() != http.StatusUnauthorized {
		t.Fatalf("a spent token gave %d", reused.StatusCode())
	}
	dies(t, amina, "/v1/me", "", bearer(third.JSON201.AccessToken))
	dies(t, amina, "/v1/me", "", bearer(first.AccessToken))
	if late := refresh(t, amina, third.JSON201.RefreshToken, amina.Device, key()); late.StatusCode() != http.StatusUnauthorized {
		t.Fatalf("the youngest token of a closed session gave %d", late.StatusCode())
	}
	if err := amina.LogIn(t.Context()); err != nil {
		t.Fatalf("signing in again: %v", err)
	}
	ask(t, amina, http.MethodGet, "/v1/me", "", nil, http.StatusOK, "")
}

// TestRefreshOnAnotherDevice: a refresh token without its device is a stolen one.
func TestRefreshOnAnotherDevice(t *testing.T) {
	t.Parallel()
	amina := shared(t).registered(t, "Amina")
	if resp := refresh(t, amina, amina.Tokens.RefreshToken, uuid.NewString(), key()); resp.StatusCode() != http.StatusUnauthorized {
		t.Fatalf("want 401, got %d %s", resp.StatusCode(), resp.Body)
	}
}

func TestLogout(t *testing.T) {
	t.Parallel()
	amina := shared(t).registered(t, "Amina")
	first := amina.Tokens
	if err := amina.LogIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	resp, err := amina.User.DeleteSessionWithResponse(t.Context())
	if err != nil || resp.StatusCode() != http.StatusNoContent {
		t.Fatalf("sign out: %v %v", resp, err)
	}
	dies(t, amina, "/v1/me", "", nil)
	if late := refresh(t, amina, amina.Tokens.RefreshToken, amina.Device, key()); late.StatusCode() != http.StatusUnauthorized {
		t.Errorf("the refresh token outlived the session: %d", late.StatusCode())
	}
	ask(t, amina, http.MethodGet, "/v1/me", "", bearer(first.AccessToken), http.StatusOK, "") // another session of hers
}

// TestNewDevice: phone and PIN are not enough on a device that nobody has seen.
func TestNewDevice(t *testing.T) {
	t.Parallel()
	w := shared(t)
	amina := w.registered(t, "Amina")
	device := uuid.NewString()
	request := userclient.SessionRequest{Phone: amina.Phone, Pin: amina.PIN, DeviceID: device}
	without, err := amina.User.CreateSessionWithResponse(t.Context(), request)
	if err != nil || without.ApplicationProblemJSON403 == nil || without.ApplicationProblemJSON403.Code != "device_unknown" {
		t.Fatalf("want 403 device_unknown, got %s %v", without.Body, err)
	}
	challenge, err := amina.User.StartLoginChallengeWithResponse(t.Context(),
		userclient.LoginChallengeRequest{Phone: amina.Phone, DeviceID: device})
	if err != nil || challenge.JSON202 == nil {
		t.Fatalf("challenge: %v %v", challenge, err)
	}
	code := digits.FindString(w.sms(t, amina, "sign-in"))
	wrong := "000000"
	if code == wrong {
		wrong = "000001"
	}
	request.ChallengeID, request.Otp = &challenge.JSON202.ChallengeID, &wrong
	if refused, err := amina.User.CreateSessionWithResponse(t.Context(), request); err != nil ||
		refused.StatusCode() != http.StatusUnprocessableEntity {
		t.Fatalf("a wrong code: %v %v", refused, err)
	}
	request.Otp = &code
	if done, err := amina.User.CreateSessionWithResponse(t.Context(), request); err != nil || done.JSON201 == nil {
		t.Fatalf("with the code: %v %v", done, err)
	}
	amina.Device = device
	if err := amina.LogIn(t.Context()); err != nil {
		t.Fatalf("the device is known now: %v", err)
	}
}

// TestWrongPIN: the fifth wrong PIN locks signing in and approving, also with the right PIN.
func TestWrongPIN(t *testing.T) {
	t.Parallel()
	amina := shared(t).registered(t, "Amina")
	pin := amina.PIN
	amina.PIN = "9173"
	for range 5 {
		if err := amina.LogIn(t.Context()); err == nil {
			t.Fatal("a wrong PIN signed in")
		}
	}
	resp, err := amina.User.CreateSessionWithResponse(t.Context(),
		userclient.SessionRequest{Phone: amina.Phone, Pin: pin, DeviceID: amina.Device})
	if err != nil || resp.ApplicationProblemJSON429 == nil || resp.ApplicationProblemJSON429.Code != "pin_locked" ||
		resp.HTTPResponse.Header.Get("Retry-After") == "" {
		t.Fatalf("want 429 pin_locked with Retry-After, got %d %s %v", resp.StatusCode(), resp.Body, err)
	}
	quote := uuid.New()
	stepUp, err := amina.User.CreateStepUpWithResponse(t.Context(),
		userclient.StepUpRequest{Pin: pin, Operation: "createTransfer", Approves: userclient.StepUpSubject{QuoteID: &quote}})
	if err != nil || stepUp.StatusCode() != http.StatusTooManyRequests {
		t.Fatalf("the lock does not hold for approvals: %v %v", stepUp, err)
	}
}

// TestStepUp: an approval is good for one person, one quote, once, and is no access token.
func TestStepUp(t *testing.T) {
	t.Parallel()
	w := shared(t)
	amina, brian := w.customer(t, "Amina", 500_00), w.customer(t, "Brian", 0)
	quote := func() uuid.UUID {
		resp, err := amina.Quote(t.Context(), brian, 10_00)
		if err != nil || resp.JSON201 == nil {
			t.Fatalf("quote: %v %v", resp, err)
		}
		return resp.JSON201.ID
	}
	approve := func(c *journey.Customer, q uuid.UUID) string {
		token, err := c.StepUp(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	one, two := quote(), quote()
	good := approve(amina, one)

	ask(t, amina, http.MethodGet, "/v1/me", "", bearer(good), http.StatusUnauthorized, "invalid_token")
	for name, token := range map[string]string{
		"no token":                 "",
		"an access token":          amina.Tokens.AccessToken,
		"another customer's":       approve(brian, one),
		"one for another quote":    approve(amina, two),
		"an expired one":           forge(t, good, signingKey(t, w), time.Now().Add(-time.Minute)),
		"one of a foreign key":     forge(t, good, nil, time.Now().Add(time.Minute)),
		"one without a signature":  unsigned(t, good),
		"one with a changed claim": tampered(good),
	} {
		resp, err := amina.Transfer(t.Context(), one, token, key())
		if err != nil {
			t.Fatal(err)
		}
		if s := resp.StatusCode(); s != http.StatusForbidden && (token != "" || s != http.StatusBadRequest) {
			t.Errorf("%s approved a transfer: %d %s", name, s, resp.Body)
		}
	}
	if got := balance(t, brian); got != 0 {
		t.Fatalf("refused transfers moved %d", got)
	}

	if done, err := amina.Transfer(t.Context(), one, good, key()); err != nil || done.JSON201 == nil {
		t.Fatalf("the approval itself: %v %v", done, err)
	}
	for name, q := range map[string]uuid.UUID{"its own quote": one, "a second quote": two} {
		again, err := amina.Transfer(t.Context(), q, good, key())
		if err != nil || again.StatusCode() != http.StatusForbidden && again.StatusCode() != http.StatusConflict {
			t.Errorf("an approval used again for %s: %d %s %v", name, again.StatusCode(), again.Body, err)
		}
	}
	if got := balance(t, brian); got != 10_00 {
		t.Errorf("10.00 were approved, %d moved", got)
	}
}

// signingKey is the deployment's own, with which nobody outside could forge.
func signingKey(t testing.TB, w *world) *ecdsa.PrivateKey {
	t.Helper()
	text, err := w.p.Keys().Read(keys.UserSigning)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatal("the signing key is not PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.(*ecdsa.PrivateKey)
}

// tampered changes one letter in the middle of a token.
func tampered(token string) string {
	b := []byte(token)
	if b[len(b)/2]++; b[len(b)/2] == 'z'+1 {
		b[len(b)/2] = 'a'
	}
	return string(b)
}

// forge copies a token with another expiry and signs it; without a key it makes one.
func forge(t testing.TB, token string, k *ecdsa.PrivateKey, expires time.Time) string {
	t.Helper()
	if k == nil {
		var err error
		if k, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	return copyOf(t, token, expires, jwt.SigningMethodES256, k)
}

func unsigned(t testing.TB, token string) string {
	t.Helper()
	return copyOf(t, token, time.Now().Add(time.Minute), jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType)
}

func copyOf(t testing.TB, token string, expires time.Time, method jwt.SigningMethod, k any) string {
	t.Helper()
	claims := jwt.MapClaims{}
	parsed, _, err := jwt.NewParser().ParseUnverified(token, claims)
	if err != nil {
		t.Fatal(err)
	}
	claims["exp"], claims["jti"] = expires.Unix(), uuid.NewString()
	forged := jwt.NewWithClaims(method, claims)
	forged.Header["typ"], forged.Header["kid"] = parsed.Header["typ"], parsed.Header["kid"]
	text, err := forged.SignedString(k)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestPhoneLanguages: whatever a phone calls its language, it registers, and the base language is kept.
func TestPhoneLanguages(t *testing.T) {
	t.Parallel()
	w := shared(t)
	for tag, want := range map[string]string{"en-KE-u-fw-mon-ms-metric": "en", "sw-Latn-KE": "sw", "en-001": "en", "luo": "luo",
		"x-private": "en"} {
		t.Run(tag, func(t *testing.T) {
			t.Parallel()
			c, err := w.NewCustomer("Amina")
			if err != nil {
				t.Fatal(err)
			}
			started, err := c.User.StartRegistrationWithResponse(t.Context(),
				userclient.RegistrationRequest{Phone: c.Phone, Language: tag, Country: "KE"})
			if err != nil || started.JSON202 == nil {
				t.Fatalf("register: %v %v", started, err)
			}
			done, err := c.User.CompleteRegistrationWithResponse(t.Context(), started.JSON202.RegistrationID,
				userclient.RegistrationCompletion{Otp: digits.FindString(w.sms(t, c, "")), Pin: c.PIN, DeviceID: c.Device})
			if err != nil || done.JSON201 == nil || done.JSON201.User.Language != want {
				t.Fatalf("the profile shows %+v %v, want %s", done, err, want)
			}
			if err := c.LogIn(t.Context()); err != nil {
				t.Fatal(err)
			}
			other := "sw-KE-u-hc-h12"
			changed, err := c.User.UpdateProfileWithResponse(t.Context(), userclient.ProfileUpdate{Language: &other})
			if err != nil || changed.JSON200 == nil || changed.JSON200.Language != "sw" {
				t.Fatalf("changed to %v %v, want sw", changed, err)
			}
			ask(t, c, http.MethodPatch, "/v1/me", `{"language":"no tag at all"}`, nil, http.StatusBadRequest, "invalid_request")
		})
	}
}
