package banking

import (
	"regexp"

	"github.com/sendtip/sendtip/kit/config"
	"github.com/sendtip/sendtip/providers/daraja"
	"github.com/sendtip/sendtip/providers/paystack"
)

// Config is the service's settings.
type Config struct {
	Common config.Common
	Peers  config.Peers

	PublicURL config.Address `env:"SENDTIP_PUBLIC_URL" is:"required url https"`    // where Safaricom reaches the gateway
	DarajaURL string         `env:"SENDTIP_DARAJA_URL" is:"required url https"`    // Safaricom Daraja
	Consumer  config.Secret  `env:"SENDTIP_B2C_CONSUMER_KEY" is:"required own"`    // of the Daraja app that pays out
	Secret    config.Secret  `env:"SENDTIP_B2C_CONSUMER_SECRET" is:"required own"` // of the Daraja app that pays out
	// whose Utility account pays; another than the paybill's
	ShortCode string `env:"SENDTIP_B2C_SHORT_CODE" is:"required digits=5-8 own=600997"`
	Initiator string `env:"SENDTIP_B2C_INITIATOR" is:"required own=testapi"` // the API user of the short code
	// their password at M-Pesa; it ends every 90 days
	InitiatorPassword config.Secret `env:"SENDTIP_B2C_INITIATOR_PASSWORD" is:"required own=Safaricom999!*!"`
	// Safaricom's certificate of the environment, in PEM: the password travels encrypted for it
	Certificate string `env:"SENDTIP_B2C_CERTIFICATE" is:"required"`
	// calls to Daraja per second at most
	PerSecond   int32  `env:"SENDTIP_B2C_PER_SECOND" envDefault:"10" is:"min=1"`
	PaystackURL string `env:"SENDTIP_PAYSTACK_URL" is:"required url https"` // Paystack's API
	// of the business at Paystack: sk_live_… in production
	PaystackKey config.Secret `env:"SENDTIP_PAYSTACK_SECRET_KEY" is:"required own"`
	// the one before, while Paystack still signs with it
	PaystackOld config.Secret `env:"SENDTIP_PAYSTACK_SECRET_KEY_PREVIOUS" is:"own"`
	// calls to Paystack per second at most
	PaystackPerSecond int32 `env:"SENDTIP_PAYSTACK_PER_SECOND" envDefault:"10" is:"min=1"`
	// where the addresses are that Paystack gets instead of customers' own: `<deposit id>@<domain>`; a domain of yours that takes no mail
	EmailDomain string `env:"SENDTIP_DEPOSIT_EMAIL_DOMAIN" is:"required own=deposits.sendtip.example"`
	// how much faster than in reality unanswered payments are asked about; for trials
	TimeScale int32 `env:"SENDTIP_TIME_SCALE" envDefault:"1" is:"min=1 real"`
}

// LoadConfig reads and checks the settings.
func LoadConfig(environ map[string]string) (Config, error) { return config.Load[Config](environ) }

// Check are the rules that no other service has.
func (c Config) Check() error {
	readable := func(pem string) bool {
		_, err := daraja.ParseCertificate(pem)
		return pem == "" || err == nil
	}
	want := "a secret key of Paystack: sk_test_… or, in production, sk_live_…"
	ofPaystack := func(key string) bool {
		mode := paystack.Domain(key)
		return mode == paystack.Live || mode == paystack.Test && !c.Common.Production()
	}
	domain := regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$`)
	return config.Check(
		config.Rule{Name: "SENDTIP_DEPOSIT_EMAIL_DOMAIN", Text: c.EmailDomain,
			Is: func(s string) bool { return s == "" || len(s) <= 190 && domain.MatchString(s) }, Want: "a domain name in small letters"},
		config.Rule{Name: "SENDTIP_B2C_CERTIFICATE", Text: c.Certificate, Is: readable, Want: "a certificate in PEM"},
		config.Rule{Name: "SENDTIP_PAYSTACK_SECRET_KEY", Text: c.PaystackKey.Reveal(), Is: ofPaystack, Want: want},
		config.Rule{Name: "SENDTIP_PAYSTACK_SECRET_KEY_PREVIOUS", Text: c.PaystackOld.Reveal(), Is: ofPaystack, Want: want})
}
