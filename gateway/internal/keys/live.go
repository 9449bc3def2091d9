package keys

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sendtip/sendtip/gateway/internal/auth"
	"github.com/sendtip/sendtip/gateway/internal/contract"
	gatewaydb "github.com/sendtip/sendtip/generated/gateway/db"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/pg"
)

const (
	channel = "gateway_api_keys"
	// checkEvery bounds how long a dead connection goes unnoticed.
	checkEvery = 2 * time.Second
	// maxStale: after so long without news a key may have been revoked elsewhere, so none is taken.
	maxStale = 30 * time.Second
)

// Live is the set of keys that are not revoked, in memory. PostgreSQL's NOTIFY tells of each change at its commit.
type Live struct {
	pool *pgxpool.Pool
	env  string
	now  func() time.Time
	log  *slog.Logger
	q    *gatewaydb.Queries

	mu    sync.RWMutex
	keys  map[uuid.UUID]live
	fresh atomic.Int64 // when the set was last known to be complete
}

type live struct {
	hash    []byte
	scopes  []string
	expires *time.Time
}

// NewLive makes an unloaded set.
func NewLive(pool *pgxpool.Pool, env string, now func() time.Time, log *slog.Logger) *Live {
	return &Live{pool: pool, env: env, now: now, log: log, q: gatewaydb.New(), keys: map[uuid.UUID]live{}}
}

// Caller returns the partner that a key belongs to.
func (l *Live) Caller(key string) (auth.Caller, error) {
	id, err := Parse(l.env, key)
	if err != nil {
		return auth.Caller{}, err
	}
	if fresh := l.fresh.Load(); fresh == 0 || l.now().Sub(time.Unix(0, fresh)) > maxStale {
		return auth.Caller{}, fault.ErrUnavailable
	}
	l.mu.RLock()
	k, ok := l.keys[id]
	l.mu.RUnlock()
	if !ok || subtle.ConstantTimeCompare(k.hash, Hash(key)) != 1 {
		return auth.Caller{}, ErrKey
	}
	c := auth.Caller{Scheme: contract.APIKey, Subject: "partner:" + id.String(), Scopes: k.scopes}
	if k.expires != nil {
		if !l.now().Before(*k.expires) {
			return auth.Caller{}, ErrExpired
		}
		c.ExpiresAt = *k.expires
	}
	return c, nil
}

// Ready answers nil once the set was loaded.
func (l *Live) Ready(context.Context) error {
	if l.fresh.Load() == 0 {
		return errors.New("API keys are not loaded: the database has not answered yet")
	}
	return nil
}

// Run keeps the set until ctx ends. A lost connection may have lost a notification, so each new one loads everything.
func (l *Live) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := l.listen(ctx); err != nil && ctx.Err() == nil {
			l.log.WarnContext(ctx, "listening for API keys was interrupted", "err", err)
			select {
			case <-ctx.Done():
			case <-time.After(200 * time.Millisecond):
			}
		}
	}
	return nil
}

func (l *Live) listen(ctx context.Context) error {
	conn, err := l.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	own := conn.Hijack() // it is busy for ever, so it is not the pool's any more
	defer func() { _ = own.Close(context.WithoutCancel(ctx)) }()
	if _, err := own.Exec(ctx, "SET application_name = 'gateway_listener'; LISTEN "+channel); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if err := l.load(ctx); err != nil { // after LISTEN: a change in between is notified
		return err
	}
	for {
		wait, cancel := context.WithTimeout(ctx, checkEvery)
		n, err := own.WaitForNotification(wait)
		cancel()
		switch {
		case err == nil:
			if err := l.change(ctx, n.Payload); err != nil {
				return err
			}
		case ctx.Err() != nil:
			return nil
		case wait.Err() == nil:
			return fmt.Errorf("wait: %w", err)
		default:
			probe, cancel := context.WithTimeout(ctx, checkEvery)
			err := own.Ping(probe)
			cancel()
			if err != nil {
				return fmt.Errorf("probe: %w", err)
			}
		}
		l.fresh.Store(l.now().UnixNano())
	}
}

func (l *Live) load(ctx context.Context) error {
	rows, err := l.q.ListLiveAPIKeys(ctx, l.pool, l.now())
	if err != nil {
		return fmt.Errorf("load API keys: %w", err)
	}
	keys := make(map[uuid.UUID]live, len(rows))
	for _, r := range rows {
		keys[r.ID] = live{hash: r.Hash, scopes: r.Scopes, expires: r.ExpiresAt}
	}
	l.mu.Lock()
	l.keys = keys
	l.mu.Unlock()
	l.fresh.Store(l.now().UnixNano())
	return nil
}

func (l *Live) change(ctx context.Context, payload string) error {
	id, err := uuid.Parse(payload)
	if err != nil {
		return l.load(ctx)
	}
	r, err := l.q.GetLiveAPIKey(ctx, l.pool, id)
	gone := pg.IsNoRows(err)
	if err != nil && !gone {
		return fmt.Errorf("load API key: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if gone {
		delete(l.keys, id)
		return nil
	}
	l.keys[id] = live{hash: r.Hash, scopes: r.Scopes, expires: r.ExpiresAt}
	return nil
}
