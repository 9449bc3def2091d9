package domain

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/sendtip/sendtip/kit/country"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/money"
)

// RuleLead is how long after its approval a new rule begins at the earliest. The owner's function add_rule demands the same: by then every
// replica has read it.
const RuleLead = 60 * time.Second

// Refusals of a change of prices, taxes and limits.
var (
	ErrTooSoon    = fault.New(fault.Unprocessable, "effective_too_soon", "The change must begin at least 60 seconds from now.")
	ErrRuleExists = fault.New(fault.Conflict, "rule_exists", "Another change begins at that moment already.")
	ErrBands      = fault.New(fault.Unprocessable, "tariff_bands",
		"The bands must follow each other from 1 without holes or overlaps, and no fee may exceed its band.")
	ErrBeyondLimit = fault.New(fault.Unprocessable, "tariff_beyond_limits", "The last band ends above the highest limit per payment.")
	ErrLimitOrder  = fault.New(fault.Unprocessable, "limits_order", "A payment's limit may not exceed the day's, nor that the month's.")
)

// TariffChange is a price list as two people agree on it. Its JSON is what the checker is shown and what add_rule stores: a field's name
// never changes.
type TariffChange struct {
	Country        string       `json:"country"`
	Kind           string       `json:"kind"`
	Currency       string       `json:"currency"`
	Tier           *int16       `json:"tier,omitempty"`
	ExciseIncluded bool         `json:"excise_included"`
	EffectiveFrom  time.Time    `json:"effective_from"`
	Bands          []BandChange `json:"bands"`
}

// BandChange is the fee of the amounts of one band, with both its ends, so that nobody has to look at the band before.
type BandChange struct {
	From int64 `json:"from_minor"`
	UpTo int64 `json:"up_to_minor"`
	Fee  int64 `json:"fee_minor"`
}

// TaxChange is a rate as two people agree on it.
type TaxChange struct {
	Country       string    `json:"country"`
	Tax           string    `json:"tax"`
	RatePPM       int64     `json:"rate_ppm"`
	EffectiveFrom time.Time `json:"effective_from"`
}

// LimitChange is what a tier may pay, as two people agree on it.
type LimitChange struct {
	Country        string    `json:"country"`
	Tier           int16     `json:"tier"`
	Kind           string    `json:"kind"`
	Currency       string    `json:"currency"`
	PerTransaction int64     `json:"per_transaction_minor"`
	PerDay         int64     `json:"per_day_minor"`
	PerMonth       int64     `json:"per_month_minor"`
	EffectiveFrom  time.Time `json:"effective_from"`
}

// Judge says whether the change may be made on top of the rules as they are.
func (c TariffChange) Judge(r Rules, now time.Time) error {
	if err := judgeThing(c.Country, c.Kind, c.Currency, c.EffectiveFrom, now); err != nil {
		return err
	}
	if err := judgeBands(c.Bands); err != nil {
		return err
	}
	if c.Bands[len(c.Bands)-1].UpTo > r.highest(c) {
		return ErrBeyondLimit
	}
	if slices.ContainsFunc(r.Tariffs, func(t Tariff) bool {
		return t.Country == c.Country && t.Kind == c.Kind && t.Currency == c.Currency && sameTier(t.Tier, c.Tier) &&
			t.EffectiveFrom.Equal(c.EffectiveFrom)
	}) {
		return ErrRuleExists
	}
	return nil
}

// highest is the limit per payment of the tiers that the tariff is for, when it begins.
func (r Rules) highest(c TariffChange) (highest int64) {
	for tier := range int16(MaxTier + 1) {
		if c.Tier == nil || *c.Tier == tier {
			highest = max(highest, r.Limit(Customer{Country: c.Country, Tier: tier}, c.Kind, c.Currency, c.EffectiveFrom).PerTransaction)
		}
	}
	return highest
}

func judgeBands(bands []BandChange) error {
	if len(bands) == 0 {
		return ErrBands
	}
	next := int64(1)
	for _, b := range bands {
		if b.From != next || b.UpTo < b.From || b.UpTo > money.Max || b.Fee < 0 || b.Fee > b.UpTo {
			return ErrBands
		}
		next = b.UpTo + 1
	}
	return nil
}

func sameTier(a, b *int16) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }

// Judge says whether the change may be made on top of the rules as they are.
func (c TaxChange) Judge(r Rules, now time.Time) error {
	if _, known := country.Of(c.Country); !known {
		return unknown("/country")
	}
	switch {
	case c.Tax != TaxExcise:
		return unknown("/tax")
	case c.RatePPM < 0 || c.RatePPM > ppm:
		return fault.ErrInvalid.WithField("/rate_ppm", "range", "The rate must be from 0 to 1,000,000.")
	case c.EffectiveFrom.Before(now.Add(RuleLead)):
		return ErrTooSoon
	case slices.ContainsFunc(r.Taxes, func(t Tax) bool {
		return t.Country == c.Country && t.Name == c.Tax && t.EffectiveFrom.Equal(c.EffectiveFrom)
	}):
		return ErrRuleExists
	}
	return nil
}

// Judge says whether the change may be made on top of the rules as they are.
func (c LimitChange) Judge(r Rules, now time.Time) error {
	if err := judgeThing(c.Country, c.Kind, c.Currency, c.EffectiveFrom, now); err != nil {
		return err
	}
	switch {
	case c.Tier < 0 || c.Tier > MaxTier:
		return unknown("/tier")
	case c.PerTransaction < 0 || c.PerTransaction > c.PerDay || c.PerDay > c.PerMonth || c.PerMonth > money.Max:
		return ErrLimitOrder
	case slices.ContainsFunc(r.Limits, func(l Limit) bool {
		return l.Country == c.Country && l.Tier == c.Tier && l.Kind == c.Kind && l.Currency == c.Currency &&
			l.EffectiveFrom.Equal(c.EffectiveFrom)
	}):
		return ErrRuleExists
	}
	return nil
}

func judgeThing(in, kind, currency string, from, now time.Time) error {
	if _, known := country.Of(in); !known {
		return unknown("/country")
	}
	if !IsKind(kind) {
		return unknown("/kind")
	}
	if _, err := money.Decimals(currency); err != nil {
		return unknown("/currency")
	}
	if from.Before(now.Add(RuleLead)) {
		return ErrTooSoon
	}
	return nil
}

func unknown(field string) error {
	return fault.ErrInvalid.WithField(field, "enum", "The platform does not know this.")
}

// ChangeHash is the end of a change's name: an approval is good for the text that its checker was shown, and for no other.
func ChangeHash(change []byte) string {
	sum := sha256.Sum256(change)
	return hex.EncodeToString(sum[:12])
}

// Name says what a change is of, and when it begins.
func (c TariffChange) Name() string {
	tier := "all"
	if c.Tier != nil {
		tier = fmt.Sprint(*c.Tier)
	}
	return fmt.Sprintf("%s/%s/%s/%s/%d", c.Country, c.Kind, c.Currency, tier, c.EffectiveFrom.Unix())
}

// Name says what a change is of, and when it begins.
func (c TaxChange) Name() string {
	return fmt.Sprintf("%s/%s/%d", c.Country, c.Tax, c.EffectiveFrom.Unix())
}

// Name says what a change is of, and when it begins.
func (c LimitChange) Name() string {
	return fmt.Sprintf("%s/%s/%s/%d/%d", c.Country, c.Kind, c.Currency, c.Tier, c.EffectiveFrom.Unix())
}

// Coming is what holds of a country's rules and what is to come: rows that others have followed are left out.
func (r Rules) Coming(in string, at time.Time) Rules {
	var out Rules
	for _, t := range r.Tariffs {
		followed := slices.ContainsFunc(r.Tariffs, func(o Tariff) bool {
			return o.Country == in && o.Kind == t.Kind && o.Currency == t.Currency && sameTier(o.Tier, t.Tier) &&
				inForce(o.EffectiveFrom, at) && o.EffectiveFrom.After(t.EffectiveFrom)
		})
		if t.Country == in && !followed {
			out.Tariffs = append(out.Tariffs, t)
		}
	}
	for _, t := range r.Taxes {
		if t.Country == in && (!inForce(t.EffectiveFrom, at) || r.tax(in, t.Name, at).ID == t.ID) {
			out.Taxes = append(out.Taxes, t)
		}
	}
	for _, l := range r.Limits {
		if l.Country == in && (!inForce(l.EffectiveFrom, at) ||
			r.Limit(Customer{Country: in, Tier: l.Tier}, l.Kind, l.Currency, at).EffectiveFrom.Equal(l.EffectiveFrom)) {
			out.Limits = append(out.Limits, l)
		}
	}
	slices.SortStableFunc(out.Tariffs, func(a, b Tariff) int { return a.EffectiveFrom.Compare(b.EffectiveFrom) })
	slices.SortStableFunc(out.Taxes, func(a, b Tax) int { return a.EffectiveFrom.Compare(b.EffectiveFrom) })
	slices.SortStableFunc(out.Limits, func(a, b Limit) int { return a.EffectiveFrom.Compare(b.EffectiveFrom) })
	return out
}
