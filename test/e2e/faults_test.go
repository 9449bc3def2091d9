package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sendtip/sendtip/cmd/sendtip/journey"
	"github.com/sendtip/sendtip/cmd/sendtip/platform"
)

// TestRedisAndKafkaStopped: money still moves without them; limits stay on; events drain later.
func TestRedisAndKafkaStopped(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	amina, brian := w.customer(t, "Amina", 500_00), w.customer(t, "Brian", 0)
	for _, part := range []string{"redis", "kafka"} {
		if err := w.p.StopPart(t.Context(), part); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if tr, err := amina.Send(t.Context(), brian, 10_00); err != nil || tr.Status != "completed" {
			t.Fatalf("a transfer without Redis and Kafka: %s %v", tr.Status, err)
		}
	}
	if got := balance(t, brian); got != 30_00 {
		t.Fatalf("30.00 were sent, %d arrived", got)
	}
	limited := false
	for n := range 40 { // 30 codes at once of one address, each to another phone
		body := fmt.Sprintf(`{"phone":"+2547110000%02d","language":"en","country":"KE"}`, n)
		status, code, err := amina.Raw(t.Context(), http.MethodPost, "/v1/registrations", body, nil)
		if err != nil {
			t.Fatal(err)
		}
		if status == http.StatusTooManyRequests {
			limited = code == "rate_limited"
			break
		}
	}
	if !limited {
		t.Fatal("without Redis there was no limit")
	}
	for _, part := range []string{"kafka", "redis"} {
		if err := w.p.StartPart(t.Context(), part); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the messages about three transfers", func() bool {
		messages, err := w.Sandbox.Messages(t.Context(), brian.Phone)
		n := 0
		for _, m := range messages {
			if strings.Contains(m.Text, "10.00") {
				n++
			}
		}
		return err == nil && n == 3
	})
	if _, err := w.CheckLedger(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestPostgresStopped: 503 with Retry-After, then recovery without a restart, and nothing in the dead letters.
func TestPostgresStopped(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	amina, brian := w.customer(t, "Amina", 500_00), w.customer(t, "Brian", 0)
	if err := w.p.StopPart(t.Context(), "postgres"); err != nil {
		t.Fatal(err)
	}
	resp, err := amina.Wallet.ListWalletsWithResponse(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode() != http.StatusServiceUnavailable || resp.HTTPResponse.Header.Get("Retry-After") == "" {
		t.Fatalf("want 503 with Retry-After, got %d %s", resp.StatusCode(), resp.Body)
	}
	if err := w.p.StartPart(t.Context(), "postgres"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a transfer after the database is back", func() bool {
		tr, err := amina.Send(t.Context(), brian, 10_00)
		return err == nil && tr.Status == "completed"
	})
	w.sms(t, brian, "10.00") // earlier messages may come after it
	letters, err := w.p.DeadLetters(t.Context())
	if err != nil || len(letters) != 0 {
		t.Fatalf("dead letters: %+v %v", letters, err)
	}
	if _, err := w.CheckLedger(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestServiceStopped: only its routes answer 503.
func TestServiceStopped(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	amina := w.customer(t, "Amina", 0)
	if err := w.p.StopService(t.Context(), "notification"); err != nil {
		t.Fatal(err)
	}
	status, code, err := amina.Raw(t.Context(), http.MethodGet, "/v1/notifications", "", nil)
	if err != nil || status != http.StatusServiceUnavailable {
		t.Fatalf("want 503, got %d %s %v", status, code, err)
	}
	for _, path := range []string{"/v1/wallets", "/v1/me", "/v1/accounts/" + amina.WalletID.String() + "/balance"} {
		if status, code, err := amina.Raw(t.Context(), http.MethodGet, path, "", nil); err != nil || status != http.StatusOK {
			t.Errorf("%s: want 200, got %d %s %v", path, status, code, err)
		}
	}
	if err := w.p.StartService(t.Context(), "notification"); err != nil {
		t.Fatal(err)
	}
	if err := w.p.WaitReady(t.Context(), "notification"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the stopped service's routes", func() bool {
		status, _, err := amina.Raw(t.Context(), http.MethodGet, "/v1/notifications", "", nil)
		return err == nil && status == http.StatusOK
	})
}

// TestLedgerKilledDuringTransfers kills the ledger and the wallet with SIGKILL while transfers run: each ends once, right.
func TestLedgerKilledDuringTransfers(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *platform.Options) {
		o.Binaries = binaries(t)
		// One customer repeats far more often here than a person would; what is tested is money, not limits.
		o.Environ["SENDTIP_RATE_POLICIES"] = "address=60000/60/10000,default=60000/60/10000,lookup=60000/60/10000,payment=60000/60/10000," +
			"step_up=60000/60/10000"
	})
	amina, brian := w.customer(t, "Amina", 5000_00), w.customer(t, "Brian", 0)
	const n = 12
	type sent struct{ id, status string }
	results := make([]sent, n)
	var wg sync.WaitGroup
	killed := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			if i >= n/3 {
				<-killed
			}
			results[i].id, results[i].status = persist(t, w, amina, brian)
		})
	}
	for _, victim := range []string{"transactions", "wallet"} {
		if err := w.p.KillService(victim); err != nil {
			t.Fatal(err)
		}
		if victim == "transactions" {
			close(killed)
		}
		if err := w.p.StartService(t.Context(), victim); err != nil {
			t.Fatal(err)
		}
		if err := w.p.WaitReady(t.Context(), victim); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	ids := map[string]bool{}
	for _, r := range results {
		if r.status != "completed" || ids[r.id] {
			t.Errorf("transfer %s is %s", r.id, r.status)
		}
		ids[r.id] = true
	}
	if got := balance(t, brian); got != n*10_00 {
		t.Errorf("%d transfers of 10.00 were acknowledged, %d arrived", n, got)
	}
	if _, err := w.CheckLedger(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// persist behaves like a phone's app on a bad network: it repeats each call, the transfer always under the same key, until it knows.
func persist(t *testing.T, w *world, from, to *journey.Customer) (id, status string) {
	ctx := t.Context()
	try := func(what string, do func() bool) {
		for deadline := time.Now().Add(2 * time.Minute); !do(); <-time.After(200 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Errorf("never got through: %s", what)
				return
			}
		}
	}
	var quote [16]byte
	try("quote", func() bool {
		resp, err := from.Quote(ctx, to, 10_00)
		if err == nil && resp.JSON201 != nil {
			quote = resp.JSON201.ID
		}
		return err == nil && resp.JSON201 != nil
	})
	var approval string
	try("approval", func() (ok bool) {
		var err error
		approval, err = from.StepUp(ctx, quote)
		return err == nil
	})
	key := "persist-" + strings.ReplaceAll(time.Now().Format("150405.000000000"), ".", "") + from.Device[:8]
	try("transfer", func() bool {
		resp, err := from.Transfer(ctx, quote, approval, key)
		switch {
		case err != nil:
			return false
		case resp.JSON201 != nil:
			id, status = resp.JSON201.ID.String(), resp.JSON201.Status
			return true
		case resp.JSON202 != nil:
			done, err := from.WaitTransfer(ctx, resp.JSON202.ID)
			id, status = done.ID.String(), done.Status
			return err == nil
		}
		return false
	})
	return id, status
}
