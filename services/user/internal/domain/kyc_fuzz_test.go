package domain_test

import (
	"strings"
	"testing"

	"github.com/sendtip/sendtip/services/user/internal/domain"
)

// onTheDay says that a text begins with the day of birth, or with the one before, where the day begins in Kenya.
func onTheDay(born string) bool {
	born = strings.TrimSpace(born)
	return strings.HasPrefix(born, "1990-04-12") || strings.HasPrefix(born, "1990-04-11T")
}

// FuzzDecide: whatever a provider sends, only a final 1012 with a name and the same date of birth verifies, and nothing panics.
func FuzzDecide(f *testing.F) {
	f.Add("1012", true, "Amina Njeri Wanjiru", "1990-04-12", "Amina", "Wanjiru")
	f.Add("1012", false, "Amina", "1990-04-12", "", "")
	f.Add("1012", true, "ABDIRAHMAN", "1990-04-12T00:00:00.000Z", "Abdi", "Rahman")
	f.Add("1013", true, "", "", "\xff", "Ng'ang'a")
	f.Add("9999", true, "\u0301\u0301", "NaN", "é", "ø")
	f.Fuzz(func(t *testing.T, code string, final bool, name, born, first, last string) {
		s := submission()
		s.FirstName, s.LastName = first, last
		d := domain.Decide(s, domain.AuthorityResult{Code: code, Final: final, FullName: name, DateOfBirth: born})
		if d.Outcome == domain.OutcomeVerified && (code != "1012" || !final || name == "" || !onTheDay(born) || d.Reason != "") {
			t.Errorf("verified: %q %v %q %q", code, final, name, born)
		}
		if d.Outcome != domain.OutcomeVerified && d.Reason == "" {
			t.Errorf("%s without a reason", d.Outcome)
		}
	})
}
