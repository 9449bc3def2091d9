package safaricom_test

import (
	"testing"

	"github.com/sendtip/sendtip/providers/safaricom"
)

func TestCanPrompt(t *testing.T) {
	t.Parallel()
	for phone, want := range map[string]bool{"+254712345678": true, "+254112345678": true, "254712345678": false, "+254212345678": false,
		"+25471234567": false, "+2547123456789": false, "+256772345678": false, "+254712345678\n": false, "": false} {
		if safaricom.CanPrompt(phone) != want {
			t.Errorf("%q: %v", phone, !want)
		}
	}
}
