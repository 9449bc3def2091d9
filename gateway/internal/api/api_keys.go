// Package api maps the generated server's requests to the gateway's use cases and their results back; nothing else.
package api

import (
	"context"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/sendtip/sendtip/gateway/internal/app"
	gatewayapi "github.com/sendtip/sendtip/generated/gateway/api"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/web"
)

// Server answers the gateway's own operations.
type Server struct {
	app *app.App
	now func() time.Time
}

var _ gatewayapi.StrictServerInterface = (*Server)(nil)

// Mount serves the contract openapi/gateway.yaml.
func Mount(r chi.Router, a *app.App, now func() time.Time) {
	strict := gatewayapi.NewStrictHandlerWithOptions(&Server{app: a, now: now}, nil, gatewayapi.StrictHTTPServerOptions{
		RequestErrorHandlerFunc: web.StrictRequestError, ResponseErrorHandlerFunc: web.StrictResponseError})
	gatewayapi.HandlerWithOptions(strict, gatewayapi.ChiServerOptions{BaseRouter: r, ErrorHandlerFunc: web.BindError})
}

// CreateAPIKey answers 201; only the first answer has the secret.
func (s *Server) CreateAPIKey(ctx context.Context, r gatewayapi.CreateAPIKeyRequestObject) (gatewayapi.CreateAPIKeyResponseObject, error) {
	k, err := s.app.CreateAPIKey(ctx,
		app.CreateInput{Name: r.Body.Name, Scopes: r.Body.Scopes, ExpiresAt: r.Body.ExpiresAt, IdempotencyKey: r.Params.IdempotencyKey})
	if err != nil {
		return nil, err
	}
	return gatewayapi.CreateAPIKey201JSONResponse(s.key(k)), nil
}

// ListAPIKeys answers a page.
func (s *Server) ListAPIKeys(ctx context.Context, r gatewayapi.ListAPIKeysRequestObject) (gatewayapi.ListAPIKeysResponseObject, error) {
	keys, next, err := s.app.ListAPIKeys(ctx, page.Request{Limit: r.Params.Limit, Cursor: r.Params.Cursor})
	if err != nil {
		return nil, err
	}
	out := gatewayapi.ListAPIKeys200JSONResponse{Data: make([]gatewayapi.APIKey, 0, len(keys)), NextCursor: next}
	for _, k := range keys {
		out.Data = append(out.Data, s.key(k))
	}
	return out, nil
}

// RevokeAPIKey answers 204.
func (s *Server) RevokeAPIKey(ctx context.Context, r gatewayapi.RevokeAPIKeyRequestObject) (gatewayapi.RevokeAPIKeyResponseObject, error) {
	if err := s.app.RevokeAPIKey(ctx, r.KeyID); err != nil {
		return nil, err
	}
	return gatewayapi.RevokeAPIKey204Response{}, nil
}

func (s *Server) key(k app.APIKey) gatewayapi.APIKey {
	out := gatewayapi.APIKey{ID: k.ID, Name: k.Name, Hint: k.Hint, Scopes: k.Scopes, Status: k.Status(s.now()), CreatedAt: k.CreatedAt.UTC()}
	if k.ExpiresAt != nil {
		t := k.ExpiresAt.UTC()
		out.ExpiresAt = &t
	}
	if k.RevokedAt != nil {
		t := k.RevokedAt.UTC()
		out.RevokedAt = &t
	}
	if k.Secret != "" {
		out.Secret = &k.Secret
	}
	return out
}
