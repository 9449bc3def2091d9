package domain

import "github.com/nyaruka/phonenumbers"

// countries are those with a country pack.
var countries = map[string]bool{"KE": true, "UG": true, "RW": true, "TZ": true}

// CheckPhone answers nil for a mobile number, in E.164, of a country where the service is offered.
func CheckPhone(phone, country string) error {
	if !countries[country] {
		return ErrCountryUnsupported.WithField("/country", "unsupported", "The country is not supported.")
	}
	if region, ok := mobileRegion(phone); !ok || region != country {
		return ErrPhoneInvalid.WithField("/phone", "invalid", "The number is not a mobile number of the country.")
	}
	return nil
}

// PhoneCountry returns the country of a mobile number in E.164.
func PhoneCountry(phone string) (string, error) {
	region, ok := mobileRegion(phone)
	if !ok || !countries[region] {
		return "", ErrPhoneInvalid
	}
	return region, nil
}

// PhonePrefix is the first seven digits of a number in E.164: a range of a network. Who asks for codes to numbers that are not theirs,
// to be paid for the messages, has a range of them.
func PhonePrefix(phone string) string { return phone[:min(len(phone), len("+2547123"))] }

func mobileRegion(phone string) (string, bool) {
	n, err := phonenumbers.Parse(phone, "ZZ") // ZZ: no default country, so only international numbers parse
	if err != nil || !phonenumbers.IsValidNumber(n) || phonenumbers.Format(n, phonenumbers.E164) != phone {
		return "", false
	}
	switch phonenumbers.GetNumberType(n) {
	case phonenumbers.MOBILE, phonenumbers.FIXED_LINE_OR_MOBILE:
		return phonenumbers.GetRegionCodeForNumber(n), true
	default:
		return "", false
	}
}
