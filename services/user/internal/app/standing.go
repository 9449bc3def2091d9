package app

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/generated/scopes"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

// Standing is what a customer may do, as of a version that grows with each change.
type Standing struct {
	UserID  uuid.UUID
	Status  string
	Tier    int32
	Country string
	Number  string // what the phone number may be used for
	Version int64
	// CredentialsChangedAt is when the PIN was last replaced, a device bound or the number changed; zero: never.
	CredentialsChangedAt time.Time
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
	changes, err := a.q.CredentialsChanged(ctx, a.Pool, id)
	if err != nil {
		return Standing{}, fmt.Errorf("read changes of credentials: %w", err)
	}
	st := Standing{UserID: u.ID, Status: u.Status, Tier: u.Tier, Country: u.Country, Number: domain.NumberHeld, Version: u.Version}
	switch in, err := a.inReview(ctx, a.Pool, id); {
	case err != nil:
		return Standing{}, err
	case in:
		st.Number = domain.NumberInReview
	case u.PhoneIndex == nil:
		st.Number = domain.NumberNone
	}
	for _, at := range changes {
		if at.After(st.CredentialsChangedAt) {
			st.CredentialsChangedAt = at.UTC()
		}
	}
	return st, nil
}

// noteCredentials keeps that the PIN or the number of a customer is another one. Of devices it is known when they were bound.
func (a *App) noteCredentials(ctx context.Context, tx pgx.Tx, user uuid.UUID) error {
	if err := a.q.NoteCredentialChange(ctx, tx, user, a.Now()); err != nil {
		return fmt.Errorf("note change of credentials: %w", err)
	}
	return nil
}
