package notification

import (
	"github.com/sendtip/sendtip/kit/config"

	"github.com/sendtip/sendtip/services/notification/internal/app"
)

// Config is the service's settings.
type Config struct {
	Common config.Common
	Peers  config.Peers

	// name at the start of each SMS and below each e-mail; as long as an alphanumeric sender id, so that each SMS is paid once
	Brand string `env:"SENDTIP_BRAND" envDefault:"SENDTIP" is:"required max=11 gsm"`

	// Africa's Talking
	SMSURL string `env:"SENDTIP_AT_URL" is:"required url https"`
	// the account there
	SMSUsername string `env:"SENDTIP_AT_USERNAME" envDefault:"sandbox" is:"own=sandbox"`
	// its key
	SMSAPIKey config.Secret `env:"SENDTIP_AT_API_KEY" is:"required own"`
	// registered sender id; the shared one when it is not set
	SMSSender string `env:"SENDTIP_AT_SENDER"`

	// mail server
	SMTPAddr string `env:"SENDTIP_SMTP_ADDR" is:"required hostport"`
	// no authentication when it is not set
	SMTPUsername string `env:"SENDTIP_SMTP_USERNAME"`
	// of that user
	SMTPPassword config.Secret `env:"SENDTIP_SMTP_PASSWORD"`
	// sender of e-mails
	MailFrom string `env:"SENDTIP_MAIL_FROM" is:"required email"`
}

// LoadConfig reads and checks the settings.
func LoadConfig(environ map[string]string) (Config, error) { return config.Load[Config](environ) }

func (c Config) mail() app.MailConfig {
	return app.MailConfig{Addr: c.SMTPAddr, From: c.MailFrom, Username: c.SMTPUsername, Password: c.SMTPPassword.Reveal(),
		RequireTLS: c.Common.Production()}
}
