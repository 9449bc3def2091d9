package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

// Sweep deletes what nothing needs any more, 1,000 rows at a time until nothing is left, and returns how many went. A kind that fails
// keeps none of the others. Identity verifications, callbacks and the audit trail are records and stay.
func (a *App) Sweep(ctx context.Context) (int64, error) {
	now := a.Now()
	var total int64
	var errs []error
	for _, s := range []struct {
		what   string
		before time.Time
		run    func(ctx context.Context, before time.Time) (int64, error)
	}{
		{"codes", now.Add(-24 * time.Hour), func(ctx context.Context, t time.Time) (int64, error) { return a.q.SweepChallenges(ctx, a.Pool, t) }},
		{"pin tries", now.Add(-7 * 24 * time.Hour),
			func(ctx context.Context, t time.Time) (int64, error) { return a.q.SweepPinAttempts(ctx, a.Pool, t) }},
		{"revocations", now.Add(-2 * domain.RevocationKeep),
			func(ctx context.Context, t time.Time) (int64, error) { return a.q.SweepRevocations(ctx, a.Pool, t) }},
		{"limits", now, func(ctx context.Context, t time.Time) (int64, error) { return a.q.SweepLimits(ctx, a.Pool, t) }},
		{"step-ups", now, func(ctx context.Context, t time.Time) (int64, error) { return a.q.SweepStepUps(ctx, a.Pool, t) }},
		{"former numbers", now.Add(-domain.FormerNumberKeep),
			func(ctx context.Context, t time.Time) (int64, error) { return a.q.SweepFormerNumbers(ctx, a.Pool, t) }},
		{"recoveries", now, func(ctx context.Context, t time.Time) (int64, error) { return a.q.ExpireRecoveries(ctx, a.Pool, t) }},
		{"sessions", now.Add(-7 * 24 * time.Hour),
			func(ctx context.Context, t time.Time) (int64, error) { return a.q.SweepSessions(ctx, a.Pool, t) }},
	} {
		n, err := pg.Drain(ctx, func(ctx context.Context) (int64, error) { return s.run(ctx, s.before) })
		if err != nil {
			errs = append(errs, fmt.Errorf("sweep %s: %w", s.what, err))
		}
		total += n
	}
	return total, errors.Join(errs...)
}

// SweepLoop sweeps every ten minutes until ctx ends.
func (a *App) SweepLoop(ctx context.Context) error {
	for {
		if _, err := a.Sweep(ctx); err != nil && ctx.Err() == nil {
			a.Log.WarnContext(ctx, "sweep", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(10 * time.Minute):
		}
	}
}
