package gateway

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sendtip/sendtip/gateway/internal/auth"
	"github.com/sendtip/sendtip/gateway/internal/proxy"
	"github.com/sendtip/sendtip/generated/scopes"
	kitauth "github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/web"
)

// maxList bounds what the gateway itself reads from the user service, in bytes.
const maxList = 32 << 20

// loadKeys reads the token keys at the start, so that the first request need not wait for them, and again to notice withdrawn ones.
func loadKeys(k *auth.Keys) func(context.Context) error {
	return func(ctx context.Context) error {
		for {
			pause := 5 * time.Minute
			if err := k.Refresh(ctx); err != nil {
				pause = time.Second
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(pause):
			}
		}
	}
}

// userAPI is what the gateway itself asks the user service, past its own chain.
type userAPI struct {
	upstream *proxy.Upstream
	key      []byte
	now      func() time.Time
}

func (u userAPI) jwks(ctx context.Context) ([]byte, error) {
	return u.get(ctx, "/v1/jwks", "", kitauth.Claims{RegisteredClaims: jwt.RegisteredClaims{Subject: "anonymous"}, Operation: "getJwks"})
}

func (u userAPI) revocations(ctx context.Context, query string) ([]byte, error) {
	return u.get(ctx, "/v1/internal/revocations", query,
		kitauth.Claims{RegisteredClaims: jwt.RegisteredClaims{Subject: "service:" + name}, Operation: "listRevocations",
			Scope: scopes.UsersRevocations})
}

func (u userAPI) get(ctx context.Context, path, query string, c kitauth.Claims) ([]byte, error) {
	c.Audience = jwt.ClaimStrings{"user"}
	token, err := kitauth.Mint(u.key, u.now(), c)
	if err != nil {
		return nil, fmt.Errorf("mint identity: %w", err)
	}
	h := http.Header{}
	h.Set(kitauth.IdentityHeader, token)
	h.Set(web.RequestIDHeader, web.NewRequestID(""))
	return u.upstream.Get(ctx, path, query, h, maxList)
}
