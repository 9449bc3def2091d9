package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

// expiryEvery is how often expired holds are looked for, well under the 60 s that a release may be late.
const expiryEvery = 5 * time.Second

// ExpireHolds releases holds whose time is over, through the path of every other transaction, and returns how many it released. Any
// number of replicas may run it at once: the reference `<hold id>:expire` makes it happen once.
func (a *App) ExpireHolds(ctx context.Context) (int, error) {
	released := 0
	for {
		ids, err := a.q.ListExpiredHolds(ctx, a.pool, a.clock())
		if err != nil || len(ids) == 0 {
			return released, err
		}
		requests := make([]domain.Request, len(ids))
		for i, id := range ids {
			requests[i] = domain.ExpiryRelease(id)
		}
		outcomes, err := a.post(ctx, requests)
		if err != nil {
			return released, err
		}
		before := released
		for _, o := range outcomes {
			if o.Status == domain.Posted {
				released++
			}
		}
		if released == before { // captured or released meanwhile; anything else would be asked for ever
			return released, nil
		}
	}
}

// ExpiryLoop runs ExpireHolds every 5 s until ctx ends. It is a loop and not a job: nothing is to be remembered between two runs.
func (a *App) ExpiryLoop(ctx context.Context) error {
	return a.every(ctx, expiryEvery, "holds could not be expired", a.ExpireHolds)
}

// every runs upkeep until ctx ends. What fails is tried again the next time.
func (a *App) every(ctx context.Context, pause time.Duration, failure string, upkeep func(context.Context) (int, error)) error {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		if _, err := upkeep(ctx); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, failure, "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// ErrDefaultPartition says that rows fell into the partition that catches what no month takes: the daily job came too late.
var ErrDefaultPartition = errors.New("the ledger's default partition has rows: move them to a partition of their month")

// CreatePartitions makes this month's partitions and those of the next three months.
func (a *App) CreatePartitions(ctx context.Context) (made int, err error) {
	n, failure := a.q.CreatePartitions(ctx, a.pool, a.clock())
	if failure != nil { // rows of the month in the default partition are one reason
		failure = fmt.Errorf("create partitions: %w", failure)
	}
	used, err := a.q.DefaultPartitionUsed(ctx, a.pool)
	if err != nil {
		return int(n), errors.Join(failure, fmt.Errorf("look into the default partition: %w", err))
	}
	a.metrics.strayed.Set(0)
	if used {
		a.metrics.strayed.Set(1)
		failure = errors.Join(ErrDefaultPartition, failure)
	}
	return int(n), failure
}
