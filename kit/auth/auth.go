// Package auth turns the identity token that the gateway mints for a service into a Principal. It is the only check of identity
// inside a service: a request that did not come through the gateway has no such token and gets 401.
package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/fault"
)

// Headers between the gateway and services.
const (
	// IdentityHeader carries the identity token from the gateway to a service.
	IdentityHeader = "Sendtip-Identity"
	// DelegationHeader carries the delegation token along with it.
	DelegationHeader = "Sendtip-Delegation"
	// OnBehalfOfHeader carries the delegation token back to the gateway within the same request.
	OnBehalfOfHeader = "Sendtip-On-Behalf-Of"
	// OtherKeyHeader tells the gateway that its identity token was signed with another key than the service's: the 401 is no caller's fault.
	OtherKeyHeader = "Sendtip-Other-Key"
	// ServiceKeyHeader carries a service's own key to the gateway's internal listener.
	ServiceKeyHeader = "Sendtip-Service-Key"
)

// Issuer is the issuer of identity and delegation tokens.
const Issuer = "sendtip-gateway"

// MaxLife is the longest life of an identity token.
const MaxLife = 60 * time.Second

// skew is how far the gateway's clock may differ from a service's.
const skew = 5 * time.Second

// StepUp is what the gateway found in a checked step-up token; the owner of the operation checks expiry and hash, and spends JTI.
type StepUp struct {
	JTI       string
	Hash      string
	ExpiresAt time.Time
}

// Principal is who asks.
type Principal struct {
	Subject   string // user:<uuid>, partner:<uuid>, service:<name>, provider:<name>, anonymous
	Act       string // service:<name>, the service that calls on the subject's behalf, or ""
	Scopes    []string
	Roles     []string
	SessionID string
	AgentID   string // the agent as whom a user acts, or ""; never of a call on the user's behalf
	Operation string // operationId
	Source    string // of a provider: SourceKnown if it sends from one of its published addresses
	StepUp    *StepUp
}

// SourceKnown and SourceStranger say where a provider's message came from. A message without either came from a stranger.
const (
	SourceKnown    = "known"
	SourceStranger = "stranger"
)

// Stranger says that nothing but the path's token speaks for a provider's message: it may be anybody's who has read a log.
func (p Principal) Stranger() bool { return p.Source != SourceKnown }

// UserID returns the user's id if the subject is a user.
func (p Principal) UserID() (uuid.UUID, bool) {
	s, ok := strings.CutPrefix(p.Subject, "user:")
	if !ok {
		return uuid.Nil, false
	}
	id, err := uuid.Parse(s)
	return id, err == nil
}

// Service returns the name of the calling service, or "".
func (p Principal) Service() string {
	if s, ok := strings.CutPrefix(p.Act, "service:"); ok {
		return s
	}
	s, _ := strings.CutPrefix(p.Subject, "service:")
	if s == p.Subject {
		return ""
	}
	return s
}

// Has says whether the scope was granted.
func (p Principal) Has(scope string) bool { return slices.Contains(p.Scopes, scope) }

// Key is the scope of idempotency keys: a service's inline call on somebody's behalf and its job share it.
func (p Principal) Key() string {
	if p.Act != "" {
		return p.Act
	}
	return p.Subject
}

// Claims are those of identity and delegation tokens.
type Claims struct {
	jwt.RegisteredClaims
	Act        string           `json:"act,omitempty"`
	Scope      string           `json:"scope,omitempty"`
	Roles      []string         `json:"roles,omitempty"`
	SessionID  string           `json:"sid,omitempty"`
	AgentID    string           `json:"agent_id,omitempty"`
	Operation  string           `json:"op,omitempty"`
	Source     string           `json:"src,omitempty"`
	StepUpJTI  string           `json:"su_jti,omitempty"`
	StepUpHash string           `json:"su_hash,omitempty"`
	StepUpExp  *jwt.NumericDate `json:"su_exp,omitempty"`
}

// Principal reads the claims.
func (c Claims) Principal() Principal {
	p := Principal{Subject: c.Subject, Act: c.Act, Scopes: strings.Fields(c.Scope), Roles: c.Roles, SessionID: c.SessionID, AgentID: c.AgentID,
		Operation: c.Operation, Source: c.Source}
	if c.StepUpJTI != "" && c.StepUpExp != nil {
		p.StepUp = &StepUp{JTI: c.StepUpJTI, Hash: c.StepUpHash, ExpiresAt: c.StepUpExp.Time}
	}
	return p
}

// Mint signs claims with HS256. The gateway and tests use it; issuer, times and id are filled in when absent.
func Mint(key []byte, now time.Time, c Claims) (string, error) {
	if len(key) < 32 {
		return "", errors.New("identity key is shorter than 32 bytes")
	}
	if c.Issuer == "" {
		c.Issuer = Issuer
	}
	if c.IssuedAt == nil {
		c.IssuedAt = jwt.NewNumericDate(now)
	}
	if c.ExpiresAt == nil {
		c.ExpiresAt = jwt.NewNumericDate(now.Add(MaxLife))
	}
	if c.ID == "" {
		c.ID = uuid.NewString()
	}
	return jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString(key)
}

// maxVerified bounds the tokens that a verifier remembers.
const maxVerified = 4096

// Verifier checks tokens that were minted for one audience. It remembers those that it has checked until they expire: a caller sends the
// same one many times, and reading a token takes longer than posting to the ledger may.
type Verifier struct {
	audience string
	keys     [][]byte
	parser   *jwt.Parser
	now      func() time.Time

	mu       sync.RWMutex
	verified map[string]verified
}

type verified struct {
	principal Principal // shared by requests: nobody changes it
	expires   time.Time
}

// NewVerifier accepts tokens for the audience signed with any of the keys (two during a rotation).
func NewVerifier(audience string, now func() time.Time, keys ...[]byte) *Verifier {
	return &Verifier{audience: audience, keys: keys, now: now, verified: map[string]verified{}, parser: jwt.NewParser(jwt.WithTimeFunc(now),
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithIssuer(Issuer), jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(skew))}
}

// Verify returns the claims of a valid token, or fault.ErrUnauthenticated.
func (v *Verifier) Verify(token string) (Claims, error) {
	err := errors.New("no key")
	for _, key := range v.keys {
		var c Claims
		if _, err = v.parser.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return key, nil }); err != nil {
			continue
		}
		if len(c.Audience) != 1 || c.Audience[0] != v.audience || c.Subject == "" || c.IssuedAt == nil ||
			c.ExpiresAt.Sub(c.IssuedAt.Time) > MaxLife+time.Second {
			return Claims{}, fmt.Errorf("%w: claims", fault.ErrUnauthenticated)
		}
		return c, nil
	}
	return Claims{}, fmt.Errorf("%w: %w", fault.ErrUnauthenticated, err)
}

// principal is Verify for requests: what a token said the first time holds until it expires.
func (v *Verifier) principal(token string) (Principal, error) {
	v.mu.RLock()
	known, ok := v.verified[token]
	v.mu.RUnlock()
	if ok && v.now().Before(known.expires) {
		return known.principal, nil
	}
	c, err := v.Verify(token)
	if err != nil {
		return Principal{}, err
	}
	known = verified{c.Principal(), c.ExpiresAt.Time}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.verified) >= maxVerified {
		clear(v.verified) // tokens live for a minute: sorting out the old ones is not worth its code
	}
	v.verified[token] = known
	return known.principal, nil
}

// Middleware lets a request through only with a valid identity token; refuse writes the problem.
func (v *Verifier) Middleware(refuse func(w http.ResponseWriter, r *http.Request, err error)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p, err := v.principal(r.Header.Get(IdentityHeader))
			if err != nil {
				if errors.Is(err, jwt.ErrTokenSignatureInvalid) {
					w.Header().Set(OtherKeyHeader, "1")
				}
				refuse(w, r, err)
				return
			}
			ctx := context.WithValue(r.Context(), callerKey{}, caller{p, r.Header.Get(DelegationHeader)})
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
}

type callerKey struct{}

// caller is who asks, with the token to hand back for calls on its behalf.
type caller struct {
	principal  Principal
	delegation string
}

// With returns a context that carries the principal; jobs and consumers act as their service by it.
func With(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, callerKey{}, caller{principal: p, delegation: Delegation(ctx)})
}

// From returns the principal, or one with the empty subject.
func From(ctx context.Context) Principal {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c.principal
}

// Delegation returns the token to hand back for calls on the principal's behalf within this request, or "".
func Delegation(ctx context.Context) string {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c.delegation
}

// WithoutDelegation returns a context whose calls are made as the service itself.
func WithoutDelegation(ctx context.Context) context.Context {
	return context.WithValue(ctx, callerKey{}, caller{principal: From(ctx)})
}

// Require answers fault.ErrForbidden unless the scope was granted.
func Require(ctx context.Context, scope string) error {
	if !From(ctx).Has(scope) {
		return fault.ErrForbidden
	}
	return nil
}

// UserFrom returns the user who asks, or fault.ErrForbidden when the principal is no user.
func UserFrom(ctx context.Context) (uuid.UUID, error) {
	id, ok := From(ctx).UserID()
	if !ok {
		return uuid.Nil, fault.ErrForbidden
	}
	return id, nil
}
