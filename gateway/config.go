package gateway

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sendtip/sendtip/gateway/internal/contract"
	"github.com/sendtip/sendtip/kit/config"
)

// Config is the gateway's settings.
type Config struct {
	Common         config.Common
	InternalListen string        `env:"SENDTIP_INTERNAL_LISTEN"`                               // for services only
	RedisURL       config.Secret `env:"SENDTIP_REDIS_URL" envDefault:"redis://127.0.0.1:8179"` // it may hold the password
	RedisPassword  config.Secret `env:"SENDTIP_REDIS_PASSWORD"`

	// IdentityKeys and ServiceKeyHashes are `service=value` pairs, separated by commas or lines, or file:/path to such a list.
	IdentityKeys     Pairs         `env:"SENDTIP_IDENTITY_KEYS"`      // the same keys as the services' SENDTIP_IDENTITY_KEY; of two of one service the first is used
	ServiceKeyHashes Pairs         `env:"SENDTIP_SERVICE_KEY_HASHES"` // hex SHA-256; a service may be listed twice during a rotation
	DelegationKey    config.Secret `env:"SENDTIP_DELEGATION_KEY"`     // known to gateways only
	DelegationOld    config.Secret `env:"SENDTIP_DELEGATION_KEY_PREVIOUS"`

	TrustedProxies Networks `env:"SENDTIP_TRUSTED_PROXIES"` // whose X-Forwarded-For is believed
	WebhookSources Pairs    `env:"SENDTIP_WEBHOOK_SOURCES"` // `st=196.201.214.0/24`: two letters of the path and a network, repeated
	AllowedOrigins Origins  `env:"SENDTIP_ALLOWED_ORIGINS"` // pages that may call from a browser
	RatePolicies   Pairs    `env:"SENDTIP_RATE_POLICIES"`   // `address=60000/60/5000`: limit/window_s/burst instead of services.yaml
	SampleAnswers  float64  `env:"SENDTIP_SAMPLE_ANSWERS" envDefault:"-1"`

	// Upstreams are the addresses of the services, from SENDTIP_UPSTREAM_<SERVICE>.
	Upstreams map[string]string `env:"-"`
	// Now and RedisTimeout are set by tests.
	Now          func() time.Time `env:"-"`
	RedisTimeout time.Duration    `env:"-"`
}

// sampleUnset says that nobody has chosen a share.
const sampleUnset = -1

const upstreamPrefix = "SENDTIP_UPSTREAM_"

// LoadConfig reads the settings.
func LoadConfig(environ map[string]string) (Config, error) {
	cfg, err := config.Load[Config](environ)
	if err != nil {
		return cfg, err
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
	if cfg.SampleAnswers == sampleUnset { // one in a hundred while developing, none where customers wait
		cfg.SampleAnswers = 0.01
		if cfg.Common.Production() {
			cfg.SampleAnswers = 0
		}
	}
	return cfg, nil
}

var envPattern = regexp.MustCompile(`^[a-z][a-z0-9]{1,15}$`)

// Validate names the first fault.
func (c Config) Validate() error {
	if err := c.Common.Validate(); err != nil {
		return err
	}
	switch {
	case c.InternalListen == "":
		return errors.New("SENDTIP_INTERNAL_LISTEN is not set: services reach each other through it")
	case !envPattern.MatchString(c.Common.Env):
		return errors.New("SENDTIP_ENV must be a short word in lower case: API keys carry it")
	case len(c.DelegationKey.Bytes()) < 32:
		return errors.New("SENDTIP_DELEGATION_KEY is not set or shorter than 32 bytes: `sendtip keys init` makes it")
	case c.Common.Production() && !strings.HasPrefix(c.RedisURL.Reveal(), "rediss://"):
		return errors.New("SENDTIP_REDIS_URL must begin with rediss:// in production: the password would cross the network in the clear")
	case c.Common.Production() && !c.RedisPassword.Set():
		return errors.New("SENDTIP_REDIS_PASSWORD is not set: in production whoever reaches Redis could lift every limit (`sendtip keys init` makes one)")
	case c.Common.Production() && c.SampleAnswers > 0:
		return errors.New("SENDTIP_SAMPLE_ANSWERS must be 0 in production")
	}
	if err := config.Check(config.Listen("SENDTIP_INTERNAL_LISTEN", c.InternalListen),
		config.Key("SENDTIP_DELEGATION_KEY_PREVIOUS", c.DelegationOld, 32, math.MaxInt)); err != nil {
		return err
	}
	if c.SampleAnswers != sampleUnset && !(c.SampleAnswers >= 0 && c.SampleAnswers <= 1) {
		return errors.New("SENDTIP_SAMPLE_ANSWERS must be a share from 0 to 1")
	}
	for _, p := range c.ServiceKeyHashes {
		if sum, err := hex.DecodeString(p.value); err != nil || len(sum) != sha256.Size {
			return fmt.Errorf("SENDTIP_SERVICE_KEY_HASHES: that of %s must be a SHA-256 in hex", p.Name)
		}
	}
	for _, p := range c.IdentityKeys {
		if bytes.Equal(p.secret(), c.DelegationKey.Bytes()) {
			return fmt.Errorf("SENDTIP_IDENTITY_KEYS: the identity key of %s is the delegation key: a service could then act for anybody", p.Name)
		}
		if len(p.secret()) < 32 {
			return fmt.Errorf("SENDTIP_IDENTITY_KEYS: that of %s is shorter than 32 bytes", p.Name)
		}
	}
	if err := c.validateNetworks(); err != nil {
		return err
	}
	return c.policies(map[string]contract.Policy{})
}

// Pair is one `name=value`.
type Pair struct{ Name, value string }

// String hides the value.
func (p Pair) String() string { return p.Name + "=[secret]" }

func (p Pair) secret() []byte { return config.NewSecret(p.value).Bytes() }

// Pairs is a list of `name=value`, which may name one thing twice.
type Pairs []Pair

// UnmarshalText reads the list, or the file that it names.
func (p *Pairs) UnmarshalText(text []byte) error {
	if path, ok := strings.CutPrefix(string(text), "file:"); ok {
		data, err := os.ReadFile(path) // #nosec G304 -- the operator names the file
		if err != nil {
			return fmt.Errorf("read list: %w", err)
		}
		text = data
	}
	for _, item := range strings.FieldsFunc(string(text), func(r rune) bool { return r == ',' || r == '\n' || r == '\r' }) {
		name, value, ok := strings.Cut(strings.TrimSpace(item), "=")
		if !ok || name == "" || value == "" {
			return errors.New("a list of name=value pairs is expected")
		}
		var secret config.Secret
		if err := secret.UnmarshalText([]byte(value)); err != nil { // a value may be file:/path, too
			return err
		}
		*p = append(*p, Pair{Name: strings.TrimSpace(name), value: secret.Reveal()})
	}
	return nil
}

// HashServiceKey returns what the gateway is told of a service's key.
func HashServiceKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

func (c Config) identityKeys() map[string][]byte {
	out := map[string][]byte{"gateway": c.Common.IdentityKey.Bytes()}
	for _, p := range c.IdentityKeys {
		if _, ok := out[p.Name]; !ok {
			out[p.Name] = p.secret()
		}
	}
	return out
}

func (c Config) serviceHashes() map[string][]string {
	out := map[string][]string{}
	for _, p := range c.ServiceKeyHashes {
		out[p.Name] = append(out[p.Name], p.value)
	}
	return out
}

func (c Config) delegationKeys() [][]byte {
	out := [][]byte{c.DelegationKey.Bytes()}
	if c.DelegationOld.Set() {
		out = append(out, c.DelegationOld.Bytes())
	}
	return out
}

// hooks is the beginning of the paths that providers call; two letters for the kind follow.
const hooks = "/v1/hooks/"

// names refuses what the contracts do not know: a slip of the pen would change nothing, unseen.
func (c Config) names(set *contract.Set) error {
	for _, p := range c.RatePolicies {
		if _, ok := set.Policies[p.Name]; !ok {
			return fmt.Errorf("SENDTIP_RATE_POLICIES: there is no policy %s", p.Name)
		}
	}
	for _, p := range c.WebhookSources {
		if !slices.ContainsFunc(set.Operations, func(o *contract.Operation) bool { return strings.HasPrefix(o.Path, hooks+p.Name+"/") }) {
			return fmt.Errorf("SENDTIP_WEBHOOK_SOURCES: there is no kind of hook %s", p.Name)
		}
	}
	return nil
}

// policies replaces named policies.
func (c Config) policies(all map[string]contract.Policy) error {
	for _, p := range c.RatePolicies {
		var n [3]int
		for i, text := range strings.SplitN(p.value, "/", len(n)) {
			n[i], _ = strconv.Atoi(text)
		}
		if n[0] < 1 || n[1] < 1 || n[2] < 1 {
			return fmt.Errorf("SENDTIP_RATE_POLICIES: %s: limit/window_s/burst is expected", p.Name)
		}
		all[p.Name] = contract.Policy{Name: p.Name, Limit: n[0], Window: time.Duration(n[1]) * time.Second, Burst: n[2]}
	}
	return nil
}

// Networks is a list of networks, separated by commas.
type Networks []netip.Prefix

// UnmarshalText reads the list.
func (n *Networks) UnmarshalText(text []byte) error { return n.set(string(text)) }

func (n *Networks) set(text string) error {
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		p, err := netip.ParsePrefix(item)
		if err != nil {
			return errors.New("a list of networks such as 10.0.0.0/8 is expected")
		}
		*n = append(*n, p)
	}
	return nil
}
