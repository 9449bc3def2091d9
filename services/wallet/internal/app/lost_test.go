package app_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/services/wallet/internal/app"
	"github.com/sendtip/sendtip/services/wallet/internal/domain"
	"github.com/sendtip/sendtip/services/wallet/internal/testworld"
)

// lose replaces sealed values by what cannot be opened, as the owner of the tables.
func lose(t *testing.T, w *testworld.World, sql string, args ...any) {
	t.Helper()
	if tag, err := w.Connect(w.DB.OwnerURL).Exec(t.Context(), sql, args...); err != nil || tag.RowsAffected() != 1 {
		t.Fatalf("%s: %s %v", sql, tag, err)
	}
}

// TestListsWithALostText: a text that cannot be opened is missing from its own row only, a person learns of it, and no money waits for it.
func TestListsWithALostText(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	from, to := w.Person(1, 5000), w.Person(1, 0)
	ctx := testworld.As(t.Context(), from)
	var sent []domain.Transfer
	for range 3 {
		q := w.Quote(from, to, 100)
		if len(sent) == 2 {
			w.Ledger.Lose(nil, func() bool { return true }) // the last one is left to its job
		}
		tr, err := w.App.CreateTransfer(w.Approve(ctx, q.ID), app.TransferInput{Key: key(), QuoteID: q.ID, Note: "rent"})
		if err != nil {
			t.Fatal(err)
		}
		sent = append(sent, tr)
	}
	w.Ledger.Lose(nil, nil)
	lose(t, w, `UPDATE transfers SET note_sealed = '\x01' WHERE id = $1`, sent[1].ID)
	lose(t, w, `UPDATE transfers SET recipient_name_sealed = (SELECT recipient_name_sealed FROM transfers WHERE id = $2) WHERE id = $1`,
		sent[2].ID, sent[0].ID)
	list, _, err := w.App.ListTransfers(ctx, "", page.Request{})
	if err != nil || len(list) != 3 {
		t.Fatalf("%d transfers, %v", len(list), err)
	}
	for i, want := range []struct{ name, note string }{{"", "rent"}, {"Amina W.", ""}, {"Amina W.", "rent"}} {
		if got := list[i]; got.ID != sent[2-i].ID || got.RecipientName != want.name || got.Note != want.note || got.Amount.Amount != 10000 {
			t.Errorf("listed %+v", got)
		}
	}
	if n := w.Counted("wallet_alarms_total", "text_lost"); n != 2 {
		t.Errorf("%d alarms", n)
	}
	if got, err := w.App.GetTransfer(ctx, sent[1].ID); err != nil || got.Note != "" || got.RecipientName != "Amina W." {
		t.Errorf("read %+v, %v", got, err)
	}
	if err := w.App.SettleTransfer(t.Context(), sent[2].ID); err != nil {
		t.Errorf("the job: %v", err)
	}
	if got := w.Ledger.Balance(to.WalletID.String()); got != 30000 {
		t.Errorf("the recipient has %d", got)
	}
	first, second := topup(t, w, from, 100), topup(t, w, from, 200)
	lose(t, w, `UPDATE topups SET checkout_sealed = '\x01' WHERE id = $1`, first.ID)
	topups, _, err := w.App.ListTopups(ctx, page.Request{})
	if err != nil || len(topups) != 2 || topups[0].CheckoutRequestID != second.CheckoutRequestID || topups[1].ID != first.ID ||
		topups[1].Amount != testworld.KES(100) {
		t.Errorf("listed %+v, %v", topups, err)
	}
	if got := read(t, w, from, first.ID); got.CheckoutRequestID != "" {
		t.Errorf("read %+v", got)
	}
	// A message is judged by that id, and is not judged without it.
	if err := w.App.ReceiveStkCallback(testworld.Known(t.Context()), token(t, w, "stk", first.ID.String()), first.ID,
		testworld.StkSuccess(first.CheckoutRequestID, "R1", 100)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.App.JudgeCallback(t.Context(), uuid.MustParse(w.Text("SELECT id::text FROM callbacks"))); err == nil ||
		w.Ledger.Balance(from.WalletID.String()) != 500000-30000 {
		t.Errorf("judged without the id: %v, balance %d", err, w.Ledger.Balance(from.WalletID.String()))
	}
}
