// Package api maps the generated HTTP interface to the use cases.
package api

import (
	"github.com/go-chi/chi/v5"

	bankingapi "github.com/sendtip/sendtip/generated/banking/api"
	"github.com/sendtip/sendtip/generated/common"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/web"

	"github.com/sendtip/sendtip/services/banking/internal/app"
)

// Server answers the operations of openapi/banking.yaml.
type Server struct{ app *app.App }

var _ bankingapi.StrictServerInterface = (*Server)(nil)

// Mount adds all operations to a router, each failure door leading to the problem writer.
func Mount(r chi.Router, a *app.App) {
	strict := bankingapi.NewStrictHandlerWithOptions(&Server{app: a}, nil, bankingapi.StrictHTTPServerOptions{
		RequestErrorHandlerFunc: web.StrictRequestError, ResponseErrorHandlerFunc: web.StrictResponseError,
	})
	options := bankingapi.ChiServerOptions{BaseRouter: r, ErrorHandlerFunc: web.BindError}
	bankingapi.HandlerWithOptions(strict, options)
}

func wire(m money.Money) common.Money { return common.Money{Amount: m.Amount, Currency: m.Currency} }

// amount refuses currencies that the platform does not know; the contract only knows their shape.
func amount(m common.PositiveMoney) (money.Money, error) {
	out, err := money.New(m.Amount, m.Currency)
	if err != nil || !out.IsPositive() {
		return money.Money{}, fault.ErrInvalid.WithField("/amount", "invalid", "The amount or its currency is not supported.")
	}
	return out, nil
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
