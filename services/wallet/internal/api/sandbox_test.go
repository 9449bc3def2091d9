package api_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/servicetest"
	"github.com/sendtip/sendtip/sandbox"
	"github.com/sendtip/sendtip/sandbox/control"

	"github.com/sendtip/sendtip/services/wallet/internal/app"
	"github.com/sendtip/sendtip/services/wallet/internal/testworld"
)

// unreachable is a pool of a server that is not there.
func unreachable(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool, err := pg.Open(t.Context(), "postgres://nobody@127.0.0.1:1/none?connect_timeout=1", pg.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// withSandbox replaces the scripted M-Pesa by the sandbox over HTTP, whose callbacks reach the service through a stand-in for the
// gateway: it adds the identity that the real one mints for a webhook.
func withSandbox(t *testing.T) (*world, *control.Client) {
	t.Helper()
	w := setup(t)
	box, err := sandbox.New(sandbox.Config{STKAnswerDelay: -1, Now: w.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- box.Serve(ctx, listener, nil) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("sandbox: %v", err)
		}
	})
	hooks := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		r.Header.Set(auth.IdentityHeader, w.safaricom())
		w.api.ServeHTTP(rw, r)
	}))
	t.Cleanup(hooks.Close)
	url := "http://" + listener.Addr().String()
	// The world's time stands; the sandbox pays and expires prompts in a time that goes on, and the service asks about them in the same.
	w.Rebuild(func(d *app.Deps) { d.Mpesa, d.PublicURL, d.Now = w.Daraja(url), hooks.URL, w.Clock.Now })
	w.mount()
	if err := w.App.EnqueueRegisterC2b(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.RunJobs()
	servicetest.Eventually(t, "the paybill addresses are registered", func() bool {
		return w.Count("SELECT count(*) FROM river_job WHERE kind = 'wallet.register_c2b' AND state = 'completed'") == 1
	})
	return w, control.New(url, nil)
}

func (w *world) topup(p testworld.Person, shillings string) string {
	w.t.Helper()
	body := `{"wallet_id":"` + p.WalletID.String() + `","amount":{"amount":` + shillings + `00,"currency":"KES"}}`
	return decode(w.t, w.send(request{method: "POST", path: "/v1/topups", body: body, identity: w.as(p)}), 202)["id"].(string)
}

func (w *world) topupStatus(p testworld.Person, id string) string {
	w.t.Helper()
	s, _ := decode(w.t, w.send(request{method: "GET", path: "/v1/topups/" + id, identity: w.as(p)}), 200)["status"].(string)
	return s
}

// TestTopupsAgainstSandbox plays what Safaricom does on good and bad days; in the end the wallets hold what the sandbox's own statement
// says was paid, and nothing else.
func TestTopupsAgainstSandbox(t *testing.T) {
	t.Parallel()
	w, phones := withSandbox(t)
	cases := map[string]struct {
		script control.Script
		status string
	}{
		"paid":            {control.Script{STK: "pay"}, "paid"},
		"duplicate":       {control.Script{STK: "pay", Callback: "duplicate"}, "paid"},
		"c2b_before":      {control.Script{STK: "pay", Callback: "c2b_before"}, "paid"},
		"callback_lost":   {control.Script{STK: "pay", Callback: "lose"}, "paid"}, // the paybill confirmation tells
		"answer_lost":     {control.Script{STK: "pay", STKAnswer: "lose"}, "paid"},
		"late_success":    {control.Script{STK: "expire_then_pay"}, "paid"},
		"cancelled":       {control.Script{STK: "cancel"}, "failed"},
		"wrong_pin":       {control.Script{STK: "wrong_pin"}, "failed"},
		"nobody_answered": {control.Script{STK: "expire"}, "failed"},
		"busy":            {control.Script{STKAnswer: "busy"}, "failed"},
	}
	type payer struct {
		testworld.Person
		topup, status, name string
	}
	var all []payer
	for name, c := range cases {
		p := payer{Person: w.Person(2, 0), status: c.status, name: name}
		if err := phones.SetPhoneScript(t.Context(), p.Phone, c.script); err != nil {
			t.Fatal(err)
		}
		p.topup = w.topup(p.Person, "100")
		all = append(all, p)
	}
	for _, p := range all {
		servicetest.Eventually(t, p.name+" becomes "+p.status, func() bool { return w.topupStatus(p.Person, p.topup) == p.status })
	}
	walkIn := w.Person(2, 0)
	account := w.Text("SELECT deposit_account FROM wallets WHERE id = $1", walkIn.WalletID)
	if _, err := phones.C2B(t.Context(), control.C2BPayment{Msisdn: walkIn.Phone, Account: account, AmountMinor: 7700}); err != nil {
		t.Fatal(err)
	}
	servicetest.Eventually(t, "the books agree with the statement", func() bool {
		statement, err := phones.Statement(t.Context())
		return err == nil && statement.TotalMinor == 6*10000+7700 && w.Ledger.Balance("rail.mpesa.paybill.KES") == -statement.TotalMinor
	})
	servicetest.Eventually(t, "every message is judged",
		func() bool { return w.Count("SELECT count(*) FROM callbacks WHERE judged_at IS NULL") == 0 })
	for _, p := range all {
		want := int64(0)
		if p.status == "paid" {
			want = 10000
		}
		if got := w.Ledger.Balance(p.WalletID.String()); got != want {
			t.Errorf("%s: balance %d, want %d", p.name, got, want)
		}
	}
	if got := w.Ledger.Balance(walkIn.WalletID.String()); got != 7700 {
		t.Errorf("deposit: balance %d", got)
	}
	if n := w.Count("SELECT count(*) FROM receipts"); n != 7 {
		t.Errorf("%d receipts", n)
	}
}

// TestAlteredMessagesCreditNothing: callback and confirmation both tell ten times the amount. Only what Safaricom itself confirms is
// credited.
func TestAlteredMessagesCreditNothing(t *testing.T) {
	t.Parallel()
	w, phones := withSandbox(t)
	p := w.Person(2, 0)
	if err := phones.SetPhoneScript(t.Context(), p.Phone, control.Script{STK: "pay", Callback: "alter"}); err != nil {
		t.Fatal(err)
	}
	id := w.topup(p, "100")
	servicetest.Eventually(t, "the query pays it", func() bool { return w.topupStatus(p, id) == "paid" })
	servicetest.Eventually(t, "both messages are judged", func() bool {
		return w.Count("SELECT count(*) FROM callbacks WHERE verdict IN ('amount_mismatch', 'conflict')") == 2
	})
	if got := w.Ledger.Balance(p.WalletID.String()); got != 10000 {
		t.Errorf("balance %d", got)
	}
	if got := w.Text("SELECT coalesce(receipt, '') FROM topups WHERE id = $1", uuid.MustParse(id)); got != "" {
		t.Errorf("receipt %q of a message that was wrong", got)
	}
}
