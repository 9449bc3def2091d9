package platform

import (
	"cmp"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sendtip/sendtip/cmd/sendtip/keys"
	"github.com/sendtip/sendtip/kit/config"
	"github.com/sendtip/sendtip/kit/service"
)

// anyText are settings of which each text may be right: names and credentials that somebody else has made up.
var anyText = []string{
	"SENDTIP_SERVICE_KEY", "SENDTIP_KAFKA_USER", "SENDTIP_KAFKA_PASSWORD", "SENDTIP_REDIS_PASSWORD",
	"SENDTIP_SMILEID_PARTNER_ID", "SENDTIP_SMILEID_API_KEY", "SENDTIP_DARAJA_CONSUMER_KEY", "SENDTIP_DARAJA_CONSUMER_SECRET",
	"SENDTIP_DARAJA_PASSKEY", "SENDTIP_DARAJA_INITIATOR", "SENDTIP_B2C_CONSUMER_KEY", "SENDTIP_B2C_CONSUMER_SECRET", "SENDTIP_B2C_INITIATOR",
	"SENDTIP_AT_USERNAME", "SENDTIP_AT_API_KEY", "SENDTIP_AT_SENDER", "SENDTIP_SMTP_USERNAME", "SENDTIP_SMTP_PASSWORD",
	"SENDTIP_CHECKPOINT_FILE", // its folder is made
}

// shown are settings whose text helps who reads the refusal: a name and a path.
var shown = []string{"SENDTIP_LEDGER_ORIGIN", "SENDTIP_KAFKA_CA"}

// noFile: secrets take file:/path, which can be wrong whatever the text may be.
const noFile = "file:/there/is/no/such/file"

// malformed are texts that are wrong for each other setting.
var malformed = map[string][]string{
	"SENDTIP_ENV":                   {"Production", "prod"},
	"SENDTIP_LOG_LEVEL":             {"loud", "inf0"},
	"SENDTIP_LISTEN":                {"abc", "127.0.0.1", ":http", ":70000"},
	"SENDTIP_OPS_LISTEN":            {"abc", ":-1"},
	"SENDTIP_DATABASE_URL":          {"abc", "postgres://host:port/x", noFile},
	"SENDTIP_POOL_SIZE":             {"abc", "0", "-1", "1.5", "99999999999"},
	"SENDTIP_CLOCK_OFFSET":          {"abc", "1"},
	"SENDTIP_KAFKA_BROKERS":         {"abc", "a:1,b", ":9092", "a:1,"},
	"SENDTIP_KAFKA_TLS":             {"maybe"},
	"SENDTIP_KAFKA_CA":              {"/there/is/no/such/file"},
	"SENDTIP_GATEWAY_URL":           {"abc", "127.0.0.1:8090", "ftp://x", "http://", "http://x:port"},
	"SENDTIP_PUBLIC_URL":            {"abc", "api.example.com", "https:///v1"},
	"SENDTIP_IDENTITY_KEY":          {"short", noFile},
	"SENDTIP_IDENTITY_KEY_PREVIOUS": {"short", noFile},
	"SENDTIP_KEK":                   {"short", strings.Repeat("x", 33), noFile},
	"SENDTIP_KEK_PREVIOUS":          {"short", noFile},

	"SENDTIP_INTERNAL_LISTEN":         {"abc"},
	"SENDTIP_REDIS_URL":               {"abc", "http://127.0.0.1:6379"},
	"SENDTIP_IDENTITY_KEYS":           {"abc", "wallet=short", "wallet=" + noFile},
	"SENDTIP_SERVICE_KEY_HASHES":      {"abc", "wallet=abc"},
	"SENDTIP_DELEGATION_KEY":          {"short", noFile},
	"SENDTIP_DELEGATION_KEY_PREVIOUS": {"short", noFile},
	"SENDTIP_TRUSTED_PROXIES":         {"abc", "10.0.0.1", "0.0.0.0/0"},
	"SENDTIP_WEBHOOK_SOURCES":         {"abc", "st=abc", "xx=10.0.0.0/8", "st=0.0.0.0/0"},
	"SENDTIP_ALLOWED_ORIGINS":         {"abc", "*", "https://x/path"},
	"SENDTIP_RATE_POLICIES":           {"abc", "address=1/x/1", "address=1/1", "address=1/1/1/1", "no_policy=1/1/1"},
	"SENDTIP_SAMPLE_ANSWERS":          {"abc", "-0.5", "1.5", "NaN"},
	"SENDTIP_UPSTREAM_WALLET":         {"abc", "http://127.0.0.1:8102/path"},

	"SENDTIP_SIGNING_KEY":          {"abc", noFile},
	"SENDTIP_SIGNING_KEY_PREVIOUS": {"abc", noFile},
	"SENDTIP_SMILEID_URL":          {"abc"},

	"SENDTIP_COUNTRY":             {"kenya", "ke"},
	"SENDTIP_DARAJA_URL":          {"abc"},
	"SENDTIP_DARAJA_SHORT_CODE":   {"abc", "1"},
	"SENDTIP_DARAJA_REGISTER_C2B": {"maybe"},
	"SENDTIP_DARAJA_PULL":         {"maybe"},
	"SENDTIP_DARAJA_PULL_NUMBER":  {"abc", "12"},

	"SENDTIP_DARAJA_INITIATOR_PASSWORD": {noFile},
	"SENDTIP_DARAJA_CERTIFICATE":        {"abc", "-----BEGIN CERTIFICATE-----"},
	"SENDTIP_BALANCE_EVERY_S":           {"abc", "-1", "1.5"},
	"SENDTIP_SUSPENSE_ALONE_MINOR":      {"abc", "-1", "1.5"},

	"SENDTIP_B2C_SHORT_CODE":               {"abc", "1"},
	"SENDTIP_B2C_INITIATOR_PASSWORD":       {noFile},
	"SENDTIP_B2C_CERTIFICATE":              {"abc", "-----BEGIN CERTIFICATE-----"},
	"SENDTIP_DEPOSIT_EMAIL_DOMAIN":         {"a b", "@x"},
	"SENDTIP_PAYSTACK_URL":                 {"abc"},
	"SENDTIP_PAYSTACK_SECRET_KEY":          {"abc", "pk_test_1", noFile},
	"SENDTIP_PAYSTACK_SECRET_KEY_PREVIOUS": {"abc", noFile},
	"SENDTIP_PAYSTACK_PER_SECOND":          {"abc", "0"},
	"SENDTIP_B2C_PER_SECOND":               {"abc", "0", "1.5"},
	"SENDTIP_TIME_SCALE":                   {"abc", "0", "-1"},

	"SENDTIP_BRAND":     {"a name that is too long", "PESA{}", "Pesa €", "Ŵallet"},
	"SENDTIP_AT_URL":    {"abc"},
	"SENDTIP_SMTP_ADDR": {"abc", "host:port"},
	"SENDTIP_MAIL_FROM": {"abc"},

	"SENDTIP_LEDGER_ORIGIN": {"a name with blanks", "a+b"},
}

// settings are those of each service, as its own type names them.
func settings() map[string][]config.Setting {
	out := map[string][]config.Setting{}
	for name, d := range deployables {
		out[name] = d.settings()
	}
	out["gateway"] = append(out["gateway"], config.Setting{Name: "SENDTIP_UPSTREAM_WALLET", Rules: []string{"required"}})
	return out
}

// live are the settings that make a right environment one of production.
var live = map[string]string{
	"SENDTIP_ENV": "production", "SENDTIP_KAFKA_USER": "u", "SENDTIP_KAFKA_PASSWORD": "p", "SENDTIP_KAFKA_TLS": "true",
	"SENDTIP_REDIS_URL": "rediss://redis.example.com:6379", "SENDTIP_REDIS_PASSWORD": "p", "SENDTIP_PUBLIC_URL": "https://pay.example.com",
	"SENDTIP_DARAJA_URL": "https://api.safaricom.co.ke", "SENDTIP_DARAJA_SHORT_CODE": "600123", "SENDTIP_DARAJA_CONSUMER_KEY": "k",
	"SENDTIP_DARAJA_CONSUMER_SECRET":    "s",
	"SENDTIP_DARAJA_INITIATOR_PASSWORD": "p",
	"SENDTIP_B2C_SHORT_CODE":            "600124", "SENDTIP_B2C_CONSUMER_KEY": "k", "SENDTIP_B2C_CONSUMER_SECRET": "s",
	"SENDTIP_B2C_INITIATOR":          "payer",
	"SENDTIP_B2C_INITIATOR_PASSWORD": "p",
	"SENDTIP_PAYSTACK_URL":           "https://api.paystack.co", "SENDTIP_PAYSTACK_SECRET_KEY": "sk_live_1",
	"SENDTIP_DEPOSIT_EMAIL_DOMAIN": "deposits.example.com",
	"SENDTIP_SMILEID_URL":          "https://api.smileidentity.com", "SENDTIP_SMILEID_API_KEY": "k",
	"SENDTIP_AT_URL": "https://api.africastalking.com", "SENDTIP_AT_USERNAME": "acme", "SENDTIP_AT_API_KEY": "k",
}

// TestSettings asks every rule that every service's settings have: what is missing, what belongs to development only, what is right. The
// words are the same everywhere.
func TestSettings(t *testing.T) {
	t.Parallel()
	set, err := keys.Init(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	asked := map[string]int{}
	for service, all := range settings() {
		right, err := ServiceEnviron(Ports{Base: DefaultPortBase}, set, "postgres://postgres:x@127.0.0.1:5432/postgres", []string{"127.0.0.1:9"},
			map[string]string{"SENDTIP_REDIS_URL": "redis://127.0.0.1:9"}, service)
		if err != nil {
			t.Fatal(err)
		}
		product := maps.Clone(right)
		maps.Copy(product, live)
		refused := func(rule string, environ map[string]string, name, value, words string) {
			t.Helper()
			asked[rule]++
			e := maps.Clone(environ)
			if e[name] = value; value == "" {
				delete(e, name)
			}
			err := ask(t, service, e)
			if words == "" && err != nil || words != "" && (err == nil || !strings.Contains(err.Error(), name+words)) {
				t.Errorf("%s, %s=%q (%s): %v", service, name, value, rule, err)
			}
		}
		refused("right", right, "SENDTIP_ENV", right["SENDTIP_ENV"], "")
		refused("right", product, "SENDTIP_ENV", "production", "")
		for _, s := range all {
			missing := ""
			for _, r := range s.Rules {
				rule, arg, _ := strings.Cut(r, "=")
				switch rule {
				case "required":
					if missing = " is not set: "; s.Default != "" {
						missing = ""
					}
				case "production":
					refused(rule, product, s.Name, "", " is not set, and production needs it")
				case "absent":
					refused(rule, product, s.Name, "1h", " must not be set in production")
				case "with":
					e := maps.Clone(right)
					e[arg] = "x"
					refused(rule, e, s.Name, "", " is not set, and "+arg+" is")
				case "https":
					refused(rule, product, s.Name, "http://api.example.com", " must begin with https:// in production")
				case "tls":
					refused(rule, product, s.Name, "redis://127.0.0.1:9", " must begin with rediss:// in production")
				case "own":
					refused(rule, product, s.Name, cmp.Or(arg, "sendtip-sandbox-x"), " is the sandbox's: production needs your own")
				}
			}
			if e := maps.Clone(right); missing != "" || len(s.Rules) == 0 {
				for _, together := range []string{"SENDTIP_KAFKA_USER", "SENDTIP_KAFKA_PASSWORD"} {
					delete(e, together)
				}
				refused("missing", e, s.Name, "", missing)
			}
		}
	}
	for rule, least := range map[string]int{"right": 10, "missing": 50, "production": 12, "absent": 5, "with": 10, "https": 6, "tls": 1,
		"own": 6} {
		if asked[rule] < least {
			t.Errorf("the rule %s was asked %d times", rule, asked[rule])
		}
	}
}

// ask loads the settings of a service and makes it.
func ask(t *testing.T, name string, environ map[string]string) error {
	t.Helper()
	s, err := deployables[name].build(t.Context(), environ, service.Host{Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		s.Close()
	}
	return err
}

// TestMalformedSettings: whatever cannot be read is refused by the name of its setting before the service runs, and never shown: it may
// be a password in the wrong place. Nothing is taken for its default.
func TestMalformedSettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	set, err := keys.Init(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	for service, all := range settings() {
		right, err := ServiceEnviron(Ports{Base: DefaultPortBase}, set, "postgres://postgres:x@127.0.0.1:5432/postgres", []string{"127.0.0.1:9"},
			map[string]string{"SENDTIP_REDIS_URL": "redis://127.0.0.1:9", "SENDTIP_KAFKA_TLS": "true", "SENDTIP_KAFKA_BROKERS": "127.0.0.1:9",
				"SENDTIP_KAFKA_SASL": "true"}, service)
		if err != nil {
			t.Fatal(err)
		}
		build := func(e map[string]string) error { return ask(t, service, e) }
		if err := build(right); err != nil {
			t.Fatalf("%s: %v", service, err)
		}
		for _, s := range all {
			name := s.Name
			wrong := malformed[name]
			if slices.Contains(anyText, name) {
				if wrong != nil {
					t.Errorf("%s is in both lists", name)
				}
				continue
			}
			if wrong == nil {
				t.Errorf("%s of %s has no malformed text here: add one, and see it refused", name, service)
			}
			e := maps.Clone(right)
			e[name] = "hunter2 hunter2"
			if err := build(e); err != nil && strings.Contains(err.Error(), "hunter2") && !slices.Contains(shown, name) {
				t.Errorf("%s: %v", service, err)
			}
			for _, text := range wrong {
				asked++
				e := maps.Clone(right)
				e[name] = text
				if err := build(e); err == nil || !strings.Contains(err.Error(), name) {
					t.Errorf("%s: %s=%q: %v", service, name, text, err)
				}
			}
		}
	}
	if asked < 150 {
		t.Errorf("only %d texts were tried", asked)
	}
}

// TestMalformedSettingsOfThePlatform: what `sendtip up` itself reads.
func TestMalformedSettingsOfThePlatform(t *testing.T) {
	t.Parallel()
	for name, texts := range map[string][]string{
		"SENDTIP_POSTGRES_URL":  {"abc", "host=x user=y", "postgres://x:port/y"},
		"SENDTIP_KAFKA_BROKERS": {"abc", "a:1,,b:2", "a:1,b"},
		"SENDTIP_KAFKA_SASL":    {"maybe"},
		"SENDTIP_KAFKA_TLS":     {"maybe"},
		"SENDTIP_REDIS_URL":     {"abc"},
		"SENDTIP_PUBLIC_URL":    {"abc"},
	} {
		for _, text := range texts {
			if _, err := Start(t.Context(), Options{Dir: filepath.Join(t.TempDir(), "none"), Environ: map[string]string{name: text}}); err == nil ||
				!strings.Contains(err.Error(), name) {
				t.Errorf("%s=%q: %v", name, text, err)
			}
		}
	}
	for says, o := range map[string]Options{
		"--target":          {Targets: []string{"walet"}},
		"--sandbox-answers": {Script: "maybe"},
		"SENDTIP_PORT_BASE": {Ports: Ports{Base: 65500}},
	} {
		o.Dir = filepath.Join(t.TempDir(), "none")
		if _, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}
