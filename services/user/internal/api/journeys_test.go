package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestCustomerJourney(t *testing.T) {
	t.Parallel()
	w := setup(t)
	as, registered := w.register(phone)
	me := w.do(as("GET", "/v1/me", nil))
	if me.status != 200 || me.str("phone") != phone || me.str("kyc_status") != "none" ||
		me.str("user_id") != registered.str("user", "user_id") {
		t.Fatalf("me: %d %s", me.status, me.raw)
	}
	if strings.Contains(string(me.raw), "email") || strings.Contains(string(me.raw), "first_name") {
		t.Errorf("absent means none: %s", me.raw)
	}
	if a := w.do(as("PATCH", "/v1/me", map[string]any{"email": "amina@example.com", "language": "sw"})); a.status != 200 ||
		a.str("email") != "amina@example.com" {
		t.Errorf("patch: %d %s", a.status, a.raw)
	}
	stepUp := w.do(as("POST", "/v1/step-ups",
		map[string]any{"pin": pin, "operation": "createTransfer", "approves": map[string]any{"quote_id": uuid.NewString()}}))
	if stepUp.status != 201 || stepUp.str("token") == "" {
		t.Errorf("step-up: %d %s", stepUp.status, stepUp.raw)
	}
	w.expect(as("POST", "/v1/step-ups",
		map[string]any{"pin": "9999", "operation": "createTransfer", "approves": map[string]any{"quote_id": uuid.NewString()}}), 403,
		"pin_invalid")

	submitted := w.do(withKey(as("POST", "/v1/kyc-verifications", kyc("30112230"))))
	if submitted.status != 202 || submitted.str("status") != "pending" || submitted.header.Get("Idempotency-Replayed") != "" {
		t.Fatalf("kyc: %d %s", submitted.status, submitted.raw)
	}
	again := w.do(withKey(as("POST", "/v1/kyc-verifications", kyc("30112230"))))
	if again.status != 202 || string(again.raw) != string(submitted.raw) || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("replay: %d %s", again.status, again.raw)
	}
	w.expect(withKey(as("POST", "/v1/kyc-verifications", kyc("30112238"))), 422, "idempotency_key_reused")
	id := submitted.str("kyc_id")
	w.decide(id)
	if a := w.do(as("GET", "/v1/kyc-verifications/"+id, nil)); a.str("status") != "verified" || a.str("decided_at") == "" {
		t.Errorf("kyc: %d %s", a.status, a.raw)
	}
	found := w.do(call{method: "POST", path: "/v1/internal/recipient-lookups", subject: "service:wallet", scopes: []string{"users:lookup"},
		body: map[string]any{"phone": phone}})
	if found.status != 200 || found.str("masked_name") != "Amina W." || found.body["tier"] != 1.0 {
		t.Errorf("recipient: %d %s", found.status, found.raw)
	}
	contacts := w.do(call{method: "GET", path: "/v1/internal/users/" + me.str("user_id") + "/contacts", subject: "service:notification",
		scopes: []string{"users:contacts"}})
	if contacts.status != 200 || contacts.str("first_name") != "Amina" || contacts.str("language") != "sw" {
		t.Errorf("contacts: %d %s", contacts.status, contacts.raw)
	}
}

// decide works the submission's job by hand.
func (w *world) decide(kyc string) {
	w.Helper()
	w.Settle(uuid.MustParse(kyc))
}

func TestSessionJourney(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.register(phone)
	signIn := map[string]any{"phone": phone, "pin": pin, "device_id": "tablet-0123456789"}
	w.expect(anonymous("POST", "/v1/sessions", signIn), 403, "device_unknown")
	challenge := w.do(anonymous("POST", "/v1/login-challenges", map[string]any{"phone": phone, "device_id": "tablet-0123456789"}))
	stranger := w.do(anonymous("POST", "/v1/login-challenges", map[string]any{"phone": "+254712000000", "device_id": "tablet-0123456789"}))
	if challenge.status != 202 || stranger.status != 202 || len(challenge.body) != len(stranger.body) {
		t.Errorf("answers differ: %d %s, %d %s", challenge.status, challenge.raw, stranger.status, stranger.raw)
	}
	signIn["challenge_id"], signIn["otp"] = challenge.str("challenge_id"), w.code(challenge.str("challenge_id"))
	session := w.do(anonymous("POST", "/v1/sessions", signIn))
	if session.status != http.StatusCreated || session.str("token_type") != "Bearer" {
		t.Fatalf("sign in: %d %s", session.status, session.raw)
	}
	exchange := withKey(anonymous("POST", "/v1/sessions/refresh",
		map[string]any{"refresh_token": session.str("refresh_token"), "device_id": "tablet-0123456789"}))
	first, second := w.do(exchange), w.do(exchange)
	if first.status != 201 || second.status != 201 || first.str("refresh_token") != second.str("refresh_token") ||
		second.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("refresh: %d %s, %d %s", first.status, first.raw, second.status, second.raw)
	}
	exchange.headers = map[string]string{"Idempotency-Key": "another-key-0123456789"}
	w.expect(exchange, 401, "refresh_reused")
	list := w.do(call{method: "GET", path: "/v1/internal/revocations?since=" + w.Now().Add(-time.Minute).Format(time.RFC3339),
		subject: "service:gateway", scopes: []string{"users:revocations"}})
	if data, _ := list.body["data"].([]any); list.status != 200 || len(data) != 1 ||
		!strings.Contains(string(list.raw), session.str("session_id")) {
		t.Errorf("revocations: %d %s", list.status, list.raw)
	}
	keys := w.do(anonymous("GET", "/v1/jwks", nil))
	set, _ := keys.body["keys"].([]any)
	if keys.status != 200 || len(set) != 1 || keys.header.Get("Cache-Control") != "public, max-age=300" {
		t.Fatalf("keys: %d %v %s", keys.status, keys.header, keys.raw)
	}
	// A library picks a key by these: without them some take it for encryption, or for another curve's algorithm.
	if k, _ := set[0].(map[string]any); k["kty"] != "EC" || k["crv"] != "P-256" || k["alg"] != "ES256" || k["use"] != "sig" || k["kid"] == "" {
		t.Errorf("key: %v", set[0])
	}
}

func TestSignOut(t *testing.T) {
	t.Parallel()
	w := setup(t)
	as, registered := w.register(phone)
	for range 2 {
		if a := w.do(as("DELETE", "/v1/sessions/current", nil)); a.status != 204 || len(a.raw) != 0 {
			t.Errorf("sign out: %d %s", a.status, a.raw)
		}
	}
	w.expect(withKey(anonymous("POST", "/v1/sessions/refresh",
		map[string]any{"refresh_token": registered.str("tokens", "refresh_token"), "device_id": device})), 401, "refresh_invalid")
	w.expect(as("POST", "/v1/step-ups",
		map[string]any{"pin": pin, "operation": "createTransfer", "approves": map[string]any{"quote_id": uuid.NewString()}}), 401,
		"session_ended")
}

func TestOperatorJourney(t *testing.T) {
	t.Parallel()
	w := setup(t)
	as, registered := w.register(phone)
	operator, self := w.operator()
	kycID := w.do(withKey(as("POST", "/v1/kyc-verifications", kyc("30112237")))).str("kyc_id")
	w.decide(kycID)
	page := w.do(operator("GET", "/v1/admin/kyc-reviews?limit=1", nil))
	if data, _ := page.body["data"].([]any); page.status != 200 || len(data) != 1 || page.body["next_cursor"] != nil ||
		!strings.Contains(string(page.raw), "Amina Wanjiru") {
		t.Fatalf("reviews: %d %s", page.status, page.raw)
	}
	decision := operator("POST", "/v1/admin/kyc-reviews/"+kycID+"/decision", map[string]any{"decision": "approve", "reason": "Card seen."})
	for range 2 {
		if a := w.do(decision); a.status != 200 || a.str("status") != "verified" || a.str("reason_code") != "approved_by_operator" {
			t.Errorf("decision: %d %s", a.status, a.raw)
		}
	}
	decision.body = map[string]any{"decision": "reject", "reason": "On second thought."}
	w.expect(decision, 409, "kyc_not_in_review")
	user := registered.str("user", "user_id")
	if a := w.do(operator("POST", "/v1/admin/users/"+user+"/suspension", map[string]any{"reason": "Lost phone."})); a.status != 200 ||
		a.str("status") != "suspended" {
		t.Errorf("suspension: %d %s", a.status, a.raw)
	}
	w.expect(anonymous("POST", "/v1/sessions", map[string]any{"phone": phone, "pin": pin, "device_id": device}), 403, "user_suspended")
	if a := w.do(operator("DELETE", "/v1/admin/users/"+user+"/suspension", nil)); a.status != 200 || a.str("status") != "active" {
		t.Errorf("reinstatement: %d %s", a.status, a.raw)
	}
	w.expect(operator("POST", "/v1/admin/users/"+self.String()+"/suspension", map[string]any{"reason": "By mistake."}), 403, "own_record")
	w.expect(operator("POST", "/v1/admin/users/"+uuid.NewString()+"/suspension", map[string]any{"reason": "Nobody."}), 404, "not_found")
}

func TestReviewPages(t *testing.T) {
	t.Parallel()
	w := setup(t)
	operator, _ := w.operator()
	for i := range 3 {
		as, _ := w.register("+25471200004" + string(rune('0'+i)))
		w.decide(w.do(withKey(as("POST", "/v1/kyc-verifications", kyc("3011224"+string(rune('0'+i))+"7")))).str("kyc_id"))
	}
	seen, path := 0, "/v1/admin/kyc-reviews?limit=2"
	for pages := 0; path != ""; pages++ {
		a := w.do(operator("GET", path, nil))
		data, _ := a.body["data"].([]any)
		seen += len(data)
		path = ""
		if next := a.str("next_cursor"); next != "" {
			path = "/v1/admin/kyc-reviews?limit=2&cursor=" + next
		}
		if pages > 2 {
			t.Fatal("the list does not end")
		}
	}
	if seen != 3 {
		t.Errorf("%d reviews on all pages, want 3", seen)
	}
	w.expect(operator("GET", "/v1/admin/kyc-reviews?cursor=AZN8XopAfBudfj9rKhwNTg", nil), 422, "cursor_invalid") // of an earlier release
}

func TestUnreadableReview(t *testing.T) {
	t.Parallel()
	w := setup(t)
	operator, _ := w.operator()
	as, _ := w.register(phone)
	kycID := w.do(withKey(as("POST", "/v1/kyc-verifications", kyc("30112237")))).str("kyc_id")
	w.decide(kycID)
	_, err := w.DB.Pool.Exec(t.Context(), "UPDATE kyc_verifications SET submission_sealed = result_sealed")
	w.must(err)
	page := w.do(operator("GET", "/v1/admin/kyc-reviews", nil))
	data, _ := page.body["data"].([]any)
	if page.status != 200 || len(data) != 1 {
		t.Fatalf("reviews: %d %s", page.status, page.raw)
	}
	if row, _ := data[0].(map[string]any); row["kyc_id"] != kycID || row["unreadable"] != true || len(row["submitted"].(map[string]any)) != 0 {
		t.Errorf("row %v", row)
	}
	decision := operator("POST", "/v1/admin/kyc-reviews/"+kycID+"/decision", map[string]any{"decision": "approve", "reason": "Blind."})
	w.expect(decision, 409, "kyc_unreadable")
	decision.body = map[string]any{"decision": "reject", "reason": "Cannot be read."}
	w.expect(decision, 200, "")
}

func TestCallback(t *testing.T) {
	t.Parallel()
	w := setup(t)
	as, _ := w.register(phone)
	id := w.do(withKey(as("POST", "/v1/kyc-verifications", kyc("30112230")))).str("kyc_id")
	token := w.Sealer.Token("kyc", id)
	for _, body := range []string{`{"ResultCode":"1013"}`, "not even JSON", strings.Repeat("x", maxBody)} {
		a := w.do(call{method: "POST", path: "/v1/hooks/ky/" + token + "/" + id, subject: "provider:user", body: []byte(body), stray: true})
		if a.status != 200 || a.body["received"] != true {
			t.Errorf("callback: %d %s", a.status, a.raw)
		}
	}
	if a := w.do(as("GET", "/v1/kyc-verifications/"+id, nil)); a.str("status") != "pending" {
		t.Errorf("a callback was believed: %s", a.raw)
	}
}

func TestPinResetJourney(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.register(phone)
	started := w.do(anonymous("POST", "/v1/pin-resets", map[string]any{"phone": phone, "device_id": device}))
	if started.status != 202 {
		t.Fatalf("start: %d %s", started.status, started.raw)
	}
	id := started.str("pin_reset_id")
	body := map[string]any{"otp": w.code(id), "pin": "1234", "device_id": device, "id_number": "1"}
	w.expect(anonymous("POST", "/v1/pin-resets/"+id+"/completion", body), 422, "pin_weak")
	body["pin"] = "8361"
	if a := w.do(anonymous("POST", "/v1/pin-resets/"+id+"/completion", body)); a.status != 204 {
		t.Errorf("complete: %d %s", a.status, a.raw)
	}
	w.expect(anonymous("POST", "/v1/pin-resets/"+id+"/completion", body), 422, "otp_invalid")
	if a := w.do(anonymous("POST", "/v1/sessions", map[string]any{"phone": phone, "pin": "8361", "device_id": device})); a.status != 201 {
		t.Errorf("sign in: %d %s", a.status, a.raw)
	}
}
