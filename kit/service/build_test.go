package service_test

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/sendtip/sendtip/kit/clock"
	"github.com/sendtip/sendtip/kit/config"
	"github.com/sendtip/sendtip/kit/pgtest"
	"github.com/sendtip/sendtip/kit/service"
)

func spec(t *testing.T, url string) service.Spec {
	t.Helper()
	key := config.NewSecret(base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32))))
	return service.Spec{Name: "probe", Host: service.Host{Log: slog.New(slog.DiscardHandler)}, Common: config.Common{
		Listen: free(t), DatabaseURL: config.NewSecret(url), PoolSize: 2, Kafka: config.Kafka{Brokers: []string{"127.0.0.1:1"}}, IdentityKey: key,
		KEK: key,
	}}
}

// TestBuildClosesWhatItOpened: a service that is not made after all leaves no connection behind, whatever step fails.
func TestBuildClosesWhatItOpened(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, "probe", fstest.MapFS{})
	wrong := errors.New("the last step fails")
	var parts *service.Parts
	var closed []string
	_, err := service.Build(t.Context(), spec(t, db.AppURL), func(p *service.Parts) (service.Own, error) {
		parts = p
		p.OnClose(func() { closed = append(closed, "first") })
		p.OnClose(func() { closed = append(closed, "second") })
		if err := p.Pool.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		return service.Own{}, wrong
	})
	if !errors.Is(err, wrong) || strings.Join(closed, ",") != "second,first" {
		t.Errorf("%v, closed %v", err, closed)
	}
	if err := parts.Pool.Ping(t.Context()); err == nil {
		t.Error("the pool is open still")
	}
}

// TestBuild: a service that says only what its operations are has a chain, readiness, and an end.
func TestBuild(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, "probe", fstest.MapFS{})
	at := spec(t, db.AppURL)
	at.Host.Clock = clock.New(48 * time.Hour)
	var now time.Time
	s, err := service.Build(t.Context(), at, func(p *service.Parts) (service.Own, error) {
		now = p.Now()
		return service.Own{Mount: func(r chi.Router) {
			r.Get("/v1/probe", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("here")) })
		}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if ahead := time.Until(now); ahead < 47*time.Hour || ahead > 48*time.Hour {
		t.Errorf("the parts' time is %s ahead", ahead)
	}
	if err := s.Guard(t.Context()); err != nil {
		t.Errorf("guard: %v", err)
	}
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("ready: %v", err)
	}
	answer := httptest.NewRecorder()
	s.Handler.ServeHTTP(answer, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/v1/probe", http.NoBody))
	if answer.Code != http.StatusUnauthorized {
		t.Errorf("without an identity: %d %s", answer.Code, answer.Body)
	}
}
