package app

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	walletdb "github.com/sendtip/sendtip/generated/wallet/db"
	"github.com/sendtip/sendtip/kit/clock"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

// rulesFresh is how long loaded rules are used. Rows are dated ahead by more (domain.RuleLead), so a new price begins on time all the same.
const rulesFresh = 10 * time.Second

// rules returns all prices, taxes and limits. They are a few hundred rows that change a few times a year; reading them for each payment
// would cost more than the payment. Call it outside transactions: it may take a connection of its own.
func (a *App) rules(ctx context.Context) (domain.Rules, error) {
	a.rulesMu.Lock()
	defer a.rulesMu.Unlock()
	now := a.Now() // a test platform's clock moves faster than the time passes
	if age := clock.Monotonic().Sub(a.rulesLoaded); !a.rulesLoaded.IsZero() && age < rulesFresh && now.Sub(a.rulesAt).Abs() < rulesFresh {
		return a.rulesCache, nil
	}
	r, err := a.loadRules(ctx, a.Pool)
	if err != nil {
		return domain.Rules{}, fmt.Errorf("load rules: %w", err)
	}
	a.rulesCache, a.rulesLoaded, a.rulesAt = r, clock.Monotonic(), now
	return r, nil
}

func (a *App) loadRules(ctx context.Context, db walletdb.DBTX) (domain.Rules, error) {
	var r domain.Rules
	tariffs, err := a.q.ListTariffs(ctx, db)
	if err != nil {
		return r, err
	}
	last := int32(-1)
	for _, t := range tariffs { // by tariff, then by band
		if t.ID != last {
			last = t.ID
			r.Tariffs = append(r.Tariffs, domain.Tariff{ID: t.ID, Tier: t.Tier, Country: t.Country, Kind: t.Kind, Currency: t.Currency,
				ExciseIncluded: t.ExciseIncluded, EffectiveFrom: t.EffectiveFrom})
		}
		current := &r.Tariffs[len(r.Tariffs)-1]
		current.Bands = append(current.Bands, domain.Band{UpTo: t.UpToMinor, Fee: t.FeeMinor})
	}
	taxes, err := a.q.ListTaxes(ctx, db)
	if err != nil {
		return r, err
	}
	for _, t := range taxes {
		r.Taxes = append(r.Taxes, domain.Tax{ID: t.ID, Country: t.Country, Name: t.Tax, RatePPM: t.RatePpm,
			EffectiveFrom: t.EffectiveFrom})
	}
	limits, err := a.q.ListLimits(ctx, db)
	if err != nil {
		return r, err
	}
	for _, l := range limits {
		r.Limits = append(r.Limits, domain.Limit{Country: l.Country, Tier: l.Tier, Kind: l.Kind, Currency: l.Currency,
			PerTransaction: l.PerTransactionMinor, PerDay: l.PerDayMinor, PerMonth: l.PerMonthMinor, EffectiveFrom: l.EffectiveFrom})
	}
	balances, err := a.q.ListBalanceLimits(ctx, db)
	for _, b := range balances {
		r.Balances = append(r.Balances, domain.BalanceLimit{Country: b.Country, Tier: b.Tier, Currency: b.Currency,
			Maximum: b.MaximumMinor, EffectiveFrom: b.EffectiveFrom})
	}
	return r, err
}

func date(t time.Time) pgtype.Date { return pgtype.Date{Time: t, Valid: true} }
