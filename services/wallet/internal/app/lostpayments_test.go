package app_test

import (
	"testing"
	"time"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
	"github.com/sendtip/sendtip/services/wallet/internal/testworld"
)

// TestLostPaymentIsFound: a top-up whose answer, callback, confirmation and query were all lost is found in Safaricom's books by its
// reference and amount, once, while the books reach back; nothing else in the books is taken for it.
func TestLostPaymentIsFound(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p, other := w.Person(1, 0), w.Person(1, 0)
	w.Mpesa.AnswerPush("lose")
	w.Mpesa.AnswerQuery("")
	lost, unpaid, old := topup(t, w, p, 100), topup(t, w, other, 100), topup(t, w, other, 100)
	if lost.Status != domain.TopupUnknown {
		t.Fatalf("%+v", lost)
	}
	w.Mpesa.Book("RLOST1", lost.AccountReference, 90) // another amount: no payment of this top-up
	w.Mpesa.Book("RELSE1", "W7777777AAAA", 100)
	find := func() {
		t.Helper()
		if err := w.App.FindLostPayments(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	find()
	if got := read(t, w, p, lost.ID); got.Status != domain.TopupUnknown || w.Text("SELECT count(*) FROM receipts") != "0" {
		t.Errorf("%+v", got)
	}
	w.Mpesa.Book("RLOST2", lost.AccountReference, 100)
	for range 3 {
		w.Advance(5 * time.Minute)
		find()
	}
	if got := read(t, w, p, lost.ID); got.Status != domain.TopupPaid || got.Receipt != "RLOST2" ||
		w.Text("SELECT count(*) FROM receipts") != "1" {
		t.Errorf("%+v", got)
	}
	if wait, err := w.App.CreditTopup(t.Context(), lost.ID); err != nil || wait != 0 || w.Ledger.Balance(p.WalletID.String()) != 100_00 {
		t.Errorf("credited %d: %v", w.Ledger.Balance(p.WalletID.String()), err)
	}
	if got := read(t, w, other, unpaid.ID); got.Status != domain.TopupUnknown {
		t.Errorf("%+v", got)
	}
	w.Mpesa.Book("ROLD1", old.AccountReference, 100)
	w.Advance(48 * time.Hour)
	asked := w.Mpesa.Pulls()
	find()
	if got := read(t, w, other, old.ID); got.Status == domain.TopupPaid || w.Mpesa.Pulls() != asked {
		t.Errorf("after 48 h: %+v, asked %d times", got, w.Mpesa.Pulls()-asked)
	}
}
