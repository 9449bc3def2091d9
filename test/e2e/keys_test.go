package e2e_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sendtip/sendtip/cmd/sendtip/platform"
)

// TestKeysOfAnOlderDatabase: databases from before there were check values are judged by rows that each service itself has sealed, and a
// service that got another key ends `up` with the name of the setting.
func TestKeysOfAnOlderDatabase(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	amina, baraka := w.customer(t, "Amina", 500_00), w.customer(t, "Baraka", 0)
	if _, err := amina.Send(t.Context(), baraka, 100_00); err != nil {
		t.Fatal(err)
	}
	for database, places := range map[string][]string{
		"user":         {"users.phone_sealed", "otp_challenges.code_sealed", "kyc_callbacks.body_sealed", "idempotency_keys.result"},
		"wallet":       {"callbacks.body_sealed", "transfer_quotes.recipient_name_sealed", "idempotency_keys.result"},
		"notification": {"notifications.message", "delivery_reports.body"},
		"gateway":      nil, "transactions": nil,
	} {
		for _, place := range places {
			table, column, _ := strings.Cut(place, ".")
			eventually(t, place, func() bool {
				return query[int](t, w, database, "SELECT count(*) FROM "+table+" WHERE "+column+" IS NOT NULL") > 0
			})
		}
		if n := query[int](t, w, database, "WITH gone AS (DELETE FROM key_checks RETURNING 1) SELECT count(*) FROM gone"); n == 0 {
			t.Errorf("%s records none of its keys", database)
		}
	}
	stop := func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := w.p.Stop(ctx); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	again := func() error {
		p, err := platform.Start(t.Context(), platform.Options{Dir: w.dir, Ports: w.ports, Log: w.log})
		if err == nil {
			w.p = p
		}
		return err
	}
	if err := again(); err != nil {
		t.Fatalf("with its own keys: %v", err)
	}
	if strings.Contains(w.log.String(), "sealed under a key that is not set") {
		t.Error("a place is named under which the service seals otherwise")
	}
	if got := balance(t, baraka); got != 100_00 {
		t.Errorf("the balance is %d", got)
	}
	stop()

	path := filepath.Join(w.dir, "keys", "wallet.kek")
	right, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := os.ReadFile(filepath.Join(w.dir, "keys", "user.kek"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, wrong, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := again(); err == nil || !strings.Contains(err.Error(), "wallet: refused to start: SENDTIP_KEK") {
		t.Errorf("with another key: %v", err)
	}
	if err := os.WriteFile(path, right, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := again(); err != nil {
		t.Errorf("with the right key again: %v", err)
	}
}
