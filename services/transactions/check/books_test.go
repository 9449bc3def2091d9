package check_test

import (
	"testing"

	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/pgtest"
	transactionssql "github.com/sendtip/sendtip/sql/transactions"
)

// TestOlderAccountsGetBooks: the accounts of a ledger from before the books get the book of their kind, the chart's all the first one.
func TestOlderAccountsGetBooks(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, "transactions", migrations(t, "00001_init.sql", "00002_chart.sql", "00003_proof.sql", "00004_room.sql",
		"00005_partitions.sql"))
	w := worldOn(t, db)
	if _, err := w.superuser().Exec(t.Context(), `INSERT INTO accounts (id, owner_id, kind, currency, normal_side)
		SELECT gen_random_uuid(), gen_random_uuid(), unnest(ARRAY['customer_wallet', 'agent_float', 'savings_pot', 'loan_receivable']), 'KES',
			'credit'`); err != nil {
		t.Fatal(err)
	}
	if err := pg.Migrate(t.Context(), db.OwnerURL, transactionssql.Migrations()); err != nil {
		t.Fatal(err)
	}
	rows, err := db.Pool.Query(t.Context(), "SELECT kind, book, count(*) FROM accounts GROUP BY kind, book")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	seen := 0
	for rows.Next() {
		var kind, book string
		var n int
		if err := rows.Scan(&kind, &book, &n); err != nil {
			t.Fatal(err)
		}
		if want := map[bool]string{true: "lending", false: "emoney"}[kind == "loan_receivable"]; book != want || n != map[bool]int{true: 18,
			false: 1}[kind == "system"] {
			t.Errorf("%d of %s are in the book %s", n, kind, book)
		}
		seen++
	}
	if err := rows.Err(); err != nil || seen != 5 {
		t.Errorf("%d kinds, %v", seen, err)
	}
}
