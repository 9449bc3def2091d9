package app

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/generated/scopes"
	userdb "github.com/sendtip/sendtip/generated/user/db"
	"github.com/sendtip/sendtip/kit/approve"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

// kycPayload is what an override keeps for its checker.
type kycPayload struct {
	UserID     uuid.UUID `json:"user_id"`
	ReasonCode string    `json:"reason_code"` // of the rejection
}

// kycUser is the customer whom an override is about.
func kycUser(approval approve.Approval) (uuid.UUID, error) {
	var p kycPayload
	err := approval.Decode(&p)
	return p.UserID, err
}

// ProposeKycOverride asks to verify an identity that was rejected.
func (a *App) ProposeKycOverride(ctx context.Context, kyc uuid.UUID, reason string) (approve.Approval, error) {
	about, err := a.q.GetKyc(ctx, a.Pool, kyc)
	if err != nil && !pg.IsNoRows(err) {
		return approve.Approval{}, fmt.Errorf("read kyc: %w", err)
	}
	return a.propose(ctx, scopes.AdminKyc, about.UserID, func(tx pgx.Tx) (approve.Approval, error) {
		k, _, err := a.judgeOverride(ctx, tx, kyc)
		if err != nil {
			return approve.Approval{}, err
		}
		return a.Approvals.Propose(ctx, tx, approve.Proposal{Action: actionKyc, ObjectType: "kyc", ObjectID: k.ID.String(),
			Payload: kycPayload{k.UserID, k.ReasonCode}, Reason: reason})
	})
}

// judgeOverride locks a verification, and says whether it may be overridden: it is the customer's newest, and a rejected one.
func (a *App) judgeOverride(ctx context.Context, tx pgx.Tx, kyc uuid.UUID) (userdb.KycVerification, domain.Submission, error) {
	k, err := a.q.LockKyc(ctx, tx, kyc)
	if pg.IsNoRows(err) {
		return k, domain.Submission{}, fault.ErrNotFound
	}
	if err != nil {
		return k, domain.Submission{}, fmt.Errorf("lock kyc: %w", err)
	}
	if _, err := a.lockUser(ctx, tx, k.UserID); err != nil { // no submission begins meanwhile
		return k, domain.Submission{}, err
	}
	newest, err := a.q.NewestKyc(ctx, tx, k.UserID)
	if err != nil {
		return k, domain.Submission{}, fmt.Errorf("read newest kyc: %w", err)
	}
	if k.Status != domain.KycRejected || newest != k.ID {
		return k, domain.Submission{}, domain.ErrKycNotRejected
	}
	sub, err := a.submission(k.ID, k.SubmissionSealed)
	if err != nil {
		return k, sub, fmt.Errorf("%w: %w", domain.ErrKycUnreadable, err)
	}
	return k, sub, a.identityFree(ctx, tx, k.UserID, sub)
}

// identityFree refuses an identity that another verified customer has.
func (a *App) identityFree(ctx context.Context, tx pgx.Tx, user uuid.UUID, sub domain.Submission) error {
	taken, err := a.q.IdentityTaken(ctx, tx, user, a.Sealer.Indexes(indexIdentity, sub.IdentityKey()))
	if err != nil {
		return fmt.Errorf("look for identity: %w", err)
	}
	if taken {
		return domain.ErrDuplicateIdentity
	}
	return nil
}

// applyKycOverride verifies the customer as the authority would have.
func (a *App) applyKycOverride(ctx context.Context, tx pgx.Tx, approval approve.Approval) error {
	var p kycPayload
	if err := approval.Decode(&p); err != nil {
		return err
	}
	if _, err := a.operator(ctx, scopes.AdminKycApprove); err != nil { // as of now: the token may be older
		return err
	}
	kyc, err := uuid.Parse(approval.ObjectID)
	if err != nil {
		return fmt.Errorf("approval %s is about no verification: %w", approval.ID, err)
	}
	k, sub, err := a.judgeOverride(ctx, tx, kyc)
	if err != nil {
		return err
	}
	err = a.settleKyc(ctx, tx, k, sub, userdb.CloseKycParams{ID: k.ID, Status: domain.KycVerified, ReasonCode: domain.ReasonOverridden,
		DecidedBy: approval.Checker})
	if pg.Constraint(err) == "kyc_verifications_identity_once" {
		return domain.ErrDuplicateIdentity
	}
	return err
}
