package app_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/kit/seal"

	"github.com/sendtip/sendtip/services/wallet/internal/app"
	"github.com/sendtip/sendtip/services/wallet/internal/domain"
	"github.com/sendtip/sendtip/services/wallet/internal/testworld"
)

// TestReceiptToldWithAnotherAmount is a paybill deposit that is confirmed twice with different amounts: the first one counts, and the
// second one moves nothing but is not taken for a harmless repeat.
func TestReceiptToldWithAnotherAmount(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	account := w.Text("SELECT deposit_account FROM wallets WHERE id = $1", p.WalletID)
	for _, c := range []struct {
		account   string
		shillings int64
		want      string
	}{{account, 100, "deposit"}, {"nobody", 100, "duplicate"}, {account, 900, "conflict"}, {"nobody", 900, "conflict"}} {
		if v := c2b(t, w, testworld.C2b("R1", c.account, c.shillings)); v != c.want {
			t.Errorf("%d to %s: verdict %s, want %s", c.shillings, c.account, v, c.want)
		}
	}
	settle(t, w)
	if got := w.Ledger.Balance(p.WalletID.String()); got != 10000 {
		t.Errorf("wallet has %d", got)
	}
}

// TestReceiptOfAnotherTopup is a callback that names the receipt of another top-up: it is judged, and moves nothing.
func TestReceiptOfAnotherTopup(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	first, second := topup(t, w, p, 100), topup(t, w, p, 100)
	if v := callback(t, w, first.ID, testworld.StkSuccess(first.CheckoutRequestID, "R1", 100)); v != "applied" {
		t.Fatalf("verdict %s", v)
	}
	if v := callback(t, w, second.ID, testworld.StkSuccess(second.CheckoutRequestID, "R1", 100)); v != "conflict" {
		t.Errorf("verdict %s", v)
	}
	settle(t, w)
	if got := w.Ledger.Balance(p.WalletID.String()); got != 10000 {
		t.Errorf("wallet has %d", got)
	}
	// Its own receipt still pays it.
	if v := callback(t, w, second.ID, testworld.StkSuccess(second.CheckoutRequestID, "R2", 100)); v != "applied" {
		t.Errorf("verdict %s", v)
	}
	settle(t, w)
	if got := w.Ledger.Balance(p.WalletID.String()); got != 20000 {
		t.Errorf("wallet has %d", got)
	}
}

// TestMaximumToldLate is a change of the maximum whose answer is lost while a newer one is told, so that the ledger hears the old one last:
// the repeat tells the newest.
func TestMaximumToldLate(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	w.Verify(p.UserID, 2, 2)
	overtaken := false
	w.Ledger.Lose(func() bool {
		if !overtaken { // this request has read tier 2; another job tells tier 1 before it arrives
			overtaken = true
			w.Verify(p.UserID, 1, 3)
			if err := w.App.OpenAccount(context.WithoutCancel(t.Context()), p.WalletID); err != nil {
				t.Errorf("the other job: %v", err)
			}
		}
		return false
	}, func() bool { return w.Ledger.Maximum(p.WalletID) == 50000000 })
	if err := w.App.OpenAccount(t.Context(), p.WalletID); err == nil || w.Ledger.Maximum(p.WalletID) != 50000000 {
		t.Fatalf("the late request: %v, maximum %d", err, w.Ledger.Maximum(p.WalletID))
	}
	w.Ledger.Lose(nil, nil)
	if err := w.App.OpenAccount(t.Context(), p.WalletID); err != nil {
		t.Fatal(err)
	}
	if got := w.Ledger.Maximum(p.WalletID); got != 10000000 {
		t.Errorf("maximum is %d", got)
	}
}

// TestCallbackBeforeItsPrompt is a forged success that is judged just when the prompt is sent and its answer lost: it counts as little as
// one that came earlier.
func TestCallbackBeforeItsPrompt(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	made, err := w.App.CreateTopup(testworld.As(t.Context(), p), app.TopupInput{Key: key(), WalletID: p.WalletID, Amount: testworld.KES(100)})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.App.ReceiveStkCallback(testworld.Known(t.Context()), token(t, w, "stk", made.ID.String()), made.ID,
		testworld.StkSuccess("ws_CO_forged", "R1", 100)); err != nil {
		t.Fatal(err)
	}
	id := uuid.MustParse(w.Text("SELECT id::text FROM callbacks"))
	judged := make(chan error, 1)
	w.Tx(func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT FROM callbacks WHERE id = $1 FOR UPDATE", id); err != nil {
			return err
		}
		go func() {
			_, err := w.App.JudgeCallback(context.WithoutCancel(ctx), id)
			judged <- err
		}()
		w.AwaitLocks(1)
		w.Mpesa.AnswerPush("lose")
		return w.App.RequestStk(ctx, made.ID)
	})
	if err := <-judged; err != nil {
		t.Fatal(err)
	}
	settle(t, w)
	if v := w.Text("SELECT verdict FROM callbacks"); v != "refuted" || w.Ledger.Posts() != 0 {
		t.Errorf("verdict %s, %d postings", v, w.Ledger.Posts())
	}
	if got := read(t, w, p, made.ID); got.Status != domain.TopupUnknown {
		t.Errorf("top-up is %s", got.Status)
	}
}

// TestReplayAfterKeyRotation repeats a transfer after the service got a new key-encryption key: the phone gets the first answer.
func TestReplayAfterKeyRotation(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	from, to := w.Person(1, 5000), w.Person(1, 0)
	q := w.Quote(from, to, 1000)
	ctx := w.Approve(testworld.As(t.Context(), from), q.ID)
	in := app.TransferInput{Key: key(), QuoteID: q.ID, Note: "rent"}
	first, err := w.App.CreateTransfer(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	rotated, err := seal.New(bytes.Repeat([]byte{8}, seal.KeySize), bytes.Repeat([]byte{7}, seal.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	w.Rebuild(func(d *app.Deps) { d.Sealer = rotated })
	again, err := w.App.CreateTransfer(ctx, in)
	if err != nil || again.ID != first.ID || again.Status != first.Status || again.Note != first.Note {
		t.Errorf("replay is %+v, %v", again, err)
	}
	if got := w.Ledger.Balance(to.WalletID.String()); got != 100000 {
		t.Errorf("recipient has %d", got)
	}
}

// TestClockJumpsBack proves that a clock that was an hour ahead when the prompt was sent does not put off the question by an hour.
func TestClockJumpsBack(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	made := topup(t, w, p, 100)
	w.Advance(-time.Hour)
	if wait, err := w.App.QueryStk(t.Context(), made.ID); err != nil || wait > domain.QueryFirst {
		t.Errorf("asks again in %s, %v", wait, err)
	}
}
