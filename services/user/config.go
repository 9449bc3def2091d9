package user

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/sendtip/sendtip/kit/config"
	"github.com/sendtip/sendtip/services/user/internal/app"
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
	if err := config.Check(config.URL("SENDTIP_SMILEID_URL", c.SmileURL)); err != nil {
		return err
	}
	for name, pem := range map[string]config.Secret{"SENDTIP_SIGNING_KEY": c.SigningKey, "SENDTIP_SIGNING_KEY_PREVIOUS": c.SigningKeyPrevious} {
		if !pem.Set() {
			continue
		}
		if _, err := app.NewKeys(pem.Reveal()); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if c.Common.Production() {
		return c.validateProduction()
	}
	return nil
}

// validateProduction keeps identity details off plain connections, and the sandbox's key, which everybody knows, away from real people.
func (c Config) validateProduction() error {
	for _, setting := range []struct{ name, value string }{{"SENDTIP_SMILEID_URL", c.SmileURL}, {"SENDTIP_PUBLIC_URL", c.Common.PublicURL}} {
		if u, err := url.Parse(setting.value); err != nil || u.Scheme != "https" || u.Host == "" {
			return fmt.Errorf("%s must be https in production: identity details go over it", setting.name)
		}
	}
	if config.FromSandbox(c.SmileAPIKey) {
		return errors.New("SENDTIP_SMILEID_API_KEY is the sandbox's: production needs the one from Smile ID")
	}
	return nil
}

// smileHost accepts the address with and without its version.
func (c Config) smileHost() string {
	return strings.TrimSuffix(strings.TrimRight(c.SmileURL, "/"), "/v1")
}
