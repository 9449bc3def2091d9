package wallet

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/sendtip/sendtip/kit/config"
	"github.com/sendtip/sendtip/providers/daraja"
)

// Config is the service's settings.
type Config struct {
	Common config.Common

	// Country is whose prices a caller without a country of its own gets (partners).
	Country string `env:"SENDTIP_COUNTRY" envDefault:"KE"`

	DarajaURL            string        `env:"SENDTIP_DARAJA_URL"`
	DarajaConsumerKey    config.Secret `env:"SENDTIP_DARAJA_CONSUMER_KEY"`
	DarajaConsumerSecret config.Secret `env:"SENDTIP_DARAJA_CONSUMER_SECRET"`
	DarajaShortCode      string        `env:"SENDTIP_DARAJA_SHORT_CODE"`
	DarajaPasskey        config.Secret `env:"SENDTIP_DARAJA_PASSKEY"`
	// DarajaRegisterC2b tells Safaricom at each start where to confirm paybill payments. Production takes one registration per short code,
	// so a repeat there does nothing.
	DarajaRegisterC2b bool `env:"SENDTIP_DARAJA_REGISTER_C2B" envDefault:"true"`
	// DarajaPull says that the short code has Pull Transactions: Safaricom's books then confirm what strangers say.
	DarajaPull bool `env:"SENDTIP_DARAJA_PULL" envDefault:"true"`
	// DarajaPullNumber is the Safaricom number nominated for it; with it the short code is registered for Pull at the start.
	DarajaPullNumber string `env:"SENDTIP_DARAJA_PULL_NUMBER"`
}

// LoadConfig reads the settings.
func LoadConfig(environ map[string]string) (Config, error) {
	cfg, err := config.Load[Config](environ)
	cfg.Common.PublicURL = strings.TrimRight(cfg.Common.PublicURL, "/")
	return cfg, err
}

// testShortCode is Safaricom's public test short code (Daraja portal).
const testShortCode = "174379"

// forbiddenWords are what Safaricom refuses in a callback address (Daraja, C2B registration).
var forbiddenWords = []string{"mpesa", "m-pesa", "safaricom", "exe", "cmd", "sql", "query"}

// Validate names the first setting that is missing or cannot be right.
func (c Config) Validate() error {
	if err := c.Common.Validate(); err != nil {
		return err
	}
	for _, setting := range []struct{ name, value string }{
		{"SENDTIP_GATEWAY_URL", c.Common.GatewayURL}, {"SENDTIP_PUBLIC_URL", c.Common.PublicURL}, {"SENDTIP_DARAJA_URL", c.DarajaURL},
		{"SENDTIP_DARAJA_CONSUMER_KEY", c.DarajaConsumerKey.Reveal()}, {"SENDTIP_DARAJA_CONSUMER_SECRET", c.DarajaConsumerSecret.Reveal()},
		{"SENDTIP_DARAJA_SHORT_CODE", c.DarajaShortCode}, {"SENDTIP_DARAJA_PASSKEY", c.DarajaPasskey.Reveal()},
	} {
		if setting.value == "" {
			return fmt.Errorf("%s is not set: the service's README lists the settings", setting.name)
		}
	}
	if !c.Common.ServiceKey.Set() {
		return errors.New("SENDTIP_SERVICE_KEY is not set: `sendtip keys init` makes it")
	}
	if err := config.Check(config.URL("SENDTIP_DARAJA_URL", c.DarajaURL),
		config.Rule{Name: "SENDTIP_COUNTRY", Text: c.Country, Is: regexp.MustCompile(`^[A-Z]{2}$`).MatchString, Want: "two capital letters, such as KE"},
		config.Rule{Name: "SENDTIP_DARAJA_SHORT_CODE", Text: c.DarajaShortCode, Is: regexp.MustCompile(`^[0-9]{5,8}$`).MatchString, Want: "the digits of a paybill or till"},
		config.Rule{Name: "SENDTIP_DARAJA_PULL_NUMBER", Text: c.DarajaPullNumber, Is: regexp.MustCompile(`^\+?[0-9]{9,12}$`).MatchString, Want: "a phone number in digits"},
	); err != nil {
		return err
	}
	for name, value := range map[string]string{"SENDTIP_DARAJA_URL": c.DarajaURL, "SENDTIP_PUBLIC_URL": c.Common.PublicURL} {
		u, err := url.Parse(value)
		if err != nil || u.Host == "" {
			return fmt.Errorf("%s is not a URL", name)
		}
		if c.Common.Production() && u.Scheme != "https" {
			return fmt.Errorf("%s must be https in production", name)
		}
	}
	if c.Common.Production() && (c.DarajaShortCode == testShortCode || config.FromSandbox(c.DarajaConsumerKey) || config.FromSandbox(c.DarajaConsumerSecret)) {
		return errors.New("SENDTIP_DARAJA_* are the sandbox's: production needs the credentials that Safaricom issued at go-live")
	}
	public := strings.ToLower(c.Common.PublicURL)
	for _, word := range forbiddenWords {
		if strings.Contains(public, word) {
			return fmt.Errorf("SENDTIP_PUBLIC_URL contains %q, which Safaricom refuses in callback addresses", word)
		}
	}
	return nil
}

func (c Config) daraja() daraja.Config {
	return daraja.Config{BaseURL: c.DarajaURL, ConsumerKey: c.DarajaConsumerKey.Reveal(), ConsumerSecret: c.DarajaConsumerSecret.Reveal(),
		ShortCode: c.DarajaShortCode, Passkey: c.DarajaPasskey.Reveal()}
}
