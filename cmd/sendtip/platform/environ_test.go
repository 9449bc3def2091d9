package platform

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/sendtip/sendtip/cmd/sendtip/keys"
)

// TestServiceEnviron: what a forgotten setting becomes, and what a service must not learn.
func TestServiceEnviron(t *testing.T) {
	t.Parallel()
	set, err := keys.Init(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	const admin = "postgres://postgres:of-the-superuser@127.0.0.1:5432/postgres"
	for _, c := range []struct {
		env     string
		sandbox bool
	}{{"development", true}, {"production", false}} {
		for _, name := range Services {
			e, err := ServiceEnviron(Ports{Base: DefaultPortBase}, set, admin, []string{"127.0.0.1:9092"},
				map[string]string{"SENDTIP_ENV": c.env, "SENDTIP_POSTGRES_URL": admin}, name)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := e["SENDTIP_SMILEID_API_KEY"]; ok != c.sandbox {
				t.Errorf("%s, %s: sandbox credentials stand in for forgotten ones: %t", c.env, name, ok)
			}
			for setting, value := range e {
				if strings.Contains(value, "of-the-superuser") {
					t.Errorf("%s, %s: %s holds the superuser's password", c.env, name, setting)
				}
			}
		}
	}
}

// TestFolderOfAnyName: a folder whose name has what separates the elements of lists breaks no setting.
func TestFolderOfAnyName(t *testing.T) {
	t.Parallel()
	set, err := keys.Init(filepath.Join(t.TempDir(), "a,b =c\nd", "keys"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range Services {
		e, err := ServiceEnviron(Ports{Base: DefaultPortBase}, set, "postgres://postgres:x@127.0.0.1:5432/postgres", []string{"127.0.0.1:9092"},
			map[string]string{"SENDTIP_REDIS_URL": "redis://127.0.0.1:9"}, name)
		if err != nil {
			t.Fatal(err)
		}
		if err := ask(t, name, e); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPullNumber: against the sandbox wallet registers for Pull Transactions by itself; the sandbox's number is never nominated elsewhere.
func TestPullNumber(t *testing.T) {
	t.Parallel()
	set, err := keys.Init(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		given map[string]string
		want  string
	}{
		"sandbox":       {nil, "254708374149"},
		"another":       {map[string]string{"SENDTIP_DARAJA_PULL_NUMBER": "254722000000"}, "254722000000"},
		"Safaricom":     {map[string]string{"SENDTIP_DARAJA_URL": "https://sandbox.safaricom.co.ke"}, ""},
		"in production": {map[string]string{"SENDTIP_ENV": "production"}, ""},
	} {
		e, err := ServiceEnviron(Ports{Base: DefaultPortBase}, set, "postgres://postgres:x@127.0.0.1:5432/postgres", nil, c.given, "wallet")
		if err != nil || e["SENDTIP_DARAJA_PULL_NUMBER"] != c.want {
			t.Errorf("%s: %q, %v", name, e["SENDTIP_DARAJA_PULL_NUMBER"], err)
		}
	}
}

// TestPreviousLedgerKey: the key before a rotation signs as long as its file is there.
func TestPreviousLedgerKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	set, err := keys.Init(dir)
	if err != nil {
		t.Fatal(err)
	}
	previous := func() (present, previous string) {
		t.Helper()
		e, err := ServiceEnviron(Ports{Base: DefaultPortBase}, set, "postgres://postgres:x@127.0.0.1:5432/postgres", []string{"127.0.0.1:9092"},
			nil, "transactions")
		if err != nil {
			t.Fatal(err)
		}
		return e["SENDTIP_SIGNING_KEY"], e["SENDTIP_SIGNING_KEY_PREVIOUS"]
	}
	if present, p := previous(); present != set.File(keys.LedgerSigning) || p != "" {
		t.Errorf("before a rotation: %q %q", present, p)
	}
	if err := keys.RotateLedger(dir, []string{"public"}); err != nil {
		t.Fatal(err)
	}
	if present, p := previous(); present != set.File(keys.LedgerSigning) || p != set.File(keys.LedgerSigningPrevious) {
		t.Errorf("after it: %q %q", present, p)
	}
}
