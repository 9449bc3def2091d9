package main

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/sendtip/sendtip/cmd/sendtip/keys"
	"github.com/sendtip/sendtip/generated/scopes"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/config"
)

// tokenLife is how long a token is used: the gateway's live a minute at most.
const tokenLife = 30 * time.Second

// tokens are the identity tokens that the gateway would send with each request.
type tokens struct {
	identity   []byte
	serviceKey string
	current    atomic.Pointer[minted]
}

type minted struct {
	token string
	at    time.Time
}

func newTokens(set keys.Set) (*tokens, error) {
	identity, err := set.Read(keys.Of("transactions", keys.Identity))
	if err != nil {
		return nil, err
	}
	service, err := set.Read(keys.Of("wallet", keys.Service))
	if err != nil {
		return nil, err
	}
	return &tokens{identity: config.NewSecret(identity).Bytes(), serviceKey: service}, nil
}

// service is the token of a caller that may post, read and open accounts; a new one every 30 s.
func (t *tokens) service() (string, error) {
	if m := t.current.Load(); m != nil && time.Since(m.at) < tokenLife {
		return m.token, nil
	}
	token, err := t.mint("service:wallet", scopes.LedgerPost+" "+scopes.LedgerRead+" "+scopes.LedgerAccounts)
	if err != nil {
		return "", err
	}
	t.current.Store(&minted{token, time.Now()})
	return token, nil
}

// user is the token of an account's owner.
func (t *tokens) user(id uuid.UUID) (string, error) {
	return t.mint("user:"+id.String(), scopes.WalletRead)
}

func (t *tokens) mint(subject, scope string) (string, error) {
	token, err := auth.Mint(t.identity, time.Now(),
		auth.Claims{RegisteredClaims: jwt.RegisteredClaims{Subject: subject, Audience: jwt.ClaimStrings{"transactions"}}, Scope: scope})
	if err != nil {
		return "", fmt.Errorf("mint token: %w", err)
	}
	return token, nil
}
