package gateway

import (
	"strings"
	"testing"
)

// TestOrigins: pages of listed origins may call, and nobody else's.
func TestOrigins(t *testing.T) {
	t.Parallel()
	const app = "https://app.example.test"
	w := setup(t, func(w *world) {
		if err := w.cfg.AllowedOrigins.UnmarshalText([]byte(app + ", http://localhost:3000")); err != nil {
			t.Fatal(err)
		}
	})
	preflight := func(path, origin, method string) ask {
		return ask{method: "OPTIONS", path: path, header: map[string]string{"Origin": origin, "Access-Control-Request-Method": method,
			"Access-Control-Request-Headers": "authorization,idempotency-key"}}
	}
	for _, origin := range []string{app, "http://localhost:3000"} {
		got := w.do(preflight("/v1/transfers", origin, "POST"))
		if got.status != 204 || got.header.Get("Access-Control-Allow-Origin") != origin ||
			got.header.Get("Access-Control-Allow-Methods") != "POST" || got.header.Get("Vary") != "Origin" {
			t.Fatalf("preflight: %d %v", got.status, got.header)
		}
		for _, h := range []string{"Authorization", "Content-Type", "X-Api-Key", "Idempotency-Key", "Step-Up-Token"} {
			if !strings.Contains(got.header.Get("Access-Control-Allow-Headers"), h) {
				t.Errorf("%s may not be sent: %s", h, got.header.Get("Access-Control-Allow-Headers"))
			}
		}
		if got.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Error("cookies are allowed")
		}
		answer := w.do(w.transfer().with("Origin", origin))
		if answer.status != 201 || answer.header.Get("Access-Control-Allow-Origin") != origin {
			t.Fatalf("the request: %d %v", answer.status, answer.header)
		}
		for _, h := range []string{"RateLimit", "RateLimit-Policy", "Retry-After", "Location", "Idempotency-Replayed", "X-Request-Id"} {
			if !strings.Contains(answer.header.Get("Access-Control-Expose-Headers"), h) {
				t.Errorf("%s cannot be read", h)
			}
		}
		if refusal := w.do(w.transfer().with("Origin", origin).with("Authorization", "")); refusal.status != 401 ||
			refusal.header.Get("Access-Control-Allow-Origin") != origin {
			t.Errorf("a page cannot read why it was refused: %d %v", refusal.status, refusal.header)
		}
	}
	for name, a := range map[string]ask{
		"another origin": preflight("/v1/transfers", "https://evil.example.test", "POST"),
		"a longer name":  preflight("/v1/transfers", app+".evil.test", "POST"),
		"null":           preflight("/v1/transfers", "null", "POST"), "no such path": preflight("/v1/nothing", app, "POST"),
		"a hook":                preflight(hookPath, app, "POST"),
		"an internal operation": preflight("/v1/internal/revocations", app, "GET"),
	} {
		if got := w.do(a); got.status != 405 && got.status != 404 || got.header.Get("Access-Control-Allow-Methods") != "" {
			t.Errorf("%s: %d %v", name, got.status, got.header)
		}
	}
	if got := w.do(w.transfer().with("Origin", "https://evil.example.test")); got.header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("a stranger's page may read")
	}
	none := setup(t)
	if got := none.do(preflight("/v1/transfers", app, "POST")); got.status != 405 || got.header.Get("Access-Control-Allow-Origin") != "" {
		t.Fatalf("nothing is set: %d %v", got.status, got.header)
	}
}
