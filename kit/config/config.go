// Package config fills a service's settings from environment variables. It is the only reader of the environment, and it takes
// the environment as a map, so that several services can run in one process, each with its own settings.
package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"github.com/sendtip/sendtip/kit/clock"
)

// Secret is a setting that must never be shown. Its value is the text itself, or `file:/path` for the content of a file.
type Secret struct{ value string }

// NewSecret wraps a value that is already known.
func NewSecret(value string) Secret { return Secret{value: value} }

// UnmarshalText reads the value, or the file that it names.
func (s *Secret) UnmarshalText(text []byte) error {
	v := string(text)
	if path, ok := strings.CutPrefix(v, "file:"); ok {
		b, err := os.ReadFile(path) // #nosec G304 -- the operator names the file
		if err != nil {
			return fmt.Errorf("read secret file: %w", err)
		}
		v = strings.TrimSpace(string(b))
	}
	s.value = v
	return nil
}

// Reveal returns the secret. Its callers hand it to a cipher, a driver or a provider, never to a log.
func (s Secret) Reveal() string { return s.value }

// Set says whether there is a value.
func (s Secret) Set() bool { return s.value != "" }

// Bytes returns the secret as raw bytes: base64 is decoded where the text is base64 of at least 32 bytes, else the text itself is taken.
func (s Secret) Bytes() []byte {
	if b, err := base64.StdEncoding.DecodeString(s.value); err == nil && len(b) >= 32 {
		return b
	}
	return []byte(s.value)
}

// String hides the value.
func (s Secret) String() string { return "[secret]" }

// GoString hides the value from %#v.
func (s Secret) GoString() string { return "[secret]" }

// LogValue hides the value from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue("[secret]") }

// MarshalJSON hides the value from encoders.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"[secret]"`), nil }

// sandboxPrefix begins every credential that the sandbox made up; they are in the public source.
const sandboxPrefix = "sendtip-sandbox-"

// FromSandbox says whether a credential is one of the sandbox's, which production refuses.
func FromSandbox(s Secret) bool { return strings.HasPrefix(s.value, sandboxPrefix) }

// Common is what every service needs to know; a service's Config has it as a field.
type Common struct {
	Env         string `env:"SENDTIP_ENV" envDefault:"development"`
	LogLevel    string `env:"SENDTIP_LOG_LEVEL" envDefault:"info"`
	Listen      string `env:"SENDTIP_LISTEN"`
	OpsListen   string `env:"SENDTIP_OPS_LISTEN"`
	DatabaseURL Secret `env:"SENDTIP_DATABASE_URL"` // the app role's; the owner's is known to `sendtip migrate` only
	PoolSize    int32  `env:"SENDTIP_POOL_SIZE" envDefault:"16"`

	// ClockOffset moves the service's clock against the real one, so that months pass in a test; production refuses it.
	ClockOffset time.Duration `env:"SENDTIP_CLOCK_OFFSET"`
	// Clock is given by who runs several services in one process, so that all tell the same time; nil: one of ClockOffset's.
	Clock *clock.Clock `env:"-"`

	Kafka      Kafka
	GatewayURL string `env:"SENDTIP_GATEWAY_URL"` // internal listener
	PublicURL  string `env:"SENDTIP_PUBLIC_URL"`  // where providers reach our webhooks

	IdentityKey         Secret `env:"SENDTIP_IDENTITY_KEY"` // shared with the gateway only
	IdentityKeyPrevious Secret `env:"SENDTIP_IDENTITY_KEY_PREVIOUS"`
	ServiceKey          Secret `env:"SENDTIP_SERVICE_KEY"` // the gateway knows its hash
	KEK                 Secret `env:"SENDTIP_KEK"`         // 32 bytes, base64
	KEKPrevious         Secret `env:"SENDTIP_KEK_PREVIOUS"`
}

// Kafka says where the broker of events is and who asks. Each service has a user of its own there: only the owner of a topic may write it.
type Kafka struct {
	Brokers  []string `env:"SENDTIP_KAFKA_BROKERS"`
	User     string   `env:"SENDTIP_KAFKA_USER"` // SASL SCRAM-SHA-512
	Password Secret   `env:"SENDTIP_KAFKA_PASSWORD"`
	TLS      bool     `env:"SENDTIP_KAFKA_TLS"`
	CA       string   `env:"SENDTIP_KAFKA_CA"` // file of certificates in PEM; empty means the system's
}

func (k Kafka) validate(production bool) error {
	switch {
	case len(k.Brokers) == 0:
		return errors.New("SENDTIP_KAFKA_BROKERS is not set")
	case k.User == "" && k.Password.Set():
		return errors.New("SENDTIP_KAFKA_USER is not set, and SENDTIP_KAFKA_PASSWORD is")
	case k.User != "" && !k.Password.Set():
		return errors.New("SENDTIP_KAFKA_PASSWORD is not set, and SENDTIP_KAFKA_USER is")
	case production && k.User == "":
		return errors.New("SENDTIP_KAFKA_USER is not set: in production each service has a user of its own at the broker (`sendtip events users`)")
	case production && !k.TLS:
		return errors.New("SENDTIP_KAFKA_TLS is not true: in production whoever hears the network would read and write events")
	}
	return nil
}

// Production says whether real money moves here: the sandbox and embedded parts refuse it then.
func (c Common) Production() bool { return c.Env == "production" }

// IdentityKeys returns the accepted keys, the current one first.
func (c Common) IdentityKeys() [][]byte { return keys(c.IdentityKey, c.IdentityKeyPrevious) }

// KEKs returns the key-encryption keys, the current one first.
func (c Common) KEKs() [][]byte { return keys(c.KEK, c.KEKPrevious) }

func keys(all ...Secret) [][]byte {
	var out [][]byte
	for _, s := range all {
		if s.Set() {
			out = append(out, s.Bytes())
		}
	}
	return out
}

// Validate names the first missing setting.
func (c Common) Validate() error {
	for name, missing := range map[string]bool{
		"SENDTIP_LISTEN": c.Listen == "", "SENDTIP_DATABASE_URL": !c.DatabaseURL.Set(),
		"SENDTIP_IDENTITY_KEY": !c.IdentityKey.Set(), "SENDTIP_KEK": !c.KEK.Set(),
	} {
		if missing {
			return fmt.Errorf("%s is not set: `sendtip keys init` makes the keys, and the service's README lists the settings", name)
		}
	}
	// Everything else counts as development: a slip of the pen must not switch the refusals of production off.
	switch strings.ToLower(strings.TrimSpace(c.Env)) {
	case "production", "prod", "prd", "live":
		if !c.Production() {
			return errors.New("SENDTIP_ENV looks like production; write `production`")
		}
	}
	if c.Production() && c.ClockOffset != 0 {
		return errors.New("SENDTIP_CLOCK_OFFSET must not be set in production")
	}
	if c.PoolSize < 1 {
		return errors.New("SENDTIP_POOL_SIZE must be 1 or more")
	}
	rules := []Rule{
		{"SENDTIP_LOG_LEVEL", c.LogLevel, level, "debug, info, warn or error"},
		Listen("SENDTIP_LISTEN", c.Listen), Listen("SENDTIP_OPS_LISTEN", c.OpsListen), Database("SENDTIP_DATABASE_URL", c.DatabaseURL.Reveal()),
		URL("SENDTIP_GATEWAY_URL", c.GatewayURL), URL("SENDTIP_PUBLIC_URL", c.PublicURL),
		Key("SENDTIP_IDENTITY_KEY", c.IdentityKey, keySize, math.MaxInt), Key("SENDTIP_IDENTITY_KEY_PREVIOUS", c.IdentityKeyPrevious, keySize, math.MaxInt),
		Key("SENDTIP_KEK", c.KEK, keySize, keySize), Key("SENDTIP_KEK_PREVIOUS", c.KEKPrevious, keySize, keySize),
	}
	for _, b := range c.Kafka.Brokers {
		if b == "" {
			b = "," // nothing between two commas is no broker
		}
		rules = append(rules, HostPort("SENDTIP_KAFKA_BROKERS", b))
	}
	if err := Check(rules...); err != nil {
		return err
	}
	return c.Kafka.validate(c.Production())
}

// keySize is the length of keys in bytes.
const keySize = 32

// Load fills T from environ by its env tags and then asks T's Validate, if it has one.
func Load[T any](environ map[string]string) (T, error) {
	cfg, err := env.ParseAsWithOptions[T](env.Options{Environment: environ})
	if err != nil {
		return cfg, fmt.Errorf("%s cannot be read: %w", culprit(cfg, environ), cause(err))
	}
	if v, ok := any(cfg).(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return cfg, err
		}
	}
	return cfg, nil
}

// culprit is the setting that cannot be read: the library names the field that it would go into, which no operator knows.
func culprit[T any](cfg T, environ map[string]string) string {
	params, err := env.GetFieldParams(&cfg)
	if err != nil {
		return "read settings"
	}
	for _, p := range params {
		value, given := environ[p.Key]
		if !given {
			continue
		}
		if _, err := env.ParseAsWithOptions[T](env.Options{Environment: map[string]string{p.Key: value}}); err != nil {
			return p.Key
		}
	}
	return "read settings"
}

// cause is what is wrong with a text, without the text.
func cause(err error) error {
	var parse env.ParseError
	if errors.As(err, &parse) {
		err = parse.Err
	}
	if strings.Contains(err.Error(), "invalid duration") { // time's error shows the text, and has no type
		return errors.New("a duration such as 90s is expected")
	}
	var number *strconv.NumError
	if errors.As(err, &number) {
		err = number.Err
	}
	return err
}

// Environ returns the process environment as a map.
func Environ() map[string]string { return env.ToMap(os.Environ()) }
