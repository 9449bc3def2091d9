// Package api maps the generated HTTP interface to the use cases.
package api

import (
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"github.com/sendtip/sendtip/generated/common"
	transactionsapi "github.com/sendtip/sendtip/generated/transactions/api"
	"github.com/sendtip/sendtip/kit/web"

	"github.com/sendtip/sendtip/services/transactions/internal/app"
)

// MaxBody is the largest request, in bytes: 100 transactions with all their fields.
const MaxBody = 256 << 10

// Server answers the operations of openapi/transactions.yaml.
type Server struct{ app *app.App }

var _ transactionsapi.StrictServerInterface = (*Server)(nil)

// Mount adds the operations to the router; all four failure doors of the generated code lead to the problem writer.
func Mount(r chi.Router, a *app.App) {
	strict := transactionsapi.NewStrictHandlerWithOptions(&Server{app: a}, nil, transactionsapi.StrictHTTPServerOptions{
		RequestErrorHandlerFunc: web.StrictRequestError, ResponseErrorHandlerFunc: web.StrictResponseError})
	transactionsapi.HandlerWithOptions(strict, transactionsapi.ChiServerOptions{BaseRouter: r, ErrorHandlerFunc: web.BindError})
}

func moneyOf(amount int64, currency string) common.Money {
	return common.Money{Amount: amount, Currency: currency}
}

// some returns nil for nothing.
func some(amount int64, currency string) *common.Money {
	if amount == 0 {
		return nil
	}
	m := moneyOf(amount, currency)
	return &m
}

// isNil says whether an id was sent that is the nil UUID. It names nothing, and must not be taken for no id.
func isNil(p *uuid.UUID) bool { return p != nil && *p == uuid.Nil }

// optional returns nil for a zero value: absent means none.
func optional[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

func utc(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	u := t.UTC()
	return &u
}

func idOf(p *uuid.UUID) uuid.UUID {
	if p == nil {
		return uuid.Nil
	}
	return *p
}
