// Package jobs maps River's jobs to use cases.
package jobs

import (
	"context"
	"time"

	"github.com/riverqueue/river"

	kitjobs "github.com/sendtip/sendtip/kit/jobs"

	"github.com/sendtip/sendtip/services/user/internal/app"
)

// maxQuickTries bounds what one callback makes us ask; the submitting job goes on anyway.
const maxQuickTries = 5

// Register adds the workers of this service. It is called before the client starts.
func Register(workers *river.Workers, a *app.App) {
	kitjobs.Add(workers, func(ctx context.Context, j *river.Job[app.SubmitKycArgs]) (time.Duration, error) {
		return a.AdvanceKyc(ctx, j.Args.KycID, kitjobs.Snoozes(j.JobRow))
	})
	kitjobs.Add(workers, func(ctx context.Context, j *river.Job[app.EndNumberClaimArgs]) (time.Duration, error) {
		return a.EndNumberClaim(ctx, j.Args.ClaimID)
	})
	kitjobs.Add(workers, func(ctx context.Context, j *river.Job[app.JudgeKycArgs]) (time.Duration, error) {
		tries := kitjobs.Snoozes(j.JobRow)
		again, err := a.JudgeKyc(ctx, j.Args.KycID, tries)
		if tries >= maxQuickTries {
			return 0, err
		}
		return again, err
	})
	kitjobs.Add(workers, func(ctx context.Context, j *river.Job[app.ApplyNumberChangeArgs]) (time.Duration, error) {
		return a.ApplyNumberChange(ctx, j.Args.NumberChangeID)
	})
	kitjobs.Add(workers, func(ctx context.Context, j *river.Job[app.CheckRecoveryArgs]) (time.Duration, error) {
		return a.CheckRecovery(ctx, j.Args.RecoveryID, kitjobs.Snoozes(j.JobRow))
	})
	kitjobs.Add(workers, func(ctx context.Context, j *river.Job[app.JudgeRecoveryArgs]) (time.Duration, error) {
		tries := kitjobs.Snoozes(j.JobRow)
		again, err := a.JudgeRecovery(ctx, j.Args.RecoveryID, tries)
		if tries >= maxQuickTries {
			return 0, err
		}
		return again, err
	})
	kitjobs.Add(workers, func(ctx context.Context, j *river.Job[app.ApplyRecoveryArgs]) (time.Duration, error) {
		return a.ApplyRecovery(ctx, j.Args.RecoveryID)
	})
}
