package wallet_test

import (
	"bytes"
	"encoding/base64"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/country"
	"github.com/sendtip/sendtip/kit/pgtest"
	"github.com/sendtip/sendtip/kit/service"
	walletsql "github.com/sendtip/sendtip/sql/wallet"

	"github.com/sendtip/sendtip/services/wallet"
)

var identityKey = bytes.Repeat([]byte{5}, 32)

func environ() map[string]string {
	return map[string]string{
		"SENDTIP_LISTEN": "127.0.0.1:0", "SENDTIP_DATABASE_URL": "postgres://nobody@127.0.0.1:1/none",
		"SENDTIP_IDENTITY_KEY": base64.StdEncoding.EncodeToString(identityKey), "SENDTIP_SERVICE_KEY": "service-key",
		"SENDTIP_KEK":           base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{6}, 32)),
		"SENDTIP_KAFKA_BROKERS": "127.0.0.1:1", "SENDTIP_GATEWAY_URL": "http://127.0.0.1:1", "SENDTIP_PUBLIC_URL": "http://127.0.0.1:8080/",
		"SENDTIP_DARAJA_URL": "http://127.0.0.1:1", "SENDTIP_DARAJA_CONSUMER_KEY": "key", "SENDTIP_DARAJA_CONSUMER_SECRET": "very-secret",
		"SENDTIP_DARAJA_SHORT_CODE": "174379", "SENDTIP_DARAJA_PASSKEY": "pass",
	}
}

// TestDefaultCountry: whoever names no country lives in the same one by the settings and by the facts.
func TestDefaultCountry(t *testing.T) {
	t.Parallel()
	if cfg, err := wallet.LoadConfig(environ()); err != nil || cfg.Country != country.Default {
		t.Errorf("the default is %q, %v", cfg.Country, err)
	}
}

func TestLoadConfig(t *testing.T) {
	t.Parallel()
	cfg, err := wallet.LoadConfig(environ())
	if err != nil {
		t.Fatal(err)
	}
	if cfg.PublicURL != "http://127.0.0.1:8080" || cfg.Country != "KE" || !cfg.RegisterC2b {
		t.Errorf("settings: %+v", cfg)
	}
	for name := range environ() {
		without := environ()
		delete(without, name)
		if _, err := wallet.LoadConfig(without); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
	for name, change := range map[string]map[string]string{
		"word":       {"SENDTIP_PUBLIC_URL": "https://mpesa.example"},
		"not_a_url":  {"SENDTIP_DARAJA_URL": "daraja"},
		"plain_http": {"SENDTIP_ENV": "production", "SENDTIP_PUBLIC_URL": "https://pay.example"},
		"short_kek":  {"SENDTIP_KEK": "abc"},
	} {
		e := environ()
		maps.Copy(e, change)
		if _, err := wallet.LoadConfig(e); err == nil || strings.Contains(err.Error(), "very-secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNewConnectsToNothing: a service is made while all its dependencies are down, answers 503 and says that it is not ready.
func TestProductionRefusesTheSandbox(t *testing.T) {
	t.Parallel()
	good := environ()
	maps.Copy(good, map[string]string{"SENDTIP_ENV": "production", "SENDTIP_PUBLIC_URL": "https://pay.example",
		"SENDTIP_DARAJA_URL":        "https://api.safaricom.co.ke",
		"SENDTIP_DARAJA_SHORT_CODE": "600123", "SENDTIP_KAFKA_USER": "wallet", "SENDTIP_KAFKA_PASSWORD": "p", "SENDTIP_KAFKA_TLS": "true"})
	if _, err := wallet.LoadConfig(good); err != nil {
		t.Fatal(err)
	}
	for setting, value := range map[string]string{"SENDTIP_DARAJA_SHORT_CODE": "174379",
		"SENDTIP_DARAJA_CONSUMER_KEY":    "sendtip-sandbox-consumer",
		"SENDTIP_DARAJA_CONSUMER_SECRET": "sendtip-sandbox-consumer-secret"} {
		bad := maps.Clone(good)
		bad[setting] = value
		if _, err := wallet.LoadConfig(bad); err == nil || strings.Contains(err.Error(), value) {
			t.Errorf("%s of the sandbox: %v", setting, err)
		}
	}
}

func TestNewConnectsToNothing(t *testing.T) {
	t.Parallel()
	cfg, err := wallet.LoadConfig(environ())
	if err != nil {
		t.Fatal(err)
	}
	s, err := wallet.New(t.Context(), cfg, service.Host{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.Ready(t.Context()); err == nil {
		t.Error("ready without a database")
	}
	if got := get(t, s.Handler, "/v1/wallets"); got != http.StatusServiceUnavailable {
		t.Errorf("status %d", got)
	}
}

func TestServiceAnswers(t *testing.T) {
	t.Parallel()
	e := environ()
	e["SENDTIP_DATABASE_URL"] = pgtest.Open(t, "wallet", walletsql.Migrations()).AppURL
	cfg, err := wallet.LoadConfig(e)
	if err != nil {
		t.Fatal(err)
	}
	s, err := wallet.New(t.Context(), cfg, service.Host{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	for path, want := range map[string]int{"/v1/wallets": 200, "/v1/limits": 200, "/v1/nothing": 404} {
		if got := get(t, s.Handler, path); got != want {
			t.Errorf("%s: status %d, want %d", path, got, want)
		}
	}
}

func get(t *testing.T, h http.Handler, path string) int {
	t.Helper()
	token, err := auth.Mint(identityKey, time.Now(), auth.Claims{Scope: "wallet:read",
		RegisteredClaims: jwt.RegisteredClaims{Subject: "user:" + uuid.NewString(), Audience: jwt.ClaimStrings{"wallet"}}})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	r.Header.Set(auth.IdentityHeader, token)
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec.Code
}
