package jobs_test

import (
	"errors"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/sendtip/sendtip/kit/clock"
	"github.com/sendtip/sendtip/kit/jobs"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/pgtest"
)

// TestJobsFollowTheClock: a job is due, fails, waits and ends by the platform's clock, in either direction from the real time.
func TestJobsFollowTheClock(t *testing.T) {
	t.Parallel()
	for name, offset := range map[string]time.Duration{"ahead": 40 * 24 * time.Hour, "behind": -40 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := clock.New(offset)
			w := setupAt(t, c, pgtest.Open(t, "wallet", fstest.MapFS{}).Pool, errors.New("once"))
			w.run(t)
			id := w.insert(t)
			w.next(t)
			w.next(t) // the second try, after a wait of at most 1 s
			row := w.waitState(t, id, rivertype.JobStateCompleted)
			for what, at := range map[string]*time.Time{
				"created": &row.CreatedAt, "scheduled": &row.ScheduledAt, "attempted": row.AttemptedAt, "finalized": row.FinalizedAt,
			} {
				if away := at.Sub(c.Now()).Abs(); away > patience {
					t.Errorf("%s at %v, which is %v away from the clock", what, at, away)
				}
			}
		})
	}
}

// TestMovedClockMakesJobsDue: what was scheduled for the next month runs as soon as the clock is there.
func TestMovedClockMakesJobsDue(t *testing.T) {
	t.Parallel()
	c := clock.New(time.Hour)
	w := setupAt(t, c, pgtest.Open(t, "wallet", fstest.MapFS{}).Pool)
	w.run(t)
	from := c.Now()
	due := from.Add(30 * 24 * time.Hour)
	var id int64
	err := pg.InTx(t.Context(), w.pool, func(tx pgx.Tx) error {
		if _, err := w.client.InsertTx(t.Context(), tx, payArgs{ID: "River's"}, &river.InsertOpts{ScheduledAt: due}); err != nil {
			return err
		}
		if err := tx.QueryRow(t.Context(), "SELECT nextval('river_job_id_seq')").Scan(&id); err != nil {
			return err
		}
		return w.client.Schedule(t.Context(), tx, id, payArgs{ID: "ours"}, due)
	})
	if err != nil {
		t.Fatal(err)
	}
	first := w.insert(t) // due now, and behind the others
	if a := w.next(t); a.row.ID != first {
		t.Fatalf("job %d ran before its time", a.row.ID)
	}
	c.Set(c.Offset() + 30*24*time.Hour)
	for range 2 {
		if a := w.next(t); a.row.AttemptedAt.Before(due) {
			t.Errorf("it ran at %v, before %v", a.row.AttemptedAt, due)
		}
	}
	if row := w.waitState(t, id, rivertype.JobStateCompleted); row.CreatedAt.Before(from) || row.CreatedAt.After(due) {
		t.Errorf("created at %v", row.CreatedAt)
	}
}

// TestUnmovedClockLeavesTheTimeToTheDatabase: replicas whose clocks differ must agree on who leads.
func TestUnmovedClockLeavesTheTimeToTheDatabase(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]*clock.Clock{"none": nil, "not moved": clock.New(0)} {
		if now := jobs.RiverTime(c).NowOrNil(); now != nil {
			t.Errorf("%s: River is told %v", name, now)
		}
	}
}
