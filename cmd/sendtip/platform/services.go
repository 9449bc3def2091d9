package platform

import (
	"context"
	"io/fs"

	"github.com/sendtip/sendtip/gateway"
	"github.com/sendtip/sendtip/kit/config"
	"github.com/sendtip/sendtip/kit/service"
	"github.com/sendtip/sendtip/openapi"
	"github.com/sendtip/sendtip/services/banking"
	"github.com/sendtip/sendtip/services/notification"
	"github.com/sendtip/sendtip/services/transactions"
	"github.com/sendtip/sendtip/services/user"
	"github.com/sendtip/sendtip/services/wallet"
	bankingsql "github.com/sendtip/sendtip/sql/banking"
	gatewaysql "github.com/sendtip/sendtip/sql/gateway"
	notificationsql "github.com/sendtip/sendtip/sql/notification"
	transactionssql "github.com/sendtip/sendtip/sql/transactions"
	usersql "github.com/sendtip/sendtip/sql/user"
	walletsql "github.com/sendtip/sendtip/sql/wallet"
)

// Services are all deployables, in the order in which they start and, reversed, stop. openapi/services.yaml is the list.
var Services = openapi.Names(openapi.Services())

// deployables are what this program knows of each service.
var deployables = map[string]deployable{
	"gateway":      of(gateway.LoadConfig, gateway.New, gatewaysql.Migrations),
	"user":         of(user.LoadConfig, user.New, usersql.Migrations),
	"wallet":       of(wallet.LoadConfig, wallet.New, walletsql.Migrations),
	"transactions": of(transactions.LoadConfig, transactions.New, transactionssql.Migrations),
	"notification": of(notification.LoadConfig, notification.New, notificationsql.Migrations),
	"banking":      of(banking.LoadConfig, banking.New, bankingsql.Migrations),
}

type deployable struct {
	build      func(ctx context.Context, environ map[string]string, host service.Host) (*service.Service, error)
	check      func(environ map[string]string) error
	settings   func() []config.Setting
	migrations func() fs.FS
}

func of[C any](load service.Loader[C], build service.Maker[C], migrations func() fs.FS) deployable {
	start := func(ctx context.Context, environ map[string]string, host service.Host) (*service.Service, error) {
		cfg, err := load(environ)
		if err != nil {
			return nil, err
		}
		return build(ctx, cfg, host)
	}
	check := func(environ map[string]string) error { _, err := load(environ); return err }
	return deployable{build: start, check: check, settings: config.Settings[C], migrations: migrations}
}

// CheckService answers nil when a service takes the settings of environ.
func CheckService(name string, environ map[string]string) error {
	return deployables[name].check(environ)
}
