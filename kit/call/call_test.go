package call_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.opentelemetry.io/otel/trace"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/call"
	"github.com/sendtip/sendtip/kit/config"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/web"
)

const key = "a-service-key"

func doer(t testing.TB, timeout time.Duration, handler http.HandlerFunc) (*call.Doer, *httptest.Server) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return call.NewClient(call.Config{
		GatewayURL: server.URL, Service: "wallet", ServiceKey: config.NewSecret(key), Timeout: timeout,
	}), server
}

// get returns status and body of one call.
func get(ctx context.Context, d *call.Doer, path string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.GatewayURL()+path, nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := d.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// delegated is the context of a request that came through the gateway with a delegation token.
func delegated(t testing.TB, token string) context.Context {
	t.Helper()
	secret := []byte(strings.Repeat("k", 32))
	identity, err := auth.Mint(secret, time.Now(), auth.Claims{
		RegisteredClaims: jwt.RegisteredClaims{Subject: "user:0197d2c8-0000-7000-8000-000000000001", Audience: jwt.ClaimStrings{"wallet"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	handler := auth.NewVerifier("wallet", time.Now, secret).Middleware(func(_ http.ResponseWriter, _ *http.Request, err error) {
		t.Errorf("identity refused: %v", err)
	})(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { ctx = r.Context() }))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header.Set(auth.IdentityHeader, identity)
	r.Header.Set(auth.DelegationHeader, token)
	handler.ServeHTTP(httptest.NewRecorder(), r)
	if ctx == nil {
		t.Fatal("no request context")
	}
	return ctx
}

func TestDoHeaders(t *testing.T) {
	t.Parallel()
	var seen http.Header
	d, _ := doer(t, 0, func(_ http.ResponseWriter, r *http.Request) { seen = r.Header.Clone() })
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: 1})
	ctx := trace.ContextWithSpanContext(web.WithRequestID(delegated(t, "delegation"), "request-0001"), span)

	if _, _, err := get(ctx, d, "/v1/ledger/accounts/1"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		auth.ServiceKeyHeader: key,
		auth.OnBehalfOfHeader: "delegation",
		"X-Request-Id":        "request-0001",
		"Traceparent":         "00-01000000000000000000000000000000-0200000000000000-01",
	} {
		if got := seen.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if _, _, err := get(call.AsService(ctx), d, "/v1/ledger/accounts/1"); err != nil {
		t.Fatal(err)
	}
	if got := seen.Values(auth.OnBehalfOfHeader); len(got) != 0 {
		t.Errorf("as service: on behalf of %q", got)
	}
}

func TestDoLimits(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	answer := func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/slow/thing":
			<-release
		case "/v1/large/fits":
			_, _ = w.Write(make([]byte, 4<<20))
		case "/v1/large/thing":
			_, _ = w.Write(make([]byte, 4<<20+1))
		case "/v1/moved/thing":
			http.Redirect(w, r, "/v1/large/fits", http.StatusFound)
		case "/v1/broken/thing":
			panic(http.ErrAbortHandler)
		}
	}
	impatient, _ := doer(t, 100*time.Millisecond, answer)
	d, server := doer(t, time.Minute, answer)
	t.Cleanup(func() { close(release) }) // before the servers close, which wait for handlers

	if _, _, err := get(t.Context(), impatient, "/v1/slow/thing"); !call.IsUnknown(err) || !errors.Is(err, fault.ErrTimeout) {
		t.Errorf("slow: %v", err)
	}
	if _, _, err := get(t.Context(), d, "/v1/large/thing"); !call.IsUnknown(err) || !errors.Is(err, fault.ErrUnavailable) {
		t.Errorf("too large: %v", err)
	}
	if _, body, err := get(t.Context(), d, "/v1/large/fits"); err != nil || len(body) != 4<<20 {
		t.Errorf("largest: %d %v", len(body), err)
	}
	if status, _, err := get(t.Context(), d, "/v1/moved/thing"); err != nil || status != http.StatusFound {
		t.Errorf("a redirect must not be followed: %d %v", status, err)
	}
	_, _, err := get(t.Context(), d, "/v1/broken/thing?phone=1")
	if !call.IsUnknown(err) || !errors.Is(err, fault.ErrUnavailable) {
		t.Errorf("broken: %v", err)
	}
	if strings.Contains(err.Error(), "phone") {
		t.Errorf("the error shows the query: %v", err)
	}
	elsewhere, reqErr := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://other.invalid/v1/x", nil)
	if reqErr != nil {
		t.Fatal(reqErr)
	}
	resp, err := d.Do(elsewhere)
	if err == nil {
		_ = resp.Body.Close()
		t.Errorf("a host that is not %s got the key", server.URL)
	}
}

func TestBreaker(t *testing.T) {
	t.Parallel()
	var status, calls atomic.Int64
	status.Store(http.StatusUnprocessableEntity)
	d, _ := doer(t, 0, func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.WriteHeader(int(status.Load()))
	})
	for range 30 { // refusals and a peer's own bugs never open it
		if _, _, err := get(t.Context(), d, "/v1/ledger/transactions"); err != nil {
			t.Fatal(err)
		}
	}
	status.Store(http.StatusServiceUnavailable)
	opened := false
	for range 100 {
		_, _, err := get(t.Context(), d, "/v1/ledger/transactions")
		if opened = err != nil; opened {
			if !call.IsUnknown(err) || !errors.Is(err, fault.ErrUnavailable) {
				t.Fatalf("open breaker: %v", err)
			}
			break
		}
	}
	if !opened {
		t.Fatal("100 times 503 and the breaker is closed")
	}
	before := calls.Load()
	if _, _, err := get(t.Context(), d, "/v1/ledger/transactions"); err == nil || calls.Load() != before {
		t.Fatalf("an open breaker must not call: %v", err)
	}
	if _, _, err := get(t.Context(), d, "/v1/internal/recipient-lookups"); err != nil {
		t.Fatalf("another peer is not concerned: %v", err)
	}
	status.Store(http.StatusOK)
	deadline := time.Now().Add(15 * time.Second)
	for {
		_, _, err := get(t.Context(), d, "/v1/ledger/transactions")
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("never closed again: %v", err)
		}
		<-time.After(20 * time.Millisecond) // between polls
	}
}

// TestBreakersAreBounded: peers beyond the first 256 share a breaker, which opens as any other.
func TestBreakersAreBounded(t *testing.T) {
	t.Parallel()
	d, _ := doer(t, 0, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	for i := range 300 {
		if _, _, err := get(t.Context(), d, fmt.Sprintf("/v1/peer/%d", i)); err != nil {
			if i < 256 {
				t.Fatalf("call %d: %v", i, err)
			}
			return
		}
	}
	t.Fatal("the shared breaker stays closed")
}

func TestBreakerIgnoresCallersWhoHangUp(t *testing.T) {
	t.Parallel()
	d, _ := doer(t, 0, func(http.ResponseWriter, *http.Request) {})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 50 {
		if _, _, err := get(gone, d, "/v1/ledger/transactions"); err == nil {
			t.Fatal("a cancelled call succeeded")
		}
	}
	if _, _, err := get(t.Context(), d, "/v1/ledger/transactions"); err != nil {
		t.Fatalf("the breaker opened: %v", err)
	}
}

func TestProblem(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status  int
		body    string
		kind    fault.Kind
		code    string
		unknown bool
	}{
		"refusal":         {422, `{"code":"insufficient_funds","detail":"Too low."}`, fault.Unprocessable, "insufficient_funds", false},
		"conflict":        {409, `{"code":"in_progress","title":"Conflict"}`, fault.Conflict, "in_progress", false},
		"not found":       {404, `{"code":"not_found"}`, fault.NotFound, "not_found", false},
		"limited":         {429, `{"code":"too_many"}`, fault.TooMany, "too_many", true},
		"other 4xx":       {418, `{"code":"teapot"}`, fault.Invalid, "teapot", false},
		"internal":        {500, `{"code":"internal"}`, fault.Internal, "internal", true},
		"unavailable":     {503, `{"code":"unavailable"}`, fault.Unavailable, "unavailable", true},
		"time-out":        {504, `{"code":"timeout"}`, fault.Timeout, "timeout", true},
		"html of a proxy": {502, `<html>secret</html>`, fault.BadGateway, "upstream_failed", true},
		"no code":         {400, `{}`, fault.Invalid, "upstream_failed", false},
		"unknown success": {206, ``, fault.Internal, "upstream_failed", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := call.Problem(c.status, []byte(c.body))
			f, ok := fault.As(err)
			if !ok || f.Kind != c.kind || f.Code != c.code || call.IsUnknown(err) != c.unknown {
				t.Fatalf("got %#v, unknown %v", f, call.IsUnknown(err))
			}
			if strings.Contains(err.Error(), "secret") {
				t.Fatalf("shows the body: %v", err)
			}
		})
	}
	f, _ := fault.As(call.Problem(422, []byte(`{"code":"invalid","errors":[{"pointer":"/amount","code":"minimum","detail":"Too small."}]}`)))
	if len(f.Fields) != 1 || f.Fields[0] != (fault.Field{Pointer: "/amount", Code: "minimum", Detail: "Too small."}) {
		t.Fatalf("fields: %#v", f.Fields)
	}
	for body, want := range map[string]time.Duration{`{"code":"rate_limited","retry_after":299}`: 299 * time.Second,
		`{"code":"rate_limited"}`:                  0,
		`{"code":"rate_limited","retry_after":-5}`: 0, `{"code":"rate_limited","retry_after":999999999}`: 0} {
		if f, _ := fault.As(call.Problem(429, []byte(body))); f.RetryAfter != want {
			t.Fatalf("%s: wait %s, want %s", body, f.RetryAfter, want)
		}
	}
	if call.IsUnknown(nil) || !call.IsUnknown(io.ErrUnexpectedEOF) {
		t.Fatal("nil is an answer, a bare transport error is none")
	}
}
