package app

import (
	"context"
	"fmt"
	"time"

	"github.com/sendtip/sendtip/generated/scopes"
	walletdb "github.com/sendtip/sendtip/generated/wallet/db"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/money"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

// EstimateFee prices an amount for the caller's country, or for the one named, or for the platform's. Partners have none of their own.
func (a *App) EstimateFee(ctx context.Context, kind, country string, amount money.Money) (domain.Price, error) {
	rules, err := a.rules(ctx)
	if err != nil {
		return domain.Price{}, err
	}
	c := domain.Customer{Country: country}
	if userID, ok := auth.From(ctx).UserID(); ok && country == "" {
		if c, err = a.customer(ctx, userID); err != nil {
			return domain.Price{}, err
		}
	}
	if c.Country == "" {
		c.Country = a.Country
	}
	return rules.Price(c, kind, amount, a.Now())
}

// PriceOperation prices what another service sells to customers of a country and tier.
func (a *App) PriceOperation(ctx context.Context, c domain.Customer, kind string, amount money.Money) (domain.Price, error) {
	if err := auth.Require(ctx, scopes.PricesRead); err != nil {
		return domain.Price{}, err
	}
	rules, err := a.rules(ctx)
	if err != nil {
		return domain.Price{}, err
	}
	return rules.Price(c, kind, amount, a.Now())
}

// LimitUse is one limit with what is used of it.
type LimitUse struct {
	domain.Limit
	Used domain.Used
}

// Limits are what a customer may do.
type Limits struct {
	Customer domain.Customer
	Day      time.Time // the local day, at 00:00 UTC
	Limits   []LimitUse
	Balances []domain.BalanceLimit
}

// GetLimits returns the caller's limits and what is used of them today and this month.
func (a *App) GetLimits(ctx context.Context) (Limits, error) {
	userID, err := auth.UserFrom(ctx)
	if err != nil {
		return Limits{}, err
	}
	rules, err := a.rules(ctx)
	if err != nil {
		return Limits{}, err
	}
	c, err := a.customer(ctx, userID)
	if err != nil {
		return Limits{}, err
	}
	now := a.Now()
	period := domain.PeriodOf(c.Country, now)
	rows, err := a.q.ListUsage(ctx, a.Pool, userID, date(period.Day), date(period.Month))
	if err != nil {
		return Limits{}, fmt.Errorf("list usage: %w", err)
	}
	out := Limits{Customer: c, Day: period.Day, Balances: rules.BalancesOf(c, now)}
	for _, l := range rules.LimitsOf(c, now) {
		out.Limits = append(out.Limits, LimitUse{Limit: l, Used: usedOf(rows, l)})
	}
	return out, nil
}

func usedOf(rows []walletdb.ListUsageRow, l domain.Limit) domain.Used {
	var u domain.Used
	for _, r := range rows {
		switch {
		case r.Kind != l.Kind || r.Currency != l.Currency:
		case r.Span == "day":
			u.Day = r.AmountMinor
		default:
			u.Month = r.AmountMinor
		}
	}
	return u
}
