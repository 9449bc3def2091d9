package user

import (
	"strings"

	"github.com/sendtip/sendtip/kit/config"

	"github.com/sendtip/sendtip/services/user/internal/app"
)

// Config is the service's settings.
type Config struct {
	Common config.Common

	// ES256 private key in PEM (SEC 1 or PKCS #8): access and step-up tokens
	SigningKey config.Secret `env:"SENDTIP_SIGNING_KEY" is:"required"`
	// shown in the key set, signs nothing; in a rotation put the coming key here first, then swap
	SigningKeyPrevious config.Secret `env:"SENDTIP_SIGNING_KEY_PREVIOUS"`

	// Smile ID; the address may end in /v1
	SmileURL string `env:"SENDTIP_SMILEID_URL" is:"required url https"`
	// the partner's number there
	SmilePartnerID string `env:"SENDTIP_SMILEID_PARTNER_ID" is:"required"`
	// its key
	SmileAPIKey config.Secret `env:"SENDTIP_SMILEID_API_KEY" is:"required own"`
	// where Smile ID reaches the gateway
	PublicURL config.Address `env:"SENDTIP_PUBLIC_URL" is:"required url https"`
}

// LoadConfig reads and checks the settings.
func LoadConfig(environ map[string]string) (Config, error) { return config.Load[Config](environ) }

// Check are the rules that no other service has.
func (c Config) Check() error {
	es256 := func(pem string) bool { _, err := app.NewKeys(pem); return err == nil }
	const want = "an ES256 private key in PEM"
	return config.Check(config.Rule{Name: "SENDTIP_SIGNING_KEY", Text: c.SigningKey.Reveal(), Is: es256, Want: want},
		config.Rule{Name: "SENDTIP_SIGNING_KEY_PREVIOUS", Text: c.SigningKeyPrevious.Reveal(), Is: es256, Want: want})
}

// smileHost accepts the address with and without its version.
func (c Config) smileHost() string {
	return strings.TrimSuffix(strings.TrimRight(c.SmileURL, "/"), "/v1")
}
