package app_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/country"
	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/servicetest"
	"github.com/sendtip/sendtip/packs"

	"github.com/sendtip/sendtip/services/wallet/internal/app"
	"github.com/sendtip/sendtip/services/wallet/internal/domain"
	"github.com/sendtip/sendtip/services/wallet/internal/testworld"
)

// TestMigrationsAgreeWithPacks: what all migrations wrote is what the packs say, row by row, and nothing else.
func TestMigrationsAgreeWithPacks(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	at := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	var want []string
	for _, p := range packs.MustAll() {
		for _, f := range p.Tariffs {
			want = append(want, fmt.Sprint("tariff ", f.ID, p.Country, f.Kind, f.Currency, f.ExciseIncluded, at(f.EffectiveFrom)))
			for _, b := range f.Bands {
				want = append(want, fmt.Sprint("band ", f.ID, " ", b[0], " ", b[1]))
			}
		}
		for _, x := range p.Taxes {
			want = append(want, fmt.Sprint("tax ", p.Country, x.Tax, x.RatePPM, at(x.EffectiveFrom)))
		}
		for _, l := range p.Limits {
			want = append(want, fmt.Sprint("limit ", p.Country, l.Tier, l.Kind, l.Currency, " ", l.PerTransaction, " ", l.PerDay, " ",
				l.PerMonth, at(l.EffectiveFrom)))
		}
		for _, b := range p.Balances {
			want = append(want, fmt.Sprint("balance ", p.Country, b.Tier, b.Currency, b.Maximum, at(b.EffectiveFrom)))
		}
	}
	rows, err := w.DB.Pool.Query(t.Context(), `
		SELECT concat('tariff ', id, country, kind, currency, CASE WHEN excise_included THEN 'true' ELSE 'false' END,
			to_char(effective_from, 'YYYY-MM-DD"T"HH24:MI:SS"Z"')) FROM tariffs
		UNION ALL SELECT concat('band ', tariff_id, ' ', up_to_minor, ' ', fee_minor) FROM tariff_bands
		UNION ALL SELECT concat('tax ', country, tax, rate_ppm, to_char(effective_from, 'YYYY-MM-DD"T"HH24:MI:SS"Z"')) FROM taxes
		UNION ALL SELECT concat('limit ', country, tier, kind, currency, ' ', per_transaction_minor, ' ', per_day_minor, ' ', per_month_minor,
			to_char(effective_from, 'YYYY-MM-DD"T"HH24:MI:SS"Z"')) FROM limits
		UNION ALL SELECT concat('balance ', country, tier, currency, maximum_minor,
			to_char(effective_from, 'YYYY-MM-DD"T"HH24:MI:SS"Z"')) FROM balance_limits`)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]string, 0, len(want))
	for rows.Next() {
		var row string
		if err := rows.Scan(&row); err != nil {
			t.Fatal(err)
		}
		got = append(got, row)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for _, row := range want {
		if !slices.Contains(got, row) {
			t.Errorf("only the packs have: %s", row)
		}
	}
	for _, row := range got {
		if !slices.Contains(want, row) {
			t.Errorf("only the migrations have: %s", row)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d rows, the packs have %d", len(got), len(want))
	}
}

// TestCountries takes a customer of each country through prices, limits, days and a transfer. The figures are in minor units, worked out by
// hand from the packs.
func TestCountries(t *testing.T) {
	t.Parallel()
	suites := map[string]struct {
		prices            [][3]int64 // amount, fee, excise
		perTransaction    int64      // of tier 2
		perDay, maximum   int64
		shown             string // an amount as customers read it
		lastOfMonth, next string // instants around the turn of a local month
		day, month        string // of the second
	}{
		"KE": {
			prices: [][3]int64{{1, 0, 0}, {100_00, 0, 0}, {100_01, 7_00, 1_05}, {1_000_00, 13_00, 1_95}, {1_500_01, 33_00, 4_95},
				{250_000_00, 108_00, 16_20}},
			perTransaction: 250_000_00, perDay: 500_000_00, maximum: 500_000_00, shown: "KES 1,234.56",
			lastOfMonth: "2026-03-31T20:59:59.999999Z", next: "2026-03-31T21:00:00Z", day: "2026-04-01", month: "2026-04-01"},
		"UG": {
			prices: [][3]int64{{1, 0, 0}, {5_000, 0, 0}, {5_001, 500, 75}, {60_001, 1_000, 150}, {1_000_000, 1_500, 225},
				{5_000_000, 2_500, 375}},
			perTransaction: 5_000_000, perDay: 20_000_000, maximum: 20_000_000, shown: "UGX 123,456",
			lastOfMonth: "2026-03-31T20:59:59.999999Z", next: "2026-03-31T21:00:00Z", day: "2026-04-01", month: "2026-04-01"},
	}
	for _, p := range packs.MustAll() {
		s, known := suites[p.Country]
		c, fact := country.Of(p.Country)
		if !known || !fact {
			t.Errorf("nothing proves %s", p.Country)
			continue
		}
		t.Run(p.Country, func(t *testing.T) {
			t.Parallel()
			w := testworld.New(t)
			in := func(minor int64) money.Money { return money.Money{Amount: minor, Currency: c.Currency} }
			if got := in(123456).Format(); got != s.shown {
				t.Errorf("123456 minor units read %s", got)
			}
			from, to := w.PersonIn(c, 2, s.maximum), w.PersonIn(c, 2, 0)
			if got := w.Ledger.Maximum(from.WalletID); got != s.maximum {
				t.Errorf("the ledger's maximum is %d", got)
			}
			ctx := testworld.As(t.Context(), from)
			quote := func(minor int64) (domain.Quote, error) {
				return w.App.CreateTransferQuote(ctx, app.QuoteInput{WalletID: from.WalletID, RecipientPhone: to.Phone, Amount: in(minor)})
			}
			for _, price := range s.prices {
				q, err := quote(price[0])
				if err != nil || q.Amount != in(price[0]) || q.Fee != in(price[1]) || q.Excise != in(price[2]) {
					t.Errorf("the price of %d is %+v, %v", price[0], q.Price, err)
				}
			}
			if _, err := quote(s.perTransaction + 1); !errors.Is(err, domain.ErrLimitTransaction) {
				t.Errorf("above the limit of a transfer: %v", err)
			}
			limits, err := w.App.GetLimits(ctx)
			if err != nil || len(limits.Limits) == 0 || !slices.ContainsFunc(limits.Limits, func(l app.LimitUse) bool {
				return l.Kind == domain.KindTransfer && l.Currency == c.Currency && l.PerTransaction == s.perTransaction &&
					l.PerDay == s.perDay && l.Used.Day == 0
			}) {
				t.Errorf("limits %+v, %v", limits, err)
			}
			// Transfers up to the day's limit, on the last instant of a local month; the next day, and month, begins with its first.
			w.Advance(instant(t, s.lastOfMonth).Sub(w.Now()))
			transfer := func(minor int64) error {
				w.Ledger.Set(to.WalletID.String(), 0) // its maximum is another test's
				w.Ledger.Set(from.WalletID.String(), s.maximum)
				q, err := quote(minor)
				if err != nil {
					return err
				}
				sent, err := w.App.CreateTransfer(w.Approve(ctx, q.ID), app.TransferInput{Key: uuid.NewString(), QuoteID: q.ID})
				if err == nil && (sent.Status != domain.TransferCompleted || w.Ledger.Balance(to.WalletID.String()) != minor) {
					t.Errorf("a transfer of %d is %s, the recipient has %d", minor, sent.Status, w.Ledger.Balance(to.WalletID.String()))
				}
				return err
			}
			for spent := int64(0); spent < s.perDay; spent += s.perTransaction / 2 {
				if err := transfer(s.perTransaction / 2); err != nil {
					t.Fatalf("a transfer after %d: %v", spent, err)
				}
			}
			if err := transfer(1); !errors.Is(err, domain.ErrLimitDay) {
				t.Errorf("above the limit of a day: %v", err)
			}
			w.Advance(instant(t, s.next).Sub(w.Now()))
			if err := transfer(1); err != nil {
				t.Errorf("on the next day: %v", err)
			}
			got := w.Text(`SELECT string_agg(span || ' ' || starts_on || ' ' || amount_minor, ', ' ORDER BY starts_on, span)
				FROM limit_usage WHERE starts_on >= $1::date`, s.day)
			if want := fmt.Sprintf("day %s 1, month %s 1", s.day, s.month); got != want {
				t.Errorf("used: %s, want %s", got, want)
			}
		})
	}
}

func instant(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// TestUgandansOfBefore: a wallet that was opened when no balance was allowed in its country takes money after the upgrade.
func TestUgandansOfBefore(t *testing.T) {
	t.Parallel()
	db, upgrade := testworld.Older(t, "00001_init.sql", "00002_claims.sql", "00003_standing.sql", "00004_prompts.sql")
	wallets := map[string]uuid.UUID{}
	for code, currency := range map[string]string{"UG": "UGX", "KE": "KES"} {
		user := uuid.Must(uuid.NewV7())
		wallets[code] = uuid.Must(uuid.NewV7())
		if _, err := db.Pool.Exec(t.Context(), `INSERT INTO customers (user_id, status, tier, country, version, updated_at)
			VALUES ($1, 'active', 2, $2, 1, $3)`, user, code, servicetest.Start); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Pool.Exec(t.Context(), `INSERT INTO wallets (id, user_id, currency, status, created_at, opened_at)
			VALUES ($1, $2, $3, 'open', $4, $4)`, wallets[code], user, currency, servicetest.Start); err != nil {
			t.Fatal(err)
		}
	}
	upgrade()
	w := testworld.On(t, db)
	if n := w.Count("SELECT count(*) FROM river_job WHERE kind = 'wallet.open_account'"); n != 1 {
		t.Errorf("%d wallets are told", n)
	}
	w.Advance(time.Since(w.Now()) + time.Minute) // the migration's job stands at the database's time, which is the real one
	w.RunJobs()
	servicetest.Eventually(t, "the ledger is told", func() bool { return w.Ledger.Maximum(wallets["UG"]) == 20_000_000 })
}
