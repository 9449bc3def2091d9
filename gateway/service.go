// Package gateway wires the gateway: the only way in, and the only boundary of authentication. What it owns and how it works is in
// README.md.
package gateway

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/sendtip/sendtip/gateway/internal/api"
	"github.com/sendtip/sendtip/gateway/internal/app"
	"github.com/sendtip/sendtip/gateway/internal/auth"
	"github.com/sendtip/sendtip/gateway/internal/contract"
	"github.com/sendtip/sendtip/gateway/internal/docs"
	"github.com/sendtip/sendtip/gateway/internal/edge"
	"github.com/sendtip/sendtip/gateway/internal/keys"
	"github.com/sendtip/sendtip/gateway/internal/limit"
	"github.com/sendtip/sendtip/gateway/internal/proxy"
	"github.com/sendtip/sendtip/kit/clock"
	"github.com/sendtip/sendtip/kit/idem"
	"github.com/sendtip/sendtip/kit/keycheck"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/service"
	"github.com/sendtip/sendtip/openapi"
)

const name = "gateway"

// New returns the gateway, ready to run. It connects to nothing yet, so services start in any order; a fault in the contracts or the
// settings is an error here.
func New(ctx context.Context, cfg Config, host service.Host) (*service.Service, error) {
	return build(ctx, cfg, openapi.FS, host)
}

func build(ctx context.Context, cfg Config, contracts fs.FS, host service.Host) (*service.Service, error) {
	set, err := contract.Load(contracts)
	if err != nil {
		return nil, err
	}
	if err := cfg.checkNames(set); err != nil {
		return nil, err
	}
	if err := cfg.applyPolicies(set.Policies); err != nil {
		return nil, err
	}
	set.ApplyPolicies()
	return service.Build(ctx, service.Spec{Name: name, Common: cfg.Common, Host: host}, func(p *service.Parts) (service.Own, error) {
		redis, err := limit.NewRedis(cfg.RedisURL.Reveal(), cfg.RedisPassword.Reveal(), cmp.Or(cfg.RedisTimeout, limit.RedisTimeout))
		if err != nil {
			return service.Own{}, err
		}
		p.OnClose(func() { _ = redis.Close() }) // nothing is lost
		g := &parts{Parts: p, cfg: cfg, set: set, contracts: contracts, redis: redis, live: keys.NewLive(p.Pool, cfg.Common.Env, p.Now, p.Log)}
		return g.own()
	})
}

// parts are what the gateway is made of beside the parts of every service.
type parts struct {
	*service.Parts

	cfg       Config
	set       *contract.Set
	contracts fs.FS
	redis     *limit.Redis
	live      *keys.Live
}

func (p *parts) own() (service.Own, error) {
	upstreams, err := p.upstreams()
	if err != nil {
		return service.Own{}, err
	}
	users := userAPI{upstream: upstreams["user"], key: p.cfg.identityKeys()["user"], now: p.Now}
	tokenKeys := auth.NewKeys(users.jwks, p.Now, p.Log)
	revocations := auth.NewRevocations(users.revocations, p.Now, p.Log)
	g, err := p.edge(upstreams, tokenKeys, revocations)
	if err != nil {
		return service.Own{}, err
	}
	public, err := g.Public()
	if err != nil {
		return service.Own{}, err
	}
	internal, err := g.Internal()
	if err != nil {
		return service.Own{}, err
	}
	return service.Own{
		Handler: public, Also: []service.Listener{{Addr: p.cfg.InternalListen, Handler: internal}},
		Keys: []keycheck.Key{keycheck.Secret("delegation", "SENDTIP_DELEGATION_KEY", p.cfg.delegationKeys()...)},
		Loops: []service.Loop{
			{Name: "revocations", Run: revocations.Run}, {Name: "api keys", Run: p.live.Run}, {Name: "token keys", Run: loadKeys(tokenKeys)},
		},
		Checks: []service.Check{{Name: "revocations", Run: revocations.Ready}, {Name: "api keys", Run: p.live.Ready},
			{Name: "token keys", Run: tokenKeys.Ready}},
		WithoutDatabase: true, // what it knows of keys and sessions is in memory
	}, nil
}

func (p *parts) edge(upstreams map[string]*proxy.Upstream, tokenKeys *auth.Keys, revocations *auth.Revocations) (*edge.Gateway, error) {
	services, err := auth.NewServices(p.cfg.serviceHashes(), p.set.Scopes, p.cfg.delegationKeys(), p.Now)
	if err != nil {
		return nil, err
	}
	pages, err := docs.New(p.contracts, p.set.Services, string(p.cfg.PublicURL))
	if err != nil {
		return nil, err
	}
	sources, err := p.cfg.sources()
	if err != nil {
		return nil, err
	}
	metrics := edge.NewMetrics(p.Registry, revocations.Age)
	return edge.New(edge.Deps{
		Set: p.set, Upstreams: upstreams, Identity: p.cfg.identityKeys(), Delegation: p.cfg.DelegationKey.Bytes(),
		Tokens: auth.NewTokens(tokenKeys, p.cfg.Common.Env, p.Now), Revocations: revocations, Services: services, Keys: p.live,
		Limiter: limit.New(p.redis, p.Sealer.Derive("rate limit keys"), clock.Monotonic, p.Log, metrics.Local),
		Log:     p.Log, Metrics: metrics, Now: p.Now, Proxies: p.cfg.TrustedProxies, Sources: sources, Origins: p.cfg.AllowedOrigins,
		Sample: p.cfg.SampleAnswers,
		HSTS:   p.cfg.Common.Production(), Docs: pages,
	})
}

// upstreams are the configured services, and the gateway's own operations behind the same identity check.
func (p *parts) upstreams() (map[string]*proxy.Upstream, error) {
	own := app.New(p.Pool, idem.New(p.Sealer, p.Now), page.New(p.Sealer), p.cfg.Common.Env,
		p.set.SchemeScopes(contract.APIKey), p.Now, p.Relay.Wake)
	self, err := proxy.New(name, "http://gateway",
		proxy.InProcess{Handler: p.Handler(func(r chi.Router) { api.Mount(r, own, p.Now) }, contract.DefaultMaxBody)})
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
