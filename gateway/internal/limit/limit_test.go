package limit

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/sendtip/sendtip/gateway/internal/contract"
)

var small = contract.Policy{Name: "small", Limit: 60, Window: time.Minute, Burst: 3}
var large = contract.Policy{Name: "large", Limit: 600, Window: time.Minute, Burst: 100}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

type world struct {
	*Limiter
	server *miniredis.Miniredis
	clock  *clock
	locals atomic.Int64
}

// patience is how long tests wait for Redis: on a busy machine a question would else be decided locally.
const patience = 10 * time.Second

func setup(t *testing.T) *world {
	t.Helper()
	w := &world{server: miniredis.RunT(t), clock: &clock{now: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)}}
	w.server.SetTime(w.clock.now)
	r, err := NewRedis("redis://"+w.server.Addr(), "", patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	w.Limiter = New(r, []byte("key"), w.clock.Now, slog.New(slog.DiscardHandler), func() { w.locals.Add(1) })
	return w
}

func (w *world) advance(d time.Duration) {
	w.clock.Advance(d)
	w.server.SetTime(w.clock.Now())
}

func (w *world) count(t *testing.T, n int, asks ...Ask) int {
	t.Helper()
	allowed := 0
	for range n {
		if w.Take(context.Background(), asks).Allowed {
			allowed++
		}
	}
	return allowed
}

func TestTake(t *testing.T) {
	t.Parallel()
	t.Run("burst, wait, refill", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		ask := w.Ask(small, "user", "a")
		if got := w.count(t, 10, ask); got != 3 {
			t.Fatalf("%d allowed, want the burst of 3", got)
		}
		v := w.Take(context.Background(), []Ask{ask})
		if v.Allowed || v.Retry <= 0 || v.Retry > time.Second {
			t.Fatalf("refusal says %+v", v)
		}
		w.advance(v.Retry)
		if got := w.count(t, 5, ask); got != 1 {
			t.Fatalf("%d allowed after Retry-After, want 1", got)
		}
		w.advance(time.Minute)
		if got := w.count(t, 10, ask); got != 3 {
			t.Fatalf("%d allowed after a minute, want 3", got)
		}
		if w.locals.Load() != 0 {
			t.Fatal("the local counter was used although redis is up")
		}
	})
	for _, where := range []string{"", ", without Redis"} {
		t.Run("refused by one spends none"+where, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			if where != "" {
				w.server.Close()
			}
			a, b := w.Ask(small, "user", "a"), w.Ask(small, "user", "b")
			w.count(t, 3, a)
			if got := w.count(t, 5, a, b); got != 0 {
				t.Fatalf("%d allowed although one is exhausted", got)
			}
			if got := w.count(t, 5, b); got != 3 {
				t.Fatalf("%d left for b, want 3: a refusal spent some", got)
			}
		})
	}
	t.Run("leases give out no more than the burst", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		if got := w.count(t, 500, w.Ask(large, "address", "x")); got != 100 {
			t.Fatalf("%d allowed, want 100", got)
		}
		if calls := w.server.CommandCount(); calls > 600 {
			t.Fatalf("%d commands", calls)
		}
	})
	t.Run("two gateways share", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		r, err := NewRedis("redis://"+w.server.Addr(), "", patience)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Close() })
		other := New(r, []byte("key"), w.clock.Now, slog.New(slog.DiscardHandler), func() {})
		ask, got := w.Ask(small, "user", "a"), 0
		for range 5 {
			for _, l := range []*Limiter{w.Limiter, other} {
				if l.Take(context.Background(), []Ask{ask}).Allowed {
					got++
				}
			}
		}
		if got != 3 {
			t.Fatalf("%d allowed by two gateways, want 3", got)
		}
	})
	t.Run("redis down still limits, and is used again", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		w.server.Close()
		ask := w.Ask(small, "user", "a")
		if got := w.count(t, 20, ask); got != 3 {
			t.Fatalf("%d allowed without redis, want 3", got)
		}
		if w.locals.Load() == 0 {
			t.Fatal("the local counter was not used")
		}
		if err := w.server.Restart(); err != nil {
			t.Fatal(err)
		}
		w.advance(2 * retryRedis)
		before := w.locals.Load()
		if got := w.count(t, 10, ask); got != 3 || w.locals.Load() != before {
			t.Fatalf("%d allowed, %d local decisions after redis is back", got, w.locals.Load()-before)
		}
	})
	t.Run("racing requests", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		ask := w.Ask(large, "user", "a")
		var allowed atomic.Int64
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				for range 20 {
					if w.Take(context.Background(), []Ask{ask}).Allowed {
						allowed.Add(1)
					}
				}
			})
		}
		wg.Wait()
		if got := allowed.Load(); got > 100 || got < 80 {
			t.Fatalf("%d allowed in a race, %d of them locally, want at most 100", got, w.locals.Load())
		}
	})
}

func TestLocal(t *testing.T) {
	t.Parallel()
	c := &clock{now: time.Now()}
	l := newLocal(c.Now, 2)
	take := func(key string) bool {
		answers, err := l.take(context.Background(), []Ask{{Key: key, Policy: small, cost: 1}})
		if err != nil {
			t.Fatal(err)
		}
		return answers[0].Allowed
	}
	allowed := 0
	for i := range 50 {
		if take(string(rune('a' + i))) {
			allowed++
		}
	}
	if allowed > 2+small.Burst {
		t.Fatalf("%d keys allowed in a full table: a flood of keys is not limited", allowed)
	}
	c.Advance(time.Hour)
	if !take("new") {
		t.Fatal("old counters are not forgotten")
	}
}

func TestKeyIsHashed(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.count(t, 1, w.Ask(small, "/phone", "+254712345678"))
	for _, k := range w.server.Keys() {
		if k == "" || len(k) != len(keyPrefix)+len("small:")+24 {
			t.Fatalf("key %q is not a hash", k)
		}
	}
	if w.Ask(small, "/phone", "x").Key == w.Ask(small, "user", "x").Key {
		t.Fatal("two kinds of value share a counter")
	}
}

func TestWriteHeaders(t *testing.T) {
	t.Parallel()
	h := http.Header{}
	verdict([]Answer{{Policy: large, Allowed: true, Remaining: 42, Reset: 16500 * time.Millisecond}}).WriteHeaders(h)
	verdict([]Answer{{Policy: small, Allowed: true, Remaining: 1, Reset: time.Second}}).WriteHeaders(h)
	if got := h.Get("RateLimit-Policy"); got != `"large";q=600;w=60, "small";q=60;w=60` {
		t.Errorf("RateLimit-Policy: %s", got)
	}
	if got := h.Get("RateLimit"); got != `"large";r=42;t=17, "small";r=1;t=1` {
		t.Errorf("RateLimit: %s", got)
	}
}

// BenchmarkTake is one decision over two counters of a principal that was not seen before: the round trip to Redis and its script.
func BenchmarkTake(b *testing.B) {
	server := miniredis.RunT(b)
	r, err := NewRedis("redis://"+server.Addr(), "", RedisTimeout)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = r.Close() })
	l := New(r, []byte("key"), time.Now, slog.New(slog.DiscardHandler), func() {})
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		who := string(rune(n))
		if !l.Take(context.Background(), []Ask{l.Ask(small, "user", who), l.Ask(large, "user", who)}).Allowed {
			b.Fatal("refused")
		}
	}
}
