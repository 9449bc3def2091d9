// Seed prints the statements that write a country's pack into wallet's tables, for a new migration.
package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sendtip/sendtip/packs"
)

func main() {
	all, err := packs.All()
	if err != nil {
		fmt.Fprintln(os.Stderr, "seed:", err)
		os.Exit(1)
	}
	i := slices.IndexFunc(all, func(p packs.Pack) bool { return len(os.Args) == 2 && p.Country == os.Args[1] })
	if i < 0 {
		fmt.Fprintln(os.Stderr, "seed: name a country that has a pack, for example go run ./packs/seed UG")
		os.Exit(1)
	}
	fmt.Print(statements(all[i]))
}

// statements writes texts that the pack's author chose, and nothing that anybody else can put in.
func statements(p packs.Pack) string {
	at := func(t time.Time) string { return t.Format("2006-01-02 15:04:05-07:00") }
	var tariffs, bands, taxes, limits, balances []string
	for _, t := range p.Tariffs {
		tariffs = append(tariffs, fmt.Sprintf("(%d, '%s', '%s', '%s', %v, '%s')",
			t.ID, p.Country, t.Kind, t.Currency, t.ExciseIncluded, at(t.EffectiveFrom)))
		for _, b := range t.Bands {
			bands = append(bands, fmt.Sprintf("(%d, %d, %d)", t.ID, b[0], b[1]))
		}
	}
	for _, t := range p.Taxes {
		taxes = append(taxes, fmt.Sprintf("('%s', '%s', %d, '%s')", p.Country, t.Tax, t.RatePPM, at(t.EffectiveFrom)))
	}
	for _, l := range p.Limits {
		limits = append(limits, fmt.Sprintf("('%s', %d, '%s', '%s', %d, %d, %d, '%s')",
			p.Country, l.Tier, l.Kind, l.Currency, l.PerTransaction, l.PerDay, l.PerMonth, at(l.EffectiveFrom)))
	}
	for _, b := range p.Balances {
		balances = append(balances, fmt.Sprintf("('%s', %d, '%s', %d, '%s')", p.Country, b.Tier, b.Currency, b.Maximum, at(b.EffectiveFrom)))
	}
	return insert("tariffs (id, country, kind, currency, excise_included, effective_from)", tariffs) +
		insert("tariff_bands (tariff_id, up_to_minor, fee_minor)", bands) +
		insert("taxes (country, tax, rate_ppm, effective_from)", taxes) +
		insert("limits (country, tier, kind, currency, per_transaction_minor, per_day_minor, per_month_minor, effective_from)", limits) +
		insert("balance_limits (country, tier, currency, maximum_minor, effective_from)", balances)
}

func insert(into string, rows []string) string {
	if len(rows) == 0 {
		return ""
	}
	return "INSERT INTO " + into + " VALUES\n\t" + strings.Join(rows, ",\n\t") + ";\n"
}
