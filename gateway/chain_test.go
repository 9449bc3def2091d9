package gateway

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	kitauth "github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/web"
)

func TestForward(t *testing.T) {
	t.Parallel()
	w := setup(t)
	got := w.do(w.transfer().with("X-Request-Id", "request-0001").withBody(` { "quote_id" : "` + transferID + `" } `))
	if got.status != 201 || got.body != `{"id":"`+transferID+`"}` {
		t.Fatalf("%d %s", got.status, got.body)
	}
	for name, want := range map[string]string{"X-Request-Id": "request-0001", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
		"RateLimit-Policy": `"address";q=6000;w=60, "payment";q=6;w=60`} {
		if got.header.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, got.header.Get(name), want)
		}
	}
	if got.header.Get("RateLimit") == "" {
		t.Error("no RateLimit header")
	}
	s := w.wallet.last(t)
	if s.body != ` { "quote_id" : "`+transferID+`" } ` {
		t.Errorf("the body was changed: %q", s.body)
	}
	p := s.principal
	if p.Subject != "user:"+w.user || p.SessionID != w.session || p.Operation != "createTransfer" || !p.Has("wallet:write") || p.Act != "" ||
		len(p.Roles) != 1 {
		t.Errorf("principal %+v", p)
	}
	if p.StepUp == nil || p.StepUp.JTI != "step-1" || p.StepUp.Hash != "aGFzaA" || time.Until(p.StepUp.ExpiresAt) > 5*time.Minute {
		t.Errorf("step-up %+v", p.StepUp)
	}
	if s.header.Get("X-Request-Id") != "request-0001" || s.header.Get("Idempotency-Key") == "" || s.header.Get("Step-Up-Token") == "" {
		t.Errorf("headers %v", s.header)
	}
	if s.header.Get("Authorization") != "" || s.delegation == "" || s.delegation == s.header.Get("Sendtip-Identity") {
		t.Error("the credential travelled on, or the delegation is missing or the identity itself")
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	w := setup(t, func(w *world) { w.cfg.RatePolicies = Pairs{{"payment", "6000/60/1000"}} })
	id := "/v1/wallets/" + transferID
	read := ask{method: "GET", path: "/v1/wallets", header: map[string]string{"Authorization": "Bearer " + w.token()}}
	get := func(path string) ask { r := read; r.path = path; return r }
	patch := ask{method: "PATCH", path: id, body: `{"name":"x"}`, header: read.header}
	weak := with(w.access(), "scope", "profile wallet:read")
	cases := []struct {
		name   string
		ask    ask
		status int
		code   string
	}{
		{"no such path", get("/v1/nothing"), 404, "not_found"},
		{"double slash", get("//v1/wallets"), 404, "not_found"},
		{"empty segment", get("/v1//wallets"), 404, "not_found"},
		{"trailing slash", get("/v1/wallets/"), 404, "not_found"},
		{"encoded slash", get("/v1/wallets%2f" + transferID), 404, "not_found"},
		{"encoded dots", get("/v1/wallets/%2e%2e/wallets"), 404, "not_found"},
		{"case matters", get("/V1/wallets"), 404, "not_found"},
		{"long address", get("/v1/wallets?cursor=" + strings.Repeat("a", 5000)), 400, "uri_too_long"},
		{"method", ask{method: "DELETE", path: "/v1/wallets"}, 405, "method_not_allowed"},
		{"options", ask{method: "OPTIONS", path: "/v1/transfers"}, 405, "method_not_allowed"},
		{"head", ask{method: "HEAD", path: "/v1/wallets", header: read.header}, 405, ""},
		{"trace", ask{method: "TRACE", path: "/v1/transfers"}, 405, "method_not_allowed"},
		{"internal operation on the public listener", ask{method: "POST", path: "/v1/ledger/transactions", body: `{}`}, 404, "not_found"},
		{"internal with a service key on the public listener",
			ask{method: "GET", path: "/v1/internal/revocations", header: map[string]string{"Sendtip-Service-Key": walletKey}}, 404, "not_found"},
		{"no credential", w.transfer().with("Authorization", ""), 401, "unauthenticated"},
		{"service key instead of a token", w.transfer().with("Authorization", "").with("Sendtip-Service-Key", walletKey), 401, "unauthenticated"},
		{"two credentials", w.transfer().with("X-Api-Key", "x"), 400, "ambiguous_credentials"},
		{"basic", w.transfer().with("Authorization", "Basic eDp5"), 401, "invalid_token"},
		{"scope", w.transfer().with("Authorization", "Bearer "+sign(t, w.key, nil, weak)), 403, "forbidden"},
		{"no step-up", w.transfer().with("Step-Up-Token", ""), 403, "step_up_required"},
		{"access token as step-up", w.transfer().with("Step-Up-Token", w.token()), 403, "step_up_invalid"},
		{"no idempotency key", w.transfer().with("Idempotency-Key", ""), 400, "idempotency_key_required"},
		{"short idempotency key", w.transfer().with("Idempotency-Key", "short"), 400, "invalid_request"},
		{"content type", w.transfer().with("Content-Type", "text/plain"), 415, "unsupported_media_type"},
		{"form", w.transfer().with("Content-Type", "application/x-www-form-urlencoded"), 415, "unsupported_media_type"},
		{"charset", w.transfer().with("Content-Type", "application/json; charset=utf-16"), 415, "unsupported_media_type"},
		{"encoding", w.transfer().with("Content-Encoding", "gzip"), 415, "unsupported_media_type"},
		{"no body", w.transfer().withBody(""), 400, "body_required"},
		{"body on GET", func() ask { r := read; r.body = "{}"; return r }(), 400, "body_not_allowed"},
		{"chunked body on GET", func() ask { r := read; r.body, r.chunked = "{}", true; return r }(), 400, "body_not_allowed"},
		{"large body", patch.withBody(`{"name":"` + strings.Repeat("x", 1100) + `"}`), 413, "payload_too_large"},
		{"large chunked body", func() ask {
			r := patch.withBody(`{"name":"` + strings.Repeat("x", 200_000) + `"}`)
			r.chunked = true
			return r
		}(), 413, "payload_too_large"},
		{"default limit", w.transfer().withBody(`{"note":"` + strings.Repeat("x", 70_000) + `"}`), 413, "payload_too_large"},
		{"undeclared query", get("/v1/wallets?surprise=1"), 400, "invalid_request"},
		{"query twice", get("/v1/wallets?limit=1&limit=2"), 400, "invalid_request"},
		{"query number", get("/v1/wallets?limit=1.0"), 400, "invalid_request"},
		{"query plus", get("/v1/wallets?limit=%2B1"), 400, "invalid_request"},
		{"query above", get("/v1/wallets?limit=101"), 400, "invalid_request"},
		{"query semicolon", get("/v1/wallets?limit=1;limit=2"), 400, "invalid_request"},
		{"query empty", get("/v1/wallets?limit="), 400, "invalid_request"},
		{"path uuid", get("/v1/wallets/not-a-uuid"), 400, "invalid_request"},
	}
	before := w.wallet.count()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := w.do(c.ask)
			if c.ask.method == "HEAD" { // its answer has no body
				if got.status != c.status || got.body != "" {
					t.Errorf("%d %q", got.status, got.body)
				}
			} else {
				refused(t, got, c.status, c.code)
			}
			if c.status == 405 && got.header.Get("Allow") == "" {
				t.Error("no Allow")
			}
			if c.status == 401 && got.header.Get("WWW-Authenticate") == "" {
				t.Error("no WWW-Authenticate")
			}
		})
	}
	if got := w.wallet.count(); got != before {
		t.Fatalf("%d refused requests reached the service", got-before)
	}
	if got := w.do(patch.withBody(`{"name":"` + strings.Repeat("x", 1000) + `"}`)); got.status != 201 {
		t.Fatalf("a body below the limit: %d %s", got.status, got.body)
	}
}

func TestBodyRules(t *testing.T) {
	t.Parallel()
	w := setup(t, func(w *world) { w.cfg.RatePolicies = Pairs{{"payment", "6000/60/1000"}} })
	q := `"quote_id":"` + transferID + `"`
	cases := map[string]struct{ path, body, pointer, code string }{
		"duplicate key":       {"", `{` + q + `,` + q + `}`, "/quote_id", "duplicate_key"},
		"second value":        {"", `{` + q + `}{}`, "", "trailing_data"},
		"syntax":              {"", `{` + q, "", "syntax"},
		"array":               {"", `[]`, "", "type"},
		"null":                {"", `null`, "", "nullable"},
		"depth":               {"", strings.Repeat("[", 40) + strings.Repeat("]", 40), strings.Repeat("/0", 32), "too_deep"},
		"bad utf-8":           {"", "{" + q + ",\"note\":\"\xff\"}", "/note", "invalid_utf8"},
		"missing":             {"", `{}`, "/quote_id", "required"},
		"unknown property":    {"", `{` + q + `,"extra":1}`, "/extra", "unknown_property"},
		"unknown, other case": {"", `{` + q + `,"Quote_id":"x"}`, "/Quote_id", "unknown_property"},
		"unknown, a phone":    {"", `{` + q + `,"+254712345678":1}`, "", "unknown_property"},
		"uuid":                {"", `{"quote_id":"12345678-1234-1234-1234-12345678901x"}`, "/quote_id", "format"},
		"null property":       {"", `{"quote_id":null}`, "/quote_id", "nullable"},
		"too long":            {"", `{` + q + `,"note":"aaaaaaaaaaaaaaaaaaaaaaaaaaaa"}`, "/note", "maxLength"},
		"pattern":             {"", `{` + q + `,"note":"ABC"}`, "/note", "pattern"},
		"february 31st":       {"", `{` + q + `,"due":"2026-02-31"}`, "/due", "format"},
		"time without zone":   {"", `{` + q + `,"at":"2026-02-03T10:00:00"}`, "/at", "format"},
		"email":               {"", `{` + q + `,"email":"a@b"}`, "/email", "format"},
		"email at an address": {"", `{` + q + `,"email":"root@[127.0.0.1]"}`, "/email", "format"},
		"email at numbers":    {"", `{` + q + `,"email":"x@1.2.3.4"}`, "/email", "format"},
		"email at a hyphen":   {"", `{` + q + `,"email":"x@-example.com"}`, "/email", "format"},
		"email unseen sign":   {"", `{` + q + `,"email":"a@\u200bexample.com"}`, "/email", "format"},
		"email local part":    {"", `{` + q + `,"email":"` + strings.Repeat("a", 65) + `@example.com"}`, "/email", "format"},
		"email encoded":       {"", `{` + q + `,"email":"=?utf-8?q?x?=@example.com"}`, "/email", "format"},
		"email with name":     {"", `{` + q + `,"email":"A <a@b.test>"}`, "/email", "format"},
		"relative uri":        {"", `{` + q + `,"link":"/x"}`, "/link", "format"},
		"map value":           {"", `{` + q + `,"labels":{"a":"123456"}}`, "/labels/a", "maxLength"},
		"map key is input":    {"", `{` + q + `,"labels":{"+254712345678":"123456"}}`, "/labels", "maxLength"},
		"too many properties": {"", `{` + q + `,"labels":{"a":"1","b":"2","c":"3"}}`, "/labels", "maxProperties"},
		"integer 1.0":         {"/v1/fee-estimates", `{"amount":{"amount":1.0,"currency":"KES"}}`, "/amount/amount", "not_an_integer"},
		"integer 1e3":         {"/v1/fee-estimates", `{"amount":{"amount":1e3,"currency":"KES"}}`, "/amount/amount", "not_an_integer"},
		"integer 1.5":         {"/v1/fee-estimates", `{"amount":{"amount":1.5,"currency":"KES"}}`, "/amount/amount", "type"},
		"integer as text":     {"/v1/fee-estimates", `{"amount":{"amount":"1","currency":"KES"}}`, "/amount/amount", "type"},
		"above 2^53":          {"/v1/fee-estimates", `{"amount":{"amount":9007199254740993,"currency":"KES"}}`, "/amount/amount", "maximum"},
		"above int64": {"/v1/fee-estimates", `{"amount":{"amount":9223372036854775808,"currency":"KES"}}`, "/amount/amount",
			"number_out_of_range"},
		"zero":                 {"/v1/fee-estimates", `{"amount":{"amount":0,"currency":"KES"}}`, "/amount/amount", "minimum"},
		"negative":             {"/v1/fee-estimates", `{"amount":{"amount":-5,"currency":"KES"}}`, "/amount/amount", "minimum"},
		"currency":             {"/v1/fee-estimates", `{"amount":{"amount":5,"currency":"kes"}}`, "/amount/currency", "pattern"},
		"count 2.0 by integer": {"/v1/fee-estimates", `{"amount":{"amount":5,"currency":"KES"},"count":2.0}`, "/count", "not_an_integer"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a := w.transfer().withBody(c.body)
			if c.path != "" {
				a.path = c.path
			}
			got := w.do(a)
			refused(t, got, 400, "invalid_request")
			p := got.problem(t)
			if len(p.Errors) == 0 || p.Errors[0].Pointer != c.pointer || p.Errors[0].Code != c.code || p.Errors[0].Detail == "" {
				t.Fatalf("errors %+v, want %s at %q", p.Errors, c.code, c.pointer)
			}
			for _, leak := range []string{"254712345678", "aaaaaaaa", "additionalProperties", "ABC", "9007199254740993"} {
				if strings.Contains(got.body, leak) {
					t.Fatalf("the answer repeats %s: %s", leak, got.body)
				}
			}
		})
	}
	for body, detail := range map[string]string{`[]`: "It must be an object.", `{"quote_id":7}`: "It must be text.",
		`{` + q + `,"labels":[]}`: "It must be an object."} {
		got := w.do(w.transfer().withBody(body))
		refused(t, got, 400, "invalid_request")
		if p := got.problem(t); p.Errors[0].Code != "type" || p.Errors[0].Detail != detail {
			t.Errorf("%s: errors %+v, want %s", body, p.Errors, detail)
		}
	}
	page := w.do(ask{method: "GET", path: "/v1/wallets?limit=ten", header: w.transfer().header})
	refused(t, page, 400, "invalid_request")
	if p := page.problem(t); p.Errors[0].Code != "type" || p.Errors[0].Detail != "It must be a whole number." {
		t.Errorf("errors %+v", p.Errors)
	}
	for body, pointer := range map[string]string{`{` + q + `,"note":"a\u0000"}`: "/note", `{` + q + `,"labels":{"a":"\u0000"}}`: "/labels/a",
		`{` + q + `,"labels":{"\u0000":"a"}}`: "/labels", `{"\u0000":1}`: ""} {
		got := w.do(w.transfer().withBody(body))
		refused(t, got, 422, "invalid_text")
		if p := got.problem(t); len(p.Errors) != 1 || p.Errors[0].Pointer != pointer || p.Errors[0].Code != "nul_character" {
			t.Fatalf("%s: errors %+v", body, p.Errors)
		}
	}
	for _, path := range []string{"/v1/wallets?cursor=a%00", "/v1/wallets?%00=1", "/v1/wallets/a%00"} {
		refused(t, w.do(ask{method: "GET", path: path, header: w.transfer().header}), 400, "invalid_request")
	}
	if n := w.wallet.count(); n != 0 {
		t.Fatalf("%d bad bodies reached the service", n)
	}
	ok := w.transfer().withBody(`{"amount":{"amount":5,"currency":"KES"},"ratio":1.5}`)
	ok.path = "/v1/fee-estimates"
	if got := w.do(ok); got.status != 201 {
		t.Fatalf("a number where the contract has one: %d %s", got.status, got.body)
	}
}

func TestSmuggledHeaders(t *testing.T) {
	t.Parallel()
	w := setup(t)
	a := w.transfer()
	for name, value := range map[string]string{"Sendtip-Identity": "forged", "sendtip-delegation": "forged", "Sendtip-On-Behalf-Of": "forged",
		"Sendtip-Service-Key": walletKey,
		"X-Forwarded-For":     "1.2.3.4", "X-User-Id": "admin", "Traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		"Cookie":     "a=b",
		"Connection": "Idempotency-Key", "X-Http-Method-Override": "DELETE", "X-Original-Url": "/v1/admin"} {
		a = a.with(name, value)
	}
	if got := w.do(a); got.status != 201 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	h := w.wallet.last(t).header
	for name := range h {
		switch name {
		case "Accept", "Accept-Language", "Content-Type", "User-Agent", "Idempotency-Key", "Step-Up-Token", "Sendtip-Identity",
			"Sendtip-Delegation", "X-Request-Id", "Content-Length", "Accept-Encoding":
		default:
			t.Errorf("header %s: %s reached the service", name, h.Get(name))
		}
	}
	if h.Get("Sendtip-Identity") == "forged" || h.Get("Sendtip-Delegation") == "forged" {
		t.Error("a forged identity reached the service")
	}
	w.wallet.script(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Sendtip-Secret", "x")
		rw.Header().Set("Server", "x")
		rw.Header().Set("Location", "/v1/transfers/1")
		reply(201, `{"id":"`+transferID+`"}`)(rw, r)
	})
	got := w.do(w.transfer())
	if got.header.Get("Sendtip-Secret") != "" || got.header.Get("Server") != "" || got.header.Get("Location") == "" {
		t.Errorf("answer headers %v", got.header)
	}
}

func TestUpstreamFaults(t *testing.T) {
	t.Parallel()
	w := setup(t)
	release := make(chan struct{})
	w.wallet.script(func(rw http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	refused(t, w.do(ask{method: "GET", path: "/v1/slow"}), 504, "timeout")
	close(release)
	w.wallet.script(reply(422, `{"code":"insufficient_funds"}`))
	if got := w.do(w.transfer()); got.status != 422 || got.body != `{"code":"insufficient_funds"}` {
		t.Fatalf("a service's refusal was changed: %d %s", got.status, got.body)
	}
	w.wallet.CloseClientConnections()
	w.wallet.Close()
	got := w.do(w.transfer())
	refused(t, got, 503, "unavailable")
	if got.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	if strings.Contains(got.body, "127.0.0.1") {
		t.Errorf("the answer shows an address: %s", got.body)
	}
	other := ask{method: "GET", path: "/v1/accounts/" + transferID + "/balance",
		header: map[string]string{"Authorization": "Bearer " + w.token()}}
	if got := w.do(other); got.status != 200 {
		t.Fatalf("another service's route: %d %s", got.status, got.body)
	}
}

// TestOtherIdentityKey: a service that was given another identity key refuses every token of the gateway. That is no fault of the caller,
// who would sign in again and again: it is 503, and the log names the settings. A 401 of the service's own travels on.
func TestOtherIdentityKey(t *testing.T) {
	t.Parallel()
	w := setup(t)
	verifier := kitauth.NewVerifier("wallet", time.Now, []byte("an-identity-key-of-another-deployment"))
	w.wallet.script(verifier.Middleware(web.WriteProblem)(reply(200, `{}`)).ServeHTTP)
	got := w.do(ask{method: "GET", path: "/v1/slow"})
	refused(t, got, 503, "unavailable")
	for name := range got.header {
		if strings.HasPrefix(name, "Sendtip-") {
			t.Errorf("%s travels on", name)
		}
	}
	verifier = kitauth.NewVerifier("wallet", time.Now, identityKey("another-service"), identityKey("wallet"))
	w.wallet.script(verifier.Middleware(web.WriteProblem)(reply(200, `{}`)).ServeHTTP)
	if got := w.do(ask{method: "GET", path: "/v1/slow"}); got.status != 200 {
		t.Errorf("during a rotation: %d %s", got.status, got.body)
	}
	w.wallet.script(reply(401, `{"code":"pin_wrong"}`))
	if got := w.do(ask{method: "GET", path: "/v1/slow"}); got.status != 401 || got.body != `{"code":"pin_wrong"}` {
		t.Errorf("a service's own 401 was changed: %d %s", got.status, got.body)
	}
}

func TestCutAnswer(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.wallet.script(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Length", "1000")
		_, _ = rw.Write([]byte(`{"id":`))
		_ = http.NewResponseController(rw).Flush()
		panic(http.ErrAbortHandler)
	})
	resp, err := http.Get(w.public.URL + "/v1/slow")
	if err != nil {
		return // the connection was cut before the header: as good
	}
	defer func() { _ = resp.Body.Close() }()
	if body, err := io.ReadAll(resp.Body); err == nil {
		t.Fatalf("half an answer looked whole: %d %s", resp.StatusCode, body)
	}
}

func TestRateLimits(t *testing.T) {
	t.Parallel()
	register := func(w *world, phone string) answer {
		return w.do(ask{method: "POST", path: "/v1/registrations", body: `{"phone":"` + phone + `"}`})
	}
	t.Run("by principal", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		allowed := 0
		for range 8 {
			if got := w.do(w.transfer()); got.status == 201 {
				allowed++
			} else {
				refused(t, got, 429, "rate_limited")
				if got.header.Get("Retry-After") == "" || !strings.Contains(got.header.Get("RateLimit"), `"payment";r=0`) {
					t.Fatalf("headers %v", got.header)
				}
			}
		}
		if allowed != 5 {
			t.Fatalf("%d payments allowed, want 5", allowed)
		}
		w.user, w.session = uuid.NewString(), uuid.NewString()
		if got := w.do(w.transfer()); got.status != 201 {
			t.Fatalf("another user: %d", got.status)
		}
	})
	t.Run("by a value of the body, after validation", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		for range 4 { // a bad body spends nothing of the phone's limit
			refused(t, register(w, "0712345678"), 400, "invalid_request")
		}
		statuses := map[int]int{}
		for range 4 {
			statuses[register(w, "+254712345678").status]++
		}
		if statuses[202] != 3 || statuses[429] != 1 {
			t.Fatalf("statuses %v, want 3 sent", statuses)
		}
		for _, k := range w.redis.Keys() {
			if strings.Contains(k, "254") {
				t.Fatalf("a phone stands in Redis: %s", k)
			}
		}
	})
	t.Run("by address", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		sent := 0
		for i := range 12 {
			if register(w, "+25471234567"+string(rune('0'+i%10))).status == 202 {
				sent++
			}
		}
		if sent != 8 {
			t.Fatalf("%d sent from one address, want 8", sent)
		}
	})
	t.Run("redis down", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		w.redis.Close()
		allowed := 0
		for range 8 {
			if w.do(w.transfer()).status == 201 {
				allowed++
			}
		}
		if allowed != 5 {
			t.Fatalf("%d payments allowed without Redis, want 5", allowed)
		}
	})
	t.Run("trusted proxy", func(t *testing.T) {
		t.Parallel()
		w := setup(t, func(w *world) {
			if err := w.cfg.TrustedProxies.set("127.0.0.0/8"); err != nil {
				t.Fatal(err)
			}
		})
		sent := 0
		for i := range 12 {
			a := ask{method: "POST", path: "/v1/registrations", body: `{"phone":"+25471234567` + string(rune('0'+i%10)) + `"}`,
				header: map[string]string{"X-Forwarded-For": "9.9.9.9, 10.0.0." + string(rune('0'+i%10))}}
			if w.do(a).status == 202 {
				sent++
			}
		}
		if sent != 12 {
			t.Fatalf("%d sent from twelve addresses behind a proxy", sent)
		}
	})
}

// TestRefusalsDoNotFillTheLog: anybody can cause them.
func TestRefusalsDoNotFillTheLog(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for range 60 {
		refused(t, w.do(w.transfer().with("Idempotency-Key", "")), 400, "idempotency_key_required")
	}
	if n := strings.Count(w.log.String(), `"msg":"request"`); n == 0 || n > 30 {
		t.Errorf("%d lines of 60 refusals", n)
	}
}

func TestWebhook(t *testing.T) {
	t.Parallel()
	w := setup(t, func(w *world) { w.cfg.WebhookSources = Pairs{{"st", "196.201.214.0/24"}} })
	w.wallet.script(reply(200, `{"ResultCode":0}`))
	secret := "KRUGKIDROVUWG2ZAMJZG653OEBTG66BA"
	hook := ask{method: "POST", path: "/v1/hooks/st/" + secret + "/" + transferID, body: `{"a":1,"a":2} trailing`,
		header: map[string]string{"Authorization": "Bearer x", "X-Paystack-Signature": "sig", "Sendtip-Identity": "forged", "Cookie": "x",
			"Sendtip-On-Behalf-Of": "forged", "Sendtip-Other-Key": "1"}}
	if got := w.do(hook); got.status != 200 || got.body != `{"ResultCode":0}` {
		t.Fatalf("%d %s", got.status, got.body)
	}
	s := w.wallet.last(t)
	if s.body != `{"a":1,"a":2} trailing` || s.header.Get("X-Paystack-Signature") != "sig" || s.header.Get("Authorization") != "" ||
		s.header.Get("Cookie") != "" {
		t.Errorf("webhook arrived as %q with %v", s.body, s.header)
	}
	if s.principal.Subject != "provider:wallet-st" || len(s.principal.Scopes) != 0 {
		t.Errorf("principal %+v", s.principal)
	}
	for name := range s.header { // what the gateway says of the caller, and nothing that the caller says
		if strings.HasPrefix(name, "Sendtip-") && name != kitauth.IdentityHeader && name != kitauth.DelegationHeader {
			t.Errorf("webhook arrived with %s: %s", name, s.header.Get(name))
		}
	}
	if got := w.do(hook.with("Content-Type", "application/x-www-form-urlencoded").withBody("a=1&b=2")); got.status != 200 {
		t.Errorf("form: %d", got.status)
	}
	for _, mediaType := range []string{"application/xml", "text/plain", "application/octet-stream", "nonsense", ""} {
		body := "\xef\xbb\xbf{\"FirstName\":\"O\\'Brien\n\x00"
		if got := w.do(hook.with("Content-Type", mediaType).with("Content-Encoding", "gzip").withBody(body)); got.status != 200 {
			t.Errorf("a message of type %q: %d %s", mediaType, got.status, got.body)
		}
		if s := w.wallet.last(t); s.body != body || s.header.Get("Content-Type") != mediaType || s.header.Get("Content-Encoding") != "gzip" {
			t.Errorf("a message of type %q arrived as %q of type %q", mediaType, s.body, s.header.Get("Content-Type"))
		}
	}
	refused(t, w.do(hook.withBody(strings.Repeat("x", 2049))), 413, "payload_too_large")
	if got := w.send(w.internal.URL, hook); got.status != 404 {
		t.Errorf("webhook on the internal listener: %d", got.status)
	}
	log := w.log.String()
	if strings.Contains(log, secret) || !strings.Contains(log, "/v1/hooks/st/{token}/{topup_id}") {
		t.Error("the log shows the secret, or not the template")
	}
	if !strings.Contains(log, "webhook from an address") {
		t.Error("a strange source raised no alarm")
	}
}

func TestWebhookLimits(t *testing.T) {
	t.Parallel()
	hook := ask{method: "POST", path: "/v1/hooks/st/KRUGKIDROVUWG2ZAMJZG653OEBTG66BA/" + transferID, body: `{}`}
	few := Pairs{{"address", "6/60/3"}}
	for name, c := range map[string]struct {
		sources Pairs
		want    int
	}{"strangers are counted": {nil, 3}, "the provider is not": {Pairs{{"st", "127.0.0.0/8"}}, 6}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, func(w *world) { w.cfg.RatePolicies, w.cfg.WebhookSources = few, c.sources })
			passed := 0
			for range 6 {
				if w.do(hook).status == 201 {
					passed++
				}
			}
			if passed != c.want {
				t.Fatalf("%d passed, want %d", passed, c.want)
			}
		})
	}
}

func TestForwardedForIsNotBelieved(t *testing.T) {
	t.Parallel()
	w := setup(t, func(w *world) { w.cfg.RatePolicies = Pairs{{"address", "6/60/3"}} })
	passed := 0
	for i := range 6 {
		if w.do(ask{method: "GET", path: "/v1/slow",
			header: map[string]string{"X-Forwarded-For": "10.0.0." + string(rune('0'+i))}}).status != 429 {
			passed++
		}
	}
	if passed != 3 {
		t.Fatalf("%d passed by inventing addresses, want 3", passed)
	}
}

func TestSampledAnswers(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.wallet.script(reply(201, `{"id":"not-a-uuid-254712345678"}`))
	if got := w.do(w.transfer()); got.status != 201 {
		t.Fatalf("%d: a broken answer is logged, not refused", got.status)
	}
	log := w.log.String()
	if !strings.Contains(log, "the answer breaks the contract") || strings.Contains(log, "254712345678") {
		t.Error("the break was not logged, or with the value")
	}
}
