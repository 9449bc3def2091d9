package stepup_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/stepup"
)

// TestHash: what tokens carry never changes while one is valid, and differs by operation and object.
func TestHash(t *testing.T) {
	t.Parallel()
	id := uuid.MustParse("01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e")
	// printf 'createWithdrawal\nid=01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e' | openssl dgst -sha256 -binary | basenc --base64url
	if got := stepup.Hash("createWithdrawal", id); got != "jc0hgaAgUfbuQ0r6j41cPE9rUJSIi6LsfnH0hL-k_tk" {
		t.Errorf("an operation: %s", got)
	}
	if got := stepup.OfQuote(id); got != "PvBoCujg8O13A27CDGacx70UqNWo8yv_cuGbItGkEFI" {
		t.Errorf("a quote: %s", got)
	}
	if stepup.Hash("createWithdrawal", id) == stepup.Hash("cancelRecovery", id) || stepup.Hash("a", id) == stepup.Hash("a", uuid.Nil) {
		t.Error("two approvals look alike")
	}
}
