// Package country owns what is a fact about a country, whoever runs the platform there: its time zone and the day that it is, its
// currency, languages, phone numbers and working days. What an operator or a regulator sets (limits, prices, taxes, documents) is data
// of the service that applies it, in packs/.
//
// The package knows no clock: the time is a parameter. None of the countries changes its clocks, so zones are fixed offsets and need no
// database of zones.
package country

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// Default is the country of a deployment that names none.
const Default = "KE"

// Country is a country where the platform can be offered.
type Country struct {
	Code      string   // ISO 3166-1
	Currency  string   // ISO 4217
	Languages []string // BCP 47, of the whole country; the first is used with somebody whose language is not known
	Zone      *time.Location

	calling  string // of its numbers in E.164
	mobile   *regexp.Regexp
	holidays func(year int) []time.Time // nil: its rule is not known here
}

var (
	eastAfrica    = time.FixedZone("EAT", 3*60*60) // Africa/Nairobi, Africa/Kampala, Africa/Dar_es_Salaam
	centralAfrica = time.FixedZone("CAT", 2*60*60) // Africa/Kigali
)

// all are the countries, in the order of their codes. Mobile numbers are those of the national plans (ITU, E.164); a number in one of these
// ranges need not be given out yet.
var all = []Country{
	{Code: "KE", Currency: "KES", Languages: []string{"en", "sw"}, Zone: eastAfrica, calling: "+254",
		mobile: regexp.MustCompile(`^\+254[17][0-9]{8}$`), holidays: kenyanHolidays},
	{Code: "RW", Currency: "RWF", Languages: []string{"en", "rw", "fr", "sw"}, Zone: centralAfrica, calling: "+250",
		mobile: regexp.MustCompile(`^\+2507[2389][0-9]{7}$`)},
	{Code: "TZ", Currency: "TZS", Languages: []string{"en", "sw"}, Zone: eastAfrica, calling: "+255",
		mobile: regexp.MustCompile(`^\+255[67][0-9]{8}$`)},
	{Code: "UG", Currency: "UGX", Languages: []string{"en", "sw"}, Zone: eastAfrica, calling: "+256",
		mobile: regexp.MustCompile(`^\+2567[0-9]{8}$`), holidays: ugandanHolidays},
}

// All returns the countries, in the order of their codes.
func All() []Country { return slices.Clone(all) }

// Of finds a country by its code.
func Of(code string) (Country, bool) {
	i, found := slices.BinarySearchFunc(all, code, func(c Country, code string) int { return strings.Compare(c.Code, code) })
	if !found {
		return Country{}, false
	}
	return all[i], true
}

// OrDefault is Of for somebody whose country may not be known yet, who lives by the default country's days.
func OrDefault(code string) Country {
	if c, found := Of(code); found {
		return c
	}
	c, _ := Of(Default)
	return c
}

// OfPhone finds the country of a number in E.164.
func OfPhone(e164 string) (Country, bool) {
	i := slices.IndexFunc(all, func(c Country) bool { return strings.HasPrefix(e164, c.calling) })
	if i < 0 {
		return Country{}, false
	}
	return all[i], true
}

// IsMobile says whether a number in E.164 has the form of the country's mobile numbers.
func (c Country) IsMobile(e164 string) bool { return c.mobile.MatchString(e164) }

// Day is the country's calendar day at an instant, as a date: 00:00 UTC of that day, which is how PostgreSQL's dates are read.
func (c Country) Day(at time.Time) time.Time { return date(at.In(c.Zone).Date()) }

// Month is the first day of the country's month at an instant, as a date.
func (c Country) Month(at time.Time) time.Time {
	year, month, _ := at.In(c.Zone).Date()
	return date(year, month, 1)
}

// Start is the instant at which a day begins in the country.
func (c Country) Start(day time.Time) time.Time {
	year, month, d := day.Date()
	return time.Date(year, month, d, 0, 0, 0, 0, c.Zone).UTC()
}

func date(year int, month time.Month, day int) time.Time {
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}
