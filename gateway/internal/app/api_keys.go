package app

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/gateway/internal/keys"
	"github.com/sendtip/sendtip/generated/events"
	gatewaydb "github.com/sendtip/sendtip/generated/gateway/db"
	"github.com/sendtip/sendtip/generated/scopes"
	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/event"
	"github.com/sendtip/sendtip/kit/idem"
	"github.com/sendtip/sendtip/kit/outbox"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/pg"
)

// Topic is where the gateway publishes.
const Topic = "sendtip.gateway.v1"

// APIKey is a key's record. Secret is set only in the answer that creates it, and never stored.
type APIKey struct {
	ID        uuid.UUID  `json:"id"`
	Name      string     `json:"name"`
	Hint      string     `json:"hint"`
	Scopes    []string   `json:"scopes"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
	Secret    string     `json:"-"`
}

// Status is active, expired or revoked.
func (k APIKey) Status(now time.Time) string {
	switch {
	case k.RevokedAt != nil:
		return "revoked"
	case k.ExpiresAt != nil && !now.Before(*k.ExpiresAt):
		return "expired"
	}
	return "active"
}

// CreateInput is a key to be made.
type CreateInput struct {
	Name           string
	Scopes         []string
	ExpiresAt      *time.Time
	IdempotencyKey string
}

// CreateAPIKey makes a key and returns it with its secret; a repeated request gets the same record without it.
func (a *App) CreateAPIKey(ctx context.Context, in CreateInput) (APIKey, error) {
	if err := auth.Require(ctx, scopes.AdminAPIKeys); err != nil {
		return APIKey{}, err
	}
	var k APIKey
	err := pg.InTx(ctx, a.pool, func(tx pgx.Tx) error {
		key := idem.NewKey(ctx, "createApiKey", in.IdempotencyKey, in.Name, in.Scopes, in.ExpiresAt)
		stored, err := a.idem.Begin(ctx, tx, key, idem.Once)
		if err != nil {
			return err
		}
		if stored != nil {
			return stored.Decode(&k)
		}
		if k, err = a.insert(ctx, tx, in); err != nil {
			return err
		}
		return a.idem.Finish(ctx, tx, key, http.StatusCreated, k)
	})
	return k, err
}

func (a *App) insert(ctx context.Context, tx pgx.Tx, in CreateInput) (APIKey, error) {
	for _, s := range in.Scopes {
		if !slices.Contains(a.scopes, s) {
			return APIKey{}, ErrScopeUnknown
		}
	}
	now := a.now()
	if in.ExpiresAt != nil {
		at := in.ExpiresAt.UTC().Truncate(time.Microsecond) // as the row keeps it, so that every answer shows the same
		if in.ExpiresAt = &at; !at.After(now) {
			return APIKey{}, ErrExpiryPast
		}
	}
	id := uuid.Must(uuid.NewV7())
	k := APIKey{ID: id, Name: in.Name, Scopes: in.Scopes, CreatedAt: now, ExpiresAt: in.ExpiresAt, Secret: keys.New(a.env, id)}
	k.Hint = keys.Hint(k.Secret)
	err := a.q.InsertAPIKey(ctx, tx, gatewaydb.InsertAPIKeyParams{ID: id, Name: k.Name, Hint: k.Hint, Hash: keys.Hash(k.Secret),
		Scopes: k.Scopes, CreatedBy: auth.From(ctx).Subject, ExpiresAt: k.ExpiresAt, CreatedAt: now})
	if err != nil {
		return APIKey{}, fmt.Errorf("insert API key: %w", err)
	}
	if err := a.q.NotifyAPIKey(ctx, tx, id.String()); err != nil {
		return APIKey{}, fmt.Errorf("notify gateways: %w", err)
	}
	return k, audit.Record(ctx, tx, now, audit.Entry{Action: "api_key.created", ObjectType: "api_key", ObjectID: id.String(),
		Detail: map[string]string{"scopes": strings.Join(k.Scopes, " ")}})
}

// ListAPIKeys returns a page of keys, newest first, and the cursor of the next one, or nil.
func (a *App) ListAPIKeys(ctx context.Context, in page.Request) ([]APIKey, *string, error) {
	if err := auth.Require(ctx, scopes.AdminAPIKeys); err != nil {
		return nil, nil, err
	}
	p, err := page.Read[uuid.UUID](ctx, a.pages, "listApiKeys", in)
	if err != nil {
		return nil, nil, err
	}
	rows, err := a.q.ListAPIKeys(ctx, a.pool, p.From(uuid.Max), p.Size+1)
	if err != nil {
		return nil, nil, fmt.Errorf("list API keys: %w", err)
	}
	rows, next := page.Cut(p, rows, func(r gatewaydb.ListAPIKeysRow) uuid.UUID { return r.ID })
	out := make([]APIKey, 0, len(rows))
	for _, r := range rows {
		out = append(out, APIKey{ID: r.ID, Name: r.Name, Hint: r.Hint, Scopes: r.Scopes, CreatedAt: r.CreatedAt, ExpiresAt: r.ExpiresAt,
			RevokedAt: r.RevokedAt})
	}
	return out, next, nil
}

// RevokeAPIKey ends a key for good. All gateways know at the commit.
func (a *App) RevokeAPIKey(ctx context.Context, id uuid.UUID) error {
	if err := auth.Require(ctx, scopes.AdminAPIKeys); err != nil {
		return err
	}
	err := pg.InTx(ctx, a.pool, func(tx pgx.Tx) error {
		row, err := a.q.LockAPIKey(ctx, tx, id)
		if pg.IsNoRows(err) {
			return ErrKeyUnknown
		}
		if err != nil {
			return fmt.Errorf("lock API key: %w", err)
		}
		if row.RevokedAt != nil {
			return nil
		}
		return a.revoke(ctx, tx, id)
	})
	if err == nil {
		a.wake()
	}
	return err
}

func (a *App) revoke(ctx context.Context, tx pgx.Tx, id uuid.UUID) error {
	now := a.now()
	if err := a.q.RevokeAPIKey(ctx, tx, now, id); err != nil {
		return fmt.Errorf("revoke API key: %w", err)
	}
	if err := a.q.NotifyAPIKey(ctx, tx, id.String()); err != nil {
		return fmt.Errorf("notify gateways: %w", err)
	}
	e, err := event.New(Topic, "gateway.api_key_revoked", id.String(), now, events.GatewayAPIKeyRevoked{KeyID: id})
	if err != nil {
		return err
	}
	if err := outbox.Append(ctx, tx, e); err != nil {
		return err
	}
	return audit.Record(ctx, tx, now, audit.Entry{Action: "api_key.revoked", ObjectType: "api_key", ObjectID: id.String()})
}
