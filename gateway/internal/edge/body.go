package edge

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/sendtip/sendtip/gateway/internal/validate"
	"github.com/sendtip/sendtip/kit/clock"
)

const (
	// maxBodies bounds the bytes of all bodies that one listener holds, read and not yet answered. The last quarter is kept for messages
	// from where their provider sends: providers do not repeat.
	maxBodies = 64 << 20
	// maxBodiesOf bounds those of one address, on the public listener.
	maxBodiesOf = 16 << 20
	// firstBuffer is enough for nearly every body; maxPooled is what is kept for the next one.
	firstBuffer, maxPooled = 4 << 10, 16 << 10

	// A body may take slowBody, and a second more for each minRate bytes that came, but never longer than longBody.
	slowBody = 5 * time.Second
	minRate  = 4 << 10
	longBody = 30 * time.Second
)

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, firstBuffer); return &b }}

// room counts the bytes of bodies in memory.
type room struct {
	mu      sync.Mutex
	all     int64
	by      map[string]int64
	each    int64 // 0: no bound for one address
	full    bool  // much was held since memory was last given back
	release func()
}

func newRoom(each int64) *room {
	return &room{by: map[string]int64{}, each: each, release: func() { go debug.FreeOSMemory() }}
}

// take reserves n bytes, or answers false.
func (r *room) take(who string, n int64, known bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	most := int64(maxBodies)
	if !known {
		most -= most / 4
	}
	if r.all+n > most || r.each > 0 && r.by[who]+n > r.each {
		return false
	}
	r.all += n
	r.by[who] += n
	r.full = r.full || r.all > maxBodies/8
	return true
}

// give frees them. After a flood the runtime would keep the memory for minutes; it goes back to the system at once.
func (r *room) give(who string, n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all -= n
	if r.by[who] -= n; r.by[who] <= 0 {
		delete(r.by, who)
	}
	if r.full && r.all <= maxBodies/64 {
		r.full = false
		r.release()
	}
}

func (r *room) bytes() float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return float64(r.all)
}

// readChecked reads a body only where the contract has one, and only of its media type.
func readChecked(x *exchange) error {
	if x.r.ContentLength == 0 {
		return nil
	}
	if !x.end.plan.TakesBody() {
		return x.refuseBody()
	}
	if err := validate.MediaType(x.r.Header); err != nil {
		return err
	}
	return x.readBody()
}

// refuseBody looks whether there is a body at all, if its length was not said.
func (x *exchange) refuseBody() error {
	if x.r.ContentLength < 0 {
		x.extendDeadline(0)
		var first [1]byte
		if n, err := io.ReadFull(x.r.Body, first[:]); n == 0 && errors.Is(err, io.EOF) {
			x.clearDeadline()
			return nil
		}
	}
	x.closeConnection()
	return validate.ErrExtraBody
}

// readBody reads at most the operation's limit. A body without a length is cut off at the same place. What is held grows with what has
// come, so that a promise of megabytes takes none.
func (x *exchange) readBody() error {
	if x.r.Body == nil || x.r.ContentLength == 0 {
		return nil
	}
	maxBody := int(x.end.op.MaxBody)
	if x.r.ContentLength > int64(maxBody) {
		x.closeConnection()
		return ErrTooLarge
	}
	x.buffer, _ = buffers.Get().(*[]byte)
	b := (*x.buffer)[:0]
	if !x.hold(cap(b)) {
		return ErrNoRoom
	}
	x.began = clock.Monotonic()
	for {
		if len(b) == cap(b) {
			more := min(cap(b), x.maxLength()+1-cap(b))
			if !x.hold(more) {
				return ErrNoRoom
			}
			b = append(make([]byte, 0, cap(b)+more), b...)
			*x.buffer = b[:0]
		}
		x.extendDeadline(len(b))
		n, err := x.r.Body.Read(b[len(b):min(cap(b), maxBody+1)]) // one byte more shows that there is too much
		b = b[:len(b)+n]
		switch {
		case len(b) > maxBody:
			x.closeConnection() // the rest is not read
			return ErrTooLarge
		case errors.Is(err, io.EOF):
			x.body = b
			x.clearDeadline()
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			x.closeConnection()
			return ErrSlow
		case err != nil:
			return fmt.Errorf("%w: %w", ErrMalformed, err)
		}
	}
}

// maxLength is how long the body may become.
func (x *exchange) maxLength() int {
	if x.r.ContentLength > 0 {
		return int(x.r.ContentLength)
	}
	return int(x.end.op.MaxBody)
}

// closeConnection ends the connection after the answer.
func (x *exchange) closeConnection() { x.w.Header().Set("Connection", "close") }

// hold reserves further bytes for the body.
func (x *exchange) hold(n int) bool {
	if !x.room.take(x.addressKey(), int64(n), x.known) {
		x.closeConnection()
		return false
	}
	x.held += int64(n)
	return true
}

// drop gives buffer and room back.
func (x *exchange) drop() {
	if x.buffer != nil && cap(*x.buffer) <= maxPooled {
		buffers.Put(x.buffer)
	}
	x.buffer = nil
	if x.held > 0 {
		x.room.give(x.addressKey(), x.held)
		x.held = 0
	}
}

// extendDeadline sets until when the next part of the body must come, after so many bytes.
func (x *exchange) extendDeadline(came int) {
	if x.began.IsZero() {
		x.began = clock.Monotonic()
	}
	until := x.began.Add(min(longBody, slowBody+time.Duration(came)*time.Second/minRate))
	_ = http.NewResponseController(x.w).SetReadDeadline(until) // a writer of a test knows no deadline
}

// clearDeadline ends that: a deadline in the past would look as if the client had gone.
func (x *exchange) clearDeadline() { _ = http.NewResponseController(x.w).SetReadDeadline(time.Time{}) }
