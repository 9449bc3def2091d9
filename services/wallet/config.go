package wallet

import (
	"regexp"

	"github.com/sendtip/sendtip/kit/config"
	"github.com/sendtip/sendtip/providers/daraja"
)

// Config is the service's settings.
type Config struct {
	Common config.Common
	Peers  config.Peers

	// whose prices a caller without a country gets (partners)
	Country   string         `env:"SENDTIP_COUNTRY" envDefault:"KE" is:"country"`
	PublicURL config.Address `env:"SENDTIP_PUBLIC_URL" is:"required url https"`                    // where Safaricom reaches the gateway
	DarajaURL string         `env:"SENDTIP_DARAJA_URL" is:"required url https"`                    // Safaricom Daraja
	Consumer  config.Secret  `env:"SENDTIP_DARAJA_CONSUMER_KEY" is:"required own"`                 // of the Daraja app
	Password  config.Secret  `env:"SENDTIP_DARAJA_CONSUMER_SECRET" is:"required own"`              // of the Daraja app
	ShortCode string         `env:"SENDTIP_DARAJA_SHORT_CODE" is:"required digits=5-8 own=174379"` // paybill
	Passkey   config.Secret  `env:"SENDTIP_DARAJA_PASSKEY" is:"required"`                          // of the paybill's Lipa na M-Pesa
	// register the C2B addresses at each start; production takes one registration per short code, so a repeat there does nothing
	RegisterC2b bool `env:"SENDTIP_DARAJA_REGISTER_C2B" envDefault:"true"`
	// the short code has Pull Transactions: Safaricom's books confirm what strangers' messages say; `false` makes each a case for finance
	Pull bool `env:"SENDTIP_DARAJA_PULL" envDefault:"true"`
	// the Safaricom number nominated for Pull Transactions; with it the short code is registered at the start
	PullNumber string `env:"SENDTIP_DARAJA_PULL_NUMBER" is:"phone"`
	// the paybill's API user with the reversal, status and balance roles; without it nothing can be given back to a payer
	Initiator string `env:"SENDTIP_DARAJA_INITIATOR"`
	// their password at M-Pesa; it ends every 90 days
	InitiatorPassword config.Secret `env:"SENDTIP_DARAJA_INITIATOR_PASSWORD" is:"own=Safaricom999!*!"`
	// Safaricom's certificate of the environment, in PEM: the password travels encrypted for it
	Certificate string `env:"SENDTIP_DARAJA_CERTIFICATE"`
	// how often the short code's balances are asked for, in seconds; 0 is never
	BalanceEvery int32 `env:"SENDTIP_BALANCE_EVERY_S" envDefault:"3600" is:"min=0"`
	// up to which amount one person with the right to approve decides alone about money in suspense, in minor units
	SuspenseAloneMinor int32 `env:"SENDTIP_SUSPENSE_ALONE_MINOR" envDefault:"500000" is:"min=0"`
	// how much faster than in reality unanswered payments are asked about; for trials
	TimeScale int32 `env:"SENDTIP_TIME_SCALE" envDefault:"1" is:"min=1 real"`
}

// LoadConfig reads and checks the settings.
func LoadConfig(environ map[string]string) (Config, error) { return config.Load[Config](environ) }

// refused are the words that Safaricom refuses in a callback address (Daraja, C2B registration).
var refused = regexp.MustCompile(`(?i)m-?pesa|safaricom|exe|cmd|sql|query`)

// Check are the rules that no other service has.
func (c Config) Check() error {
	allowed := func(t string) bool { return !refused.MatchString(t) }
	readable := func(pem string) bool {
		_, err := daraja.ParseCertificate(pem)
		return pem == "" || err == nil
	}
	return config.Check(config.Rule{Name: "SENDTIP_DARAJA_CERTIFICATE", Text: c.Certificate, Is: readable, Want: "a certificate in PEM"},
		config.Rule{Name: "SENDTIP_PUBLIC_URL", Text: string(c.PublicURL), Is: allowed,
			Want: "without mpesa, safaricom, exe, cmd, sql, query: Safaricom refuses them"})
}
