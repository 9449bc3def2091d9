package app

import (
	"context"
	"fmt"
	"time"

	"github.com/sendtip/sendtip/services/user/internal/domain"
)

// Sweep deletes what nothing needs any more, at most 1,000 rows of a kind at a time, and returns how many went. Identity
// verifications, callbacks and the audit trail are records and stay.
func (a *App) Sweep(ctx context.Context) (int64, error) {
	now := a.now()
	var total int64
	for _, s := range []struct {
		what   string
		before time.Time
		run    func(ctx context.Context, before time.Time) (int64, error)
	}{
		{"codes", now.Add(-24 * time.Hour), func(ctx context.Context, t time.Time) (int64, error) { return a.q.SweepChallenges(ctx, a.Pool, t) }},
		{"pin tries", now.Add(-7 * 24 * time.Hour), func(ctx context.Context, t time.Time) (int64, error) { return a.q.SweepPinAttempts(ctx, a.Pool, t) }},
		{"revocations", now.Add(-2 * domain.RevocationKeep), func(ctx context.Context, t time.Time) (int64, error) { return a.q.SweepRevocations(ctx, a.Pool, t) }},
		{"limits", now, func(ctx context.Context, t time.Time) (int64, error) { return a.q.SweepLimits(ctx, a.Pool, t) }},
		{"sessions", now.Add(-7 * 24 * time.Hour), func(ctx context.Context, t time.Time) (int64, error) { return a.q.SweepSessions(ctx, a.Pool, t) }},
	} {
		n, err := s.run(ctx, s.before)
		if err != nil {
			return total, fmt.Errorf("sweep %s: %w", s.what, err)
		}
		total += n
	}
	return total, nil
}

// SweepLoop sweeps every ten minutes until ctx ends.
func (a *App) SweepLoop(ctx context.Context) error {
	for {
		n, err := a.Sweep(ctx)
		if err != nil {
			a.Log.WarnContext(ctx, "sweep", "err", err)
		}
		if n >= 1000 {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(10 * time.Minute):
		}
	}
}
