// Package api maps the generated server interface to use cases. It decides nothing.
package api

import (
	"github.com/go-chi/chi/v5"

	userapi "github.com/sendtip/sendtip/generated/user/api"
	"github.com/sendtip/sendtip/kit/web"
	"github.com/sendtip/sendtip/services/user/internal/app"
)

// Server answers the operations of openapi/user.yaml.
type Server struct{ app *app.App }

var _ userapi.StrictServerInterface = (*Server)(nil)

// Mount adds the service's routes. Every failure door of the generated server leads to the one problem writer.
func Mount(r chi.Router, a *app.App) {
	strict := userapi.NewStrictHandlerWithOptions(&Server{app: a}, nil, userapi.StrictHTTPServerOptions{
		RequestErrorHandlerFunc:  web.StrictRequestError,
		ResponseErrorHandlerFunc: web.StrictResponseError,
	})
	userapi.HandlerWithOptions(strict, userapi.ChiServerOptions{BaseRouter: r, ErrorHandlerFunc: web.BindError})
}

// optional returns nil for an empty text: absent means none.
func optional[T ~string](s T) *T {
	if s == "" {
		return nil
	}
	return &s
}
