package together_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/sendtip/sendtip/kit/together"
)

const timeout = 3 * time.Second

var errBroken = errors.New("broken")

// script is work whose batches wait at a gate, so that the test decides what arrives together. It answers an item with itself, doubled.
type script struct {
	*together.Group[int, int]
	gate    chan struct{}
	mu      sync.Mutex
	batches [][]int
	started sync.WaitGroup // callers
}

// gated returns a group at a gate; fail says what is wrong with a batch.
func gated(cfg together.Config[int, int], fail func(items []int) error) *script {
	s := &script{gate: make(chan struct{})}
	cfg.Timeout = timeout
	if cfg.Largest == 0 {
		cfg.Largest = 100
	}
	cfg.Work = func(_ context.Context, items []int) ([]int, error) {
		s.mu.Lock()
		s.batches = append(s.batches, slices.Clone(items))
		s.mu.Unlock()
		<-s.gate
		if fail != nil {
			if err := fail(items); err != nil {
				return nil, err
			}
		}
		return doubled(items), nil
	}
	s.Group = together.New(cfg)
	return s
}

func doubled(items []int) []int {
	out := make([]int, len(items))
	for i, n := range items {
		out[i] = 2 * n
	}
	return out
}

func (s *script) seen() [][]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.batches)
}

// submit starts a caller for each item, one after the other, and returns when all of them wait. check gets each one's answer.
func (s *script) submit(ctx context.Context, check func(item, got int, err error), items ...int) {
	for _, item := range items {
		s.started.Go(func() {
			got, err := s.Do(ctx, item)
			check(item, got, err)
		})
		synctest.Wait()
	}
}

func answered(t *testing.T) func(item, got int, err error) {
	return func(item, got int, err error) {
		if err != nil || got != 2*item {
			t.Errorf("item %d is answered with %d, %v", item, got, err)
		}
	}
}

func equal(a, b [][]int) bool { return slices.EqualFunc(a, b, slices.Equal) }

// TestTogether: the first item goes at once and alone, those that come meanwhile go with the next batch, in their order.
func TestTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := gated(together.Config[int, int]{}, nil)
		s.submit(t.Context(), answered(t), 1)
		if got := s.seen(); !equal(got, [][]int{{1}}) {
			t.Errorf("batches %v before the second item", got)
		}
		s.submit(t.Context(), answered(t), 2, 3, 4)
		if n := s.Waiting(); n != 3 {
			t.Errorf("%d wait", n)
		}
		close(s.gate)
		s.started.Wait()
		if got := s.seen(); !equal(got, [][]int{{1}, {2, 3, 4}}) || s.Waiting() != 0 {
			t.Errorf("batches %v, %d wait", got, s.Waiting())
		}
		s.submit(t.Context(), answered(t), 5)
		if got := s.seen(); !equal(got[2:], [][]int{{5}}) {
			t.Errorf("batches %v after a rest", got)
		}
		s.started.Wait()
	})
}

// TestLargest: a batch is as heavy as it may be; an item that alone is heavier goes by itself.
func TestLargest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := gated(together.Config[int, int]{Largest: 10, Weigh: func(n int) int { return n }}, nil)
		s.submit(t.Context(), answered(t), 1, 4, 6, 1, 25, 3, 7, 2)
		close(s.gate)
		s.started.Wait()
		if got := s.seen(); !equal(got, [][]int{{1}, {4, 6}, {1}, {25}, {3, 7}, {2}}) {
			t.Errorf("batches %v", got)
		}
	})
}

// TestBrokenItemFailsAlone: neither an error nor a panic that one item causes reaches its neighbours.
func TestBrokenItemFailsAlone(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func() error{
		"error": func() error { return errBroken }, "panic": func() error { panic("impossible") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var failures []int
				s := gated(together.Config[int, int]{Failed: func(_ error, items int) bool { failures = append(failures, items); return true }},
					func(items []int) error {
						if slices.Contains(items, 3) {
							return fail()
						}
						return nil
					})
				s.submit(t.Context(), answered(t), 1, 2)
				s.submit(t.Context(), func(_, _ int, err error) {
					if err == nil || name == "error" && !errors.Is(err, errBroken) {
						t.Errorf("the broken item: %v", err)
					}
				}, 3)
				s.submit(t.Context(), answered(t), 4)
				close(s.gate)
				s.started.Wait()
				if got := s.seen(); !equal(got, [][]int{{1}, {2, 3, 4}, {2}, {3}, {4}}) || !slices.Equal(failures, []int{3}) {
					t.Errorf("batches %v, failed batches of %v", got, failures)
				}
			})
		})
	}
}

// TestFailedTogether: where nobody asks for a second try, each item gets the batch's error, and a batch of one never gets one.
func TestFailedTogether(t *testing.T) {
	t.Parallel()
	for name, failed := range map[string]func(error, int) bool{"nobody_listens": nil, "no": func(error, int) bool { return false },
		"only_for_one": func(_ error, items int) bool { return items == 1 }} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := gated(together.Config[int, int]{Failed: failed}, func([]int) error { return errBroken })
				s.submit(t.Context(), func(item, got int, err error) {
					if !errors.Is(err, errBroken) || got != 0 {
						t.Errorf("item %d is answered with %d, %v", item, got, err)
					}
				}, 1, 2, 3)
				close(s.gate)
				s.started.Wait()
				if got := s.seen(); !equal(got, [][]int{{1}, {2, 3}}) {
					t.Errorf("batches %v", got)
				}
			})
		})
	}
}

// TestAnswersMissing: answers that cannot be told apart are none.
func TestAnswersMissing(t *testing.T) {
	t.Parallel()
	for _, answers := range [][]int{nil, {1, 2}} {
		g := together.New(together.Config[int, int]{Largest: 1, Timeout: timeout,
			Work: func(context.Context, []int) ([]int, error) { return answers, nil }})
		if got, err := g.Do(t.Context(), 1); err == nil || got != 0 {
			t.Errorf("%v for one item: %d, %v", answers, got, err)
		}
	}
}

func TestFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := gated(together.Config[int, int]{MostWaiting: 5, Weigh: func(n int) int { return n }}, nil)
		s.submit(t.Context(), answered(t), 1) // is under way, and waits no longer
		s.submit(t.Context(), answered(t), 3)
		if _, err := s.Do(t.Context(), 4); !errors.Is(err, together.ErrFull) {
			t.Errorf("an item too many: %v", err)
		}
		s.submit(t.Context(), answered(t), 2)
		if _, err := s.Do(t.Context(), 1); !errors.Is(err, together.ErrFull) {
			t.Errorf("an item when all is taken: %v", err)
		}
		close(s.gate)
		s.started.Wait()
		if _, err := s.Do(t.Context(), 4); err != nil {
			t.Errorf("when there is room again: %v", err)
		}
	})
}

// TestCallerGivesUp: whoever leaves learns nothing, keeps nobody waiting, and the item is done all the same.
func TestCallerGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := gated(together.Config[int, int]{}, nil)
		ctx, cancel := context.WithCancel(t.Context())
		s.submit(t.Context(), answered(t), 1)
		s.submit(ctx, func(_, _ int, err error) {
			if !errors.Is(err, together.ErrLeft) || !errors.Is(err, context.Canceled) {
				t.Errorf("the caller that left: %v", err)
			}
		}, 2)
		s.submit(t.Context(), answered(t), 3)
		cancel()
		synctest.Wait()
		close(s.gate)
		s.started.Wait()
		if got := s.seen(); !equal(got, [][]int{{1}, {2, 3}}) {
			t.Errorf("batches %v", got)
		}
	})
}

// TestShutdown ends every caller while a batch is under way: their items are done without them, and nothing of the group stays behind (the
// bubble fails with a goroutine that does).
func TestShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := gated(together.Config[int, int]{Largest: 2, Workers: 2, Busy: 2}, nil)
		ctx, cancel := context.WithCancel(t.Context())
		s.submit(ctx, func(_, _ int, err error) {
			if !errors.Is(err, together.ErrLeft) {
				t.Errorf("a caller at the end: %v", err)
			}
		}, 1, 2, 3, 4, 5, 6)
		cancel()
		s.started.Wait()
		close(s.gate)
		synctest.Wait()
		done := 0
		for _, batch := range s.seen() {
			done += len(batch)
		}
		if done != 6 || s.Waiting() != 0 {
			t.Errorf("%d of 6 are done, %d wait", done, s.Waiting())
		}
	})
}

// TestTimeout: work has its own time, whatever time its callers have, and each try of an item alone has it anew.
func TestTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		started := time.Now()
		g := together.New(together.Config[int, int]{Largest: 10, Timeout: timeout, Failed: func(error, int) bool { return true },
			Work: func(ctx context.Context, _ []int) ([]int, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}})
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if _, err := g.Do(ctx, 1); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, together.ErrLeft) {
					t.Errorf("%v", err)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		if took := time.Since(started); took != 4*timeout { // the first, the other two together, and each of them
			t.Errorf("it took %s", took)
		}
	})
}

// TestSecondWorker: it starts when enough waits, and ends when less does, although something is left for the first one.
func TestSecondWorker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := gated(together.Config[int, int]{Workers: 2, Busy: 4, Largest: 3}, nil)
		s.submit(t.Context(), answered(t), 1, 2, 3, 4)
		if got := s.seen(); !equal(got, [][]int{{1}}) {
			t.Errorf("batches %v while little waits", got)
		}
		s.submit(t.Context(), answered(t), 5)
		if got := s.seen(); !equal(got, [][]int{{1}, {2, 3, 4}}) {
			t.Errorf("batches %v when much waits", got)
		}
		s.submit(t.Context(), answered(t), 6, 7, 8, 9)
		if got := s.seen(); len(got) != 2 {
			t.Errorf("batches %v: more than two workers", got)
		}
		s.gate <- struct{}{} // one of the two goes on with 5, 6, 7
		synctest.Wait()
		s.gate <- struct{}{} // and whoever ends now leaves 8, 9 to the other
		synctest.Wait()
		if got := s.seen(); !equal(got[2:], [][]int{{5, 6, 7}}) || s.Waiting() != 2 {
			t.Errorf("batches %v, %d wait", got, s.Waiting())
		}
		close(s.gate)
		s.started.Wait()
	})
}

// TestEachItemOnce: whatever fails, panics or leaves, each item is done once if it can be, and each caller gets the answer to its own.
func TestEachItemOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		broken := rapid.SliceOfNDistinct(rapid.IntRange(0, 199), 0, 5, rapid.ID).Draw(r, "broken")
		leaving := rapid.SliceOfNDistinct(rapid.IntRange(0, 199), 0, 20, rapid.ID).Draw(r, "leaving")
		hiccup := rapid.Int64Range(0, 20).Draw(r, "batches before one that fails for no item's sake")
		var batches atomic.Int64
		var done [200]atomic.Int64
		g := together.New(together.Config[int, string]{
			Largest: rapid.IntRange(1, 50).Draw(r, "largest"), Workers: rapid.IntRange(1, 3).Draw(r, "workers"),
			Busy:  rapid.IntRange(1, 50).Draw(r, "busy"),
			Weigh: func(n int) int { return 1 + n%3 }, Timeout: time.Minute, Failed: func(error, int) bool { return true },
			Work: func(_ context.Context, items []int) ([]string, error) {
				if len(items) > 1 && batches.Add(1) == hiccup {
					return nil, errBroken
				}
				for _, n := range items {
					if slices.Contains(broken, n) && n%2 == 0 {
						panic("impossible")
					}
					if slices.Contains(broken, n) {
						return nil, errBroken
					}
				}
				answers := make([]string, len(items))
				for i, n := range items {
					done[n].Add(1)
					answers[i] = fmt.Sprint("answer to ", n)
				}
				return answers, nil
			}})
		var wg sync.WaitGroup
		errs := make(chan string, 200)
		for n := range 200 {
			wg.Go(func() {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				if slices.Contains(leaving, n) {
					cancel()
				}
				got, err := g.Do(ctx, n)
				left := slices.Contains(leaving, n) && errors.Is(err, together.ErrLeft)
				switch {
				case slices.Contains(broken, n):
					if err == nil {
						errs <- fmt.Sprintf("the broken item %d is answered with %q", n, got)
					}
				case !left && (err != nil || got != fmt.Sprint("answer to ", n)):
					errs <- fmt.Sprintf("item %d is answered with %q, %v", n, got, err)
				}
			})
		}
		wg.Wait()
		close(errs)
		for e := range errs {
			r.Error(e)
		}
		for n := range 200 {
			count := done[n].Load()
			if slices.Contains(broken, n) && count != 0 || !slices.Contains(broken, n) && !slices.Contains(leaving, n) && count != 1 || count > 1 {
				r.Errorf("item %d is done %d times", n, count)
			}
		}
	})
}
