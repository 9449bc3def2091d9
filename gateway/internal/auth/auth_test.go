package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/sendtip/sendtip/gateway/internal/contract"
	"github.com/sendtip/sendtip/kit/fault"
)

var discard = slog.New(slog.DiscardHandler)

func jwk(t *testing.T, kid, kty, crv, alg, use string, on bool) string {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	x, y := make([]byte, 32), make([]byte, 32)
	k.X.FillBytes(x)
	k.Y.FillBytes(y)
	if !on {
		y[0] ^= 1
	}
	return fmt.Sprintf(`{"kty":%q,"crv":%q,"alg":%q,"use":%q,"kid":%q,"x":%q,"y":%q}`, kty, crv, alg, use, kid,
		base64.RawURLEncoding.EncodeToString(x), base64.RawURLEncoding.EncodeToString(y))
}

func TestParseKeys(t *testing.T) {
	t.Parallel()
	good := jwk(t, "good", "EC", "P-256", "ES256", "sig", true)
	for name, c := range map[string]struct {
		doc string
		ok  bool
	}{
		"good": {good, true},
		"beside others": {good + "," + jwk(t, "enc", "EC", "P-256", "ES256", "enc", true) +
			`,{"kty":"RSA","kid":"r","n":"AQAB","e":"AQAB"},{"kty":"oct","kid":"good2","k":"c2VjcmV0"}`, true},
		"empty":          {"", false},
		"symmetric":      {`{"kty":"oct","alg":"HS256","use":"sig","kid":"a","k":"c2VjcmV0"}`, false},
		"other curve":    {jwk(t, "a", "EC", "P-384", "ES256", "sig", true), false},
		"other alg":      {jwk(t, "a", "EC", "P-256", "ES384", "sig", true), false},
		"encryption":     {jwk(t, "a", "EC", "P-256", "ES256", "enc", true), false},
		"off the curve":  {jwk(t, "a", "EC", "P-256", "ES256", "sig", false), false},
		"kid with slash": {jwk(t, "../a", "EC", "P-256", "ES256", "sig", true), false},
		"short point":    {`{"kty":"EC","crv":"P-256","alg":"ES256","use":"sig","kid":"a","x":"AA","y":"AA"}`, false},
	} {
		keys, err := parseKeys([]byte(`{"keys":[` + c.doc + `]}`))
		if (err == nil) != c.ok || c.ok && (len(keys) != 1 || keys["good"] == nil) {
			t.Errorf("%s: %d keys, %v", name, len(keys), err)
		}
	}
	if _, err := parseKeys([]byte("<html>")); err == nil {
		t.Error("HTML: accepted")
	}
}

// clock is a settable now.
type clock struct{ ns atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.ns.Store(time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC).UnixNano())
	return c
}
func (c *clock) now() time.Time          { return time.Unix(0, c.ns.Load()) }
func (c *clock) advance(d time.Duration) { c.ns.Add(int64(d)) }

func TestKeys(t *testing.T) {
	t.Parallel()
	c := newClock()
	var mu sync.Mutex
	doc, calls := `{"keys":[`+jwk(t, "one", "EC", "P-256", "ES256", "sig", true)+`]}`, 0
	var down error
	k := NewKeys(func(context.Context) ([]byte, error) {
		mu.Lock()
		defer mu.Unlock()
		calls++
		return []byte(doc), down
	}, c.now, discard)
	down = errors.New("user is not there yet")
	if err := k.Refresh(t.Context()); err == nil || k.Ready(t.Context()) == nil {
		t.Fatal("ready without a key: every token would be refused for a while")
	}
	down, calls = nil, 0
	c.advance(minRefresh)
	get := func(kid string) error {
		_, err := k.Get(t.Context(), kid)
		return err
	}
	if err := get("one"); err != nil || calls != 1 || k.Ready(t.Context()) != nil {
		t.Fatalf("%v after %d calls", err, calls)
	}
	if err := get("two"); !errors.Is(err, ErrToken) || calls != 1 {
		t.Fatalf("a stranger within a second: %v after %d calls", err, calls)
	}
	c.advance(minRefresh)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { _ = get("two") })
	}
	wg.Wait()
	if calls != 2 {
		t.Fatalf("20 strangers at once asked %d times", calls-1)
	}
	c.advance(minRefresh)
	mu.Lock()
	down = errors.New("down")
	mu.Unlock()
	if err := get("two"); !errors.Is(err, fault.ErrUnavailable) {
		t.Fatalf("a stranger while user is down: %v", err)
	}
	if err := get("two"); !errors.Is(err, fault.ErrUnavailable) || calls != 3 {
		t.Fatalf("again: %v after %d calls", err, calls)
	}
	if err := get("one"); err != nil {
		t.Fatalf("a known key while user is down: %v", err)
	}
	mu.Lock()
	doc, down = `{"keys":[`+jwk(t, "two", "EC", "P-256", "ES256", "sig", true)+`]}`, nil
	mu.Unlock()
	if err := k.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := get("two"); err != nil {
		t.Fatalf("the new key: %v", err)
	}
	if err := get("one"); !errors.Is(err, ErrToken) {
		t.Fatalf("a withdrawn key: %v", err)
	}
}

func TestRevocations(t *testing.T) {
	t.Parallel()
	c := newClock()
	doc, query := "", ""
	r := NewRevocations(func(_ context.Context, q string) ([]byte, error) { query = q; return []byte(doc), nil }, c.now, discard)
	caller := func(user, session string, age time.Duration) Caller {
		return Caller{Scheme: contract.UserAuth, User: user, SessionID: session, IssuedAt: c.now().Add(-age)}
	}
	if err := r.Check(caller("u", "s", 0)); !errors.Is(err, fault.ErrUnavailable) {
		t.Fatalf("before the first load: %v", err)
	}
	at := c.now().UTC().Format(time.RFC3339Nano)
	for _, bad := range []string{"", "{}", "[]", `{"database_time":"` + at + `","data":[{"kind":"planet","id":"x","revoked_at":"` + at +
		`"}]}`} {
		if doc = bad; r.Poll(t.Context()) == nil || r.Ready(t.Context()) == nil {
			t.Fatalf("%q was taken for a list", bad)
		}
	}
	doc = `{"database_time":"` + at + `","data":[{"kind":"session","id":"dead","revoked_at":"` + at +
		`"},{"kind":"user","id":"gone","revoked_at":"` + at + `"}]}`
	if err := r.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{"session": r.Check(caller("u", "dead", 0)), "user": r.Check(caller("gone", "s", time.Second)),
		"user, in the moment of the revocation": r.Check(caller("gone", "s", 0))} {
		if !errors.Is(want, ErrRevoked) {
			t.Errorf("%s: %v", name, want)
		}
	}
	if err := r.Check(caller("u", "s", 0)); err != nil {
		t.Errorf("a living session: %v", err)
	}
	later := caller("gone", "s2", 0)
	later.IssuedAt = c.now().Add(time.Second)
	if err := r.Check(later); err != nil {
		t.Errorf("a token issued after the user was reinstated: %v", err)
	}
	doc = `{"database_time":"` + at + `","data":[]}`
	if err := r.Poll(t.Context()); err != nil || query != "since=2026-11-23T08%3A59%3A30Z" {
		t.Errorf("%v, query %s: want 30 s before the database's time", err, query)
	}
	c.advance(10 * time.Minute)
	_ = r.Poll(t.Context())
	if err := r.Check(caller("u", "dead", 0)); !errors.Is(err, ErrRevoked) {
		t.Errorf("forgotten while a token may live: %v", err)
	}
	c.advance(10 * time.Minute)
	_ = r.Poll(t.Context())
	if len(r.sessions)+len(r.users) != 0 {
		t.Errorf("%d entries are kept for ever", len(r.sessions)+len(r.users))
	}
}

// A full list goes on: until the rest is read, a gateway that has just started must not take it for the whole.
func TestFullListOfRevocations(t *testing.T) {
	t.Parallel()
	c := newClock()
	at := c.now().UTC().Format(time.RFC3339Nano)
	entry := `{"kind":"session","id":"dead","revoked_at":"` + at + `"}`
	doc := `{"database_time":"` + at + `","data":[` + strings.Repeat(entry+",", fullList-1) + entry + `]}`
	r := NewRevocations(func(context.Context, string) ([]byte, error) { return []byte(doc), nil }, c.now, discard)
	if err := r.Poll(t.Context()); err != nil || r.Ready(t.Context()) == nil {
		t.Fatalf("%v, or ready too early", err)
	}
	doc = `{"database_time":"` + at + `","data":[]}`
	if err := r.Poll(t.Context()); err != nil || r.Ready(t.Context()) != nil {
		t.Fatalf("%v, or never ready", err)
	}
}

// TestCachedTokenExpires: what was verified a moment ago is taken without its signature, and never beyond its own end.
func TestCachedTokenExpires(t *testing.T) {
	t.Parallel()
	c := newClock()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point := elliptic.Marshal(elliptic.P256(), key.X, key.Y) //nolint:staticcheck // the test writes a key set by hand
	set := fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","use":"sig","kid":"one","x":%q,"y":%q}]}`,
		base64.RawURLEncoding.EncodeToString(point[1:33]), base64.RawURLEncoding.EncodeToString(point[33:]))
	tokens := NewTokens(NewKeys(func(context.Context) ([]byte, error) { return []byte(set), nil }, c.now, discard), "development", c.now)
	token := jwt.NewWithClaims(jwt.SigningMethodES256,
		jwt.MapClaims{"iss": issuer, "aud": audience, "sub": uuid.NewString(), "sid": uuid.NewString(),
			"env": "development", "iat": c.now().Unix(), "exp": c.now().Add(30 * time.Second).Unix()})
	token.Header = map[string]any{"alg": "ES256", "typ": typAccess, "kid": "one"}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	access := func() error {
		_, err := tokens.Access(t.Context(), text)
		return err
	}
	if err := access(); err != nil {
		t.Fatal(err)
	}
	c.advance(30*time.Second - time.Nanosecond)
	if err := access(); err != nil {
		t.Fatalf("before its end: %v", err)
	}
	c.advance(leeway + time.Second) // still within cacheLife
	if err := access(); !errors.Is(err, ErrExpired) {
		t.Fatalf("past its end: %v", err)
	}
}

func TestTokenCacheIsBounded(t *testing.T) {
	t.Parallel()
	s := shard{known: map[[32]byte]cached{}}
	now := time.Now()
	for i := range 3 * shardSize {
		s.put([32]byte{byte(i), byte(i >> 8), byte(i >> 16)}, cached{until: now.Add(time.Hour)}, now)
	}
	if len(s.known) > shardSize {
		t.Fatalf("%d entries", len(s.known))
	}
}

func TestAllow(t *testing.T) {
	t.Parallel()
	c := Caller{Scheme: contract.UserAuth, Scopes: []string{"a:read", "a:write"}}
	for name, tc := range map[string]struct {
		alternatives []contract.Alternative
		ok           bool
	}{
		"both scopes":    {[]contract.Alternative{{Scheme: contract.UserAuth, Scopes: []string{"a:read", "a:write"}}}, true},
		"one is missing": {[]contract.Alternative{{Scheme: contract.UserAuth, Scopes: []string{"a:read", "b:read"}}}, false},
		"other scheme":   {[]contract.Alternative{{Scheme: contract.APIKey, Scopes: []string{"a:read"}}}, false},
		"an alternative": {[]contract.Alternative{{Scheme: contract.APIKey, Scopes: []string{"a:read"}},
			{Scheme: contract.UserAuth, Scopes: []string{"a:read"}}}, true},
		"none is allowed": {nil, false},
		"prefix":          {[]contract.Alternative{{Scheme: contract.UserAuth, Scopes: []string{"a"}}}, false},
	} {
		if err := c.Allow(tc.alternatives); (err == nil) != tc.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
