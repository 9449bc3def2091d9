package e2e_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/cmd/sendtip/journey"
	"github.com/sendtip/sendtip/cmd/sendtip/platform"
	walletclient "github.com/sendtip/sendtip/generated/wallet/client"
	"github.com/sendtip/sendtip/sandbox/control"
)

// forge tells of a payment as a stranger, waits until the platform has judged it, and returns the receipt and the verdict.
func (w *world) forge(t testing.TB, f control.Forgery) (receipt, verdict string) {
	t.Helper()
	const judged = "SELECT count(*)::int FROM callbacks WHERE kind = 'c2b' AND source = 'stranger' AND provider_id = $1 AND judged_at IS " +
		"NOT NULL"
	before := 0
	if f.Receipt != "" {
		before = query[int](t, w, "wallet", judged, f.Receipt)
	}
	forged, err := w.Sandbox.Forge(t.Context(), f)
	if err != nil || forged.Status != http.StatusOK {
		t.Fatalf("forge: %+v %v", forged, err)
	}
	eventually(t, "the forgery to be judged", func() bool { return query[int](t, w, "wallet", judged, forged.Receipt) == before+1 })
	return forged.Receipt, query[string](t, w, "wallet",
		"SELECT verdict FROM callbacks WHERE source = 'stranger' AND provider_id = $1 ORDER BY received_at DESC, id DESC LIMIT 1", forged.Receipt)
}

// unheard pays the paybill from the customer's phone; Safaricom's confirmation is lost.
func (w *world) unheard(t testing.TB, c *journey.Customer, account string, minor int64) control.Entry {
	t.Helper()
	w.told(t, c, control.Script{Callback: "lose"})
	paid, err := w.Sandbox.C2B(t.Context(), control.C2BPayment{Msisdn: c.Phone, Account: account, AmountMinor: minor})
	if err != nil {
		t.Fatal(err)
	}
	return paid
}

// told sets how Safaricom tells of what this phone pays.
func (w *world) told(t testing.TB, c *journey.Customer, s control.Script) {
	t.Helper()
	if err := w.Sandbox.SetPhoneScript(t.Context(), c.Phone, s); err != nil {
		t.Fatal(err)
	}
}

// claims are the states of the claims to a receipt, in the order in which they came.
func (w *world) claims(t testing.TB, receipt string) string {
	t.Helper()
	return query[string](t, w, "wallet",
		"SELECT coalesce(string_agg(state, ',' ORDER BY created_at, callback_id), '') FROM claims WHERE receipt_key = $1", receipt)
}

// answered returns when Safaricom's books have answered about every claim that was there: claims are asked about in the order in which they
// came, and a true one that comes now is confirmed.
func (w *world) answered(t testing.TB) {
	t.Helper()
	witness, err := w.NewCustomer("Witness")
	if err != nil {
		t.Fatal(err)
	}
	paid := w.unheard(t, witness, "WITNESS", 1_00)
	w.forge(t, control.Forgery{Msisdn: witness.Phone, Receipt: paid.Receipt, Account: "WITNESS", AmountMinor: 1_00, At: &paid.At})
	eventually(t, "the books to answer", func() bool { return w.claims(t, paid.Receipt) == "confirmed" })
}

// prompted starts a top-up whose prompt waits for the customer.
func (w *world) prompted(t testing.TB, c *journey.Customer, minor int64) (uuid.UUID, control.Prompt) {
	t.Helper()
	id, err := c.TopUp(t.Context(), minor)
	if err != nil {
		t.Fatal(err)
	}
	prompt, err := w.Sandbox.WaitPrompt(t.Context(), c.Phone)
	if err != nil {
		t.Fatal(err)
	}
	return id, prompt
}

func (w *world) topup(t testing.TB, c *journey.Customer, id uuid.UUID) walletclient.Topup {
	t.Helper()
	resp, err := c.Wallet.GetTopupWithResponse(t.Context(), id)
	if err != nil || resp.JSON200 == nil {
		t.Fatalf("get top-up: %v %v", resp, err)
	}
	return *resp.JSON200
}

// credits counts what the ledger has posted for a receipt.
func (w *world) credits(t testing.TB, receipt string) int {
	t.Helper()
	return query[int](t, w, "transactions", "SELECT count(*)::int FROM transactions WHERE reference = $1", "c2b:"+receipt)
}

// has checks a balance.
func (w *world) has(t testing.TB, c *journey.Customer, minor int64) {
	t.Helper()
	if got := balance(t, c); got != minor {
		t.Errorf("%s has %d, want %d", c.Name, got, minor)
	}
}

// TestForgedPayments: who knows the address of confirmations makes no money with it.
func TestForgedPayments(t *testing.T) {
	t.Parallel()
	w := shared(t)
	for name, test := range map[string]func(t *testing.T, amina *journey.Customer){
		"a payment that nobody made": func(t *testing.T, amina *journey.Customer) {
			receipt, verdict := w.forge(t, control.Forgery{Msisdn: amina.Phone, Account: amina.DepositAccount, AmountMinor: 5_000_00})
			w.answered(t)
			w.has(t, amina, 0)
			if verdict != "unverified" || w.claims(t, receipt) != "open" || w.credits(t, receipt) != 0 {
				t.Errorf("verdict %s, claims %s", verdict, w.claims(t, receipt))
			}
		},
		"a top-up that nobody paid": func(t *testing.T, amina *journey.Customer) {
			id, prompt := w.prompted(t, amina, 500_00)
			w.forge(t, control.Forgery{Msisdn: amina.Phone, Account: prompt.AccountReference, AmountMinor: 500_00})
			w.answered(t)
			if got := w.topup(t, amina, id); got.Status == "paid" || got.Receipt != nil {
				t.Fatalf("a stranger paid the top-up: %+v", got)
			}
			if _, err := w.Sandbox.Cancel(t.Context(), amina.Phone); err != nil {
				t.Fatal(err)
			}
			if _, err := amina.WaitTopUp(t.Context(), id, "failed"); err != nil {
				t.Error(err)
			}
			w.has(t, amina, 0)
		},
		"another amount": func(t *testing.T, amina *journey.Customer) {
			paid := w.unheard(t, amina, amina.DepositAccount, 100_00)
			w.forge(t, control.Forgery{Msisdn: amina.Phone, Receipt: paid.Receipt, Account: amina.DepositAccount, AmountMinor: 1_000_00,
				At: &paid.At})
			w.answered(t)
			w.has(t, amina, 0)
			w.forge(t, control.Forgery{Msisdn: amina.Phone, Receipt: paid.Receipt, Account: amina.DepositAccount, AmountMinor: 100_00, At: &paid.At})
			w.posted(t, "c2b:"+paid.Receipt)
			w.has(t, amina, 100_00)
			if got := w.claims(t, paid.Receipt); got != "refuted,confirmed" {
				t.Errorf("claims %s", got)
			}
		},
		"another account, with a real receipt": func(t *testing.T, amina *journey.Customer) {
			brian := w.customer(t, "Brian", 0)
			paid := w.unheard(t, brian, brian.DepositAccount, 200_00)
			w.forge(t, control.Forgery{Msisdn: amina.Phone, Receipt: paid.Receipt, Account: amina.DepositAccount, AmountMinor: 200_00, At: &paid.At})
			w.answered(t)
			w.has(t, amina, 0)
			w.has(t, brian, 0)
			w.forge(t, control.Forgery{Msisdn: brian.Phone, Receipt: paid.Receipt, Account: brian.DepositAccount, AmountMinor: 200_00, At: &paid.At})
			w.posted(t, "c2b:"+paid.Receipt)
			w.has(t, brian, 200_00)
			w.has(t, amina, 0)
		},
		"replayed": func(t *testing.T, amina *journey.Customer) {
			paid := w.deposit(t, amina, amina.DepositAccount, 150_00)
			w.posted(t, "c2b:"+paid.Receipt)
			for _, c := range []struct {
				receipt, verdict string
				minor            int64
			}{{paid.Receipt, "duplicate", 150_00}, {strings.ToLower(paid.Receipt), "duplicate", 150_00}, {paid.Receipt, "conflict", 1_500_00}} {
				if _, err := w.Sandbox.Forge(t.Context(),
					control.Forgery{Msisdn: amina.Phone, Receipt: c.receipt, Account: amina.DepositAccount, AmountMinor: c.minor}); err != nil {
					t.Fatal(err)
				}
				eventually(t, "the replay to be judged as "+c.verdict, func() bool {
					return query[bool](t, w, "wallet", `SELECT count(*) > 0 AND bool_and(judged_at IS NOT NULL) AND bool_or(verdict = $2) FROM callbacks
						WHERE source = 'stranger' AND provider_id = $1`, paid.Receipt, c.verdict)
				})
			}
			w.answered(t)
			w.has(t, amina, 150_00)
			if n := w.credits(t, paid.Receipt); n != 1 || w.claims(t, paid.Receipt) != "" {
				t.Errorf("credited %d times, claims %s", n, w.claims(t, paid.Receipt))
			}
		},
		"before the genuine one": func(t *testing.T, amina *journey.Customer) {
			w.told(t, amina, control.Script{Callback: "delay", CallbackDelayMS: control.Int(15_000)})
			paid, err := w.Sandbox.C2B(t.Context(), control.C2BPayment{Msisdn: amina.Phone, Account: amina.DepositAccount, AmountMinor: 70_00})
			if err != nil {
				t.Fatal(err)
			}
			w.forge(t, control.Forgery{Msisdn: amina.Phone, Receipt: paid.Receipt, Account: amina.DepositAccount, AmountMinor: 700_00, At: &paid.At})
			w.forge(t, control.Forgery{Msisdn: amina.Phone, Receipt: paid.Receipt, Account: amina.DepositAccount, AmountMinor: 70_00, At: &paid.At})
			eventually(t, "the genuine confirmation to be judged", func() bool {
				return query[bool](t, w, "wallet",
					"SELECT EXISTS (SELECT FROM callbacks WHERE source = 'known' AND provider_id = $1 AND judged_at IS NOT NULL)", paid.Receipt)
			})
			w.posted(t, "c2b:"+paid.Receipt)
			w.answered(t)
			w.has(t, amina, 70_00)
			if n := w.credits(t, paid.Receipt); n != 1 || w.claims(t, paid.Receipt) != "refuted,confirmed" {
				t.Errorf("credited %d times, claims %s", n, w.claims(t, paid.Receipt))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, w.customer(t, "Amina", 0))
		})
	}
}

// TestPaymentsToldByAStranger: what Safaricom's books confirm is credited once, whoever told of it and however often.
func TestPaymentsToldByAStranger(t *testing.T) {
	t.Parallel()
	w := shared(t)
	t.Run("a payment", func(t *testing.T) {
		t.Parallel()
		amina := w.customer(t, "Amina", 0)
		paid := w.unheard(t, amina, amina.DepositAccount, 300_00)
		for range 3 {
			if _, err := w.Sandbox.Forge(t.Context(),
				control.Forgery{Msisdn: amina.Phone, Receipt: paid.Receipt, Account: amina.DepositAccount, AmountMinor: 300_00}); err != nil {
				t.Fatal(err)
			}
		}
		w.posted(t, "c2b:"+paid.Receipt)
		w.sms(t, amina, "deposit", "300.00", paid.Receipt)
		w.answered(t)
		w.has(t, amina, 300_00)
		if n := w.credits(t, paid.Receipt); n != 1 {
			t.Errorf("credited %d times", n)
		}
	})
	t.Run("a top-up", func(t *testing.T) {
		t.Parallel()
		amina := w.customer(t, "Amina", 0)
		w.told(t, amina, control.Script{STK: "pay", DelayMS: control.Int(0), Callback: "lose", C2B: control.Bool(false)})
		id, err := amina.TopUp(t.Context(), 250_00)
		if err != nil {
			t.Fatal(err)
		}
		reference := w.topup(t, amina, id).AccountReference
		var paid control.Entry
		eventually(t, "the prompt to be paid", func() bool {
			s, err := w.Sandbox.Statement(t.Context())
			for _, e := range s.Data {
				if e.AccountReference == reference {
					paid = e
				}
			}
			return err == nil && paid.Receipt != ""
		})
		w.forge(t, control.Forgery{Msisdn: amina.Phone, Receipt: paid.Receipt, Account: reference, AmountMinor: 250_00, At: &paid.At})
		if _, err := amina.WaitTopUp(t.Context(), id, "paid"); err != nil {
			t.Fatal(err)
		}
		// A query of the prompt may have paid it first; it names no receipt, the books do.
		eventually(t, "the receipt", func() bool { r := w.topup(t, amina, id).Receipt; return r != nil && *r == paid.Receipt })
		w.answered(t)
		w.has(t, amina, 250_00)
		if n := w.credits(t, paid.Receipt); n != 0 {
			t.Errorf("the top-up's money was credited %d times as a deposit too", n)
		}
	})
}

// TestWithoutPull: a short code whose books may not be asked. A stranger's word is left to a person, and Safaricom's own is money as ever.
func TestWithoutPull(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *platform.Options) { o.Environ["SENDTIP_DARAJA_PULL"] = "false" })
	amina := w.customer(t, "Amina", 0)
	paid := w.unheard(t, amina, amina.DepositAccount, 300_00)
	receipt, verdict := w.forge(t,
		control.Forgery{Msisdn: amina.Phone, Receipt: paid.Receipt, Account: amina.DepositAccount, AmountMinor: 300_00, At: &paid.At})
	if n := query[int](t, w, "wallet", "SELECT count(*)::int FROM cases WHERE kind = 'claim' AND closed_at IS NULL"); n != 1 ||
		verdict != "unverified" || w.claims(t, receipt) != "case" {
		t.Errorf("%d cases, verdict %s, claims %s", n, verdict, w.claims(t, receipt))
	}
	w.told(t, amina, control.Script{})
	w.posted(t, "c2b:"+w.deposit(t, amina, amina.DepositAccount, 50_00).Receipt)
	w.has(t, amina, 50_00)
}

// TestSandboxAloneRestarts: what wallet registered at its start holds, so the next payment is confirmed.
func TestSandboxAloneRestarts(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	amina := w.customer(t, "Amina", 0)
	w.posted(t, "c2b:"+w.deposit(t, amina, amina.DepositAccount, 10_00).Receipt)
	if err := w.p.StopPart(t.Context(), "sandbox"); err != nil {
		t.Fatal(err)
	}
	if err := w.p.StartPart(t.Context(), "sandbox"); err != nil {
		t.Fatal(err)
	}
	// the connections of before are dead
	w.Sandbox = control.New(w.p.SandboxURL(), &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{}})
	w.posted(t, "c2b:"+w.deposit(t, amina, amina.DepositAccount, 20_00).Receipt)
	w.answered(t)
	w.has(t, amina, 30_00)
}
