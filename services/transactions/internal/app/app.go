// Package app holds the use cases of the ledger: who may do it, one database transaction per batch of requests, and the rows that
// domain.Decide asks for.
package app

import (
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	transactionsdb "github.com/sendtip/sendtip/generated/transactions/db"
)

// Scopes that callers need.
const (
	ScopePost     = "ledger:post"
	ScopeRead     = "ledger:read"
	ScopeAccounts = "ledger:accounts"
	ScopeWallet   = "wallet:read"
)

// App is the ledger.
type App struct {
	pool  *pgxpool.Pool
	q     *transactionsdb.Queries
	now   func() time.Time
	log   *slog.Logger
	group *group
	wake  func()
}

// New makes the ledger on a pool of the app role. now is the clock; wake is called after a commit that appended events (may be nil).
func New(pool *pgxpool.Pool, now func() time.Time, log *slog.Logger, wake func()) *App {
	if wake == nil {
		wake = func() {}
	}
	a := &App{pool: pool, q: transactionsdb.New(), now: now, log: log, wake: wake}
	a.group = newGroup(a.commit, log)
	return a
}

// Waiting is how many transactions wait to be committed, for a metric.
func (a *App) Waiting() int { return a.group.depth() }
