package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/generated/scopes"
	userdb "github.com/sendtip/sendtip/generated/user/db"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/stepup"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

// StepUpInput is the PIN, and what it approves.
type StepUpInput struct {
	Pin, Operation string
	Approves       domain.StepUpSubject
}

// StepUp is an approval to hand in with the operation.
type StepUp struct {
	Token     string
	ExpiresAt time.Time
}

// CreateStepUp turns the PIN into an approval of one operation on one object. The operation's owner spends it, so nothing is
// stored here; wrong PINs count against the same lock as signing in on
// an own device. A customer without a number has a PIN like any other.
func (a *App) CreateStepUp(ctx context.Context, in StepUpInput) (StepUp, error) {
	u, session, err := a.caller(ctx)
	if err != nil {
		return StepUp{}, err
	}
	hash, err := domain.StepUpHash(in.Operation, in.Approves)
	if err != nil {
		return StepUp{}, err
	}
	phone, err := a.open("user.phone", u.ID, u.PhoneSealed)
	if err != nil {
		return StepUp{}, err
	}
	if err := a.tryPin(ctx, pinTry{user: &u, phone: phone, pin: in.Pin, own: true}); errors.Is(err, errPinWrong) {
		return StepUp{}, domain.ErrPinInvalid
	} else if err != nil {
		return StepUp{}, err
	}
	now := a.Now()
	expires := now.Add(domain.StepUpLife).Truncate(time.Second)
	claims, err := a.registered(u.ID, now, expires)
	if err != nil {
		return StepUp{}, err
	}
	token, err := a.Keys.signed("step-up+jwt", stepUpClaims{claims, session.String(), in.Operation, hash, a.Common.Env})
	return StepUp{Token: token, ExpiresAt: expires}, err
}

// caller returns the active customer of a live session. Gateways learn of a revocation within a second; here it counts at once.
func (a *App) caller(ctx context.Context) (userdb.User, uuid.UUID, error) {
	if err := auth.Require(ctx, scopes.Profile); err != nil {
		return userdb.User{}, uuid.Nil, err
	}
	id, err := auth.UserFrom(ctx)
	if err != nil {
		return userdb.User{}, uuid.Nil, err
	}
	session, err := uuid.Parse(auth.From(ctx).SessionID)
	if err != nil {
		return userdb.User{}, uuid.Nil, fault.ErrForbidden
	}
	live, err := a.q.SessionLive(ctx, a.Pool, session, id, a.Now())
	if err != nil {
		return userdb.User{}, uuid.Nil, fmt.Errorf("read session: %w", err)
	}
	if !live {
		return userdb.User{}, uuid.Nil, domain.ErrSessionEnded
	}
	u, err := a.q.GetUser(ctx, a.Pool, id)
	if pg.IsNoRows(err) {
		return u, session, fault.ErrNotFound
	}
	if err != nil {
		return u, session, fmt.Errorf("read user: %w", err)
	}
	if u.Status != domain.StatusActive {
		return u, session, domain.ErrUserSuspended
	}
	return u, session, nil
}

// spendStepUp takes the approval that came with an operation on an object: the right one, in time, and once. It is called in the first
// transaction of the operation, which takes it back with everything else when it refuses.
func (a *App) spendStepUp(ctx context.Context, tx pgx.Tx, operation string, id uuid.UUID) error {
	shown := auth.From(ctx).StepUp
	switch {
	case shown == nil:
		return domain.ErrStepUpMissing
	case shown.Hash != stepup.Hash(operation, id):
		return domain.ErrStepUpMismatch
	case !shown.ExpiresAt.After(a.Now()):
		return domain.ErrStepUpExpired
	}
	err := a.q.SpendStepUp(ctx, tx, shown.JTI, shown.ExpiresAt)
	if pg.Constraint(err) == "step_ups_once" {
		return domain.ErrStepUpUsed
	}
	if err != nil {
		return fmt.Errorf("spend step-up: %w", err)
	}
	return nil
}
