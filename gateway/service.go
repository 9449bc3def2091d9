// Package gateway wires the gateway: the only way in, and the only boundary of authentication. What it owns and how it works is in README.md.
package gateway

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/exaring/otelpgx"
	"github.com/golang-jwt/jwt/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sendtip/sendtip/gateway/internal/api"
	"github.com/sendtip/sendtip/gateway/internal/app"
	"github.com/sendtip/sendtip/gateway/internal/auth"
	"github.com/sendtip/sendtip/gateway/internal/contract"
	"github.com/sendtip/sendtip/gateway/internal/docs"
	"github.com/sendtip/sendtip/gateway/internal/edge"
	"github.com/sendtip/sendtip/gateway/internal/keys"
	"github.com/sendtip/sendtip/gateway/internal/limit"
	"github.com/sendtip/sendtip/gateway/internal/proxy"
	kitauth "github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/event"
	"github.com/sendtip/sendtip/kit/idem"
	"github.com/sendtip/sendtip/kit/keycheck"
	"github.com/sendtip/sendtip/kit/outbox"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/seal"
	"github.com/sendtip/sendtip/kit/service"
	"github.com/sendtip/sendtip/kit/web"
	"github.com/sendtip/sendtip/openapi"
)

const (
	name = "gateway"
	// maxList bounds what the gateway itself reads from the user service.
	maxList = 32 << 20
)

// New returns the gateway, ready to run. It connects to nothing yet, so services start in any order; a fault in the contracts or the
// settings is an error here.
func New(ctx context.Context, cfg Config, log *slog.Logger) (*service.Service, error) {
	return build(ctx, cfg, openapi.FS, log)
}

func build(ctx context.Context, cfg Config, contracts fs.FS, log *slog.Logger) (*service.Service, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	set, err := contract.Load(contracts)
	if err != nil {
		return nil, err
	}
	if err := cfg.names(set); err != nil {
		return nil, err
	}
	if err := cfg.policies(set.Policies); err != nil {
		return nil, err
	}
	set.ApplyPolicies()
	sealer, err := seal.New(cfg.Common.KEKs()[0], cfg.Common.KEKs()[1:]...)
	if err != nil {
		return nil, err
	}
	redis, err := limit.NewRedis(cfg.RedisURL.Reveal(), cfg.RedisPassword.Reveal(), cmp.Or(cfg.RedisTimeout, limit.RedisTimeout))
	if err != nil {
		return nil, err
	}
	broker, err := event.NewBroker(cfg.Common.Kafka)
	if err != nil {
		return nil, err
	}
	publisher := event.NewPublisher(broker)
	pool, err := pg.Open(ctx, cfg.Common.DatabaseURL.Reveal(), pg.Options{MaxConns: cfg.Common.PoolSize, Tracer: otelpgx.NewTracer()})
	if err != nil {
		return nil, err
	}
	p := &parts{cfg: cfg, log: log, set: set, contracts: contracts, sealer: sealer, redis: redis, pool: pool, registry: prometheus.NewRegistry(),
		live: keys.NewLive(pool, cfg.Common.Env, cfg.Now, log)}
	p.relay = outbox.NewRelay(pool, publisher, log, p.registry)
	s, err := p.service()
	if err != nil {
		pool.Close()
		return nil, err
	}
	s.Close = func() {
		if err := publisher.Close(); err != nil {
			log.Warn("close publisher", "err", err)
		}
		_ = redis.Close() // nothing is lost
		pool.Close()
	}
	return s, nil
}

// parts are what New has opened.
type parts struct {
	cfg       Config
	log       *slog.Logger
	set       *contract.Set
	contracts fs.FS
	sealer    *seal.Sealer
	redis     *limit.Redis
	pool      *pgxpool.Pool
	live      *keys.Live
	relay     *outbox.Relay
	registry  *prometheus.Registry
}

func (p *parts) service() (*service.Service, error) {
	upstreams, err := p.upstreams()
	if err != nil {
		return nil, err
	}
	users := userAPI{upstream: upstreams["user"], key: p.cfg.identityKeys()["user"]}
	if users.upstream == nil || len(users.key) == 0 {
		return nil, fmt.Errorf("%sUSER and the identity key of user must be set: tokens are checked with its keys", upstreamPrefix)
	}
	tokenKeys := auth.NewKeys(users.jwks, p.cfg.Now, p.log)
	revocations := auth.NewRevocations(users.revocations, p.cfg.Now, p.log)
	g, err := p.edge(upstreams, tokenKeys, revocations)
	if err != nil {
		return nil, err
	}
	public, err := g.Public()
	if err != nil {
		return nil, err
	}
	internal, err := g.Internal()
	if err != nil {
		return nil, err
	}
	return &service.Service{
		Name: name, Listen: p.cfg.Common.Listen, OpsListen: p.cfg.Common.OpsListen, Registry: p.registry,
		Handler: public, Also: []service.Listener{{Addr: p.cfg.InternalListen, Handler: internal}},
		Guard: keycheck.Guard(p.pool, p.log, keycheck.KEK(p.sealer), keycheck.Secret("delegation", "SENDTIP_DELEGATION_KEY", p.cfg.delegationKeys()...),
			keycheck.Secret("identity", "SENDTIP_IDENTITY_KEY", p.cfg.Common.IdentityKeys()...)),
		Loops: []service.Loop{
			{Name: "revocations", Run: revocations.Run}, {Name: "api keys", Run: p.live.Run}, {Name: "token keys", Run: loadKeys(tokenKeys)},
			{Name: "outbox", Run: p.relay.Run}, {Name: "idempotency keys", Run: idem.SweepLoop(p.pool, p.log)},
		},
		Checks: []service.Check{{Name: "revocations", Run: revocations.Ready}, {Name: "api keys", Run: p.live.Ready}, {Name: "token keys", Run: tokenKeys.Ready}},
	}, nil
}

func (p *parts) edge(upstreams map[string]*proxy.Upstream, tokenKeys *auth.Keys, revocations *auth.Revocations) (*edge.Gateway, error) {
	services, err := auth.NewServices(p.cfg.serviceHashes(), p.set.Scopes, p.cfg.delegationKeys())
	if err != nil {
		return nil, err
	}
	pages, err := docs.New(p.contracts, p.set.Services, p.cfg.Common.PublicURL)
	if err != nil {
		return nil, err
	}
	sources, err := p.cfg.sources()
	if err != nil {
		return nil, err
	}
	metrics := edge.NewMetrics(p.registry, revocations.Age)
	return edge.New(edge.Deps{
		Set: p.set, Upstreams: upstreams, Identity: p.cfg.identityKeys(), Delegation: p.cfg.DelegationKey.Bytes(),
		Tokens: auth.NewTokens(tokenKeys, p.cfg.Common.Env, p.cfg.Now), Revocations: revocations, Services: services, Keys: p.live,
		Limiter: limit.New(p.redis, p.sealer.Derive("rate limit keys"), p.cfg.Now, p.log, metrics.Local),
		Log:     p.log, Metrics: metrics, Now: p.cfg.Now, Proxies: p.cfg.TrustedProxies, Sources: sources, Origins: p.cfg.AllowedOrigins, Sample: p.cfg.SampleAnswers,
		HSTS: p.cfg.Common.Production(), Docs: pages,
	})
}

// upstreams are the configured services, and the gateway's own operations behind the same identity check.
func (p *parts) upstreams() (map[string]*proxy.Upstream, error) {
	own := app.New(p.pool, idem.New(p.sealer.Derive("idempotency"), p.sealer, p.sealer.DerivePrevious("idempotency")...), p.cfg.Common.Env, p.set.SchemeScopes(contract.APIKey), p.cfg.Now, p.relay.Wake)
	handler := web.Middleware(p.log, web.NewMetrics(p.registry), contract.DefaultMaxBody)(
		kitauth.NewVerifier(name, p.cfg.Common.IdentityKeys()...).Middleware(web.WriteProblem)(api.Handler(own, p.cfg.Now)))
	self, err := proxy.New(name, "http://gateway", proxy.InProcess{Handler: handler})
	if err != nil {
		return nil, err
	}
	out, transport := map[string]*proxy.Upstream{name: self}, proxy.Transport()
	for service, address := range p.cfg.Upstreams {
		if out[service], err = proxy.New(service, address, transport); err != nil {
			return nil, fmt.Errorf("%s%s: %w", upstreamPrefix, strings.ToUpper(service), err)
		}
	}
	return out, nil
}

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
}

func (u userAPI) jwks(ctx context.Context) ([]byte, error) {
	return u.get(ctx, "/v1/jwks", "", kitauth.Claims{RegisteredClaims: jwt.RegisteredClaims{Subject: "anonymous"}, Operation: "getJwks"})
}

func (u userAPI) revocations(ctx context.Context, query string) ([]byte, error) {
	return u.get(ctx, "/v1/internal/revocations", query,
		kitauth.Claims{RegisteredClaims: jwt.RegisteredClaims{Subject: "service:" + name}, Operation: "listRevocations", Scope: "users:revocations"})
}

func (u userAPI) get(ctx context.Context, path, query string, c kitauth.Claims) ([]byte, error) {
	c.Audience = jwt.ClaimStrings{"user"}
	token, err := kitauth.Mint(u.key, c)
	if err != nil {
		return nil, fmt.Errorf("mint identity: %w", err)
	}
	h := http.Header{}
	h.Set(kitauth.IdentityHeader, token)
	h.Set(web.RequestIDHeader, web.NewRequestID(""))
	return u.upstream.Get(ctx, path, query, h, maxList)
}
