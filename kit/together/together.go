// Package together lets work that arrives at the same time share one transaction. What is submitted while a batch is under way waits for
// it and goes with the next one; when nothing runs, an item goes at once. So nobody waits for a timer, a single item costs what it would
// cost alone, and a hundred cost little more than one.
//
// A group has no state but what waits, and a goroutine only while something does: there is nothing to start or to close. A batch runs on
// its own time, not on its callers': one that gives up, at a shutdown too, leaves its item with the batch, which is decided without it.
package together

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// What Do answers besides the errors of the work itself.
var (
	// ErrFull says that too much waits already: the item was not taken.
	ErrFull = errors.New("too much is waiting")
	// ErrLeft says that the caller's context ended first: the item may be done, now or later.
	ErrLeft = errors.New("left before the answer")
)

// Config says how a group works.
type Config[T, R any] struct {
	// Work does a batch and returns one answer per item, in their order. An error, or a panic, is about all of them.
	Work func(ctx context.Context, items []T) ([]R, error)
	// Timeout bounds one call of Work.
	Timeout time.Duration
	// Largest is the weight of a batch, unless its first item alone is heavier.
	Largest int
	// Weigh says how much an item weighs; nil means one.
	Weigh func(item T) int
	// Failed hears of a batch that failed, and says whether each of its items is tried once more by itself, so that one that is broken
	// does not fail its neighbours. A batch of one is not tried again.
	Failed func(err error, items int) (alone bool)
	// MostWaiting is the weight that may wait; zero bounds nothing, where the callers are bounded already.
	MostWaiting int
	// Workers is how many batches are under way at once; zero means one. From the second on a worker starts only while at least Busy weight
	// waits: batches that touch the same rows wait for each other.
	Workers, Busy int
}

// Group collects items for batches. It is safe for concurrent use.
type Group[T, R any] struct {
	cfg Config[T, R]

	mu      sync.Mutex
	waiting []entry[T, R]
	weight  int // of what waits
	workers int
}

type entry[T, R any] struct {
	item T
	done chan answer[R] // has room for the answer, which nobody may be waiting for
}

type answer[R any] struct {
	value R
	err   error
}

// New returns a group.
func New[T, R any](cfg Config[T, R]) *Group[T, R] {
	cfg.Workers = max(cfg.Workers, 1)
	if cfg.Weigh == nil {
		cfg.Weigh = func(T) int { return 1 }
	}
	return &Group[T, R]{cfg: cfg}
}

// Do waits until item is done with others, and returns its own answer.
func (g *Group[T, R]) Do(ctx context.Context, item T) (R, error) {
	done := make(chan answer[R], 1)
	if !g.add(entry[T, R]{item: item, done: done}) {
		var none R
		return none, ErrFull
	}
	select {
	case a := <-done:
		return a.value, a.err
	case <-ctx.Done():
		var none R
		return none, fmt.Errorf("%w: %w", ErrLeft, ctx.Err())
	}
}

// Waiting is the weight of what waits for a batch.
func (g *Group[T, R]) Waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.weight
}

func (g *Group[T, R]) add(e entry[T, R]) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	weight := g.weight + g.cfg.Weigh(e.item)
	if g.cfg.MostWaiting > 0 && weight > g.cfg.MostWaiting {
		return false
	}
	g.waiting, g.weight = append(g.waiting, e), weight
	if g.workers == 0 || g.workers < g.cfg.Workers && weight >= g.cfg.Busy {
		g.workers++
		go g.run()
	}
	return true
}

// run does batches until nothing waits.
func (g *Group[T, R]) run() {
	for batch := g.next(); batch != nil; batch = g.next() {
		g.settle(batch)
	}
}

// next takes the next batch off what waits, or ends the worker.
func (g *Group[T, R]) next() []entry[T, R] {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, weight := 0, 0
	for n < len(g.waiting) {
		with := weight + g.cfg.Weigh(g.waiting[n].item)
		if n > 0 && with > g.cfg.Largest {
			break
		}
		n, weight = n+1, with
	}
	if n == 0 || g.workers > 1 && g.weight < g.cfg.Busy {
		g.workers--
		return nil
	}
	batch := g.waiting[:n:n]
	g.waiting, g.weight = g.waiting[n:], g.weight-weight
	return batch
}

// settle gives each item of a batch its answer.
func (g *Group[T, R]) settle(batch []entry[T, R]) {
	items := make([]T, len(batch))
	for i, e := range batch {
		items[i] = e.item
	}
	values, err := g.try(items)
	if err != nil {
		alone := g.cfg.Failed != nil && g.cfg.Failed(err, len(items))
		g.settleFailed(batch, err, alone && len(items) > 1)
		return
	}
	for i, e := range batch {
		e.done <- answer[R]{value: values[i]}
	}
}

func (g *Group[T, R]) settleFailed(batch []entry[T, R], err error, alone bool) {
	for _, e := range batch {
		a := answer[R]{err: err}
		if alone {
			var values []R
			if values, a.err = g.try([]T{e.item}); a.err == nil {
				a.value = values[0]
			}
		}
		e.done <- a
	}
}

// try calls Work once.
func (g *Group[T, R]) try(items []T) (values []R, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), g.cfg.Timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil { // without callers' goroutines around it, a panic here would end every service of the process
			values, err = nil, fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	values, err = g.cfg.Work(ctx, items)
	if err == nil && len(values) != len(items) {
		return nil, fmt.Errorf("%d answers for %d items", len(values), len(items))
	}
	return values, err
}
