package seed_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/note"

	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/pgtest"
	"github.com/sendtip/sendtip/services/transactions/check"
	"github.com/sendtip/sendtip/services/transactions/internal/app"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
	"github.com/sendtip/sendtip/services/transactions/internal/testworld"
	"github.com/sendtip/sendtip/services/transactions/proof"
	"github.com/sendtip/sendtip/services/transactions/seed"
	transactionssql "github.com/sendtip/sendtip/sql/transactions"
)

// world is an empty ledger.
type world struct {
	*testworld.World
	t    *testing.T
	sign seed.Signing
}

func setup(t *testing.T) *world {
	t.Helper()
	db := pgtest.Open(t, "transactions", transactionssql.Migrations())
	db.Pool.Close() // the service's role must not be connected
	signer, public := testworld.Key(t)
	return &world{World: testworld.On(t, db), t: t,
		sign: seed.Signing{Origin: testworld.Origin, Keys: []proof.Key{{Signer: signer, VerifierKey: public}}}}
}

func (w *world) options() seed.Options {
	return seed.Options{Transactions: 2000, Accounts: 100, Days: 90, Seed: 7, Chunk: 400, Sign: &w.sign}
}

func (w *world) seed(o seed.Options) seed.Result {
	w.t.Helper()
	r, err := seed.Run(w.Ctx, w.DB.OwnerURL, o)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// reader is a pool of the owner: unlike the service's it may stay open while a ledger is seeded.
func (w *world) reader() *pgxpool.Pool {
	w.t.Helper()
	pool, err := pg.Open(w.Ctx, w.DB.OwnerURL, pg.Options{MaxConns: 4})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(pool.Close)
	return pool
}

// sound proves the ledger by its rules and by a replay of every leaf.
func (w *world) sound(transactions int64) check.Report {
	w.t.Helper()
	pool := w.reader()
	violations, err := check.Check(w.Ctx, pool)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, v := range violations {
		w.t.Errorf("broken invariant: %s", v)
	}
	report, err := check.Replay(w.Ctx, pool, check.Options{Workers: 2, Keys: []string{w.sign.Keys[0].VerifierKey}})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range report.Violations {
		w.t.Errorf("replay: %s", f)
	}
	if report.Transactions != transactions || report.Sealed != transactions {
		w.t.Errorf("%d transactions, %d sealed, want %d", report.Transactions, report.Sealed, transactions)
	}
	return report
}

func (w *world) number(pool *pgxpool.Pool, query string, args ...any) (n int64) {
	w.t.Helper()
	if err := pool.QueryRow(w.Ctx, query, args...).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// TestSeed seeds twice: what comes of it is a sound ledger with everything in it that a ledger has.
func TestSeed(t *testing.T) {
	t.Parallel()
	w := setup(t)
	pool := w.reader()
	first := w.seed(w.options())
	report := w.sound(2000)
	if report.Root != first.Root || first.Transactions != 2000 || first.Accounts != 100 || first.Postings != report.Postings ||
		first.Size != 2000 {
		t.Errorf("the result is %+v, the ledger %+v", first, report)
	}
	for what, query := range map[string]string{
		"pay-ins":         `SELECT count(*) FROM transactions WHERE type = 'deposit' AND action = 'post'`,
		"receipts":        `SELECT count(*) FROM transaction_metadata`,
		"three postings":  `SELECT count(*) FROM postings WHERE position = 2`,
		"captures":        `SELECT count(*) FROM transactions WHERE action = 'capture'`,
		"releases":        `SELECT count(*) FROM transactions WHERE action = 'release'`,
		"active holds":    `SELECT count(*) FROM holds WHERE status = 'active'`,
		"reversals":       `SELECT count(*) FROM transactions WHERE action = 'reverse'`,
		"refusals":        `SELECT count(*) FROM ledger_refusals`,
		"backdated":       `SELECT count(*) FROM transactions WHERE effective_at < recorded_at`,
		"capped accounts": `SELECT count(*) FROM accounts WHERE maximum_minor > 0`,
		"days":            `SELECT (count(DISTINCT recorded_at::date) >= 7)::int FROM transactions`,
		"months":          `SELECT (count(DISTINCT tableoid) >= 3)::int FROM postings`,
		"own partitions":  `SELECT (count(*) = 0)::int FROM transactions_default`,
		"opened before":   `SELECT (max(created_at) < (SELECT min(recorded_at) FROM transactions))::int FROM accounts WHERE code IS NULL`,
		"ended by now":    `SELECT (max(recorded_at) < now())::int FROM transactions`,
		"audited":         `SELECT (count(*) = 100)::int FROM audit_log WHERE action = 'ledger_account.opened'`,
		"published":       `SELECT (next_index = 2000)::int FROM publications`,
		"readable partitions": `SELECT has_table_privilege('transactions_app', 'postings_' || to_char(now() - interval '1 month', 'YYYY_MM'),
			'INSERT')::int`,
	} {
		if w.number(pool, query) == 0 {
			t.Errorf("there is nothing of: %s", what)
		}
	}
	if kept := w.number(pool, `SELECT count(*) FROM pg_trigger WHERE tgname IN ('postings_no_truncate', 'transactions_no_truncate')
		AND tgrelid IN (SELECT inhrelid FROM pg_inherits)`); kept < 14 {
		t.Errorf("%d partitions keep from being truncated", kept)
	}
	second := w.seed(w.options())
	w.sound(4000)
	if second.Accounts != 0 || second.Size != 4000 || second.Root == first.Root {
		t.Errorf("the second run: %+v", second)
	}
	if n := w.number(pool, `SELECT count(*) FROM checkpoints`); n != 2 {
		t.Errorf("%d checkpoints", n)
	}
}

// TestServed lets the service go on after a seed: receipts, statements, new transactions, seals.
func TestServed(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.seed(w.options())
	pool, err := pg.Open(w.Ctx, w.DB.AppURL, pg.Options{MaxConns: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	a := w.LedgerOver(app.Pools{Shared: pool, Committers: pool}, w.Log, app.CheckpointSigner{Origin: testworld.Origin,
		Signers: []note.Signer{w.sign.Keys[0].Signer}, VerifierKeys: []string{w.sign.Keys[0].VerifierKey}})
	known, err := proof.Verifiers(w.sign.Keys[0].VerifierKey)
	if err != nil {
		t.Fatal(err)
	}
	var busiest, transaction uuid.UUID
	if err := pool.QueryRow(w.Ctx,
		"SELECT id FROM accounts WHERE kind = 'customer_wallet' ORDER BY sequence DESC LIMIT 1").Scan(&busiest); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"deposit", "transfer", "withdrawal", "reversal"} {
		if err := pool.QueryRow(w.Ctx, "SELECT id FROM transactions WHERE type = $1 ORDER BY salt LIMIT 1", kind).Scan(&transaction); err != nil {
			t.Fatal(err)
		}
		receipt, err := a.GetLedgerReceipt(w.Ctx, transaction)
		if err != nil || receipt == nil {
			t.Fatalf("the receipt of a %s: %v, %v", kind, receipt, err)
		}
		if v, err := proof.Verify(receipt.Marshal(), known); err != nil || v.Header.ID != transaction {
			t.Errorf("the receipt of a %s: %v", kind, err)
		}
	}
	w.statement(a, busiest)
	out, err := a.PostTransactions(w.Ctx,
		[]domain.Request{{Reference: "after", Body: domain.Body{Action: domain.ActionPost, Type: "deposit", Channel: "mpesa", OverMaximum: true,
			Postings: []domain.Posting{testworld.KES(testworld.Rail, busiest, 100)}}}}, false)
	if err != nil || out[0].Status != domain.Posted {
		t.Fatalf("a transaction after the seed: %+v, %v", out, err)
	}
	if _, err := seed.Run(w.Ctx, w.DB.OwnerURL, w.options()); !errors.Is(err, seed.ErrServing) {
		t.Errorf("beside the service: %v", err)
	}
	if n, err := a.Seal(w.Ctx); err != nil || n != 1 {
		t.Errorf("sealed %d batches, %v", n, err)
	}
	pool.Close()
	if _, err := seed.Run(w.Ctx, w.DB.OwnerURL, w.options()); !errors.Is(err, seed.ErrUnpublished) {
		t.Errorf("with an event to publish: %v", err)
	}
	w.sound(2001)
}

// statement reads an account's statement page by page to its beginning.
func (w *world) statement(a *app.App, id uuid.UUID) {
	w.t.Helper()
	account, err := a.GetAccount(w.Ctx, id)
	if err != nil {
		w.t.Fatal(err)
	}
	want, q := account.Sequence, app.StatementQuery{Request: page.Request{Limit: new(int32(50))}}
	for want > 0 {
		got, err := a.ListAccountStatement(w.Ctx, id, q)
		if err != nil || len(got.Entries) == 0 {
			w.t.Fatalf("the page before %d: %d entries, %v", want, len(got.Entries), err)
		}
		if want == account.Sequence && got.Entries[0].BalanceMinor != account.Balance() {
			w.t.Errorf("the newest balance is %d, the account's %d", got.Entries[0].BalanceMinor, account.Balance())
		}
		for _, e := range got.Entries {
			if e.Sequence != want {
				w.t.Fatalf("entry %d, want %d", e.Sequence, want)
			}
			want--
		}
		q.Cursor = got.Next
	}
}

// TestReproducible gives the same ledger for the same seed, and another one for another.
func TestReproducible(t *testing.T) {
	t.Parallel()
	at := time.Now()
	root := func(number uint64) proof.Hash {
		w := setup(t)
		o := w.options()
		o.Seed, o.Now = number, func() time.Time { return at }
		return w.seed(o).Root
	}
	first := root(1)
	if root(1) != first {
		t.Error("the same seed gives another ledger")
	}
	if root(2) == first {
		t.Error("another seed gives the same ledger")
	}
}

// TestCut ends runs in the middle, by their context and by ending their connections, and goes on after each.
func TestCut(t *testing.T) {
	t.Parallel()
	w := setup(t)
	pool := w.reader()
	admin, err := pg.Open(w.Ctx, w.DB.AdminURL, pg.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(admin.Close)
	for i, cut := range []func(stop func()){
		func(stop func()) { stop() },
		func(func()) {
			const kill = `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND (query LIKE 'COPY%'
				OR query LIKE 'UPDATE accounts%')`
			if _, err := admin.Exec(w.Ctx, kill); err != nil {
				t.Error(err)
			}
		},
	} {
		ctx, stop := context.WithCancel(w.Ctx)
		o := w.options()
		o.Transactions, o.Chunk = 20_000, 200
		o.Progress = func(done, _ int) {
			if done >= 2000*(i+1) {
				cut(stop)
			}
		}
		if _, err := seed.Run(ctx, w.DB.OwnerURL, o); err == nil {
			t.Fatal("the run was not cut")
		}
		stop()
		o = w.options()
		o.Transactions, o.Chunk = 300, 0
		w.seed(o) // waits for what the cut run has under way
		size := w.number(pool, "SELECT size FROM ledger_tree")
		if size <= int64(2000*(i+1)) || size >= 20_000 {
			t.Errorf("%d transactions after cut %d", size, i)
		}
		w.sound(size)
	}
}

// TestRefused says no to options that make no sense, and to databases without a ledger.
func TestRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, change := range []func(o *seed.Options){
		func(o *seed.Options) { o.Transactions = 0 }, func(o *seed.Options) { o.Accounts = 1 }, func(o *seed.Options) { o.Days = 0 },
		func(o *seed.Options) {
			o.Days, o.Now = 1, func() time.Time { return time.Now().AddDate(100, 0, 0) }
			o.Accounts = 0
		},
	} {
		o := w.options()
		change(&o)
		if _, err := seed.Run(w.Ctx, w.DB.OwnerURL, o); err == nil {
			t.Errorf("seeded with %+v", o)
		}
	}
	if _, err := seed.Run(w.Ctx, strings.Replace(w.DB.AdminURL, "/"+w.DB.Name, "/postgres", 1), w.options()); !errors.Is(err,
		seed.ErrNoLedger) {
		t.Errorf("without a ledger: %v", err)
	}
	w.seed(w.options())
	o := w.options()
	o.Now = func() time.Time { return time.Now().AddDate(0, 0, -30) } // the ledger's last transaction is later
	if _, err := seed.Run(w.Ctx, w.DB.OwnerURL, o); !errors.Is(err, seed.ErrNoTime) {
		t.Errorf("with no time left: %v", err)
	}
}
