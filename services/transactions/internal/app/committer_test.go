package app

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/kit/pgtest"
	transactionssql "github.com/sendtip/sendtip/sql/transactions"
)

// TestCommitOfAnAbortedTransaction: PostgreSQL answers COMMIT with ROLLBACK, and no error, when something in the transaction has failed.
// That must never be taken for a commit.
func TestCommitOfAnAbortedTransaction(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, "transactions", transactionssql.Migrations())
	begin := func() pgx.Tx {
		tx, err := committer{db.Pool}.BeginTx(t.Context(), pgx.TxOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return tx
	}
	send := func(tx pgx.Tx, sql string) error {
		var b pgx.Batch
		b.Queue(sql)
		return tx.SendBatch(t.Context(), &b).Close()
	}
	for _, c := range []struct {
		name, second string
		failed       bool
		want         error
	}{{"sound", "SELECT 1", false, nil}, {"aborted", "SELECT 1 / 0", true, pgx.ErrTxCommitRollback}} {
		tx := begin()
		if err := send(tx, "INSERT INTO ledger_references (reference, body_hash, transaction_id) VALUES ('"+c.name+
			"', sha256('x'), gen_random_uuid())"); err != nil {
			t.Fatal(err)
		}
		rows, err := tx.Query(t.Context(), c.second)
		if err == nil {
			rows.Close()
			err = rows.Err()
		}
		if (err != nil) != c.failed {
			t.Fatalf("%s: %v", c.name, err)
		}
		if err := tx.Commit(t.Context()); !errors.Is(err, c.want) {
			t.Errorf("%s: committed with %v, want %v", c.name, err, c.want)
		}
		if err := tx.Rollback(t.Context()); !errors.Is(err, pgx.ErrTxClosed) {
			t.Errorf("%s: afterwards there is something to roll back: %v", c.name, err)
		}
	}
	// Nothing was sent, so nothing is to be committed or rolled back.
	if err := begin().Commit(t.Context()); err != nil {
		t.Error(err)
	}
	if err := begin().Rollback(t.Context()); err != nil {
		t.Error(err)
	}
	var references []string
	if err := db.Pool.QueryRow(t.Context(), "SELECT array_agg(reference) FROM ledger_references").Scan(&references); err != nil ||
		len(references) != 1 || references[0] != "sound" {
		t.Errorf("%q was committed, %v", references, err)
	}
	if n := db.Pool.Stat().AcquiredConns(); n != 0 {
		t.Errorf("%d connections did not come back", n)
	}
}
