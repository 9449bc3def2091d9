package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sendtip/sendtip/cmd/sendtip/keys"
)

// TestMalformedFlags: what cannot be read is refused by its name, and never taken for a default.
func TestMalformedFlags(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"up", "--port-base", "abc"}, "--port-base must be a whole number"},
		{[]string{"up", "--port-base", "0"}, "SENDTIP_PORT_BASE (--port-base)"},
		{[]string{"up", "--port-base", "-8000"}, "SENDTIP_PORT_BASE (--port-base)"},
		{[]string{"doctor", "--port-base", "65500"}, "SENDTIP_PORT_BASE (--port-base)"},
		{[]string{"up", "--target", "walet"}, "--target"},
		{[]string{"up", "--target", ""}, "--target"},
		{[]string{"up", "--sandbox-answers", "maybe"}, "--sandbox-answers"},
		{[]string{"events", "apply", "--replication", "0"}, "--replication"},
		{[]string{"events", "apply", "--replication", "many"}, "--replication"},
		{[]string{"ledger", "verify", "--workers", "0"}, "--workers"},
		{[]string{"ledger", "verify", "--workers", "x"}, "--workers"},
		{[]string{"ledger", "verify", "--key", "abc"}, "--key"},
		{[]string{"bench", "seed", "--transactions", "0"}, "number of transactions"},
		{[]string{"bench", "seed", "--accounts", "x"}, "--accounts must be a whole number"},
		{[]string{"bench", "seed", "--accounts", "99999999999999999999"}, "--accounts must be a number that is not so large"},
		{[]string{"bench", "seed", "--days", "0"}, "number of days"},
		{[]string{"bench", "seed", "--seed", "-1"}, "--seed must be a whole number, 0 or more"},
		{[]string{"reset", "--yes=perhaps"}, "--yes must be true or false"},
		{[]string{"reset", "--keys=perhaps"}, "--keys"},
		{[]string{"up", "--no-such-flag"}, "--no-such-flag"},
		{[]string{"up", "argument"}, "argument"},
		{[]string{"admin", "bogus"}, "sendtip admin has no command"},
	} {
		if _, err := sendtip(t, folder(t), c.args...); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: %v", c.args, err)
		}
	}
}

// TestMalformedEnvironment: SENDTIP_PORT_BASE=abc was taken for 0 once.
func TestMalformedEnvironment(t *testing.T) {
	for name, text := range map[string]string{
		"SENDTIP_PORT_BASE": "abc", "SENDTIP_POSTGRES_URL": "abc", "SENDTIP_KAFKA_BROKERS": "abc", "SENDTIP_REDIS_URL": "abc",
		"SENDTIP_KAFKA_SASL": "abc",
		"SENDTIP_KAFKA_TLS":  "abc", "SENDTIP_PUBLIC_URL": "abc",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, text)
			for _, command := range [][]string{{"up"}, {"doctor"}, {"keys", "init"}, {"migrate"}} {
				if _, err := sendtip(t, folder(t), command...); err == nil || !strings.Contains(err.Error(), name) {
					t.Errorf("%v: %v", command, err)
				}
			}
		})
	}
	t.Setenv("SENDTIP_PORT_BASE", "abc")
	if _, err := sendtip(t, folder(t), "ledger", "key", "--port-base", "23000"); err != nil {
		t.Errorf("the flag wins: %v", err)
	}
}

// TestReset: without --yes it says what would go, with it that goes and the keys move, and a second time there is nothing to do.
func TestReset(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), ".sendtip")
	if _, err := keys.Init(filepath.Join(dir, "keys")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "up.lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := sendtip(t, dir, "reset")
	if err == nil || !strings.Contains(err.Error(), "nothing was deleted: add --yes") ||
		!strings.Contains(out, "move   "+filepath.Join(dir, "keys")+" to "+dir+".keys-") {
		t.Errorf("%q, %v", out, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "keys", keys.AdminPassword)); err != nil {
		t.Fatal(err)
	}
	if out, err := sendtip(t, dir, "reset", "--yes"); err != nil || !strings.Contains(out, "starts from scratch") {
		t.Errorf("%q, %v", out, err)
	}
	kept, err := filepath.Glob(dir + ".keys-*/" + keys.AdminPassword)
	if err != nil || len(kept) != 1 {
		t.Errorf("kept: %v %v", kept, err)
	}
	if out, err := sendtip(t, dir, "reset", "--yes"); err != nil || !strings.Contains(out, "there is no such folder") {
		t.Errorf("again: %q, %v", out, err)
	}
	if _, err := sendtip(t, t.TempDir(), "reset", "--yes", "--keys"); err == nil ||
		!strings.Contains(err.Error(), "this folder will not be deleted") {
		t.Errorf("a foreign folder: %v", err)
	}
}
