package paystack

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/ratelimiter"
)

// An operation is given up for a moment when most of at least 10 calls within 10 s failed; then one call tries again.
const (
	breakerRate   = 0.5
	breakerCalls  = 10
	breakerPeriod = 10 * time.Second
	breakerDelay  = 2 * time.Second
)

// maxRateWait is how long a call waits for its turn before it is refused unsent.
const maxRateWait = 5 * time.Second

var (
	errOpen = errors.New("the circuit breaker is open")
	errRate = errors.New("too many calls wait for the rate limit")
)

// pace keeps the calls within what the rail takes: a rate for all of them, a breaker for each operation.
type pace struct {
	rate ratelimiter.RateLimiter[any] // nil: no limit

	mu       sync.Mutex
	breakers map[string]circuitbreaker.CircuitBreaker[any]
}

func newPace(perSecond int) *pace {
	p := &pace{breakers: map[string]circuitbreaker.CircuitBreaker[any]{}}
	if perSecond > 0 {
		p.rate = ratelimiter.NewSmooth[any](uint(perSecond), time.Second)
	}
	return p
}

// turn waits until the rate allows one more call.
func (p *pace) turn(ctx context.Context) error {
	if p.rate == nil {
		return nil
	}
	if err := p.rate.AcquirePermitWithMaxWait(ctx, maxRateWait); err != nil {
		return &Error{NotSent: true, Err: errRate}
	}
	return nil
}

// breaker is the one of an operation; there are as many as operations.
func (p *pace) breaker(path string) circuitbreaker.CircuitBreaker[any] {
	p.mu.Lock()
	defer p.mu.Unlock()
	b, ok := p.breakers[path]
	if !ok {
		b = circuitbreaker.NewBuilder[any]().WithFailureRateThreshold(breakerRate, breakerCalls, breakerPeriod).
			WithDelay(breakerDelay).WithSuccessThreshold(1).Build()
		p.breakers[path] = b
	}
	return b
}

// guarded is one exchange in its turn and behind its operation's breaker.
func (c *Client) guarded(ctx context.Context, r request, out any) error {
	breaker := c.pace.breaker(r.operation)
	if !breaker.TryAcquirePermit() {
		return &Error{NotSent: true, Err: errOpen}
	}
	err := c.pace.turn(ctx)
	if err == nil {
		err = c.exchange(ctx, r, out)
	}
	switch {
	case errors.Is(ctx.Err(), context.Canceled) && !breaker.IsHalfOpen(): // the caller hung up, which says nothing about Paystack
	case errors.Is(err, errRate) && !breaker.IsHalfOpen():
	case inTrouble(err):
		breaker.RecordFailure()
	default:
		breaker.RecordSuccess()
	}
	return err
}

// inTrouble tells an operation that does not work from one that refuses: a refusal is an answer.
func inTrouble(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return err != nil
	}
	return e.Busy() || e.HTTPStatus == 0 && !e.NotSent || e.HTTPStatus >= 500
}
