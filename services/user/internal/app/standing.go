package app

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/generated/scopes"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/pg"
)

// Standing is what a customer may do, as of a version that grows with each change.
type Standing struct {
	UserID  uuid.UUID
	Status  string
	Tier    int32
	Country string
	Version int64
}

// GetStanding tells a service what a customer may do: events only hint at it.
func (a *App) GetStanding(ctx context.Context, id uuid.UUID) (Standing, error) {
	if err := auth.Require(ctx, scopes.UsersStanding); err != nil {
		return Standing{}, err
	}
	u, err := a.q.GetUser(ctx, a.Pool, id)
	if pg.IsNoRows(err) {
		return Standing{}, fault.ErrNotFound
	}
	if err != nil {
		return Standing{}, fmt.Errorf("get user: %w", err)
	}
	return Standing{UserID: u.ID, Status: u.Status, Tier: u.Tier, Country: u.Country, Version: u.Version}, nil
}
