// Package api maps the generated HTTP interface to the use cases.
package api

import (
	"context"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/sendtip/sendtip/generated/common"
	"github.com/sendtip/sendtip/generated/scopes"
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
	strict := walletapi.NewStrictHandlerWithOptions(&Server{app: a}, []walletapi.StrictMiddlewareFunc{authorize},
		walletapi.StrictHTTPServerOptions{
			RequestErrorHandlerFunc: web.StrictRequestError, ResponseErrorHandlerFunc: web.StrictResponseError,
		})
	walletapi.HandlerWithOptions(strict, walletapi.ChiServerOptions{BaseRouter: r, ErrorHandlerFunc: web.BindError})
}

// needed is what each operation asks for, as in the contract: one of them is enough. The gateway has checked it already; a scope is
// also the authority here, so that a mistake in a route there opens nothing. Hooks prove themselves by the token in their path.
var needed = map[string][]string{
	"ListWallets": {scopes.WalletRead}, "GetWallet": {scopes.WalletRead}, "GetLimits": {scopes.WalletRead},
	"ListTopups": {scopes.WalletRead}, "GetTopup": {scopes.WalletRead},
	"ListTransfers": {scopes.WalletRead}, "GetTransfer": {scopes.WalletRead},
	"EstimateFee": {scopes.WalletRead, scopes.TariffsRead},
	"OpenWallet":  {scopes.WalletWrite}, "CreateTopup": {scopes.WalletWrite},
	"CreateTransferQuote": {scopes.WalletWrite}, "CreateTransfer": {scopes.WalletWrite},
	"CreatePaymentRequest": {scopes.WalletWrite}, "ListPaymentRequests": {scopes.WalletRead}, "GetPaymentRequest": {scopes.WalletRead},
	"DeclinePaymentRequest": {scopes.WalletWrite}, "CancelPaymentRequest": {scopes.WalletWrite}, "RemindPaymentRequest": {scopes.WalletWrite},
	"LiftMyPromptBlock": {scopes.WalletWrite}, "LiftPromptBlock": {scopes.AdminUsers},
	"PutLimitReservation": {scopes.LimitsReserve}, "CommitLimitReservation": {scopes.LimitsReserve},
	"ReleaseLimitReservation": {scopes.LimitsReserve}, "PriceOperation": {scopes.PricesRead}, "GetWalletOwner": {scopes.WalletsRead},
	"ListRules": {scopes.AdminTariffs}, "ProposeTariff": {scopes.AdminTariffs}, "ProposeTax": {scopes.AdminTariffs},
	"ProposeLimit": {scopes.AdminTariffs}, "ListWalletApprovals": {scopes.AdminTariffs}, "RejectWalletApproval": {scopes.AdminTariffs},
	"ApproveWalletApproval": {scopes.AdminTariffsApprove},
	"ListSuspense":          {scopes.AdminRails}, "DecideSuspense": {scopes.AdminRails}, "ListRailBalances": {scopes.AdminRails},
	"ReceivePaybillResult": nil, "ReceivePaybillTimeout": nil,
	"ListWalletRails": {scopes.AdminRails}, "ProposeWalletRailSwitch": {scopes.AdminRails},
	"ReceiveStkCallback": nil, "ReceiveC2BConfirmation": nil, "ReceiveC2BValidation": nil,
}

func authorize(next walletapi.StrictHandlerFunc, operation string) walletapi.StrictHandlerFunc {
	accepted, known := needed[operation]
	return func(ctx context.Context, w http.ResponseWriter, r *http.Request, request any) (any, error) {
		if !known {
			return nil, fault.ErrForbidden // an operation that nobody has thought about
		}
		if len(accepted) == 0 {
			return next(ctx, w, r, request)
		}
		p := auth.From(ctx)
		for _, scope := range accepted {
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
