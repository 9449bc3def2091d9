package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

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

// actionRecovery needs two people. The name is stored: never change it.
const actionRecovery = "account.recovery"

// recoveryPayload is what the request keeps for its checker.
type recoveryPayload struct {
	UserID uuid.UUID `json:"user_id"`
}

// recoveryUser is the customer whose account it is.
func recoveryUser(approval approve.Approval) (uuid.UUID, error) {
	var p recoveryPayload
	err := approval.Decode(&p)
	return p.UserID, err
}

// RecoveryCase is a recovery, opened for compliance.
type RecoveryCase struct {
	ID                           uuid.UUID
	UserID                       *uuid.UUID
	State, Reason, Phone, IDType string
	Country                      string
	NumberTaken                  bool
	ClaimID                      *uuid.UUID // somebody claims the number that the customer has
	CreatedAt                    time.Time
	AppliesAt, ClosedAt          *time.Time
	Submitted                    domain.Submission
	Returned                     *domain.AuthorityResult
	// Unreadable says that details are missing because they cannot be opened.
	Unreadable bool
}

// ListRecoveries returns a page of the recoveries in a state, oldest first, and the cursor of the next one. Who reads it is audited.
func (a *App) ListRecoveries(ctx context.Context, state string, in page.Request) ([]RecoveryCase, *string, error) {
	if _, err := a.operator(ctx, scopes.AdminKyc); err != nil {
		return nil, nil, err
	}
	p, err := page.Read[uuid.UUID](ctx, a.pages, "listRecoveries", in, state)
	if err != nil {
		return nil, nil, err
	}
	after := p.From(uuid.Nil)
	var rows []userdb.Recovery
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) (err error) {
		if rows, err = a.q.ListRecoveries(ctx, tx, state, after, p.Size+1); err != nil {
			return fmt.Errorf("list recoveries: %w", err)
		}
		return audit.Record(ctx, tx, a.Now(), audit.Entry{Action: "recovery.list_read", ObjectType: "recovery", ObjectID: "list",
			Detail: map[string]string{"after": after.String(), "state": state}})
	})
	if err != nil {
		return nil, nil, err
	}
	rows, next := page.Cut(p, rows, func(r userdb.Recovery) uuid.UUID { return r.ID })
	out := make([]RecoveryCase, len(rows))
	for i, r := range rows {
		if out[i], err = a.recoveryCase(ctx, r); err != nil {
			return nil, nil, err
		}
		if out[i].Unreadable { // it must not hide all others
			a.metrics.unreadable.Inc()
			a.Log.ErrorContext(ctx, "a recovery cannot be opened", "recovery", r.ID)
		}
	}
	return out, next, nil
}

func (a *App) recoveryCase(ctx context.Context, r userdb.Recovery) (RecoveryCase, error) {
	out := RecoveryCase{ID: r.ID, UserID: r.UserID, State: r.State, Reason: r.ReasonCode, Country: r.Country, IDType: r.IDType,
		CreatedAt: r.CreatedAt.UTC(), AppliesAt: utcOf(r.AppliesAt), ClosedAt: utcOf(r.ClosedAt)}
	var errs [3]error
	out.Submitted, errs[0] = a.recoverySubmission(r)
	out.Phone, errs[1] = a.open("recovery.phone", r.ID, r.PhoneSealed)
	out.Returned, errs[2] = a.recoveryReturned(r)
	if errors.Join(errs[:]...) != nil {
		out.Unreadable = true
		return out, nil
	}
	holder, err := a.findByPhone(ctx, a.Pool, out.Phone)
	if err != nil || r.UserID == nil {
		return out, err
	}
	out.NumberTaken = holder != nil && holder.ID != *r.UserID
	claim, err := a.q.WaitingNumberClaim(ctx, a.Pool, *r.UserID)
	switch {
	case err == nil:
		out.ClaimID = &claim.ID
	case !pg.IsNoRows(err):
		return out, fmt.Errorf("read number claim: %w", err)
	}
	return out, nil
}

// recoveryReturned opens what the authority returned; nil for nothing.
func (a *App) recoveryReturned(r userdb.Recovery) (*domain.AuthorityResult, error) {
	if r.ResultSealed == nil {
		return nil, nil
	}
	text, err := a.open("recovery.result", r.ID, r.ResultSealed)
	if err != nil {
		return nil, err
	}
	out := &domain.AuthorityResult{}
	if err := json.Unmarshal([]byte(text), out); err != nil {
		return nil, fmt.Errorf("decode result of recovery %s", r.ID) // the cause would show its content
	}
	return out, nil
}

// ProposeRecovery asks to give an account back to who showed its document.
func (a *App) ProposeRecovery(ctx context.Context, id uuid.UUID, reason string) (approve.Approval, error) {
	about, err := a.q.GetRecovery(ctx, a.Pool, id)
	if err != nil && !pg.IsNoRows(err) {
		return approve.Approval{}, fmt.Errorf("read recovery: %w", err)
	}
	user := uuid.Nil
	if about.UserID != nil {
		user = *about.UserID
	}
	return a.propose(ctx, scopes.AdminKyc, user, func(tx pgx.Tx) (approve.Approval, error) {
		if err != nil {
			return approve.Approval{}, fault.ErrNotFound
		}
		if _, _, err := a.judgeRecovery(ctx, tx, about); err != nil {
			return approve.Approval{}, err
		}
		return a.Approvals.Propose(ctx, tx, approve.Proposal{Action: actionRecovery, ObjectType: "recovery", ObjectID: id.String(),
			Payload: recoveryPayload{user}, Reason: reason})
	})
}

// judgeRecovery locks the customer and the recovery, and says whether it may be approved: its identity was confirmed, and is still the
// one that the customer was verified with.
func (a *App) judgeRecovery(ctx context.Context, tx pgx.Tx, r userdb.Recovery) (userdb.User, userdb.Recovery, error) {
	if r.UserID == nil {
		return userdb.User{}, r, domain.ErrRecoveryNotChecked
	}
	u, r, err := a.lockRecovery(ctx, tx, *r.UserID, r.ID)
	if err != nil {
		return u, r, err
	}
	if r.State != domain.RecoveryChecked || !a.Now().Before(r.ExpiresAt) {
		return u, r, domain.ErrRecoveryNotChecked
	}
	reason, _, err := a.recoveryHindered(ctx, tx, u, r)
	switch {
	case err != nil:
		return u, r, err
	case reason == domain.NumberTaken:
		return u, r, domain.ErrNumberTaken
	case reason != "":
		return u, r, domain.ErrRecoveryNotChecked
	}
	return u, r, nil
}

func (a *App) lockRecovery(ctx context.Context, tx pgx.Tx, user, id uuid.UUID) (userdb.User, userdb.Recovery, error) {
	u, err := a.lockUser(ctx, tx, user)
	if err != nil {
		return u, userdb.Recovery{}, err
	}
	r, err := a.q.LockRecovery(ctx, tx, id)
	if err != nil {
		return u, r, fmt.Errorf("lock recovery: %w", err)
	}
	return u, r, nil
}

// recoveryHindered says why a locked customer cannot get the account back that way, or "", and the number to be.
func (a *App) recoveryHindered(ctx context.Context, tx pgx.Tx, u userdb.User, r userdb.Recovery) (reason, phone string, err error) {
	if phone, err = a.open("recovery.phone", r.ID, r.PhoneSealed); err != nil {
		return "", "", err
	}
	sub, err := a.recoverySubmission(r)
	if err != nil {
		return "", "", err
	}
	verified, err := a.q.VerifiedKyc(ctx, tx, u.ID)
	if err != nil && !pg.IsNoRows(err) {
		return "", "", fmt.Errorf("read kyc: %w", err)
	}
	same := err == nil && slices.ContainsFunc(a.Sealer.Indexes(indexIdentity, sub.IdentityKey()),
		func(i []byte) bool { return slices.Equal(i, verified.IDIndex) })
	holder, err := a.findByPhone(ctx, tx, phone)
	switch {
	case err != nil:
		return "", "", err
	case u.Status != domain.StatusActive || isStaff(u.Role):
		reason = domain.NumberNotActive
	case !same:
		reason = domain.RecoveryNotTheirs
	case holder != nil && holder.ID != u.ID:
		reason = domain.NumberTaken
	}
	return reason, phone, nil
}

// applyRecoveryApproval lets the recovery wait for its time, and tells the customer.
func (a *App) applyRecoveryApproval(ctx context.Context, tx pgx.Tx, approval approve.Approval) error {
	if _, err := a.operator(ctx, scopes.AdminKycApprove); err != nil { // as of now: the token may be older
		return err
	}
	id, err := uuid.Parse(approval.ObjectID)
	if err != nil {
		return fmt.Errorf("approval %s is about no recovery: %w", approval.ID, err)
	}
	about, err := a.q.GetRecovery(ctx, tx, id)
	if err != nil {
		return fmt.Errorf("read recovery: %w", err)
	}
	u, r, err := a.judgeRecovery(ctx, tx, about)
	if err != nil {
		return err
	}
	due := a.Now().Add(domain.NumberCooling)
	if err := a.q.CoolRecovery(ctx, tx, id, due); err != nil {
		if pg.Constraint(err) == "recoveries_one_cooling" {
			return domain.ErrRecoveryOpen
		}
		return fmt.Errorf("cool recovery: %w", err)
	}
	if _, err := a.Jobs.InsertTx(ctx, tx, ApplyRecoveryArgs{id}, &river.InsertOpts{ScheduledAt: due}); err != nil {
		return fmt.Errorf("enqueue recovery: %w", err)
	}
	if err := a.auditRecovery(ctx, tx, "approved", r, ""); err != nil {
		return err
	}
	return a.publish(ctx, tx, "user.recovery_started", u.ID, events.UserRecoveryStarted{UserID: u.ID, RecoveryID: id})
}
