package packs_test

import (
	"regexp"
	"slices"
	"testing"

	"github.com/sendtip/sendtip/packs"
)

func TestPacks(t *testing.T) {
	t.Parallel()
	all, err := packs.All()
	if err != nil {
		t.Fatal(err)
	}
	var countries []string
	tariffs := map[int32]string{}
	for _, p := range all {
		countries = append(countries, p.Country)
		if len(p.Documents)*len(p.Tariffs)*len(p.Taxes)*len(p.Limits)*len(p.Balances) == 0 {
			t.Errorf("%s lacks a part: %+v", p.Country, p)
		}
		for _, d := range p.Documents {
			if _, err := regexp.Compile(d.Number); err != nil || d.Type == "" || d.Class == "" {
				t.Errorf("%s: %+v, %v", p.Country, d, err)
			}
		}
		for _, tariff := range p.Tariffs {
			if other, taken := tariffs[tariff.ID]; taken {
				t.Errorf("tariff %d is of %s and %s", tariff.ID, other, p.Country)
			}
			tariffs[tariff.ID] = p.Country
			ascending := slices.IsSortedFunc(tariff.Bands, func(a, b [2]int64) int { return int(a[0] - b[0]) })
			if len(tariff.Bands) == 0 || tariff.EffectiveFrom.IsZero() || !ascending {
				t.Errorf("%s: tariff %+v", p.Country, tariff)
			}
		}
		for _, l := range p.Limits {
			if l.PerTransaction <= 0 || l.PerTransaction > l.PerDay || l.PerDay > l.PerMonth || l.EffectiveFrom.IsZero() {
				t.Errorf("%s: limit %+v", p.Country, l)
			}
		}
	}
	if !slices.Equal(countries, []string{"KE", "UG"}) {
		t.Errorf("packs of %v", countries)
	}
}
