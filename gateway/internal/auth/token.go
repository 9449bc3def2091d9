package auth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/sendtip/sendtip/gateway/internal/contract"
	"github.com/sendtip/sendtip/gateway/internal/strictjson"
	"github.com/sendtip/sendtip/kit/fault"
)

// Issuer and audience of the tokens that the user service signs.
const (
	issuer   = "sendtip"
	audience = "sendtip"

	typAccess = "at+jwt"
	typStepUp = "step-up+jwt"
)

const (
	leeway = 5 * time.Second
	// maxLife is the life of an access token with some slack. A longer one would outlive the memory of its revocation.
	maxLife = 10*time.Minute + 30*time.Second
	// cacheLife is how long a verified signature is trusted without checking it again.
	cacheLife    = 60 * time.Second
	maxTokenSize = 4096
	cacheShards  = 16
	shardSize    = 4096
)

type accessClaims struct {
	jwt.RegisteredClaims
	SessionID string   `json:"sid"`
	AgentID   string   `json:"agent_id"`
	Scope     string   `json:"scope"`
	Roles     []string `json:"roles"`
	Env       string   `json:"env"`
}

// StepUp is what a step-up token proves. Expiry is passed on, not checked: a replay needs no fresh token, and only the owner of the
// operation knows whether this is one.
type StepUp struct {
	JTI       string
	Hash      string
	ExpiresAt time.Time
}

type stepUpClaims struct {
	jwt.RegisteredClaims
	SessionID string `json:"sid"`
	Operation string `json:"op"`
	Hash      string `json:"hash"`
	Env       string `json:"env"`
}

// Tokens verifies what the user service signs.
type Tokens struct {
	keys   *Keys
	env    string
	now    func() time.Time
	access *jwt.Parser
	stepUp *jwt.Parser
	cache  [cacheShards]shard
}

type shard struct {
	mu    sync.Mutex
	known map[[32]byte]cached
}

type cached struct {
	caller Caller
	until  time.Time
}

// NewTokens makes a verifier for one environment.
func NewTokens(keys *Keys, env string, now func() time.Time) *Tokens {
	t := &Tokens{keys: keys, env: env, now: now,
		access: jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}), jwt.WithIssuer(issuer), jwt.WithAudience(audience),
			jwt.WithExpirationRequired(),
			jwt.WithIssuedAt(), jwt.WithLeeway(leeway), jwt.WithTimeFunc(now), jwt.WithStrictDecoding()),
		stepUp: jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}), jwt.WithoutClaimsValidation(), jwt.WithStrictDecoding())}
	for i := range t.cache {
		t.cache[i].known = map[[32]byte]cached{}
	}
	return t
}

// Access verifies an access token, or finds it among those verified a moment ago. Revocation is not its matter.
func (t *Tokens) Access(ctx context.Context, token string) (Caller, error) {
	if len(token) > maxTokenSize {
		return Caller{}, ErrToken
	}
	sum, now := sha256.Sum256([]byte(token)), t.now()
	s := &t.cache[sum[0]%cacheShards]
	s.mu.Lock()
	hit, ok := s.known[sum]
	s.mu.Unlock()
	if ok && now.Before(hit.until) {
		return hit.caller, nil
	}
	c, err := t.verify(ctx, token)
	if err != nil {
		return Caller{}, err
	}
	until := now.Add(cacheLife)
	if c.ExpiresAt.Before(until) {
		until = c.ExpiresAt
	}
	s.put(sum, cached{caller: c, until: until}, now)
	return c, nil
}

// put keeps the shard small: what has run out goes first, then anything.
func (s *shard) put(sum [32]byte, c cached, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= shardSize {
		for k, old := range s.known {
			if !now.Before(old.until) {
				delete(s.known, k)
			}
		}
	}
	for k := range s.known {
		if len(s.known) < shardSize {
			break
		}
		delete(s.known, k)
	}
	s.known[sum] = c
}

func (t *Tokens) verify(ctx context.Context, token string) (Caller, error) {
	if err := t.shape(token, typAccess); err != nil {
		return Caller{}, err
	}
	var c accessClaims
	if _, err := t.access.ParseWithClaims(token, &c, t.keyFor(ctx)); err != nil {
		return Caller{}, refusal(err)
	}
	if c.IssuedAt == nil || c.ExpiresAt.Sub(c.IssuedAt.Time) > maxLife || len(c.Audience) != 1 || !isID(c.Subject) || !isID(c.SessionID) ||
		c.AgentID != "" && !isID(c.AgentID) {
		return Caller{}, ErrToken
	}
	return Caller{Scheme: contract.UserAuth, Subject: "user:" + c.Subject, User: c.Subject, SessionID: c.SessionID, AgentID: c.AgentID,
		Scopes: strings.Fields(c.Scope), Roles: c.Roles, IssuedAt: c.IssuedAt.Time, ExpiresAt: c.ExpiresAt.Time}, nil
}

func isID(s string) bool {
	_, err := uuid.Parse(s)
	return err == nil && len(s) == 36
}

// StepUp verifies a step-up token for a user's session and an operation.
func (t *Tokens) StepUp(ctx context.Context, token string, c Caller, operation string) (StepUp, error) {
	if len(token) > maxTokenSize || t.shape(token, typStepUp) != nil {
		return StepUp{}, ErrStepUp
	}
	var s stepUpClaims
	if _, err := t.stepUp.ParseWithClaims(token, &s, t.keyFor(ctx)); err != nil {
		if errors.Is(err, fault.ErrUnavailable) {
			return StepUp{}, refusal(err)
		}
		return StepUp{}, ErrStepUp
	}
	bound := s.Issuer == issuer && len(s.Audience) == 1 && s.Audience[0] == audience && s.Env == t.env && s.Subject == c.User &&
		c.User != "" &&
		s.SessionID == c.SessionID && s.Operation == operation
	notYet := s.NotBefore != nil && s.NotBefore.After(t.now().Add(leeway))
	if !bound || notYet || s.ID == "" || s.Hash == "" || s.ExpiresAt == nil {
		return StepUp{}, ErrStepUp
	}
	return StepUp{JTI: s.ID, Hash: s.Hash, ExpiresAt: s.ExpiresAt.Time}, nil
}

// shape checks what golang-jwt leaves open, before any key is looked up: the exact type, no header that names a key of its own, no
// duplicate members, and our environment. The last may be read unverified, because it can only refuse.
func (t *Tokens) shape(token, typ string) error {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ErrToken
	}
	header, err := object(parts[0])
	if err != nil {
		return err
	}
	for name := range header {
		if name != "alg" && name != "typ" && name != "kid" { // jku, x5u, x5c, jwk, crit, b64, …
			return ErrToken
		}
	}
	if header["alg"] != "ES256" || header["typ"] != typ {
		return ErrToken
	}
	claims, err := object(parts[1])
	if err != nil {
		return err
	}
	if env, ok := claims["env"].(string); !ok || env == "" {
		return ErrToken
	} else if env != t.env {
		return ErrWrongEnvironment
	}
	return nil
}

func object(part string) (map[string]any, error) {
	data, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return nil, ErrToken
	}
	v, bad := strictjson.Decode(data, strictjson.Options{})
	m, ok := v.(map[string]any)
	if bad != nil || !ok {
		return nil, ErrToken
	}
	return m, nil
}

func (t *Tokens) keyFor(ctx context.Context) jwt.Keyfunc {
	return func(token *jwt.Token) (any, error) {
		kid, _ := token.Header["kid"].(string)
		return t.keys.Get(ctx, kid)
	}
}

func refusal(err error) error {
	switch {
	case errors.Is(err, fault.ErrUnavailable):
		return fault.ErrUnavailable
	case errors.Is(err, jwt.ErrTokenExpired) && !errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return ErrExpired
	}
	return ErrToken
}
