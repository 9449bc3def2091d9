package auth_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
)

var (
	walletKey = []byte(strings.Repeat("w", 32))
	userKey   = []byte(strings.Repeat("u", 32))
)

func claims(change func(*auth.Claims)) auth.Claims {
	c := auth.Claims{RegisteredClaims: jwt.RegisteredClaims{Subject: "user:01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
		Audience: jwt.ClaimStrings{"wallet"}}, Scope: "wallet:read wallet:write"}
	if change != nil {
		change(&c)
	}
	return c
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	past := jwt.NewNumericDate(time.Now().Add(-time.Hour))
	cases := map[string]struct {
		key    []byte
		change func(*auth.Claims)
	}{
		"another service's key": {userKey, nil},
		"another audience":      {walletKey, func(c *auth.Claims) { c.Audience = jwt.ClaimStrings{"user"} }},
		"two audiences":         {walletKey, func(c *auth.Claims) { c.Audience = jwt.ClaimStrings{"wallet", "user"} }},
		"another issuer":        {walletKey, func(c *auth.Claims) { c.Issuer = "sendtip" }},
		"expired":               {walletKey, func(c *auth.Claims) { c.IssuedAt, c.ExpiresAt = past, past }},
		"too long a life":       {walletKey, func(c *auth.Claims) { c.ExpiresAt = jwt.NewNumericDate(time.Now().Add(time.Hour)) }},
		"no subject":            {walletKey, func(c *auth.Claims) { c.Subject = "" }},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			token, err := auth.Mint(tc.key, time.Now(), claims(tc.change))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := auth.NewVerifier("wallet", time.Now, walletKey).Verify(token); !errors.Is(err, fault.ErrUnauthenticated) {
				t.Fatalf("want unauthenticated, got %v", err)
			}
		})
	}
	none, _ := jwt.NewWithClaims(jwt.SigningMethodNone, claims(nil)).SignedString(jwt.UnsafeAllowNoneSignatureType)
	for _, token := range []string{"", "x", none} {
		if _, err := auth.NewVerifier("wallet", time.Now, walletKey).Verify(token); !errors.Is(err, fault.ErrUnauthenticated) {
			t.Fatalf("want unauthenticated for %q", token)
		}
	}
}

func TestMiddleware(t *testing.T) {
	t.Parallel()
	var got auth.Principal
	var delegation string
	h := auth.NewVerifier("wallet", time.Now, userKey,
		walletKey).Middleware(func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(401) })(
		http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			got, delegation = auth.From(r.Context()), auth.Delegation(r.Context())
			if auth.Delegation(auth.WithoutDelegation(r.Context())) != "" {
				t.Error("the delegation must be dropped")
			}
		}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != 401 {
		t.Fatalf("a request around the gateway got %d", w.Code)
	}
	token, err := auth.Mint(walletKey, time.Now(), claims(func(c *auth.Claims) {
		c.Act, c.StepUpJTI, c.StepUpHash, c.StepUpExp = "service:banking", "j1", "h1", jwt.NewNumericDate(time.Now())
	}))
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set(auth.IdentityHeader, token)
	r.Header.Set(auth.DelegationHeader, "d1")
	h.ServeHTTP(httptest.NewRecorder(), r)
	if id, ok := got.UserID(); !ok || id.String() == "" || got.Key() != "service:banking" || got.Service() != "banking" ||
		!got.Has("wallet:read") || got.StepUp.JTI != "j1" || delegation != "d1" {
		t.Fatalf("unexpected principal %+v", got)
	}
}

func TestRequire(t *testing.T) {
	t.Parallel()
	ctx := auth.With(context.Background(), auth.Principal{Subject: "service:wallet", Scopes: []string{"ledger:post"}})
	if auth.Require(ctx, "ledger:post") != nil || !errors.Is(auth.Require(ctx, "ledger:read"), fault.ErrForbidden) {
		t.Fatal("scopes are not checked")
	}
	if _, err := auth.UserFrom(ctx); !errors.Is(err, fault.ErrForbidden) {
		t.Fatal("a service is no user")
	}
}
