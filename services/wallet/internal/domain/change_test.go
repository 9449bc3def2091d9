package domain_test

import (
	"errors"
	"testing"
	"time"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/money"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

// TestJudgeTariff: each rule of a price list, on both sides of its edge.
func TestJudgeTariff(t *testing.T) {
	t.Parallel()
	one, two := int16(1), int16(2)
	start := day1.Add(time.Minute)
	rules := domain.Rules{
		Limits: []domain.Limit{{Country: "KE", Tier: 1, Kind: domain.KindCashOut, Currency: "KES", PerTransaction: 1000, EffectiveFrom: day0},
			{Country: "KE", Tier: 2, Kind: domain.KindCashOut, Currency: "KES", PerTransaction: 2000, EffectiveFrom: day0},
			{Country: "KE", Tier: 2, Kind: domain.KindCashOut, Currency: "KES", PerTransaction: 9000, EffectiveFrom: start.Add(time.Second)}},
		Tariffs: []domain.Tariff{{Country: "KE", Kind: domain.KindCashOut, Currency: "KES", Tier: &two, EffectiveFrom: start.Add(time.Hour)}},
	}
	bands := func(parts ...int64) (out []domain.BandChange) {
		for i := 0; i < len(parts); i += 3 {
			out = append(out, domain.BandChange{From: parts[i], UpTo: parts[i+1], Fee: parts[i+2]})
		}
		return out
	}
	for name, c := range map[string]struct {
		change func(c *domain.TariffChange)
		err    error
	}{
		"as it should be":        {func(*domain.TariffChange) {}, nil},
		"country":                {func(c *domain.TariffChange) { c.Country = "XX" }, fault.ErrInvalid},
		"kind":                   {func(c *domain.TariffChange) { c.Kind = "gift" }, fault.ErrInvalid},
		"currency":               {func(c *domain.TariffChange) { c.Currency = "XXX" }, fault.ErrInvalid},
		"too soon":               {func(c *domain.TariffChange) { c.EffectiveFrom = start.Add(-time.Microsecond) }, domain.ErrTooSoon},
		"in the past":            {func(c *domain.TariffChange) { c.EffectiveFrom = day0 }, domain.ErrTooSoon},
		"no band":                {func(c *domain.TariffChange) { c.Bands = nil }, domain.ErrBands},
		"from zero":              {func(c *domain.TariffChange) { c.Bands = bands(0, 1000, 5) }, domain.ErrBands},
		"not from one":           {func(c *domain.TariffChange) { c.Bands = bands(2, 1000, 1) }, domain.ErrBands},
		"hole":                   {func(c *domain.TariffChange) { c.Bands = bands(1, 100, 0, 102, 1000, 5) }, domain.ErrBands},
		"overlap":                {func(c *domain.TariffChange) { c.Bands = bands(1, 100, 0, 100, 1000, 5) }, domain.ErrBands},
		"backwards":              {func(c *domain.TariffChange) { c.Bands = bands(1, 100, 0, 101, 100, 5) }, domain.ErrBands},
		"negative fee":           {func(c *domain.TariffChange) { c.Bands = bands(1, 1000, -1) }, domain.ErrBands},
		"fee above its band":     {func(c *domain.TariffChange) { c.Bands = bands(1, 10, 11) }, domain.ErrBands},
		"fee of the whole band":  {func(c *domain.TariffChange) { c.Bands = bands(1, 10, 10) }, nil},
		"beyond all numbers":     {func(c *domain.TariffChange) { c.Bands = bands(1, money.Max+1, 0) }, domain.ErrBands},
		"beyond the limits":      {func(c *domain.TariffChange) { c.Bands = bands(1, 2001, 5) }, domain.ErrBeyondLimit},
		"the limits to come":     {func(c *domain.TariffChange) { c.Bands, c.EffectiveFrom = bands(1, 9000, 5), start.Add(time.Second) }, nil},
		"beyond the tier's":      {func(c *domain.TariffChange) { c.Tier, c.Bands = &one, bands(1, 1001, 5) }, domain.ErrBeyondLimit},
		"of a tier":              {func(c *domain.TariffChange) { c.Tier, c.Bands = &one, bands(1, 1000, 5) }, nil},
		"same moment":            {func(c *domain.TariffChange) { c.Tier, c.EffectiveFrom = &two, start.Add(time.Hour) }, domain.ErrRuleExists},
		"same moment, all tiers": {func(c *domain.TariffChange) { c.EffectiveFrom = start.Add(time.Hour) }, nil},
	} {
		change := domain.TariffChange{Country: "KE", Kind: domain.KindCashOut, Currency: "KES", EffectiveFrom: start,
			Bands: bands(1, 100, 0, 101, 2000, 5)}
		c.change(&change)
		if err := change.Judge(rules, day1); !errors.Is(err, c.err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestJudgeTaxAndLimit: each rule of a rate and of a limit.
func TestJudgeTaxAndLimit(t *testing.T) {
	t.Parallel()
	start := day1.Add(time.Minute)
	rules := domain.Rules{Taxes: []domain.Tax{{1, "KE", "excise", 1, start.Add(time.Hour)}},
		Limits: []domain.Limit{{Country: "KE", Tier: 1, Kind: "savings", Currency: "KES", EffectiveFrom: start.Add(time.Hour)}}}
	for name, c := range map[string]struct {
		change domain.TaxChange
		err    error
	}{
		"as it should be": {domain.TaxChange{"KE", "excise", 1_000_000, start}, nil},
		"free":            {domain.TaxChange{"KE", "excise", 0, start}, nil},
		"country":         {domain.TaxChange{"XX", "excise", 1, start}, fault.ErrInvalid},
		"tax":             {domain.TaxChange{"KE", "vat", 1, start}, fault.ErrInvalid},
		"negative":        {domain.TaxChange{"KE", "excise", -1, start}, fault.ErrInvalid},
		"above all":       {domain.TaxChange{"KE", "excise", 1_000_001, start}, fault.ErrInvalid},
		"too soon":        {domain.TaxChange{"KE", "excise", 1, start.Add(-time.Microsecond)}, domain.ErrTooSoon},
		"same moment":     {domain.TaxChange{"KE", "excise", 1, start.Add(time.Hour)}, domain.ErrRuleExists},
	} {
		if err := c.change.Judge(rules, day1); !errors.Is(err, c.err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, c := range map[string]struct {
		change domain.LimitChange
		err    error
	}{
		"as it should be":  {domain.LimitChange{"KE", 1, "savings", "KES", 1, 1, 1, start}, nil},
		"nothing":          {domain.LimitChange{"KE", 0, "savings", "KES", 0, 0, 0, start}, nil},
		"country":          {domain.LimitChange{"XX", 1, "savings", "KES", 1, 2, 3, start}, fault.ErrInvalid},
		"tier":             {domain.LimitChange{"KE", domain.MaxTier + 1, "savings", "KES", 1, 2, 3, start}, fault.ErrInvalid},
		"kind":             {domain.LimitChange{"KE", 1, "gift", "KES", 1, 2, 3, start}, fault.ErrInvalid},
		"currency":         {domain.LimitChange{"KE", 1, "savings", "XXX", 1, 2, 3, start}, fault.ErrInvalid},
		"payment over day": {domain.LimitChange{"KE", 1, "savings", "KES", 3, 2, 3, start}, domain.ErrLimitOrder},
		"day over month":   {domain.LimitChange{"KE", 1, "savings", "KES", 1, 4, 3, start}, domain.ErrLimitOrder},
		"negative":         {domain.LimitChange{"KE", 1, "savings", "KES", -1, 2, 3, start}, domain.ErrLimitOrder},
		"beyond":           {domain.LimitChange{"KE", 1, "savings", "KES", 1, 2, money.Max + 1, start}, domain.ErrLimitOrder},
		"too soon":         {domain.LimitChange{"KE", 1, "savings", "KES", 1, 2, 3, start.Add(-time.Microsecond)}, domain.ErrTooSoon},
		"same moment":      {domain.LimitChange{"KE", 1, "savings", "KES", 1, 2, 3, start.Add(time.Hour)}, domain.ErrRuleExists},
	} {
		if err := c.change.Judge(rules, day1); !errors.Is(err, c.err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
