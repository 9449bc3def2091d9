package user

import (
	"context"
	"log/slog"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/service"

	"github.com/sendtip/sendtip/services/user/internal/app"
)

// Admin is a new admin, as app.AdminInput.
type Admin = app.AdminInput

// CreateAdmin makes one of the first two admins, or one more by breaking the glass. It is what `sendtip admin create` calls. A phone that
// is registered already is refused (already_registered), and a third admin without a reason (admins_exist).
func CreateAdmin(ctx context.Context, cfg Config, in Admin) (id uuid.UUID, err error) {
	err = alone(ctx, cfg, "createAdmin", func(ctx context.Context, a *app.App) error {
		id, err = a.CreateAdmin(ctx, in)
		return err
	})
	return id, err
}

// ResetTotp voids the authenticator of the member of staff with a phone, by breaking the glass for a reason. It is what
// `sendtip admin reset-totp` calls.
func ResetTotp(ctx context.Context, cfg Config, phone, reason string) (id uuid.UUID, err error) {
	err = alone(ctx, cfg, "resetTotp", func(ctx context.Context, a *app.App) error {
		id, err = a.ResetTotpAlone(ctx, phone, reason)
		return err
	})
	return id, err
}

// alone runs one use case of the command line on the service's rows.
func alone(ctx context.Context, cfg Config, operation string, do func(ctx context.Context, a *app.App) error) error {
	cfg.Common.PoolSize = 2
	p, err := service.Open(ctx, service.Spec{Name: name, Common: cfg.Common, Host: service.Host{Log: slog.New(slog.DiscardHandler)}})
	if err != nil {
		return err
	}
	defer p.Close()
	if err := p.Admit(service.Own{Sealed: app.Sealed(p.Sealer)})(ctx); err != nil {
		return err // else rows are sealed under a key that the service does not have
	}
	a, err := app.New(p, app.Deps{})
	if err != nil {
		return err
	}
	return do(auth.With(ctx, auth.Principal{Subject: "operator:command-line", Operation: operation}), a)
}
