package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/sendtip/sendtip/generated/scopes"
	userdb "github.com/sendtip/sendtip/generated/user/db"
	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/hook"
	"github.com/sendtip/sendtip/kit/idem"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

// kycCallbacks is where Smile ID calls back about a submission: its id follows the token.
var kycCallbacks = hook.Address{Path: "/v1/hooks/ky/", Token: "kyc", Sealed: "kyc.callback:"}

// Kyc is a submission's state.
type Kyc struct {
	ID          uuid.UUID  `json:"id"`
	UserID      uuid.UUID  `json:"user_id"`
	Status      string     `json:"status"`
	Reason      string     `json:"reason,omitempty"`
	Country     string     `json:"country"`
	IDType      string     `json:"id_type"`
	SubmittedAt time.Time  `json:"submitted_at"`
	DecidedAt   *time.Time `json:"decided_at,omitempty"`
}

func kycOf(k userdb.KycVerification) Kyc {
	out := Kyc{ID: k.ID, UserID: k.UserID, Status: k.Status, Reason: k.ReasonCode, Country: k.Country, IDType: k.IDType,
		SubmittedAt: k.SubmittedAt.UTC()}
	if k.DecidedAt != nil {
		at := k.DecidedAt.UTC()
		out.DecidedAt = &at
	}
	return out
}

// KycInput is a submission, the version of the text that the customer agreed to, and the client's key.
type KycInput struct {
	Submission     domain.Submission
	ConsentVersion string
	IdempotencyKey string
}

// SubmitKyc stores a submission, sealed, with the job that asks the authority. No call leaves here, so one transaction is all.
func (a *App) SubmitKyc(ctx context.Context, in KycInput) (Kyc, error) {
	if err := auth.Require(ctx, scopes.Kyc); err != nil {
		return Kyc{}, err
	}
	user, err := auth.UserFrom(ctx)
	if err != nil {
		return Kyc{}, err
	}
	key := idem.NewKey(ctx, "submitKyc", in.IdempotencyKey, in.Submission, in.ConsentVersion)
	var k Kyc
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		stored, err := a.idem.Begin(ctx, tx, key, idem.Once)
		if err != nil {
			return err
		}
		if stored != nil {
			return stored.Decode(&k)
		}
		if k, err = a.insertKyc(ctx, tx, user, in); err != nil {
			return err
		}
		return a.idem.Finish(ctx, tx, key, http.StatusAccepted, k)
	})
	return k, err
}

func (a *App) insertKyc(ctx context.Context, tx pgx.Tx, user uuid.UUID, in KycInput) (Kyc, error) {
	now := a.Now()
	sub, err := in.Submission.Check(domain.Today(now, in.Submission.Country))
	if err != nil {
		return Kyc{}, err
	}
	u, err := a.mayVerify(ctx, tx, user, now)
	if err != nil {
		return Kyc{}, err
	}
	row, err := a.kycRow(u.ID, sub, in.ConsentVersion, now)
	if err != nil {
		return Kyc{}, err
	}
	if err := a.q.InsertKyc(ctx, tx, row); err != nil {
		if pg.Constraint(err) == "kyc_verifications_one_open" {
			return Kyc{}, domain.ErrKycInProgress
		}
		return Kyc{}, fmt.Errorf("insert kyc: %w", err)
	}
	pending := userdb.UpdateUserKycParams{ID: u.ID, KycStatus: domain.KycPending, Tier: u.Tier, NameSealed: u.NameSealed, Now: now}
	if _, err := a.q.UpdateUserKyc(ctx, tx, pending); err != nil {
		return Kyc{}, fmt.Errorf("update user: %w", err)
	}
	if _, err := a.Jobs.InsertTx(ctx, tx, SubmitKycArgs{KycID: row.ID}, nil); err != nil {
		return Kyc{}, fmt.Errorf("enqueue kyc: %w", err)
	}
	if err := audit.Record(ctx, tx, now, audit.Entry{Action: "kyc.submitted", ObjectType: "kyc", ObjectID: row.ID.String(),
		Detail: map[string]string{"user_id": u.ID.String(), "consent_version": in.ConsentVersion}}); err != nil {
		return Kyc{}, err
	}
	return Kyc{ID: row.ID, UserID: u.ID, Status: domain.KycPending, Country: sub.Country, IDType: sub.IDType, SubmittedAt: now}, nil
}

// mayVerify locks the customer, so that submissions of one customer come one after the other.
func (a *App) mayVerify(ctx context.Context, tx pgx.Tx, user uuid.UUID, now time.Time) (userdb.User, error) {
	u, err := a.q.LockUser(ctx, tx, user)
	if pg.IsNoRows(err) {
		return u, fault.ErrNotFound
	}
	if err != nil {
		return u, fmt.Errorf("lock user: %w", err)
	}
	switch {
	case u.Status != domain.StatusActive:
		return u, domain.ErrUserSuspended
	case isStaff(u.Role):
		return u, fault.ErrForbidden
	case u.KycStatus == domain.KycVerified:
		return u, domain.ErrKycVerified
	case u.KycStatus == domain.KycPending || u.KycStatus == domain.KycReview:
		return u, domain.ErrKycInProgress
	}
	n, err := a.q.CountKycSince(ctx, tx, user, now.Add(-24*time.Hour))
	if err != nil {
		return u, fmt.Errorf("count kyc: %w", err)
	}
	if n >= domain.MaxKycPerDay {
		return u, domain.ErrKycLimit.WithRetryAfter(time.Hour)
	}
	return u, nil
}

func (a *App) kycRow(user uuid.UUID, sub domain.Submission, consent string, now time.Time) (userdb.InsertKycParams, error) {
	row := userdb.InsertKycParams{
		UserID: user, Country: sub.Country, IDType: sub.IDType, IDIndex: a.Sealer.Index(indexIdentity, sub.IdentityKey()),
		ConsentVersion: consent, SubmittedAt: now,
	}
	var err error
	if row.ID, err = newID(); err != nil {
		return row, err
	}
	text, err := json.Marshal(sub)
	if err != nil {
		return row, fmt.Errorf("encode submission: %w", err)
	}
	row.SubmissionSealed, err = a.seal("kyc.submission", row.ID, string(text))
	return row, err
}

func (a *App) submission(id uuid.UUID, sealed []byte) (domain.Submission, error) {
	var s domain.Submission
	text, err := a.open("kyc.submission", id, sealed)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return s, fmt.Errorf("decode submission %s", id) // the cause would show its content
	}
	return s, nil
}

// GetKyc returns the caller's own submission.
func (a *App) GetKyc(ctx context.Context, id uuid.UUID) (Kyc, error) {
	if err := auth.Require(ctx, scopes.Kyc); err != nil {
		return Kyc{}, err
	}
	user, err := auth.UserFrom(ctx)
	if err != nil {
		return Kyc{}, err
	}
	k, err := a.q.GetKyc(ctx, a.Pool, id)
	if pg.IsNoRows(err) || err == nil && k.UserID != user {
		return Kyc{}, fault.ErrNotFound
	}
	if err != nil {
		return Kyc{}, fmt.Errorf("read kyc: %w", err)
	}
	return kycOf(k), nil
}

// ReceiveKycCallback stores what somebody who knows the secret path sent, and wakes a job that asks Smile ID itself: nobody ever reads the
// body, because Smile ID's signature does not cover it. So messages are not told apart; each of the first of a submission is kept.
func (a *App) ReceiveKycCallback(ctx context.Context, token string, id uuid.UUID, body []byte) error {
	if err := a.callbacks.Check(token, id.String()); err != nil {
		return err
	}
	return a.callbacks.Keep(ctx, body, func(tx pgx.Tx, m hook.Message) (river.JobArgs, error) {
		n, err := a.q.InsertKycCallback(ctx, tx, userdb.InsertKycCallbackParams{ID: m.ID, BodySealed: m.Sealed, Now: a.Now(), KycID: id})
		if err != nil {
			return nil, err
		}
		if n == 0 { // a recovery's; or more than any provider repeats: the polling job needs none of them
			return a.keepRecoveryCallback(ctx, tx, id, m)
		}
		return JudgeKycArgs{KycID: id}, nil
	})
}
