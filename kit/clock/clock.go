// Package clock is the one clock of a platform: UTC, in whole microseconds, moved by one offset that all its parts share.
//
// Who may read the time, and how:
//
//   - A rule never reads it. Its times are parameters: of functions of domain, of use cases and of queries. So a rule can be
//     tested on both sides of an edge, and a row, its event and its answer carry the same time.
//   - Whoever starts work (a use case, a loop, a handler, a client) reads it once, by the function now that its constructor was
//     given. That function is Clock.Now, and nothing outside kit and main calls time.Now.
//   - No query asks the database (now(), current_date): the time would be another machine's, without the offset.
//   - Microseconds, because PostgreSQL keeps no more: an answer made before the row was read again shows the same digits as one
//     made after.
//   - How long something took, and until when a process waits, is measured by Monotonic, timers and contexts with a deadline: a moved
//     offset must not end a wait or bend a measurement. Only kit uses time.Now and time.Since for it.
//
// The offset is for tests and for trying a month's end or a leap day on a whole platform; a production platform has none.
package clock

import (
	"sync/atomic"
	"time"
)

// Clock tells the time with an offset, which may be moved while others read. A nil *Clock tells the real time.
type Clock struct {
	offset atomic.Int64 // nanoseconds
}

// New returns a clock that is ahead of the real time by offset, or behind it when that is negative.
func New(offset time.Duration) *Clock {
	c := &Clock{}
	c.Set(offset)
	return c
}

// Now is the time: UTC, cut to whole microseconds, without a monotonic reading (times are compared as the database would).
func (c *Clock) Now() time.Time {
	return time.Now().Add(c.Offset()).UTC().Truncate(time.Microsecond)
}

// Set moves the clock to offset from the real time, for everybody who holds it.
func (c *Clock) Set(offset time.Duration) {
	c.offset.Store(int64(offset))
}

// Offset is how far the clock is ahead of the real time; none for a nil clock.
func (c *Clock) Offset() time.Duration {
	if c == nil {
		return 0
	}
	return time.Duration(c.offset.Load())
}

// Monotonic is a reading of the process's own clock, which nobody moves: only the time between two of them, or a deadline of a connection
// some time after one, means anything. It is never stored or compared with Now.
func Monotonic() time.Time { return time.Now() }
