package money_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/sendtip/sendtip/kit/money"
)

func TestNew(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		minor    int64
		currency string
		want     error
	}{
		"largest":           {money.Max, "KES", nil},
		"above largest":     {money.Max + 1, "KES", money.ErrOutOfRange},
		"smallest":          {-money.Max, "KES", nil},
		"below smallest":    {math.MinInt64, "KES", money.ErrOutOfRange},
		"unknown currency":  {1, "XXX", money.ErrUnknownCurrency},
		"currency is upper": {1, "kes", money.ErrUnknownCurrency},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := money.New(c.minor, c.currency); !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestAddSub(t *testing.T) {
	t.Parallel()
	kes := func(minor int64) money.Money { return money.Money{Amount: minor, Currency: "KES"} }
	if got, err := kes(700).Add(kes(300)); err != nil || got != kes(1000) {
		t.Fatalf("add: %v %v", got, err)
	}
	if got, err := kes(300).Sub(kes(700)); err != nil || got != kes(-400) {
		t.Fatalf("sub: %v %v", got, err)
	}
	for name, err := range map[string]error{
		"sum too large":   second(kes(money.Max).Add(kes(1))),
		"sum too small":   second(kes(-money.Max).Sub(kes(1))),
		"operand wraps":   second(kes(math.MaxInt64).Add(kes(math.MaxInt64))),
		"negation wraps":  second(kes(0).Sub(kes(math.MinInt64))),
		"left is illegal": second(kes(math.MaxInt64).Sub(kes(math.MaxInt64))),
	} {
		if !errors.Is(err, money.ErrOutOfRange) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := kes(1).Add(money.Money{Amount: 1, Currency: "UGX"}); !errors.Is(err, money.ErrCurrencyMismatch) {
		t.Errorf("mismatch: got %v", err)
	}
}

func second(_ money.Money, err error) error { return err }

func TestMulRatioHalfUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		amount, num, den, want int64
		err                    error
	}{
		"exact":            {1000, 15, 100, 150, nil},
		"just below half":  {149, 1, 100, 1, nil},
		"half goes up":     {150, 1, 100, 2, nil},
		"odd denominator":  {5, 1, 3, 2, nil},
		"excise 15% of 5":  {500, 15, 100, 75, nil},
		"zero":             {0, 15, 100, 0, nil},
		"whole maximum":    {money.Max, money.Max, money.Max, money.Max, nil},
		"rounds past max":  {2*money.Max + 1, 1, 2, 0, money.ErrOutOfRange},
		"large den":        {1, math.MaxInt64, math.MaxInt64, 1, nil},
		"quotient too big": {math.MaxInt64, math.MaxInt64, 1, 0, money.ErrOutOfRange},
		"above max":        {money.Max, 2, 1, 0, money.ErrOutOfRange},
		"negative amount":  {-1, 1, 1, 0, money.ErrBadRatio},
		"negative num":     {1, -1, 1, 0, money.ErrBadRatio},
		"zero den":         {1, 1, 0, 0, money.ErrBadRatio},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := money.MulRatioHalfUp(c.amount, c.num, c.den)
			if got != c.want || !errors.Is(err, c.err) {
				t.Fatalf("got %d %v, want %d %v", got, err, c.want, c.err)
			}
		})
	}
}

// TestMulRatioHalfUpAgainstBig compares with arithmetic of unlimited width: floor((2an + d) / 2d).
func TestMulRatioHalfUpAgainstBig(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.Int64Range(0, math.MaxInt64).Draw(t, "amount")
		n := rapid.Int64Range(0, math.MaxInt64).Draw(t, "num")
		d := rapid.Int64Range(1, math.MaxInt64).Draw(t, "den")
		want := new(big.Int).Mul(big.NewInt(a), big.NewInt(n))
		want.Lsh(want, 1).Add(want, big.NewInt(d)).Div(want, new(big.Int).Lsh(big.NewInt(d), 1))
		got, err := money.MulRatioHalfUp(a, n, d)
		if want.Cmp(big.NewInt(money.Max)) > 0 {
			if !errors.Is(err, money.ErrOutOfRange) {
				t.Fatalf("want out of range, got %d %v", got, err)
			}
			return
		}
		if err != nil || want.Cmp(big.NewInt(got)) != 0 {
			t.Fatalf("got %d %v, want %s", got, err, want)
		}
	})
}

func TestFormat(t *testing.T) {
	t.Parallel()
	for want, m := range map[string]money.Money{
		"KES 1,000.00":              {Amount: 100000, Currency: "KES"},
		"KES 999.99":                {Amount: 99999, Currency: "KES"},
		"KES 0.05":                  {Amount: 5, Currency: "KES"},
		"KES 0.00":                  {Amount: 0, Currency: "KES"},
		"KES -0.50":                 {Amount: -50, Currency: "KES"},
		"KES 90,071,992,547,409.91": {Amount: money.Max, Currency: "KES"},
		"UGX 1,000":                 {Amount: 1000, Currency: "UGX"},
		"RWF -999":                  {Amount: -999, Currency: "RWF"},
		"USD 1,234,567.89":          {Amount: 123456789, Currency: "USD"},
		"XXX 12 (minor units)":      {Amount: 12, Currency: "XXX"},
	} {
		if got := m.Format(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestWireForm(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(money.Money{Amount: 12550, Currency: "KES"})
	if err != nil || string(b) != `{"amount":12550,"currency":"KES"}` {
		t.Fatalf("%s %v", b, err)
	}
}
