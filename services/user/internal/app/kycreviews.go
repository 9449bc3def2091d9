package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/generated/scopes"
	userdb "github.com/sendtip/sendtip/generated/user/db"
	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

// Review is a submission that waits for a person, opened for the operator's eyes.
type Review struct {
	Kyc
	Submitted domain.Submission
	Returned  *domain.AuthorityResult // nil: the authority never answered
	// Unreadable says that details are missing because they cannot be opened.
	Unreadable bool
}

// ListKycReviews returns a page of the submissions in a state, oldest first, and the cursor of the next one; nil on the last page: those in
// review, or those rejected, which two people may override. Who reads it is audited.
func (a *App) ListKycReviews(ctx context.Context, status string, in page.Request) ([]Review, *string, error) {
	if _, err := a.operator(ctx, scopes.AdminKyc); err != nil {
		return nil, nil, err
	}
	p, err := page.Read[uuid.UUID](ctx, a.pages, "listKycReviews", in, status)
	if err != nil {
		return nil, nil, err
	}
	after := p.From(uuid.Nil)
	var rows []userdb.ListKycReviewsRow
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) (err error) {
		if rows, err = a.q.ListKycReviews(ctx, tx, status, after, p.Size+1); err != nil {
			return fmt.Errorf("list reviews: %w", err)
		}
		return audit.Record(ctx, tx, a.Now(), audit.Entry{Action: "kyc.reviews_read", ObjectType: "kyc", ObjectID: "list",
			Detail: map[string]string{"after": after.String(), "status": status}})
	})
	if err != nil {
		return nil, nil, err
	}
	rows, next := page.Cut(p, rows, func(r userdb.ListKycReviewsRow) uuid.UUID { return r.ID })
	out := make([]Review, len(rows))
	for i, r := range rows {
		out[i] = a.review(ctx, status, r)
	}
	return out, next, nil
}

// review opens a submission. One that cannot be opened must not hide all others.
func (a *App) review(ctx context.Context, status string, r userdb.ListKycReviewsRow) Review {
	out := Review{Kyc: Kyc{ID: r.ID, UserID: r.UserID, Status: status, Reason: r.ReasonCode, Country: r.Country, IDType: r.IDType,
		SubmittedAt: r.SubmittedAt.UTC()}}
	var errSubmitted, errReturned error
	out.Submitted, errSubmitted = a.submission(r.ID, r.SubmissionSealed)
	out.Returned, errReturned = a.result(r.ID, r.ResultSealed)
	if err := errors.Join(errSubmitted, errReturned); err != nil {
		out.Unreadable = true
		a.metrics.unreadable.Inc()
		a.Log.ErrorContext(ctx, "a submission cannot be opened", "kyc", r.ID, "err", err)
	}
	return out
}

// result opens what the authority returned; nil for nothing.
func (a *App) result(id uuid.UUID, sealed []byte) (*domain.AuthorityResult, error) {
	if sealed == nil {
		return nil, nil
	}
	text, err := a.open("kyc.result", id, sealed)
	if err != nil {
		return nil, err
	}
	r := &domain.AuthorityResult{}
	if err := json.Unmarshal([]byte(text), r); err != nil {
		return nil, fmt.Errorf("decode result %s", id) // the cause would show its content
	}
	return r, nil
}

// DecisionInput is an operator's decision.
type DecisionInput struct {
	KycID   uuid.UUID
	Approve bool
	Reason  string
}

// DecideKycReview closes a review by a person's judgement.
func (a *App) DecideKycReview(ctx context.Context, in DecisionInput) (Kyc, error) {
	operator, err := a.operator(ctx, scopes.AdminKyc)
	if err != nil {
		return Kyc{}, err
	}
	var k Kyc
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) (err error) {
		k, err = a.decide(ctx, tx, operator, in)
		return err
	})
	if pg.Constraint(err) == "kyc_verifications_identity_once" {
		return Kyc{}, domain.ErrDuplicateIdentity
	}
	return k, err
}

func (a *App) decide(ctx context.Context, tx pgx.Tx, operator uuid.UUID, in DecisionInput) (Kyc, error) {
	k, err := a.q.LockKyc(ctx, tx, in.KycID)
	if pg.IsNoRows(err) {
		return Kyc{}, fault.ErrNotFound
	}
	if err != nil {
		return Kyc{}, fmt.Errorf("lock kyc: %w", err)
	}
	p := userdb.CloseKycParams{ID: k.ID, Status: domain.KycRejected, ReasonCode: domain.ReasonRejectedByUser, DecidedBy: &operator}
	if in.Approve {
		p.Status, p.ReasonCode = domain.KycVerified, domain.ReasonApprovedByUser
	}
	if k.DecidedBy != nil && *k.DecidedBy == operator && k.Status == p.Status {
		return kycOf(k), nil // the answer to the first try was lost
	}
	if k.Status != domain.KycReview {
		return Kyc{}, domain.ErrKycNotInReview
	}
	if k.UserID == operator {
		return Kyc{}, domain.ErrOwnRecord
	}
	sub, err := a.submission(k.ID, k.SubmissionSealed)
	if err != nil && in.Approve { // the names of a verified customer are those of the submission
		return Kyc{}, fmt.Errorf("%w: %w", domain.ErrKycUnreadable, err)
	}
	if in.Approve {
		if err := a.identityFree(ctx, tx, k.UserID, sub); err != nil {
			return Kyc{}, err
		}
	}
	if err := a.settleKyc(ctx, tx, k, sub, p); err != nil {
		return Kyc{}, err
	}
	detail, err := a.sealedReason(k.ID, in.Reason)
	if err != nil {
		return Kyc{}, err
	}
	if err := audit.Record(ctx, tx, a.Now(),
		audit.Entry{Action: "kyc.decided", ObjectType: "kyc", ObjectID: k.ID.String(), Detail: detail}); err != nil {
		return Kyc{}, err
	}
	k, err = a.q.GetKyc(ctx, tx, k.ID)
	return kycOf(k), err
}
