package app_test

import (
	"context"
	"testing"
	"time"

	"github.com/sendtip/sendtip/services/transactions/check"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

// TestSealerTakesLateBatches: a batch that took a lower number becomes visible after one with a higher number is in the tree. It is not
// lost.
func TestSealerTakesLateBatches(t *testing.T) {
	t.Parallel()
	w := setup(t)
	alice, bob := w.customer(t, "KES", 0), w.customer(t, "KES", 0)
	w.fund(t, alice.ID, 100)
	w.fund(t, bob.ID, 100)
	h := w.posted(t, w.request(domain.ActionHold, kes(alice.ID, rail, 30)))
	w.sealAll(t)

	// The release has its number, and waits for the row of its hold.
	tx, err := w.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := tx.Exec(t.Context(), "SELECT FROM holds WHERE id = $1 FOR UPDATE", h.HoldID); err != nil {
		t.Fatal(err)
	}
	late := make(chan error, 1)
	release := w.on(domain.ActionRelease, h.HoldID, 0)
	go func() {
		_, err := w.PostTransactions(w.Ctx, []domain.Request{release}, false)
		late <- err
	}()
	w.untilOneWaits(t)
	out, err := w.replica(t).PostTransactions(w.Ctx, []domain.Request{w.request(domain.ActionPost, kes(bob.ID, fees, 10))}, false)
	if err != nil || out[0].Status != domain.Posted {
		t.Fatalf("%+v %v", out, err)
	}
	w.sealAll(t)
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-late; err != nil {
		t.Fatal(err)
	}
	if n := w.count(t, "SELECT (SELECT max(batch_id) FROM sealed_batches) - (SELECT max(id) FROM seal_queue)"); n != 1 {
		t.Fatalf("the late batch is %d before the last one in the tree, want 1", n)
	}
	w.sealAll(t)
	if n := w.count(t, "SELECT (SELECT count(*) FROM transactions) - (SELECT sum(size) FROM sealed_batches)"); n != 0 {
		t.Errorf("%d transactions are not in the tree", n)
	}
	r, err := check.Replay(t.Context(), w.Pool, check.Options{Workers: 1})
	if err != nil || len(r.Violations) > 0 || r.Queued != 0 {
		t.Errorf("%+v %v", r, err)
	}
}

func (w *world) sealAll(t testing.TB) {
	t.Helper()
	if _, err := w.Seal(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := w.SignCheckpoint(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// untilOneWaits returns when a connection of this database waits for a lock.
func (w *world) untilOneWaits(t testing.TB) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(3 * time.Second); ; <-tick.C {
		if w.count(t, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") > 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody waits")
		}
	}
}

// TestTreeWithAHole: where leaves are gone, nothing is shown or proved.
func TestTreeWithAHole(t *testing.T) {
	t.Parallel()
	w := setup(t)
	alice := w.customer(t, "KES", 0)
	for range 3 {
		w.fund(t, alice.ID, 1)
		w.sealAll(t)
	}
	if tile, err := w.LogTile(w.Ctx, 0, 0, 0); err != nil || len(tile.Hashes) != 3 {
		t.Fatalf("%d hashes, %v", len(tile.Hashes), err)
	}
	if _, err := w.Connect(w.DB.AdminURL).Exec(t.Context(), "SET session_replication_role = replica; DELETE FROM sealed_batches WHERE "+
		"first_index = 1"); err != nil {
		t.Fatal(err)
	}
	if tile, err := w.LogTile(w.Ctx, 0, 0, 0); err == nil {
		t.Errorf("a tile of %d hashes", len(tile.Hashes))
	}
	if _, err := w.InclusionProof(w.Ctx, 0, nil); err == nil {
		t.Error("a proof in a tree with a hole")
	}
}
