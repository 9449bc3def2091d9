package sandbox

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
	"time"

	"github.com/caarlos0/env/v11"

	"github.com/sendtip/sendtip/sandbox/control"
	"github.com/sendtip/sendtip/sandbox/internal/daraja"
)

// Credentials that the sandbox takes unless it is told others. They open nothing but this sandbox; the M-Pesa short
// code and passkey are the public ones of Safaricom's portal.
const (
	DefaultShortCode = "174379"
	// DefaultPasskey is printed on Safaricom's portal for everybody.
	DefaultPasskey        = "bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919" //nolint:gosec // public
	DefaultConsumerKey    = "sendtip-sandbox-consumer"
	DefaultConsumerSecret = "sendtip-sandbox-consumer-secret"
	// DefaultB2CShortCode is one of the portal's, for payouts.
	DefaultB2CShortCode      = "600997"
	DefaultInitiator         = "testapi"
	DefaultInitiatorPassword = "Safaricom999!*!"
	DefaultPullNumber        = "254708374149" // the portal's test number, nominated for Pull Transactions
	DefaultSmilePartnerID    = "085"
	DefaultSmileAPIKey       = "sendtip-sandbox-smile-key"
	DefaultSMSUsername       = "sandbox"
	DefaultSMSAPIKey         = "sendtip-sandbox-sms-key"
	DefaultSMSSender         = "SENDTIP"
	DefaultPaystackKey       = "sk_test_sendtip_sandbox_paystack_key"
)

// DefaultCertificate (PEM) is the one that initiators' passwords are encrypted for. It is the same in every sandbox.
var DefaultCertificate = daraja.Certificate

// defaultFloatMinor is what each account of the B2C short code, and Paystack, holds at the start: KES 50,000,000.
const defaultFloatMinor = 50_000_000_00

// ErrProduction is the refusal to run beside real money.
var ErrProduction = errors.New("the sandbox does not run when SENDTIP_ENV=production")

// Config is the sandbox's settings. The zero value is complete.
type Config struct {
	Environment string `env:"SENDTIP_ENV"`
	Addr        string `env:"SENDTIP_SANDBOX_ADDR" envDefault:"127.0.0.1:8190"`
	SMTPAddr    string `env:"SENDTIP_SANDBOX_SMTP_ADDR" envDefault:"127.0.0.1:8125"`
	PublicURL   string `env:"SENDTIP_SANDBOX_URL"` // only shown to people; default: from the address

	// Dir keeps what short codes have registered (callback addresses, Pull Transactions) over a restart; none if empty.
	Dir string `env:"SENDTIP_SANDBOX_DIR"`

	ShortCode      string `env:"SENDTIP_SANDBOX_MPESA_SHORT_CODE"`
	Passkey        string `env:"SENDTIP_SANDBOX_MPESA_PASSKEY"`
	ConsumerKey    string `env:"SENDTIP_SANDBOX_MPESA_CONSUMER_KEY"`
	ConsumerSecret string `env:"SENDTIP_SANDBOX_MPESA_CONSUMER_SECRET"`

	B2CShortCode      string `env:"SENDTIP_SANDBOX_MPESA_B2C_SHORT_CODE"`
	Initiator         string `env:"SENDTIP_SANDBOX_MPESA_INITIATOR"`
	InitiatorPassword string `env:"SENDTIP_SANDBOX_MPESA_INITIATOR_PASSWORD"`
	FloatMinor        int64  // of each account of B2CShortCode at the start; 0 takes the default, a negative value means none

	PaystackKey          string `env:"SENDTIP_SANDBOX_PAYSTACK_KEY"`         // sk_test_…
	PaystackWebhookURL   string `env:"SENDTIP_SANDBOX_PAYSTACK_WEBHOOK_URL"` // where webhooks go; none if empty
	PaystackBalanceMinor int64  // in KES at the start; 0 takes the default, a negative value means none

	SmilePartnerID string `env:"SENDTIP_SANDBOX_SMILE_PARTNER_ID"`
	SmileAPIKey    string `env:"SENDTIP_SANDBOX_SMILE_API_KEY"`
	SMSUsername    string `env:"SENDTIP_SANDBOX_SMS_USERNAME"`
	SMSAPIKey      string `env:"SENDTIP_SANDBOX_SMS_API_KEY"`
	SMSSender      string `env:"SENDTIP_SANDBOX_SMS_SENDER"`     // of messages that name none
	SMSReportURL   string `env:"SENDTIP_SANDBOX_SMS_REPORT_URL"` // where delivery reports go; none if empty

	// Timings. 0 takes the default; a negative value means none.
	STKAnswerDelay  time.Duration `env:"SENDTIP_SANDBOX_STK_ANSWER_DELAY"`   // of scripted answers; default 1 s
	PromptTimeout   time.Duration `env:"SENDTIP_SANDBOX_PROMPT_TIMEOUT"`     // default 60 s
	ResultDelay     time.Duration `env:"SENDTIP_SANDBOX_MPESA_RESULT_DELAY"` // until an initiator's order is carried out; default 1 s
	KYCDelay        time.Duration `env:"SENDTIP_SANDBOX_KYC_DELAY"`          // default 1 s
	SMSReportDelay  time.Duration `env:"SENDTIP_SANDBOX_SMS_REPORT_DELAY"`   // default 500 ms
	CallbackTimeout time.Duration `env:"SENDTIP_SANDBOX_CALLBACK_TIMEOUT"`   // default 10 s
	TokenLife       time.Duration `env:"SENDTIP_SANDBOX_MPESA_TOKEN_LIFE"`   // default 3599 s

	TimeScale int64  `env:"SENDTIP_TIME_SCALE"` // how much faster than in reality the built-in delays pass; 0 is 1
	Seed      uint64 // of the ways in which M-Pesa's results are written

	Script control.Script   // the first global script
	Log    *slog.Logger     // nil: nothing is logged
	Now    func() time.Time // nil: the real time
}

// ConfigFromEnv reads the settings from the environment.
func ConfigFromEnv() (Config, error) { return configFrom(env.ToMap(os.Environ())) }

func configFrom(environ map[string]string) (Config, error) {
	cfg, err := env.ParseAsWithOptions[Config](env.Options{Environment: environ})
	var parse env.ParseError
	if errors.As(err, &parse) { // the library names the field, which no operator knows
		if field, ok := reflect.TypeFor[Config]().FieldByName(parse.Name); ok {
			want := "a duration such as 500ms or 1m"
			if field.Type.Kind() == reflect.Int64 && field.Type != reflect.TypeFor[time.Duration]() {
				want = "a whole number"
			}
			return Config{}, errors.New(field.Tag.Get("env") + " must be " + want)
		}
	}
	if err != nil {
		return Config{}, fmt.Errorf("sandbox settings: %w", err)
	}
	return cfg, nil
}

// production looks at the environment itself too: a caller that forgot to pass it on must not defeat the refusal.
func (c Config) production() bool {
	return c.Environment == "production" || os.Getenv("SENDTIP_ENV") == "production"
}

func (c Config) scaled(d time.Duration) time.Duration {
	return d / time.Duration(max(1, c.TimeScale))
}

func (c Config) withDefaults() Config {
	for value, otherwise := range map[*string]string{
		&c.ShortCode: DefaultShortCode, &c.Passkey: DefaultPasskey, &c.ConsumerKey: DefaultConsumerKey,
		&c.ConsumerSecret: DefaultConsumerSecret, &c.SmilePartnerID: DefaultSmilePartnerID, &c.SmileAPIKey: DefaultSmileAPIKey,
		&c.B2CShortCode: DefaultB2CShortCode, &c.Initiator: DefaultInitiator, &c.InitiatorPassword: DefaultInitiatorPassword,
		&c.PaystackKey: DefaultPaystackKey, &c.SMSUsername: DefaultSMSUsername, &c.SMSAPIKey: DefaultSMSAPIKey, &c.SMSSender: DefaultSMSSender,
	} {
		if *value == "" {
			*value = otherwise
		}
	}
	for value, otherwise := range map[*time.Duration]time.Duration{
		&c.STKAnswerDelay: time.Second, &c.PromptTimeout: time.Minute, &c.KYCDelay: time.Second,
		&c.ResultDelay: time.Second, &c.SMSReportDelay: 500 * time.Millisecond,
	} {
		if *value == 0 {
			*value = c.scaled(otherwise)
		}
	}
	for value, otherwise := range map[*time.Duration]time.Duration{ // not delays: they keep their length
		&c.CallbackTimeout: 10 * time.Second, &c.TokenLife: 3599 * time.Second,
	} {
		if *value == 0 {
			*value = otherwise
		}
	}
	for _, minor := range []*int64{&c.FloatMinor, &c.PaystackBalanceMinor} {
		if *minor == 0 {
			*minor = defaultFloatMinor
		}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if c.Now == nil {
		c.Now = time.Now //nolint:forbidigo // alone it has no platform whose clock it could share
	}
	return c
}
