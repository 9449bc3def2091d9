package limit

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sendtip/sendtip/gateway/internal/contract"
	"github.com/sendtip/sendtip/openapi"
)

// TestRetryIsRight asks every policy of the platform beyond its end, again and again: each refusal names the same moment, nothing is
// admitted a microsecond before it, one request is at it, and RateLimit says the same as Retry-After.
func TestRetryIsRight(t *testing.T) {
	t.Parallel()
	set, err := contract.Load(openapi.FS)
	if err != nil {
		t.Fatal(err)
	}
	for _, policy := range set.Policies {
		for _, where := range []string{"redis", "local"} {
			t.Run(policy.Name+" "+where, func(t *testing.T) {
				t.Parallel()
				w := setup(t)
				if where == "local" {
					w.server.Close()
				}
				ask := []Ask{w.Ask(policy, "user", "a")}
				take := func() Verdict { return w.Take(context.Background(), ask) }
				for take().Allowed { // until the bucket is empty
				}
				for range 2 {
					first := take()
					w.advance(first.Retry / 2)
					again := take()
					if again.Allowed || first.Allowed || again.Retry != first.Retry-first.Retry/2 {
						t.Fatalf("the first refusal says %s, one half later says %s", first.Retry, again.Retry)
					}
					h := http.Header{}
					again.WriteHeaders(h)
					if want := `;r=0;t=` + strconv.Itoa(seconds(again.Retry)); !strings.HasSuffix(h.Get("RateLimit"), want) {
						t.Fatalf("RateLimit: %s, want %s", h.Get("RateLimit"), want)
					}
					w.advance(again.Retry - time.Microsecond)
					if take().Allowed {
						t.Fatal("admitted before its time")
					}
					w.advance(time.Microsecond)
					if v := take(); !v.Allowed {
						t.Fatalf("refused after waiting exactly so long: wait %s more", v.Retry)
					}
				}
			})
		}
	}
}

// TestRetryIsTheLongest: of two empty buckets the slower one decides, also when the answer comes from memory.
func TestRetryIsTheLongest(t *testing.T) {
	t.Parallel()
	w := setup(t)
	slow := contract.Policy{Name: "slow", Limit: 3, Window: 15 * time.Minute, Burst: 3}
	a, b := w.Ask(small, "user", "a"), w.Ask(slow, "user", "a")
	w.count(t, 3, b)
	w.count(t, 10, a)
	for range 3 {
		if v := w.Take(context.Background(), []Ask{a, b}); v.Allowed || v.Retry < 299*time.Second {
			t.Fatalf("wait %s, want 5 minutes", v.Retry)
		}
		w.advance(100 * time.Millisecond)
	}
}

// TestResetIsUntilOneMore: what RateLimit promises comes.
func TestResetIsUntilOneMore(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ask := []Ask{w.Ask(small, "user", "a")}
	w.Take(context.Background(), ask)
	w.advance(300 * time.Millisecond)
	v := w.Take(context.Background(), ask)
	if a := v.Answers[0]; a.Remaining != 1 || a.Reset != 700*time.Millisecond {
		t.Fatalf("%d left and one more in %s, want 1 and 700 ms", a.Remaining, a.Reset)
	}
	w.advance(700 * time.Millisecond)
	if got := w.count(t, 5, ask...); got != 2 {
		t.Fatalf("%d admitted, want 2", got)
	}
}
