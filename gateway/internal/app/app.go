// Package app owns the use cases of the gateway's own operations: partners' API keys.
package app

import (
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	gatewaydb "github.com/sendtip/sendtip/generated/gateway/db"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/idem"
	"github.com/sendtip/sendtip/kit/page"
)

// Refusals of the use cases.
var (
	ErrScopeUnknown = fault.New(fault.Unprocessable, "scope_unknown", "API keys cannot be given that scope.")
	ErrExpiryPast   = fault.New(fault.Unprocessable, "expiry_in_the_past", "The expiry is in the past.")
	ErrKeyUnknown   = fault.New(fault.NotFound, "not_found", "There is no such API key.")
)

// App is the use cases.
type App struct {
	pool   *pgxpool.Pool
	q      *gatewaydb.Queries
	idem   *idem.Store
	pages  *page.Pager
	env    string
	scopes []string
	now    func() time.Time
	wake   func()
}

// New makes the use cases. scopes are what API keys may be given; wake starts the outbox relay after a commit.
func New(pool *pgxpool.Pool, store *idem.Store, pages *page.Pager, env string, scopes []string, now func() time.Time, wake func()) *App {
	return &App{pool: pool, q: gatewaydb.New(), idem: store, pages: pages, env: env, scopes: slices.Clone(scopes), now: now, wake: wake}
}
