package gateway

import (
	"strings"
	"time"

	"github.com/sendtip/sendtip/kit/config"
)

// Config is the gateway's settings.
type Config struct {
	Common config.Common

	InternalListen string `env:"SENDTIP_INTERNAL_LISTEN" is:"required listen"` // for services only; never reachable from outside
	// where callers reach the gateway; the documentation names it
	PublicURL config.Address `env:"SENDTIP_PUBLIC_URL" is:"url https"`

	// rate counters; the address may hold the password
	RedisURL config.Secret `env:"SENDTIP_REDIS_URL" envDefault:"redis://127.0.0.1:8179" is:"required tls"`
	// who reaches Redis without one lifts every limit; that of the address when it is not set
	RedisPassword config.Secret `env:"SENDTIP_REDIS_PASSWORD" is:"production"`

	// `service=key,…`, by commas or lines, or `file:/list`; each is that service's SENDTIP_IDENTITY_KEY, of two of one service the first is
	// used. A key may be a file, `file:/path`, whose path has no comma
	IdentityKeys Pairs `env:"SENDTIP_IDENTITY_KEYS" is:"required"`
	// `service=hex SHA-256 of its service key,…`; a service is listed twice while its key is rotated
	ServiceKeyHashes Pairs `env:"SENDTIP_SERVICE_KEY_HASHES"`
	// known to gateways only, never equal to an identity key
	DelegationKey config.Secret `env:"SENDTIP_DELEGATION_KEY" is:"required key"`
	// accepted beside it during a rotation
	DelegationOld config.Secret `env:"SENDTIP_DELEGATION_KEY_PREVIOUS" is:"key"`

	// networks whose `X-Forwarded-For` is believed; set it behind a load balancer, or all callers share one limit and every provider is a
	// stranger. The proxy must append the caller's address
	TrustedProxies Networks `env:"SENDTIP_TRUSTED_PROXIES"`
	// `st=196.201.214.0/24,…`: two letters of the path and a network from where that kind of hook is known; any other sender is a stranger,
	// whose word alone moves no money. A kind that is not named keeps the addresses that its provider has published (sources.go)
	WebhookSources Pairs `env:"SENDTIP_WEBHOOK_SOURCES"`
	// `https://app.example.com,…`: pages that may call from a browser
	AllowedOrigins Origins `env:"SENDTIP_ALLOWED_ORIGINS"`
	// `address=60000/60/5000,…` (limit/window in s/burst) instead of `openapi/services.yaml`
	RatePolicies Pairs `env:"SENDTIP_RATE_POLICIES"`
	// share of answers held against the contract, 0 to 1; 0.01 when it is not set, in production 0
	SampleAnswers float64 `env:"SENDTIP_SAMPLE_ANSWERS"`

	// Upstreams are the addresses of the services, from SENDTIP_UPSTREAM_<SERVICE>.
	Upstreams map[string]string `env:"-"`
	// RedisTimeout is set by tests.
	RedisTimeout time.Duration `env:"-"`
}

const upstreamPrefix = "SENDTIP_UPSTREAM_"

// LoadConfig reads and checks the settings.
func LoadConfig(environ map[string]string) (Config, error) {
	cfg, err := config.Load[Config](environ)
	if err != nil {
		return cfg, err
	}
	if _, chosen := environ["SENDTIP_SAMPLE_ANSWERS"]; !chosen && !cfg.Common.Production() {
		cfg.SampleAnswers = 0.01 // one in a hundred while developing, none where customers wait
	}
	cfg.Upstreams = map[string]string{}
	for name, value := range environ {
		if s, ok := strings.CutPrefix(name, upstreamPrefix); ok && value != "" {
			if err := config.Check(config.URL(name, value)); err != nil {
				return cfg, err
			}
			cfg.Upstreams[strings.ToLower(s)] = value
		}
	}
	return cfg, nil
}
