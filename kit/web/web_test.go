package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/web"
)

func server(t *testing.T, log io.Writer, h http.HandlerFunc) http.Handler {
	t.Helper()
	r := chi.NewRouter()
	r.Use(web.Middleware(slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		web.NewMetrics(prometheus.NewRegistry()), 16))
	r.NotFound(web.NotFound)
	r.MethodNotAllowed(web.MethodNotAllowed)
	r.Post("/v1/things/{id}", h)
	return r
}

func TestProblems(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		err    error
		status int
		code   string
	}{
		"fault": {fmt.Errorf("debit: %w", fault.New(fault.Unprocessable, "insufficient_funds", "The balance is too low.")), 422,
			"insufficient_funds"},
		"unknown":      {errors.New("password is hunter2"), 500, "internal"},
		"wait":         {fault.ErrUnavailable, 503, "unavailable"},
		"too large":    {&http.MaxBytesError{Limit: 16}, 413, "payload_too_large"},
		"with pointer": {fault.ErrInvalid.WithField("/amount", "minimum", "too small"), 400, "invalid_request"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			w := httptest.NewRecorder()
			server(t, &log, func(w http.ResponseWriter, r *http.Request) { web.WriteProblem(w, r, tc.err) }).
				ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v1/things/7", nil))
			var p web.Problem
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
				t.Fatal(err)
			}
			if w.Code != tc.status || p.Code != tc.code || p.Status != tc.status || p.RequestID == "" ||
				w.Header().Get("Content-Type") != "application/problem+json" {
				t.Fatalf("%d %+v", w.Code, p)
			}
			if strings.Contains(w.Body.String(), "hunter2") {
				t.Fatal("the cause is shown to the caller")
			}
			if tc.status == 503 && w.Header().Get("Retry-After") != "2" {
				t.Fatal("no Retry-After")
			}
			if tc.status == 500 && strings.Count(log.String(), "hunter2") != 1 {
				t.Fatalf("an unknown error is logged once: %s", log.String())
			}
		})
	}
}

func TestMiddleware(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	h := server(t, &log, func(w http.ResponseWriter, r *http.Request) {
		web.ResponseHeader(r.Context()).Set("Idempotency-Replayed", "true")
		if _, err := io.ReadAll(r.Body); err != nil {
			web.StrictRequestError(w, r, err)
			return
		}
		panic("broken")
	})
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "/v1/things/secret-token", strings.NewReader("short"))
	r.Header.Set(web.RequestIDHeader, "req-12345678")
	h.ServeHTTP(w, r)
	if w.Code != 500 || w.Header().Get(web.RequestIDHeader) != "req-12345678" || w.Header().Get("Idempotency-Replayed") != "true" {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	if strings.Contains(log.String(), "secret-token") || !strings.Contains(log.String(), "/v1/things/{id}") {
		t.Fatalf("a log line must name the route's template: %s", log.String())
	}
	for name, tc := range map[string]struct {
		method, path, body string
		status             int
	}{
		"too large":    {http.MethodPost, "/v1/things/7", strings.Repeat("x", 17), 413},
		"unknown path": {http.MethodPost, "/v1/nothing", "", 404},
		"wrong method": {http.MethodGet, "/v1/things/7", "", 405},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(tc.method, tc.path, strings.NewReader(tc.body)))
		if w.Code != tc.status || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
	if id := web.NewRequestID("a b\n"); id == "a b\n" || len(id) != 36 {
		t.Fatal("a malformed request id must be replaced")
	}
}

func TestServeDrains(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	l, err := web.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := web.Listen(ctx, l.Addr().String()); err == nil || !strings.Contains(err.Error(), "SENDTIP_PORT_BASE") {
		t.Fatalf("a taken port must be named: %v", err)
	}
	started, release, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- web.Serve(ctx, l, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(started); <-release }),
			slog.New(slog.DiscardHandler))
	}()
	answered := make(chan error, 1)
	go func() {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Addr().String(), nil)
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			err = resp.Body.Close()
		}
		answered <- err
	}()
	<-started
	stop()
	select {
	case err := <-done:
		t.Fatalf("the server ended although a request was running: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	if err := <-answered; err != nil {
		t.Fatalf("a running request was cut: %v", err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// Whoever reaches a service's port may invent methods; none of them becomes a label.
func TestMethodsAreNoLabels(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	h := web.Middleware(slog.New(slog.DiscardHandler), web.NewMetrics(registry), 16)(http.NotFoundHandler())
	for i := range 50 {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(fmt.Sprintf("INVENTED%d", i), "/", nil))
	}
	families, err := registry.Gather()
	if err != nil || len(families) != 1 || len(families[0].GetMetric()) != 1 {
		t.Fatalf("%d families, %v, want one series: %v", len(families), err, families)
	}
}
