package app_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/servicetest"
	"github.com/sendtip/sendtip/sandbox/control"

	"github.com/sendtip/sendtip/services/banking/internal/app"
	"github.com/sendtip/sendtip/services/banking/internal/domain"
	"github.com/sendtip/sendtip/services/banking/internal/testworld"
)

// paidIn makes a deposit of KES 1,000 that is in the wallet, less KES 23.
func paidIn(t *testing.T, w *testworld.World, p testworld.Person) domain.Deposit {
	t.Helper()
	d := deposited(t, w, p, domain.ChannelPage)
	pays(t, w, d)
	if err := w.App.VerifyDeposit(t.Context(), d.ID); err != nil {
		t.Fatal(err)
	}
	settleDeposit(t, w, d.ID)
	return d
}

// refunded has two people agree on a refund, and returns its id.
func refunded(t *testing.T, w *testworld.World, d domain.Deposit, shillings int64) uuid.UUID {
	t.Helper()
	asked, err := w.App.ProposeRefund(finance(w), d.ID, testworld.KES(shillings), "Not delivered.")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.App.Approvals.Approve(finance(w), w.Pool, asked.ID, asked.Digest); err != nil {
		t.Fatal(err)
	}
	return uuid.MustParse(w.Text("SELECT id::text FROM refunds WHERE approval_id = $1", asked.ID))
}

func statusOf(w *testworld.World, refund uuid.UUID) domain.Status {
	return domain.Status(w.Text("SELECT status FROM refunds WHERE id = $1", refund))
}

// refundsSent is how many refunds Paystack has, and what it gave back in all, in shillings.
func refundsSent(t *testing.T, w *testworld.World) (n int, shillings int64) {
	t.Helper()
	s, err := w.Bank.PaystackStatement(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range s.Data {
		if l.Kind == "refund" {
			n++
		}
		if l.Kind == "refund" || l.Kind == "refund_failed" {
			shillings -= l.AmountMinor / 100
		}
	}
	return n, shillings
}

// TestRefund: each way in which Paystack ends a refund, or loses its answer, gives the money back once or not at all, and asks Paystack
// once.
func TestRefund(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script     control.PaystackScript
		want       domain.Status
		free, held int64
	}{
		"processed":                 {control.PaystackScript{}, domain.Processed, 477, 0},
		"failed":                    {control.PaystackScript{Refund: "failed"}, domain.Failed, 977, 0},
		"needs attention":           {control.PaystackScript{Refund: "needs_attention"}, domain.Attention, 477, 500},
		"answer lost":               {control.PaystackScript{Answer: "lose"}, domain.Processed, 477, 0},
		"answer an error":           {control.PaystackScript{Answer: "error"}, domain.Processed, 477, 0},
		"answer an error, not done": {control.PaystackScript{Answer: "error_before"}, domain.Unknown, 477, 500},
		"throttled":                 {control.PaystackScript{Answer: "throttled"}, domain.Failed, 977, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := testworld.New(t)
			p := w.Person(0)
			d := paidIn(t, w, p)
			if err := w.Bank.SetPaystackReferenceScript(t.Context(), d.ID.String(), c.script); err != nil {
				t.Fatal(err)
			}
			id := refunded(t, w, d, 500)
			w.Ledger.Lose(nil, func() bool { return true }) // the hold's answer is lost: nothing leaves
			if err := w.App.GiveBack(t.Context(), id); err == nil || statusOf(w, id) != domain.Stored {
				t.Errorf("%s: %v", statusOf(w, id), err)
			}
			w.Ledger.Lose(nil, nil)
			for range 2 { // a run that repeats another sends nothing
				if err := w.App.GiveBack(t.Context(), id); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Bank.SetPaystackReferenceScript(t.Context(), d.ID.String(), control.PaystackScript{}); err != nil {
				t.Fatal(err)
			}
			for range 30 {
				wait, err := w.App.AskRefund(t.Context(), id)
				if err != nil {
					t.Fatal(err)
				}
				w.Advance(wait)
				if err := w.App.SettleRefund(t.Context(), id); err != nil {
					t.Fatal(err)
				}
			}
			free, held := balance(w, p)
			if got := statusOf(w, id); got != c.want || free != c.free || held != c.held {
				t.Errorf("%s, free %d, held %d", got, free, held)
			}
			n, given := refundsSent(t, w)
			if once := c.script.Answer != "error_before" && c.script.Answer != "throttled"; (n == 1) != once || n > 1 {
				t.Errorf("sent %d times", n)
			}
			if c.want == domain.Processed && (given != 500 || w.Ledger.Balance(atPaystack) != -100000+2900+50000) {
				t.Errorf("given back %d, rail %d", given, w.Ledger.Balance(atPaystack))
			}
		})
	}
}

// TestRefundRefused: only two people of finance refund, a deposit that was paid, and not more than is left; what the wallet does not have
// is not sent.
func TestRefundRefused(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(0)
	open := deposited(t, w, p, domain.ChannelPage)
	d := paidIn(t, w, p)
	for name, c := range map[string]struct {
		deposit uuid.UUID
		minor   int64
		want    error
	}{
		"not paid": {open.ID, 500, domain.ErrNotRefundable},
		"too much": {d.ID, 1001, domain.ErrRefundTooMuch},
		"no such":  {uuid.New(), 500, fault.ErrNotFound},
	} {
		if _, err := w.App.ProposeRefund(finance(w), c.deposit, testworld.KES(c.minor), "Not delivered."); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.App.ProposeRefund(w.As(p), d.ID, testworld.KES(500), "Please."); !errors.Is(err, fault.ErrForbidden) {
		t.Errorf("the customer: %v", err)
	}
	w.Ledger.Set(p.WalletID.String(), 49900)
	id := refunded(t, w, d, 500)
	if err := w.App.GiveBack(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if n, _ := refundsSent(t, w); n != 0 || statusOf(w, id) != domain.Failed {
		t.Errorf("%s, sent %d times", statusOf(w, id), n)
	}
}

// TestRefundsTogether: all refunds together are at most the deposit, and ten people who approve one at once make one.
func TestRefundsTogether(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	d := paidIn(t, w, w.Person(0))
	asked, err := w.App.ProposeRefund(finance(w), d.ID, testworld.KES(600), "Not delivered.")
	if err != nil {
		t.Fatal(err)
	}
	servicetest.Together(10, func(int) error {
		_, err := w.App.Approvals.Approve(finance(w), w.Pool, asked.ID, asked.Digest)
		return err
	})
	if _, err := w.App.ProposeRefund(finance(w), d.ID, testworld.KES(401), "Again."); !errors.Is(err, domain.ErrRefundTooMuch) {
		t.Errorf("more than is left: %v", err)
	}
	refunded(t, w, d, 400)
	if sum := w.Count("SELECT sum(amount_minor) FROM refunds"); sum != 100000 {
		t.Errorf("%d in all", sum)
	}
}

// TestRefundSettled: what only people can end, two of them end: not before Paystack's list has lacked it for a day.
func TestRefundSettled(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(0)
	d := paidIn(t, w, p)
	if err := w.Bank.SetPaystackReferenceScript(t.Context(), d.ID.String(), control.PaystackScript{Answer: "error_before"}); err != nil {
		t.Fatal(err)
	}
	id := refunded(t, w, d, 500)
	if err := w.App.GiveBack(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	settle := app.RefundSettlement{Outcome: "failed", Evidence: "The dashboard has none."}
	w.Advance(25 * time.Hour)
	if _, err := w.App.ProposeRefundSettlement(finance(w), id, settle, "Looked up."); !errors.Is(err, domain.ErrNotSettleable) {
		t.Errorf("never looked up: %v", err)
	}
	if err := w.App.ReadRefund(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, err := w.App.ProposeRefundSettlement(finance(w), id, settle, "Looked up."); !errors.Is(err, domain.ErrNotSettleable) {
		t.Errorf("too early: %v", err)
	}
	w.Advance(24 * time.Hour)
	asked, err := w.App.ProposeRefundSettlement(finance(w), id, settle, "Looked up.")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.App.Approvals.Approve(finance(w), w.Pool, asked.ID, asked.Digest); err != nil {
		t.Fatal(err)
	}
	if err := w.App.SettleRefund(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if free, held := balance(w, p); free != 977 || held != 0 || statusOf(w, id) != domain.Failed {
		t.Errorf("%s, free %d, held %d", statusOf(w, id), free, held)
	}
	seen, _, err := w.App.ListRefundsByStatus(finance(w), "failed", page.Request{})
	if err != nil || len(seen) != 1 || seen[0].ID != id || len(seen[0].Transitions) != 5 {
		t.Errorf("%+v: %v", seen, err)
	}
	if _, _, err := w.App.ListRefundsByStatus(w.As(p), "failed", page.Request{}); !errors.Is(err, fault.ErrForbidden) {
		t.Errorf("a customer: %v", err)
	}
}
