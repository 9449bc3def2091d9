package auth

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/sendtip/sendtip/gateway/internal/contract"
	kitauth "github.com/sendtip/sendtip/kit/auth"
)

// Services knows the platform's own services by the hash of their key.
type Services struct {
	byHash      map[[32]byte]string
	scopes      map[string][]string
	delegations map[string]*kitauth.Verifier
}

// NewServices takes the hex SHA-256 hashes of each service's keys (two during a rotation), the scopes of services.yaml and the keys
// of delegation tokens.
func NewServices(hashes map[string][]string, scopes map[string][]string, delegationKeys [][]byte,
	now func() time.Time) (*Services, error) {
	s := &Services{byHash: map[[32]byte]string{}, scopes: scopes, delegations: map[string]*kitauth.Verifier{}}
	for name, all := range hashes {
		if _, ok := scopes[name]; !ok {
			return nil, fmt.Errorf("service keys: %s is not in services.yaml", name)
		}
		for _, h := range all {
			raw, err := hex.DecodeString(h)
			if err != nil || len(raw) != sha256.Size {
				return nil, fmt.Errorf("service keys: the hash of %s is not a hex SHA-256", name)
			}
			s.byHash[[32]byte(raw)] = name
		}
		s.delegations[name] = kitauth.NewVerifier(name, now, delegationKeys...)
	}
	return s, nil
}

// Caller returns the service that the key belongs to. With a delegation token it acts for that token's subject: never with the
// subject's scopes or roles, and never for longer than the token.
func (s *Services) Caller(key, delegation string) (Caller, error) {
	name, ok := s.byHash[sha256.Sum256([]byte(key))]
	if key == "" || !ok {
		return Caller{}, ErrServiceKey
	}
	c := Caller{Scheme: contract.ServiceKey, Subject: "service:" + name, Scopes: s.scopes[name]}
	if delegation == "" {
		return c, nil
	}
	claims, err := s.delegations[name].Verify(delegation) // also: its audience is the caller
	if err != nil {
		return Caller{}, ErrDelegation
	}
	c.Act, c.Subject, c.SessionID, c.ExpiresAt = c.Subject, claims.Subject, claims.SessionID, claims.ExpiresAt.Time
	c.Via = claims.Operation
	if id, ok := strings.CutPrefix(claims.Subject, "user:"); ok {
		c.User = id
	}
	return c, nil
}

// TokenExpiry returns when tokens minted now for the caller end.
func (c Caller) TokenExpiry(now time.Time) time.Time {
	end := now.Add(kitauth.MaxLife)
	if !c.ExpiresAt.IsZero() && c.ExpiresAt.Before(end) {
		return c.ExpiresAt
	}
	return end
}
