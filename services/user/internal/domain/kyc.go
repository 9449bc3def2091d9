package domain

import (
	"regexp"
	"strings"
	"time"

	"github.com/sendtip/sendtip/kit/country"
	"github.com/sendtip/sendtip/packs"
)

// MaxKycPerDay bounds what one customer can make us pay the authority.
const MaxKycPerDay = 5

// MinAgeYears is the age of majority in all supported countries.
const MinAgeYears = 18

// Reasons of decisions and reviews; stable codes.
const (
	ReasonNotFound       = "id_not_found"
	ReasonFormat         = "id_format_refused"
	ReasonMismatch       = "identity_mismatch"
	ReasonNear           = "name_near_match"
	ReasonBirthDate      = "birth_date_differs"
	ReasonMissing        = "details_missing"
	ReasonUnknown        = "unknown_result"
	ReasonProvisional    = "provisional_result"
	ReasonOther          = "result_of_another_request"
	ReasonDuplicate      = "duplicate_identity"
	ReasonAuthorityDown  = "authority_unavailable"
	ReasonNoResult       = "no_result"
	ReasonRefused        = "refused_by_provider"
	ReasonApprovedByUser = "approved_by_operator"
	ReasonRejectedByUser = "rejected_by_operator"
	ReasonOverridden     = "overridden"
)

// Submission is what a customer says about themselves. It is stored sealed.
type Submission struct {
	Country     string `json:"country"`
	IDType      string `json:"id_type"`
	IDNumber    string `json:"id_number"`
	FirstName   string `json:"first_name"`
	MiddleName  string `json:"middle_name,omitempty"`
	LastName    string `json:"last_name"`
	DateOfBirth string `json:"date_of_birth"` // YYYY-MM-DD
}

// FullName joins the names.
func (s Submission) FullName() string {
	return strings.Join(strings.Fields(s.FirstName+" "+s.MiddleName+" "+s.LastName), " ")
}

type idKind struct {
	number *regexp.Regexp
	class  string // documents of one class carry the same number
	digits bool   // leading zeros mean nothing
}

// idKinds are the documents that an authority can look up, by country and type.
var idKinds = documentsOf(packs.MustAll())

func documentsOf(all []packs.Pack) map[string]idKind {
	kinds := map[string]idKind{}
	for _, p := range all {
		for _, d := range p.Documents {
			kinds[p.Country+"/"+d.Type] = idKind{regexp.MustCompile(d.Number), d.Class, d.LeadingZerosMeanNought}
		}
	}
	return kinds
}

// Check returns the submission in normal form, or what is wrong with it. today is the customer's calendar day.
func (s Submission) Check(today time.Time) (Submission, error) {
	s.IDNumber = strings.ToUpper(strings.TrimSpace(s.IDNumber))
	s.FirstName, s.MiddleName, s.LastName = squeeze(s.FirstName), squeeze(s.MiddleName), squeeze(s.LastName)
	kind, ok := idKinds[s.Country+"/"+s.IDType]
	if !ok {
		return s, ErrKycInvalid.WithField("/id_type", "unsupported", "This document cannot be verified in this country.")
	}
	if !kind.number.MatchString(s.IDNumber) {
		return s, ErrKycInvalid.WithField("/id_number", "pattern", "The number does not have the format of this document.")
	}
	for pointer, name := range map[string]string{"/first_name": s.FirstName, "/last_name": s.LastName} {
		if len(nameTokens(name)) == 0 {
			return s, ErrKycInvalid.WithField(pointer, "required", "A name must contain letters.")
		}
	}
	for pointer, name := range map[string]string{"/first_name": s.FirstName, "/middle_name": s.MiddleName, "/last_name": s.LastName} {
		if !plainName(name) {
			return s, ErrKycInvalid.WithField(pointer, "pattern", "A name may contain only letters, spaces, apostrophes, hyphens and full stops.")
		}
	}
	born, err := time.Parse(time.DateOnly, s.DateOfBirth)
	if err != nil || born.Year() < 1900 {
		return s, ErrKycInvalid.WithField("/date_of_birth", "format", "This is not a valid date of birth.")
	}
	if born.AddDate(MinAgeYears, 0, 0).After(today) {
		return s, ErrKycInvalid.WithField("/date_of_birth", "under_age", "Customers must be 18 years or older.")
	}
	return s, nil
}

func squeeze(name string) string { return strings.Join(strings.Fields(foldApostrophes(name)), " ") }

// IdentityKey names the document for the rule that one document verifies one customer.
func (s Submission) IdentityKey() string {
	kind := idKinds[s.Country+"/"+s.IDType]
	return s.Country + "/" + kind.class + "/" + kind.normal(s.IDNumber)
}

// PersonKey is IdentityKey with what only who knows the person can add: whoever has but somebody's number must not use up their attempts.
func (s Submission) PersonKey() string {
	return s.IdentityKey() + "/" + strings.ToLower(s.FullName()) + "/" + s.DateOfBirth
}

// normal is a number in the form in which two writings of it are the same.
func (k idKind) normal(number string) string {
	number = strings.ToUpper(numberMarks.Replace(number))
	if !k.digits {
		return number
	}
	if number = strings.TrimLeft(number, "0"); number == "" {
		return "0"
	}
	return number
}

// numberMarks group the digits of a number for the eye.
var numberMarks = strings.NewReplacer(" ", "", "-", "")

// AuthorityResult is what the issuing authority answered, by way of the provider. Empty fields were not returned.
type AuthorityResult struct {
	Code        string `json:"code"`
	Final       bool   `json:"final"`
	Country     string `json:"country,omitempty"`
	IDType      string `json:"id_type,omitempty"`
	IDNumber    string `json:"id_number,omitempty"`
	FullName    string `json:"full_name,omitempty"`
	DateOfBirth string `json:"date_of_birth,omitempty"`
}

// Outcome of a result.
type Outcome string

// Outcomes; Retry means that the authority has to be asked again later.
const (
	OutcomeVerified Outcome = KycVerified
	OutcomeRejected Outcome = KycRejected
	OutcomeReview   Outcome = KycReview
	OutcomeRetry    Outcome = "retry"
)

// Decision is an outcome and its reason; a verified one has none.
type Decision struct {
	Outcome Outcome
	Reason  string
}

// Decide judges a result (codes: providers/smile-id.md A5). Only a final 1012 can verify, and only when the document is the
// one asked for, every submitted name stands in the returned full name and the date of birth is the same. 1012 alone says only
// that the number exists.
//
// A near match goes to a person: all names but another date of birth, or the date of birth and at least half of the names
// (one letter off counts) or all of the letters. Less than that is somebody else's document. Codes that are not known are never trusted.
func Decide(s Submission, r AuthorityResult) Decision {
	switch {
	case !r.Final:
		return Decision{OutcomeReview, ReasonProvisional}
	case r.Code == "1013":
		return Decision{OutcomeRejected, ReasonNotFound}
	case r.Code == "1014":
		return Decision{OutcomeRejected, ReasonFormat}
	case r.Code == "1015":
		return Decision{OutcomeRetry, ReasonAuthorityDown}
	case r.Code == "0814":
		return Decision{OutcomeReview, ReasonProvisional}
	case r.Code != "1012":
		return Decision{OutcomeReview, ReasonUnknown}
	case differs(r.Country, s.Country), differs(r.IDType, s.IDType), otherNumber(s, r):
		return Decision{OutcomeReview, ReasonOther}
	}
	return decideIdentity(s, r)
}

func decideIdentity(s Submission, r AuthorityResult) Decision {
	submitted, returned := nameTokens(s.FullName()), nameTokens(r.FullName)
	born, ok := birthDay(r.DateOfBirth, s.Country)
	if len(submitted) == 0 || len(returned) == 0 || !ok {
		return Decision{OutcomeReview, ReasonMissing}
	}
	exact, near := nameMatch(submitted, returned)
	sameBirth := s.DateOfBirth == born
	switch {
	case exact == len(submitted) && sameBirth:
		return Decision{Outcome: OutcomeVerified}
	case exact == len(submitted):
		return Decision{OutcomeReview, ReasonBirthDate}
	case sameBirth && (2*(exact+near) >= len(submitted) || sameLetters(strings.Join(submitted, ""), strings.Join(returned, ""))):
		return Decision{OutcomeReview, ReasonNear}
	}
	return Decision{OutcomeRejected, ReasonMismatch}
}

// otherNumber says that the result is of another number; registers drop leading zeros of cards.
func otherNumber(s Submission, r AuthorityResult) bool {
	kind := idKinds[s.Country+"/"+s.IDType]
	return r.IDNumber != "" && kind.normal(r.IDNumber) != kind.normal(s.IDNumber)
}

// birthDay reads the day in what a register answers: a date, or the moment at which the day begins, where it is written or in the
// country. Anything else, also a writing in which day and month could be swapped, is not understood.
func birthDay(text, code string) (string, bool) {
	text = strings.TrimSpace(text)
	for _, layout := range []string{time.DateOnly, time.DateTime, "2006-01-02T15:04:05", time.RFC3339} { // fractions are read with each
		t, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		for _, day := range []time.Time{t, t.In(country.OrDefault(code).Zone)} {
			if day.Hour() == 0 && day.Minute() == 0 && day.Second() == 0 && day.Nanosecond() == 0 {
				return day.Format(time.DateOnly), true
			}
		}
	}
	return "", false
}

// differs: a field that was not returned proves nothing against the result.
func differs(returned, submitted string) bool {
	return returned != "" && !strings.EqualFold(returned, submitted)
}

// RetryAfter is the pause before the n-th further question to the authority or the provider (n from 0): 2 s four times, then
// growing to 10 minutes.
func RetryAfter(n int) time.Duration {
	if n < 4 {
		return 2 * time.Second
	}
	return min(4*time.Second<<min(n-4, 10), 10*time.Minute)
}

// KycPatience is how long an answer is waited for before a person looks at it.
const KycPatience = 72 * time.Hour

// Today is the calendar day in the country: the day that decides whether somebody is of age.
func Today(now time.Time, code string) time.Time { return country.OrDefault(code).Day(now) }
