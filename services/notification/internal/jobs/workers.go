// Package jobs maps River jobs to use cases.
package jobs

import (
	"context"
	"time"

	"github.com/riverqueue/river"

	kitjobs "github.com/sendtip/sendtip/kit/jobs"

	"github.com/sendtip/sendtip/services/notification/internal/app"
	"github.com/sendtip/sendtip/services/notification/internal/domain"
)

// Queues are how many jobs run at a time. Somebody waits for a code; receipts may take their time, and few at once leave the cores to the
// money that causes them.
var Queues = map[string]int{app.QueueCodes: 8, app.QueueMessages: 4, app.QueueReports: 2}

// Register adds the workers of this service.
func Register(workers *river.Workers, a *app.App) {
	kitjobs.AddPaced(workers, func(ctx context.Context, j *river.Job[app.SendMessageArgs]) (time.Duration, error) {
		return a.SendMessage(ctx, j.Args.NotificationID) // a refusal for a passing reason comes back as a wait
	}, nextSend(a.Now))
	kitjobs.AddPaced(workers, func(ctx context.Context, j *river.Job[app.JudgeReportArgs]) (time.Duration, error) {
		return a.JudgeReport(ctx, j.Args.ReportID)
	}, nextJudgement(a.Now))
}

// nextSend spaces attempts that failed before anything was sent.
func nextSend(now func() time.Time) func(j *river.Job[app.SendMessageArgs]) time.Time {
	return func(j *river.Job[app.SendMessageArgs]) time.Time {
		return now().Add(domain.PeerBackoff(j.Args.Template(), j.Attempt))
	}
}

// nextJudgement spaces attempts that failed.
func nextJudgement(now func() time.Time) func(j *river.Job[app.JudgeReportArgs]) time.Time {
	return func(j *river.Job[app.JudgeReportArgs]) time.Time { return now().Add(domain.PeerBackoff("", j.Attempt)) }
}
