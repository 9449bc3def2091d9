package domain

import (
	"github.com/nyaruka/phonenumbers"

	"github.com/sendtip/sendtip/kit/country"
)

// prefixLength is the length of a country code of three digits, its plus sign, and four digits more.
const prefixLength = 8

// CheckPhone answers nil for a mobile number, in E.164, of a country where the service is offered.
func CheckPhone(phone, code string) error {
	c, offered := country.Of(code)
	if !offered {
		return ErrCountryUnsupported.WithField("/country", "unsupported", "The country is not supported.")
	}
	if !c.IsMobile(phone) || !givenOut(phone) {
		return ErrPhoneInvalid.WithField("/phone", "invalid", "This is not a mobile number in this country.")
	}
	return nil
}

// PhoneCountry returns the country of a mobile number in E.164.
func PhoneCountry(phone string) (string, error) {
	c, offered := country.OfPhone(phone)
	if !offered || !c.IsMobile(phone) || !givenOut(phone) {
		return "", ErrPhoneInvalid
	}
	return c.Code, nil
}

// PhonePrefix is the first seven digits of a number in E.164: a range of a network. Who asks for codes to numbers that are not theirs,
// to be paid for the messages, has a range of them.
func PhonePrefix(phone string) string { return phone[:min(len(phone), prefixLength)] }

// givenOut says whether a number is in a range that its country has given to a mobile network.
func givenOut(phone string) bool {
	n, err := phonenumbers.Parse(phone, "ZZ") // ZZ: no default country, so only international numbers parse
	if err != nil || !phonenumbers.IsValidNumber(n) || phonenumbers.Format(n, phonenumbers.E164) != phone {
		return false
	}
	switch phonenumbers.GetNumberType(n) {
	case phonenumbers.MOBILE, phonenumbers.FIXED_LINE_OR_MOBILE:
		return true
	default:
		return false
	}
}
