// Package jobs maps River's jobs to use cases.
package jobs

import (
	"context"
	"encoding/json"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/sendtip/sendtip/services/user/internal/app"
)

// maxQuickTries bounds what one callback makes us ask; the submitting job goes on anyway.
const maxQuickTries = 5

// Register adds the workers of this service. It is called before the client starts.
func Register(workers *river.Workers, a *app.App) {
	river.AddWorker(workers, &submitKyc{app: a})
	river.AddWorker(workers, &judgeKyc{app: a})
}

type submitKyc struct {
	river.WorkerDefaults[app.SubmitKycArgs]
	app *app.App
}

// Work implements river.Worker.
func (w *submitKyc) Work(ctx context.Context, job *river.Job[app.SubmitKycArgs]) error {
	again, err := w.app.AdvanceKyc(ctx, job.Args.KycID, snoozes(job.JobRow))
	if err == nil && again > 0 {
		return river.JobSnooze(again)
	}
	return err
}

type judgeKyc struct {
	river.WorkerDefaults[app.JudgeKycArgs]
	app *app.App
}

// Work implements river.Worker.
func (w *judgeKyc) Work(ctx context.Context, job *river.Job[app.JudgeKycArgs]) error {
	tries := snoozes(job.JobRow)
	again, err := w.app.JudgeKyc(ctx, job.Args.KycID, tries)
	if err == nil && again > 0 && tries < maxQuickTries {
		return river.JobSnooze(again)
	}
	return err
}

// snoozes is how often the job was put off; River counts it in the job's metadata.
func snoozes(job *rivertype.JobRow) int {
	var metadata struct {
		Snoozes int `json:"snoozes"`
	}
	if err := json.Unmarshal(job.Metadata, &metadata); err != nil {
		return 0
	}
	return max(metadata.Snoozes, 0)
}
