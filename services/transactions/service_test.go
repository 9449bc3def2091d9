package transactions_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sendtip/sendtip/embedded/kafka"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/pgtest"
	"github.com/sendtip/sendtip/kit/service"
	"github.com/sendtip/sendtip/kit/servicetest"
	transactionssql "github.com/sendtip/sendtip/sql/transactions"

	"github.com/sendtip/sendtip/services/transactions"
	"github.com/sendtip/sendtip/services/transactions/internal/testworld"
)

const identityKey = "an identity key for tests, 32 b+"

// TestServiceRuns starts the service as its main does: it becomes ready, posts, publishes its event, answers metrics, and stops in order.
func TestServiceRuns(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, "transactions", transactionssql.Migrations())
	broker, err := kafka.Start(t.Context(),
		kafka.Config{Dir: t.TempDir(), Topics: []kafka.Topic{{Name: "sendtip.transactions.v1", Partitions: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = broker.Stop() })
	listen, ops := servicetest.FreeAddress(t), servicetest.FreeAddress(t)
	checkpoints := filepath.Join(t.TempDir(), "far", "checkpoints")
	cfg, err := transactions.LoadConfig(map[string]string{
		"SENDTIP_LISTEN": listen, "SENDTIP_OPS_LISTEN": ops, "SENDTIP_DATABASE_URL": db.AppURL,
		"SENDTIP_KAFKA_BROKERS": strings.Join(broker.Brokers(), ","),
		"SENDTIP_IDENTITY_KEY":  identityKey, "SENDTIP_KEK": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
		"SENDTIP_SIGNING_KEY": testworld.SecretKey(t), "SENDTIP_CHECKPOINT_FILE": checkpoints,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	log := slog.New(slog.DiscardHandler)
	s, err := transactions.New(ctx, cfg, service.Host{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx, s, log) }()
	servicetest.Eventually(t, "ready", func() bool { status, _ := get(t, "http://"+ops+"/readyz"); return status == http.StatusOK })

	token, err := auth.Mint([]byte(identityKey), time.Now(),
		auth.Claims{RegisteredClaims: jwt.RegisteredClaims{Subject: "service:wallet", Audience: jwt.ClaimStrings{"transactions"}},
			Scope: "ledger:post"})
	if err != nil {
		t.Fatal(err)
	}
	body := `{"transactions":[{"reference":"a:post","action":"post","type":"test","channel":"internal",
		"postings":[{"source":"rail.mpesa.paybill.KES","destination":"suspense.KES","amount":{"amount":5,"currency":"KES"}}]}]}`
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+listen+"/v1/ledger/transactions", bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(auth.IdentityHeader, token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var answer struct{ Outcomes []struct{ Status string } }
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || len(answer.Outcomes) != 1 || answer.Outcomes[0].Status != "posted" {
		t.Fatalf("%d %+v %v", res.StatusCode, answer, err)
	}
	servicetest.Eventually(t, "the event is published", func() bool {
		var n int
		err := db.Pool.QueryRow(context.Background(), "SELECT count(*) FROM publications WHERE next_index = 1").Scan(&n)
		return err == nil && n == 1
	})
	servicetest.Eventually(t, "a signed checkpoint is outside the database, and on its way to the topic", func() bool {
		var n int
		err := db.Pool.QueryRow(context.Background(), "SELECT count(*) FROM outbox WHERE published_at IS NOT NULL").Scan(&n)
		note, readErr := os.ReadFile(checkpoints) // #nosec G304 -- the test's own folder
		return err == nil && n == 1 && readErr == nil && strings.HasPrefix(string(note), "sendtip.local/ledger\n1\n")
	})
	servicetest.Eventually(t, "the daily job has run", func() bool {
		var n int
		err := db.Pool.QueryRow(context.Background(),
			"SELECT count(*) FROM river_job WHERE kind = 'transactions.create_partitions' AND state = 'completed'").Scan(&n)
		return err == nil && n >= 1
	})
	// Money above a maximum that an account has room for, and a hold that is over, are released by the service itself.
	if _, err := db.Pool.Exec(ctx, ownRows); err != nil {
		t.Fatal(err)
	}
	servicetest.Eventually(t, "the room is used, and the hold expires", func() bool {
		var n int
		err := db.Pool.QueryRow(context.Background(), "SELECT count(*) FROM transactions WHERE type IN ('hold_room', 'hold_expiry')").Scan(&n)
		return err == nil && n == 2
	})
	if status, text := get(t, "http://"+ops+"/metrics"); status != http.StatusOK || !strings.Contains(text, "ledger_waiting_transactions 0") ||
		!strings.Contains(text, `route="/v1/ledger/transactions"`) {
		t.Errorf("metrics: %d\n%s", status, text)
	}
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("stopped with %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("the service does not stop")
	}
}

// ownRows are an account with two holds, one of money above the maximum that it no longer has, and one that was to end a year ago.
const ownRows = `
	INSERT INTO accounts (id, owner_id, kind, currency, normal_side, minimum_minor, credits_minor, pending_debits_minor, over_cap_minor)
	VALUES ('01937c5e-1111-7c1b-9d7e-3f6b2a1c0d4e', gen_random_uuid(), 'customer_wallet', 'KES', 'credit', 0, 30, 30, 20);
	INSERT INTO holds (id, account_id, currency, amount_minor, reason, status, expires_at, created_at) VALUES
		('01937c5e-2222-7c1b-9d7e-3f6b2a1c0d4e', '01937c5e-1111-7c1b-9d7e-3f6b2a1c0d4e', 'KES', 20, 'over_cap', 'active', NULL, now() - interval
		'2 years'),
		('01937c5e-3333-7c1b-9d7e-3f6b2a1c0d4e', '01937c5e-1111-7c1b-9d7e-3f6b2a1c0d4e', 'KES', 10, 'requested', 'active', now() - interval
		'1 year', now() - interval '2 years')`

func TestConfigNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	full := map[string]string{"SENDTIP_LISTEN": ":8103", "SENDTIP_DATABASE_URL": "postgres://x/y", "SENDTIP_KAFKA_BROKERS": "x:1",
		"SENDTIP_IDENTITY_KEY": identityKey,
		"SENDTIP_KEK":          "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
		"SENDTIP_SIGNING_KEY":  testworld.SecretKey(t)}
	if _, err := transactions.LoadConfig(full); err != nil {
		t.Fatal(err)
	}
	for name := range full {
		part := map[string]string{}
		for k, v := range full {
			if k != name {
				part[k] = v
			}
		}
		if _, err := transactions.LoadConfig(part); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

func get(t testing.TB, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}
