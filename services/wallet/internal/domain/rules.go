package domain

import (
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/sendtip/sendtip/kit/country"
	"github.com/sendtip/sendtip/kit/money"
)

// Kinds of payments that prices and limits are for. Transfers and top-ups are this service's; the others are sold by other services.
const (
	KindTransfer         = "transfer"
	KindTopup            = "topup"
	KindDeposit          = "deposit"
	KindWithdrawal       = "withdrawal"
	KindCashIn           = "cash_in"
	KindCashOut          = "cash_out"
	KindLoanDisbursement = "loan_disbursement"
	KindLoanRepayment    = "loan_repayment"
	KindSavings          = "savings"
)

var kinds = []string{KindTransfer, KindTopup, KindDeposit, KindWithdrawal, KindCashIn, KindCashOut, KindLoanDisbursement, KindLoanRepayment,
	KindSavings}

// IsKind says whether there are payments of a kind.
func IsKind(kind string) bool { return slices.Contains(kinds, kind) }

// Rules are the effective-dated prices, taxes and limits. Of the rows for one thing, the one with the latest date that is not in the
// future counts; rows are only ever added.
type Rules struct {
	Tariffs  []Tariff
	Taxes    []Tax
	Limits   []Limit
	Balances []BalanceLimit
}

// Tariff prices one kind of payment in one currency.
type Tariff struct {
	ID                      int32
	Tier                    *int16 // whom it is for; nil: all tiers that have none of their own
	Country, Kind, Currency string
	ExciseIncluded          bool // the fee contains the duty; else the duty comes on top
	EffectiveFrom           time.Time
	Bands                   []Band // by UpTo, ascending
}

// Band gives the fee of all amounts up to and including UpTo that no lower band covers; minor units.
type Band struct{ UpTo, Fee int64 }

// Tax is a rate on fees, in parts per million.
type Tax struct {
	ID            int32
	Country, Name string
	RatePPM       int64
	EffectiveFrom time.Time
}

// TaxExcise is the duty on the fees of money transfers.
const TaxExcise = "excise"

const ppm = 1_000_000

// Price is what a payment costs on top of its amount.
type Price struct {
	Amount, Fee, Excise money.Money
	Version             string // the rows that made it
}

// Total is amount, fee and excise.
func (p Price) Total() (money.Money, error) {
	sum, err := p.Amount.Add(p.Fee)
	if err != nil {
		return money.Money{}, err
	}
	return sum.Add(p.Excise)
}

// Price finds the fee of an amount and the excise duty on it (Kenya: Excise Duty Act, on the fee, not on the amount), rounded half up to
// the minor unit. It answers ErrNoPrice when no tariff covers the amount.
func (r Rules) Price(c Customer, kind string, amount money.Money, at time.Time) (Price, error) {
	tariff, found := r.tariff(c, kind, amount.Currency, at)
	if !found || amount.Amount <= 0 {
		return Price{}, ErrNoPrice
	}
	i := sort.Search(len(tariff.Bands), func(i int) bool { return tariff.Bands[i].UpTo >= amount.Amount })
	if i == len(tariff.Bands) {
		return Price{}, ErrNoPrice
	}
	fee, tax := tariff.Bands[i].Fee, r.tax(c.Country, TaxExcise, at)
	den := int64(ppm)
	if tariff.ExciseIncluded {
		den += tax.RatePPM // of a fee that contains the duty, rate/(1+rate) is duty
	}
	excise, err := money.MulRatioHalfUp(fee, tax.RatePPM, den)
	if err != nil {
		return Price{}, err
	}
	if tariff.ExciseIncluded {
		fee -= excise
	}
	return Price{Amount: amount, Fee: money.Money{Amount: fee, Currency: amount.Currency},
		Excise: money.Money{Amount: excise, Currency: amount.Currency}, Version: fmt.Sprintf("%d.%d", tariff.ID, tax.ID)}, nil
}

// tariff is the one in force: that of the customer's tier, whatever its date, goes before the one of all tiers.
func (r Rules) tariff(c Customer, kind, currency string, at time.Time) (found Tariff, ok bool) {
	for _, t := range r.Tariffs {
		if t.Country != c.Country || t.Kind != kind || t.Currency != currency || !inForce(t.EffectiveFrom, at) ||
			t.Tier != nil && *t.Tier != c.Tier {
			continue
		}
		own, before := t.Tier != nil, found.Tier != nil
		if !ok || own && !before || own == before && t.EffectiveFrom.After(found.EffectiveFrom) {
			found, ok = t, true
		}
	}
	return found, ok
}

// tax is the rate in force; without a row nothing is taxed.
func (r Rules) tax(country, name string, at time.Time) (found Tax) {
	for _, t := range r.Taxes {
		if t.Country == country && t.Name == name && inForce(t.EffectiveFrom, at) && !t.EffectiveFrom.Before(found.EffectiveFrom) {
			found = t
		}
	}
	return found
}

func inForce(from, at time.Time) bool { return !from.After(at) }

// Limit is what a tier may pay of one kind in one currency; minor units.
type Limit struct {
	Country                          string
	Tier                             int16
	Kind, Currency                   string
	PerTransaction, PerDay, PerMonth int64
	EffectiveFrom                    time.Time
}

// BalanceLimit is the highest balance of a tier's wallet in one currency; minor units.
type BalanceLimit struct {
	Country       string
	Tier          int16
	Currency      string
	Maximum       int64
	EffectiveFrom time.Time
}

// Limit returns the limit in force. Without a row everything is zero, as for tier 0.
func (r Rules) Limit(c Customer, kind, currency string, at time.Time) Limit {
	found := Limit{Country: c.Country, Tier: c.Tier, Kind: kind, Currency: currency}
	for _, l := range r.LimitsOf(c, at) {
		if l.Kind == kind && l.Currency == currency {
			found = l
		}
	}
	return found
}

// LimitsOf returns the limits in force for a customer, one per kind and currency, in the order of the rows.
func (r Rules) LimitsOf(c Customer, at time.Time) []Limit {
	var out []Limit
	place := map[[2]string]int{}
	for _, l := range r.Limits {
		if l.Country != c.Country || l.Tier != c.Tier || !inForce(l.EffectiveFrom, at) {
			continue
		}
		key := [2]string{l.Kind, l.Currency}
		i, known := place[key]
		switch {
		case !known:
			place[key] = len(out)
			out = append(out, l)
		case l.EffectiveFrom.After(out[i].EffectiveFrom):
			out[i] = l
		}
	}
	return out
}

// BalancesOf returns the highest balances in force for a customer, one per currency, in the order of the rows.
func (r Rules) BalancesOf(c Customer, at time.Time) []BalanceLimit {
	var out []BalanceLimit
	place := map[string]int{}
	for _, b := range r.Balances {
		if b.Country != c.Country || b.Tier != c.Tier || !inForce(b.EffectiveFrom, at) {
			continue
		}
		i, known := place[b.Currency]
		switch {
		case !known:
			place[b.Currency] = len(out)
			out = append(out, b)
		case b.EffectiveFrom.After(out[i].EffectiveFrom):
			out[i] = b
		}
	}
	return out
}

// MaximumBalance returns the highest balance, and false when the customer may not hold the currency.
func (r Rules) MaximumBalance(c Customer, currency string, at time.Time) (int64, bool) {
	for _, b := range r.BalancesOf(c, at) {
		if b.Currency == currency {
			return b.Maximum, true
		}
	}
	return 0, false
}

// Used is what a customer has paid of one kind in one currency, running payments included; minor units.
type Used struct{ Day, Month int64 }

// CheckAmount refuses an amount above the limit per payment.
func (l Limit) CheckAmount(minor int64) error {
	if minor > l.PerTransaction {
		return ErrLimitTransaction
	}
	return nil
}

// CheckUsed refuses what was used, the new payment included, above the limits of day and month.
func (l Limit) CheckUsed(u Used) error {
	switch {
	case u.Day > l.PerDay:
		return ErrLimitDay
	case u.Month > l.PerMonth:
		return ErrLimitMonth
	}
	return nil
}

// Period is the local day and the first day of the local month that a payment counts for, as dates at 00:00 UTC.
type Period struct{ Day, Month time.Time }

// PeriodOf returns the period of an instant in the days of a country.
func PeriodOf(code string, at time.Time) Period {
	c := country.OrDefault(code)
	return Period{Day: c.Day(at), Month: c.Month(at)}
}
