package jobs_test

import (
	"context"
	"errors"
	"testing"
	"testing/fstest"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/sendtip/sendtip/kit/clock"
	"github.com/sendtip/sendtip/kit/jobs"
	"github.com/sendtip/sendtip/kit/pgtest"
)

// TestAdd: a wait puts the job off without counting as an attempt, no wait ends it, and a failure is one, whatever wait comes with it. What
// the kit does with a failure by itself is in TestFailureIsRetriedSoon.
func TestAdd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		wait    time.Duration
		err     error
		state   rivertype.JobState
		attempt int
		snoozes int
	}{
		"done":    {0, nil, rivertype.JobStateCompleted, 1, 0},
		"put off": {time.Hour, nil, rivertype.JobStateScheduled, 0, 1},
		"failed":  {time.Hour, errors.New("broken"), rivertype.JobStateRetryable, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clk := clock.New(time.Minute)
			from := clk.Now()
			w := world{pool: pgtest.Open(t, "wallet", fstest.MapFS{}).Pool}
			workers := river.NewWorkers()
			jobs.AddPaced(workers, func(context.Context, *river.Job[payArgs]) (time.Duration, error) { return c.wait, c.err },
				func(*river.Job[payArgs]) time.Time { return from.Add(2 * time.Hour) })
			var err error
			if w.client, err = jobs.NewClient(w.pool, workers, jobs.Config{Service: "wallet", Clock: clk}); err != nil {
				t.Fatal(err)
			}
			w.run(t)
			row := w.waitState(t, w.insert(t), c.state)
			if row.Attempt != c.attempt || jobs.Snoozes(row) != c.snoozes || (len(row.Errors) > 0) != (c.err != nil) {
				t.Errorf("attempt %d, %d snoozes, errors %v", row.Attempt, jobs.Snoozes(row), row.Errors)
			}
			switch due := row.ScheduledAt.Sub(from); {
			case c.err != nil && due != 2*time.Hour, c.err == nil && c.wait > 0 && (due < c.wait || due > c.wait+time.Minute):
				t.Errorf("due after %s", due)
			}
		})
	}
}
