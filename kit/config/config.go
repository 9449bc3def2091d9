// Package config fills a service's settings from environment variables. It is the only reader of the environment, and it takes
// the environment as a map, so that several services can run in one process, each with its own settings.
package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
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

// Address is the beginning of addresses, without a slash at its end.
type Address string

// UnmarshalText takes the slashes off.
func (a *Address) UnmarshalText(text []byte) error {
	*a = Address(strings.TrimRight(string(text), "/"))
	return nil
}

// sandboxPrefix begins every credential that the sandbox made up; they are in the public source, and production refuses them.
const sandboxPrefix = "sendtip-sandbox-"

const (
	environment = "SENDTIP_ENV"
	production  = "production"
)

// Common is what every service needs to know; a service's Config has it as a field. The tag `is` names the rules of a setting (check.go),
// and the comment is its row in the tables of settings.
type Common struct {
	// name of the environment; `production` refuses the sandbox and embedded parts, and demands https
	Env string `env:"SENDTIP_ENV" envDefault:"development" is:"environment"`
	// `debug`, `info`, `warn`, `error`
	LogLevel string `env:"SENDTIP_LOG_LEVEL" envDefault:"info" is:"level"`
	// address for the gateway, `:8102`
	Listen string `env:"SENDTIP_LISTEN" is:"required listen"`
	// `/healthz`, `/readyz`, `/metrics`; keep it inside
	OpsListen string `env:"SENDTIP_OPS_LISTEN" is:"listen"`
	// database of this service as its role `<service>_app`; the owner's is known to `sendtip migrate` only
	DatabaseURL Secret `env:"SENDTIP_DATABASE_URL" is:"required database"`
	// connections to it; 32 for transactions
	PoolSize int32 `env:"SENDTIP_POOL_SIZE" envDefault:"16" is:"min=1"`
	// moves the clock of a test platform, `744h`; all services need the same one
	ClockOffset time.Duration `env:"SENDTIP_CLOCK_OFFSET" is:"absent"`

	Kafka Kafka

	// checks the gateway's identity tokens; shared with the gateway only
	IdentityKey Secret `env:"SENDTIP_IDENTITY_KEY" is:"required key"`
	// accepted beside it during a rotation
	IdentityKeyPrevious Secret `env:"SENDTIP_IDENTITY_KEY_PREVIOUS" is:"key"`
	// seals personal data, and makes the cursors of lists
	KEK Secret `env:"SENDTIP_KEK" is:"required kek"`
	// only opens what was sealed under it
	KEKPrevious Secret `env:"SENDTIP_KEK_PREVIOUS" is:"kek"`
}

// Peers is what a service needs that calls others.
type Peers struct {
	// the gateway's internal listener
	GatewayURL string `env:"SENDTIP_GATEWAY_URL" is:"required url"`
	// sent to the gateway, which knows its hash
	ServiceKey Secret `env:"SENDTIP_SERVICE_KEY" is:"required"`
}

// Kafka says where the broker of events is and who asks. Each service has a user of its own there: only the owner of a topic may write it.
type Kafka struct {
	// `host:port,…`
	Brokers []string `env:"SENDTIP_KAFKA_BROKERS" is:"required hostport"`
	// the service's own user there, SASL SCRAM-SHA-512 (`sendtip events users`); with a password or not at all
	User string `env:"SENDTIP_KAFKA_USER" is:"production with=SENDTIP_KAFKA_PASSWORD"`
	// that user's password
	Password Secret `env:"SENDTIP_KAFKA_PASSWORD" is:"with=SENDTIP_KAFKA_USER"`
	// `true` for TLS to the broker: whoever hears the network would read and write events
	TLS bool `env:"SENDTIP_KAFKA_TLS" is:"production"`
	// file of the authority's certificates in PEM; the system's when it is not set
	CA string `env:"SENDTIP_KAFKA_CA"`
}

// Production says whether real money moves here: the sandbox and embedded parts refuse it then.
func (c Common) Production() bool { return c.Env == production }

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

// Load fills T from environ by its env tags, and refuses it with all that its `is` tags, and its Check if it has one, find wrong.
func Load[T any](environ map[string]string) (T, error) {
	cfg, err := env.ParseAsWithOptions[T](env.Options{Environment: environ})
	if err != nil {
		return cfg, fmt.Errorf("%s %w", culprit(cfg, environ), cause(err))
	}
	return cfg, Verify(cfg)
}

// Verify names all that is wrong with settings that are read already, in the order of their fields.
func Verify(cfg any) error {
	faults := check(cfg)
	if own, ok := cfg.(interface{ Check() error }); ok {
		if err := own.Check(); err != nil {
			faults = append(faults, err.Error())
		}
	}
	return join(faults)
}

// culprit is the setting that cannot be read: the library names the field that it would go into, which no operator knows.
func culprit[T any](cfg T, environ map[string]string) string {
	params, err := env.GetFieldParams(&cfg)
	if err != nil {
		return "a setting"
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
	return "a setting"
}

// cause completes "NAME …" with what is wrong with a text, without the text.
func cause(err error) error {
	var parse env.ParseError
	if errors.As(err, &parse) {
		err = parse.Err
	}
	if strings.Contains(err.Error(), "parse duration") { // the error shows the text, and has no type
		return errors.New("must be a duration such as 90s")
	}
	var number *strconv.NumError
	if !errors.As(err, &number) {
		return fmt.Errorf("cannot be read: %w", err)
	}
	switch {
	case errors.Is(number.Err, strconv.ErrRange):
		return errors.New("must be a number that is not so large")
	case number.Func == "ParseBool":
		return errors.New("must be true or false")
	case number.Func == "ParseFloat":
		return errors.New("must be a number such as 0.5")
	}
	return errors.New("must be a whole number such as 16")
}

// Environ returns the process environment as a map.
func Environ() map[string]string { return env.ToMap(os.Environ()) }
