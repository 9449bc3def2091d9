package app_test

import (
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/generated/scopes"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/services/transactions/internal/app"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

func TestPost(t *testing.T) {
	t.Parallel()
	w := setup(t)
	alice, bob := w.customer(t, "KES", 0), w.customer(t, "KES", 0)
	w.fund(t, alice.ID, 10_000)
	r := w.request(domain.ActionPost, kes(alice.ID, bob.ID, 3_000), kes(alice.ID, domain.SystemAccountID("fees.revenue.KES"), 100),
		kes(alice.ID, domain.SystemAccountID("excise.payable.KES"), 15))
	r.Metadata = map[string]string{"note_id": "7"}
	o := w.posted(t, r)
	w.wantBalance(t, alice.ID, 6_885, 6_885)
	w.wantBalance(t, bob.ID, 3_000, 3_000)
	if o.Balances[0].AccountID != alice.ID || o.Balances[0].Balance != 6_885 || o.Balances[0].Sequence != 4 {
		t.Errorf("balances %+v", o.Balances)
	}
	stored, err := w.GetOutcome(w.Ctx, r.Reference)
	if err != nil || !reflect.DeepEqual(stored, o) {
		t.Errorf("stored outcome %+v (%v), want %+v", stored, err, o)
	}
	got, err := w.GetTransaction(w.Ctx, o.TransactionID)
	if err != nil || len(got.Postings) != 3 || got.Facts["note_id"] != "7" || got.Reference != r.Reference {
		t.Errorf("transaction %+v, %v", got, err)
	}
	if n := w.count(t, "SELECT count(*) FROM seal_queue WHERE transaction_ids = ARRAY[$1::uuid]", o.TransactionID); n != 1 {
		t.Errorf("%d events", n)
	}
}

func TestRefusedLeavesOnlyItsReference(t *testing.T) {
	t.Parallel()
	w := setup(t)
	alice, bob := w.customer(t, "KES", 0), w.customer(t, "KES", 0)
	w.fund(t, alice.ID, 100)
	before := w.count(t, "SELECT (SELECT count(*) FROM transactions) + (SELECT count(*) FROM postings) + (SELECT count(*) FROM seal_queue)")
	r := w.request(domain.ActionPost, kes(alice.ID, bob.ID, 101))
	first := w.refused(t, r, "insufficient_funds")
	after := w.count(t, "SELECT (SELECT count(*) FROM transactions) + (SELECT count(*) FROM postings) + (SELECT count(*) FROM seal_queue)")
	if after != before {
		t.Errorf("%d rows more", after-before)
	}
	w.wantBalance(t, alice.ID, 100, 100)
	// The refusal is for ever, even when there is money now.
	w.fund(t, alice.ID, 1_000)
	if again := w.refused(t, r, "insufficient_funds"); !reflect.DeepEqual(again, first) {
		t.Errorf("%+v, first %+v", again, first)
	}
	w.posted(t, w.request(domain.ActionPost, kes(alice.ID, bob.ID, 101)))
}

func TestRepeatedReference(t *testing.T) {
	t.Parallel()
	w := setup(t)
	alice, bob := w.customer(t, "KES", 0), w.customer(t, "KES", 0)
	w.fund(t, alice.ID, 1_000)
	r := w.request(domain.ActionPost, kes(alice.ID, bob.ID, 10))
	first := w.posted(t, r)
	w.posted(t, w.request(domain.ActionPost, kes(alice.ID, bob.ID, 1)))
	if again := w.posted(t, r); !reflect.DeepEqual(again, first) {
		t.Errorf("repeat %+v, first %+v", again, first)
	}
	other := r
	other.Postings = []domain.Posting{kes(alice.ID, bob.ID, 11)}
	w.refused(t, other, "reference_reused")
	if again := w.posted(t, r); !reflect.DeepEqual(again, first) {
		t.Error("reference_reused was stored")
	}
	w.wantBalance(t, bob.ID, 11, 11)

	// Metadata is part of what a repeat must agree with.
	told := w.request(domain.ActionPost, kes(alice.ID, bob.ID, 10))
	told.Metadata = map[string]string{"note_id": "7"}
	w.posted(t, told)
	w.posted(t, told)
	for _, metadata := range []map[string]string{nil, {"note_id": "8"}, {"note_id": "7", "more": "x"}} {
		other := told
		other.Metadata = metadata
		w.refused(t, other, "reference_reused")
	}
	w.wantBalance(t, bob.ID, 21, 21)

	// In one list: the first body wins, its repeat has the same outcome, another body is refused.
	a := w.request(domain.ActionPost, kes(alice.ID, bob.ID, 5))
	b := a
	b.Postings = []domain.Posting{kes(alice.ID, bob.ID, 6)}
	out, err := w.PostTransactions(w.Ctx, []domain.Request{a, b, a}, false)
	if err != nil || out[0].Status != domain.Posted || out[1].Code != "reference_reused" || !reflect.DeepEqual(out[2], out[0]) {
		t.Errorf("%+v, %v", out, err)
	}
	w.wantBalance(t, bob.ID, 26, 26)
}

func TestNeighboursOfARefusal(t *testing.T) {
	t.Parallel()
	w := setup(t)
	alice, bob := w.customer(t, "KES", 0), w.customer(t, "KES", 0)
	w.fund(t, alice.ID, 100)
	out, err := w.PostTransactions(w.Ctx, []domain.Request{
		w.request(domain.ActionPost, kes(alice.ID, bob.ID, 60)), w.request(domain.ActionPost, kes(alice.ID, bob.ID, 60)),
		w.request(domain.ActionPost, kes(alice.ID, newID(), 1)), w.request(domain.ActionPost, kes(alice.ID, bob.ID, 40))}, false)
	if err != nil {
		t.Fatal(err)
	}
	for i, code := range []string{"", "insufficient_funds", "account_not_found", ""} {
		if out[i].Code != code {
			t.Errorf("outcome %d: %q, want %q", i, out[i].Code, code)
		}
	}
	w.wantBalance(t, bob.ID, 100, 100)
}

func TestFiftyTwins(t *testing.T) {
	t.Parallel()
	w := setup(t)
	alice, bob := w.customer(t, "KES", 0), w.customer(t, "KES", 0)
	w.fund(t, alice.ID, 1_000_000)
	// Two replicas: the same database behind two ledgers, so that twins also meet in two transactions.
	replica := w.replica(t)
	const keys, twins = 20, 50
	requests := make([]domain.Request, keys)
	for i := range requests {
		requests[i] = w.request(domain.ActionPost, kes(alice.ID, bob.ID, int64(i)+1))
	}
	seen := make([]map[uuid.UUID]int, keys)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range keys * twins {
		wg.Go(func() {
			ledger := w.App
			if i%2 == 0 {
				ledger = replica
			}
			out, err := ledger.PostTransactions(w.Ctx, []domain.Request{requests[i%keys]}, false)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if seen[i%keys] == nil {
				seen[i%keys] = map[uuid.UUID]int{}
			}
			seen[i%keys][out[0].TransactionID]++
		})
	}
	wg.Wait()
	for i, ids := range seen {
		if len(ids) != 1 {
			t.Errorf("reference %d has %d transactions", i, len(ids))
		}
	}
	if n := w.count(t, "SELECT count(*) FROM postings WHERE destination_id = $1", bob.ID); n != keys {
		t.Errorf("%d postings, want %d", n, keys)
	}
}

func TestMalformed(t *testing.T) {
	t.Parallel()
	w := setup(t)
	alice, bob := w.customer(t, "KES", 0), w.customer(t, "KES", 0)
	w.fund(t, alice.ID, 100)
	good := w.request(domain.ActionPost, kes(alice.ID, bob.ID, 1))
	bad := w.request(domain.ActionPost, kes(alice.ID, alice.ID, 1))
	_, err := w.PostTransactions(w.Ctx, []domain.Request{good, bad}, false)
	f, ok := fault.As(err)
	if !ok || f.Kind != fault.Unprocessable || f.Code != "same_account" || f.Fields[0].Pointer != "/transactions/1/postings/0/destination" {
		t.Fatalf("%+v", err)
	}
	if n := w.count(t, "SELECT count(*) FROM ledger_references WHERE reference IN ($1, $2)", good.Reference, bad.Reference); n != 0 {
		t.Errorf("%d references stored", n)
	}
	w.posted(t, good)
}

func TestScopes(t *testing.T) {
	t.Parallel()
	w := setup(t)
	nobody := w.As("service:wallet", "other")
	for name, call := range map[string]func() error{
		"post":        func() error { _, err := w.PostTransactions(nobody, nil, false); return err },
		"outcome":     func() error { _, err := w.GetOutcome(nobody, "x"); return err },
		"transaction": func() error { _, err := w.GetTransaction(nobody, newID()); return err },
		"account":     func() error { _, err := w.GetAccount(nobody, newID()); return err },
		"system":      func() error { _, _, err := w.ListSystemAccounts(nobody); return err },
		"put":         func() error { _, _, err := w.PutAccount(nobody, domain.Account{}); return err },
		"balance":     func() error { _, err := w.GetBalance(nobody, newID()); return err },
		"statement":   func() error { _, err := w.ListStatement(nobody, newID(), app.StatementQuery{}); return err },
		"no user":     func() error { _, err := w.GetBalance(w.As("service:wallet", scopes.WalletRead), newID()); return err },
	} {
		if err := call(); !errors.Is(err, fault.ErrForbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStatement(t *testing.T) {
	t.Parallel()
	w := setup(t)
	alice, bob := w.customer(t, "KES", 0), w.customer(t, "KES", 0)
	w.fund(t, alice.ID, 1_000)
	for i := range 6 {
		w.posted(t, w.request(domain.ActionPost, kes(alice.ID, bob.ID, int64(i)+1)))
	}
	me := w.As("user:"+alice.OwnerID.String(), scopes.WalletRead)
	var sequences []int64
	pages, q := 0, app.StatementQuery{Request: rows(3)}
	for {
		page, err := w.ListStatement(me, alice.ID, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Entries {
			sequences = append(sequences, e.Sequence)
		}
		pages++
		// An entry that arrives between two pages shifts nothing.
		w.posted(t, w.request(domain.ActionPost, kes(alice.ID, bob.ID, 1)))
		if page.Next == nil {
			break
		}
		q.Cursor = page.Next
	}
	if want := []int64{7, 6, 5, 4, 3, 2, 1}; !reflect.DeepEqual(sequences, want) || pages != 3 {
		t.Errorf("sequences %v in %d pages, want %v", sequences, pages, want)
	}
	q.Limit = new(int32(100)) // the last page once more, with room for all
	last, err := w.ListStatement(me, alice.ID, q)
	if first := last.Entries; err != nil || len(first) != 1 || first[0].Direction != "credit" ||
		first[0].AmountMinor != 1_000 || first[0].BalanceMinor != 1_000 {
		t.Errorf("%+v, %v", last, err)
	}
	if _, err := w.ListStatement(me, bob.ID, app.StatementQuery{}); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("somebody else's statement: %v", err)
	}
	if _, err := w.GetBalance(me, rail); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("a system account's balance: %v", err)
	}
}

func TestTimeNeverRunsBackwards(t *testing.T) {
	t.Parallel()
	w := setup(t)
	alice, bob := w.customer(t, "KES", 0), w.customer(t, "KES", 0)
	first := w.fund(t, alice.ID, 100)
	w.Advance(-time.Hour)
	second := w.posted(t, w.request(domain.ActionPost, kes(alice.ID, bob.ID, 1)))
	if second.RecordedAt.Before(first.RecordedAt) {
		t.Errorf("%s is before %s", second.RecordedAt, first.RecordedAt)
	}
}
