package config_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sendtip/sendtip/kit/config"
)

type settings struct {
	Common config.Common
	Code   string `env:"SENDTIP_CODE" envDefault:"600000"`
}

func environ(t *testing.T) map[string]string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kek")
	if err := os.WriteFile(path, []byte("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"SENDTIP_LISTEN": "127.0.0.1:0", "SENDTIP_DATABASE_URL": "postgres://x", "SENDTIP_IDENTITY_KEY": strings.Repeat("k", 32),
		"SENDTIP_KEK": "file:" + path, "SENDTIP_KAFKA_BROKERS": "a:1,b:2",
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	cfg, err := config.Load[settings](environ(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Common.KEK.Bytes()) != 32 || len(cfg.Common.Kafka.Brokers) != 2 || cfg.Code != "600000" || cfg.Common.PoolSize != 16 {
		t.Fatalf("unexpected settings: %+v", cfg)
	}
}

func TestLoadNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	e := environ(t)
	delete(e, "SENDTIP_DATABASE_URL")
	if _, err := config.Load[settings](e); err == nil || !strings.Contains(err.Error(), "SENDTIP_DATABASE_URL") {
		t.Fatalf("want the missing name, got %v", err)
	}
}

func TestSecretIsNeverShown(t *testing.T) {
	t.Parallel()
	s := config.NewSecret("hunter2")
	for _, shown := range []string{fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s", s, s, s, s), s.LogValue().String()} {
		if strings.Contains(shown, "hunter2") {
			t.Fatalf("the secret shows in %q", shown)
		}
	}
}

// A misspelt production would start with the sandbox's credentials and without https.
func TestProductionIsSpeltOneWay(t *testing.T) {
	t.Parallel()
	e := environ(t)
	maps.Copy(e, map[string]string{"SENDTIP_KAFKA_USER": "wallet", "SENDTIP_KAFKA_PASSWORD": "p", "SENDTIP_KAFKA_TLS": "true"})
	for env, good := range map[string]bool{"production": true, "staging": true, "Production": false, "production ": false, "prod": false,
		"live": false} {
		e["SENDTIP_ENV"] = env
		if _, err := config.Load[settings](e); (err == nil) != good {
			t.Errorf("SENDTIP_ENV=%q: %v", env, err)
		}
	}
}

// TestKafkaCredentials: a user and a password come together, and production needs them and TLS.
func TestKafkaCredentials(t *testing.T) {
	t.Parallel()
	all := environ(t)
	maps.Copy(all, map[string]string{"SENDTIP_ENV": "production", "SENDTIP_KAFKA_USER": "wallet", "SENDTIP_KAFKA_PASSWORD": "p",
		"SENDTIP_KAFKA_TLS": "true"})
	for _, env := range []string{"development", "production"} {
		for name, refused := range map[string]bool{
			"":                       false,
			"SENDTIP_KAFKA_USER":     true,
			"SENDTIP_KAFKA_PASSWORD": true,
			"SENDTIP_KAFKA_TLS":      env == "production",
			"SENDTIP_KAFKA_BROKERS":  true,
		} {
			e := maps.Clone(all)
			e["SENDTIP_ENV"] = env
			delete(e, name)
			if _, err := config.Load[settings](e); (err != nil) != refused || err != nil && !strings.Contains(err.Error(), name) {
				t.Errorf("%s without %q: %v", env, name, err)
			}
		}
	}
	nobody := maps.Clone(all)
	delete(nobody, "SENDTIP_KAFKA_USER")
	delete(nobody, "SENDTIP_KAFKA_PASSWORD")
	if _, err := config.Load[settings](nobody); err == nil {
		t.Error("production takes a broker where nobody says who he is")
	}
	nobody["SENDTIP_ENV"] = "development"
	if _, err := config.Load[settings](nobody); err != nil {
		t.Error(err)
	}
}

// TestUnreadable: what cannot be read is refused with what it must be, never with what it is.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	type numbers struct {
		Size  int32         `env:"SENDTIP_SIZE"`
		Share float64       `env:"SENDTIP_SHARE"`
		On    bool          `env:"SENDTIP_ON"`
		Wait  time.Duration `env:"SENDTIP_WAIT"`
		Key   config.Secret `env:"SENDTIP_KEY"`
	}
	for _, c := range []struct{ name, text, want string }{
		{"SENDTIP_SIZE", "many", "SENDTIP_SIZE must be a whole number such as 16"},
		{"SENDTIP_SIZE", "1.5", "SENDTIP_SIZE must be a whole number such as 16"},
		{"SENDTIP_SIZE", "99999999999", "SENDTIP_SIZE must be a number that is not so large"},
		{"SENDTIP_SHARE", "half", "SENDTIP_SHARE must be a number such as 0.5"},
		{"SENDTIP_ON", "perhaps", "SENDTIP_ON must be true or false"},
		{"SENDTIP_WAIT", "90", "SENDTIP_WAIT must be a duration such as 90s"},
		{"SENDTIP_KEY", "file:/no/file", "SENDTIP_KEY cannot be read: read secret file: open /no/file: no such file or directory"},
	} {
		if _, err := config.Load[numbers](map[string]string{c.name: c.text}); err == nil || err.Error() != c.want {
			t.Errorf("%s=%s: %v", c.name, c.text, err)
		}
	}
}

// TestRuleThatThereIsNot: a misspelt rule would judge nothing, so the program does not even read the settings.
func TestRuleThatThereIsNot(t *testing.T) {
	t.Parallel()
	type slip struct {
		Size int `env:"SENDTIP_SIZE" is:"mim=1"`
	}
	defer func() {
		if p := recover(); p == nil || !strings.Contains(fmt.Sprint(p), "SENDTIP_SIZE has a rule that there is not: mim") {
			t.Errorf("it says %v", p)
		}
	}()
	config.Settings[slip]()
}

// TestFileStores: an address of files is a folder or a bucket, and production takes neither a folder that depends on where the process was
// started nor a server that is reached in clear.
func TestFileStores(t *testing.T) {
	t.Parallel()
	type files struct {
		Common config.Common
		URL    string `env:"SENDTIP_BLOB_URL" envDefault:"file:.sendtip/files" is:"required files"`
	}
	live := environ(t)
	maps.Copy(live, map[string]string{"SENDTIP_ENV": "production", "SENDTIP_KAFKA_USER": "wallet", "SENDTIP_KAFKA_PASSWORD": "p",
		"SENDTIP_KAFKA_TLS": "true"})
	for address, good := range map[string]struct{ development, production bool }{
		"":                            {true, false},
		"file:.sendtip/files":         {true, false},
		"file:files":                  {true, false},
		"file:///var/lib/sendtip":     {true, true},
		"s3://files?region=eu-west-1": {true, true},
		"s3://files?region=x&endpoint=http://127.0.0.1:9000": {true, false},
		"s3://files?region=x&endpoint=https://s3.example.ke": {true, true},
		"file:///":                          {},
		"file:":                             {},
		"file:..":                           {},
		"file://host/folder":                {},
		"file:///folder?metadata=skip":      {},
		"/var/lib/sendtip":                  {},
		"s3://files":                        {},
		"s3://?region=x":                    {},
		"s3://files/folder?region=x":        {},
		"s3://files?region=x&profile=admin": {},
		"s3://files?region=x&endpoint=s3":   {},
		"s3://user:secret@files?region=x":   {},
		"gs://files":                        {},
		"mem://":                            {},
	} {
		for env, want := range map[string]bool{"development": good.development, "production": good.production} {
			e := maps.Clone(live)
			e["SENDTIP_ENV"] = env
			if address != "" {
				e["SENDTIP_BLOB_URL"] = address
			}
			_, err := config.Load[files](e)
			if (err == nil) != want ||
				err != nil && (!strings.Contains(err.Error(), "SENDTIP_BLOB_URL") || strings.Contains(err.Error(), "secret@")) {
				t.Errorf("%s in %s: %v", address, env, err)
			}
		}
	}
	if got, err := config.ParseFileStore("s3://files?region=x&endpoint=https://s3.example.ke"); err != nil ||
		got != (config.FileStore{Bucket: "files", Region: "x", Endpoint: "https://s3.example.ke"}) {
		t.Errorf("%+v %v", got, err)
	}
	for address, folder := range map[string]string{"file:.sendtip/files": ".sendtip/files", "file:///var/lib/../files/": "/var/files"} {
		if got, err := config.ParseFileStore(address); err != nil || got != (config.FileStore{Folder: folder}) {
			t.Errorf("%+v %v", got, err)
		}
	}
}
