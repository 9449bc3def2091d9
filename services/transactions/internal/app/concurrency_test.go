package app_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/services/transactions/internal/app"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
	"github.com/sendtip/sendtip/services/transactions/internal/testworld"
)

func TestOverdraftRace(t *testing.T) {
	t.Parallel()
	w := setup(t)
	alice, bob := w.customer(t, "KES", 0), w.customer(t, "KES", 0)
	w.fund(t, alice.ID, 1_000)
	ledgers := []*app.App{w.App, w.replica(t)}
	var posted atomic.Int64
	var wg sync.WaitGroup
	for i := range 100 {
		r := w.request(domain.ActionPost, kes(alice.ID, bob.ID, 30))
		wg.Go(func() {
			out, err := ledgers[i%2].PostTransactions(w.Ctx, []domain.Request{r}, false)
			if err != nil {
				t.Error(err)
				return
			}
			if out[0].Status == domain.Posted {
				posted.Add(1)
			}
		})
	}
	wg.Wait()
	if posted.Load() != 33 {
		t.Errorf("%d posted of 33 that the balance allows", posted.Load())
	}
	w.wantBalance(t, alice.ID, 10, 10)
}

// TestAppendOnly tries to change history as the service's role, which has no grant, and as the owner, whom the triggers stop (L4).
func TestAppendOnly(t *testing.T) {
	t.Parallel()
	w := setup(t)
	alice := w.customer(t, "KES", 0)
	w.fill(t, alice.ID)
	owner := w.Connect(w.DB.OwnerURL)
	var partition string
	if err := owner.QueryRow(context.Background(), "SELECT tableoid::regclass::text FROM postings LIMIT 1").Scan(&partition); err != nil {
		t.Fatal(err)
	}
	if partition == "postings_default" {
		t.Error("the row is in the default partition")
	}
	for _, stmt := range []string{
		"UPDATE postings SET amount_minor = 1", "DELETE FROM postings", "TRUNCATE postings", "TRUNCATE " + partition, "UPDATE " + partition +
			" SET amount_minor = 1",
		"DELETE FROM " + partition, "UPDATE transactions SET type = 'x'", "DELETE FROM transactions", "TRUNCATE transactions",
		"TRUNCATE transactions_default",
		"UPDATE ledger_references SET transaction_id = gen_random_uuid()", "DELETE FROM ledger_references", "TRUNCATE ledger_references",
		"UPDATE ledger_refusals SET code = 'x'", "DELETE FROM ledger_refusals", "TRUNCATE ledger_refusals",
		"UPDATE sealed_batches SET size = 1", "DELETE FROM sealed_batches", "TRUNCATE sealed_batches", "UPDATE tree_nodes SET hash = ''",
		"DELETE FROM tree_nodes",
		"TRUNCATE tree_nodes", "UPDATE checkpoints SET note = ''", "DELETE FROM checkpoints", "TRUNCATE checkpoints",
		"UPDATE signing_keys SET first_size = 0",
		"DELETE FROM signing_keys", "TRUNCATE signing_keys", "UPDATE transaction_metadata SET metadata = '{}'",
		"DELETE FROM transaction_metadata", "TRUNCATE transaction_metadata",
		"UPDATE accounts SET owner_id = gen_random_uuid()", "UPDATE accounts SET currency = 'USD'", "UPDATE accounts SET normal_side = 'debit'",
		"UPDATE accounts SET book = 'lending'",
		"DELETE FROM accounts", "TRUNCATE accounts CASCADE",
	} {
		_, err := w.Pool.Exec(context.Background(), stmt)
		if err == nil || !strings.Contains(err.Error(), "42501") { // insufficient privilege
			t.Errorf("as the service's role, %s: %v", stmt, err)
		}
		_, err = owner.Exec(context.Background(), stmt)
		if err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("as the owner, %s: %v", stmt, err)
		}
	}
	for _, stmt := range []string{"DROP TABLE postings", "ALTER TABLE postings DISABLE TRIGGER ALL", "CREATE TABLE x (y int)",
		"DELETE FROM holds", "UPDATE holds SET amount_minor = 1"} {
		if _, err := w.Pool.Exec(context.Background(), stmt); err == nil {
			t.Errorf("the service's role may %s", stmt)
		}
	}
}

// TestConnectionsDie ends the committers' connections in the middle of batches while callers post. Each acknowledged outcome is there once;
// a batch whose COMMIT got no answer is repeated by the committer, and each lost answer is settled by a repeat of the same request (L8).
func TestConnectionsDie(t *testing.T) {
	t.Parallel()
	w := setup(t)
	alice, bob := w.customer(t, "KES", 0), w.customer(t, "KES", 0)
	w.fund(t, alice.ID, 1_000_000)
	repeated := newRepeats()
	params := app.CommitParams()
	params["application_name"] = "committers"
	pools := app.Pools{Shared: w.Pool, Committers: testworld.Committers(t, w.DB.AppURL, params)}
	ledger := w.LedgerOver(pools, slog.New(repeated), testworld.Signer(t))
	killer := w.Connect(w.DB.AppURL)
	var kills, unknown, posted atomic.Int64
	felt := func() bool {
		return kills.Load() >= 20 && repeated.n.Load() >= 5 && repeated.n.Load()+unknown.Load() >= 15
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for deadline := time.Now().Add(time.Minute); !felt() && time.Now().Before(deadline) && !t.Failed(); <-time.After(5 * time.Millisecond) {
			tag, err := killer.Exec(context.Background(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
				WHERE datname = current_database() AND application_name = 'committers' AND state IN ('active', 'idle in transaction')`)
			if err != nil {
				t.Error(err)
				return
			}
			kills.Add(tag.RowsAffected())
		}
		if !felt() {
			t.Errorf("%d connections were ended within a batch, %d batches repeated, %d answers lost: the faults are not felt", kills.Load(),
				repeated.n.Load(), unknown.Load())
		}
	})
	for range 8 {
		wg.Go(func() {
			for n := 0; (n < 15 || !felt()) && !t.Failed(); n++ {
				r := w.request(domain.ActionPost, kes(alice.ID, bob.ID, 1))
				out, err := ledger.PostTransactions(w.Ctx, []domain.Request{r}, false)
				for ; err != nil; out, err = ledger.PostTransactions(w.Ctx, []domain.Request{r}, false) {
					if unknown.Add(1); !errors.Is(err, fault.ErrUnavailable) {
						t.Errorf("a lost connection is %v", err)
						return
					}
				}
				if out[0].Status != domain.Posted {
					t.Errorf("%+v", out[0])
				}
				posted.Add(1)
			}
		})
	}
	wg.Wait()
	w.wantBalance(t, bob.ID, posted.Load(), posted.Load())
	t.Logf("%d connections were ended within a batch, %d batches repeated, %d answers lost, %d posted", kills.Load(), repeated.n.Load(),
		unknown.Load(), posted.Load())
}
