// Package jobs maps River jobs to use cases.
package jobs

import (
	"context"
	"time"

	"github.com/riverqueue/river"

	kitjobs "github.com/sendtip/sendtip/kit/jobs"

	"github.com/sendtip/sendtip/services/transactions/internal/app"
)

// CreatePartitionsArgs are those of the daily job that makes the ledger's next partitions.
type CreatePartitionsArgs struct{}

// Kind names the job.
func (CreatePartitionsArgs) Kind() string { return "transactions.create_partitions" }

// Register adds the workers of this service.
func Register(workers *river.Workers, a *app.App) {
	kitjobs.Add(workers, func(ctx context.Context, _ *river.Job[CreatePartitionsArgs]) (time.Duration, error) {
		_, err := a.CreatePartitions(ctx) // fails, and so is reported, while the default partition has rows
		return 0, err
	})
}

// Periodic are the jobs that River's leader inserts by itself: daily, and when a leader starts.
func Periodic() []*river.PeriodicJob {
	return []*river.PeriodicJob{river.NewPeriodicJob(river.PeriodicInterval(24*time.Hour),
		func() (river.JobArgs, *river.InsertOpts) { return CreatePartitionsArgs{}, nil },
		&river.PeriodicJobOpts{RunOnStart: true})}
}
