package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	walletclient "github.com/sendtip/sendtip/generated/wallet/client"
)

// TestTransferRepeatedAfterSigningIn: an app lost the answer to a transfer and its session, signs in again, and wants to know. The approval
// of the session before is refused; with any of the new one the stored answer comes, whatever it was given for and spent or not; and a
// look-up by the app's own reference needs none.
func TestTransferRepeatedAfterSigningIn(t *testing.T) {
	t.Parallel()
	w := shared(t)
	amina, brian := w.customer(t, "Amina", 500_00), w.customer(t, "Brian", 0)
	quote := func() uuid.UUID {
		t.Helper()
		q, err := amina.Quote(t.Context(), brian, 20_00)
		if err != nil || q.JSON201 == nil {
			t.Fatalf("quote: %v %v", q, err)
		}
		return q.JSON201.ID
	}
	approve := func(id uuid.UUID) string {
		t.Helper()
		approval, err := amina.StepUp(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return approval
	}
	k, reference := key(), "app-"+uuid.NewString()[:8]
	first := quote()
	send := func(id uuid.UUID, approval, under string) *walletclient.CreateTransferResponse {
		t.Helper()
		resp, err := amina.Wallet.CreateTransferWithResponse(t.Context(),
			&walletclient.CreateTransferParams{IdempotencyKey: under, StepUpToken: approval},
			walletclient.TransferRequest{QuoteID: id, ClientReference: &reference})
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	old := approve(first)
	made := send(first, old, k)
	if made.JSON201 == nil {
		t.Fatalf("transfer: %d %s", made.StatusCode(), made.Body)
	}
	replayed := func(what string, resp *walletclient.CreateTransferResponse) {
		t.Helper()
		if resp.JSON201 == nil || resp.JSON201.ID != made.JSON201.ID || resp.HTTPResponse.Header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("%s: %d %s", what, resp.StatusCode(), resp.Body)
		}
	}
	replayed("in the same session, with the spent approval", send(first, old, k))

	if err := amina.LogIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	if resp := send(first, old, k); resp.StatusCode() != http.StatusForbidden || refusalOf(resp.Body) != "step_up_invalid" {
		t.Errorf("with the old session's approval: %d %s", resp.StatusCode(), resp.Body)
	}
	second := quote()
	fresh := approve(second)
	replayed("with an approval of the new session for something else", send(first, fresh, k))
	other := send(second, fresh, key()) // the replay did not spend it
	if other.JSON201 == nil || other.JSON201.ID == made.JSON201.ID {
		t.Errorf("the approval afterwards: %d %s", other.StatusCode(), other.Body)
	}
	replayed("with a spent approval of the new session", send(first, fresh, k))

	if _, err := amina.Send(t.Context(), brian, 20_00); err != nil { // without a reference
		t.Fatal(err)
	}
	found, err := amina.Wallet.ListTransfersWithResponse(t.Context(), &walletclient.ListTransfersParams{ClientReference: &reference})
	if err != nil || found.JSON200 == nil || !strings.Contains(string(found.Body), made.JSON201.ID.String()) || len(found.JSON200.Data) != 2 {
		t.Errorf("by the reference: %v %v", found, err)
	}
	if got := balance(t, brian); got != 60_00 {
		t.Errorf("three transfers of 20.00 were made, %d arrived", got)
	}
}
