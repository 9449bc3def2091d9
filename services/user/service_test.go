package user_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/pgtest"
	"github.com/sendtip/sendtip/kit/service"
	"github.com/sendtip/sendtip/kit/servicetest"
	"github.com/sendtip/sendtip/sandbox"
	user "github.com/sendtip/sendtip/services/user"
	"github.com/sendtip/sendtip/services/user/internal/testworld"
	usersql "github.com/sendtip/sendtip/sql/user"
)

var identityKey = bytes.Repeat([]byte{9}, 32)

// environ is what an operator sets; the addresses are free ports.
func environ(t *testing.T, database string) map[string]string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "signing.pem")
	if err := os.WriteFile(file, []byte(testworld.KeyPEM(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"SENDTIP_LISTEN": servicetest.FreeAddress(t), "SENDTIP_OPS_LISTEN": servicetest.FreeAddress(t), "SENDTIP_DATABASE_URL": database,
		"SENDTIP_KAFKA_BROKERS": "127.0.0.1:1", // down: requests must be served all the same
		"SENDTIP_IDENTITY_KEY":  base64.StdEncoding.EncodeToString(identityKey),
		"SENDTIP_KEK":           base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32)),
		"SENDTIP_PUBLIC_URL":    "http://127.0.0.1:1", "SENDTIP_SIGNING_KEY": "file:" + file,
		"SENDTIP_SMILEID_URL": "http://127.0.0.1:1/v1", "SENDTIP_SMILEID_PARTNER_ID": "085", "SENDTIP_SMILEID_API_KEY": "key",
	}
}

func TestService(t *testing.T) {
	t.Parallel()
	env := environ(t, pgtest.Open(t, "user", usersql.Migrations()).AppURL)
	cfg, err := user.LoadConfig(env)
	if err != nil {
		t.Fatal(err)
	}
	first := user.Admin{Phone: "+254799000001", Pin: "5821", Device: "operators-laptop-1"}
	if id, err := user.CreateAdmin(t.Context(), cfg, first); err != nil || id.Version() != 7 {
		t.Fatalf("create admin: %v, %v", id, err)
	}
	if _, err := user.CreateAdmin(t.Context(), cfg, first); err == nil {
		t.Error("a second operator with the same phone")
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	s, err := user.New(ctx, cfg, service.Host{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx, s, slog.New(slog.DiscardHandler)) }()
	servicetest.Eventually(t, "the service is ready", func() bool { return ready(t, "http://"+env["SENDTIP_OPS_LISTEN"]+"/readyz") })

	signIn := `{"phone":"+254799000001","pin":"5821","device_id":"operators-laptop-1"}`
	if status, _ := post(t, "http://"+env["SENDTIP_LISTEN"]+"/v1/sessions", signIn, ""); status != http.StatusUnauthorized {
		t.Errorf("around the gateway: %d", status)
	}
	token, err := auth.Mint(identityKey, time.Now(),
		auth.Claims{RegisteredClaims: jwt.RegisteredClaims{Subject: "anonymous", Audience: jwt.ClaimStrings{"user"}}})
	if err != nil {
		t.Fatal(err)
	}
	status, body := post(t, "http://"+env["SENDTIP_LISTEN"]+"/v1/sessions", signIn, token)
	if status != http.StatusCreated || body["access_token"] == nil {
		t.Errorf("sign in: %d %v", status, body)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("stop: %v", err)
	}
}

func ready(t *testing.T, url string) bool {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func post(t *testing.T, url, body, token string) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(auth.IdentityHeader, token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return resp.StatusCode, out
}

func TestLoadConfig(t *testing.T) {
	t.Parallel()
	full := environ(t, "postgres://localhost/user")
	if _, err := user.LoadConfig(full); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"SENDTIP_LISTEN", "SENDTIP_DATABASE_URL", "SENDTIP_IDENTITY_KEY", "SENDTIP_KEK", "SENDTIP_SIGNING_KEY",
		"SENDTIP_SMILEID_URL", "SENDTIP_SMILEID_PARTNER_ID", "SENDTIP_SMILEID_API_KEY", "SENDTIP_PUBLIC_URL",
	} {
		env := maps.Clone(full)
		delete(env, name)
		if _, err := user.LoadConfig(env); err == nil {
			t.Errorf("starts without %s", name)
		}
	}
}

func TestProductionRefuses(t *testing.T) {
	t.Parallel()
	good := environ(t, "postgres://localhost/user")
	maps.Copy(good, map[string]string{"SENDTIP_ENV": "production", "SENDTIP_SMILEID_URL": "https://api.smileidentity.com",
		"SENDTIP_PUBLIC_URL":      "https://api.example.com",
		"SENDTIP_SMILEID_API_KEY": "a-key-of-our-own", "SENDTIP_KAFKA_USER": "user", "SENDTIP_KAFKA_PASSWORD": "p", "SENDTIP_KAFKA_TLS": "true"})
	if _, err := user.LoadConfig(good); err != nil {
		t.Fatal(err)
	}
	for setting, value := range map[string]string{
		"SENDTIP_SMILEID_URL": "http://api.smileidentity.com", "SENDTIP_PUBLIC_URL": "http://api.example.com",
		"SENDTIP_SMILEID_API_KEY": sandbox.DefaultSmileAPIKey,
		"SENDTIP_ENV":             "Production",
	} {
		env := maps.Clone(good)
		env[setting] = value
		if _, err := user.LoadConfig(env); err == nil || !strings.Contains(err.Error(), setting) {
			t.Errorf("%s=%s: %v", setting, value, err)
		}
	}
}
