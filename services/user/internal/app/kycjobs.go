package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/sendtip/sendtip/generated/events"
	userdb "github.com/sendtip/sendtip/generated/user/db"
	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/jobs"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/providers/smileid"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

// SubmitKycArgs is the job that brings a submission to a decision. It gives up only by handing the case to a person.
type SubmitKycArgs struct {
	KycID uuid.UUID `json:"kyc_id"`
}

// Kind names the job.
func (SubmitKycArgs) Kind() string { return "user.submit_kyc" }

// InsertOpts let it run until there is a decision.
func (SubmitKycArgs) InsertOpts() river.InsertOpts { return jobs.MoneyOpts() }

// JudgeKycArgs is the job that a callback wakes: a few quick questions, while the other one asks ever more rarely.
type JudgeKycArgs struct {
	KycID uuid.UUID `json:"kyc_id"`
}

// Kind names the job.
func (JudgeKycArgs) Kind() string { return "user.judge_kyc" }

// InsertOpts let it end soon: the submitting job is the one that must not.
func (JudgeKycArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{MaxAttempts: 3} }

// AdvanceKyc takes the next step of a submission: send it, or ask for its result. It returns how long to wait before the next
// one, or zero when there is nothing left to do. tries is the number of steps so far.
func (a *App) AdvanceKyc(ctx context.Context, id uuid.UUID, tries int) (time.Duration, error) {
	k, err := a.q.GetKyc(ctx, a.Pool, id)
	if err != nil {
		return 0, fmt.Errorf("read kyc: %w", err)
	}
	if k.Status != domain.KycPending {
		return 0, nil
	}
	if a.Now().Sub(k.SubmittedAt) > domain.KycPatience { // before anything that could fail for ever
		return 0, a.closeKyc(ctx, k.ID, domain.Submission{}, domain.Decision{Outcome: domain.OutcomeReview, Reason: domain.ReasonNoResult}, nil)
	}
	sub, err := a.submission(k.ID, k.SubmissionSealed)
	if err != nil {
		return 0, err
	}
	if k.SentAt == nil {
		return a.sendKyc(ctx, k, sub, tries)
	}
	return a.pollKyc(ctx, k, sub, tries)
}

// JudgeKyc asks for a result whether or not the sending was confirmed: a callback may overtake the answer to the submission.
func (a *App) JudgeKyc(ctx context.Context, id uuid.UUID, tries int) (time.Duration, error) {
	k, err := a.q.GetKyc(ctx, a.Pool, id)
	if err != nil {
		return 0, fmt.Errorf("read kyc: %w", err)
	}
	if k.Status != domain.KycPending {
		return 0, nil
	}
	sub, err := a.submission(k.ID, k.SubmissionSealed)
	if err != nil {
		return 0, err
	}
	return a.pollKyc(ctx, k, sub, tries)
}

func kycCheck(k userdb.KycVerification) authorityCheck {
	return authorityCheck{id: k.ID, attempt: k.Attempt, user: k.UserID}
}

func (a *App) sendKyc(ctx context.Context, k userdb.KycVerification, sub domain.Submission, tries int) (time.Duration, error) {
	switch sent, err := a.askAuthority(ctx, kycCheck(k), sub); {
	case err != nil:
		return 0, a.closeKyc(ctx, k.ID, sub, domain.Decision{Outcome: domain.OutcomeReview, Reason: domain.ReasonRefused}, nil)
	case !sent:
		return domain.RetryAfter(tries), nil
	}
	if err := a.q.MarkKycSent(ctx, a.Pool, k.ID, k.Attempt, a.Now()); err != nil {
		return 0, fmt.Errorf("mark kyc sent: %w", err)
	}
	return domain.RetryAfter(0), nil
}

// refused: the provider understood and said no to this submission. A wrong key is the operator's matter, and too many
// requests are a matter of time; both are tried again.
func refused(err error) bool {
	var e *smileid.Error
	return errors.As(err, &e) && e.Definite() && !e.NotSent && !e.Unauthorized() && e.HTTPStatus != 429
}

func (a *App) pollKyc(ctx context.Context, k userdb.KycVerification, sub domain.Submission, tries int) (time.Duration, error) {
	decision, result := a.askResult(ctx, kycCheck(k), sub)
	if result == nil {
		return domain.RetryAfter(tries), nil
	}
	if decision.Outcome == domain.OutcomeRetry {
		if err := a.q.NextKycAttempt(ctx, a.Pool, k.ID, k.Attempt); err != nil {
			return 0, fmt.Errorf("next kyc attempt: %w", err)
		}
		return domain.RetryAfter(int(k.Attempt) + 4), nil
	}
	return 0, a.closeKyc(ctx, k.ID, sub, decision, result)
}

// closeKyc writes a decision. Two customers with one document may be decided at the same moment: the second meets the unique
// index and goes to a person.
func (a *App) closeKyc(ctx context.Context, id uuid.UUID, sub domain.Submission, d domain.Decision, result *domain.AuthorityResult) error {
	write := func(d domain.Decision) error {
		return pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error { return a.writeDecision(ctx, tx, id, sub, d, result) })
	}
	err := write(d)
	if pg.Constraint(err) == "kyc_verifications_identity_once" {
		err = write(domain.Decision{Outcome: domain.OutcomeReview, Reason: domain.ReasonDuplicate})
	}
	return err
}

func (a *App) writeDecision(ctx context.Context, tx pgx.Tx, id uuid.UUID, sub domain.Submission, d domain.Decision,
	result *domain.AuthorityResult) error {
	k, err := a.q.LockKyc(ctx, tx, id)
	if err != nil {
		return fmt.Errorf("lock kyc: %w", err)
	}
	if k.Status != domain.KycPending {
		return nil // a twin was faster
	}
	if d.Outcome == domain.OutcomeVerified {
		taken, err := a.q.IdentityTaken(ctx, tx, k.UserID, a.Sealer.Indexes(indexIdentity, sub.IdentityKey()))
		if err != nil {
			return fmt.Errorf("look for identity: %w", err)
		}
		if taken {
			d = domain.Decision{Outcome: domain.OutcomeReview, Reason: domain.ReasonDuplicate}
		}
	}
	p := userdb.CloseKycParams{ID: id, Status: string(d.Outcome), ReasonCode: d.Reason}
	if result != nil {
		text, err := json.Marshal(result)
		if err != nil {
			return fmt.Errorf("encode result: %w", err)
		}
		if p.ResultSealed, err = a.seal("kyc.result", id, string(text)); err != nil {
			return err
		}
	}
	return a.settleKyc(ctx, tx, k, sub, p)
}

// settleKyc closes the submission, changes the customer and tells everybody.
func (a *App) settleKyc(ctx context.Context, tx pgx.Tx, k userdb.KycVerification, sub domain.Submission, p userdb.CloseKycParams) error {
	now := a.Now()
	if p.Status != domain.KycReview {
		p.DecidedAt = &now
	}
	if err := a.q.CloseKyc(ctx, tx, p); err != nil {
		return fmt.Errorf("close kyc: %w", err)
	}
	u, err := a.q.LockUser(ctx, tx, k.UserID)
	if err != nil {
		return fmt.Errorf("lock user: %w", err)
	}
	change := userdb.UpdateUserKycParams{ID: u.ID, KycStatus: p.Status, Tier: u.Tier, NameSealed: u.NameSealed, Now: now}
	if p.Status == domain.KycVerified {
		change.Tier = domain.TierVerified
		if change.NameSealed, err = a.seal("user.name", u.ID, sub.FirstName+"\n"+sub.LastName); err != nil {
			return err
		}
	}
	a.metrics.kycDecided.WithLabelValues(p.Status).Inc()
	version, err := a.q.UpdateUserKyc(ctx, tx, change)
	if err != nil {
		return fmt.Errorf("update user: %w", err)
	}
	if err := audit.Record(ctx, tx, now, audit.Entry{Action: "kyc." + p.Status, ObjectType: "kyc", ObjectID: k.ID.String(),
		Detail: map[string]string{"user_id": u.ID.String(), "reason_code": p.ReasonCode}}); err != nil {
		return err
	}
	switch p.Status {
	case domain.KycVerified:
		return a.publish(ctx, tx, "user.kyc_verified", u.ID,
			events.UserKycVerified{UserID: u.ID, Tier: int64(change.Tier), Country: u.Country, Version: version})
	case domain.KycRejected:
		return a.publish(ctx, tx, "user.kyc_rejected", u.ID,
			events.UserKycRejected{UserID: u.ID, KycID: k.ID, ReasonCode: p.ReasonCode, Version: version})
	}
	return a.publish(ctx, tx, "user.kyc_review_needed", u.ID, events.UserKycReviewNeeded{UserID: u.ID, KycID: k.ID, Version: version})
}
