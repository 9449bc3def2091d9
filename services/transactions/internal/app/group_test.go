package app

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

// scripted is a committer whose first batches wait at a gate, so that the test decides who arrives together.
type scripted struct {
	*group
	entered chan struct{}
	gate    chan struct{}
	mu      sync.Mutex
	batches [][]string
	answer  func(references []string) error
}

func newScripted(answer func(references []string) error) *scripted {
	s := &scripted{entered: make(chan struct{}, 100), gate: make(chan struct{}), answer: answer}
	s.group = newGroup(s.run, slog.New(slog.DiscardHandler))
	return s
}

func (s *scripted) run(_ context.Context, requests []domain.Request) ([]domain.Outcome, error) {
	var references []string
	var outcomes []domain.Outcome
	for _, r := range requests {
		references = append(references, r.Reference)
		outcomes = append(outcomes, domain.Outcome{Reference: r.Reference})
	}
	s.mu.Lock()
	s.batches = append(s.batches, references)
	s.mu.Unlock()
	s.entered <- struct{}{}
	<-s.gate
	return outcomes, s.answer(references)
}

func list(references ...string) (requests []domain.Request) {
	for _, r := range references {
		requests = append(requests, domain.Request{Reference: r})
	}
	return requests
}

// together occupies a committer, queues the lists, opens the gate, and returns each list's error. Outcomes must be the list's own. It is
// called in a bubble of synctest, which knows when all of them wait.
func (s *scripted) together(t *testing.T, lists ...[]domain.Request) []error {
	t.Helper()
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = s.submit(context.Background(), list("busy")) })
	<-s.entered
	errs := make([]error, len(lists))
	for i, l := range lists {
		wg.Go(func() {
			var outcomes []domain.Outcome
			outcomes, errs[i] = s.submit(context.Background(), l)
			for n, o := range outcomes {
				if o.Reference != l[n].Reference {
					t.Errorf("%s got the outcome of %s", l[n].Reference, o.Reference)
				}
			}
			if errs[i] == nil && len(outcomes) != len(l) {
				t.Errorf("%d outcomes for %d requests", len(outcomes), len(l))
			}
		})
		synctest.Wait()
	}
	close(s.gate)
	wg.Wait()
	return errs
}

func TestGroupCommitsWhatArrivesTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScripted(func([]string) error { return nil })
		for _, err := range s.together(t, list("a"), list("b", "c"), list("d")) {
			if err != nil {
				t.Error(err)
			}
		}
		if got := s.batches[1:]; len(got) != 1 || !slices.Equal(got[0], []string{"a", "b", "c", "d"}) {
			t.Errorf("batches %v", got)
		}
		if s.depth() != 0 {
			t.Errorf("%d still wait", s.depth())
		}
	})
}

func TestGroupBrokenListFailsAlone(t *testing.T) {
	t.Parallel()
	broken := errors.New("check violation")
	for name, fail := range map[string]func(){"error": func() {}, "panic": func() { panic("impossible") }} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newScripted(func(references []string) error {
					if slices.Contains(references, "bad") {
						fail()
						return broken
					}
					return nil
				})
				errs := s.together(t, list("a"), list("bad"), list("b", "c"))
				if errs[0] != nil || errs[1] == nil || errs[2] != nil {
					t.Errorf("%v", errs)
				}
			})
		})
	}
}

func TestGroupDoesNotSplitWhenTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScripted(func(references []string) error {
			if slices.Contains(references, "busy") {
				return nil
			}
			return fault.ErrUnavailable
		})
		for _, err := range s.together(t, list("a"), list("b")) {
			if !errors.Is(err, fault.ErrUnavailable) {
				t.Error(err)
			}
		}
		if n := len(s.batches); n != 2 {
			t.Errorf("%d batches", n)
		}
	})
}

func TestGroupRefusesWhenFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScripted(func([]string) error { return nil })
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = s.submit(context.Background(), list("busy")) })
		<-s.entered
		large := make([]domain.Request, largeBatch) // enough for a second committer
		wg.Go(func() { _, _ = s.submit(context.Background(), large) })
		<-s.entered
		wg.Go(func() {
			if _, err := s.submit(context.Background(), make([]domain.Request, maxWaiting)); err != nil {
				t.Errorf("the queue refuses what it should take: %v", err)
			}
		})
		synctest.Wait()
		_, err := s.submit(context.Background(), list("x"))
		if f, ok := fault.As(err); !ok || f.Kind != fault.Unavailable || f.RetryAfter == 0 {
			t.Errorf("%v", err)
		}
		close(s.gate)
		wg.Wait()
	})
}

func TestGroupCallerGone(t *testing.T) {
	t.Parallel()
	s := newScripted(func([]string) error { return nil })
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := s.submit(ctx, list("a")); !errors.Is(err, fault.ErrUnavailable) || !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
	<-s.entered
	cancel()
	wg.Wait()
	close(s.gate) // the batch goes on without its caller
	if _, err := s.submit(context.Background(), list("b")); err != nil {
		t.Error(err)
	}
}
