package notification

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sendtip/sendtip/kit/config"

	"github.com/sendtip/sendtip/services/notification/internal/app"
)

// maxBrand keeps texts within one SMS; it is also the longest alphanumeric sender id.
const maxBrand = 11

// sandboxUsername is Africa's Talking's for its sandbox, which delivers to nobody.
const sandboxUsername = "sandbox"

// Config is the service's settings.
type Config struct {
	Common config.Common

	// Brand is the name at the start of each message and under each e-mail.
	Brand string `env:"SENDTIP_BRAND" envDefault:"SENDTIP"`

	SMSURL      string        `env:"SENDTIP_AT_URL"`
	SMSUsername string        `env:"SENDTIP_AT_USERNAME" envDefault:"sandbox"`
	SMSAPIKey   config.Secret `env:"SENDTIP_AT_API_KEY"`
	SMSSender   string        `env:"SENDTIP_AT_SENDER"` // registered sender id; empty is the shared one

	SMTPAddr     string        `env:"SENDTIP_SMTP_ADDR"`
	SMTPUsername string        `env:"SENDTIP_SMTP_USERNAME"` // empty sends without authentication
	SMTPPassword config.Secret `env:"SENDTIP_SMTP_PASSWORD"`
	MailFrom     string        `env:"SENDTIP_MAIL_FROM"`
}

// LoadConfig reads the settings.
func LoadConfig(environ map[string]string) (Config, error) { return config.Load[Config](environ) }

// Validate names the first setting that is missing or cannot be right.
func (c Config) Validate() error {
	if err := c.Common.Validate(); err != nil {
		return err
	}
	for _, setting := range []struct{ name, value string }{
		{"SENDTIP_GATEWAY_URL", c.Common.GatewayURL}, {"SENDTIP_AT_URL", c.SMSURL}, {"SENDTIP_AT_API_KEY", c.SMSAPIKey.Reveal()},
		{"SENDTIP_SMTP_ADDR", c.SMTPAddr}, {"SENDTIP_MAIL_FROM", c.MailFrom},
	} {
		if setting.value == "" {
			return fmt.Errorf("%s is not set: the service's README lists the settings", setting.name)
		}
	}
	if !c.Common.ServiceKey.Set() {
		return errors.New("SENDTIP_SERVICE_KEY is not set: `sendtip keys init` makes it")
	}
	if err := config.Check(config.URL("SENDTIP_AT_URL", c.SMSURL), config.HostPort("SENDTIP_SMTP_ADDR", c.SMTPAddr)); err != nil {
		return err
	}
	if c.Common.Production() && !strings.HasPrefix(c.SMSURL, "https://") {
		return errors.New("SENDTIP_AT_URL must be https in production: codes go over it")
	}
	if c.Common.Production() && (c.SMSUsername == sandboxUsername || config.FromSandbox(c.SMSAPIKey)) {
		return errors.New("SENDTIP_AT_USERNAME or SENDTIP_AT_API_KEY is the sandbox's: production needs an account of its own")
	}
	if c.Brand == "" || utf8.RuneCountInString(c.Brand) > maxBrand {
		return fmt.Errorf("SENDTIP_BRAND must have 1 to %d characters", maxBrand)
	}
	return nil
}

func (c Config) mail() app.MailConfig {
	return app.MailConfig{Addr: c.SMTPAddr, From: c.MailFrom, Username: c.SMTPUsername, Password: c.SMTPPassword.Reveal(), RequireTLS: c.Common.Production()}
}
