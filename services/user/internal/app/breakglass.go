package app

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/generated/scopes"
	userdb "github.com/sendtip/sendtip/generated/user/db"
	"github.com/sendtip/sendtip/kit/approve"
	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

// breakGlassShown is how long an alarm tells that the glass was broken.
const breakGlassShown = 24 * time.Hour

// AdminInput is a new admin: a mobile number in E.164, a PIN that is not weak, and the device that may sign in without a code.
type AdminInput struct {
	Phone, Pin, Device string
	// BreakGlass is why an admin is made although there are two who could do it; empty: it is not.
	BreakGlass string
}

// CreateAdmin makes one of the first two admins with a bound device, so that one can propose and the other approve whoever comes next; any
// further one only by breaking the glass. It is for the command line only: no operation leads here.
func (a *App) CreateAdmin(ctx context.Context, in AdminInput) (uuid.UUID, error) {
	country, err := domain.PhoneCountry(in.Phone)
	if err != nil {
		return uuid.Nil, err
	}
	if err := domain.CheckPin(in.Pin); err != nil {
		return uuid.Nil, err
	}
	if err := domain.CheckDevice(in.Device); err != nil {
		return uuid.Nil, err
	}
	row, err := a.newUser(ctx, in.Phone, country, domain.DefaultLanguage, scopes.RoleAdmin, in.Pin)
	if err != nil {
		return uuid.Nil, err
	}
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		if err := a.q.LockAdmins(ctx, tx); err != nil {
			return fmt.Errorf("lock admins: %w", err)
		}
		admins, err := a.q.CountAdmins(ctx, tx)
		if err != nil {
			return fmt.Errorf("count admins: %w", err)
		}
		if admins.Ever >= minAdmins && in.BreakGlass == "" {
			return domain.ErrAdminsExist
		}
		if _, err := a.insertUser(ctx, tx, row, in.Phone, in.Device); err != nil {
			return err
		}
		if in.BreakGlass == "" {
			return nil
		}
		return a.breakGlass(ctx, tx, "admin.created", row.ID, in.BreakGlass)
	})
	return row.ID, err
}

// ResetTotpAlone voids the authenticator of the member of staff with a phone, where no second admin is left who could approve it.
func (a *App) ResetTotpAlone(ctx context.Context, phone, reason string) (uuid.UUID, error) {
	u, err := a.findByPhone(ctx, a.Pool, phone)
	if err != nil {
		return uuid.Nil, err
	}
	if u == nil || !isStaff(u.Role) {
		return uuid.Nil, domain.ErrNotStaff
	}
	return u.ID, pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		if err := a.resetTotp(ctx, tx, u.ID, map[string]string{"break_glass": "true"}); err != nil {
			return err
		}
		return a.breakGlass(ctx, tx, "totp.reset", u.ID, reason)
	})
}

func (a *App) breakGlass(ctx context.Context, tx pgx.Tx, action string, user uuid.UUID, reason string) error {
	if err := approve.CheckReason(reason); err != nil {
		return err
	}
	id, err := newID()
	if err != nil {
		return err
	}
	sealed, err := a.seal("break_glass.reason", id, reason)
	if err != nil {
		return err
	}
	now := a.Now()
	if err := a.q.InsertBreakGlass(ctx, tx, userdb.InsertBreakGlassParams{ID: id, Action: action, UserID: user, ReasonSealed: sealed,
		UsedAt: now}); err != nil {
		return fmt.Errorf("insert break glass: %w", err)
	}
	return audit.Record(ctx, tx, now, audit.Entry{Action: "glass.broken", ObjectType: "user", ObjectID: user.String(),
		Detail: map[string]string{"action": action, "break_glass": id.String()}})
}

// GlassLoop looks for broken glass once a minute until ctx ends.
func (a *App) GlassLoop(ctx context.Context) error {
	for {
		if err := a.WatchGlass(ctx); err != nil && ctx.Err() == nil {
			a.Log.WarnContext(ctx, "watch for broken glass", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Minute):
		}
	}
}

// WatchGlass shows by a metric, and in the log, that somebody did alone what needs two.
func (a *App) WatchGlass(ctx context.Context) error {
	n, err := a.q.CountBreakGlass(ctx, a.Pool, a.Now().Add(-breakGlassShown))
	if err != nil {
		return fmt.Errorf("count broken glass: %w", err)
	}
	a.metrics.glass.Set(float64(n))
	if n > 0 {
		a.Log.ErrorContext(ctx, "alarm: break glass was used in the last 24 hours", "times", n)
	}
	return nil
}
