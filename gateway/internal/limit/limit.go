// Package limit keeps rate limits by GCRA: a bucket that refills evenly. The counters are in Redis, so that all gateways share them;
// when Redis is away each gateway counts by itself. A request is never let through uncounted.
package limit

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/sendtip/sendtip/gateway/internal/contract"
)

// Ask is one counter that a request spends from.
type Ask struct {
	Key    string
	Policy contract.Policy
	cost   int
}

// Answer is the state of one counter after the request.
type Answer struct {
	Policy    contract.Policy
	Allowed   bool
	Remaining int           // what may still come at once
	Reset     time.Duration // until one more than Remaining may come; zero if the bucket is full
	Retry     time.Duration // how long to wait, if refused: the same moment as Reset
	taken     int
}

// Verdict is all counters of one request: allowed only if every one allows it; a refused request spends nothing.
type Verdict struct {
	Answers []Answer
	Allowed bool
	Retry   time.Duration
}

// counter takes from all asked counters at once, or from none.
type counter interface {
	take(ctx context.Context, asks []Ask) ([]Answer, error)
}

// retryRedis is how long a gateway counts by itself before it asks Redis again.
const retryRedis = time.Second

// Limiter decides whether a request may go on.
type Limiter struct {
	shared  counter
	local   counter
	leases  *leases
	key     []byte
	now     func() time.Time
	log     *slog.Logger
	retryAt atomic.Int64
	onLocal func()
}

// New makes a limiter over Redis. key hashes the values before they become keys; onLocal is called for each decision without Redis.
func New(shared *Redis, key []byte, now func() time.Time, log *slog.Logger, onLocal func()) *Limiter {
	return &Limiter{shared: shared, local: newLocal(now, maxLocal), leases: newLeases(now), key: key, now: now, log: log, onLocal: onLocal}
}

// Ask names the counter of a policy for a value. Phones and addresses must not stand in Redis, so the value is hashed with a key.
func (l *Limiter) Ask(p contract.Policy, kind, value string) Ask {
	mac := hmac.New(sha256.New, l.key)
	mac.Write([]byte(kind))
	mac.Write([]byte{0})
	mac.Write([]byte(value))
	return Ask{Key: p.Name + ":" + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:18]), Policy: p, cost: 1}
}

// Take spends one request from each counter.
func (l *Limiter) Take(ctx context.Context, asks []Ask) Verdict {
	if len(asks) == 0 {
		return Verdict{Allowed: true}
	}
	if answers, ok := l.leases.spend(asks); ok {
		return verdict(answers)
	}
	if l.now().UnixNano() >= l.retryAt.Load() {
		sized := l.leases.size(asks)
		answers, err := l.shared.take(ctx, sized)
		l.leases.asked(sized)
		if err == nil {
			l.leases.keep(asks, answers)
			return verdict(answers)
		}
		if ctx.Err() == nil { // not the client that hung up
			l.retryAt.Store(l.now().Add(retryRedis).UnixNano())
			l.log.WarnContext(ctx, "rate limits are counted locally: redis does not answer", "err", err)
		}
	}
	l.onLocal()
	answers, _ := l.local.take(ctx, asks) // the local counter has no errors
	return verdict(answers)
}

func verdict(answers []Answer) Verdict {
	v := Verdict{Answers: answers, Allowed: true}
	for _, a := range answers {
		if !a.Allowed {
			v.Allowed = false
			v.Retry = max(v.Retry, a.Retry)
		}
	}
	return v
}

// every is how long a bucket takes to earn one request. Redis counts in microseconds, so this does too.
func every(p contract.Policy) time.Duration {
	return max((p.Window / time.Duration(p.Limit)).Truncate(time.Microsecond), time.Microsecond)
}

// spendable is how many requests a bucket holds that needs lag to be full again.
func spendable(p contract.Policy, lag time.Duration) int {
	return max(0, int((every(p)*time.Duration(p.Burst)-lag)/every(p)))
}

// answer tells the state of a bucket that needs lag to be full again, after taken requests were spent from it. Nothing is taken from any
// bucket of a refused request, so there a bucket allows if it holds one.
func answer(p contract.Policy, lag time.Duration, taken int) Answer {
	a := Answer{Policy: p, Remaining: spendable(p, lag), taken: taken}
	a.Allowed = taken > 0 || a.Remaining > 0
	if a.Remaining < p.Burst {
		a.Reset = lag - every(p)*time.Duration(p.Burst-a.Remaining-1)
	}
	if !a.Allowed {
		a.Retry = a.Reset
	}
	return a
}
