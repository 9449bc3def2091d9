package jobs

import (
	"errors"
	"testing"
	"time"

	"github.com/riverqueue/river/rivertype"

	"github.com/sendtip/sendtip/kit/clock"
)

func TestMoneyRetryPolicyIsCapped(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		attempt  int
		low, top time.Duration
	}{
		{0, 800 * time.Millisecond, time.Second},
		{1, 800 * time.Millisecond, time.Second},
		{3, 3200 * time.Millisecond, 4 * time.Second},
		{7, 48 * time.Second, MaxWait},
		{MoneyAttempts, 48 * time.Second, MaxWait},
	} {
		before := time.Now()
		next := retryPolicy{}.NextRetry(&rivertype.JobRow{Attempt: c.attempt, MaxAttempts: MoneyAttempts})
		if d := next.Sub(before); d < c.low || d > c.top+time.Second {
			t.Errorf("attempt %d: waits %s, want %s to %s", c.attempt, d, c.low, c.top)
		}
	}
}

func TestRetryPolicyOfOtherJobsGrowsPastTheCap(t *testing.T) {
	t.Parallel()
	now := time.Now()
	other := &rivertype.JobRow{Attempt: 8, MaxAttempts: 25, AttemptedAt: &now, Errors: make([]rivertype.AttemptError, 7)}
	if d := (retryPolicy{}).NextRetry(other).Sub(now); d < 10*MaxWait {
		t.Errorf("another job waits %s", d)
	}
	money := &rivertype.JobRow{Attempt: 8, MaxAttempts: MoneyAttempts}
	if d := (retryPolicy{}).NextRetry(money).Sub(now); d > MaxWait+time.Second {
		t.Errorf("a money job waits %s", d)
	}
}

func TestRetriesAreDueByTheClock(t *testing.T) {
	t.Parallel()
	p := retryPolicy{clock: clock.New(-400 * 24 * time.Hour)}
	for _, attempts := range []int{MoneyAttempts, 25} {
		job := &rivertype.JobRow{Attempt: 1, MaxAttempts: attempts}
		if d := p.NextRetry(job).Sub(p.clock.Now()); d < 0 || d > MaxWait {
			t.Errorf("a job of %d attempts waits %s", attempts, d)
		}
	}
}

func TestSnoozes(t *testing.T) {
	t.Parallel()
	for metadata, want := range map[string]int{`{"snoozes": 4}`: 4, `{}`: 0, ``: 0, `{"snoozes": -1}`: 0, `[]`: 0} {
		if got := Snoozes(&rivertype.JobRow{Metadata: []byte(metadata)}); got != want {
			t.Errorf("%s: got %d", metadata, got)
		}
	}
}

func TestUnknown(t *testing.T) {
	t.Parallel()
	cause := errors.New("time-out")
	err := Unknown(cause)
	var snooze *rivertype.JobSnoozeError
	if !IsUnknown(err) || !errors.Is(err, cause) || !errors.As(err, &snooze) || snooze.Duration > MaxWait {
		t.Fatalf("%v", err)
	}
	if IsUnknown(cause) || IsUnknown(nil) || !IsUnknown(Unknown(nil)) {
		t.Fatal("only what Unknown made is unknown")
	}
}
