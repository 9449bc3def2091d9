package e2e_test

import (
	"testing"
	"time"

	"github.com/sendtip/sendtip/cmd/sendtip/journey"
	"github.com/sendtip/sendtip/cmd/sendtip/platform"
	walletclient "github.com/sendtip/sendtip/generated/wallet/client"
	"github.com/sendtip/sendtip/kit/clock"
)

// TestTariffForTomorrow: two officers of finance change the price of transfers for tomorrow; a quote of today has today's price, and one of
// tomorrow the new one.
func TestTariffForTomorrow(t *testing.T) {
	t.Parallel()
	c := clock.New(0)
	w := start(t, func(o *platform.Options) { o.Clock = c })
	from, to := w.registered(t, "Amina"), w.registered(t, "Brian")
	for _, who := range []*journey.Customer{from, to} {
		if status, err := who.SubmitKYC(t.Context(), nationalID(0)); err != nil || status != "verified" {
			t.Fatalf("the check ended as %s: %v", status, err)
		}
		if err := who.WaitWallet(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	maker, checker := w.staff(t, "finance"), w.staff(t, "finance")
	price := func(who *journey.Customer) int64 {
		t.Helper()
		q, err := who.Quote(t.Context(), to, 250_00)
		if err != nil || q.JSON201 == nil {
			t.Fatalf("quote: %v", err)
		}
		return q.JSON201.Fee.Amount
	}
	a, err := maker.ProposeTariff(t.Context(), "transfer", w.Now().Add(24*time.Hour),
		walletclient.TariffBand{FromMinor: 1, UpToMinor: 25_000_000, FeeMinor: 5_00})
	if err != nil {
		t.Fatal(err)
	}
	if err := checker.ApproveRule(t.Context(), a.ApprovalID); err != nil {
		t.Fatal(err)
	}
	if got := price(from); got != 7_00 {
		t.Errorf("today's fee is %d", got)
	}
	c.Set(24*time.Hour + time.Second)
	if err := from.LogIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := price(from); got != 5_00 {
		t.Errorf("tomorrow's fee is %d", got)
	}
}
