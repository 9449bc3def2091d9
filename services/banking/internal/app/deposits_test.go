package app_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	walletapi "github.com/sendtip/sendtip/generated/wallet/api"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/idem"
	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/servicetest"
	"github.com/sendtip/sendtip/providers/paystack"
	"github.com/sendtip/sendtip/sandbox/control"

	"github.com/sendtip/sendtip/services/banking/internal/app"
	"github.com/sendtip/sendtip/services/banking/internal/domain"
	"github.com/sendtip/sendtip/services/banking/internal/testworld"
)

const (
	atPaystack = "rail.paystack.balance.KES"
	suspense   = "suspense.KES"
	feesPaid   = "fees.paid.KES"
)

func depositOf(p testworld.Person, channel string, shillings int64) app.DepositInput {
	return app.DepositInput{Key: uuid.NewString(), WalletID: p.WalletID, Amount: testworld.KES(shillings), Channel: channel}
}

// deposited makes a deposit that waits for its customer.
func deposited(t *testing.T, w *testworld.World, p testworld.Person, channel string) domain.Deposit {
	t.Helper()
	d, err := w.App.CreateDeposit(w.As(p), depositOf(p, channel, 1000))
	if err != nil || d.Status != domain.Waiting {
		t.Fatalf("%+v: %v", d, err)
	}
	return d
}

// pays is the customer on the page or the phone.
func pays(t *testing.T, w *testworld.World, d domain.Deposit) {
	t.Helper()
	if d.Phone != "" {
		if err := w.Bank.SetBalance(t.Context(), d.Phone, 100_000_00); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Bank.AnswerPaystack(t.Context(), d.ID.String(), "pay"); err != nil {
		t.Fatal(err)
	}
}

func readDeposit(t *testing.T, w *testworld.World, p testworld.Person, id uuid.UUID) domain.Deposit {
	t.Helper()
	d, err := w.App.GetDeposit(w.As(p), id)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func settleDeposit(t *testing.T, w *testworld.World, id uuid.UUID) {
	t.Helper()
	if err := w.App.SettleDeposit(t.Context(), id); err != nil {
		t.Fatal(err)
	}
}

// announce delivers what Paystack says of a payment, signed, and lets it be heard.
func announce(t *testing.T, w *testworld.World, body string) string {
	t.Helper()
	if err := w.App.ReceivePaystackEvent(t.Context(), paystack.Sign(testworld.PaystackKey, []byte(body)), []byte(body)); err != nil {
		t.Fatal(err)
	}
	id := w.Text("SELECT id::text FROM paystack_events WHERE body_hash = sha256($1)", []byte(body))
	if _, err := w.App.Hear(t.Context(), uuid.MustParse(id)); err != nil {
		t.Fatal(err)
	}
	return w.Text("SELECT coalesce(verdict, '') FROM paystack_events WHERE id = $1", id)
}

func succeeded(d domain.Deposit, minor int64, mode string) string {
	return fmt.Sprintf(`{"event":"charge.success","data":{"id":1,"domain":%q,"status":"success","reference":%q,"amount":%d,"currency":"KES"}}`,
		mode, d.ID, minor)
}

// TestDepositPaid is the way of most deposits: the page, the payment, the hint, the question, the credit, the message.
func TestDepositPaid(t *testing.T) {
	t.Parallel()
	for channel, fee := range map[string]int64{domain.ChannelPage: 2900, domain.ChannelMpesa: 1500} {
		t.Run(channel, func(t *testing.T) {
			t.Parallel()
			w := testworld.New(t)
			p := w.Person(0)
			in := depositOf(p, channel, 1000)
			d, err := w.App.CreateDeposit(w.As(p), in)
			if err != nil || d.Status != domain.Waiting || d.Credit() != testworld.KES(977) {
				t.Fatalf("%+v: %v", d, err)
			}
			if page := channel == domain.ChannelPage; strings.Contains(d.CheckoutURL, "/checkout/") != page || (d.DisplayText == "") != page ||
				(d.Phone == "") != page {
				t.Errorf("%+v", d)
			}
			again, err := w.App.CreateDeposit(w.As(p), in)
			if err != nil || again.ID != d.ID || again.CheckoutURL != d.CheckoutURL {
				t.Errorf("again %+v: %v", again, err)
			}
			in.Amount = testworld.KES(999)
			if _, err := w.App.CreateDeposit(w.As(p), in); !errors.Is(err, idem.ErrKeyReused) {
				t.Errorf("another body: %v", err)
			}
			pays(t, w, d)
			if v := announce(t, w, succeeded(d, 100000, paystack.Test)); v != "hint" {
				t.Error(v)
			}
			if got := readDeposit(t, w, p, d.ID); got.Status != domain.Waiting {
				t.Errorf("by a message alone: %+v", got)
			}
			if err := w.App.VerifyDeposit(t.Context(), d.ID); err != nil {
				t.Fatal(err)
			}
			got := readDeposit(t, w, p, d.ID)
			if got.Status != domain.Paid || *got.RailFeeMinor != fee || (got.Receipt == "") != (channel == domain.ChannelPage) ||
				len(w.PublishedOf("banking.deposit_paid")) != 0 {
				t.Errorf("%+v, fee %d", got, *got.RailFeeMinor)
			}
			settleDeposit(t, w, d.ID)
			settleDeposit(t, w, d.ID)
			free, _ := balance(w, p)
			if free != 977 || w.Ledger.Balance(atPaystack) != -100000+fee || w.Ledger.Balance(feesPaid) != -fee || w.Ledger.Balance(fees) != 2000 ||
				w.Ledger.Balance(excise) != 300 || w.Wallet.Limit(d.ID) != "committed" || len(w.PublishedOf("banking.deposit_paid")) != 1 {
				t.Errorf("free %d, rail %d, limit %s", free, w.Ledger.Balance(atPaystack), w.Wallet.Limit(d.ID))
			}
			list, _, err := w.App.ListDeposits(w.As(p), page.Request{})
			if err != nil || len(list) != 1 || list[0].ID != d.ID {
				t.Errorf("%v: %v", list, err)
			}
			if _, err := w.App.GetDeposit(w.As(w.Person(0)), d.ID); !errors.Is(err, fault.ErrNotFound) {
				t.Errorf("another's: %v", err)
			}
			payments, err := w.Bank.PaystackPayments(t.Context())
			if err != nil || len(payments) != 1 || payments[0].AmountMinor != 100000 {
				t.Errorf("%v: %v", payments, err)
			}
		})
	}
}

// TestDepositRefused: what cannot be deposited is refused by name, before a row is written; a limit's refusal is a failed deposit that a
// repeated request meets again, and its reservation is given up.
func TestDepositRefused(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p, other := w.Person(0), w.Person(0)
	suspended := w.Person(0)
	w.Wallet.Change(suspended, func(o *walletapi.WalletOwner) { o.CustomerStatus = "suspended" })
	of := func(p testworld.Person, channel string, minor int64, currency string) app.DepositInput {
		return app.DepositInput{Key: uuid.NewString(), WalletID: p.WalletID, Amount: money.Money{Amount: minor, Currency: currency},
			Channel: channel}
	}
	for name, c := range map[string]struct {
		who  testworld.Person
		in   app.DepositInput
		want error
	}{
		"below the minimum":    {p, of(p, "page", 299, "KES"), domain.ErrDepositAmount},
		"above the maximum":    {p, of(p, "page", 1_000_000_01, "KES"), domain.ErrDepositAmount},
		"other currency":       {p, of(p, "page", 100000, "UGX"), domain.ErrDepositCurrency},
		"cents by M-Pesa":      {p, of(p, "mpesa", 1050, "KES"), domain.ErrPromptAmount},
		"too much by M-Pesa":   {p, of(p, "mpesa", 250_001_00, "KES"), domain.ErrPromptAmount},
		"not above the price":  {p, of(p, "page", 2300, "KES"), domain.ErrDepositPrice},
		"a foreign wallet":     {p, of(other, "page", 100000, "KES"), fault.ErrNotFound},
		"a suspended customer": {suspended, of(suspended, "page", 100000, "KES"), domain.ErrSuspended},
	} {
		if _, err := w.App.CreateDeposit(w.As(c.who), c.in); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.Users.Forget()
	if _, err := w.App.CreateDeposit(w.As(p), depositOf(p, "mpesa", 1000)); !errors.Is(err, domain.ErrNoNumber) {
		t.Errorf("no number: %v", err)
	}
	if n := w.Count("SELECT count(*) FROM deposits"); n != 0 {
		t.Errorf("%d rows", n)
	}
	w.Wallet.Refuse("limit_per_day")
	in := depositOf(p, "page", 1000)
	for range 2 {
		_, err := w.App.CreateDeposit(w.As(p), in)
		if f, ok := fault.As(err); !ok || f.Kind != fault.Unprocessable || f.Code != "limit_per_day" {
			t.Errorf("limit: %v", err)
		}
	}
	id := uuid.MustParse(w.Text("SELECT id::text FROM deposits"))
	settleDeposit(t, w, id)
	if payments, err := w.Bank.PaystackPayments(t.Context()); err != nil || len(payments) != 0 {
		t.Errorf("asked for %v: %v", payments, err)
	}
	if got := readDeposit(t, w, p, id); got.Status != domain.Failed || got.FailureCode != "limit_per_day" ||
		len(w.PublishedOf("banking.deposit_failed")) != 1 {
		t.Errorf("%+v", got)
	}
	if err := w.App.VerifyDeposit(t.Context(), id); err != nil { // nothing was sent, so nothing can come
		t.Error(err)
	}
}

// TestDepositAnswerLost: the request is repeated under the same reference. A prompt is on the phone then; the address of a page is lost,
// and the customer starts again. What never arrived is opened by the repeat.
func TestDepositAnswerLost(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		channel, answer string
		cut             bool
		want            domain.Status
	}{
		"prompt, arrived":      {domain.ChannelMpesa, "lose", false, domain.Waiting},
		"page, arrived":        {domain.ChannelPage, "lose", false, domain.Failed},
		"page, not arrived":    {domain.ChannelPage, "error_before", false, domain.Waiting},
		"page, throttled":      {domain.ChannelPage, "throttled", false, domain.Waiting},
		"prompt, no line":      {domain.ChannelMpesa, "", true, domain.Waiting},
		"prompt, server error": {domain.ChannelMpesa, "error", false, domain.Waiting},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := testworld.New(t)
			p := w.Person(0)
			if c.answer != "" {
				if err := w.Bank.QueuePaystackScript(t.Context(), control.PaystackScript{Answer: c.answer}); err != nil {
					t.Fatal(err)
				}
			}
			w.Line.Cut(c.cut)
			in := depositOf(p, c.channel, 1000)
			d, err := w.App.CreateDeposit(w.As(p), in)
			if err != nil || d.Status != domain.Requested {
				t.Fatalf("%+v: %v", d, err)
			}
			if _, err := w.App.CreateDeposit(w.As(p), in); !errors.Is(err, idem.ErrInProgress) {
				t.Errorf("while it runs: %v", err)
			}
			w.Line.Cut(false)
			if err := w.App.OpenDeposit(t.Context(), d.ID); err != nil {
				t.Fatal(err)
			}
			if got := readDeposit(t, w, p, d.ID); got.Status != c.want || (c.want == domain.Failed) != (got.FailureCode == "page_lost") {
				t.Errorf("%+v", got)
			}
			again, err := w.App.CreateDeposit(w.As(p), in)
			if c.want == domain.Failed && !errors.Is(err, domain.ErrPageLost) || c.want != domain.Failed && (err != nil || again.ID != d.ID) {
				t.Errorf("again %+v: %v", again, err)
			}
			payments, err := w.Bank.PaystackPayments(t.Context())
			if err != nil || len(payments) != 1 {
				t.Errorf("%v: %v", payments, err)
			}
		})
	}
}

// TestDepositRailRefuses: what the card declines has failed, and what the customer pays afterwards on the same page is credited.
func TestDepositRailRefuses(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(0)
	if err := w.Bank.QueuePaystackScript(t.Context(), control.PaystackScript{Charge: "fail"}); err != nil {
		t.Fatal(err)
	}
	d := deposited(t, w, p, domain.ChannelPage)
	servicetest.Eventually(t, "Paystack's end", func() bool {
		return w.App.VerifyDeposit(t.Context(), d.ID) == nil && readDeposit(t, w, p, d.ID).Status == domain.Failed
	})
	settleDeposit(t, w, d.ID)
	if w.Wallet.Limit(d.ID) != "released" {
		t.Error(w.Wallet.Limit(d.ID))
	}
	pays(t, w, d) // again, on the same page
	if err := w.App.VerifyDeposit(t.Context(), d.ID); err != nil {
		t.Fatal(err)
	}
	settleDeposit(t, w, d.ID)
	free, _ := balance(w, p)
	if got := readDeposit(t, w, p, d.ID); got.Status != domain.Paid || got.FailureCode != "" || free != 977 ||
		w.Wallet.Limit(d.ID) != "committed" {
		t.Errorf("%+v, free %d", got, free)
	}
}

// TestDepositExpires: the schedule asks at 45 s, 2 min, 10 min and then hourly, ends the customer's time, and goes on for 72 hours; what
// comes after the end is credited all the same.
func TestDepositExpires(t *testing.T) {
	t.Parallel()
	for channel, life := range map[string]time.Duration{domain.ChannelPage: domain.PageLife, domain.ChannelMpesa: domain.PromptLife} {
		t.Run(channel, func(t *testing.T) {
			t.Parallel()
			w := testworld.New(t)
			p := w.Person(0)
			d := deposited(t, w, p, channel)
			began, expired, asked := w.Now(), time.Duration(0), 0
			for {
				wait, err := w.App.AskDeposit(t.Context(), d.ID)
				if err != nil {
					t.Fatal(err)
				}
				if wait == 0 {
					break
				}
				if wait == time.Millisecond {
					asked++
				}
				if expired == 0 && readDeposit(t, w, p, d.ID).Status == domain.Expired {
					expired = w.Now().Sub(began)
				}
				w.Advance(wait)
			}
			if expired < life || expired > life+time.Minute {
				t.Errorf("expired after %s", expired)
			}
			if end := w.Now().Sub(began); asked < 70 || asked > 80 || end < 71*time.Hour || end > 74*time.Hour {
				t.Errorf("asked %d times in %s", asked, end)
			}
			settleDeposit(t, w, d.ID)
			if w.Wallet.Limit(d.ID) != "released" || len(w.PublishedOf("banking.deposit_expired")) != 1 {
				t.Error(w.Wallet.Limit(d.ID))
			}
			pays(t, w, d)
			if v := announce(t, w, succeeded(d, 100000, paystack.Test)); v != "hint" {
				t.Error(v)
			}
			if err := w.App.VerifyDeposit(t.Context(), d.ID); err != nil {
				t.Fatal(err)
			}
			settleDeposit(t, w, d.ID)
			if free, _ := balance(w, p); free != 977 || w.Wallet.Limit(d.ID) != "committed" {
				t.Errorf("free %d, limit %s", free, w.Wallet.Limit(d.ID))
			}
			if v := announce(t, w, succeeded(d, 100000, paystack.Test)+" "); v != "again" {
				t.Error(v)
			}
		})
	}
}

// TestDepositBreaks: what came is not what was asked for: nobody is credited, a person is called, and finance sees it.
func TestDepositBreaks(t *testing.T) {
	t.Parallel()
	for kind, c := range map[string]struct {
		change   func(data map[string]any)
		want     domain.Status
		suspense int64
	}{
		domain.BreakAmount:   {func(d map[string]any) { d["amount"], d["fees"] = 50000, 100 }, domain.Broken, 50000},
		domain.BreakCurrency: {func(d map[string]any) { d["currency"] = "USD" }, domain.Broken, 0},
		domain.BreakDomain:   {func(d map[string]any) { d["domain"] = "live" }, domain.Waiting, 0},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := testworld.New(t)
			p := w.Person(0)
			d := deposited(t, w, p, domain.ChannelPage)
			pays(t, w, d)
			w.Line.Alter(c.change)
			for range 2 {
				if err := w.App.VerifyDeposit(t.Context(), d.ID); err != nil {
					t.Fatal(err)
				}
				settleDeposit(t, w, d.ID)
			}
			got := readDeposit(t, w, p, d.ID)
			free, _ := balance(w, p)
			if got.Status != c.want || free != 0 || w.Ledger.Balance(suspense) != c.suspense || len(w.PublishedOf("banking.deposit_paid")) != 0 {
				t.Errorf("%+v, free %d, suspense %d", got, free, w.Ledger.Balance(suspense))
			}
			if n := w.Counted("banking_alarms_total", "deposit_"+kind); n != 1 {
				t.Errorf("%d alarms", n)
			}
			seen, _, err := w.App.ListDepositsByStatus(finance(w), string(c.want), page.Request{})
			if err != nil || len(seen) != 1 || len(seen[0].Breaks) != 1 || seen[0].Breaks[0].Kind != kind {
				t.Errorf("%+v: %v", seen, err)
			}
			if _, _, err := w.App.ListDepositsByStatus(w.As(p), string(c.want), page.Request{}); !errors.Is(err, fault.ErrForbidden) {
				t.Errorf("a customer: %v", err)
			}
		})
	}
}

// TestDepositToClosedWallet: what the wallet cannot take goes to suspense, and nobody is told that it was added.
func TestDepositToClosedWallet(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(0)
	d := deposited(t, w, p, domain.ChannelPage)
	pays(t, w, d)
	w.Ledger.Refuse("credit", "account_closed")
	if err := w.App.VerifyDeposit(t.Context(), d.ID); err != nil {
		t.Fatal(err)
	}
	settleDeposit(t, w, d.ID)
	if w.Ledger.Balance(suspense) != 100000 || len(w.PublishedOf("banking.deposit_paid")) != 0 {
		t.Errorf("suspense %d", w.Ledger.Balance(suspense))
	}
}

// TestDepositTogether: twenty deliveries, questions and bookings at once credit once.
func TestDepositTogether(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(0)
	d := deposited(t, w, p, domain.ChannelMpesa)
	pays(t, w, d)
	errs := servicetest.Together(20, func(n int) error {
		body := []byte(succeeded(d, 100000, paystack.Test) + strings.Repeat(" ", n%3))
		if err := w.App.ReceivePaystackEvent(t.Context(), paystack.Sign(testworld.PaystackKey, body), body); err != nil {
			return err
		}
		_, err := w.App.AskDeposit(t.Context(), d.ID)
		return errors.Join(err, w.App.VerifyDeposit(t.Context(), d.ID), w.App.SettleDeposit(t.Context(), d.ID))
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	settleDeposit(t, w, d.ID)
	free, _ := balance(w, p)
	if n := w.Count("SELECT count(*) FROM deposit_transitions WHERE to_status = 'paid'"); n != 1 || free != 977 ||
		len(w.PublishedOf("banking.deposit_paid")) != 1 {
		t.Errorf("paid %d times, free %d", n, free)
	}
}
