package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

const (
	// failing is how many ends in a row make a loop count as one that does not run, however soon it is started again.
	failing = 3
	// steady is how long a loop must have run to count as running again.
	steady = time.Minute

	firstPause = 100 * time.Millisecond
	maxPause   = 5 * time.Second
)

// Loop is work that runs as long as the service does. A loop that ends, by an error, a panic or without a reason, is started again with a
// growing pause, never given up; one that ends again and again makes the service not ready.
type Loop struct {
	Name string
	Run  func(ctx context.Context) error
}

// Once is a loop that has one thing to do, again until it succeeds, and then nothing but to wait for the end.
func Once(do func(ctx context.Context) error) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		if err := do(ctx); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	}
}

// loopStates tell how the loops of a service are.
type loopStates struct {
	mu  sync.Mutex
	all map[string]loopState
}

type loopState struct {
	started time.Time
	ends    int   // in a row
	err     error // of the last end
}

func (s *loopStates) keepRunning(ctx context.Context, loop Loop, l *slog.Logger) {
	for pause := firstPause; ctx.Err() == nil; pause = min(pause*2, maxPause) {
		started := time.Now()
		s.begin(loop.Name, started)
		err := runLoop(ctx, loop, l)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errors.New("it ended without a reason")
		}
		if time.Since(started) > steady {
			pause = firstPause
		}
		ends := s.ended(loop.Name, err)
		level := slog.LevelWarn
		if ends >= failing {
			level = slog.LevelError
		}
		l.Log(ctx, level, "loop stopped, starting it again", "loop", loop.Name, "ends", ends, "err", err, "pause_ms", pause.Milliseconds())
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func (s *loopStates) begin(name string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[string]loopState{}
	}
	state := s.all[name]
	state.started = now
	s.all[name] = state
}

// ended counts an end, and returns how many there were in a row.
func (s *loopStates) ended(name string, err error) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.all[name]
	if time.Since(state.started) > steady {
		state.ends = 0
	}
	state.ends++
	state.err = err
	s.all[name] = state
	return state.ends
}

// ready names the loops that end again and again.
func (s *loopStates) ready(now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(s.all)) {
		if state := s.all[name]; state.ends >= failing && now.Sub(state.started) < steady {
			errs = append(errs, fmt.Errorf("loop %s: %w", name, state.err))
		}
	}
	return errors.Join(errs...)
}

func runLoop(ctx context.Context, loop Loop, l *slog.Logger) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
			l.ErrorContext(ctx, "loop panicked", "loop", loop.Name, "err", err, "stack", string(debug.Stack()))
		}
	}()
	return loop.Run(ctx)
}
