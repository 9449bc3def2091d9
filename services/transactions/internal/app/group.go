package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

const (
	// committers is how many batches are under way at once. They wait for each other's accounts, so a second one pays only when it is large:
	// then its references are inserted and its rows encoded while the first one is at the disk.
	committers = 2
	// largeBatch is what must wait for a second committer to start. A batch costs the same whether it has one transaction or fifty.
	largeBatch = 128
	// CommitConns is how many connections they need, with one for the rules of accounts.
	CommitConns = committers + 1
	// maxBatch bounds the transactions of one database transaction, and with it how long its accounts are locked.
	maxBatch = 256
	// maxWaiting bounds the queue: beyond it callers are told to come back.
	maxWaiting = 4096
	// commitTimeout is below the 5 s that callers give a posting.
	commitTimeout = 4 * time.Second
	busyRetry     = time.Second
	// repeatEvery is the rest before a batch is repeated whose COMMIT got no answer.
	repeatEvery = 50 * time.Millisecond
)

type commitFunc func(ctx context.Context, requests []domain.Request) ([]domain.Outcome, error)

// group commits lists of requests that arrive together in one database transaction, because every transfer touches the same fee
// accounts: alone, each would wait for the disk while it holds their locks. When nothing runs, a list is committed at once.
type group struct {
	commit commitFunc
	log    *slog.Logger

	mu      sync.Mutex
	waiting []*entry
	queued  int // transactions in waiting
	running int // committers
}

type entry struct {
	requests []domain.Request
	done     chan result
}

type result struct {
	outcomes []domain.Outcome
	err      error
}

func newGroup(commit commitFunc, log *slog.Logger) *group { return &group{commit: commit, log: log} }

func (g *group) depth() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.queued
}

// submit waits for the outcomes of its requests. When ctx ends first, their fate is unknown: the batch goes on without its caller.
func (g *group) submit(ctx context.Context, requests []domain.Request) ([]domain.Outcome, error) {
	e := &entry{requests: requests, done: make(chan result, 1)}
	if !g.enqueue(e) {
		return nil, domain.ErrBusy.WithRetryAfter(busyRetry)
	}
	select {
	case r := <-e.done:
		return r.outcomes, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: caller gone: %w", fault.ErrUnavailable, ctx.Err())
	}
}

func (g *group) enqueue(e *entry) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.queued+len(e.requests) > maxWaiting {
		return false
	}
	g.waiting = append(g.waiting, e)
	g.queued += len(e.requests)
	if g.running == 0 || g.running < committers && g.queued >= largeBatch {
		g.running++
		go g.drain()
	}
	return true
}

// drain commits batches until nothing waits.
func (g *group) drain() {
	for batch := g.next(); batch != nil; batch = g.next() {
		g.settle(batch)
	}
}

func (g *group) next() []*entry {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, size := 0, 0
	for n < len(g.waiting) && (n == 0 || size+len(g.waiting[n].requests) <= maxBatch) {
		size += len(g.waiting[n].requests)
		n++
	}
	if n == 0 || g.running > 1 && g.queued < largeBatch {
		g.running--
		return nil
	}
	batch := g.waiting[:n:n]
	g.waiting = g.waiting[n:]
	g.queued -= size
	return batch
}

// settle commits a batch and gives each caller its own outcomes. If the batch fails for a reason that is not the database's absence,
// each list is tried alone, so that one broken list cannot fail its neighbours.
func (g *group) settle(batch []*entry) {
	var all []domain.Request
	for _, e := range batch {
		all = append(all, e.requests...)
	}
	outcomes, err := g.try(all)
	if err != nil && len(batch) > 1 && !errors.Is(err, fault.ErrUnavailable) {
		g.log.Error("a batch failed, its lists are tried alone", "lists", len(batch), "err", err)
		for _, e := range batch {
			o, err := g.try(e.requests)
			e.done <- result{o, err}
		}
		return
	}
	for _, e := range batch {
		if err != nil {
			e.done <- result{nil, err}
			continue
		}
		e.done <- result{outcomes[:len(e.requests):len(e.requests)], nil}
		outcomes = outcomes[len(e.requests):]
	}
}

func (g *group) try(requests []domain.Request) (outcomes []domain.Outcome, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil { // without callers' goroutines around it, a panic here would end every service of the process
			outcomes, err = nil, fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	outcomes, err = g.commit(ctx, requests)
	for unknown := errors.Is(err, errCommitUnknown); unknown && err != nil && ctx.Err() == nil; {
		g.log.Warn("a batch is repeated: its COMMIT got no answer", "transactions", len(requests), "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(repeatEvery):
			outcomes, err = g.commit(ctx, requests)
		}
	}
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", fault.ErrUnavailable, err)
	}
	return outcomes, pg.Fault(err)
}
