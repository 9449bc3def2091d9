package check_test

import (
	"context"
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/pgtest"
	"github.com/sendtip/sendtip/services/transactions/check"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
	transactionssql "github.com/sendtip/sendtip/sql/transactions"
)

// TestOlderLedgerIsAdopted: a ledger from before the proof is migrated, sealed and proved, its references keep their outcomes, also those
// whose hash had the metadata in it, and new transactions follow.
func TestOlderLedgerIsAdopted(t *testing.T) {
	t.Parallel()
	older := fstest.MapFS{}
	for _, name := range []string{"00001_init.sql", "00002_chart.sql"} {
		data, err := fs.ReadFile(transactionssql.Migrations(), name)
		if err != nil {
			t.Fatal(err)
		}
		older[name] = &fstest.MapFile{Data: data}
	}
	db := pgtest.Open(t, "transactions", older)
	account := uuid.Must(uuid.NewV7())
	payIn := domain.Request{Reference: "old:in", Body: domain.Body{Action: domain.ActionPost, Type: "deposit", Channel: "mpesa",
		Postings: []domain.Posting{{Source: rail, Destination: account, Amount: 1000, Currency: "KES"}}, Metadata: map[string]string{"receipt": "A\"ä", "b": "2"}}}
	tooMuch := domain.Request{Reference: "old:refused", Body: domain.Body{Action: domain.ActionPost, Type: "transfer", Channel: "internal",
		Postings: []domain.Posting{{Source: account, Destination: rail, Amount: 5000, Currency: "KES"}}}}
	writeAsBefore(t, db, account, payIn, tooMuch)
	if err := pg.Migrate(t.Context(), db.OwnerURL, transactionssql.Migrations()); err != nil {
		t.Fatal(err)
	}
	w := worldOn(t, db)
	w.seal()
	repeated := payIn
	out, err := w.PostTransactions(w.ctx, []domain.Request{repeated, tooMuch}, false)
	if err != nil || out[0].Status != domain.Posted || out[0].Balances[1].Balance != 1000 || out[0].Balances[1].Currency != "KES" || out[1].Code != "insufficient_funds" {
		t.Fatalf("%+v %v", out, err)
	}
	repeated.Metadata = map[string]string{"receipt": "B"}
	if out, err = w.PostTransactions(w.ctx, []domain.Request{repeated}, false); err != nil || out[0].Code != "reference_reused" {
		t.Errorf("%+v %v", out, err)
	}
	fresh := domain.Request{Reference: "new", Body: domain.Body{Action: domain.ActionReverse, Type: "correction", Channel: "mpesa", OriginalID: uuid.MustParse(oldID)}}
	if out, err = w.PostTransactions(w.ctx, []domain.Request{fresh}, false); err != nil || out[0].Status != domain.Posted {
		t.Fatalf("%+v %v", out, err)
	}
	w.seal()
	report, err := check.Replay(context.Background(), db.Pool, check.Options{Workers: 1, Keys: w.keys})
	if err != nil || len(report.Violations) > 0 || report.Transactions != 2 {
		t.Errorf("%+v %v", report, err)
	}
}

const oldID = "01937c5e-a001-7c1b-9d7e-3f6b2a1c0d4e"

// writeAsBefore leaves the rows that the version before the proof wrote for a posted and a refused transaction.
func writeAsBefore(t *testing.T, db *pgtest.DB, account uuid.UUID, posted, refused domain.Request) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), db.OwnerURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for _, stmt := range []struct {
		sql  string
		args []any
	}{
		{`INSERT INTO accounts (id, owner_id, kind, currency, normal_side, minimum_minor, credits_minor, sequence, last_recorded_at)
			VALUES ($1, gen_random_uuid(), 'customer_wallet', 'KES', 'credit', 0, 1000, 1, date_trunc('month', now()))`, []any{account}},
		{`UPDATE accounts SET debits_minor = 1000, sequence = 1, last_recorded_at = date_trunc('month', now()) WHERE id = $1`, []any{rail}},
		{`INSERT INTO transactions (id, recorded_at, reference, action, type, channel) VALUES ($1, date_trunc('month', now()), $2, 'post', 'deposit', 'mpesa')`, []any{oldID, posted.Reference}},
		{`INSERT INTO postings (transaction_id, position, recorded_at, source_id, destination_id, currency, amount_minor, source_sequence, source_balance_minor,
			destination_sequence, destination_balance_minor) VALUES ($1, 0, date_trunc('month', now()), $2, $3, 'KES', 1000, 1, 1000, 1, 1000)`, []any{oldID, rail, account}},
		{`INSERT INTO transaction_metadata (transaction_id, metadata) VALUES ($1, $2)`, []any{oldID, posted.Metadata}},
		{`INSERT INTO ledger_references (reference, body_hash, status, transaction_id, outcome) VALUES ($1, $2, 'posted', $3, jsonb_build_object('reference', $1::text, 'status', 'posted',
			'transaction_id', $3::uuid, 'recorded_at', date_trunc('month', now()), 'balances', jsonb_build_array(
			jsonb_build_object('account_id', $4::uuid, 'currency', 'KES', 'balance', 1000, 'available', 1000, 'sequence', 1),
			jsonb_build_object('account_id', $5::uuid, 'currency', 'KES', 'balance', 1000, 'available', 1000, 'sequence', 1))))`,
			[]any{posted.Reference, posted.HashWithMetadata(), oldID, rail, account}},
		{`INSERT INTO ledger_references (reference, body_hash, status, outcome) VALUES ($1, $2, 'refused', jsonb_build_object('reference', $1::text, 'status', 'refused',
			'code', 'insufficient_funds', 'detail', 'The balance is too low.', 'recorded_at', now()))`, []any{refused.Reference, refused.HashWithMetadata()}},
	} {
		if _, err := conn.Exec(t.Context(), stmt.sql, stmt.args...); err != nil {
			t.Fatalf("%s: %v", stmt.sql, err)
		}
	}
}
