package auth

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sendtip/sendtip/kit/fault"
)

// TestRememberedTokenExpires: a token that was checked before is taken without its signature, and never beyond its own end.
func TestRememberedTokenExpires(t *testing.T) {
	t.Parallel()
	key, now := []byte(strings.Repeat("w", 32)), time.Now().Truncate(time.Second)
	v := NewVerifier("wallet", func() time.Time { return now }, key)
	c := Claims{RegisteredClaims: jwt.RegisteredClaims{Subject: "user:x", Audience: jwt.ClaimStrings{"wallet"},
		IssuedAt:  jwt.NewNumericDate(now),
		ExpiresAt: jwt.NewNumericDate(now.Add(20 * time.Second))}, Source: SourceKnown}
	token, err := Mint(key, now, c)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if p, err := v.principal(token); err != nil || p.Stranger() {
			t.Fatalf("%+v, %v", p, err)
		}
	}
	now = now.Add(20*time.Second + skew + time.Second)
	if _, err := v.principal(token); !errors.Is(err, fault.ErrUnauthenticated) {
		t.Fatalf("past its end: %v", err)
	}
	if !(Principal{}).Stranger() || !(Principal{Source: SourceStranger}).Stranger() {
		t.Fatal("who is not known is a stranger")
	}
}
