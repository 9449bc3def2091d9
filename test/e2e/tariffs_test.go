package e2e_test

import (
	"testing"
	"time"

	"github.com/sendtip/sendtip/cmd/sendtip/journey"
	"github.com/sendtip/sendtip/cmd/sendtip/platform"
	"github.com/sendtip/sendtip/generated/common"
	walletclient "github.com/sendtip/sendtip/generated/wallet/client"
	"github.com/sendtip/sendtip/kit/clock"
	"github.com/sendtip/sendtip/providers/safaricom"
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

// TestRuleProposals: what is wrong is refused at once, the same twice waits, and what was rejected is decided.
func TestRuleProposals(t *testing.T) {
	t.Parallel()
	w := shared(t)
	c := w.staff(t, "finance")
	at := w.Now().Add(300 * 24 * time.Hour)
	for i, want := range []int{201, 409, 422} {
		from, month := at, int64(300)
		if i == 2 {
			from, month = w.Now(), 1
		}
		tax, err := c.Wallet.ProposeTaxWithResponse(t.Context(), walletclient.TaxProposal{Country: safaricom.Country, Tax: "excise", RatePpm: 1,
			EffectiveFrom: from, Reason: "Law."})
		if err != nil || tax.StatusCode() != want {
			t.Errorf("tax: %v %d %s, want %d", err, tax.StatusCode(), tax.Body, want)
		}
		limit, err := c.Wallet.ProposeLimitWithResponse(t.Context(), walletclient.LimitProposal{Country: safaricom.Country, Tier: 9,
			Kind: "savings", Currency: safaricom.Currency, PerDayMinor: 2, PerMonthMinor: month, EffectiveFrom: from, Reason: "Agreed."})
		if err != nil || limit.StatusCode() != want {
			t.Errorf("limit: %v %d %s, want %d", err, limit.StatusCode(), limit.Body, want)
		}
		if limit.JSON201 == nil {
			continue
		}
		id := limit.JSON201.ApprovalID
		for _, digest := range []string{"wH2Zq1rVn3sYd0p8Kx7mJt5uEo4cLb6aFgQiRzTvWkM"} {
			approved, err := w.staff(t, "finance").Wallet.ApproveWalletApprovalWithResponse(t.Context(), id, common.ApprovalDecision{Digest: digest})
			if err != nil || approved.StatusCode() != 409 {
				t.Errorf("another digest: %v", err)
			}
		}
	}
}
