package app_test

import (
	"testing"
	"time"

	"github.com/sendtip/sendtip/services/wallet/internal/testworld"
)

const accounts = "Working Account|KES|700.00|700.00|0.00|0.00&Utility Account|KES|1228.00|1200.00|28.00|0.00&" +
	"Charges Paid Account|KES|-220.00|-220.00|0.00|0.00"

// TestBalances: the short code is asked once an interval, and only Safaricom's own answer to the question counts, once.
func TestBalances(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	lost(t, w, "SKL1A2B3C4", 100)
	for range 3 {
		if err := w.App.AskBalance(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	sent := w.Mpesa.Questions()
	if len(sent) != 1 {
		t.Fatalf("asked %d times", len(sent))
	}
	w.Advance(15 * time.Minute)
	if err := w.App.AskBalance(t.Context()); err != nil { // nobody has answered
		t.Fatal(err)
	}
	if sent = w.Mpesa.Questions(); len(sent) != 2 {
		t.Fatalf("asked %d times", len(sent))
	}
	known := testworld.Known(t.Context())
	if v := railSays(t.Context(), t, w, sent[0], testworld.Balances(1, accounts)); v != "stranger" {
		t.Errorf("a stranger's balance is %s", v)
	}
	if v := railSays(known, t, w, sent[0], testworld.Balances(2, accounts)); v != "other" {
		t.Errorf("another question's answer is %s", v)
	}
	if n := w.Count("SELECT count(*) FROM rail_balances"); n != 0 {
		t.Errorf("%d rows of nothing", n)
	}
	if v := railSays(known, t, w, sent[0], testworld.Balances(1, accounts)); v != "applied" {
		t.Errorf("the answer is %s", v)
	}
	if v := railSays(known, t, w, sent[0], testworld.Balances(1, "Utility Account|KES|1.00|1.00|0.00|0.00")); v != "duplicate" {
		t.Errorf("a second answer is %s", v)
	}
	w.Advance(15 * time.Minute)
	if err := w.App.AskBalance(t.Context()); err != nil || len(w.Mpesa.Questions()) != 2 {
		t.Fatalf("asked again what was told: %v", err)
	}
	w.Advance(time.Hour)
	if err := w.App.AskBalance(t.Context()); err != nil {
		t.Fatal(err)
	}
	b, err := w.App.ListRailBalances(railsChecker(t))
	if err != nil || len(b.Accounts) != 3 || b.LedgerMinor != 10000 || len(w.Mpesa.Questions()) != 3 {
		t.Fatalf("%+v, %v", b, err)
	}
	got := map[string][4]int64{}
	for _, x := range b.Accounts {
		got[x.Account] = [4]int64{x.CurrentMinor, x.AvailableMinor, x.ReservedMinor, x.UnclearedMinor}
	}
	if got["Utility Account"] != [4]int64{122800, 120000, 2800, 0} || got["Charges Paid Account"][0] != -22000 {
		t.Errorf("the balances are %v", got)
	}
}
