package domain_test

import (
	"testing"
	"time"

	"github.com/sendtip/sendtip/services/banking/internal/domain"
)

// TestNameFits: order, case and further names do not matter; every name that is known must be the bank's too.
func TestNameFits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		bank, masked string
		fits         bool
	}{
		{"AMINA WANJIRU", "Amina W.", true},
		{"Wanjiru, Amina Grace", "Amina W.", true},
		{"AMINA GRACE WANJIRU", "Amina Grace W.", true},
		{"AMINA WANJIRU", "Amina Grace W.", false},
		{"AMINA OTIENO", "Amina W.", false},
		{"BRIAN WANJIRU", "Amina W.", false},
		{"WANJIRU", "Wanjiru W.", false}, // one name is not two
		{"AMINA WANJIRU", "Amina", false},
		{"AMINA WANJIRU", "", false},
		{"", "Amina W.", false},
		{"", "", false},
	} {
		if got := domain.NameFits(c.bank, c.masked); got != c.fits {
			t.Errorf("%q for %q: %t", c.bank, c.masked, got)
		}
	}
	if !domain.SameName("Wanjiru, Amina", "AMINA WANJIRU") || domain.SameName("AMINA WANJIRU", "AMINA WANJIRU OTIENO") {
		t.Error("the same name is taken for another, or another for the same")
	}
	now := time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)
	if domain.PayableFrom(true, now) != now || domain.PayableFrom(false, now) != now.Add(24*time.Hour) {
		t.Error("payable at the wrong time")
	}
}
