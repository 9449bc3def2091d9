package check_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/pgtest"
	"github.com/sendtip/sendtip/services/transactions/check"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
	"github.com/sendtip/sendtip/services/transactions/internal/leaves"
	"github.com/sendtip/sendtip/services/transactions/proof"
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
		if want := map[bool]string{true: "lending", false: "emoney"}[kind == "loan_receivable"]; book != want || n != map[bool]int{true: 23,
			false: 1}[kind == "system"] {
			t.Errorf("%d of %s are in the book %s", n, kind, book)
		}
		seen++
	}
	if err := rows.Err(); err != nil || seen != 5 {
		t.Errorf("%d kinds, %v", seen, err)
	}
}

// exec is a statement of a superuser.
func (w *world) exec(conn *pgx.Conn, sql string, args ...any) {
	w.t.Helper()
	if _, err := conn.Exec(w.Ctx, sql, args...); err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
}

// TestBookOfABusyAccount: the rail is in most leaves. If its book is changed, the account is named once, at its first leaf; the rules name
// it too, and no transaction is accused.
func TestBookOfABusyAccount(t *testing.T) {
	t.Parallel()
	w := history(t)
	super := w.superuser()
	w.exec(super, "UPDATE accounts SET book = 'lending' WHERE id = $1", rail)
	var first int64
	if err := super.QueryRow(w.Ctx, `SELECT min(b.first_index + t.batch_position) FROM sealed_batches b JOIN transactions t ON t.batch_id =
		b.batch_id
		JOIN postings p ON p.transaction_id = t.id WHERE $1 IN (p.source_id, p.destination_id)`, rail).Scan(&first); err != nil {
		t.Fatal(err)
	}
	r := w.replay()
	f := r.Violations[0]
	if f.Kind != check.Altered || f.Table != "accounts" || f.Key != "account "+rail.String() || f.Index != first ||
		!strings.HasPrefix(f.Detail, "its book is lending now, and was emoney ") {
		t.Errorf("%+v, want the account at leaf %d", f, first)
	}
	zero := 0
	for _, f := range r.Violations[1:] {
		if f.Kind != check.Broken {
			t.Errorf("accused without reason: %s", f)
		}
		if strings.Contains(f.Detail, "L2 debits equal credits per book and currency") {
			zero++
		}
	}
	if zero != 2 {
		t.Errorf("%d books do not sum to zero, of two: %v", zero, r.Violations)
	}
	w.exec(super, "DELETE FROM accounts WHERE id = $1", rail)
	if f := w.replay().Violations[0]; f.Kind != check.Deleted || f.Key != "account "+rail.String() {
		t.Errorf("without its row: %s", f)
	}
}

// TestBookOfALeaf: a leaf hash that is exchanged for that of another book accuses its batch, and neither the account nor the transaction.
func TestBookOfALeaf(t *testing.T) {
	t.Parallel()
	w := history(t)
	super := w.superuser()
	var id uuid.UUID
	var batch int64
	var position int
	if err := super.QueryRow(w.Ctx, `SELECT t.id, t.batch_id, t.batch_position FROM transactions t JOIN sealed_batches b ON b.batch_id =
		t.batch_id
		WHERE t.action = 'post' AND b.first_index > 100 ORDER BY random() LIMIT 1`).Scan(&id, &batch, &position); err != nil {
		t.Fatal(err)
	}
	found, err := leaves.Load(w.Ctx, w.DB.Pool, []uuid.UUID{id})
	if err != nil {
		t.Fatal(err)
	}
	found[id].Postings[0].SourceBook = "savings"
	hash := proof.LeafHash(found[id])
	w.exec(super, "UPDATE sealed_batches SET leaf_hashes = overlay(leaf_hashes PLACING $3 FROM 32 * $2::int + 1) WHERE batch_id = $1", batch,
		position, hash[:])
	r := w.replay()
	if len(r.Violations) != 1 || r.Violations[0].Kind != check.Altered || r.Violations[0].Table != "sealed_batches" ||
		r.Violations[0].Key != fmt.Sprintf("batch %d", batch) {
		t.Errorf("batch %d, position %d: %v", batch, position, r.Violations)
	}
}

// TestColumnsOfBooks: the column is named of which the books of a leaf depend: the version, and an account of another book.
func TestColumnsOfBooks(t *testing.T) {
	t.Parallel()
	w := history(t)
	super := w.superuser()
	const one = "(SELECT transaction_id FROM postings WHERE source_id IN (SELECT id FROM accounts WHERE kind = 'customer_wallet') " +
		"ORDER BY transaction_id LIMIT 1)"
	for _, c := range []struct{ column, change string }{
		{"leaf_version", "UPDATE transactions SET leaf_version = 1 WHERE id = " + one},
		{"source_id", "UPDATE postings SET source_id = (SELECT id FROM accounts WHERE book = 'savings' LIMIT 1) WHERE position = 0 AND " +
			"transaction_id = " + one},
	} {
		w.exec(super, "BEGIN; "+c.change)
		r, err := check.ReplayIn(w.Ctx, super, check.Options{Keys: w.keys, Checkpoints: w.outside()})
		if err != nil {
			t.Fatal(err)
		}
		if f := r.Violations[0]; f.Kind != check.Altered || !strings.HasPrefix(f.Detail, "the column "+c.column+" ") {
			t.Errorf("%s: %v", c.column, r.Violations)
		}
		w.exec(super, "ROLLBACK")
	}
	w.sound()
}

// TestLeavesOfBothVersions: what an older version posted stays as it is, and is proved and shown as it was; new transactions follow it in
// the same tree, with their books. A book that is changed is found among the old ones too, by the rules.
func TestLeavesOfBothVersions(t *testing.T) {
	t.Parallel()
	w := olderRows(t, transactionssql.Migrations())
	super := w.superuser()
	older := map[uuid.UUID]int{}
	versions := func() map[uuid.UUID]int {
		list := map[uuid.UUID]int{}
		rows, err := super.Query(w.Ctx, "SELECT id, leaf_version FROM transactions")
		if err != nil {
			t.Fatal(err)
		}
		var id uuid.UUID
		var version int
		if _, err := pgx.ForEachRow(rows, []any{&id, &version}, func() error { list[id] = version; return nil }); err != nil {
			t.Fatal(err)
		}
		return list
	}
	for id, version := range versions() {
		if older[id] = version; version != proof.LeafVersion1 {
			t.Errorf("an older transaction has the version %d", version)
		}
	}
	w.n = 1000 // the references of the older ones are taken
	a, b := w.account(nil), w.account(nil)
	w.round(a, b)
	w.lend(a, b)
	w.seal()
	if f := verified(t, w.DB); len(f) != 0 {
		t.Fatalf("%v", f)
	}
	known, err := proof.Verifiers(w.keys...)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]int{}
	for id, version := range versions() {
		receipt, err := w.GetLedgerReceipt(w.Ctx, id)
		if err != nil || receipt == nil {
			t.Fatalf("receipt of %s: %v", id, err)
		}
		v, err := proof.Verify(receipt.Marshal(), known)
		if err != nil || v.Version != version || v.Header.ID != id || (v.Version == proof.LeafVersion1) != (older[id] != 0) ||
			receipt.Format() != fmt.Sprintf("sendtip-receipt/%d", version) {
			t.Fatalf("%+v, %v", v, err)
		}
		for _, e := range v.Entries {
			if (e.Book != "") != (version == proof.LeafVersion2) {
				t.Errorf("version %d: %+v", version, e)
			}
		}
		seen[version]++
	}
	if seen[1] == 0 || seen[2] == 0 {
		t.Errorf("%v", seen)
	}
	w.exec(super, "UPDATE accounts SET book = 'savings' WHERE id = (SELECT source_id FROM postings p JOIN transactions t ON t.id = "+
		"p.transaction_id WHERE t.leaf_version = 1 AND p.source_id <> $1 AND p.destination_id <> $1 ORDER BY t.id LIMIT 1)", rail)
	if f := verified(t, w.DB); !slices.ContainsFunc(f, func(f check.Finding) bool {
		return f.Table == "accounts" && strings.Contains(f.Detail, "the accounts of a posting are of one book")
	}) {
		t.Errorf("a book of an older account: %v", f)
	}
}

// TestOlderReplicaPosts: during an upgrade a replica of the version before writes rows without a word about leaves, and their hashes are of
// the first version.
func TestOlderReplicaPosts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.account(nil), w.account(nil)
	w.round(a, b)
	w.one(domain.Body{Action: domain.ActionHold, Postings: []domain.Posting{kes(a, b, 3)}})
	o := w.one(domain.Body{Action: domain.ActionPost, Postings: []domain.Posting{kes(a, b, 3)}})
	found, err := leaves.Load(w.Ctx, w.DB.Pool, []uuid.UUID{o.TransactionID})
	if err != nil {
		t.Fatal(err)
	}
	leaf := found[o.TransactionID]
	leaf.Version = proof.LeafVersion1
	hash := proof.LeafHash(leaf)
	// The row anew, with the columns that such a replica names.
	const columns = `id, recorded_at, reference, action, type, channel, hold_id, hold_delta_minor, reverses_id, effective_at,
		metadata_hash, salt, batch_id, batch_position, balances`
	w.exec(w.superuser(), "CREATE TEMP TABLE older AS SELECT "+columns+" FROM transactions WHERE id = '"+o.TransactionID.String()+
		"'; DELETE FROM transactions WHERE id IN (SELECT id FROM older); INSERT INTO transactions ("+columns+") SELECT "+columns+" FROM older")
	w.exec(w.superuser(), "UPDATE seal_queue SET leaf_hashes = $2 WHERE id = $1", leaf.Batch, hash[:])
	w.sound()
	w.seal()
	w.round(a, b)
	w.sound()
	receipt, err := w.GetLedgerReceipt(w.Ctx, o.TransactionID)
	if err != nil || receipt == nil || receipt.Format() != "sendtip-receipt/1" {
		t.Errorf("%+v, %v", receipt, err)
	}
}
