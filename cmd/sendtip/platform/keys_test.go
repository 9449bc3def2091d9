package platform

import (
	"errors"
	"log/slog"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sendtip/sendtip/cmd/sendtip/keys"
	"github.com/sendtip/sendtip/kit/keycheck"
	"github.com/sendtip/sendtip/kit/pgtest"
	"github.com/sendtip/sendtip/kit/service"
)

// TestEveryServiceGuardsItsKeys: each key of each service, replaced by another deployment's, is refused by the name of its setting, and
// accepted when the one before it is given as the previous.
func TestEveryServiceGuardsItsKeys(t *testing.T) {
	t.Parallel()
	set, err := keys.Init(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := keys.Init(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	guarded := map[string][]string{
		"gateway":      {"SENDTIP_KEK", "SENDTIP_IDENTITY_KEY", "SENDTIP_DELEGATION_KEY"},
		"user":         {"SENDTIP_KEK", "SENDTIP_IDENTITY_KEY", "SENDTIP_SIGNING_KEY"},
		"wallet":       {"SENDTIP_KEK", "SENDTIP_IDENTITY_KEY"},
		"transactions": {"SENDTIP_IDENTITY_KEY", "SENDTIP_SIGNING_KEY"},
		"notification": {"SENDTIP_KEK", "SENDTIP_IDENTITY_KEY"},
	}
	for _, name := range Services {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.Open(t, name, deployables[name].migrations())
			environ := func(s keys.Set) map[string]string {
				e, err := ServiceEnviron(Ports{Base: DefaultPortBase}, s, "postgres://postgres:x@127.0.0.1:5432/postgres", []string{"127.0.0.1:9"},
					map[string]string{"SENDTIP_REDIS_URL": "redis://127.0.0.1:9"}, name)
				if err != nil {
					t.Fatal(err)
				}
				e["SENDTIP_DATABASE_URL"] = db.AppURL
				return e
			}
			ask := func(e map[string]string) error {
				s, err := deployables[name].build(t.Context(), e, service.Host{Log: slog.New(slog.DiscardHandler)})
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				return s.Guard(t.Context())
			}
			right, wrong := environ(set), environ(other)
			if err := ask(right); err != nil {
				t.Fatal(err)
			}
			for _, setting := range guarded[name] {
				e := maps.Clone(right)
				e[setting] = wrong[setting]
				if err := ask(e); !errors.Is(err, keycheck.ErrRefused) || !strings.Contains(err.Error(), setting) {
					t.Errorf("another %s: %v", setting, err)
				}
				e[setting+"_PREVIOUS"] = right[setting]
				if err := ask(e); err != nil {
					t.Errorf("%s rotated: %v", setting, err)
				}
				e[setting], e[setting+"_PREVIOUS"] = right[setting], wrong[setting]
				if err := ask(e); err != nil {
					t.Errorf("%s rotated back: %v", setting, err)
				}
			}
			if name == "transactions" {
				e := maps.Clone(right)
				e["SENDTIP_LEDGER_ORIGIN"] = "another.example/ledger"
				if err := ask(e); !errors.Is(err, keycheck.ErrRefused) || !strings.Contains(err.Error(), "SENDTIP_LEDGER_ORIGIN is not what it was") {
					t.Errorf("another origin: %v", err)
				}
			}
			if err := ask(right); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}
