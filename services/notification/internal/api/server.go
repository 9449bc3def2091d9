// Package api maps the generated HTTP interface to the use cases.
package api

import (
	"bytes"
	"context"
	"io"
	"net/http"

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
		BaseRouter: r, ErrorHandlerFunc: web.BindError, Middlewares: []notificationapi.MiddlewareFunc{keepBody},
	})
}

type bodyKey struct{}

// keepBody remembers the bytes of a posted body: a webhook's owner stores what was really sent, and the generated server only hands
// over what its schema names. The size is bounded further out.
func keepBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			next.ServeHTTP(w, r)
			return
		}
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			web.StrictRequestError(w, r, err)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(raw))
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), bodyKey{}, raw)))
	})
}

func rawBody(ctx context.Context) []byte {
	raw, _ := ctx.Value(bodyKey{}).([]byte)
	return raw
}
