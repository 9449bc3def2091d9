package clock_test

import (
	"testing"
	"time"

	"github.com/sendtip/sendtip/kit/clock"
)

// between fails unless the time that read tells lies offset away from the real time, which is read before and after.
func between(t *testing.T, offset time.Duration, read func() time.Time) {
	t.Helper()
	before := time.Now().Add(offset).Truncate(time.Microsecond)
	got := read()
	after := time.Now().Add(offset)
	if got.Before(before) || got.After(after) {
		t.Errorf("the clock says %v, want a time from %v to %v", got, before, after)
	}
}

func TestNowFollowsTheOffset(t *testing.T) {
	t.Parallel()
	for _, offset := range []time.Duration{0, 72 * time.Hour, -400 * 24 * time.Hour, 1500 * time.Nanosecond} {
		c := clock.New(offset)
		between(t, offset, c.Now)
		if c.Offset() != offset {
			t.Errorf("the offset is %v, want %v", c.Offset(), offset)
		}
	}
}

func TestSetMovesTheClockForAllWhoHoldIt(t *testing.T) {
	t.Parallel()
	c := clock.New(-time.Hour)
	now := c.Now // as a service holds it
	c.Set(48 * time.Hour)
	between(t, 48*time.Hour, now)
}

func TestNilIsTheRealTime(t *testing.T) {
	t.Parallel()
	var c *clock.Clock
	between(t, 0, c.Now)
	if c.Offset() != 0 {
		t.Errorf("the offset is %v, want none", c.Offset())
	}
}

// Also with an offset that is no whole number of microseconds the clock tells what PostgreSQL keeps.
func TestNowIsWhatPostgreSQLKeeps(t *testing.T) {
	t.Parallel()
	c := clock.New(1234567 * time.Nanosecond)
	for range 100 {
		now := c.Now()
		if now.Nanosecond()%1000 != 0 {
			t.Fatalf("%v has parts of a microsecond", now)
		}
		if now.Location() != time.UTC {
			t.Fatalf("%v is not UTC", now)
		}
		if now != now.Round(0) {
			t.Fatalf("%v carries a monotonic reading", now)
		}
	}
}
