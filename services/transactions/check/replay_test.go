package check_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"

	"github.com/sendtip/sendtip/services/transactions/check"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
	"github.com/sendtip/sendtip/services/transactions/internal/leaves"
	"github.com/sendtip/sendtip/services/transactions/internal/testworld"
	"github.com/sendtip/sendtip/services/transactions/proof"
)

func TestReplaySound(t *testing.T) {
	t.Parallel()
	w := history(t)
	r := w.sound()
	if r.Sealed < 512 || r.Queued != 3 || r.Transactions != r.Sealed+r.Queued || r.Checkpoints != int64(r.Outside) || r.StoredKeys != 0 ||
		r.Newest == "" {
		t.Errorf("%+v", r)
	}
}

// TestReplayBesideWriters: what is written and sealed during a replay is not in its snapshot, of no worker.
func TestReplayBesideWriters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.account(nil), w.account(nil)
	w.round(a, b)
	stop := make(chan struct{})
	done := make(chan error)
	var posted atomic.Int64
	go func() {
		for i := 0; ; i++ {
			r := domain.Request{Reference: fmt.Sprint("beside:", i),
				Body: domain.Body{Action: domain.ActionPost, Type: "test", Channel: "bank", Postings: []domain.Posting{kes(a, b, 1)}}}
			_, err := w.PostTransactions(w.Ctx, []domain.Request{r}, false)
			if i%5 == 0 && err == nil {
				_, err = w.Seal(w.Ctx)
			}
			posted.Add(1)
			select {
			case <-stop:
				done <- err
				return
			default:
			}
			if err != nil {
				done <- err
				return
			}
		}
	}()
	for range 5 {
		before := posted.Load()
		r, err := check.Replay(context.Background(), w.DB.Pool, check.Options{Workers: 4, Keys: w.keys, Progress: func(done, total int64) {
			if done > total {
				t.Errorf("%d of %d", done, total)
			}
		}})
		if err != nil || len(r.Violations) > 0 || r.Transactions < before {
			t.Errorf("%+v %v", r, err)
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestErasureIsSound(t *testing.T) {
	t.Parallel()
	w := history(t)
	var id uuid.UUID
	if err := w.DB.Pool.QueryRow(w.Ctx, "SELECT transaction_id FROM transaction_metadata ORDER BY random() LIMIT 1").Scan(&id); err != nil {
		t.Fatal(err)
	}
	if _, err := w.DB.Pool.Exec(w.Ctx, "SELECT erase_transaction_metadata($1, 'user:1', 'eraseMetadata', 'req-1')", id); err != nil {
		t.Fatal(err)
	}
	if r := w.sound(); r.Erased != 1 {
		t.Errorf("%d erased", r.Erased)
	}
}

// TestTailCut removes the end of the ledger as a superuser could who leaves nothing that does not fit: only a checkpoint from outside
// tells.
func TestTailCut(t *testing.T) {
	t.Parallel()
	w := history(t)
	outside := w.outside()
	super := w.superuser()
	run := func(sql string, args ...any) {
		t.Helper()
		if _, err := super.Exec(context.Background(), sql, args...); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	var cut int64 // the second but last checkpoint: after it there were transfers only
	if err := super.QueryRow(w.Ctx, "SELECT size FROM checkpoints ORDER BY size DESC OFFSET 1 LIMIT 1").Scan(&cut); err != nil {
		t.Fatal(err)
	}
	run(`CREATE TEMP TABLE gone AS SELECT unnest(transaction_ids) AS id FROM sealed_batches WHERE first_index >= $1`, cut)
	run(`INSERT INTO gone SELECT unnest(transaction_ids) FROM seal_queue`)
	run(`UPDATE accounts a SET debits_minor = debits_minor - e.debits, credits_minor = credits_minor - e.credits, sequence = sequence -
		e.entries FROM (
		SELECT account_id, sum(debit) AS debits, sum(credit) AS credits, count(*) AS entries FROM (
			SELECT source_id AS account_id, amount_minor AS debit, 0 AS credit FROM postings WHERE transaction_id IN (SELECT id FROM gone)
			UNION ALL SELECT destination_id, 0, amount_minor FROM postings WHERE transaction_id IN (SELECT id FROM gone)) x GROUP BY account_id) e
			WHERE e.account_id = a.id`)
	run(`DELETE FROM ledger_references WHERE transaction_id IN (SELECT id FROM gone)`)
	run(`DELETE FROM transaction_metadata WHERE transaction_id IN (SELECT id FROM gone)`)
	run(`DELETE FROM transactions WHERE id IN (SELECT id FROM gone)`)
	run(`DELETE FROM postings WHERE transaction_id IN (SELECT id FROM gone)`)
	run(`DELETE FROM sealed_batches WHERE first_index >= $1`, cut)
	run(`DELETE FROM seal_queue`)
	run(`DELETE FROM checkpoints WHERE size > $1`, cut)
	run(`DELETE FROM tree_nodes WHERE (node_index + 1) * (1 << level) > $1`, cut)
	run(`UPDATE accounts a SET last_recorded_at = coalesce((SELECT max(recorded_at) FROM transactions t WHERE position(uuid_send(a.id) IN
		t.balances) > 0), 'epoch')`)
	tree := proof.NewTree()
	for _, h := range w.leafHashes() {
		tree.Append(h, nil)
	}
	root := tree.Root()
	run(`UPDATE ledger_tree SET size = $1, frontier = $2, root = $3`, tree.Size(), tree.Frontier(), root[:])

	verify := func(notes [][]byte) []check.Finding {
		r, err := check.Replay(w.Ctx, w.DB.Pool, check.Options{Keys: w.keys, Checkpoints: notes})
		if err != nil {
			t.Fatal(err)
		}
		return r.Violations
	}
	if f := verify(nil); len(f) != 0 {
		t.Fatalf("the cut is not a clean one: %v", f)
	}
	if f := verify(outside); len(f) != 1 || f[0].Kind != check.TailCut || f[0].Index != cut {
		t.Errorf("with checkpoints from outside: %v", f)
	}
	// The ledger goes on and signs: its tree becomes larger than the one that was cut.
	a, b := w.account(nil), w.account(nil)
	for range 14 {
		w.round(a, b)
	}
	if f := verify(nil); len(f) != 0 {
		t.Fatalf("grown again: %v", f)
	}
	if f := verify(outside); len(f) == 0 || f[0].Kind != check.Rewritten || f[0].Index != cut {
		t.Errorf("grown again, with checkpoints from outside: %v", f)
	}
}

// TestRewritten changes a transaction and its leaf hash alike: the tree and the checkpoints say where, though not which.
func TestRewritten(t *testing.T) {
	t.Parallel()
	w := history(t)
	super := w.superuser()
	var id uuid.UUID
	var batch, position, index int64
	if err := super.QueryRow(w.Ctx,
		`UPDATE transactions SET type = 'other' WHERE id = (SELECT id FROM transactions t JOIN sealed_batches b ON b.batch_id = t.batch_id AND
			b.first_index > 100 ORDER BY random() LIMIT 1)
		RETURNING id, batch_id, batch_position`).Scan(&id, &batch, &position); err != nil {
		t.Fatal(err)
	}
	found, err := leaves.Load(w.Ctx, w.DB.Pool, []uuid.UUID{id})
	if err != nil {
		t.Fatal(err)
	}
	hash := proof.LeafHash(found[id])
	if err := super.QueryRow(w.Ctx,
		`UPDATE sealed_batches SET leaf_hashes = overlay(leaf_hashes PLACING $3 FROM 32 * $2::int + 1) WHERE batch_id = $1 RETURNING first_index
			+ $2`, batch, position, hash[:]).Scan(&index); err != nil {
		t.Fatal(err)
	}
	r := w.replay()
	if len(r.Violations) == 0 || r.Violations[0].Kind != check.Rewritten || r.Violations[0].Index > index {
		t.Fatalf("index %d: %v", index, r.Violations)
	}
	for _, f := range r.Violations {
		var from, to int64
		if _, err := fmt.Sscanf(f.Detail, "the leaves from %d to %d are not", &from, &to); err == nil && (index < from || index > to) {
			t.Errorf("index %d: %s", index, f)
		}
	}
}

func (w *world) leafHashes() (list []proof.Hash) {
	w.t.Helper()
	rows, err := w.DB.Pool.Query(w.Ctx, "SELECT leaf_hashes FROM sealed_batches ORDER BY first_index")
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var b []byte
		if err := rows.Scan(&b); err != nil {
			w.t.Fatal(err)
		}
		for ; len(b) > 0; b = b[proof.HashSize:] {
			list = append(list, proof.Hash(b[:proof.HashSize]))
		}
	}
	return list
}

// tiles are those of a tree of fewer than 257 leaves.
type tiles []proof.Hash

func (s tiles) Tile(_ context.Context, level int, index int64, width int) ([]proof.Hash, error) {
	if level != 0 || index != 0 {
		return nil, errors.New("the tree is too large")
	}
	return s[:width], nil
}

// TestKeyRotation: checkpoints of the old key, of both, and of the new one, and a receipt from before.
func TestKeyRotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	oldSigner, oldKey := testworld.Key(t)
	newSigner, newKey := testworld.Key(t)
	_, strange := testworld.Key(t)
	a, b := w.account(nil), w.account(nil)
	w.sign([]note.Signer{oldSigner}, oldKey)
	w.round(a, b)
	receipt := w.receipt()
	w.sign([]note.Signer{newSigner, oldSigner}, newKey, oldKey)
	w.round(a, b)
	w.sign([]note.Signer{newSigner}, newKey)
	verify := func(keys ...string) check.Report {
		t.Helper()
		r, err := check.Replay(w.Ctx, w.DB.Pool, check.Options{Keys: keys, Checkpoints: w.outside()})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, keys := range [][]string{{oldKey}, {newKey}, {oldKey, newKey, newKey}} {
		if r := verify(keys...); len(r.Violations) > 0 {
			t.Errorf("while both sign: %v", r.Violations)
		}
	}
	w.round(a, b)
	for _, c := range []struct {
		keys   []string
		sound  bool
		stored int64
	}{{[]string{newKey}, true, 1}, {[]string{oldKey, newKey}, true, 0}, {nil, true, 3}, {[]string{oldKey}, false, 1},
		{[]string{strange}, false, 3}} {
		r := verify(c.keys...)
		if sound := len(r.Violations) == 0; sound != c.sound || r.StoredKeys != c.stored {
			t.Errorf("%d keys: %d only by stored ones, %v", len(c.keys), r.StoredKeys, r.Violations)
		}
		if !c.sound && r.Violations[0].Kind != check.Signature {
			t.Errorf("%v", r.Violations)
		}
	}
	for _, c := range []struct {
		key string
		err error
	}{{oldKey, nil}, {newKey, proof.ErrSignature}} {
		known, err := proof.Verifiers(c.key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := proof.Verify(receipt, known); !errors.Is(err, c.err) {
			t.Errorf("the receipt from before: %v", err)
		}
	}
}

// receipt is one of a random transaction, in a tree of fewer than 257 leaves.
func (w *world) receipt() []byte {
	w.t.Helper()
	var id uuid.UUID
	var index uint64
	var checkpoint string
	err := w.DB.Pool.QueryRow(w.Ctx, `SELECT t.id, b.first_index + t.batch_position, (SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1)
		FROM transactions t JOIN sealed_batches b ON b.batch_id = t.batch_id ORDER BY random() LIMIT 1`).Scan(&id, &index, &checkpoint)
	if err != nil {
		w.t.Fatal(err)
	}
	found, err := leaves.Load(w.Ctx, w.DB.Pool, []uuid.UUID{id})
	if err != nil {
		w.t.Fatal(err)
	}
	hashes := w.leafHashes()
	path, err := proof.Inclusion(w.Ctx, tiles(hashes), index, uint64(len(hashes)))
	if err != nil {
		w.t.Fatal(err)
	}
	return proof.FullReceipt(found[id], index, path, checkpoint).Marshal()
}

func TestNotes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.account(nil), w.account(nil)
	w.round(a, b)
	w.round(a, b)
	notes := w.outside()
	if len(notes) != 2 {
		t.Fatalf("%d notes", len(notes))
	}
	known, err := proof.Verifiers(w.keys...)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range notes {
		if _, _, err := proof.OpenCheckpoint(n, known); err != nil {
			t.Error(err)
		}
	}
	all := bytes.Join(notes, []byte("\n"))
	for _, c := range []struct {
		name string
		data []byte
		want int // -1: refused
	}{
		{"no empty line at the end", all, 2}, {"windows", bytes.ReplaceAll(all, []byte("\n"), []byte("\r\n")), 2}, {"one note", notes[0], 1},
		{"empty", nil, -1}, {"white", []byte("\n \n"), -1}, {"text", []byte("hello"), -1},
		{"cut", all[:bytes.LastIndex(all, []byte("\n\n"))], -1},
	} {
		got, err := check.Notes(c.data)
		if (err != nil) != (c.want < 0) || err == nil && len(got) != c.want || err == nil && !slices.EqualFunc(got, notes[:c.want], bytes.Equal) {
			t.Errorf("%s: %d notes, %v", c.name, len(got), err)
		}
	}
}
