// Package jobs maps River jobs to use cases.
package jobs

import (
	"context"
	"time"

	"github.com/riverqueue/river"

	"github.com/sendtip/sendtip/services/notification/internal/app"
	"github.com/sendtip/sendtip/services/notification/internal/domain"
)

// Queues are how many jobs run at a time. Somebody waits for a code; receipts may take their time, and few at once leave the cores to the
// money that causes them.
var Queues = map[string]int{app.QueueCodes: 8, app.QueueMessages: 4, app.QueueReports: 2}

// Register adds the workers of this service.
func Register(workers *river.Workers, a *app.App) {
	river.AddWorker(workers, &sendMessage{app: a})
	river.AddWorker(workers, &judgeReport{app: a})
}

type sendMessage struct {
	river.WorkerDefaults[app.SendMessageArgs]
	app *app.App
}

// Work sends a message; a refusal for a passing reason comes back as a snooze.
func (w *sendMessage) Work(ctx context.Context, job *river.Job[app.SendMessageArgs]) error {
	return snooze(w.app.SendMessage(ctx, job.Args.NotificationID))
}

// NextRetry spaces attempts that failed before anything was sent.
func (w *sendMessage) NextRetry(job *river.Job[app.SendMessageArgs]) time.Time {
	return w.app.Now().Add(domain.PeerBackoff(job.Args.Template(), job.Attempt))
}

type judgeReport struct {
	river.WorkerDefaults[app.JudgeReportArgs]
	app *app.App
}

// Work applies a delivery report.
func (w *judgeReport) Work(ctx context.Context, job *river.Job[app.JudgeReportArgs]) error {
	return snooze(w.app.JudgeReport(ctx, job.Args.ReportID))
}

// NextRetry spaces attempts that failed.
func (w *judgeReport) NextRetry(job *river.Job[app.JudgeReportArgs]) time.Time {
	return w.app.Now().Add(domain.PeerBackoff("", job.Attempt))
}

func snooze(wait time.Duration, err error) error {
	if err != nil || wait == 0 {
		return err
	}
	return river.JobSnooze(wait)
}
