package country_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sendtip/sendtip/kit/country"
	"github.com/sendtip/sendtip/kit/money"
)

func of(t testing.TB, code string) country.Country {
	t.Helper()
	c, found := country.Of(code)
	if !found {
		t.Fatalf("no country %s", code)
	}
	return c
}

func day(text string) time.Time {
	d, err := time.Parse(time.DateOnly, text)
	if err != nil {
		panic(err)
	}
	return d
}

func TestOf(t *testing.T) {
	t.Parallel()
	for _, c := range country.All() {
		if got := of(t, c.Code); got.Currency != c.Currency || got.Zone == nil || len(got.Languages) == 0 {
			t.Errorf("%s is %+v", c.Code, got)
		}
		if _, err := money.Decimals(c.Currency); err != nil {
			t.Errorf("%s: %v", c.Currency, err)
		}
	}
	if !slices.IsSortedFunc(country.All(), func(a, b country.Country) int { return slices.Compare([]byte(a.Code), []byte(b.Code)) }) {
		t.Error("the countries are not in the order of their codes")
	}
	for _, code := range []string{"", "XX", "ke", "KEN"} {
		if c, found := country.Of(code); found {
			t.Errorf("%q is %+v", code, c)
		}
		if got := country.OrDefault(code).Code; got != country.Default {
			t.Errorf("%q lives in %s", code, got)
		}
	}
	if got := country.OrDefault("RW").Code; got != "RW" {
		t.Errorf("RW lives in %s", got)
	}
}

func TestPhones(t *testing.T) {
	t.Parallel()
	for phone, want := range map[string]string{"+254712345678": "KE", "+254112345678": "KE", "+256772345678": "UG", "+250788123456": "RW",
		"+255712345678": "TZ"} {
		c, found := country.OfPhone(phone)
		if !found || c.Code != want || !c.IsMobile(phone) {
			t.Errorf("%s is of %s, mobile %v", phone, c.Code, c.IsMobile(phone))
		}
	}
	for _, phone := range []string{"", "+", "254712345678", "0712345678", "+1234567890"} {
		if c, found := country.OfPhone(phone); found {
			t.Errorf("%q is of %s", phone, c.Code)
		}
	}
	for phone, code := range map[string]string{"+254202345678": "KE", "+25471234567": "KE", "+2547123456789": "KE", "+256772345678": "KE",
		"+256312345678": "UG", "+254712345678\n": "KE", "+254712345678": "UG", "+250748123456": "RW", "+255222123456": "TZ"} {
		if of(t, code).IsMobile(phone) {
			t.Errorf("%q is a mobile number of %s", phone, code)
		}
	}
}

func TestDay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ code, at, day, month string }{
		{"KE", "2026-01-31T20:59:59Z", "2026-01-31", "2026-01-01"},
		{"KE", "2026-01-31T21:00:00Z", "2026-02-01", "2026-02-01"},
		{"UG", "2026-12-31T20:59:59.999999Z", "2026-12-31", "2026-12-01"},
		{"UG", "2026-12-31T21:00:00Z", "2027-01-01", "2027-01-01"},
		{"TZ", "2028-02-28T21:00:00Z", "2028-02-29", "2028-02-01"},
		{"RW", "2026-01-31T21:59:59Z", "2026-01-31", "2026-01-01"},
		{"RW", "2026-01-31T22:00:00Z", "2026-02-01", "2026-02-01"},
	} {
		at, err := time.Parse(time.RFC3339Nano, c.at)
		if err != nil {
			t.Fatal(err)
		}
		in := of(t, c.code)
		if !in.Day(at).Equal(day(c.day)) || !in.Month(at).Equal(day(c.month)) || in.Day(at).Location() != time.UTC {
			t.Errorf("%s at %s: day %s, month %s", c.code, c.at, in.Day(at), in.Month(at))
		}
	}
}

// TestStart: a day is the instants from its start up to the next day's, whatever zone they are told in.
func TestStart(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		c := rapid.SampledFrom(country.All()).Draw(r, "country")
		at := time.UnixMicro(rapid.Int64Range(0, 4e15).Draw(r, "at")).In(time.FixedZone("", 60*rapid.IntRange(-720, 840).Draw(r, "minutes")))
		d := c.Day(at)
		if start, end := c.Start(d), c.Start(d.AddDate(0, 0, 1)); at.Before(start) || !at.Before(end) || end.Sub(start) != 24*time.Hour {
			r.Errorf("%s at %s is of the day %s, from %s to %s", c.Code, at, d, start, end)
		}
		if !c.Day(c.Start(d)).Equal(d) || c.Day(c.Start(d).Add(-time.Microsecond)).Equal(d) {
			r.Errorf("%s: the day %s does not begin at %s", c.Code, d, c.Start(d))
		}
	})
}

func TestHolidays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code string
		year int
		want []string
	}{
		{"KE", 2026, []string{"2026-01-01", "2026-04-03", "2026-04-06", "2026-05-01", "2026-06-01", "2026-10-10",
			"2026-10-20", "2026-12-12", "2026-12-25", "2026-12-26"}},
		// 1 May and 25 December 2022 are Sundays; the day after Christmas is a holiday itself, so the 27th is free.
		{"KE", 2022, []string{"2022-01-01", "2022-04-15", "2022-04-18", "2022-05-01", "2022-05-02", "2022-06-01",
			"2022-10-10", "2022-10-20", "2022-12-12", "2022-12-25", "2022-12-26", "2022-12-27"}},
		{"UG", 2026, []string{"2026-01-01", "2026-01-26", "2026-02-16", "2026-03-08", "2026-04-03", "2026-04-06", "2026-05-01",
			"2026-06-03", "2026-06-09", "2026-10-09", "2026-12-25", "2026-12-26"}},
	} {
		days, known := of(t, c.code).Holidays(c.year)
		var got []string
		for _, d := range days {
			got = append(got, d.Format(time.DateOnly))
		}
		if !known || !slices.Equal(got, c.want) {
			t.Errorf("%s %d: %v", c.code, c.year, got)
		}
	}
	if days, known := of(t, "RW").Holidays(2026); known || days != nil {
		t.Errorf("RW: %v", days)
	}
}

// TestEaster compares with the dates that the Astronomical Applications Department of the U.S. Naval Observatory lists.
func TestEaster(t *testing.T) {
	t.Parallel()
	for year, want := range map[int]string{2000: "2000-04-23", 2008: "2008-03-23", 2011: "2011-04-24", 2019: "2019-04-21", 2024: "2024-03-31",
		2025: "2025-04-20", 2026: "2026-04-05", 2027: "2027-03-28", 2030: "2030-04-21", 2038: "2038-04-25", 2049: "2049-04-18"} {
		days, _ := of(t, "UG").Holidays(year)
		friday, monday := day(want).AddDate(0, 0, -2), day(want).AddDate(0, 0, 1)
		if !slices.ContainsFunc(days, friday.Equal) || !slices.ContainsFunc(days, monday.Equal) {
			t.Errorf("Easter %d is not %s: %v", year, want, days)
		}
	}
}

func TestWorkingDays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code, day string
		want      bool
	}{
		{"KE", "2026-04-02", true}, {"KE", "2026-04-03", false}, {"KE", "2026-04-04", false}, {"KE", "2026-04-05", false},
		{"KE", "2026-04-06", false},
		{"KE", "2026-04-07", true}, {"KE", "2026-06-03", true}, {"UG", "2026-06-03", false}, {"UG", "2026-06-01", true},
		{"KE", "2026-06-01", false},
		{"KE", "2022-05-02", false}, {"UG", "2022-05-02", true}, {"RW", "2026-04-03", true}, {"RW", "2026-04-04", false},
	} {
		if got := of(t, c.code).IsWorkingDay(day(c.day)); got != c.want {
			t.Errorf("%s %s: working day %v", c.code, c.day, got)
		}
	}
	ke, eid := of(t, "KE"), day("2026-03-20")
	if !ke.IsWorkingDay(eid) || ke.IsWorkingDay(eid, eid) {
		t.Error("a gazetted day is a working day")
	}
	for n, want := range map[int]string{0: "2026-04-02", 1: "2026-04-07", 2: "2026-04-08", 5: "2026-04-13"} {
		if got := ke.AddWorkingDays(day("2026-04-02"), n); !got.Equal(day(want)) {
			t.Errorf("%d working days after Maundy Thursday: %s", n, got)
		}
	}
	if got := ke.AddWorkingDays(day("2026-03-19"), 1, eid); !got.Equal(day("2026-03-23")) {
		t.Errorf("the working day after a gazetted one: %s", got)
	}
	if got := ke.AddWorkingDays(day("2026-12-31"), 1); !got.Equal(day("2027-01-04")) {
		t.Errorf("the first working day of 2027: %s", got)
	}
}
