package user

import (
	"errors"
	"strings"

	"github.com/sendtip/sendtip/kit/config"
)

// Config is everything that this service reads from its environment.
type Config struct {
	Common config.Common

	// SigningKey signs access and step-up tokens: an ES256 private key in PEM (SEC 1 or PKCS #8), as a value or file:/path.
	SigningKey config.Secret `env:"SENDTIP_SIGNING_KEY"`
	// SigningKeyPrevious is shown in the key set while keys are rotated, and signs nothing.
	SigningKeyPrevious config.Secret `env:"SENDTIP_SIGNING_KEY_PREVIOUS"`

	SmileURL       string        `env:"SENDTIP_SMILEID_URL"`
	SmilePartnerID string        `env:"SENDTIP_SMILEID_PARTNER_ID"`
	SmileAPIKey    config.Secret `env:"SENDTIP_SMILEID_API_KEY"`
}

// LoadConfig reads and checks the settings.
func LoadConfig(environ map[string]string) (Config, error) { return config.Load[Config](environ) }

// Validate names the first setting that is missing.
func (c Config) Validate() error {
	if err := c.Common.Validate(); err != nil {
		return err
	}
	switch {
	case !c.SigningKey.Set():
		return errors.New("SENDTIP_SIGNING_KEY is not set: `sendtip keys init` makes the key")
	case c.SmileURL == "" || c.SmilePartnerID == "" || !c.SmileAPIKey.Set():
		return errors.New("SENDTIP_SMILEID_URL, _PARTNER_ID or _API_KEY is not set: the sandbox's are in docs, real ones come from Smile ID")
	case c.Common.PublicURL == "":
		return errors.New("SENDTIP_PUBLIC_URL is not set: Smile ID calls back there")
	}
	return nil
}

// smileHost accepts the address with and without its version.
func (c Config) smileHost() string {
	return strings.TrimSuffix(strings.TrimRight(c.SmileURL, "/"), "/v1")
}
