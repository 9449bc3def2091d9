package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/cmd/sendtip/journey"
	"github.com/sendtip/sendtip/generated/common"
	transactionsclient "github.com/sendtip/sendtip/generated/transactions/client"
	walletclient "github.com/sendtip/sendtip/generated/wallet/client"
	"github.com/sendtip/sendtip/sandbox/control"
)

// account is what the owner sees of the ledger account: available is less than the balance by what is held.
func account(t testing.TB, c *journey.Customer) transactionsclient.AccountBalance {
	t.Helper()
	resp, err := c.Ledger.GetBalanceWithResponse(t.Context(), c.WalletID)
	if err != nil || resp.JSON200 == nil {
		t.Fatalf("balance: %v %v", resp, err)
	}
	return *resp.JSON200
}

// rich gives a customer's phone more M-Pesa money than a new one has.
func (w *world) rich(t testing.TB, c *journey.Customer) {
	t.Helper()
	if err := w.Sandbox.SetBalance(t.Context(), c.Phone, 1_000_000_00); err != nil {
		t.Fatal(err)
	}
}

// deposit pays the paybill by hand from the customer's phone and waits until the platform has judged the confirmation.
func (w *world) deposit(t testing.TB, c *journey.Customer, accountNumber string, minor int64) control.Entry {
	t.Helper()
	paid, err := w.Sandbox.C2B(t.Context(), control.C2BPayment{Msisdn: c.Phone, Account: accountNumber, AmountMinor: minor})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the paybill payment to be judged", func() bool {
		return query[bool](t, w, "wallet",
			"SELECT EXISTS (SELECT FROM callbacks WHERE kind = 'c2b' AND provider_id = $1 AND judged_at IS NOT NULL)", paid.Receipt)
	})
	return paid
}

// posted waits until the ledger has posted a reference that ends so, and counts the transactions.
func (w *world) posted(t testing.TB, reference string) {
	t.Helper()
	eventually(t, "the ledger's transaction", func() bool {
		return query[int](t, w, "transactions", "SELECT count(*)::int FROM transactions WHERE reference = $1", reference) == 1
	})
}

func TestPaybillDeposit(t *testing.T) {
	t.Parallel()
	w := shared(t)
	amina := w.customer(t, "Amina", 0)
	if err := w.Sandbox.SetPhoneScript(t.Context(), amina.Phone, control.Script{Callback: "duplicate"}); err != nil {
		t.Fatal(err)
	}
	paid := w.deposit(t, amina, amina.DepositAccount, 300_00)
	w.posted(t, "c2b:"+paid.Receipt)
	eventually(t, "all five copies of the confirmation", func() bool {
		all, err := w.Sandbox.Deliveries(t.Context())
		n := 0
		for _, d := range all {
			if d.Kind == "c2b_confirmation" && d.ID == paid.Receipt && d.Status == http.StatusOK {
				n++
			}
		}
		return err == nil && n == 5
	})
	if got := balance(t, amina); got != 300_00 {
		t.Errorf("300.00 were paid, %d credited", got)
	}
	w.sms(t, amina, "deposit", "300.00", paid.Receipt)
	if err := w.Sandbox.SetPhoneScript(t.Context(), amina.Phone, control.Script{}); err != nil {
		t.Fatal(err)
	}
	// People type the number with spaces and in lower case.
	typed := fmt.Sprintf("%s %s", amina.DepositAccount[:4], amina.DepositAccount[4:])
	w.posted(t, "c2b:"+w.deposit(t, amina, typed, 50_00).Receipt)
	if got := balance(t, amina); got != 350_00 {
		t.Errorf("350.00 were paid, %d credited", got)
	}
}

// TestPaybillPaymentOfNobody: money whose owner is not known is kept in suspense, whole, and nobody is told.
func TestPaybillPaymentOfNobody(t *testing.T) {
	t.Parallel()
	w := shared(t)
	payer := w.registered(t, "Zawadi")
	suspense := func() int64 {
		return query[int64](t, w, "transactions", "SELECT credits_minor - debits_minor FROM accounts WHERE code = 'suspense.KES'")
	}
	before := suspense()
	paid := w.deposit(t, payer, "NOBODY12", 77_00)
	deposit := query[uuid.UUID](t, w, "wallet", "SELECT id FROM deposits WHERE receipt = $1", paid.Receipt)
	w.posted(t, deposit.String()+":suspense")
	if got := suspense() - before; got != 77_00 {
		t.Errorf("77.00 came from nobody, suspense grew by %d", got)
	}
	if n := query[int](t, w, "transactions", "SELECT count(*)::int FROM transactions WHERE reference = $1", "c2b:"+paid.Receipt); n != 0 {
		t.Error("the same money was posted to a wallet too")
	}
	if _, err := w.CheckLedger(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestBalanceMaximum: a transfer or a top-up past the tier's maximum (KES 100,000) is refused; a deposit is credited whole and held above
// it, the wallet shows that, and a payment out lets it go.
func TestBalanceMaximum(t *testing.T) {
	t.Parallel()
	w := shared(t)
	amina, brian := w.customer(t, "Amina", 500_00), w.customer(t, "Brian", 0)
	w.rich(t, brian)
	w.fund(t, brian, 70_000_00)
	w.fund(t, brian, 30_000_00)
	if a := account(t, brian); a.Balance.Amount != 100_000_00 || a.Available.Amount != 100_000_00 {
		t.Fatalf("at the maximum: %+v", a)
	}
	if _, err := amina.Send(t.Context(), brian, 10_00); err == nil || !strings.Contains(err.Error(), "recipient_limit") {
		t.Errorf("a transfer above the recipient's maximum: %v", err)
	}
	if a, b := balance(t, amina), balance(t, brian); a != 500_00 || b != 100_000_00 {
		t.Errorf("the refused transfer moved money: %d and %d", a, b)
	}
	if _, err := brian.TopUp(t.Context(), 1_00); err == nil || !strings.Contains(err.Error(), "balance_limit") {
		t.Errorf("a top-up above the maximum: %v", err)
	}
	w.posted(t, "c2b:"+w.deposit(t, brian, brian.DepositAccount, 5_000_00).Receipt)
	held := func() int64 {
		t.Helper()
		got, err := brian.Wallet.GetWalletWithResponse(t.Context(), brian.WalletID)
		if err != nil || got.JSON200 == nil {
			t.Fatalf("get wallet: %v, %v", got, err)
		}
		if got.JSON200.HeldAboveMaximum == nil {
			return 0
		}
		return got.JSON200.HeldAboveMaximum.Amount
	}
	if got := held(); got != 5_000_00 {
		t.Errorf("held above the maximum: %d", got)
	}
	if a := account(t, brian); a.Balance.Amount != 105_000_00 || a.Available.Amount != 100_000_00 {
		t.Errorf("5,000.00 above the maximum: balance %d, available %d", a.Balance.Amount, a.Available.Amount)
	}
	if _, err := brian.Send(t.Context(), amina, 6_000_00); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the held money is freed", func() bool { return held() == 0 })
	if a := account(t, brian); a.Balance.Amount != a.Available.Amount {
		t.Errorf("after a payment out: balance %d, available %d", a.Balance.Amount, a.Available.Amount)
	}
	if _, err := w.CheckLedger(t.Context()); err != nil {
		t.Error(err)
	}
}

// awayFromMidnight waits, if need be, until no local day of Kenya ends within the next minutes.
func awayFromMidnight(t testing.TB) {
	t.Helper()
	kenya := time.FixedZone("EAT", 3*60*60)
	for {
		now := time.Now().In(kenya)
		tomorrow := time.Date(now.Year(), now.Month(), now.Day()+1, 0, 0, 0, 0, kenya)
		if tomorrow.Sub(now) > 3*time.Minute {
			return
		}
		select {
		case <-time.After(time.Until(tomorrow)):
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}

// TestDailyLimitUnderConcurrency: thirty transfers at once at the edge of KES 140,000 a day use exactly what is left of it.
func TestDailyLimitUnderConcurrency(t *testing.T) {
	t.Parallel()
	awayFromMidnight(t)
	w := shared(t)
	amina, brian, chebet := w.customer(t, "Amina", 0), w.customer(t, "Brian", 0), w.customer(t, "Chebet", 0)
	w.rich(t, amina)
	w.fund(t, amina, 70_000_00)
	w.fund(t, amina, 30_000_00)
	send := func(to *journey.Customer, minor int64) {
		if tr, err := amina.Send(t.Context(), to, minor); err != nil || tr.Status != "completed" {
			t.Fatalf("send %d: %s %v", minor, tr.Status, err)
		}
	}
	send(brian, 70_000_00)
	w.fund(t, amina, 40_000_00)
	send(chebet, 69_000_00) // 1,000.00 are left of the day's limit: ten times 100.00
	w.posted(t, "c2b:"+w.deposit(t, amina, amina.DepositAccount, 5_000_00).Receipt)

	const each = 100_00
	var all []approved
	for range 30 {
		quote, err := amina.Quote(t.Context(), brian, each)
		if err != nil || quote.JSON201 == nil {
			t.Fatalf("quote: %v %v", quote, err)
		}
		approval, err := amina.StepUp(t.Context(), quote.JSON201.ID)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, approved{quote.JSON201.ID, approval})
	}
	outcomes := transferAll(t, amina, all)
	if outcomes["201 "] != 10 || outcomes["422 limit_per_day"] != 20 {
		t.Errorf("want 10 transfers and 20 over the limit, got %v", outcomes)
	}
	if got := balance(t, brian) - 70_000_00; got != 10*each {
		t.Errorf("1,000.00 were left of the limit, %d moved", got)
	}
	limits, err := amina.Wallet.GetLimitsWithResponse(t.Context())
	if err != nil || limits.JSON200 == nil {
		t.Fatalf("limits: %v %v", limits, err)
	}
	for _, l := range limits.JSON200.Limits {
		if l.Kind == "transfer" && l.UsedToday.Currency == "KES" && l.UsedToday.Amount != 140_000_00 {
			t.Errorf("used today: %d", l.UsedToday.Amount)
		}
	}
}

// approved is a quote and the PIN's approval of it.
type approved struct {
	quote    uuid.UUID
	approval string
}

// transferAll carries out approved quotes at the same time, each under its own key, and counts the answers; one that comes before the end
// of its transfer counts as that end.
func transferAll(t testing.TB, c *journey.Customer, all []approved) map[string]int {
	var mu sync.Mutex
	outcomes := map[string]int{}
	var wg sync.WaitGroup
	for _, a := range all {
		wg.Go(func() {
			resp, err := c.Transfer(t.Context(), a.quote, a.approval, key())
			if err != nil {
				t.Error(err)
				return
			}
			outcome := fmt.Sprint(resp.StatusCode(), " ", refusalOf(resp.Body))
			if resp.JSON202 != nil {
				end, err := c.WaitTransfer(t.Context(), resp.JSON202.ID)
				if err != nil {
					t.Error(err)
					return
				}
				outcome = end.Status
				if outcome == "completed" {
					outcome = "201 "
				}
			}
			mu.Lock()
			defer mu.Unlock()
			outcomes[outcome]++
		})
	}
	wg.Wait()
	return outcomes
}

func TestTransferToSelf(t *testing.T) {
	t.Parallel()
	w := shared(t)
	amina := w.customer(t, "Amina", 100_00)
	byPhone, err := amina.Quote(t.Context(), amina, 10_00)
	if err != nil || refusalOf(byPhone.Body) != "recipient_is_sender" {
		t.Errorf("by phone: %s %v", byPhone.Body, err)
	}
	byWallet, err := amina.Wallet.CreateTransferQuoteWithResponse(t.Context(), walletclient.TransferQuoteRequest{WalletID: amina.WalletID,
		RecipientWalletID: &amina.WalletID, Amount: &common.PositiveMoney{Amount: 10_00, Currency: "KES"}})
	if err != nil || refusalOf(byWallet.Body) != "recipient_is_sender" {
		t.Errorf("by wallet: %s %v", byWallet.Body, err)
	}
}

// TestQuoteSpentOnce: ten approved requests under ten keys carry one quote out once.
func TestQuoteSpentOnce(t *testing.T) {
	t.Parallel()
	w := shared(t)
	amina, brian := w.customer(t, "Amina", 500_00), w.customer(t, "Brian", 0)
	quote, err := amina.Quote(t.Context(), brian, 20_00)
	if err != nil || quote.JSON201 == nil {
		t.Fatalf("quote: %v %v", quote, err)
	}
	var all []approved
	for range 10 {
		approval, err := amina.StepUp(t.Context(), quote.JSON201.ID)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, approved{quote.JSON201.ID, approval})
	}
	outcomes := transferAll(t, amina, all)
	if outcomes["201 "] != 1 || outcomes["409 quote_spent"] != 9 {
		t.Errorf("want one transfer and nine refusals, got %v", outcomes)
	}
	if got := balance(t, brian); got != 20_00 {
		t.Errorf("20.00 were quoted, %d arrived", got)
	}
}

// TestLateSuccess: M-Pesa says that nobody answered the prompt, and then that it was paid.
func TestLateSuccess(t *testing.T) {
	t.Parallel()
	w := shared(t)
	amina := w.customer(t, "Amina", 0)
	if err := w.Sandbox.QueueScript(t.Context(), amina.Phone, control.Script{STK: "expire_then_pay", DelayMS: control.Int(1500)}); err != nil {
		t.Fatal(err)
	}
	id, err := amina.TopUp(t.Context(), 150_00)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := amina.WaitTopUp(t.Context(), id, "failed", "expired"); err != nil {
		t.Fatal(err)
	}
	done, err := amina.WaitTopUp(t.Context(), id, "paid")
	if err != nil {
		t.Fatal(err)
	}
	if done.FailureCode != nil {
		t.Errorf("a paid top-up has the failure %s", *done.FailureCode)
	}
	w.sms(t, amina, "150.00", "added")
	w.quiet(t, id)
	if got := balance(t, amina); got != 150_00 {
		t.Errorf("150.00 were paid, %d credited", got)
	}
}

// quiet waits until every message about a top-up is judged.
func (w *world) quiet(t testing.TB, topup uuid.UUID) {
	t.Helper()
	eventually(t, "the messages about the top-up", func() bool {
		return query[int](t, w, "wallet", `SELECT count(*)::int FROM callbacks c LEFT JOIN topups t ON t.receipt = c.provider_id
			WHERE c.judged_at IS NULL AND (c.topup_id = $1 OR t.id = $1)`, topup) == 0
	})
}

// TestAlteredCallback: a callback that names ten times the amount never credits it; Safaricom's own answer decides.
func TestAlteredCallback(t *testing.T) {
	t.Parallel()
	w := shared(t)
	for name, confirmed := range map[string]bool{"callback alone": false, "callback and confirmation": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			amina := w.customer(t, "Amina", 0)
			script := control.Script{STK: "pay", DelayMS: control.Int(0), Callback: "alter", C2B: &confirmed}
			if err := w.Sandbox.QueueScript(t.Context(), amina.Phone, script); err != nil {
				t.Fatal(err)
			}
			id, err := amina.TopUp(t.Context(), 120_00)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := amina.WaitTopUp(t.Context(), id, "paid"); err != nil {
				t.Fatal(err)
			}
			if got := balance(t, amina); got != 120_00 {
				t.Errorf("120.00 were paid, %d credited", got)
			}
			w.sms(t, amina, "120.00", "added")
			w.quiet(t, id)
			if got := balance(t, amina); got != 120_00 {
				t.Errorf("120.00 were paid, %d credited after all", got)
			}
		})
	}
}

// TestTopUpOfTheOwnPhone: without a phone in the request the prompt appears on the customer's own.
func TestTopUpOfTheOwnPhone(t *testing.T) {
	t.Parallel()
	w := shared(t)
	amina := w.customer(t, "Amina", 0)
	resp, err := amina.Wallet.CreateTopupWithResponse(t.Context(), &walletclient.CreateTopupParams{IdempotencyKey: key()},
		walletclient.TopupRequest{WalletID: amina.WalletID, Amount: common.PositiveMoney{Amount: 80_00, Currency: "KES"}})
	if err != nil || resp.JSON202 == nil {
		t.Fatalf("top up: %v %v", resp, err)
	}
	prompt, err := w.Sandbox.WaitPrompt(t.Context(), amina.Phone)
	if err != nil || prompt.AmountMinor != 80_00 || prompt.AccountReference != resp.JSON202.AccountReference {
		t.Fatalf("prompt %+v: %v", prompt, err)
	}
	if _, err := w.Sandbox.Pay(t.Context(), amina.Phone, "1234"); err != nil {
		t.Fatal(err)
	}
	if _, err := amina.WaitTopUp(t.Context(), resp.JSON202.ID, "paid"); err != nil {
		t.Fatal(err)
	}
	if got := balance(t, amina); got != 80_00 {
		t.Errorf("80.00 were paid, %d credited", got)
	}
}

// TestStatementPages: walking the cursor gives every entry once, newest first, and the balances add up.
func TestStatementPages(t *testing.T) {
	t.Parallel()
	w := shared(t)
	amina, brian := w.customer(t, "Amina", 5_000_00), w.customer(t, "Brian", 0)
	for range 4 { // amount, fee and excise: three entries each
		if _, err := amina.Send(t.Context(), brian, 200_00); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := amina.Statement(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 13 || entries[0].BalanceAfter.Amount != balance(t, amina) {
		t.Fatalf("%d entries, the newest balance is %d of %d", len(entries), entries[0].BalanceAfter.Amount, balance(t, amina))
	}
	slices.Reverse(entries)
	var sum int64
	for i, e := range entries {
		sign := int64(1)
		if e.Direction == "debit" {
			sign = -1
		}
		sum += sign * e.Amount.Amount
		if e.Sequence != int64(i+1) || e.BalanceAfter.Amount != sum {
			t.Errorf("entry %d: sequence %d, balance %d, sum %d", i+1, e.Sequence, e.BalanceAfter.Amount, sum)
		}
	}
	limit := int32(5)
	first, err := amina.Ledger.ListStatementWithResponse(t.Context(), amina.WalletID, &transactionsclient.ListStatementParams{Limit: &limit})
	if err != nil || first.JSON200 == nil || first.JSON200.NextCursor == nil {
		t.Fatalf("%+v, %v", first, err)
	}
	list := func(path, cursor string) string { return path + "?limit=5&cursor=" + cursor }
	mine, his := "/v1/accounts/"+amina.WalletID.String()+"/statement", "/v1/accounts/"+brian.WalletID.String()+"/statement"
	ask(t, amina, http.MethodGet, list(mine, *first.JSON200.NextCursor), "", nil, http.StatusOK, "")
	ask(t, brian, http.MethodGet, list(his, *first.JSON200.NextCursor), "", nil, http.StatusUnprocessableEntity, "cursor_invalid")
	for _, path := range []string{"/v1/transfers", "/v1/topups", "/v1/notifications", mine} {
		other := *first.JSON200.NextCursor
		if path == mine {
			other = "8" // of an earlier release
		}
		ask(t, amina, http.MethodGet, list(path, other), "", nil, http.StatusUnprocessableEntity, "cursor_invalid")
	}
}

// TestLedgerIsInternal: no customer reaches the ledger's own operations, on either listener.
func TestLedgerIsInternal(t *testing.T) {
	t.Parallel()
	w := shared(t)
	amina := w.registered(t, "Amina")
	for _, path := range []string{"/v1/ledger/outcomes/x:post", "/v1/ledger/system-accounts", "/v1/ledger/accounts/" + uuid.NewString(),
		"/v1/ledger/transactions/" + uuid.NewString()} {
		ask(t, amina, http.MethodGet, path, "", nil, http.StatusNotFound, "not_found")
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.p.InternalURL()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+amina.Tokens.AccessToken)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s on the internal listener with a customer's token: want 401, got %d", path, resp.StatusCode)
		}
	}
	ask(t, amina, http.MethodPost, "/v1/ledger/transactions", `{"transactions":[]}`, nil, http.StatusNotFound, "not_found")
}
