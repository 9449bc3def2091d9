package app

import (
	"context"
	"strconv"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/providers/smileid"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

// authorityCheck is one attempt of a question to the authority: a verification's or a recovery's.
type authorityCheck struct {
	id      uuid.UUID
	attempt int32
	user    uuid.UUID
}

// jobID is the provider's idempotency key: the row's id, and for a further attempt a suffix, because a finished job is never run again.
func (c authorityCheck) jobID() string {
	if c.attempt == 1 {
		return c.id.String()
	}
	return c.id.String() + "-" + strconv.Itoa(int(c.attempt))
}

// askAuthority sends a submission. The error is the provider's definite refusal; not sent means that it has to be tried again.
func (a *App) askAuthority(ctx context.Context, c authorityCheck, sub domain.Submission) (sent bool, err error) {
	err = a.Smile.SubmitEnhancedKYC(ctx, smileid.Request{
		UserID: c.user.String(), JobID: c.jobID(), Country: sub.Country, IDType: sub.IDType, IDNumber: sub.IDNumber,
		FirstName: sub.FirstName, MiddleName: sub.MiddleName, LastName: sub.LastName, DOB: sub.DateOfBirth,
		CallbackURL: a.PublicURL + a.callbacks.Path(c.id.String()) + "/" + c.id.String(),
	})
	switch {
	case err == nil, smileid.JobExists(err): // 2215: an attempt whose answer was lost had arrived
		return true, nil
	case refused(err):
		a.Log.ErrorContext(ctx, "smile id refuses a submission", "check", c.id, "err", err)
		return false, err
	}
	a.Log.WarnContext(ctx, "smile id not reached, asking again", "check", c.id, "err", err)
	return false, nil
}

// askResult reads the result of a submission and judges it; nil: there is none yet.
func (a *App) askResult(ctx context.Context, c authorityCheck, sub domain.Submission) (domain.Decision, *domain.AuthorityResult) {
	status, err := a.Smile.JobStatus(ctx, c.user.String(), c.jobID())
	if err != nil {
		a.Log.WarnContext(ctx, "smile id job status", "check", c.id, "err", err)
		return domain.Decision{}, nil
	}
	if !status.Complete || status.Result == nil {
		return domain.Decision{}, nil
	}
	r := *status.Result
	result := domain.AuthorityResult{
		Code: r.ResultCode, Final: r.Final, Country: r.Country, IDType: r.IDType, IDNumber: r.IDNumber, FullName: r.FullName, DateOfBirth: r.DOB,
	}
	if r.JobID != c.jobID() || r.UserID != c.user.String() {
		return domain.Decision{Outcome: domain.OutcomeReview, Reason: domain.ReasonOther}, &result
	}
	return domain.Decide(sub, result), &result
}
