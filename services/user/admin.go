package user

import (
	"context"
	"log/slog"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/service"

	"github.com/sendtip/sendtip/services/user/internal/app"
)

// CreateAdmin makes an operator: a mobile number in E.164, a PIN that is not weak, and the id of the device that may sign in without a
// code. It is what `sendtip admin create` calls; no operation of the API makes operators. A phone that is registered already is
// refused (already_registered).
func CreateAdmin(ctx context.Context, cfg Config, phone, pin, deviceID string) (uuid.UUID, error) {
	cfg.Common.PoolSize = 2
	p, err := service.Open(ctx, service.Spec{Name: name, Common: cfg.Common, Host: service.Host{Log: slog.New(slog.DiscardHandler)}})
	if err != nil {
		return uuid.Nil, err
	}
	defer p.Close()
	if err := p.Admit(service.Own{Sealed: app.Sealed(p.Sealer)})(ctx); err != nil {
		return uuid.Nil, err // else the administrator's row is sealed under a key that the service does not have
	}
	a, err := app.New(p, app.Deps{})
	if err != nil {
		return uuid.Nil, err
	}
	ctx = auth.With(ctx, auth.Principal{Subject: "operator:command-line", Operation: "createAdmin"})
	return a.CreateAdmin(ctx, phone, pin, deviceID)
}
