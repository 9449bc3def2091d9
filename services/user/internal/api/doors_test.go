package api_test

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/servicetest"
	"github.com/sendtip/sendtip/openapi"
	"github.com/sendtip/sendtip/services/user/internal/testworld"
)

// TestAuthorization asks every operation of the contract without a token, with tokens that are not for it, and with too little
// authority. A new operation is covered the moment it is in the contract.
func TestAuthorization(t *testing.T) {
	t.Parallel()
	w := setup(t)
	forOther := w.api.Token(servicetest.Request{Who: "service:wallet", Scopes: []string{"users:lookup"},
		Claims: func(c *auth.Claims) { c.Audience = jwt.ClaimStrings{"wallet"} }})
	forged, err := auth.Mint(bytes.Repeat([]byte{8}, 32), w.Now(),
		auth.Claims{RegisteredClaims: jwt.RegisteredClaims{Subject: "user:" + uuid.NewString(), Audience: jwt.ClaimStrings{"user"}}})
	w.must(err)
	all := w.operations()
	if len(all) != 51 {
		t.Errorf("%d operations, want 51: a removed one breaks clients", len(all))
	}
	for _, o := range all {
		w.expect(o.call, http.StatusUnauthorized, "unauthenticated")
		for _, token := range []string{"nonsense", forOther, forged} {
			c := o.call
			c.headers = map[string]string{auth.IdentityHeader: token}
			w.expect(c, http.StatusUnauthorized, "unauthenticated")
		}
		if len(o.secured) == 0 {
			continue
		}
		for _, caller := range []struct{ subject, scopes string }{
			{"anonymous", ""}, {"user:" + uuid.NewString(), ""}, {"partner:" + uuid.NewString(), "tariffs:read"}, {"service:wallet", "ledger:post"},
			{"user:" + uuid.NewString(), "wallet:read wallet:write"}, {"provider:user", ""},
		} {
			c := o.call
			c.subject, c.scopes, c.session = caller.subject, strings.Fields(caller.scopes), uuid.NewString()
			w.expect(c, http.StatusForbidden, "forbidden")
		}
	}
}

// TestPublicOperations: what needs no credential is a list that somebody has to change on purpose.
func TestPublicOperations(t *testing.T) {
	t.Parallel()
	var open []string
	for _, item := range servicetest.Document(t, openapi.FS, "user.yaml").Paths.Map() {
		for _, op := range item.Operations() {
			if len(*op.Security) == 0 {
				open = append(open, op.OperationID)
			}
		}
	}
	slices.Sort(open)
	want := []string{"completePinReset", "completeRecovery", "completeRegistration", "createSession", "getJwks", "getRecovery",
		"receiveKycCallback", "refreshSession", "startLoginChallenge", "startPinReset", "startRecovery", "startRegistration"}
	if !slices.Equal(open, want) {
		t.Errorf("open operations %v, want %v", open, want)
	}
}

func TestCustomerIsNoOperator(t *testing.T) {
	t.Parallel()
	w := setup(t)
	as, registered := w.register(phone)
	user := registered.str("user", "user_id")
	for _, c := range []call{
		as("GET", "/v1/admin/kyc-reviews", nil),
		as("POST", "/v1/admin/kyc-reviews/"+uuid.NewString()+"/decision", map[string]any{"decision": "approve", "reason": "because"}),
		as("POST", "/v1/admin/users/"+user+"/suspension", map[string]any{"reason": "because"}),
		as("DELETE", "/v1/admin/users/"+user+"/suspension", nil),
		as("POST", "/v1/internal/recipient-lookups", map[string]any{"phone": phone}),
		as("GET", "/v1/internal/users/"+user+"/contacts", nil),
		as("POST", "/v1/internal/otp-challenges/"+uuid.NewString()+"/code", nil),
		as("GET", "/v1/internal/revocations", nil),
	} {
		w.expect(c, http.StatusForbidden, "forbidden")
		c.scopes = slices.Concat(c.scopes, operators) // even a token that claims it: the record decides
		if c.path[:9] == "/v1/admin" {
			w.expect(c, http.StatusForbidden, "forbidden")
		}
	}
}

func TestFailureDoors(t *testing.T) {
	t.Parallel()
	w := setup(t)
	as, _ := w.register(phone)
	for name, c := range map[string]struct {
		call   call
		status int
		code   string
	}{
		"body is no JSON":       {anonymous("POST", "/v1/registrations", []byte(`{"phone":`)), 400, "invalid_request"},
		"body has another type": {anonymous("POST", "/v1/registrations", []byte(`{"phone":17}`)), 400, "invalid_request"},
		"no body":               {anonymous("POST", "/v1/sessions", nil), 400, "invalid_request"},
		"path parameter":        {as("GET", "/v1/kyc-verifications/17", nil), 400, "invalid_request"},
		"query parameter": {call{method: "GET", path: "/v1/internal/revocations?since=yesterday", subject: "service:gateway",
			scopes: []string{"users:revocations"}}, 400, "invalid_request"},
		"no idempotency key": {as("POST", "/v1/kyc-verifications", kyc("30112230")), 400, "invalid_request"},
		"refresh without key": {anonymous("POST", "/v1/sessions/refresh",
			map[string]any{"refresh_token": "rt_0123456789abcdef", "device_id": device}), 400, "invalid_request"},
		"unknown decision": {admin("POST", "/v1/admin/kyc-reviews/"+uuid.NewString()+"/decision",
			map[string]any{"decision": "maybe", "reason": "because"}), 400, "invalid_request"},
		"nothing to change": {as("PATCH", "/v1/me", map[string]any{}), 400, "invalid_request"},
		"e-mail without at": {as("PATCH", "/v1/me", map[string]any{"email": "amina"}), 400, "invalid_request"},
		"handler": {anonymous("POST", "/v1/registrations",
			map[string]any{"phone": "+254202222222", "country": "KE", "language": "en"}), 422, "phone_invalid"},
		"country": {anonymous("POST", "/v1/registrations", map[string]any{"phone": phone, "country": "US", "language": "en"}),
			422, "country_unsupported"},
		"no such route":  {astray(as("GET", "/v1/nothing", nil)), 404, "not_found"},
		"no such method": {astray(as("PUT", "/v1/me", nil)), 405, "method_not_allowed"},
		"callback is too large": {anonymous("POST", "/v1/hooks/ky/AAAAAAAAAAAAAAAA/"+uuid.NewString(), bytes.Repeat([]byte{'x'}, maxBody+1)),
			413, "payload_too_large"},
		"callback of nobody": {anonymous("POST", "/v1/hooks/ky/AAAAAAAAAAAAAAAA/"+uuid.NewString(), []byte(`{}`)), 404, "not_found"},
		"wrong credentials": {anonymous("POST", "/v1/sessions", map[string]any{"phone": phone, "pin": "9999", "device_id": device}), 401,
			"invalid_credentials"},
		"nobody's phone": {anonymous("POST", "/v1/sessions",
			map[string]any{"phone": "+254712000000", "pin": "9999", "device_id": device}), 403, "device_unknown"},
		"unknown refresh token": {withKey(anonymous("POST", "/v1/sessions/refresh",
			map[string]any{"refresh_token": "rt_0123456789abcdef", "device_id": device})), 401, "refresh_invalid"},
		"kyc details": {withKey(as("POST", "/v1/kyc-verifications", kyc("not a number"))), 422, "kyc_invalid"},
		"unknown recipient": {call{method: "POST", path: "/v1/internal/recipient-lookups", subject: "service:wallet",
			scopes: []string{"users:lookup"}, body: map[string]any{"phone": "+254712000000"}}, 404, "recipient_not_found"},
		"operation not to be had": {as("POST", "/v1/step-ups",
			map[string]any{"pin": pin, "operation": "deleteAll", "approves": map[string]any{"quote_id": uuid.NewString()}}), 422,
			"operation_unknown"},
	} {
		a := w.do(c.call)
		if a.status != c.status || a.str("code") != c.code {
			t.Errorf("%s: %d %s, want %d %s", name, a.status, a.raw, c.status, c.code)
		}
		for _, sent := range []string{"yesterday", "202222222", "not a number", "9999", "deleteAll"} {
			if bytes.Contains(a.raw, []byte(sent)) {
				t.Errorf("%s: the problem shows what was sent: %s", name, a.raw)
			}
		}
	}
}

func TestDatabaseDown(t *testing.T) {
	t.Parallel()
	w := serve(t, testworld.Unreachable(t))
	a := w.expect(anonymous("POST", "/v1/sessions", map[string]any{"phone": phone, "pin": pin, "device_id": device}),
		http.StatusServiceUnavailable, "unavailable")
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	if a = w.do(anonymous("GET", "/v1/jwks", nil)); a.status != http.StatusOK {
		t.Errorf("keys need no database: %d", a.status)
	}
}

// admin is a call as an operator that does not exist: enough for what is refused before the record is read.
func admin(method, path string, body any) call {
	return call{method: method, path: path, subject: "user:" + uuid.NewString(), session: uuid.NewString(), scopes: operators, body: body}
}

// astray is a call of what the contract does not have.
func astray(c call) call {
	c.stray = true
	return c
}

func withKey(c call) call {
	c.headers = map[string]string{"Idempotency-Key": idemKey}
	return c
}

func kyc(number string) map[string]any {
	return map[string]any{
		"country": "KE", "id_type": "NATIONAL_ID", "id_number": number, "first_name": "Amina", "last_name": "Wanjiru",
		"date_of_birth": "1990-04-12", "consent_version": "2026-01",
	}
}
