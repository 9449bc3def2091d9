package country

import (
	"slices"
	"time"
)

// Holidays are the country's public holidays of a year that follow from a rule, as dates in their order. The two Eids are not among them:
// the moon and the gazette decide. false means that the rule is not known here.
//
// Sources: Kenya, Public Holidays Act (Cap. 110), schedule and section on Sundays; Uganda, Public Holidays Act (Cap. 255), schedule. Both
// by secondary sources (Wikipedia and the references of the python package holidays); read the gazette before money depends on a day.
func (c Country) Holidays(year int) ([]time.Time, bool) {
	if c.holidays == nil {
		return nil, false
	}
	days := c.holidays(year)
	slices.SortFunc(days, time.Time.Compare)
	return days, true
}

// IsWorkingDay says whether banks of the country work on a day: Monday to Friday, but not on its public holidays, nor on those that were
// gazetted besides.
func (c Country) IsWorkingDay(day time.Time, gazetted ...time.Time) bool {
	day = date(day.Date())
	if w := day.Weekday(); w == time.Saturday || w == time.Sunday {
		return false
	}
	holidays, _ := c.Holidays(day.Year())
	return !slices.ContainsFunc(append(holidays, gazetted...), func(h time.Time) bool { return date(h.Date()).Equal(day) })
}

// AddWorkingDays returns the nth working day after a day.
func (c Country) AddWorkingDays(day time.Time, n int, gazetted ...time.Time) time.Time {
	day = date(day.Date())
	for n > 0 {
		if day = day.AddDate(0, 0, 1); c.IsWorkingDay(day, gazetted...) {
			n--
		}
	}
	return day
}

// kenyanHolidays knows that a holiday on a Sunday is kept on the first day after it that is none.
func kenyanHolidays(year int) []time.Time {
	easter := easterSunday(year)
	days := []time.Time{
		date(year, time.January, 1),
		easter.AddDate(0, 0, -2), easter.AddDate(0, 0, 1),
		date(year, time.May, 1),
		date(year, time.June, 1),     // Madaraka Day
		date(year, time.October, 10), // Mazingira Day
		date(year, time.October, 20), // Mashujaa Day
		date(year, time.December, 12),
		date(year, time.December, 25), date(year, time.December, 26),
	}
	for _, day := range slices.Clone(days) {
		if day.Weekday() != time.Sunday {
			continue
		}
		for slices.ContainsFunc(days, day.Equal) {
			day = day.AddDate(0, 0, 1)
		}
		days = append(days, day)
	}
	return days
}

// ugandanHolidays are not moved from a Sunday.
func ugandanHolidays(year int) []time.Time {
	easter := easterSunday(year)
	return []time.Time{
		date(year, time.January, 1),
		date(year, time.January, 26),  // NRM Liberation Day
		date(year, time.February, 16), // Archbishop Janani Luwum Day
		date(year, time.March, 8),     // Women's Day
		easter.AddDate(0, 0, -2), easter.AddDate(0, 0, 1),
		date(year, time.May, 1),
		date(year, time.June, 3), // Martyrs' Day
		date(year, time.June, 9), // National Heroes' Day
		date(year, time.October, 9),
		date(year, time.December, 25), date(year, time.December, 26),
	}
}

// easterSunday is the Gregorian Easter (the anonymous algorithm as Meeus prints it).
func easterSunday(year int) time.Time {
	a, b, c := year%19, year/100, year%100
	h := (19*a + b - b/4 - (b-(b+8)/25+1)/3 + 15) % 30
	l := (32 + 2*(b%4) + 2*(c/4) - h - c%4) % 7
	m := (a + 11*h + 22*l) / 451
	n := h + l - 7*m + 114
	return date(year, time.Month(n/31), n%31+1)
}
