package app

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/generated/scopes"
	userdb "github.com/sendtip/sendtip/generated/user/db"
	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

// GetProfile returns the caller's own record.
func (a *App) GetProfile(ctx context.Context) (domain.Profile, error) {
	if err := auth.Require(ctx, scopes.Profile); err != nil {
		return domain.Profile{}, err
	}
	id, err := auth.UserFrom(ctx)
	if err != nil {
		return domain.Profile{}, err
	}
	return a.readProfile(ctx, id)
}

func (a *App) readProfile(ctx context.Context, id uuid.UUID) (domain.Profile, error) {
	u, err := a.q.GetUser(ctx, a.Pool, id)
	if pg.IsNoRows(err) {
		return domain.Profile{}, fault.ErrNotFound
	}
	if err != nil {
		return domain.Profile{}, fmt.Errorf("read user: %w", err)
	}
	return a.profile(u)
}

// ProfileInput is what changes; nil stays as it is.
type ProfileInput struct{ Email, Language *string }

// UpdateProfile changes the caller's e-mail address or language.
func (a *App) UpdateProfile(ctx context.Context, in ProfileInput) (domain.Profile, error) {
	if err := auth.Require(ctx, scopes.Profile); err != nil {
		return domain.Profile{}, err
	}
	id, err := auth.UserFrom(ctx)
	if err != nil {
		return domain.Profile{}, err
	}
	if in.Email == nil && in.Language == nil {
		return domain.Profile{}, fault.ErrInvalid.WithField("", "minProperties", "There is nothing to change.")
	}
	if in.Language != nil {
		base, err := domain.BaseLanguage(*in.Language)
		if err != nil {
			return domain.Profile{}, err
		}
		in.Language = &base
	}
	var p domain.Profile
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) (err error) {
		p, err = a.changeProfile(ctx, tx, id, in)
		return err
	})
	return p, err
}

func (a *App) changeProfile(ctx context.Context, tx pgx.Tx, id uuid.UUID, in ProfileInput) (domain.Profile, error) {
	u, err := a.q.LockUser(ctx, tx, id)
	if pg.IsNoRows(err) {
		return domain.Profile{}, fault.ErrNotFound
	}
	if err != nil {
		return domain.Profile{}, fmt.Errorf("lock user: %w", err)
	}
	if u.Status != domain.StatusActive {
		return domain.Profile{}, domain.ErrUserSuspended
	}
	changed := map[string]string{}
	if in.Email != nil {
		if u.EmailSealed, err = a.seal("user.email", id, *in.Email); err != nil {
			return domain.Profile{}, err
		}
		changed["email"] = "changed"
	}
	if in.Language != nil {
		u.Language = *in.Language
		changed["language"] = *in.Language
	}
	now := a.Now()
	change := userdb.UpdateUserProfileParams{ID: id, EmailSealed: u.EmailSealed, Language: u.Language, Now: now}
	if err := a.q.UpdateUserProfile(ctx, tx, change); err != nil {
		return domain.Profile{}, fmt.Errorf("update user: %w", err)
	}
	if err := audit.Record(ctx, tx, now, audit.Entry{Action: "user.profile_updated", ObjectType: "user", ObjectID: id.String(),
		Detail: changed}); err != nil {
		return domain.Profile{}, err
	}
	return a.profile(u)
}

// LookupRecipient finds who can be paid at a phone. Whom the service asks for is not a party here, so nothing is compared.
func (a *App) LookupRecipient(ctx context.Context, phone string) (domain.Profile, error) {
	if err := auth.Require(ctx, scopes.UsersLookup); err != nil {
		return domain.Profile{}, err
	}
	u, err := a.findByPhone(ctx, a.Pool, phone)
	if err != nil {
		return domain.Profile{}, err
	}
	if u == nil || u.Role != scopes.RoleCustomer {
		return domain.Profile{}, domain.ErrRecipientNotFound
	}
	in, err := a.inReview(ctx, a.Pool, u.ID)
	if err != nil {
		return domain.Profile{}, err
	}
	if in {
		return domain.Profile{}, domain.ErrRecipientInReview
	}
	return a.profile(*u)
}

// GetContacts tells the service that sends messages where a customer is reached. On behalf of a customer it must be that one.
func (a *App) GetContacts(ctx context.Context, id uuid.UUID) (domain.Profile, error) {
	if err := auth.Require(ctx, scopes.UsersContacts); err != nil {
		return domain.Profile{}, err
	}
	if caller, ok := auth.From(ctx).UserID(); ok && caller != id {
		return domain.Profile{}, fault.ErrForbidden
	}
	p, err := a.readProfile(ctx, id)
	if err != nil {
		return p, err
	}
	in, err := a.inReview(ctx, a.Pool, id)
	if in {
		p.Phone = "" // nothing may be sent to it
	}
	return p, err
}
