package check_test

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"slices"
	"testing"
	"testing/fstest"
	"time"

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
	db := pgtest.Open(t, "transactions", migrations(t, "00001_init.sql", "00002_chart.sql"))
	account := uuid.Must(uuid.NewV7())
	payIn := domain.Request{Reference: "old:in", Body: domain.Body{Action: domain.ActionPost, Type: "deposit", Channel: "mpesa",
		Postings: []domain.Posting{{Source: rail, Destination: account, Amount: 1000, Currency: "KES"}},
		Metadata: map[string]string{"receipt": "A\"ä", "b": "2"}}}
	tooMuch := domain.Request{Reference: "old:refused", Body: domain.Body{Action: domain.ActionPost, Type: "transfer", Channel: "internal",
		Postings: []domain.Posting{{Source: account, Destination: rail, Amount: 5000, Currency: "KES"}}}}
	writeAsBefore(t, db, account, payIn, tooMuch)
	if err := pg.Migrate(t.Context(), db.OwnerURL, transactionssql.Migrations()); err != nil {
		t.Fatal(err)
	}
	w := worldOn(t, db)
	w.seal()
	repeated := payIn
	out, err := w.PostTransactions(w.Ctx, []domain.Request{repeated, tooMuch}, false)
	if err != nil || out[0].Status != domain.Posted || out[0].Balances[1].Balance != 1000 || out[0].Balances[1].Currency != "KES" ||
		out[1].Code != "insufficient_funds" {
		t.Fatalf("%+v %v", out, err)
	}
	repeated.Metadata = map[string]string{"receipt": "B"}
	if out, err = w.PostTransactions(w.Ctx, []domain.Request{repeated}, false); err != nil || out[0].Code != "reference_reused" {
		t.Errorf("%+v %v", out, err)
	}
	fresh := domain.Request{Reference: "new",
		Body: domain.Body{Action: domain.ActionReverse, Type: "correction", Channel: "mpesa", OriginalID: uuid.MustParse(oldID)}}
	if out, err = w.PostTransactions(w.Ctx, []domain.Request{fresh}, false); err != nil || out[0].Status != domain.Posted {
		t.Fatalf("%+v %v", out, err)
	}
	w.seal()
	report, err := check.Replay(context.Background(), db.Pool, check.Options{Workers: 1, Keys: w.keys})
	if err != nil || len(report.Violations) > 0 || report.Transactions != 2 {
		t.Errorf("%+v %v", report, err)
	}
}

// migrations are those of an older version.
func migrations(t *testing.T, names ...string) fs.FS {
	t.Helper()
	older := fstest.MapFS{}
	for _, name := range names {
		data, err := fs.ReadFile(transactionssql.Migrations(), name)
		if err != nil {
			t.Fatal(err)
		}
		older[name] = &fstest.MapFile{Data: data}
	}
	return older
}

// TestHoldsOfTheEpoch migrates rows that an older version wrote, which took 1970-01-01T00:00:00Z for never: the rows get the time that
// their leaves have, and nothing else gets one; the ledger then releases what is left of them. Repeats are answered as before. Money above
// a maximum that the older version held is freed.
func TestHoldsOfTheEpoch(t *testing.T) {
	t.Parallel()
	if f := verified(t, olderRows(t, withoutEpoch(t)).DB); len(f) != 4 {
		t.Fatalf("without what the migration does to the rows: %v", f)
	}
	w := olderRows(t, transactionssql.Migrations())
	db := w.DB
	verify := func() []check.Finding { return verified(t, db) }
	if f := verify(); len(f) != 0 {
		t.Errorf("after the migration: %v", f)
	}
	var moved []string
	if err := db.Pool.QueryRow(t.Context(),
		`SELECT array_agg(t.reference ORDER BY t.reference) FROM holds h JOIN transactions t ON t.id = h.id WHERE h.expires_at = 'epoch'`).Scan(
		&moved); err != nil {
		t.Fatal(err)
	}
	if want := []string{"epoch:active", "epoch:captured", "epoch:lines", "epoch:queued"}; !slices.Equal(moved, want) {
		t.Errorf("%q expire, want %q", moved, want)
	}
	w.repeatsOfEpoch()
	if n, err := w.ExpireHolds(w.Ctx); n != 3 || err != nil {
		t.Errorf("%d holds expired, %v", n, err)
	}
	if n, err := w.FreeRoom(w.Ctx); n != 1 || err != nil {
		t.Errorf("%d holds freed, %v", n, err)
	}
	w.seal()
	if f := verify(); len(f) != 0 {
		t.Errorf("at the end: %v", f)
	}
}

// olderRows are a ledger with rows of the version with migration 00003, brought up to date by these migrations.
func olderRows(t *testing.T, to fs.FS) *world {
	t.Helper()
	db := pgtest.Open(t, "transactions", migrations(t, "00001_init.sql", "00002_chart.sql", "00003_proof.sql"))
	rows, err := os.ReadFile("testdata/holds_of_epoch.sql")
	if err != nil {
		t.Fatal(err)
	}
	w := worldOn(t, db)
	if _, err := w.superuser().Exec(t.Context(), "DELETE FROM accounts; DELETE FROM ledger_tree; "+string(rows)); err != nil {
		t.Fatal(err)
	}
	if err := pg.Migrate(t.Context(), db.OwnerURL, to); err != nil {
		t.Fatal(err)
	}
	return w
}

// withoutEpoch are the migrations without the statement of 00004 that gives rows the time of their leaves.
func withoutEpoch(t *testing.T) fs.FS {
	t.Helper()
	const name, at = "00004_room.sql", "-- A hold until 1970-01-01T00:00:00Z was stored"
	all := fstest.MapFS{}
	names, err := fs.Glob(transactionssql.Migrations(), "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		data, err := fs.ReadFile(transactionssql.Migrations(), n)
		if err != nil {
			t.Fatal(err)
		}
		if n == name {
			cut := bytes.Index(data, []byte(at))
			if cut < 0 {
				t.Fatalf("%s has no %q", name, at)
			}
			data = data[:cut]
		}
		all[n] = &fstest.MapFile{Data: data}
	}
	return all
}

func verified(t *testing.T, db *pgtest.DB) []check.Finding {
	t.Helper()
	r, err := check.Replay(t.Context(), db.Pool, check.Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	return r.Violations
}

// repeatsOfEpoch sends again what posted the rows: each is told what became of it. New holds of this kind are refused.
func (w *world) repeatsOfEpoch() {
	w.t.Helper()
	var from, to uuid.UUID
	var amount int64
	for _, c := range []struct {
		reference string
		at        *time.Time
		code      string
	}{{"epoch:active", new(time.Unix(0, 0).UTC()), ""}, {"never", nil, ""}, {"year_1", new(time.Time), ""}, {"year_1", nil, ""},
		{"epoch:active", nil, "reference_reused"},
		{"later", new(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)), ""}} {
		if err := w.DB.Pool.QueryRow(w.Ctx,
			`SELECT h.account_id, (h.lines -> 0 ->> 'destination')::uuid, h.amount_minor FROM transactions t JOIN holds h ON h.id = t.id
			WHERE t.reference = $1`, c.reference).Scan(&from, &to, &amount); err != nil {
			w.t.Fatal(err)
		}
		r := domain.Request{Reference: c.reference,
			Body: domain.Body{Action: domain.ActionHold, Type: "payout", Channel: "mpesa", ExpiresAt: c.at,
				Postings: []domain.Posting{kes(from, to, amount)}}}
		if out, err := w.PostTransactions(w.Ctx, []domain.Request{r}, false); err != nil || out[0].Code != c.code {
			w.t.Errorf("%s until %v: %+v, %v, want %q", c.reference, c.at, out, err, c.code)
		}
		if c.at == nil || c.at.After(time.Now()) {
			continue
		}
		r.Reference = "again:" + c.reference
		for range 2 {
			if out, err := w.PostTransactions(w.Ctx, []domain.Request{r}, false); err != nil || out[0].Code != "expiry_passed" {
				w.t.Errorf("a new hold until %v: %+v, %v", c.at, out, err)
			}
		}
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
		{`INSERT INTO transactions (id, recorded_at, reference, action, type, channel) VALUES ($1, date_trunc('month', now()), $2, 'post',
			'deposit', 'mpesa')`, []any{oldID, posted.Reference}},
		{`INSERT INTO postings (transaction_id, position, recorded_at, source_id, destination_id, currency, amount_minor, source_sequence,
			source_balance_minor,
			destination_sequence, destination_balance_minor) VALUES ($1, 0, date_trunc('month', now()), $2, $3, 'KES', 1000, 1, 1000, 1, 1000)`,
			[]any{oldID, rail, account}},
		{`INSERT INTO transaction_metadata (transaction_id, metadata) VALUES ($1, $2)`, []any{oldID, posted.Metadata}},
		{`INSERT INTO ledger_references (reference, body_hash, status, transaction_id, outcome) VALUES ($1, $2, 'posted', $3,
			jsonb_build_object('reference', $1::text, 'status', 'posted',
			'transaction_id', $3::uuid, 'recorded_at', date_trunc('month', now()), 'balances', jsonb_build_array(
			jsonb_build_object('account_id', $4::uuid, 'currency', 'KES', 'balance', 1000, 'available', 1000, 'sequence', 1),
			jsonb_build_object('account_id', $5::uuid, 'currency', 'KES', 'balance', 1000, 'available', 1000, 'sequence', 1))))`,
			[]any{posted.Reference, posted.HashWithMetadata(), oldID, rail, account}},
		{`INSERT INTO ledger_references (reference, body_hash, status, outcome) VALUES ($1, $2, 'refused', jsonb_build_object('reference',
			$1::text, 'status', 'refused',
			'code', 'insufficient_funds', 'detail', 'The balance is too low.', 'recorded_at', now()))`,
			[]any{refused.Reference, refused.HashWithMetadata()}},
	} {
		if _, err := conn.Exec(t.Context(), stmt.sql, stmt.args...); err != nil {
			t.Fatalf("%s: %v", stmt.sql, err)
		}
	}
}
