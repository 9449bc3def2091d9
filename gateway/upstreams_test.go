package gateway

import (
	"crypto/ecdsa"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	kitauth "github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/web"
)

// upstream is a scripted service: it checks the identity token as a real one does and remembers what it was asked. It gives the
// same answer to all operations: that the gateway passes answers on whatever they are, and holds a sample of them against the contract, is
// what tests ask.
type upstream struct {
	*httptest.Server
	service string
	mu      sync.Mutex
	seen    []seen
	answer  http.HandlerFunc
}

type seen struct {
	method, uri string
	header      http.Header
	body        string
	principal   kitauth.Principal
	delegation  string
	expires     time.Time
}

func newUpstream(t testing.TB, service string, answer http.HandlerFunc) *upstream {
	t.Helper()
	u := &upstream{service: service, answer: answer}
	v := kitauth.NewVerifier(service, time.Now, identityKey(service))
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := v.Verify(r.Header.Get(kitauth.IdentityHeader))
		if err != nil {
			web.WriteProblem(w, r, err)
			return
		}
		body, _ := io.ReadAll(r.Body)
		u.mu.Lock()
		u.seen = append(u.seen, seen{r.Method, r.RequestURI, r.Header.Clone(), string(body), c.Principal(),
			r.Header.Get(kitauth.DelegationHeader), c.ExpiresAt.Time})
		answer := u.answer
		u.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(u.Close)
	return u
}

func (u *upstream) script(h http.HandlerFunc) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.answer = h
}

func (u *upstream) last(t testing.TB) seen {
	t.Helper()
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.seen) == 0 {
		t.Fatalf("%s was not asked", u.service)
	}
	return u.seen[len(u.seen)-1]
}

// lastOf is last among the requests of one operation.
func (u *upstream) lastOf(t testing.TB, operation string) seen {
	t.Helper()
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, s := range slices.Backward(u.seen) {
		if s.principal.Operation == operation {
			return s
		}
	}
	t.Fatalf("%s was not asked to %s", u.service, operation)
	return seen{}
}

func (u *upstream) count() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.seen)
}

func reply(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// users is the scripted user service: its keys and its list of revocations.
type users struct {
	*upstream
	mu      sync.Mutex
	jwks    string
	revoked []string
	down    bool
	jwksN   int
}

func newUsers(t testing.TB, key *ecdsa.PrivateKey) *users {
	u := &users{}
	u.publish(map[string]*ecdsa.PrivateKey{kid: key})
	u.upstream = newUpstream(t, "user", func(w http.ResponseWriter, r *http.Request) {
		u.mu.Lock()
		defer u.mu.Unlock()
		switch {
		case u.down:
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.URL.Path == "/v1/jwks":
			u.jwksN++
			reply(200, u.jwks)(w, r)
		case r.URL.Path == "/v1/internal/revocations":
			var data []string
			for _, id := range u.revoked {
				data = append(data, fmt.Sprintf(`{"kind":"session","id":%q,"revoked_at":%q}`, id, time.Now().UTC().Format(time.RFC3339Nano)))
			}
			reply(200, fmt.Sprintf(`{"database_time":%q,"data":[%s]}`, time.Now().UTC().Format(time.RFC3339Nano), strings.Join(data, ",")))(w, r)
		default:
			reply(202, `{"registration_id":"`+transferID+`"}`)(w, r)
		}
	})
	return u
}

func (u *users) set(change func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	change()
}

func (u *users) publish(keys map[string]*ecdsa.PrivateKey) {
	var list []string
	for id, k := range keys {
		x, y := make([]byte, 32), make([]byte, 32)
		k.X.FillBytes(x)
		k.Y.FillBytes(y)
		list = append(list, fmt.Sprintf(`{"kty":"EC","crv":"P-256","alg":"ES256","use":"sig","kid":%q,"x":%q,"y":%q}`, id,
			base64.RawURLEncoding.EncodeToString(x), base64.RawURLEncoding.EncodeToString(y)))
	}
	u.set(func() { u.jwks = `{"keys":[` + strings.Join(list, ",") + `]}` })
}
