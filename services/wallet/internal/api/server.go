// Package api maps the generated HTTP interface to the use cases.
package api

import (
	"context"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/sendtip/sendtip/generated/common"
	walletapi "github.com/sendtip/sendtip/generated/wallet/api"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/web"

	"github.com/sendtip/sendtip/services/wallet/internal/app"
)

// Server answers the operations of openapi/wallet.yaml.
type Server struct{ app *app.App }

var _ walletapi.StrictServerInterface = (*Server)(nil)

// Mount adds all operations to a router, each failure door leading to the problem writer.
func Mount(r chi.Router, a *app.App) {
	strict := walletapi.NewStrictHandlerWithOptions(&Server{app: a}, []walletapi.StrictMiddlewareFunc{authorize}, walletapi.StrictHTTPServerOptions{
		RequestErrorHandlerFunc: web.StrictRequestError, ResponseErrorHandlerFunc: web.StrictResponseError,
	})
	walletapi.HandlerWithOptions(strict, walletapi.ChiServerOptions{BaseRouter: r, ErrorHandlerFunc: web.BindError})
}

// scopes are what each operation asks for, as in the contract: one of them is enough. The gateway has checked it already; a scope is
// also the authority here, so that a mistake in a route there opens nothing. Hooks prove themselves by the token in their path.
var scopes = map[string][]string{
	"ListWallets": {"wallet:read"}, "GetWallet": {"wallet:read"}, "GetLimits": {"wallet:read"},
	"ListTopups": {"wallet:read"}, "GetTopup": {"wallet:read"}, "ListTransfers": {"wallet:read"}, "GetTransfer": {"wallet:read"},
	"EstimateFee": {"wallet:read", "tariffs:read"},
	"OpenWallet":  {"wallet:write"}, "CreateTopup": {"wallet:write"}, "CreateTransferQuote": {"wallet:write"}, "CreateTransfer": {"wallet:write"},
	"ReceiveStkCallback": nil, "ReceiveC2BConfirmation": nil, "ReceiveC2BValidation": nil,
}

func authorize(next walletapi.StrictHandlerFunc, operation string) walletapi.StrictHandlerFunc {
	needed, known := scopes[operation]
	return func(ctx context.Context, w http.ResponseWriter, r *http.Request, request any) (any, error) {
		if !known {
			return nil, fault.ErrForbidden // an operation that nobody has thought about
		}
		if len(needed) == 0 {
			return next(ctx, w, r, request)
		}
		p := auth.From(ctx)
		for _, scope := range needed {
			if p.Has(scope) {
				return next(ctx, w, r, request)
			}
		}
		return nil, fault.ErrForbidden
	}
}

func wire(m money.Money) common.Money { return common.Money{Amount: m.Amount, Currency: m.Currency} }

func minor(amount int64, currency string) common.Money {
	return common.Money{Amount: amount, Currency: currency}
}

// amount refuses currencies that the platform does not know; the contract only knows their shape.
func amount(m common.PositiveMoney) (money.Money, error) {
	out, err := money.New(m.Amount, m.Currency)
	if err != nil || !out.IsPositive() {
		return money.Money{}, fault.ErrInvalid.WithField("/amount", "invalid", "The amount or its currency is not one of ours.")
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
