package app

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/generated/events"
	"github.com/sendtip/sendtip/generated/scopes"
	userdb "github.com/sendtip/sendtip/generated/user/db"
	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

// UserStatus is a customer's status after an operation.
type UserStatus struct {
	ID      uuid.UUID
	Status  string
	Version int64
}

// SuspendUser stops a customer: their sessions end now, and wallet learns it by event.
func (a *App) SuspendUser(ctx context.Context, id uuid.UUID, reason string) (UserStatus, error) {
	return a.setStatus(ctx, id, domain.StatusSuspended, reason)
}

// ReinstateUser lets a customer sign in again. Old sessions stay dead.
func (a *App) ReinstateUser(ctx context.Context, id uuid.UUID) (UserStatus, error) {
	return a.setStatus(ctx, id, domain.StatusActive, "")
}

func (a *App) setStatus(ctx context.Context, id uuid.UUID, status, reason string) (UserStatus, error) {
	operator, err := a.operator(ctx, scopes.AdminUsers)
	if err != nil {
		return UserStatus{}, err
	}
	if operator == id {
		return UserStatus{}, domain.ErrOwnRecord
	}
	var out UserStatus
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) (err error) {
		u, err := a.lockSuspended(ctx, tx, id)
		if err != nil {
			return err
		}
		out = UserStatus{ID: id, Status: status, Version: u.Version}
		if u.Status == status {
			return nil
		}
		out.Version, err = a.changeStatus(ctx, tx, u, status, reason)
		return err
	})
	return out, err
}

// lockSuspended locks the user whose status changes. Only admins change that of staff. Who asks is read under the lock of the admins: of
// two who suspend each other one is too late, so one active admin always remains.
func (a *App) lockSuspended(ctx context.Context, tx pgx.Tx, id uuid.UUID) (userdb.User, error) {
	if err := a.q.LockAdmins(ctx, tx); err != nil {
		return userdb.User{}, fmt.Errorf("lock admins: %w", err)
	}
	u, err := a.lockUser(ctx, tx, id)
	if err != nil || !isStaff(u.Role) {
		return u, err
	}
	_, err = a.operator(ctx, scopes.AdminRoles)
	return u, err
}

func (a *App) changeStatus(ctx context.Context, tx pgx.Tx, u userdb.User, status, reason string) (int64, error) {
	version, err := a.q.UpdateUserStatus(ctx, tx, u.ID, status, a.Now())
	if err != nil {
		return 0, fmt.Errorf("update status: %w", err)
	}
	action := "user.reinstated"
	if status == domain.StatusSuspended {
		action = "user.suspended"
		if err := a.revokeAll(ctx, tx, u.ID, "suspended"); err != nil {
			return 0, err
		}
		if err := a.Approvals.Withdraw(ctx, tx, u.ID); err != nil {
			return 0, err
		}
	}
	detail, err := a.sealedReason(u.ID, reason)
	if err != nil {
		return 0, err
	}
	if err := audit.Record(ctx, tx, a.Now(),
		audit.Entry{Action: action, ObjectType: "user", ObjectID: u.ID.String(), Detail: detail}); err != nil {
		return 0, err
	}
	return version, a.publish(ctx, tx, "user.status_changed", u.ID,
		events.UserStatusChanged{UserID: u.ID, Status: status, Tier: int64(u.Tier), Version: version})
}

func (a *App) revokeAll(ctx context.Context, tx pgx.Tx, user uuid.UUID, reason string) error {
	sessions, err := a.q.RevokeUserSessions(ctx, tx, user, a.Now(), reason)
	if err != nil {
		return fmt.Errorf("revoke sessions: %w", err)
	}
	if err := a.q.InsertRevocations(ctx, tx, sessions, a.ahead()); err != nil {
		return fmt.Errorf("insert revocations: %w", err)
	}
	return nil
}

// operator returns the active member of staff who asks. The token's role was checked by its scopes; what may have changed since is read.
func (a *App) operator(ctx context.Context, scope string) (uuid.UUID, error) {
	if err := auth.Require(ctx, scope); err != nil {
		return uuid.Nil, err
	}
	id, err := auth.UserFrom(ctx)
	if err != nil {
		return uuid.Nil, err
	}
	u, err := a.q.GetUser(ctx, a.Pool, id)
	if pg.IsNoRows(err) {
		return uuid.Nil, fault.ErrForbidden
	}
	if err != nil {
		return uuid.Nil, fmt.Errorf("read operator: %w", err)
	}
	if !isStaff(u.Role) || !slices.Contains(scopes.OfRole(u.Role), scope) || u.Status != domain.StatusActive {
		return uuid.Nil, fault.ErrForbidden
	}
	return id, nil
}

// sealedReason keeps an operator's words in the audit trail: people write names into such fields, so they are sealed.
func (a *App) sealedReason(object uuid.UUID, reason string) (map[string]string, error) {
	if reason == "" {
		return nil, nil
	}
	sealed, err := a.seal("audit.reason", object, reason)
	return map[string]string{"reason_sealed": base64.StdEncoding.EncodeToString(sealed)}, err
}

// Revocation is a session whose access tokens are dead.
type Revocation struct {
	Kind      string
	ID        uuid.UUID
	RevokedAt time.Time
}

// maxRevocations is the limit in the query.
const maxRevocations = 100_000

// ListRevocations returns what gateways have to refuse, and the database's time of before the reading, or of the last entry of a full list.
// An earlier `since` than can matter is raised; nil means everything that can.
func (a *App) ListRevocations(ctx context.Context, since *time.Time) (time.Time, []Revocation, error) {
	if err := auth.Require(ctx, scopes.UsersRevocations); err != nil {
		return time.Time{}, nil, err
	}
	now, err := a.q.DatabaseTime(ctx, a.Pool, a.ahead())
	if err != nil {
		return time.Time{}, nil, fmt.Errorf("read database time: %w", err)
	}
	from := now.Add(-domain.RevocationKeep)
	if since != nil && since.After(from) {
		from = *since
	}
	rows, err := a.q.ListRevocations(ctx, a.Pool, from)
	if err != nil {
		return time.Time{}, nil, fmt.Errorf("list revocations: %w", err)
	}
	if len(rows) == maxRevocations { // the list goes on: asked again from here, with some overlap, it does not skip the rest
		now = rows[len(rows)-1].RevokedAt
	}
	out := make([]Revocation, len(rows))
	for i, r := range rows {
		out[i] = Revocation{Kind: r.Kind, ID: r.SubjectID, RevokedAt: r.RevokedAt.UTC()}
	}
	return now.UTC(), out, nil
}
