package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/together"

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
// accounts: alone, each would wait for the disk while it holds their locks.
type group struct {
	lists *together.Group[[]domain.Request, []domain.Outcome]
}

func newGroup(commit commitFunc, log *slog.Logger) *group {
	return &group{together.New(together.Config[[]domain.Request, []domain.Outcome]{
		Work: func(ctx context.Context, lists [][]domain.Request) ([][]domain.Outcome, error) {
			return commitLists(lists, func(all []domain.Request) ([]domain.Outcome, error) { return commitSurely(ctx, commit, all, log) })
		},
		// If a batch fails for a reason that is not the database's absence, each list is tried alone, so that one broken list cannot fail its
		// neighbours.
		Failed: func(err error, lists int) bool {
			if lists == 1 || errors.Is(err, fault.ErrUnavailable) {
				return false
			}
			log.Error("a batch failed, its lists are tried alone", "lists", lists, "err", err)
			return true
		},
		Weigh:   func(requests []domain.Request) int { return len(requests) },
		Timeout: commitTimeout, Largest: maxBatch, MostWaiting: maxWaiting, Workers: committers, Busy: largeBatch,
	})}
}

// depth is how many transactions wait.
func (g *group) depth() int { return g.lists.Waiting() }

// submit waits for the outcomes of its requests. When ctx ends first, their fate is unknown: the batch goes on without its caller.
func (g *group) submit(ctx context.Context, requests []domain.Request) ([]domain.Outcome, error) {
	outcomes, err := g.lists.Do(ctx, requests)
	switch {
	case errors.Is(err, together.ErrFull):
		return nil, domain.ErrBusy.WithRetryAfter(busyRetry)
	case errors.Is(err, together.ErrLeft):
		return nil, fmt.Errorf("%w: caller gone: %w", fault.ErrUnavailable, err)
	}
	return outcomes, err
}

// commitLists commits lists as one, and gives each its own outcomes.
func commitLists(lists [][]domain.Request, commit func(all []domain.Request) ([]domain.Outcome, error)) ([][]domain.Outcome, error) {
	var all []domain.Request
	for _, requests := range lists {
		all = append(all, requests...)
	}
	outcomes, err := commit(all)
	if err != nil {
		return nil, err
	}
	own := make([][]domain.Outcome, len(lists))
	for i, requests := range lists {
		own[i], outcomes = outcomes[:len(requests):len(requests)], outcomes[len(requests):]
	}
	return own, nil
}

// commitSurely commits, and repeats that as long as COMMIT got no answer.
func commitSurely(ctx context.Context, commit commitFunc, requests []domain.Request, log *slog.Logger) ([]domain.Outcome, error) {
	outcomes, err := commit(ctx, requests)
	for unknown := errors.Is(err, errCommitUnknown); unknown && err != nil && ctx.Err() == nil; {
		log.Warn("a batch is repeated: its COMMIT got no answer", "transactions", len(requests), "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(repeatEvery):
			outcomes, err = commit(ctx, requests)
		}
	}
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", fault.ErrUnavailable, err)
	}
	return outcomes, pg.Fault(err)
}
