package app

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	userdb "github.com/sendtip/sendtip/generated/user/db"
	"github.com/sendtip/sendtip/kit/hook"
	"github.com/sendtip/sendtip/kit/jobs"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

// CheckRecoveryArgs is the job that finds out whose a document is and whether the authority confirms it.
type CheckRecoveryArgs struct {
	RecoveryID uuid.UUID `json:"recovery_id"`
}

// Kind names the job.
func (CheckRecoveryArgs) Kind() string { return "user.check_recovery" }

// InsertOpts let it run until there is a decision.
func (CheckRecoveryArgs) InsertOpts() river.InsertOpts { return jobs.MoneyOpts() }

// JudgeRecoveryArgs is the job that a callback wakes.
type JudgeRecoveryArgs struct {
	RecoveryID uuid.UUID `json:"recovery_id"`
}

// Kind names the job.
func (JudgeRecoveryArgs) Kind() string { return "user.judge_recovery" }

// InsertOpts let it end soon: the checking job is the one that must not.
func (JudgeRecoveryArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{MaxAttempts: 3} }

// CheckRecovery takes the next step of a check: find the customer, send, or ask for the result. It returns how long to wait before the next
// one, or zero when there is nothing left to do.
func (a *App) CheckRecovery(ctx context.Context, id uuid.UUID, tries int) (time.Duration, error) {
	r, err := a.q.GetRecovery(ctx, a.Pool, id)
	if err != nil {
		return 0, fmt.Errorf("read recovery: %w", err)
	}
	if r.State != domain.RecoveryChecking {
		return 0, nil
	}
	if a.Now().Sub(r.CreatedAt) > domain.KycPatience { // before anything that could fail for ever
		return 0, a.refuseRecovery(ctx, id, domain.ReasonNoResult, nil)
	}
	sub, err := a.recoverySubmission(r)
	if err != nil {
		return 0, err
	}
	if r.UserID == nil {
		found, err := a.assignRecovery(ctx, r, sub)
		if err != nil || found == nil {
			return 0, err
		}
		r.UserID = found
	}
	if r.SentAt == nil {
		return a.sendRecovery(ctx, r, sub, tries)
	}
	return a.pollRecovery(ctx, r, sub, tries)
}

// JudgeRecovery asks for a result whether or not the sending was confirmed.
func (a *App) JudgeRecovery(ctx context.Context, id uuid.UUID, tries int) (time.Duration, error) {
	r, err := a.q.GetRecovery(ctx, a.Pool, id)
	if err != nil {
		return 0, fmt.Errorf("read recovery: %w", err)
	}
	if r.State != domain.RecoveryChecking || r.UserID == nil {
		return 0, nil
	}
	sub, err := a.recoverySubmission(r)
	if err != nil {
		return 0, err
	}
	return a.pollRecovery(ctx, r, sub, tries)
}

func (a *App) recoverySubmission(r userdb.Recovery) (domain.Submission, error) {
	var s domain.Submission
	text, err := a.open("recovery.submission", r.ID, r.SubmissionSealed)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return s, fmt.Errorf("decode submission of recovery %s", r.ID) // the cause would show its content
	}
	return s, nil
}

// assignRecovery finds the customer who was verified with the document; nil: it ended, for there is none who may be recovered. Authorities
// are asked about customers only: whoever tries documents of others learns nothing, and we pay for nothing.
func (a *App) assignRecovery(ctx context.Context, r userdb.Recovery, sub domain.Submission) (*uuid.UUID, error) {
	holder, err := a.q.IdentityHolder(ctx, a.Pool, a.Sealer.Indexes(indexIdentity, sub.IdentityKey()))
	if pg.IsNoRows(err) {
		return nil, a.refuseRecovery(ctx, r.ID, domain.RecoveryNobody, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("find identity: %w", err)
	}
	user := holder.UserID
	verified, err := a.submission(holder.ID, holder.SubmissionSealed)
	if err != nil {
		return nil, err
	}
	u, err := a.q.GetUser(ctx, a.Pool, user)
	if err != nil {
		return nil, fmt.Errorf("read user: %w", err)
	}
	if err := a.q.AssignRecovery(ctx, a.Pool, r.ID, user); err != nil {
		return nil, fmt.Errorf("assign recovery: %w", err)
	}
	switch {
	case u.Status != domain.StatusActive || isStaff(u.Role):
		return nil, a.refuseRecovery(ctx, r.ID, domain.NumberNotActive, nil)
	case !domain.SamePerson(sub, verified):
		return nil, a.refuseRecovery(ctx, r.ID, domain.RecoveryNotTheirs, nil)
	case u.Country != r.PhoneCountry:
		return nil, a.refuseRecovery(ctx, r.ID, domain.RecoveryCountry, nil)
	}
	return &user, nil
}

func recoveryCheck(r userdb.Recovery) authorityCheck {
	return authorityCheck{id: r.ID, attempt: r.Attempt, user: *r.UserID}
}

func (a *App) sendRecovery(ctx context.Context, r userdb.Recovery, sub domain.Submission, tries int) (time.Duration, error) {
	switch sent, err := a.askAuthority(ctx, recoveryCheck(r), sub); {
	case err != nil:
		return 0, a.refuseRecovery(ctx, r.ID, domain.ReasonRefused, nil)
	case !sent:
		return domain.RetryAfter(tries), nil
	}
	if err := a.q.MarkRecoverySent(ctx, a.Pool, r.ID, r.Attempt, a.Now()); err != nil {
		return 0, fmt.Errorf("mark recovery sent: %w", err)
	}
	return domain.RetryAfter(0), nil
}

func (a *App) pollRecovery(ctx context.Context, r userdb.Recovery, sub domain.Submission, tries int) (time.Duration, error) {
	decision, result := a.askResult(ctx, recoveryCheck(r), sub)
	switch {
	case result == nil:
		return domain.RetryAfter(tries), nil
	case decision.Outcome == domain.OutcomeRetry:
		if err := a.q.NextRecoveryAttempt(ctx, a.Pool, r.ID, r.Attempt); err != nil {
			return 0, fmt.Errorf("next attempt of recovery: %w", err)
		}
		return domain.RetryAfter(int(r.Attempt) + 4), nil
	case decision.Outcome != domain.OutcomeVerified: // what a person may judge of a customer who is there is not enough for one who is not
		return 0, a.refuseRecovery(ctx, r.ID, decision.Reason, result)
	}
	return 0, pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		locked, err := a.q.LockRecovery(ctx, tx, r.ID)
		if err != nil {
			return fmt.Errorf("lock recovery: %w", err)
		}
		if locked.State != domain.RecoveryChecking {
			return nil // a twin was faster
		}
		sealed, err := a.recoveryResult(r.ID, result)
		if err != nil {
			return err
		}
		if err := a.q.CheckRecovery(ctx, tx, r.ID, sealed); err != nil {
			return fmt.Errorf("check recovery: %w", err)
		}
		return a.auditRecovery(ctx, tx, "checked", locked, "")
	})
}

func (a *App) recoveryResult(id uuid.UUID, result *domain.AuthorityResult) ([]byte, error) {
	if result == nil {
		return nil, nil
	}
	text, err := json.Marshal(result)
	if err != nil {
		return nil, fmt.Errorf("encode result: %w", err)
	}
	return a.seal("recovery.result", id, string(text))
}

// refuseRecovery ends a check. The person is not told before its time: it would tell whose documents are customers'.
func (a *App) refuseRecovery(ctx context.Context, id uuid.UUID, reason string, result *domain.AuthorityResult) error {
	return pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		r, err := a.q.LockRecovery(ctx, tx, id)
		if err != nil {
			return fmt.Errorf("lock recovery: %w", err)
		}
		if r.State != domain.RecoveryChecking {
			return nil
		}
		sealed, err := a.recoveryResult(id, result)
		if err != nil {
			return err
		}
		if err := a.q.CloseRecovery(ctx, tx, userdb.CloseRecoveryParams{ID: id, State: domain.RecoveryRefused, ReasonCode: reason, Now: a.Now(),
			ResultSealed: sealed}); err != nil {
			return fmt.Errorf("close recovery: %w", err)
		}
		return a.auditRecovery(ctx, tx, "refused", r, reason)
	})
}

// keepRecoveryCallback is what ReceiveKycCallback does with a message about a recovery, which has the same path.
func (a *App) keepRecoveryCallback(ctx context.Context, tx pgx.Tx, id uuid.UUID, m hook.Message) (river.JobArgs, error) {
	n, err := a.q.InsertRecoveryCallback(ctx, tx,
		userdb.InsertRecoveryCallbackParams{ID: m.ID, BodySealed: m.Sealed, Now: a.Now(), RecoveryID: id})
	if err != nil || n == 0 {
		return nil, err
	}
	return JudgeRecoveryArgs{RecoveryID: id}, nil
}
