// Package app holds the use cases of the ledger: who may do it, one database transaction per batch of requests, and the rows that
// domain.Decide asks for.
package app

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	transactionsdb "github.com/sendtip/sendtip/generated/transactions/db"
	"github.com/sendtip/sendtip/kit/page"
)

// App is the ledger.
type App struct {
	pool        *pgxpool.Pool
	committers  *pgxpool.Pool
	q           *transactionsdb.Queries
	now         func() time.Time
	log         *slog.Logger
	group       *group
	atomicLists atomic.Int64
	signer      CheckpointSigner
	pages       *page.Pager
	metrics     metrics
	recent      *recent
	unsealed    chan struct{} // has an element when a batch may wait to be sealed
	unpublished chan struct{} // has an element when sealed transactions may wait to be published
}

// Pools are connections of the app role.
type Pools struct {
	Shared     *pgxpool.Pool
	Committers *pgxpool.Pool // opened with CommitParams
}

// New makes the ledger. now is the clock; pages is nil for tools that list nothing.
func New(pools Pools, now func() time.Time, log *slog.Logger, signer CheckpointSigner, pages *page.Pager) *App {
	a := &App{pool: pools.Shared, committers: pools.Committers, q: transactionsdb.New(), now: now, log: log, signer: signer, pages: pages,
		metrics: newMetrics(), recent: &recent{batches: map[int64][]posted{}},
		unsealed: make(chan struct{}, 1), unpublished: make(chan struct{}, 1)}
	a.group = newGroup(a.commit, log)
	return a
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it is awake already
	}
}
