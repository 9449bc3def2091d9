package app_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/services/wallet/internal/testworld"
)

// TestHookAddresses: Safaricom holds the addresses of the paybill and of prompts under way, and messages rest under their purpose: neither
// may change.
func TestHookAddresses(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	ctx := testworld.Known(t.Context())
	const c2b, stk = "ywsxj2r7r4g2ulvlroabs48uxjfryfgr", "t3utw4gy8f20452z4ps820vwv2sfk7a6" // made by an earlier release, under the same key
	topup := uuid.MustParse("01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e")
	if err := w.App.ReceiveStkCallback(ctx, stk, topup, []byte("stk as it came")); err != nil {
		t.Errorf("a prompt's result: %v", err)
	}
	if err := w.App.ReceiveC2bConfirmation(ctx, c2b, []byte("c2b as it came")); err != nil {
		t.Errorf("a payment: %v", err)
	}
	if v, err := w.App.ValidateC2b(ctx, c2b, []byte("{}")); err != nil {
		t.Errorf("a question: %v %v", v, err)
	}
	for _, kind := range []string{"stk", "c2b"} {
		var id uuid.UUID
		var sealed []byte
		if err := w.DB.Pool.QueryRow(t.Context(), "SELECT id, body_sealed FROM callbacks WHERE kind = $1", kind).Scan(&id, &sealed); err != nil {
			t.Fatal(err)
		}
		if body, err := w.Sealer.Open("callback:"+id.String(), sealed); err != nil || string(body) != kind+" as it came" {
			t.Errorf("%s: %q, %v", kind, body, err)
		}
	}
}
