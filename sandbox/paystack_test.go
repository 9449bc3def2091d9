package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sendtip/sendtip/providers/paystack"
	"github.com/sendtip/sendtip/providers/paystack/spec"
	"github.com/sendtip/sendtip/sandbox/control"
)

const webhookPath = "/v1/hooks/bp"

// ref is a reference that is valid for payments and payouts.
func ref(n int) string { return fmt.Sprintf("0197a1b2-0000-7000-8000-%012d", n) }

// paystackBench is a bench whose every exchange with Paystack is held against the official description.
func paystackBench(t *testing.T, change func(*Config)) (*bench, *paystack.Client) {
	t.Helper()
	b := setup(t, func(c *Config) {
		c.ResultDelay = -1
		if change != nil {
			change(c)
		}
	})
	if err := b.control.SetPaystackWebhookURL(limit(t), b.hooks+webhookPath); err != nil {
		t.Fatal(err)
	}
	checked, err := spec.NewChecked(nil, func(err error) { t.Errorf("not as described: %v", err) })
	if err != nil {
		t.Fatal(err)
	}
	return b, paystack.New(paystack.Config{BaseURL: b.url, SecretKey: DefaultPaystackKey, HTTP: &http.Client{Transport: checked}})
}

var webhookSchemas = sync.OnceValues(spec.Webhooks)

// nextEvent is the next webhook, which has to be Paystack's and as described.
func (b *bench) nextEvent(t *testing.T) paystack.Event {
	t.Helper()
	r := b.next(t)
	if r.path != webhookPath || r.from != "127.0.0.2" ||
		!paystack.VerifySignature(r.body, r.header.Get(paystack.SignatureHeader), DefaultPaystackKey) {
		t.Fatalf("%s from %s: %s", r.path, r.from, r.body)
	}
	doc, err := webhookSchemas()
	if err != nil {
		t.Fatal(err)
	}
	if err := spec.CheckWebhook(doc, r.body); err != nil {
		t.Errorf("%s: %v", r.body, err)
	}
	e, err := paystack.ParseWebhook(r.body)
	if err != nil {
		t.Fatalf("%v: %s", err, r.body)
	}
	return e
}

// truth is Paystack's books without what they held at the start.
func (b *bench) truth(t *testing.T) []control.PaystackLine {
	t.Helper()
	s, err := b.control.PaystackStatement(limit(t))
	if err != nil {
		t.Fatal(err)
	}
	sum := int64(0)
	for _, line := range s.Data {
		sum += line.AmountMinor - line.FeeMinor
		if line.BalanceMinor != sum {
			t.Errorf("the balance is not the sum of what is above: %+v", line)
		}
	}
	if s.Balances[paystack.KES] != sum {
		t.Errorf("balance %d, lines %d", s.Balances[paystack.KES], sum)
	}
	return slices.DeleteFunc(s.Data, func(l control.PaystackLine) bool { return l.Kind == "opening" || l.Kind == "adjustment" })
}

func (b *bench) kinds(t *testing.T) string {
	t.Helper()
	var out []string
	for _, line := range b.truth(t) {
		out = append(out, line.Kind)
	}
	return strings.Join(out, " ")
}

func (b *bench) paystackScript(t *testing.T, s control.PaystackScript) {
	t.Helper()
	if err := b.control.SetPaystackScript(limit(t), s); err != nil {
		t.Fatal(err)
	}
}

func stk(n int) paystack.ChargeRequest {
	return paystack.ChargeRequest{Email: "d@deposits.example", AmountMinor: 150_00, Reference: ref(n), Phone: phone}
}

func hosted(n int) paystack.InitializeRequest {
	return paystack.InitializeRequest{Email: "d@deposits.example", AmountMinor: 150_00, Reference: ref(n),
		CallbackURL: "http://127.0.0.1/done"}
}

// account is a recipient at a bank.
func recipient(t *testing.T, p *paystack.Client) paystack.Recipient {
	t.Helper()
	r, err := p.CreateRecipient(limit(t), paystack.RecipientRequest{Type: paystack.KEPSS, Name: "Jane Doe", AccountNumber: "0123456789",
		BankCode: "68"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func payout(n int, to paystack.Recipient) paystack.TransferRequest {
	return paystack.TransferRequest{Reference: ref(n), Recipient: to.Code, AmountMinor: 150_00, Reason: "Withdrawal"}
}

func TestPaystackHostedPage(t *testing.T) {
	t.Parallel()
	b, p := paystackBench(t, nil)
	checkout, err := p.Initialize(limit(t), hosted(1))
	if err != nil || !strings.HasPrefix(checkout.URL, b.url+"/paystack/checkout/") {
		t.Fatalf("%+v, %v", checkout, err)
	}
	if got, err := p.Verify(limit(t), ref(1)); err != nil || got.Status != "abandoned" || got.Outcome != paystack.Pending {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := b.control.AnswerPaystack(limit(t), ref(1), "fail"); err != nil || got.Status != "failed" {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := p.Verify(limit(t), ref(1)); err != nil || got.Outcome != paystack.Failed || got.GatewayResponse != "Declined" {
		t.Errorf("%+v, %v", got, err)
	}
	b.none(t)                                                                                                 // failures are not announced
	if got, err := b.control.AnswerPaystack(limit(t), ref(1), "pay"); err != nil || got.Status != "success" { // the customer tries again
		t.Errorf("%+v, %v", got, err)
	}
	e := b.nextEvent(t)
	got, err := p.Verify(limit(t), ref(1))
	if err != nil || !got.Matches(paystack.Test, ref(1), 150_00, paystack.KES) || got.Outcome != paystack.Paid ||
		got.Channel != paystack.Card ||
		got.ID != e.Transaction.ID || e.Name != paystack.ChargeSuccess || *got.FeesMinor != 4_35 || got.PaidAt.IsZero() {
		t.Errorf("%+v, %+v, %v", got, e.Transaction, err)
	}
	lines := b.truth(t)
	if len(lines) != 1 || lines[0].Kind != "charge" || lines[0].AmountMinor != 150_00 || lines[0].FeeMinor != 4_35 || lines[0].ID != got.ID ||
		lines[0].BalanceMinor != defaultFloatMinor+145_65 {
		t.Errorf("%+v", lines)
	}
	if _, err := b.control.AnswerPaystack(limit(t), ref(1), "pay"); err == nil {
		t.Error("paid twice")
	}
	if _, err := p.Initialize(limit(t), hosted(1)); !paystack.Duplicate(err) || paystack.Definite(err) {
		t.Errorf("again: %v", err)
	}
	if _, err := p.Verify(limit(t), ref(2)); !paystack.NotFound(err) {
		t.Errorf("unknown: %v", err)
	}
}

func TestPaystackMobileMoney(t *testing.T) {
	t.Parallel()
	b, p := paystackBench(t, nil)
	got, err := p.ChargeMobileMoney(limit(t), stk(1))
	if err != nil || got.Status != paystack.StatusPayOffline || got.Outcome != paystack.Pending || got.DisplayText == "" {
		t.Fatalf("%+v, %v", got, err)
	}
	if tx, err := p.Verify(limit(t), ref(1)); err != nil || tx.Status != "ongoing" || tx.Outcome != paystack.Pending {
		t.Errorf("%+v, %v", tx, err)
	}
	if _, err := b.control.AnswerPaystack(limit(t), ref(1), "pay"); err != nil {
		t.Fatal(err)
	}
	e := b.nextEvent(t)
	tx, err := p.Verify(limit(t), ref(1))
	if err != nil || tx.Receipt == "" || tx.Receipt != e.Transaction.Receipt || tx.Channel != paystack.MobileMoney || *tx.FeesMinor != 2_25 {
		t.Errorf("%+v, %v", tx, err)
	}
	if got, err := p.GetCharge(limit(t), ref(1)); err != nil || got.Outcome != paystack.Paid {
		t.Errorf("%+v, %v", got, err)
	}
	if h, err := b.control.Phone(limit(t), phone); err != nil || h.BalanceMinor != 100_000_00-150_00 {
		t.Errorf("%+v, %v", h, err)
	}
	offline := stk(2)
	offline.Provider = paystack.MpesaOffline
	if got, err := p.ChargeMobileMoney(limit(t), offline); err != nil || got.AccountNumber == "" || got.AccountReference == "" {
		t.Errorf("%+v, %v", got, err)
	}
	instant := stk(3)
	instant.Phone = "+254710000000"
	if _, err := p.ChargeMobileMoney(limit(t), instant); err != nil {
		t.Fatal(err)
	}
	if e := b.nextEvent(t); e.Transaction.Reference != ref(3) {
		t.Errorf("%+v", e)
	}
	poor := stk(4)
	if err := b.control.SetBalance(limit(t), phone, 149_99); err != nil {
		t.Fatal(err)
	}
	b.paystackScript(t, control.PaystackScript{Charge: "pay"})
	if _, err := p.ChargeMobileMoney(limit(t), poor); err != nil {
		t.Fatal(err)
	}
	b.waitPayment(t, ref(4), "failed")
	if got, err := p.GetCharge(limit(t), ref(4)); err != nil || got.Outcome != paystack.Failed || got.Message != "Insufficient funds" {
		t.Errorf("%+v, %v", got, err)
	}
	if kinds := b.kinds(t); kinds != "charge charge" {
		t.Error(kinds)
	}
	b.none(t)
}

// TestPaystackAbandoned is a customer who closes the page.
func TestPaystackAbandoned(t *testing.T) {
	t.Parallel()
	b, p := paystackBench(t, nil)
	if err := b.control.QueuePaystackScript(limit(t), control.PaystackScript{Charge: "abandon"}); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		request := hosted(n)
		request.Channels = []string{paystack.BankTransfer}
		if _, err := p.Initialize(limit(t), request); err != nil {
			t.Fatal(err)
		}
		if got, err := p.Verify(limit(t), ref(n)); err != nil || got.Status != "abandoned" || got.Outcome != paystack.Pending {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if _, err := b.control.AnswerPaystack(limit(t), ref(2), "pay"); err != nil { // comes back and pays
		t.Fatal(err)
	}
	if e := b.nextEvent(t); e.Transaction.Channel != paystack.BankTransfer || e.Transaction.Reference != ref(2) {
		t.Errorf("%+v", e.Transaction)
	}
	b.none(t)
}

// waitPayment waits until a payment has a status at Paystack.
func (b *bench) waitPayment(t *testing.T, reference, status string) {
	t.Helper()
	if _, err := b.control.WaitPaystackPayment(limit(t), reference, status); err != nil {
		t.Fatal(err)
	}
}

func TestPaystackPromptExpires(t *testing.T) {
	t.Parallel()
	b, p := paystackBench(t, func(c *Config) { c.TimeScale = 10_000 }) // 180 s are 18 ms
	if _, err := p.ChargeMobileMoney(limit(t), stk(1)); err != nil {
		t.Fatal(err)
	}
	b.waitPayment(t, ref(1), "failed")
	if _, err := b.control.AnswerPaystack(limit(t), ref(1), "pay"); err == nil {
		t.Error("paid after its end")
	}
	if lines := b.truth(t); len(lines) != 0 {
		t.Errorf("%+v", lines)
	}
	b.none(t)
}

// TestPaystackAnswers is what each synchronous answer leaves behind, for payments, payouts and refunds.
func TestPaystackAnswers(t *testing.T) {
	t.Parallel()
	for mode, c := range map[string]struct{ done, definite, busy bool }{
		"throttled": {false, true, true}, "down": {false, false, false}, "error_before": {false, false, false},
		"error": {true, false, false}, "lose": {true, false, false}, "hang": {true, false, false},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			b, p := paystackBench(t, nil)
			var hangUp atomic.Pointer[context.CancelFunc]
			b.answer = func(string) (int, string) { // the caller gives up when something has come of it
				if f := hangUp.Swap(nil); f != nil {
					(*f)()
				}
				return 200, ""
			}
			to := recipient(t, p)
			send := func(operation string, call func(context.Context) error) {
				t.Helper()
				if err := b.control.QueuePaystackScript(limit(t), control.PaystackScript{Answer: mode}); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(limit(t))
				defer cancel()
				if mode == "hang" {
					hangUp.Store(&cancel)
				}
				if err := call(ctx); err == nil || paystack.Definite(err) != c.definite || paystack.Busy(err) != c.busy || paystack.Duplicate(err) {
					t.Errorf("%s: %v", operation, err)
				}
			}
			send("transfer", func(ctx context.Context) error { _, err := p.Transfer(ctx, payout(1, to)); return err })
			_, err := p.VerifyTransfer(limit(t), ref(1))
			if paystack.NotFound(err) == c.done {
				t.Errorf("transfer: %v", err)
			}
			if c.done {
				b.nextEvent(t)
			}
			instant := stk(2)
			instant.Phone = "+254710000000"
			send("charge", func(ctx context.Context) error { _, err := p.ChargeMobileMoney(ctx, instant); return err })
			if _, err = p.ChargeMobileMoney(limit(t), instant); paystack.Duplicate(err) != c.done || (err == nil) == c.done {
				t.Errorf("charge again: %v", err)
			}
			b.nextEvent(t)
			send("refund", func(ctx context.Context) error {
				_, err := p.Refund(ctx, paystack.RefundRequest{Transaction: ref(2), AmountMinor: 50_00, MerchantNote: "r-1"})
				return err
			})
			tx, err := p.Verify(limit(t), ref(2))
			if err != nil {
				t.Fatal(err)
			}
			refunds, err := p.ListRefunds(limit(t), tx.ID, time.Time{})
			if err != nil || (len(refunds) == 1) != c.done || (c.done && refunds[0].MerchantNote != "r-1") {
				t.Errorf("refunds: %+v, %v", refunds, err)
			}
		})
	}
}

func TestPaystackTransferIsMadeOnce(t *testing.T) {
	t.Parallel()
	b, p := paystackBench(t, nil)
	b.paystackScript(t, control.PaystackScript{Transfer: "pending"})
	to := recipient(t, p)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if got, err := p.Transfer(limit(t), payout(1, to)); err != nil || got.Outcome != paystack.Pending {
				t.Errorf("%+v, %v", got, err) // while it is under way its state is the answer
			}
		})
	}
	wg.Wait()
	other := payout(1, to)
	other.AmountMinor++
	if _, err := p.Transfer(limit(t), other); !paystack.Duplicate(err) {
		t.Errorf("another amount: %v", err)
	}
	lines := b.truth(t)
	if len(lines) != 1 || lines[0].AmountMinor != -150_00 || lines[0].FeeMinor != 80_00 || lines[0].Party != "0123456789" {
		t.Errorf("%+v", lines)
	}
	b.paystackScript(t, control.PaystackScript{})
	if _, err := p.Transfer(limit(t), payout(2, to)); err != nil {
		t.Fatal(err)
	}
	b.nextEvent(t)
	if _, err := p.Transfer(limit(t), payout(2, to)); !paystack.Duplicate(err) {
		t.Errorf("after its end: %v", err)
	}
}

func TestPaystackTransfers(t *testing.T) {
	t.Parallel()
	for way, c := range map[string]struct {
		status  string
		outcome paystack.Outcome
		events  []string
		kinds   string
	}{
		"success":  {"success", paystack.Paid, []string{paystack.TransferSuccess}, "transfer"},
		"pending":  {"pending", paystack.Pending, nil, "transfer"},
		"received": {"received", paystack.Pending, nil, "transfer"},
		"otp":      {"otp", paystack.Pending, nil, ""},
		"failed":   {"failed", paystack.Failed, []string{paystack.TransferFailed}, "transfer transfer_failed"},
		"blocked":  {"blocked", paystack.Failed, nil, "transfer transfer_failed"},
		"rejected": {"rejected", paystack.Failed, nil, "transfer transfer_failed"},
		"reversed": {"reversed", paystack.Reversed, []string{paystack.TransferSuccess, paystack.TransferReversed}, "transfer transfer_reversed"},
	} {
		b, p := paystackBench(t, nil)
		to := recipient(t, p)
		delay := control.Int(0)
		if err := b.control.SetPaystackAccountScript(limit(t), to.AccountNumber,
			control.PaystackScript{Transfer: way, DelayMS: delay}); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Transfer(limit(t), payout(1, to)); err != nil {
			t.Fatal(err)
		}
		var seen []string
		for range c.events {
			e := b.nextEvent(t)
			seen = append(seen, e.Name)
			if e.Transfer.Recipient != to.Code || !e.Transfer.Matches(paystack.Test, ref(1), 150_00, paystack.KES) {
				t.Errorf("%s: %+v", way, e.Transfer)
			}
		}
		slices.Sort(seen) // their order is not promised
		b.waitPayout(t, ref(1), c.status)
		got, err := p.VerifyTransfer(limit(t), ref(1))
		if err != nil || got.Status != c.status || got.Outcome != c.outcome || got.Recipient != to.Code || *got.FeeMinor != 80_00 {
			t.Errorf("%s: %+v, %v", way, got, err)
		}
		if kinds := b.kinds(t); kinds != c.kinds || !slices.Equal(seen, slices.Sorted(slices.Values(c.events))) {
			t.Errorf("%s: %s, %v", way, kinds, seen)
		}
		b.none(t)
	}
}

func (b *bench) waitPayout(t *testing.T, reference, status string) {
	t.Helper()
	if _, err := b.control.WaitPaystackPayout(limit(t), reference, status); err != nil {
		t.Fatal(err)
	}
}

func TestPaystackCodeIsNeverGiven(t *testing.T) {
	t.Parallel()
	b, p := paystackBench(t, func(c *Config) { c.TimeScale = 100_000 })
	b.paystackScript(t, control.PaystackScript{Transfer: "otp"})
	if _, err := p.Transfer(limit(t), payout(1, recipient(t, p))); err != nil {
		t.Fatal(err)
	}
	b.waitPayout(t, ref(1), "abandoned")
	if lines := b.truth(t); len(lines) != 0 {
		t.Errorf("%+v", lines)
	}
}

func TestPaystackWallets(t *testing.T) {
	t.Parallel()
	b, p := paystackBench(t, nil)
	wallet, err := p.CreateRecipient(limit(t), paystack.RecipientRequest{Type: paystack.Wallet, Name: "Jane", AccountNumber: "0712345678",
		BankCode: "MPESA"})
	if err != nil {
		t.Fatal(err)
	}
	again, err := p.CreateRecipient(limit(t), paystack.RecipientRequest{Type: paystack.Wallet, Name: "Other", AccountNumber: "0712345678",
		BankCode: "MPESA"})
	if err != nil || again.Code != wallet.Code {
		t.Errorf("%+v, %v", again, err)
	}
	if _, err := p.Transfer(limit(t), payout(1, wallet)); err != nil {
		t.Fatal(err)
	}
	b.nextEvent(t)
	if h, err := b.control.Phone(limit(t), phone); err != nil || h.BalanceMinor != 100_000_00+150_00 {
		t.Errorf("%+v, %v", h, err)
	}
	till, err := p.CreateRecipient(limit(t),
		paystack.RecipientRequest{Type: paystack.MobileMoneyBusiness, Name: "Shop", AccountNumber: "123456",
			BankCode: "MPTILL"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Transfer(limit(t), payout(2, till)); !paystack.Definite(err) {
		t.Errorf("without account reference: %v", err)
	}
	with := payout(2, till)
	with.AccountReference = "till"
	if _, err := p.Transfer(limit(t), with); err != nil {
		t.Error(err)
	}
	b.nextEvent(t)
}

func TestPaystackBalance(t *testing.T) {
	t.Parallel()
	b, p := paystackBench(t, nil)
	to := recipient(t, p)
	if err := b.control.SetPaystackBalance(limit(t), paystack.KES, 229_99); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Transfer(limit(t), payout(1, to)); !paystack.InsufficientBalance(err) || !paystack.Definite(err) {
		t.Errorf("one cent short: %v", err)
	}
	if err := b.control.SetPaystackBalance(limit(t), paystack.KES, 230_00); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Transfer(limit(t), payout(1, to)); err != nil {
		t.Errorf("just enough: %v", err)
	}
	b.nextEvent(t)
	if got, err := p.Balances(limit(t)); err != nil || len(got) != 1 || got[0] != (paystack.Balance{Currency: paystack.KES}) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestPaystackBanks(t *testing.T) {
	t.Parallel()
	_, p := paystackBench(t, nil)
	all, err := p.ListBanks(limit(t), paystack.BankQuery{Country: "kenya", Currency: paystack.KES})
	if err != nil || len(all) != 14 || !all[0].Active {
		t.Errorf("%+v, %v", all, err)
	}
	kepss, err := p.ListBanks(limit(t), paystack.BankQuery{Type: paystack.KEPSS})
	if err != nil || len(kepss) != 10 {
		t.Errorf("%+v, %v", kepss, err)
	}
	account, err := p.ResolveAccount(limit(t), "01", "0123456789")
	if err != nil || account.Name == "" || account.BankID == "" {
		t.Errorf("%+v, %v", account, err)
	}
	for _, c := range [][2]string{{"01", "0123450000"}, {"99", "0123456789"}, {"MPESA", "0712345678"}} {
		if _, err := p.ResolveAccount(limit(t), c[0], c[1]); !paystack.Definite(err) {
			t.Errorf("%v: %v", c, err)
		}
	}
	if _, err := p.CreateRecipient(limit(t), paystack.RecipientRequest{Type: paystack.KEPSS, Name: "x", AccountNumber: "0123456789",
		BankCode: "MPESA"}); !paystack.Definite(err) {
		t.Errorf("wallet as a bank: %v", err)
	}
}

func TestPaystackRefunds(t *testing.T) {
	t.Parallel()
	paid := func(t *testing.T, way string) (*bench, *paystack.Client, paystack.Refund) {
		t.Helper()
		b, p := paystackBench(t, nil)
		b.paystackScript(t, control.PaystackScript{Refund: way, Charge: "pay"})
		if _, err := p.ChargeMobileMoney(limit(t), stk(1)); err != nil {
			t.Fatal(err)
		}
		b.nextEvent(t)
		got, err := p.Refund(limit(t), paystack.RefundRequest{Transaction: ref(1), AmountMinor: 150_00, MerchantNote: "r-1"})
		if err != nil || got.Status != paystack.RefundPending || got.TransactionReference != ref(1) {
			t.Fatalf("%+v, %v", got, err)
		}
		return b, p, got
	}
	events := func(t *testing.T, b *bench, want ...string) {
		t.Helper()
		var seen []string
		for range want {
			e := b.nextEvent(t)
			seen = append(seen, e.Name)
			if e.Refund == nil || e.Refund.AmountMinor != 150_00 || e.Refund.TransactionReference != ref(1) {
				t.Errorf("%+v", e)
			}
		}
		slices.Sort(seen)
		slices.Sort(want)
		if !slices.Equal(seen, want) {
			t.Errorf("%v", seen)
		}
		b.none(t)
	}
	check := func(t *testing.T, p *paystack.Client, id, status string) {
		t.Helper()
		got, err := p.GetRefund(limit(t), id)
		if err != nil || got.Status != status || got.MerchantNote != "r-1" || got.AmountMinor != 150_00 {
			t.Errorf("%+v, %v", got, err)
		}
	}
	t.Run("processed", func(t *testing.T) {
		t.Parallel()
		b, p, refund := paid(t, "processed")
		events(t, b, paystack.RefundIsPending, paystack.RefundIsProcessing, paystack.RefundIsProcessed)
		check(t, p, refund.ID, paystack.RefundProcessed)
		if tx, err := p.Verify(limit(t), ref(1)); err != nil || tx.Outcome != paystack.Reversed {
			t.Errorf("%+v, %v", tx, err)
		}
		if kinds := b.kinds(t); kinds != "charge refund" {
			t.Error(kinds)
		}
		if h, err := b.control.Phone(limit(t), phone); err != nil || h.BalanceMinor != 100_000_00 {
			t.Errorf("%+v, %v", h, err)
		}
		if _, err := p.Refund(limit(t), paystack.RefundRequest{Transaction: ref(1), AmountMinor: 1}); !paystack.Definite(err) {
			t.Errorf("more than was paid: %v", err)
		}
	})
	t.Run("failed", func(t *testing.T) {
		t.Parallel()
		b, p, refund := paid(t, "failed")
		events(t, b, paystack.RefundIsPending, paystack.RefundHasFailed)
		check(t, p, refund.ID, paystack.RefundFailed)
		if tx, err := p.Verify(limit(t), ref(1)); err != nil || tx.Outcome != paystack.Paid {
			t.Errorf("%+v, %v", tx, err)
		}
		if kinds := b.kinds(t); kinds != "charge refund refund_failed" {
			t.Error(kinds)
		}
	})
	t.Run("needs attention", func(t *testing.T) {
		t.Parallel()
		b, p, refund := paid(t, "needs_attention")
		events(t, b, paystack.RefundIsPending, paystack.RefundIsInNeed)
		check(t, p, refund.ID, paystack.RefundNeedsAttention)
		if err := b.control.EndPaystackRefund(limit(t), refund.ID, "process"); err != nil {
			t.Fatal(err)
		}
		events(t, b, paystack.RefundIsProcessed)
		check(t, p, refund.ID, paystack.RefundProcessed)
		if err := b.control.EndPaystackRefund(limit(t), refund.ID, "fail"); err == nil {
			t.Error("ended twice")
		}
	})
}

// TestPaystackRefundsHaveNoKey shows why a refund is never sent twice: Paystack makes two of it.
func TestPaystackRefundsHaveNoKey(t *testing.T) {
	t.Parallel()
	b, p := paystackBench(t, nil)
	b.paystackScript(t, control.PaystackScript{Charge: "pay", Refund: "pending"})
	if _, err := p.ChargeMobileMoney(limit(t), stk(1)); err != nil {
		t.Fatal(err)
	}
	tx := b.nextEvent(t).Transaction
	for range 2 {
		if _, err := p.Refund(limit(t), paystack.RefundRequest{Transaction: ref(1), AmountMinor: 50_00, MerchantNote: "r-1"}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := p.ListRefunds(limit(t), tx.ID, time.Time{})
	if err != nil || len(got) != 2 || got[0].ID == got[1].ID {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := p.ListRefunds(limit(t), tx.ID, time.Now().Add(time.Hour)); err != nil || len(got) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if kinds := b.kinds(t); kinds != "charge refund refund" {
		t.Error(kinds)
	}
}

func TestPaystackDisputes(t *testing.T) {
	t.Parallel()
	for action, kinds := range map[string]string{"accept": "charge dispute", "decline": "charge"} {
		b, p := paystackBench(t, nil)
		b.paystackScript(t, control.PaystackScript{Charge: "pay"})
		if err := b.control.DisputePaystack(limit(t), ref(1), control.PaystackDispute{Action: "create"}); err == nil {
			t.Error("nothing was paid yet")
		}
		if _, err := p.ChargeMobileMoney(limit(t), stk(1)); err != nil {
			t.Fatal(err)
		}
		b.nextEvent(t)
		if err := b.control.DisputePaystack(limit(t), ref(1), control.PaystackDispute{Action: "accept"}); err == nil {
			t.Error("ended before it began")
		}
		for _, step := range []struct{ action, event, status string }{
			{"create", paystack.DisputeCreated, "awaiting-merchant-feedback"},
			{"remind", paystack.DisputeReminded, "awaiting-merchant-feedback"}, {action, paystack.DisputeResolved, "resolved"},
		} {
			if err := b.control.DisputePaystack(limit(t), ref(1), control.PaystackDispute{Action: step.action}); err != nil {
				t.Fatal(err)
			}
			if err := b.control.DisputePaystack(limit(t), ref(1), control.PaystackDispute{Action: "create"}); err == nil {
				t.Error("disputed twice")
			}
			e := b.nextEvent(t)
			if e.Name != step.event || e.Dispute.Status != step.status || e.Dispute.AmountMinor != 150_00 ||
				e.Dispute.TransactionReference != ref(1) {
				t.Errorf("%+v: %+v", e, e.Dispute)
			}
		}
		if got := b.kinds(t); got != kinds {
			t.Errorf("%s: %s", action, got)
		}
		if err := b.control.DisputePaystack(limit(t), ref(1), control.PaystackDispute{Action: "accept"}); err == nil {
			t.Error("ended twice")
		}
	}
}

func TestPaystackWebhooks(t *testing.T) {
	t.Parallel()
	pay := func(t *testing.T, way string) *bench {
		t.Helper()
		b, p := paystackBench(t, func(c *Config) { c.TimeScale = 1000 })
		if err := b.control.SetPaystackReferenceScript(limit(t), ref(1), control.PaystackScript{Charge: "pay", Webhook: way}); err != nil {
			t.Fatal(err)
		}
		if _, err := p.ChargeMobileMoney(limit(t), stk(1)); err != nil {
			t.Fatal(err)
		}
		b.waitPayment(t, ref(1), "success")
		return b
	}
	t.Run("lose", func(t *testing.T) {
		t.Parallel()
		b := pay(t, "lose")
		if _, err := b.control.WaitDelivery(limit(t), func(d control.Delivery) bool {
			return d.ID == ref(1) && d.Lost && d.Kind == paystack.ChargeSuccess
		}); err != nil {
			t.Error(err)
		}
		b.none(t)
	})
	t.Run("late", func(t *testing.T) {
		t.Parallel()
		pay(t, "delay").nextEvent(t)
	})
	t.Run("twice", func(t *testing.T) {
		t.Parallel()
		b := pay(t, "duplicate")
		keys := map[string]int{}
		for range 5 {
			keys[b.nextEvent(t).Key]++
		}
		if len(keys) != 1 {
			t.Errorf("%v", keys)
		}
		b.none(t)
	})
	t.Run("altered", func(t *testing.T) {
		t.Parallel()
		if e := pay(t, "alter").nextEvent(t); e.Transaction.AmountMinor != 1500_00 {
			t.Errorf("%+v", e.Transaction)
		}
	})
	t.Run("other domain", func(t *testing.T) {
		t.Parallel()
		if e := pay(t, "other_domain").nextEvent(t); e.Transaction.Domain != paystack.Live {
			t.Errorf("%+v", e.Transaction)
		}
	})
	for way, from := range map[string]string{"forge": "127.0.0.1", "bad_signature": "127.0.0.2"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			b := pay(t, way)
			r := b.next(t)
			if r.from != from || paystack.VerifySignature(r.body, r.header.Get(paystack.SignatureHeader), DefaultPaystackKey) {
				t.Errorf("from %s: %s", r.from, r.body)
			}
			if way == "forge" {
				if e := b.nextEvent(t); e.Transaction.AmountMinor != 150_00 {
					t.Errorf("%+v", e)
				}
			}
			if kinds := b.kinds(t); kinds != "charge" {
				t.Error(kinds)
			}
		})
	}
}

func TestPaystackRepeatsWebhooks(t *testing.T) {
	t.Parallel()
	b, p := paystackBench(t, func(c *Config) { c.TimeScale = 1_000_000 })
	tries := atomic.Int64{}
	b.answer = func(string) (int, string) {
		switch n := tries.Add(1); {
		case n < 4:
			return 503, ""
		case n < 7:
			return 201, "" // only 200 is taken
		}
		return 200, ""
	}
	b.paystackScript(t, control.PaystackScript{Charge: "pay"})
	if _, err := p.ChargeMobileMoney(limit(t), stk(1)); err != nil {
		t.Fatal(err)
	}
	keys := map[string]int{}
	for range 7 {
		keys[b.nextEvent(t).Key]++
	}
	if len(keys) != 1 {
		t.Errorf("%v", keys)
	}
	if _, err := b.control.WaitDelivery(limit(t), func(d control.Delivery) bool { return d.Status == 200 }); err != nil {
		t.Error(err)
	}
	b.none(t)
}

func TestPaystackQueries(t *testing.T) {
	t.Parallel()
	b, p := paystackBench(t, nil)
	to := recipient(t, p)
	if _, err := p.Transfer(limit(t), payout(1, to)); err != nil {
		t.Fatal(err)
	}
	b.nextEvent(t)
	if _, err := p.Initialize(limit(t), hosted(2)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.control.AnswerPaystack(limit(t), ref(2), "pay"); err != nil {
		t.Fatal(err)
	}
	tx := b.nextEvent(t).Transaction
	refund, err := p.Refund(limit(t), paystack.RefundRequest{Transaction: ref(2), AmountMinor: 1_00})
	if err != nil {
		t.Fatal(err)
	}
	for way, busy := range map[string]bool{"throttled": true, "error": false, "lose": false} {
		b.paystackScript(t, control.PaystackScript{Query: way})
		for name, call := range map[string]func() error{
			"verify":   func() error { _, err := p.Verify(limit(t), ref(2)); return err },
			"charge":   func() error { _, err := p.GetCharge(limit(t), ref(2)); return err },
			"transfer": func() error { _, err := p.VerifyTransfer(limit(t), ref(1)); return err },
			"balance":  func() error { _, err := p.Balances(limit(t)); return err },
			"refund":   func() error { _, err := p.GetRefund(limit(t), refund.ID); return err },
			"refunds":  func() error { _, err := p.ListRefunds(limit(t), tx.ID, time.Time{}); return err },
		} {
			if err := call(); err == nil || paystack.Busy(err) != busy || paystack.NotFound(err) {
				t.Errorf("%s: %s: %v", way, name, err)
			}
		}
	}
}

func TestPaystackRefusals(t *testing.T) {
	t.Parallel()
	b, p := paystackBench(t, nil)
	stranger := paystack.New(paystack.Config{BaseURL: b.url, SecretKey: "sk_test_other"})
	if _, err := stranger.Initialize(limit(t), hosted(1)); !paystack.Unauthorized(err) || !paystack.Definite(err) {
		t.Errorf("%v", err)
	}
	dollars := hosted(1)
	dollars.Currency = "USD"
	if _, err := p.Initialize(limit(t), dollars); !paystack.Definite(err) {
		t.Errorf("%v", err)
	}
	request := func(path, body string) (int, map[string]any) {
		r, err := http.NewRequestWithContext(limit(t), http.MethodPost, b.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+DefaultPaystackKey)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var out map[string]any
		_ = json.NewDecoder(resp.Body).Decode(&out)
		return resp.StatusCode, out
	}
	to := recipient(t, p)
	const payment = `{"email":"a@b.example","amount":%s,"currency":%q,"reference":%q}`
	for name, c := range map[string]struct{ path, body string }{
		"no currency is naira": {"/transaction/initialize", `{"email":"a@b.example","amount":1000,"reference":"x"}`},
		"below the minimum":    {"/transaction/initialize", fmt.Sprintf(payment, "299", "KES", "x1")},
		"not an amount":        {"/transaction/initialize", fmt.Sprintf(payment, `"10.00"`, "KES", "x2")},
		"bad reference":        {"/transaction/initialize", fmt.Sprintf(payment, "1000", "KES", "a_b")},
		"transfer in naira":    {"/transfer", `{"source":"balance","amount":1000,"recipient":"` + to.Code + `","reference":"` + ref(9) + `"}`},
		"short reference": {"/transfer", `{"source":"balance","amount":1000,"recipient":"` + to.Code +
			`","reference":"x","currency":"KES"}`},
		"no JSON": {"/refund", `x`},
	} {
		if status, body := request(c.path, c.body); status != 400 || body["status"] != false || body["code"] == "" {
			t.Errorf("%s: %d %v", name, status, body)
		}
	}
	// amounts come as texts too
	if status, _ := request("/transaction/initialize", fmt.Sprintf(payment, `"300"`, "KES", "x3")); status != 200 {
		t.Errorf("%d", status)
	}
	if lines := b.truth(t); len(lines) != 0 {
		t.Errorf("%+v", lines)
	}
}

// TestPaystackStorm pays and is paid under a storm; what it did is what came of it.
func TestPaystackStorm(t *testing.T) {
	t.Parallel()
	const payments = 100
	run := func(seed uint64) map[string]int {
		b, p := paystackBench(t, func(c *Config) { c.TimeScale = 10_000 })
		to := recipient(t, p)
		b.paystackScript(t, control.PaystackScript{Charge: "pay"})
		b.storm(t, control.Storm{Seed: seed, Percent: map[string]int{"lost": 20, "twice": 20, "error_before": 20, "forged": 10}})
		refused := 0
		for i := range payments {
			charge := stk(i)
			charge.Phone = fmt.Sprintf("+2547123456%02d", i%20)
			_, err := p.ChargeMobileMoney(limit(t), charge)
			_, err2 := p.Transfer(limit(t), payout(1000+i, to))
			for _, err := range []error{err, err2} {
				if err != nil {
					refused++
				}
			}
		}
		report, err := b.control.Storm(limit(t))
		if err != nil {
			t.Fatal(err)
		}
		hits := report.Hits
		of := func(kind string) int { return hits["paystack_payment."+kind] + hits["paystack_payout."+kind] }
		if refused != of("error_before") || report.Seen["paystack_payment"] != payments || report.Seen["paystack_payout"] != payments {
			t.Errorf("%d refused: %+v", refused, report)
		}
		for range 2*payments - refused - of("lost") + 4*of("twice") + of("forged") {
			b.next(t)
		}
		b.none(t)
		if lines := b.truth(t); len(lines) != 2*payments-refused {
			t.Errorf("%d lines, %d refused", len(lines), refused)
		}
		return hits
	}
	if hits := run(7); !maps.Equal(hits, run(7)) {
		t.Errorf("the same seed: %v", hits)
	}
}

func TestPaystackScriptsAreChecked(t *testing.T) {
	t.Parallel()
	b, p := paystackBench(t, nil)
	for _, bad := range []control.PaystackScript{{Charge: "x"}, {Answer: "x"}, {Query: "x"}, {Webhook: "x"}, {Transfer: "x"}, {Refund: "x"},
		{DelayMS: control.Int(-1)}} {
		if err := b.control.SetPaystackScript(limit(t), bad); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
	for _, s := range []control.PaystackScript{{Refund: "failed"}, {Transfer: "failed"}, {Charge: "fail"}} { // each waits for its kind
		if err := b.control.QueuePaystackScript(limit(t), s); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.ChargeMobileMoney(limit(t), stk(1)); err != nil {
		t.Fatal(err)
	}
	b.waitPayment(t, ref(1), "failed")
	if _, err := p.Transfer(limit(t), payout(2, recipient(t, p))); err != nil {
		t.Fatal(err)
	}
	if e := b.nextEvent(t); e.Name != paystack.TransferFailed {
		t.Errorf("%+v", e)
	}
	if err := b.control.SetPaystackWebhookURL(limit(t), "nowhere"); err == nil {
		t.Error("taken")
	}
	var refused *paystack.Error
	if _, err := p.GetRefund(limit(t), "1"); !errors.As(err, &refused) || !paystack.NotFound(err) {
		t.Errorf("%v", err)
	}
}
