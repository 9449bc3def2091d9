// Package jobs maps River jobs to use cases.
package jobs

import (
	"context"
	"time"

	"github.com/riverqueue/river"

	"github.com/sendtip/sendtip/services/transactions/internal/app"
)

// CreatePartitionsArgs are those of the daily job that makes the ledger's next partitions.
type CreatePartitionsArgs struct{}

// Kind names the job.
func (CreatePartitionsArgs) Kind() string { return "transactions.create_partitions" }

type createPartitions struct {
	river.WorkerDefaults[CreatePartitionsArgs]
	app *app.App
}

// Work makes the partitions. It fails, and so is reported, while the default partition has rows.
func (w *createPartitions) Work(ctx context.Context, _ *river.Job[CreatePartitionsArgs]) error {
	_, err := w.app.CreatePartitions(ctx)
	return err
}

// Register adds the workers of this service.
func Register(workers *river.Workers, a *app.App) {
	river.AddWorker(workers, &createPartitions{app: a})
}

// Periodic are the jobs that River's leader inserts by itself: daily, and when a leader starts.
func Periodic() []*river.PeriodicJob {
	return []*river.PeriodicJob{river.NewPeriodicJob(river.PeriodicInterval(24*time.Hour),
		func() (river.JobArgs, *river.InsertOpts) { return CreatePartitionsArgs{}, nil },
		&river.PeriodicJobOpts{RunOnStart: true})}
}
