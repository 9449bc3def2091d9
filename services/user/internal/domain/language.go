package domain

import (
	"errors"
	"regexp"

	"golang.org/x/text/language"

	"github.com/sendtip/sendtip/kit/fault"
)

// DefaultLanguage is spoken to whoever has a language that nobody knows.
const DefaultLanguage = "en"

// longLanguage is what RFC 5646 keeps for languages to come and golang.org/x/text does not read: a first part of four to eight letters.
var longLanguage = regexp.MustCompile(`^[A-Za-z]{4,8}(-|$)`)

// BaseLanguage is what is kept of a phone's language tag: which texts somebody reads does not depend on script, region, calendar or units.
// A tag without a language that is known (und, x-…, a code that nobody registered) reads English. What is no tag at all is refused.
func BaseLanguage(tag string) (string, error) {
	tag = longLanguage.ReplaceAllString(tag, "und$1")
	t, err := language.Parse(tag)
	var unknown language.ValueError // the form is right
	if err != nil && !errors.As(err, &unknown) {
		return "", fault.ErrInvalid.WithField("/language", "format", "This is not a BCP 47 language tag.")
	}
	base, _, _ := t.Raw()
	if base == (language.Base{}) {
		return DefaultLanguage, nil
	}
	return base.String(), nil
}
