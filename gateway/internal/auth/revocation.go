package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sendtip/sendtip/kit/fault"
)

const (
	pollEvery = 500 * time.Millisecond
	// overlap: rows commit out of order, so the last half minute is read again each time.
	overlap = 30 * time.Second
	// fullList is the most entries of one answer (maxItems of RevocationList); its time is then that of its last entry.
	fullList = 100_000
	// remember is the life of an access token plus skew: after it no token can be left that a revocation concerns.
	remember = maxLife + time.Minute
)

// Revocations holds the sessions and users whose tokens are dead. It is polled from the user service, always: no event has to arrive.
type Revocations struct {
	fetch func(ctx context.Context, query string) ([]byte, error)
	now   func() time.Time
	log   *slog.Logger

	mu       sync.RWMutex
	sessions map[string]time.Time // session → when the entry can be forgotten
	users    map[string]ended
	since    string
	swept    time.Time
	lastOK   atomic.Int64
}

type ended struct{ at, forget time.Time }

// NewRevocations makes an unloaded list; fetch reads listRevocations with a query.
func NewRevocations(fetch func(ctx context.Context, query string) ([]byte, error), now func() time.Time, log *slog.Logger) *Revocations {
	return &Revocations{fetch: fetch, now: now, log: log, sessions: map[string]time.Time{}, users: map[string]ended{}}
}

// Check refuses a caller whose session or user was revoked. Before the first load every user is refused with 503: a revoked token
// must not live because a gateway has just started.
func (r *Revocations) Check(c Caller) error {
	if r.lastOK.Load() == 0 {
		return fault.ErrUnavailable.WithRetryAfter(time.Second)
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if _, dead := r.sessions[c.SessionID]; dead {
		return ErrRevoked
	}
	if e, dead := r.users[c.User]; dead && !c.IssuedAt.After(e.at) {
		return ErrRevoked
	}
	return nil
}

// Age is how old the list is; a huge value before the first load.
func (r *Revocations) Age() time.Duration {
	last := r.lastOK.Load()
	if last == 0 {
		return 1 << 62
	}
	return r.now().Sub(time.Unix(0, last))
}

// Ready answers nil once the list was loaded. It stays ready while user is down later: known tokens keep working then.
func (r *Revocations) Ready(context.Context) error {
	if r.lastOK.Load() == 0 {
		return errors.New("revocations are not loaded: the user service has not answered yet")
	}
	return nil
}

// Run polls until ctx ends.
func (r *Revocations) Run(ctx context.Context) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	failing := false
	for {
		if err := r.Poll(ctx); err != nil && ctx.Err() == nil {
			if !failing {
				r.log.ErrorContext(ctx, "revocations cannot be read; the list grows old", "err", err)
			}
			failing = true
		} else if failing {
			failing = false
			r.log.InfoContext(ctx, "revocations are read again")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Poll reads what was revoked since the last time.
func (r *Revocations) Poll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	query := ""
	if r.since != "" {
		query = "since=" + url.QueryEscape(r.since)
	}
	data, err := r.fetch(ctx, query)
	if err != nil {
		return err
	}
	var list struct {
		DatabaseTime time.Time `json:"database_time"`
		Data         []struct {
			Kind      string    `json:"kind"`
			ID        string    `json:"id"`
			RevokedAt time.Time `json:"revoked_at"`
		} `json:"data"`
	}
	if err := json.Unmarshal(data, &list); err != nil || list.DatabaseTime.IsZero() {
		return errors.New("the list of revocations is malformed")
	}
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range list.Data {
		forget := now.Add(remember)
		switch e.Kind {
		case "session":
			if _, known := r.sessions[e.ID]; !known {
				r.sessions[e.ID] = forget
			}
		case "user":
			if old := r.users[e.ID]; e.RevokedAt.After(old.at) {
				r.users[e.ID] = ended{at: e.RevokedAt, forget: forget}
			}
		default:
			return fmt.Errorf("revocation of unknown kind %q", e.Kind) // an old gateway must not overlook a new kind
		}
	}
	r.since = list.DatabaseTime.Add(-overlap).UTC().Format(time.RFC3339Nano)
	r.sweep(now)
	if len(list.Data) < fullList { // else more follows: the list is not whole yet
		r.lastOK.Store(now.UnixNano())
	}
	return nil
}

func (r *Revocations) sweep(now time.Time) {
	if now.Sub(r.swept) < time.Minute {
		return
	}
	r.swept = now
	for id, forget := range r.sessions {
		if now.After(forget) {
			delete(r.sessions, id)
		}
	}
	for id, e := range r.users {
		if now.After(e.forget) {
			delete(r.users, id)
		}
	}
}
