package app_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/services/transactions/internal/app"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

// TestBank moves money between few accounts by two replicas while readers take the total: it is zero in every snapshot (L2).
func TestBank(t *testing.T) {
	t.Parallel()
	w := setup(t)
	accounts := make([]uuid.UUID, 6)
	for i := range accounts {
		accounts[i] = w.customer(t, "KES", 0).ID
		w.fund(t, accounts[i], 1_000)
	}
	ledgers := []*app.App{w.App, w.replica(t)}
	done, stop := context.WithCancel(context.Background())
	var readers, writers sync.WaitGroup
	var reads atomic.Int64
	for range 2 {
		readers.Go(func() {
			for done.Err() == nil {
				if err := w.readTotal(t); err != nil {
					t.Error(err)
					return
				}
				reads.Add(1)
			}
		})
	}
	for i := range 16 {
		writers.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 7))
			for range 40 {
				from, to := accounts[rng.IntN(6)], accounts[rng.IntN(6)]
				if from == to {
					continue
				}
				if _, err := ledgers[i%2].PostTransactions(w.ctx, []domain.Request{
					w.request(domain.ActionPost, kes(from, to, 1+rng.Int64N(400))), w.request(domain.ActionHold, kes(to, from, 1))}, false); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
	stop()
	readers.Wait()
	if reads.Load() == 0 {
		t.Error("no total was read")
	}
}

func (w *world) readTotal(t testing.TB) error {
	return pgx.BeginTxFunc(context.Background(), w.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		var byAccounts, customers int64
		if err := tx.QueryRow(context.Background(), `SELECT sum(debits_minor - credits_minor)::bigint,
			sum(credits_minor - debits_minor) FILTER (WHERE kind = 'customer_wallet')::bigint FROM accounts`).Scan(&byAccounts, &customers); err != nil {
			return err
		}
		if byAccounts != 0 || customers != 6_000 {
			t.Errorf("total %d, customers have %d", byAccounts, customers)
		}
		return nil
	})
}

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
			out, err := ledgers[i%2].PostTransactions(w.ctx, []domain.Request{r}, false)
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
	owner, err := pgx.Connect(context.Background(), w.db.OwnerURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = owner.Close(context.Background()) })
	var partition string
	if err := owner.QueryRow(context.Background(), "SELECT tableoid::regclass::text FROM postings LIMIT 1").Scan(&partition); err != nil {
		t.Fatal(err)
	}
	if partition == "postings_default" {
		t.Error("the row is in the default partition")
	}
	for _, stmt := range []string{
		"UPDATE postings SET amount_minor = 1", "DELETE FROM postings", "TRUNCATE postings", "TRUNCATE " + partition, "UPDATE " + partition + " SET amount_minor = 1",
		"DELETE FROM " + partition, "UPDATE transactions SET type = 'x'", "DELETE FROM transactions", "TRUNCATE transactions", "TRUNCATE transactions_default",
		"UPDATE ledger_references SET transaction_id = gen_random_uuid()", "DELETE FROM ledger_references", "TRUNCATE ledger_references",
		"UPDATE ledger_refusals SET code = 'x'", "DELETE FROM ledger_refusals", "TRUNCATE ledger_refusals",
		"UPDATE sealed_batches SET size = 1", "DELETE FROM sealed_batches", "TRUNCATE sealed_batches", "UPDATE tree_nodes SET hash = ''", "DELETE FROM tree_nodes",
		"TRUNCATE tree_nodes", "UPDATE checkpoints SET note = ''", "DELETE FROM checkpoints", "TRUNCATE checkpoints", "UPDATE signing_keys SET first_size = 0",
		"DELETE FROM signing_keys", "TRUNCATE signing_keys", "UPDATE transaction_metadata SET metadata = '{}'", "DELETE FROM transaction_metadata", "TRUNCATE transaction_metadata",
		"UPDATE accounts SET owner_id = gen_random_uuid()", "UPDATE accounts SET currency = 'USD'", "UPDATE accounts SET normal_side = 'debit'",
		"DELETE FROM accounts", "TRUNCATE accounts CASCADE",
	} {
		_, err := w.pool.Exec(context.Background(), stmt)
		if err == nil || !strings.Contains(err.Error(), "42501") { // insufficient privilege
			t.Errorf("as the service's role, %s: %v", stmt, err)
		}
		_, err = owner.Exec(context.Background(), stmt)
		if err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("as the owner, %s: %v", stmt, err)
		}
	}
	for _, stmt := range []string{"DROP TABLE postings", "ALTER TABLE postings DISABLE TRIGGER ALL", "CREATE TABLE x (y int)", "DELETE FROM holds", "UPDATE holds SET amount_minor = 1"} {
		if _, err := w.pool.Exec(context.Background(), stmt); err == nil {
			t.Errorf("the service's role may %s", stmt)
		}
	}
}

// TestConnectionsDie ends the ledger's connections again and again while callers post. Each acknowledged outcome is there once, and each
// lost answer is an unknown that a repeat of the same request settles (L8).
func TestConnectionsDie(t *testing.T) {
	t.Parallel()
	w := setup(t)
	alice, bob := w.customer(t, "KES", 0), w.customer(t, "KES", 0)
	w.fund(t, alice.ID, 1_000_000)
	killer, err := pgx.Connect(context.Background(), w.db.AppURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = killer.Close(context.Background()) })
	ctx, stop := context.WithCancel(context.Background())
	var kills, unknown atomic.Int64
	var killing, posting sync.WaitGroup
	killing.Go(func() {
		for ctx.Err() == nil {
			tag, err := killer.Exec(context.Background(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
				WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid() AND state <> 'idle'`)
			if err != nil {
				t.Error(err)
				return
			}
			kills.Add(tag.RowsAffected())
		}
	})
	for range 8 {
		posting.Go(func() {
			for range 15 {
				r := w.request(domain.ActionPost, kes(alice.ID, bob.ID, 1))
				for {
					out, err := w.PostTransactions(w.ctx, []domain.Request{r}, false)
					if err == nil {
						if out[0].Status != domain.Posted {
							t.Errorf("%+v", out[0])
						}
						break
					}
					if unknown.Add(1); !errors.Is(err, fault.ErrUnavailable) {
						t.Errorf("a lost connection is %v", err)
						return
					}
					if unknown.Load() > 100 {
						stop() // enough was broken: let the rest settle
					}
				}
			}
		})
	}
	posting.Wait()
	stop()
	killing.Wait()
	w.wantBalance(t, bob.ID, 120, 120)
	if kills.Load() == 0 || unknown.Load() == 0 {
		t.Errorf("%d connections were ended, %d answers lost: nothing was tested", kills.Load(), unknown.Load())
	}
}
