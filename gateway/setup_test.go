package gateway

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	kitauth "github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/config"
	"github.com/sendtip/sendtip/kit/pgtest"
	"github.com/sendtip/sendtip/kit/service"
	"github.com/sendtip/sendtip/kit/web"
	"github.com/sendtip/sendtip/openapi"
	gatewaysql "github.com/sendtip/sendtip/sql/gateway"
)

const (
	kid        = "key-1"
	transferID = "01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e"
	walletKey  = "service-key-of-wallet"
	userSvcKey = "service-key-of-user"
)

// hashServiceKey is what the gateway is told of a service's key.
func hashServiceKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

var delegationKey = []byte("delegation-key-of-the-gateways-only")

func identityKey(service string) []byte {
	return []byte("identity-key-of-" + service + "-with-32-bytes-or-more")
}

// contracts is the fixture: small contracts, with the real common.yaml and gateway.yaml.
func contracts(t testing.TB) fs.FS {
	t.Helper()
	out := fstest.MapFS{}
	for _, source := range []struct {
		fsys  fs.FS
		names []string
	}{{openapi.FS, []string{"common.yaml", "gateway.yaml"}},
		{os.DirFS("testdata/contracts"), []string{"services.yaml", "user.yaml", "wallet.yaml", "transactions.yaml"}}} {
		for _, n := range source.names {
			data, err := fs.ReadFile(source.fsys, n)
			if err != nil {
				t.Fatal(err)
			}
			out[n] = &fstest.MapFile{Data: data}
		}
	}
	return out
}

// upstream is a scripted service: it checks the identity token as a real one does and remembers what it was asked.
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

// world is a gateway with scripted services, an embedded Redis and, if asked for, a real database.
type world struct {
	t                    testing.TB
	cfg                  Config
	service              *service.Service
	public, internal     *httptest.Server
	redis                *miniredis.Miniredis
	key                  *ecdsa.PrivateKey
	users                *users
	wallet, transactions *upstream
	user, session        string
	log                  *logBuffer
	contracts            fs.FS
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func setup(t testing.TB, change ...func(w *world)) *world {
	t.Helper()
	w := &world{t: t, user: uuid.NewString(), session: uuid.NewString(), key: newKey(t), log: &logBuffer{}, contracts: contracts(t)}
	w.users = newUsers(t, w.key)
	w.wallet = newUpstream(t, "wallet", reply(201, `{"id":"`+transferID+`"}`))
	w.transactions = newUpstream(t, "transactions", reply(200, `{}`))
	w.redis = miniredis.RunT(t)
	w.cfg = Config{
		Common: config.Common{Env: "development", Listen: "127.0.0.1:0", DatabaseURL: config.NewSecret("postgres://gateway@127.0.0.1:1/gateway"),
			PoolSize: 4, Kafka: config.Kafka{Brokers: []string{"127.0.0.1:1"}}, IdentityKey: config.NewSecret(string(identityKey("gateway"))),
			KEK: config.NewSecret(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32)))},
		InternalListen: "127.0.0.1:0", PublicURL: "https://api.example.test", RedisURL: config.NewSecret("redis://" + w.redis.Addr()),
		RedisTimeout: 10 * time.Second, DelegationKey: config.NewSecret(string(delegationKey)), SampleAnswers: 1,
		Upstreams: map[string]string{"user": w.users.URL, "wallet": w.wallet.URL, "transactions": w.transactions.URL},
		ServiceKeyHashes: Pairs{{"wallet", hashServiceKey("an-older-key")}, {"wallet", hashServiceKey(walletKey)},
			{"user", hashServiceKey(userSvcKey)}},
	}
	for _, s := range []string{"user", "wallet", "transactions"} {
		w.cfg.IdentityKeys = append(w.cfg.IdentityKeys, Pair{s, string(identityKey(s))})
	}
	for _, c := range change {
		c(w)
	}
	w.start()
	return w
}

func withDatabase(w *world) {
	db := pgtest.Open(w.t, "gateway", gatewaysql.Migrations())
	w.cfg.Common.DatabaseURL = config.NewSecret(db.AppURL)
}

func (w *world) start() {
	w.t.Helper()
	if err := config.Verify(w.cfg); err != nil {
		w.t.Fatal(err)
	}
	w.service, w.public, w.internal = w.run()
	if os.Getenv("SENDTIP_TEST_LOG") != "" {
		w.t.Cleanup(func() { w.t.Log(w.log.String()) })
	}
}

// run starts a gateway without its outbox relay (there is no broker here) and waits until it is ready.
func (w *world) run() (*service.Service, *httptest.Server, *httptest.Server) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s, err := build(ctx, w.cfg, w.contracts,
		service.Host{Log: slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		w.t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, l := range s.Loops {
		database := l.Name == "api keys" || l.Name == "idempotency keys"
		if l.Name == "outbox" || database && strings.Contains(w.cfg.Common.DatabaseURL.Reveal(), ":1/") {
			continue
		}
		wg.Go(func() { _ = l.Run(ctx) })
	}
	public, internal := httptest.NewServer(s.Handler), httptest.NewServer(s.Also[0].Handler)
	w.t.Cleanup(func() {
		public.Close()
		internal.Close()
		cancel()
		wg.Wait()
		s.Close()
	})
	for _, c := range s.Checks {
		if c.Name == "revocations" && !w.usersDown() {
			eventually(w.t, c.Name, func() bool { return c.Run(ctx) == nil })
		}
	}
	return s, public, internal
}

func (w *world) usersDown() bool {
	w.users.mu.Lock()
	defer w.users.mu.Unlock()
	return w.users.down
}

// eventually polls until ok or a deadline.
func eventually(t testing.TB, what string, ok func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if ok() {
			break
		}
		if time.Since(start) > 10*time.Second {
			t.Fatalf("%s did not happen", what)
		}
	}
	return time.Since(start)
}

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
