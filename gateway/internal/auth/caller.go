// Package auth finds out who asks: a signed-in user (ES256 token), a partner (API key) or another service (service key), and on whose
// behalf. It is the only such check of the platform; services trust the identity token that is minted from its result.
package auth

import (
	"slices"
	"strings"
	"time"

	"github.com/sendtip/sendtip/gateway/internal/contract"
	"github.com/sendtip/sendtip/kit/fault"
)

// Refusals.
var (
	ErrMissing          = fault.New(fault.Unauthenticated, "unauthenticated", "No valid credential was sent.")
	ErrAmbiguous        = fault.New(fault.Invalid, "ambiguous_credentials", "Send exactly one credential.")
	ErrToken            = fault.New(fault.Unauthenticated, "invalid_token", "The token is not valid.")
	ErrExpired          = fault.New(fault.Unauthenticated, "token_expired", "The token has expired; refresh the session.")
	ErrRevoked          = fault.New(fault.Unauthenticated, "session_revoked", "Your session has ended; sign in again.")
	ErrWrongEnvironment = fault.New(fault.Unauthenticated, "wrong_environment", "The credential belongs to another environment.")
	ErrServiceKey       = fault.New(fault.Unauthenticated, "invalid_service_key", "The service key is not valid.")
	ErrDelegation       = fault.New(fault.Unauthenticated, "invalid_delegation", "The delegation is not valid.")
	ErrStepUp           = fault.New(fault.Forbidden, "step_up_invalid", "The step-up token is not valid for this operation.")
	ErrStepUpMissing    = fault.New(fault.Forbidden, "step_up_required", "Confirm the operation with the PIN first.")
	ErrAgent            = fault.New(fault.Forbidden, "agent_required", "Only an agent may do this.")
	ErrScope            = fault.New(fault.Forbidden, "forbidden", "You are not allowed to do this.")
)

// Caller is who asks, as the credential proves it.
type Caller struct {
	Scheme    string // of the contract; empty: anonymous
	Subject   string // of the identity token
	Act       string // the service that calls on the subject's behalf
	Via       string // the operation within which it calls
	User      string // the user's id, or ""
	SessionID string
	AgentID   string // as whom the user acts, or ""
	Scopes    []string
	Roles     []string
	IssuedAt  time.Time
	ExpiresAt time.Time // identity tokens never outlive the credential; zero: no end
}

// Anonymous is the caller of an open operation.
var Anonymous = Caller{Subject: "anonymous"}

// Key names who is limited: the service that calls, else the subject.
func (c Caller) Key() string {
	if c.Act != "" {
		return c.Act
	}
	return c.Subject
}

// Allow decides by the alternatives of an operation: one of them must name the caller's scheme, and the caller must have all of its scopes.
func (c Caller) Allow(alternatives []contract.Alternative) error {
	for _, a := range alternatives {
		if a.Scheme == c.Scheme && c.hasAll(a.Scopes) {
			return nil
		}
	}
	return ErrScope
}

// CheckActor decides by the operation's x-actor: an agent's operation demands that the token names one.
func (c Caller) CheckActor(actor string) error {
	if actor == contract.Agent && c.AgentID == "" {
		return ErrAgent
	}
	return nil
}

func (c Caller) hasAll(scopes []string) bool {
	for _, s := range scopes {
		if !slices.Contains(c.Scopes, s) {
			return false
		}
	}
	return true
}

// ScopeText is the scopes as the identity token carries them.
func (c Caller) ScopeText() string { return strings.Join(c.Scopes, " ") }
