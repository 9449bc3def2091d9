// Package api maps the generated HTTP interface to the use cases.
package api

import (
	"github.com/go-chi/chi/v5"

	notificationapi "github.com/sendtip/sendtip/generated/notification/api"
	"github.com/sendtip/sendtip/kit/web"

	"github.com/sendtip/sendtip/services/notification/internal/app"
)

// Server answers the operations of openapi/notification.yaml.
type Server struct{ app *app.App }

var _ notificationapi.StrictServerInterface = (*Server)(nil)

// Mount adds all operations to a router, each failure door leading to the problem writer.
func Mount(r chi.Router, a *app.App) {
	strict := notificationapi.NewStrictHandlerWithOptions(&Server{app: a}, nil, notificationapi.StrictHTTPServerOptions{
		RequestErrorHandlerFunc: web.StrictRequestError, ResponseErrorHandlerFunc: web.StrictResponseError,
	})
	notificationapi.HandlerWithOptions(strict, notificationapi.ChiServerOptions{
		BaseRouter: r, ErrorHandlerFunc: web.BindError,
	})
}
