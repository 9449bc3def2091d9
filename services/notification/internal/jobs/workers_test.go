package jobs

import (
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/sendtip/sendtip/services/notification/internal/app"
)

func TestNextRetry(t *testing.T) {
	t.Parallel()
	now := time.Date(2028, time.February, 29, 20, 59, 50, 0, time.UTC)
	at := func() time.Time { return now }
	for name, c := range map[string]struct {
		next func(attempt int) time.Time
		most time.Duration
	}{
		"code":    {func(n int) time.Time { return nextSend(at)(message(n, true)) }, 10 * time.Second},
		"receipt": {func(n int) time.Time { return nextSend(at)(message(n, false)) }, 5 * time.Minute},
		"report": {func(n int) time.Time {
			return nextJudgement(at)(&river.Job[app.JudgeReportArgs]{JobRow: &rivertype.JobRow{Attempt: n}})
		}, 5 * time.Minute},
	} {
		first, last := c.next(1).Sub(now), c.next(900).Sub(now)
		if first < time.Second || first > 3*time.Second || last < c.most || last > c.most+time.Second {
			t.Errorf("%s waits %s first and %s last", name, first, last)
		}
	}
}

func message(attempt int, code bool) *river.Job[app.SendMessageArgs] {
	return &river.Job[app.SendMessageArgs]{JobRow: &rivertype.JobRow{Attempt: attempt}, Args: app.SendMessageArgs{Code: code}}
}

func TestQueues(t *testing.T) {
	t.Parallel()
	for _, args := range []river.JobArgsWithInsertOpts{app.SendMessageArgs{Code: true}, app.SendMessageArgs{}, app.JudgeReportArgs{}} {
		if Queues[args.InsertOpts().Queue] == 0 {
			t.Errorf("nobody works the queue %q of %+v", args.InsertOpts().Queue, args)
		}
	}
}
