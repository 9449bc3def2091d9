package e2e_test

import (
	"net/http"
	"slices"
	"testing"

	gatewayclient "github.com/sendtip/sendtip/generated/gateway/client"
	"github.com/sendtip/sendtip/generated/scopes"
	userclient "github.com/sendtip/sendtip/generated/user/client"
)

// TestWhatIsMadeIsReadWithTheSameTimes makes and reads one of everything that customers and operators make. The checker compares what each
// answer says of when it was made, here and in every other test.
func TestWhatIsMadeIsReadWithTheSameTimes(t *testing.T) {
	t.Parallel()
	w := shared(t)
	amina, brian := w.customer(t, "Amina", 100_000), w.customer(t, "Brian", 0)
	sent, err := amina.Send(t.Context(), brian, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := amina.WaitTransfer(t.Context(), sent.ID); err != nil {
		t.Fatal(err)
	}
	if read, err := amina.User.GetProfileWithResponse(t.Context()); err != nil || read.JSON200 == nil {
		t.Fatalf("read the profile: %v %v", read, err)
	}
	language := "sw"
	if changed, err := amina.User.UpdateProfileWithResponse(t.Context(), userclient.ProfileUpdate{Language: &language}); err != nil ||
		changed.JSON200 == nil {
		t.Fatalf("change the profile: %v %v", changed, err)
	}
	ask(t, amina, http.MethodPost, "/v1/wallets", `{"currency":"USD"}`, map[string]string{"Idempotency-Key": key()}, http.StatusCreated, "")
	if read, err := amina.Wallet.ListWalletsWithResponse(t.Context()); err != nil || read.JSON200 == nil || len(read.JSON200.Data) != 2 {
		t.Fatalf("list the wallets: %v %v", read, err)
	}
	keys, err := gatewayclient.NewClientWithResponses(w.Gateway, gatewayclient.WithHTTPClient(w.staff(t, "admin")))
	if err != nil {
		t.Fatal(err)
	}
	request := gatewayclient.CreateAPIKeyRequest{Name: "Times", Scopes: []string{"tariffs:read"}}
	made, err := keys.CreateAPIKeyWithResponse(t.Context(), &gatewayclient.CreateAPIKeyParams{IdempotencyKey: key()}, request)
	if err != nil || made.JSON201 == nil {
		t.Fatalf("make a key: %v %v", made, err)
	}
	if list, err := keys.ListAPIKeysWithResponse(t.Context(), nil); err != nil || list.JSON200 == nil {
		t.Fatalf("list keys: %v %v", list, err)
	}
	out, err := amina.Withdraw(t.Context(), 20_00)
	must(t, err)
	_, err = amina.WaitWithdrawal(t.Context(), out.ID, "paid")
	must(t, err)
	in, err := amina.Deposit(t.Context(), 50_00, "page")
	must(t, err)
	if read, err := amina.Banking.GetDepositWithResponse(t.Context(), in.ID); err != nil || read.JSON200 == nil {
		t.Fatalf("read a deposit: %v %v", read, err)
	}
	wish, err := brian.Ask(t.Context(), amina, 10_00)
	must(t, err)
	if read, err := brian.Wallet.GetPaymentRequestWithResponse(t.Context(), wish.ID); err != nil || read.JSON200 == nil {
		t.Fatalf("read a request: %v %v", read, err)
	}
	change, err := w.ChangeNumber(t.Context(), brian)
	must(t, err)
	if read, err := brian.User.GetNumberChangeWithResponse(t.Context(), change.NumberChangeID); err != nil || read.JSON200 == nil {
		t.Fatalf("read a change of number: %v %v", read, err)
	}
	next, err := w.NewCustomer("Next")
	must(t, err)
	asked, err := w.AskBack(t.Context(), amina, next)
	must(t, err)
	must(t, w.GiveBack(t.Context(), w.staff(t, scopes.RoleCompliance), w.staff(t, scopes.RoleCompliance), asked))
	ask(t, amina, http.MethodGet, "/v1/me/recoveries", "", nil, http.StatusOK, "")
	ask(t, amina, http.MethodPost, "/v1/me/recoveries/"+asked.ID.String()+"/cancellation", "",
		approvedFor(t, amina, "cancelRecovery", asked.ID.String()), http.StatusOK, "")
	// No account is linked before a phone is a day old: TestBankAccounts moves the clock of a platform of its own, and looks at this there.
	left := slices.DeleteFunc(w.checker.Uncompared(), func(what string) bool { return what == "BankAccount" })
	if len(left) > 0 {
		t.Errorf("nothing was made and read of %v", left)
	}
}
