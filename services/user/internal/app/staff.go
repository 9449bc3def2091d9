package app

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/generated/events"
	"github.com/sendtip/sendtip/generated/scopes"
	userdb "github.com/sendtip/sendtip/generated/user/db"
	"github.com/sendtip/sendtip/kit/approve"
	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

// Actions that need two people. The names are stored: never change one.
const (
	actionRole      = "role.change"
	actionTotpReset = "totp.reset"
	actionKyc       = "kyc.override"
	actionNumber    = "number.decide"
)

// minAdmins is how many active admins remain: below, nobody could approve what the other proposes.
const minAdmins = 2

// actions are what this service's approvals do.
func (a *App) actions() []approve.Action {
	return []approve.Action{
		{Name: actionRole, Propose: scopes.AdminRoles, Approve: scopes.AdminRolesApprove, About: objectUser, Apply: a.applyRole},
		{Name: actionTotpReset, Propose: scopes.AdminRoles, Approve: scopes.AdminRolesApprove, About: objectUser, Apply: a.applyTotpReset},
		{Name: actionNumber, Propose: scopes.AdminNumbers, Approve: scopes.AdminNumbersApprove, About: claimUser,
			Apply: a.applyNumberDecision},
		{Name: actionKyc, Propose: scopes.AdminKyc, Approve: scopes.AdminKycApprove, About: kycUser, Apply: a.applyKycOverride},
		{Name: actionRecovery, Propose: scopes.AdminKyc, Approve: scopes.AdminKycApprove, About: recoveryUser, Apply: a.applyRecoveryApproval},
	}
}

// objectUser is the user whom a change of a user is about.
func objectUser(approval approve.Approval) (uuid.UUID, error) { return uuid.Parse(approval.ObjectID) }

// isStaff says whether a role is that of somebody who runs the platform.
func isStaff(role string) bool { return role != scopes.RoleCustomer && role != scopes.RoleAgent }

// rights is the role whose scopes a session has: staff have those of theirs only with the authenticator.
func rights(role, factor string) string {
	if isStaff(role) && factor != factorTotp {
		return scopes.RoleStaff
	}
	return role
}

// Member is one of the staff.
type Member struct {
	ID           uuid.UUID
	Role, Status string
	Totp         bool // the authenticator is set up
	CreatedAt    time.Time
}

// ListStaff returns a page of the staff, and the cursor of the next one.
func (a *App) ListStaff(ctx context.Context, in page.Request) ([]Member, *string, error) {
	if _, err := a.operator(ctx, scopes.AdminRoles); err != nil {
		return nil, nil, err
	}
	p, err := page.Read[uuid.UUID](ctx, a.pages, "listStaff", in)
	if err != nil {
		return nil, nil, err
	}
	rows, err := a.q.ListStaff(ctx, a.Pool, p.From(uuid.Nil), p.Size+1)
	if err != nil {
		return nil, nil, fmt.Errorf("list staff: %w", err)
	}
	rows, next := page.Cut(p, rows, func(r userdb.ListStaffRow) uuid.UUID { return r.ID })
	out := make([]Member, len(rows))
	for i, r := range rows {
		out[i] = Member{ID: r.ID, Role: r.Role, Status: r.Status, Totp: r.Totp, CreatedAt: r.CreatedAt.UTC()}
	}
	return out, next, nil
}

// rolePayload is what a change of role keeps for its checker.
type rolePayload struct {
	Role string `json:"role"`
}

// ProposeRole asks for another role of a user; customer takes a role away.
func (a *App) ProposeRole(ctx context.Context, user uuid.UUID, role, reason string) (approve.Approval, error) {
	return a.propose(ctx, scopes.AdminRoles, user, func(tx pgx.Tx) (approve.Approval, error) {
		if _, err := a.judgeRole(ctx, tx, user, role); err != nil {
			return approve.Approval{}, err
		}
		return a.Approvals.Propose(ctx, tx, approve.Proposal{Action: actionRole, ObjectType: "user", ObjectID: user.String(),
			Payload: rolePayload{role}, Reason: reason})
	})
}

// propose runs what judges and stores a proposal about a user, who is somebody else than the operator.
func (a *App) propose(ctx context.Context, scope string, about uuid.UUID, do func(tx pgx.Tx) (approve.Approval, error)) (approve.Approval,
	error) {
	operator, err := a.operator(ctx, scope)
	if err != nil {
		return approve.Approval{}, err
	}
	if operator == about {
		return approve.Approval{}, domain.ErrOwnRecord
	}
	var out approve.Approval
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) (err error) {
		out, err = do(tx)
		return err
	})
	return out, err
}

// judgeRole locks the user, and says whether the role may become theirs.
func (a *App) judgeRole(ctx context.Context, tx pgx.Tx, user uuid.UUID, role string) (userdb.User, error) {
	if err := a.q.LockAdmins(ctx, tx); err != nil {
		return userdb.User{}, fmt.Errorf("lock admins: %w", err)
	}
	u, err := a.lockUser(ctx, tx, user)
	if err != nil {
		return u, err
	}
	switch {
	case u.Role == role:
		return u, domain.ErrRoleUnchanged
	case !isStaff(u.Role) && (u.Role != scopes.RoleCustomer || u.KycStatus != domain.KycNone):
		return u, domain.ErrRoleCustomer // has, or will have, a wallet
	case u.Role != scopes.RoleAdmin || u.Status != domain.StatusActive:
		return u, nil
	}
	admins, err := a.q.CountAdmins(ctx, tx)
	if err != nil {
		return u, fmt.Errorf("count admins: %w", err)
	}
	if admins.Active <= minAdmins {
		return u, domain.ErrLastAdmins
	}
	return u, nil
}

func (a *App) lockUser(ctx context.Context, tx pgx.Tx, user uuid.UUID) (userdb.User, error) {
	u, err := a.q.LockUser(ctx, tx, user)
	if pg.IsNoRows(err) {
		return u, fault.ErrNotFound
	}
	if err != nil {
		return u, fmt.Errorf("lock user: %w", err)
	}
	return u, nil
}

// applyRole gives the role. All sessions end, so that no token of the old one is left.
func (a *App) applyRole(ctx context.Context, tx pgx.Tx, approval approve.Approval) error {
	user, err := objectUser(approval)
	if err != nil {
		return fmt.Errorf("approval %s is about no user: %w", approval.ID, err)
	}
	if _, err := a.operator(ctx, scopes.AdminRolesApprove); err != nil { // as of now: the token may be older
		return err
	}
	var p rolePayload
	if err := approval.Decode(&p); err != nil {
		return err
	}
	u, err := a.judgeRole(ctx, tx, user, p.Role)
	if err != nil {
		return err
	}
	if !isStaff(p.Role) {
		if _, err := a.q.DeleteTotp(ctx, tx, user); err != nil {
			return fmt.Errorf("delete authenticator: %w", err)
		}
	}
	version, err := a.q.UpdateUserRole(ctx, tx, user, p.Role, a.Now())
	if err != nil {
		return fmt.Errorf("update role: %w", err)
	}
	if err := a.revokeAll(ctx, tx, user, "role_changed"); err != nil {
		return err
	}
	if err := a.Approvals.Withdraw(ctx, tx, user); err != nil {
		return err
	}
	if err := a.publish(ctx, tx, "user.role_changed", user, events.UserRoleChanged{UserID: user, Role: p.Role, Version: version}); err != nil {
		return err
	}
	return audit.Record(ctx, tx, a.Now(), audit.Entry{Action: "user.role_changed", ObjectType: "user", ObjectID: user.String(),
		Detail: map[string]string{"from": u.Role, "to": p.Role, "approval": approval.ID.String()}})
}

// ProposeTotpReset asks that a member of staff sets up a new authenticator.
func (a *App) ProposeTotpReset(ctx context.Context, user uuid.UUID, reason string) (approve.Approval, error) {
	return a.propose(ctx, scopes.AdminRoles, user, func(tx pgx.Tx) (approve.Approval, error) {
		u, err := a.lockUser(ctx, tx, user)
		if err != nil {
			return approve.Approval{}, err
		}
		if !isStaff(u.Role) {
			return approve.Approval{}, domain.ErrNotStaff
		}
		return a.Approvals.Propose(ctx, tx, approve.Proposal{Action: actionTotpReset, ObjectType: "user", ObjectID: user.String(),
			Payload: struct{}{}, Reason: reason})
	})
}

func (a *App) applyTotpReset(ctx context.Context, tx pgx.Tx, approval approve.Approval) error {
	user, err := objectUser(approval)
	if err != nil {
		return fmt.Errorf("approval %s is about no user: %w", approval.ID, err)
	}
	if _, err := a.operator(ctx, scopes.AdminRolesApprove); err != nil { // as of now: the token may be older
		return err
	}
	return a.resetTotp(ctx, tx, user, map[string]string{"approval": approval.ID.String()})
}

// resetTotp voids an authenticator. All sessions end with it.
func (a *App) resetTotp(ctx context.Context, tx pgx.Tx, user uuid.UUID, detail map[string]string) error {
	if _, err := a.q.DeleteTotp(ctx, tx, user); err != nil {
		return fmt.Errorf("delete authenticator: %w", err)
	}
	if err := a.q.ClearPinTries(ctx, tx, totpTries(user), a.Now()); err != nil {
		return fmt.Errorf("clear code tries: %w", err)
	}
	if err := a.revokeAll(ctx, tx, user, "totp_reset"); err != nil {
		return err
	}
	return audit.Record(ctx, tx, a.Now(), audit.Entry{Action: "totp.reset", ObjectType: "user", ObjectID: user.String(), Detail: detail})
}
