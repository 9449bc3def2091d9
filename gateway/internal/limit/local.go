package limit

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

// maxLocal bounds the counters that one gateway holds while Redis is away.
const maxLocal = 100_000

// local counts in memory. Past its bound new keys share one counter: limited too early is better than not at all.
type local struct {
	mu    sync.Mutex
	start time.Time
	now   func() time.Time
	max   int
	tats  map[string]time.Duration
}

func newLocal(now func() time.Time, size int) *local {
	return &local{start: now(), now: now, max: size, tats: map[string]time.Duration{}}
}

func (l *local) take(_ context.Context, asks []Ask) ([]Answer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now().Sub(l.start)
	answers, lags, all := make([]Answer, len(asks)), make([]time.Duration, len(asks)), true
	for i, a := range asks {
		lags[i] = max(0, l.tats[l.place(a, now)]-now)
		all = all && spendable(a.Policy, lags[i]) > 0
	}
	for i, a := range asks {
		taken := 0
		if all {
			taken = min(a.cost, spendable(a.Policy, lags[i]))
			lags[i] += every(a.Policy) * time.Duration(taken)
			l.tats[l.place(a, now)] = now + lags[i]
		}
		answers[i] = answer(a.Policy, lags[i], taken)
	}
	return answers, nil
}

// place returns the key, or the shared one of the policy when there is no room.
func (l *local) place(a Ask, now time.Duration) string {
	if _, ok := l.tats[a.Key]; ok || len(l.tats) < l.max {
		return a.Key
	}
	for k, tat := range l.tats {
		if tat <= now {
			delete(l.tats, k)
		}
	}
	if len(l.tats) < l.max {
		return a.Key
	}
	return a.Policy.Name + ":overflow"
}

// leases hold what this gateway has taken from Redis ahead of time for busy counters, above all the address of a proxy or a load
// test: without them each request pays a round trip. They never let more through than Redis gave out; what is left after leaseLife is lost.
type leases struct {
	mu      sync.Mutex
	now     func() time.Time
	held    map[string]*lease
	refused map[string]refusal // by all keys of the request together
}

// refusal is what Redis last said to the same request. Until then it would refuse for certain, so it is not asked: a flood stops here.
type refusal struct {
	answers   []Answer
	at, until time.Time
}

type lease struct {
	left    int
	size    int
	answer  Answer
	fetched time.Time
	asking  bool // somebody asks for more than one now: the others ask for one each, or a burst would take what it does not need
}

const (
	leaseLife = 2 * time.Second
	maxBlock  = time.Second
	maxLeases = 10_000
	// minLeased is the smallest burst of which tokens are taken ahead: of a smaller one, twins of one request would use up what they
	// do not need, and a customer would be refused too early.
	minLeased = 100
)

func newLeases(now func() time.Time) *leases {
	return &leases{now: now, held: map[string]*lease{}, refused: map[string]refusal{}}
}

// spend takes one of each if all are held, or refuses if one is known to be empty.
func (l *leases) spend(asks []Ask) ([]Answer, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, all := l.now(), true
	if len(l.refused) > 0 {
		if r, ok := l.refused[together(asks)]; ok && now.Before(r.until) {
			return later(r.answers, now.Sub(r.at)), true
		}
	}
	for _, a := range asks {
		h := l.held[a.Key]
		all = all && h != nil && h.left > 0 && now.Sub(h.fetched) <= leaseLife
	}
	if !all {
		return nil, false
	}
	answers := make([]Answer, len(asks))
	for i, a := range asks {
		h := l.held[a.Key]
		h.left--
		answers[i] = h.answer
		answers[i].Remaining += h.left
		answers[i].Reset = max(0, h.answer.Reset-now.Sub(h.fetched))
	}
	return answers, true
}

// together names all counters of a request.
func together(asks []Ask) string {
	var b strings.Builder
	for _, a := range asks {
		b.WriteString(a.Key)
		b.WriteByte(' ')
	}
	return b.String()
}

// later is what was answered a moment ago, as it is to be said now: the same point in time is nearer.
func later(answers []Answer, elapsed time.Duration) []Answer {
	out := slices.Clone(answers)
	for i := range out {
		out[i].Reset, out[i].Retry = max(0, out[i].Reset-elapsed), max(0, out[i].Retry-elapsed)
	}
	return out
}

// size asks for more where a counter is asked for often: twice as much as last time, at most an eighth of the burst, and at most half
// of what will be used before it is lost if requests keep coming as they did. Who asks a few times a second is counted one by one.
func (l *leases) size(asks []Ask) []Ask {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, out := l.now(), slices.Clone(asks)
	if !leasable(asks) {
		return out
	}
	for i, a := range asks {
		if h := l.held[a.Key]; h != nil && now.Sub(h.fetched) < leaseLife {
			elapsed := max(now.Sub(h.fetched), time.Microsecond)
			expected := int(time.Duration(h.size) * leaseLife / elapsed)
			if more := min(h.size*2, a.Policy.Burst/8, expected/2); more > 1 && !h.asking {
				out[i].cost, h.asking = more, true
			}
		}
	}
	return out
}

// leasable says whether all counters of a request may be taken ahead: a request that must ask Redis for one of them asks for all.
func leasable(asks []Ask) bool {
	return !slices.ContainsFunc(asks, func(a Ask) bool { return a.Policy.Burst < minLeased })
}

// asked ends what size began, whether Redis answered or not.
func (l *leases) asked(sized []Ask) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range sized {
		if h := l.held[a.Key]; h != nil && a.cost > 1 {
			h.asking = false
		}
	}
}

func (l *leases) keep(asks []Ask, answers []Answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if len(l.held)+len(asks) > maxLeases {
		for k, h := range l.held {
			if now.Sub(h.fetched) > leaseLife {
				delete(l.held, k)
			}
		}
		if len(l.held)+len(asks) > maxLeases {
			clear(l.held) // what is lost only limits earlier
		}
	}
	if v := verdict(answers); !v.Allowed {
		l.refuse(together(asks), refusal{answers: answers, at: now, until: now.Add(min(v.Retry, maxBlock))})
		return
	}
	if !leasable(asks) {
		return // counted one by one
	}
	for i, a := range asks {
		h := l.held[a.Key]
		if h == nil {
			h = &lease{}
			l.held[a.Key] = h
		}
		if now.Sub(h.fetched) > leaseLife {
			h.left = 0
		}
		h.size, h.answer, h.fetched = answers[i].taken, answers[i], now
		h.left += answers[i].taken - 1
		answers[i].Remaining += h.left
	}
}

func (l *leases) refuse(key string, r refusal) {
	if len(l.refused) >= maxLeases {
		clear(l.refused) // Redis is asked again
	}
	l.refused[key] = r
}
