package domain_test

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sendtip/sendtip/kit/money"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

var (
	day0 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	day1 = day0.AddDate(0, 1, 0)
)

func rules(included bool) domain.Rules {
	return domain.Rules{
		Tariffs: []domain.Tariff{
			{Country: "KE", Kind: "transfer", Currency: "KES", ExciseIncluded: included, EffectiveFrom: day0,
				Bands: []domain.Band{{100, 0}, {500, 7}, {1000, 13}}},
			{Country: "KE", Kind: "transfer", Currency: "KES", ExciseIncluded: included, EffectiveFrom: day1, Bands: []domain.Band{{1000, 20}}},
			{Country: "UG", Kind: "transfer", Currency: "KES", EffectiveFrom: day0, Bands: []domain.Band{{1000, 99}}},
		},
		Taxes: []domain.Tax{{1, "KE", "excise", 200000, day0.AddDate(-1, 0, 0)}, {2, "KE", "excise", 150000, day0},
			{3, "KE", "excise", 500000, day1}, {4, "KE", "vat", 999999, day0}},
	}
}

func TestPrice(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		amount, fee, excise int64
		at                  time.Time
		included            bool
		err                 error
	}{
		"free_band_edge":       {100, 0, 0, day0, false, nil},
		"first_paid":           {101, 7, 1, day0, false, nil}, // 1.05
		"band_edge":            {500, 7, 1, day0, false, nil},
		"next_band":            {501, 13, 2, day0, false, nil}, // 1.95
		"last_band_edge":       {1000, 13, 2, day0, false, nil},
		"above_last_band":      {1001, 0, 0, day0, false, domain.ErrNoPrice},
		"zero":                 {0, 0, 0, day0, false, domain.ErrNoPrice},
		"instant_before":       {500, 7, 1, day1.Add(-time.Nanosecond), false, nil},
		"new_tariff_on_time":   {500, 20, 10, day1, false, nil},
		"before_first_tariff":  {500, 0, 0, day0.Add(-time.Nanosecond), false, domain.ErrNoPrice},
		"included_in_the_fee":  {501, 11, 2, day0, true, nil}, // 13 x 0.15/1.15 = 1.696
		"included_next_tariff": {501, 13, 7, day1, true, nil}, // 20 x 0.5/1.5 = 6.67
	}
	for name, c := range cases {
		p, err := rules(c.included).Price(domain.Customer{Country: "KE"}, "transfer", money.Money{Amount: c.amount, Currency: "KES"}, c.at)
		if !errors.Is(err, c.err) || p.Fee.Amount != c.fee || p.Excise.Amount != c.excise {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	for _, other := range [][3]string{{"RW", "transfer", "KES"}, {"KE", "topup", "KES"}, {"KE", "transfer", "USD"}} {
		if _, err := rules(false).Price(domain.Customer{Country: other[0]}, other[1], money.Money{Amount: 500, Currency: other[2]},
			day0); !errors.Is(err, domain.ErrNoPrice) {
			t.Errorf("%v: %v", other, err)
		}
	}
}

// TestPriceProperties holds the price against an independent reading of the rule for random tariffs and amounts.
func TestPriceProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var bands []domain.Band
		top := int64(0)
		for range rapid.IntRange(1, 12).Draw(t, "bands") {
			top += rapid.Int64Range(1, 1_000_000).Draw(t, "width")
			bands = append(bands, domain.Band{UpTo: top, Fee: rapid.Int64Range(0, 50_000).Draw(t, "fee")})
		}
		rate := rapid.Int64Range(0, 1_000_000).Draw(t, "rate")
		included := rapid.Bool().Draw(t, "included")
		r := domain.Rules{Tariffs: []domain.Tariff{{Country: "KE", Kind: "transfer", Currency: "KES", ExciseIncluded: included,
			EffectiveFrom: day0, Bands: bands}},
			Taxes: []domain.Tax{{1, "KE", "excise", rate, day0}}}
		amount := rapid.Int64Range(1, top+10).Draw(t, "amount")
		p, err := r.Price(domain.Customer{Country: "KE"}, "transfer", money.Money{Amount: amount, Currency: "KES"}, day1)
		if amount > top {
			if !errors.Is(err, domain.ErrNoPrice) {
				t.Fatalf("above the last band: %v", err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		var banded int64
		for i := len(bands) - 1; i >= 0; i-- {
			if amount <= bands[i].UpTo {
				banded = bands[i].Fee
			}
		}
		total, err := p.Total()
		if err != nil {
			t.Fatal(err)
		}
		if included {
			if total.Amount != amount+banded {
				t.Fatalf("the duty is not within the fee: %+v", p)
			}
			// The duty is what the rate makes of the net fee, to within the rounding.
			if diff := p.Excise.Amount*(1_000_000+rate) - banded*rate; diff > (1_000_000+rate)/2 || -diff > (1_000_000+rate)/2 {
				t.Fatalf("duty %d of fee %d", p.Excise.Amount, banded)
			}
			return
		}
		exact := banded * rate
		up := exact / 1_000_000
		if exact%1_000_000*2 >= 1_000_000 {
			up++
		}
		if p.Fee.Amount != banded || p.Excise.Amount != up || total.Amount != amount+banded+up {
			t.Fatalf("price %+v, want fee %d and duty %d", p, banded, up)
		}
	})
}

func TestLimits(t *testing.T) {
	t.Parallel()
	r := domain.Rules{
		Limits: []domain.Limit{
			{"KE", 1, "transfer", "KES", 70, 140, 300, day0}, {"KE", 1, "transfer", "KES", 80, 160, 300, day1},
			{"KE", 2, "transfer", "KES", 250, 500, 900, day0},
		},
		Balances: []domain.BalanceLimit{{"KE", 1, "KES", 100, day0}, {"KE", 1, "KES", 120, day1}},
	}
	one := domain.Customer{Country: "KE", Tier: 1}
	l := r.Limit(one, "transfer", "KES", day0)
	for _, c := range []struct {
		err  error
		want error
	}{
		{l.CheckAmount(70), nil}, {l.CheckAmount(71), domain.ErrLimitTransaction},
		{l.CheckUsed(domain.Used{Day: 140, Month: 300}), nil}, {l.CheckUsed(domain.Used{Day: 141, Month: 200}), domain.ErrLimitDay},
		{l.CheckUsed(domain.Used{Day: 140, Month: 301}), domain.ErrLimitMonth},
		{r.Limit(one, "transfer", "KES", day1).CheckAmount(80), nil},
		{r.Limit(domain.Customer{Country: "KE"}, "transfer", "KES", day1).CheckAmount(1), domain.ErrLimitTransaction},
		{r.Limit(one, "topup", "KES", day1).CheckAmount(1), domain.ErrLimitTransaction},
		{r.Limit(one, "transfer", "KES", day0.Add(-time.Second)).CheckAmount(1), domain.ErrLimitTransaction},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("got %v, want %v", c.err, c.want)
		}
	}
	if m, ok := r.MaximumBalance(one, "KES", day1); !ok || m != 120 {
		t.Errorf("maximum %d, %v", m, ok)
	}
	if _, ok := r.MaximumBalance(one, "USD", day1); ok {
		t.Error("a currency without a row may be held")
	}
	if got := r.LimitsOf(one, day1); len(got) != 1 || got[0].PerDay != 160 {
		t.Errorf("limits: %+v", got)
	}
}

// TestLimitProperties adds random payments the way the counters do: what is accepted never exceeds a limit, and what is refused would have.
func TestLimitProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := domain.Limit{PerTransaction: rapid.Int64Range(0, 100).Draw(t, "per_transaction"),
			PerDay:   rapid.Int64Range(0, 300).Draw(t, "per_day"),
			PerMonth: rapid.Int64Range(0, 600).Draw(t, "per_month")}
		var u domain.Used
		for range rapid.IntRange(1, 40).Draw(t, "payments") {
			if rapid.IntRange(0, 9).Draw(t, "next_day") == 0 {
				u.Day = 0
			}
			amount := rapid.Int64Range(1, 120).Draw(t, "amount")
			next := domain.Used{Day: u.Day + amount, Month: u.Month + amount}
			accepted := l.CheckAmount(amount) == nil && l.CheckUsed(next) == nil
			fits := amount <= l.PerTransaction && next.Day <= l.PerDay && next.Month <= l.PerMonth
			if accepted != fits {
				t.Fatalf("%d at %+v of %+v: accepted %v", amount, u, l, accepted)
			}
			if accepted {
				u = next
			}
		}
	})
}

func TestPeriodOf(t *testing.T) {
	t.Parallel()
	date := func(m time.Month, d int) time.Time { return time.Date(2026, m, d, 0, 0, 0, 0, time.UTC) }
	for _, c := range []struct {
		country    string
		at         time.Time
		day, month time.Time
	}{
		{"KE", time.Date(2026, 11, 23, 20, 59, 59, 0, time.UTC), date(11, 23), date(11, 1)},
		{"KE", time.Date(2026, 11, 23, 21, 0, 0, 0, time.UTC), date(11, 24), date(11, 1)},
		{"KE", time.Date(2026, 11, 30, 21, 0, 0, 0, time.UTC), date(12, 1), date(12, 1)},
		{"RW", time.Date(2026, 11, 30, 21, 30, 0, 0, time.UTC), date(11, 30), date(11, 1)},
	} {
		if p := domain.PeriodOf(c.country, c.at); !p.Day.Equal(c.day) || !p.Month.Equal(c.month) {
			t.Errorf("%s %s: %+v", c.country, c.at, p)
		}
	}
}

// TestPriceOfTier: a tariff of the customer's tier goes before the one of all tiers, also when that one is newer; the version names tariff
// and tax.
func TestPriceOfTier(t *testing.T) {
	t.Parallel()
	two := int16(2)
	tariff := func(id int32, tier *int16, from time.Time, fee int64) domain.Tariff {
		return domain.Tariff{ID: id, Tier: tier, Country: "KE", Kind: domain.KindCashOut, Currency: "KES", EffectiveFrom: from,
			Bands: []domain.Band{{1000, fee}}}
	}
	all := []domain.Tariff{tariff(1, nil, day0, 1), tariff(2, &two, day0, 2), tariff(3, nil, day1, 3), tariff(4, &two, day1.Add(time.Hour), 4)}
	for _, order := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}} {
		r := domain.Rules{Taxes: []domain.Tax{{7, "KE", "excise", 0, day0}}}
		for _, i := range order {
			r.Tariffs = append(r.Tariffs, all[i])
		}
		for _, c := range []struct {
			tier    int16
			at      time.Time
			fee     int64
			version string
		}{{1, day0, 1, "1.7"}, {2, day0, 2, "2.7"}, {1, day1, 3, "3.7"}, {2, day1, 2, "2.7"}, {2, day1.Add(time.Hour), 4, "4.7"}} {
			p, err := r.Price(domain.Customer{Country: "KE", Tier: c.tier}, domain.KindCashOut, money.Money{Amount: 500, Currency: "KES"}, c.at)
			if err != nil || p.Fee.Amount != c.fee || p.Version != c.version {
				t.Errorf("%v, %+v: %+v, %v", order, c, p, err)
			}
		}
	}
}
