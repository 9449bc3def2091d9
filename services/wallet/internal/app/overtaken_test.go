package app_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/services/wallet/internal/testworld"
)

// TestOvertaken lets another message take the receipt between the judgement of one and its effect: it is judged anew, by what holds then.
func TestOvertaken(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		amount int64 // that the faster message told
		want   string
	}{"same_amount": {100_00, "duplicate"}, "another_amount": {90_00, "conflict"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := testworld.New(t)
			p := w.Person(1, 0)
			account := w.Text("SELECT deposit_account FROM wallets WHERE id = $1", p.WalletID)
			body := testworld.C2b("R1", account, 100)
			if err := w.App.ReceiveC2bConfirmation(testworld.Known(t.Context()), token(t, w, "c2b", w.Deps.ShortCode), body); err != nil {
				t.Fatal(err)
			}
			id := uuid.MustParse(w.Text("SELECT id::text FROM callbacks"))
			judged := make(chan error, 1)
			w.Tx(func(ctx context.Context, tx pgx.Tx) error {
				if _, err := tx.Exec(ctx, `INSERT INTO receipts (receipt, receipt_key, deposit_id, source, amount_minor, created_at)
					VALUES ('R1', 'R1', $1, 'c2b', $2, $3)`, uuid.New(), c.amount, w.Now()); err != nil {
					return err
				}
				go func() {
					_, err := w.App.JudgeCallback(context.WithoutCancel(ctx), id)
					judged <- err
				}()
				w.AwaitLocks(1)
				return nil
			})
			if err := <-judged; err != nil {
				t.Fatal(err)
			}
			if v := w.Text("SELECT verdict FROM callbacks"); v != c.want || w.Count("SELECT count(*) FROM deposits") != 0 {
				t.Errorf("verdict %s, %d deposits", v, w.Count("SELECT count(*) FROM deposits"))
			}
		})
	}
}
