package gateway

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/web"
)

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// access is the claims of a good access token.
func (w *world) access() jwt.MapClaims {
	now := time.Now()
	return jwt.MapClaims{"iss": "sendtip", "aud": "sendtip", "sub": w.user, "sid": w.session, "scope": "profile wallet:read wallet:write",
		"roles": []string{"customer"},
		"tier":  1, "env": "development", "iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(), "jti": uuid.NewString()}
}

func (w *world) stepUp() jwt.MapClaims {
	now := time.Now()
	return jwt.MapClaims{"iss": "sendtip", "aud": "sendtip", "sub": w.user, "sid": w.session, "op": "createTransfer", "hash": "aGFzaA",
		"jti": "step-1",
		"env": "development", "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()}
}

func with(c jwt.MapClaims, name string, value any) jwt.MapClaims {
	if value == nil {
		delete(c, name)
	} else {
		c[name] = value
	}
	return c
}

func sign(t testing.TB, key *ecdsa.PrivateKey, header map[string]any, claims jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
	token.Header = map[string]any{"alg": "ES256", "typ": "at+jwt", "kid": kid}
	for k, v := range header {
		if v == nil {
			delete(token.Header, k)
			continue
		}
		token.Header[k] = v
	}
	out, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (w *world) token() string { return sign(w.t, w.key, nil, w.access()) }

func (w *world) stepUpToken() string {
	return sign(w.t, w.key, map[string]any{"typ": "step-up+jwt"}, w.stepUp())
}

// ask is one request; zero values are left out.
type ask struct {
	method, path, body string
	header             map[string]string
	chunked            bool
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) problem(t testing.TB) web.Problem {
	t.Helper()
	var p web.Problem
	if err := json.Unmarshal([]byte(a.body), &p); err != nil || a.header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("no problem document: %d %s %s", a.status, a.header.Get("Content-Type"), a.body)
	}
	if p.RequestID == "" || p.RequestID != a.header.Get("X-Request-Id") {
		t.Fatalf("request id %q in the body, %q in the header", p.RequestID, a.header.Get("X-Request-Id"))
	}
	return p
}

func (w *world) do(a ask) answer { return w.send(w.public.URL, a) }

func (w *world) send(base string, a ask) answer {
	w.t.Helper()
	var body io.Reader
	if a.body != "" {
		body = strings.NewReader(a.body)
		if a.chunked {
			body = io.MultiReader(body)
		}
	}
	r, err := http.NewRequestWithContext(context.Background(), a.method, base+a.path, body)
	if err != nil {
		w.t.Fatal(err)
	}
	if a.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for k, v := range a.header {
		if v == "" {
			r.Header.Del(k)
			continue
		}
		r.Header.Set(k, v)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(data)}
}

// transfer is a good request for createTransfer, as the tests change it.
func (w *world) transfer() ask {
	return ask{method: "POST", path: "/v1/transfers", body: `{"quote_id":"` + transferID + `"}`, header: map[string]string{
		"Authorization": "Bearer " + w.token(), "Idempotency-Key": uuid.NewString(), "Step-Up-Token": w.stepUpToken()}}
}

func (a ask) with(name, value string) ask {
	h := map[string]string{}
	for k, v := range a.header {
		h[k] = v
	}
	h[name] = value
	a.header = h
	return a
}

func (a ask) withBody(body string) ask {
	a.body = body
	return a
}

// refused fails unless the answer is the problem.
func refused(t testing.TB, a answer, status int, code string) {
	t.Helper()
	if a.status != status {
		t.Fatalf("status %d, want %d %s: %s", a.status, status, code, a.body)
	}
	if p := a.problem(t); p.Code != code || p.Status != status {
		t.Fatalf("problem %d %s, want %d %s", p.Status, p.Code, status, code)
	}
}
