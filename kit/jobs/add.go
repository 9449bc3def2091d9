package jobs

import (
	"context"
	"encoding/json"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// Add registers what does the jobs of one kind: the only way in which services do. work answers how long the job is put off (0: it is
// done), which does not count as an attempt, or why it failed, which the client's rule tries again.
func Add[T river.JobArgs](workers *river.Workers, work func(ctx context.Context, job *river.Job[T]) (time.Duration, error)) {
	river.AddWorker(workers, &worker[T]{work: work})
}

// AddPaced is Add for jobs that have a rule of their own: next says when an attempt that failed is made again.
func AddPaced[T river.JobArgs](workers *river.Workers, work func(ctx context.Context, job *river.Job[T]) (time.Duration, error),
	next func(job *river.Job[T]) time.Time) {
	river.AddWorker(workers, &worker[T]{work: work, next: next})
}

type worker[T river.JobArgs] struct {
	river.WorkerDefaults[T]

	work func(ctx context.Context, job *river.Job[T]) (time.Duration, error)
	next func(job *river.Job[T]) time.Time // nil: as the client does it
}

// Work implements river.Worker.
func (w *worker[T]) Work(ctx context.Context, job *river.Job[T]) error {
	wait, err := w.work(ctx, job)
	if err != nil || wait == 0 {
		return err
	}
	return river.JobSnooze(wait)
}

// NextRetry implements river.Worker.
func (w *worker[T]) NextRetry(job *river.Job[T]) time.Time {
	if w.next == nil {
		return w.WorkerDefaults.NextRetry(job)
	}
	return w.next(job)
}

// Snoozes is how often a job was put off; River keeps the number in the job's metadata.
func Snoozes(job *rivertype.JobRow) int {
	var metadata struct {
		Snoozes int `json:"snoozes"`
	}
	if err := json.Unmarshal(job.Metadata, &metadata); err != nil {
		return 0
	}
	return max(metadata.Snoozes, 0)
}
