package gateway

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	kitauth "github.com/sendtip/sendtip/kit/auth"
)

// raw joins a token by hand, for headers and claims that no library writes.
func raw(header, claims string, signature []byte) string {
	e := base64.RawURLEncoding
	return e.EncodeToString([]byte(header)) + "." + e.EncodeToString([]byte(claims)) + "." + e.EncodeToString(signature)
}

// resign signs the raw header and claims properly, so that only their content can be the reason of a refusal.
func resign(t *testing.T, key *ecdsa.PrivateKey, header, claims string) string {
	t.Helper()
	unsigned := strings.TrimSuffix(raw(header, claims, nil), ".")
	sig, err := jwt.SigningMethodES256.Sign(unsigned, key)
	if err != nil {
		t.Fatal(err)
	}
	return unsigned + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func mac(t *testing.T, key []byte, header map[string]any, claims jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, claims)
	for k, v := range header {
		token.Header[k] = v
	}
	out, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func text(t *testing.T, claims jwt.MapClaims) string {
	t.Helper()
	b, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// forgeries are the tokens that must not get in, each wrong in one way only.
func (w *world) forgeries(t *testing.T) map[string]string {
	t.Helper()
	now := time.Now()
	good := w.token()
	parts := strings.Split(good, ".")
	public, err := x509.MarshalPKIXPublicKey(&w.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := jwt.NewWithClaims(jwt.SigningMethodRS256, w.access()).SignedString(rsaKey)
	if err != nil {
		t.Fatal(err)
	}
	header := `{"alg":"ES256","typ":"at+jwt","kid":"` + kid + `"}`
	claims := func(name string, value any) string { return sign(t, w.key, nil, with(w.access(), name, value)) }
	head := func(name string, value any) string { return sign(t, w.key, map[string]any{name: value}, w.access()) }
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	return map[string]string{
		"empty":               "",
		"not a token":         "abc",
		"two parts":           parts[0] + "." + parts[1],
		"four parts":          good + ".x",
		"no signature":        parts[0] + "." + parts[1] + ".",
		"foreign signature":   parts[0] + "." + parts[1] + "." + strings.Split(sign(t, newKey(t), nil, w.access()), ".")[2],
		"other claims":        parts[0] + "." + strings.Split(claims("scope", "admin:users"), ".")[1] + "." + parts[2],
		"padding":             parts[0] + "=." + parts[1] + "." + parts[2],
		"standard base64":     parts[0] + "." + parts[1] + "." + strings.NewReplacer("-", "+", "_", "/").Replace(parts[2]) + "+",
		"zero signature":      raw(header, text(t, w.access()), make([]byte, 64)),
		"short signature":     raw(header, text(t, w.access()), make([]byte, 10)),
		"none":                raw(`{"alg":"none","typ":"at+jwt","kid":"`+kid+`"}`, text(t, w.access()), nil),
		"None":                raw(`{"alg":"None","typ":"at+jwt","kid":"`+kid+`"}`, text(t, w.access()), nil),
		"nOnE with signature": raw(`{"alg":"nOnE","typ":"at+jwt","kid":"`+kid+`"}`, text(t, w.access()), []byte("x")),
		"no alg":              resign(t, w.key, `{"typ":"at+jwt","kid":"`+kid+`"}`, text(t, w.access())),
		"HS256, public key":   mac(t, public, map[string]any{"typ": "at+jwt", "kid": kid}, w.access()),
		"HS256, key id":       mac(t, []byte(kid), map[string]any{"typ": "at+jwt", "kid": kid}, w.access()),
		"RS256":               rs,
		"ES256K":              resign(t, w.key, `{"alg":"ES256K","typ":"at+jwt","kid":"`+kid+`"}`, text(t, w.access())),
		"jku":                 head("jku", "https://evil.test/jwks"),
		"x5u":                 head("x5u", "https://evil.test/cert"),
		"x5c":                 head("x5c", []string{"MIIB"}),
		"jwk":                 sign(t, newKey(t), map[string]any{"jwk": map[string]string{"kty": "EC"}}, w.access()),
		"crit":                head("crit", []string{"exp"}),
		"b64":                 head("b64", false),
		"cty":                 head("cty", "JWT"),
		"no kid":              head("kid", nil),
		"kid traversal":       head("kid", "../../../../dev/null"),
		"kid injection":       head("kid", "x' UNION SELECT 'a"),
		"kid unknown":         head("kid", "other-key"),
		"kid long":            head("kid", strings.Repeat("k", 500)),
		"kid number":          head("kid", 1),
		"typ missing":         head("typ", nil),
		"typ JWT":             head("typ", "JWT"),
		"typ in capitals":     head("typ", "AT+JWT"),
		"step-up as access":   sign(t, w.key, map[string]any{"typ": "step-up+jwt"}, w.access()),
		"duplicate alg":       resign(t, w.key, `{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"`+kid+`"}`, text(t, w.access())),
		"duplicate sub":       resign(t, w.key, header, `{"sub":"`+uuid.NewString()+`",`+text(t, w.access())[1:]),
		"claims are a list":   resign(t, w.key, header, `[]`),
		"claims with a tail":  resign(t, w.key, header, text(t, w.access())+"{}"),
		"iss":                 claims("iss", "evil"),
		"no iss":              claims("iss", nil),
		"iss of the gateway":  claims("iss", "sendtip-gateway"),
		"aud":                 claims("aud", "other"),
		"no aud":              claims("aud", nil),
		"two auds":            claims("aud", []string{"sendtip", "other"}),
		"no exp":              claims("exp", nil),
		"exp as text":         claims("exp", "2099-01-01"),
		"exp far away":        claims("exp", at(24*time.Hour)),
		"exp a year":          claims("exp", at(365*24*time.Hour)),
		"nbf":                 claims("nbf", at(time.Hour)),
		"iat in the future":   claims("iat", at(time.Hour)),
		"no iat":              claims("iat", nil),
		"no sub":              claims("sub", nil),
		"sub no id":           claims("sub", "admin"),
		"sub of another kind": claims("sub", "service:wallet"),
		"no sid":              claims("sid", nil),
		"no env":              claims("env", nil),
		"agent_id no id":      claims("agent_id", "any"),
		"agent_id no text":    claims("agent_id", 7),
		"env a number":        claims("env", 1),
		"huge":                claims("scope", strings.Repeat("a ", 5000)),
		"identity token": mac(t, identityKey("wallet"), nil,
			jwt.MapClaims{"iss": "sendtip-gateway", "aud": "wallet", "sub": "user:" + w.user, "exp": at(time.Minute)}),
		"token with white space": good + " x",
	}
}

func TestForgedTokens(t *testing.T) {
	t.Parallel()
	w := setup(t)
	forged := w.forgeries(t)
	if len(forged) < 40 {
		t.Fatalf("%d forgeries, at least 40 are promised", len(forged))
	}
	read := ask{method: "GET", path: "/v1/wallets"}
	for name, token := range forged {
		t.Run(name, func(t *testing.T) {
			refused(t, w.do(read.with("Authorization", "Bearer "+token)), 401, "invalid_token")
		})
	}
	expired := sign(t, w.key, nil,
		with(with(w.access(), "exp", time.Now().Add(-time.Minute).Unix()), "iat", time.Now().Add(-10*time.Minute).Unix()))
	refused(t, w.do(read.with("Authorization", "Bearer "+expired)), 401, "token_expired")
	other := sign(t, w.key, nil, with(w.access(), "env", "production"))
	refused(t, w.do(read.with("Authorization", "Bearer "+other)), 401, "wrong_environment")
	if n := w.wallet.count(); n != 0 {
		t.Fatalf("%d forged tokens reached the service", n)
	}
	if got := w.do(read.with("Authorization", "bearer "+w.token())); got.status != 201 {
		t.Fatalf("the good token: %d %s", got.status, got.body)
	}
}

func TestForgedStepUp(t *testing.T) {
	t.Parallel()
	w := setup(t, func(w *world) { w.cfg.RatePolicies = Pairs{{"payment", "6000/60/1000"}} })
	typ := map[string]any{"typ": "step-up+jwt"}
	claims := func(name string, value any) string { return sign(t, w.key, typ, with(w.stepUp(), name, value)) }
	for name, token := range map[string]string{
		"foreign key": sign(t, newKey(t), typ, w.stepUp()),
		"typ":         sign(t, w.key, nil, w.stepUp()),
		"typ JWT":     sign(t, w.key, map[string]any{"typ": "JWT"}, w.stepUp()),
		"user":        claims("sub", uuid.NewString()),
		"session":     claims("sid", uuid.NewString()),
		"operation":   claims("op", "closeWallet"),
		"no hash":     claims("hash", nil),
		"no jti":      claims("jti", nil),
		"no exp":      claims("exp", nil),
		"iss":         claims("iss", "evil"),
		"aud":         claims("aud", "other"),
		"env":         claims("env", "production"),
		"nbf":         claims("nbf", time.Now().Add(time.Hour).Unix()),
		"jku":         sign(t, w.key, map[string]any{"typ": "step-up+jwt", "jku": "x"}, w.stepUp()),
		"HS256":       mac(t, []byte("x"), map[string]any{"typ": "step-up+jwt", "kid": kid}, w.stepUp()),
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, w.do(w.transfer().with("Step-Up-Token", token)), 403, "step_up_invalid")
		})
	}
	// An expired one travels on with its expiry: a replayed request needs no fresh token, and only the owner knows a replay.
	past := time.Now().Add(-time.Hour).Truncate(time.Second)
	if got := w.do(w.transfer().with("Step-Up-Token", claims("exp", past.Unix()))); got.status != 201 {
		t.Fatalf("expired step-up: %d %s", got.status, got.body)
	}
	if su := w.wallet.last(t).principal.StepUp; su == nil || !su.ExpiresAt.Equal(past) {
		t.Fatalf("the owner cannot see the expiry: %+v", su)
	}
	if got := w.do(ask{method: "GET", path: "/v1/wallets",
		header: map[string]string{"Authorization": "Bearer " + w.stepUpToken()}}); got.status != 401 {
		t.Fatalf("a step-up token as credential: %d", got.status)
	}
}

func TestRevocation(t *testing.T) {
	t.Parallel()
	w := setup(t)
	read := ask{method: "GET", path: "/v1/wallets"}.with("Authorization", "Bearer "+w.token())
	if got := w.do(read); got.status != 201 {
		t.Fatalf("before: %d", got.status)
	}
	w.users.set(func() { w.users.revoked = append(w.users.revoked, w.session) })
	asked := w.users.count()
	eventually(t, "the revoked token's death", func() bool {
		polls := w.users.count() - asked
		dead := w.do(read).status == 401
		if !dead && polls >= 3 { // the first may have been under way, the second told of it, the third began when that was done
			t.Fatalf("the token lives after %d polls", polls)
		}
		return dead
	})
	refused(t, w.do(read), 401, "session_revoked")
	w.users.set(func() { w.users.revoked = nil }) // the list has moved on; the session stays dead
	before := w.users.count()
	eventually(t, "two polls", func() bool { return w.users.count() >= before+2 })
	refused(t, w.do(read), 401, "session_revoked")
	w.session = uuid.NewString()
	if got := w.do(read.with("Authorization", "Bearer "+w.token())); got.status != 201 {
		t.Fatalf("a new session: %d", got.status)
	}
	if uri := w.users.last(t).uri; !strings.Contains(uri, "since=") {
		t.Fatalf("poll %s asks for everything again", uri)
	}
}

func TestUserServiceDown(t *testing.T) {
	t.Parallel()
	t.Run("at the start", func(t *testing.T) {
		t.Parallel()
		w := setup(t, func(w *world) { w.users.set(func() { w.users.down = true }) })
		if err := w.service.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "revocations") {
			t.Fatalf("ready without revocations: %v", err)
		}
		read := ask{method: "GET", path: "/v1/wallets"}.with("Authorization", "Bearer "+w.token())
		refused(t, w.do(read), 503, "unavailable")
		if got := w.do(ask{method: "GET", path: "/v1/slow"}); got.status != 201 {
			t.Fatalf("an open operation of another service: %d", got.status)
		}
		w.users.set(func() { w.users.down = false })
		eventually(t, "recovery", func() bool { return w.do(read).status == 201 })
	})
	t.Run("later", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		read := ask{method: "GET", path: "/v1/wallets"}
		if got := w.do(read.with("Authorization", "Bearer "+w.token())); got.status != 201 {
			t.Fatalf("%d", got.status)
		}
		next := newKey(t)
		w.users.set(func() { w.users.down = true })
		w.users.publish(map[string]*ecdsa.PrivateKey{kid: w.key, "key-2": next})
		if got := w.do(read.with("Authorization", "Bearer "+w.token())); got.status != 201 {
			t.Fatalf("a known key while user is down: %d", got.status)
		}
		rotated := read.with("Authorization", "Bearer "+sign(t, next, map[string]any{"kid": "key-2"}, w.access()))
		// For a second after the last good answer the strange key is a stranger's; then user is asked, and does not answer.
		eventually(t, "503", func() bool { return w.do(rotated).status == 503 })
		refused(t, w.do(rotated), 503, "unavailable")
		w.users.set(func() { w.users.down = false })
		eventually(t, "the new key", func() bool { return w.do(rotated).status == 201 })
	})
}

func TestUnknownKeysDoNotFlood(t *testing.T) {
	t.Parallel()
	w := setup(t)
	read := ask{method: "GET", path: "/v1/wallets"}
	w.do(read.with("Authorization", "Bearer "+w.token()))
	for range 50 {
		w.do(read.with("Authorization", "Bearer "+sign(t, newKey(t), map[string]any{"kid": uuid.NewString()}, w.access())))
	}
	w.users.mu.Lock()
	defer w.users.mu.Unlock()
	if w.users.jwksN > 6 {
		t.Fatalf("50 strange tokens asked user %d times for its keys", w.users.jwksN)
	}
}

func TestServiceCalls(t *testing.T) {
	t.Parallel()
	w := setup(t)
	post := ask{method: "POST", path: "/v1/ledger/transactions", body: `{"amount":{"amount":5,"currency":"KES"}}`,
		header: map[string]string{"Sendtip-Service-Key": walletKey}}
	in := func(a ask) answer { return w.send(w.internal.URL, a) }
	if got := in(post); got.status != 200 {
		t.Fatalf("as itself: %d %s", got.status, got.body)
	}
	if p := w.transactions.last(t).principal; p.Subject != "service:wallet" || p.Act != "" || !p.Has("ledger:post") ||
		p.Service() != "wallet" {
		t.Fatalf("principal %+v", p)
	}
	if got := in(post.with("Sendtip-Service-Key", "an-older-key")); got.status != 200 {
		t.Fatalf("the previous key during a rotation: %d", got.status)
	}
	w.do(w.transfer())
	delegation := w.wallet.last(t).delegation
	if got := in(post.with("Sendtip-On-Behalf-Of", delegation)); got.status != 200 {
		t.Fatalf("on behalf: %d %s", got.status, got.body)
	}
	s := w.transactions.last(t)
	if p := s.principal; p.Subject != "user:"+w.user || p.Act != "service:wallet" || p.SessionID != w.session || len(p.Roles) != 0 ||
		p.Has("wallet:write") || !p.Has("ledger:post") || p.StepUp != nil {
		t.Fatalf("principal on behalf %+v", p)
	}
	if got := in(post.with("Sendtip-On-Behalf-Of", s.delegation)); got.status != 401 {
		t.Fatalf("a delegation for transactions in wallet's hand: %d", got.status)
	}
	claims := func(change func(c *kitauth.Claims)) string {
		c := kitauth.Claims{RegisteredClaims: jwt.RegisteredClaims{Subject: "user:" + w.user, Audience: jwt.ClaimStrings{"wallet"}}}
		change(&c)
		token, err := kitauth.Mint(delegationKey, time.Now(), c)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	own, err := kitauth.Mint(identityKey("wallet"), time.Now(),
		kitauth.Claims{RegisteredClaims: jwt.RegisteredClaims{Subject: "user:" + w.user, Audience: jwt.ClaimStrings{"wallet"}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		ask    ask
		status int
		code   string
	}{
		"no key":           {post.with("Sendtip-Service-Key", ""), 401, "unauthenticated"},
		"wrong key":        {post.with("Sendtip-Service-Key", walletKey+"x"), 401, "invalid_service_key"},
		"the hash as key":  {post.with("Sendtip-Service-Key", hashServiceKey(walletKey)), 401, "invalid_service_key"},
		"user token":       {post.with("Sendtip-Service-Key", "").with("Authorization", "Bearer "+w.token()), 401, "unauthenticated"},
		"scope":            {post.with("Sendtip-Service-Key", userSvcKey), 403, "forbidden"},
		"public operation": {w.transfer().with("Sendtip-Service-Key", walletKey), 404, "not_found"},
		"minted by wallet": {post.with("Sendtip-On-Behalf-Of", own), 401, "invalid_delegation"},
		"its own identity": {post.with("Sendtip-On-Behalf-Of", w.wallet.last(t).header.Get("Sendtip-Identity")), 401, "invalid_delegation"},
		"other audience": {post.with("Sendtip-On-Behalf-Of", claims(func(c *kitauth.Claims) { c.Audience = jwt.ClaimStrings{"user"} })), 401,
			"invalid_delegation"},
		"two audiences": {post.with("Sendtip-On-Behalf-Of",
			claims(func(c *kitauth.Claims) { c.Audience = jwt.ClaimStrings{"wallet", "user"} })), 401, "invalid_delegation"},
		"expired": {post.with("Sendtip-On-Behalf-Of",
			claims(func(c *kitauth.Claims) { c.ExpiresAt = jwt.NewNumericDate(time.Now().Add(-time.Minute)) })), 401, "invalid_delegation"},
		"too long": {post.with("Sendtip-On-Behalf-Of",
			claims(func(c *kitauth.Claims) { c.ExpiresAt = jwt.NewNumericDate(time.Now().Add(time.Hour)) })), 401, "invalid_delegation"},
		"access token":     {post.with("Sendtip-On-Behalf-Of", w.token()), 401, "invalid_delegation"},
		"bad body, inside": {post.withBody(`{"amount":{"amount":1.0,"currency":"KES"}}`), 400, "invalid_request"},
		"docs, inside":     {ask{method: "GET", path: "/docs"}, 404, "not_found"},
	} {
		t.Run(name, func(t *testing.T) { refused(t, in(c.ask), c.status, c.code) })
	}
	short := time.Now().Add(20 * time.Second).Truncate(time.Second)
	if got := in(post.with("Sendtip-On-Behalf-Of",
		claims(func(c *kitauth.Claims) { c.ExpiresAt = jwt.NewNumericDate(short) }))); got.status != 200 {
		t.Fatalf("short delegation: %d", got.status)
	}
	if exp := w.transactions.last(t).expires; exp.After(short) {
		t.Fatalf("the new token ends at %s, after the old one at %s", exp, short)
	}
}

func TestAroundTheGateway(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.wallet.URL+"/v1/wallets", nil)
	if err != nil {
		t.Fatal(err)
	}
	w.do(w.transfer())
	r.Header.Set("Sendtip-Identity", w.wallet.last(t).delegation) // the delegation is no identity
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 401 {
		t.Fatalf("a delegation as identity: %d", resp.StatusCode)
	}
}

// TestActor: an operation of agents takes the token of a user who acts as one, and its service learns as which.
func TestActor(t *testing.T) {
	t.Parallel()
	w := setup(t)
	cashIn := func(claims jwt.MapClaims) ask {
		return ask{method: "POST", path: "/v1/cash-ins", header: map[string]string{"Authorization": "Bearer " + sign(t, w.key, nil, claims)}}
	}
	agent := uuid.NewString()
	if a := w.do(cashIn(with(w.access(), "agent_id", agent))); a.status >= 400 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	p := w.wallet.last(t).principal
	if p.AgentID != agent || p.Subject != "user:"+w.user || p.Operation != "createCashIn" {
		t.Errorf("principal %+v", p)
	}
	before := w.wallet.count()
	refused(t, w.do(cashIn(w.access())), 403, "agent_required")
	refused(t, w.do(cashIn(with(w.access(), "agent_id", ""))), 403, "agent_required")
	refused(t, w.do(cashIn(with(w.access(), "roles", []string{"agent"}))), 403, "agent_required") // a role names no agent
	refused(t, w.do(cashIn(with(with(w.access(), "agent_id", agent), "scope", "wallet:read"))), 403, "forbidden")
	if n := w.wallet.count() - before; n != 0 {
		t.Errorf("%d refused requests reached the service", n)
	}
	read := ask{method: "GET", path: "/v1/wallets", header: cashIn(with(w.access(), "agent_id", agent)).header}
	if a := w.do(read); a.status >= 400 || w.wallet.last(t).principal.AgentID != agent {
		t.Errorf("an agent is a user, too: %d %s", a.status, a.body)
	}
	// A service that acts for the agent is none: its calls carry the person only.
	lookup := w.send(w.internal.URL, ask{method: "POST", path: "/v1/internal/recipient-lookups", body: `{"phone":"+254712345678"}`,
		header: map[string]string{kitauth.ServiceKeyHeader: walletKey, kitauth.OnBehalfOfHeader: w.wallet.last(t).delegation}})
	p = w.users.lastOf(t, "lookupRecipient").principal
	if lookup.status >= 400 || p.Subject != "user:"+w.user || p.Act != "service:wallet" || p.AgentID != "" {
		t.Errorf("%d %s, principal %+v", lookup.status, lookup.body, p)
	}
}
