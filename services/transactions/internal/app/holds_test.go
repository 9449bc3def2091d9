package app_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

func (w *world) on(action domain.Action, holdID uuid.UUID, amount int64, postings ...domain.Posting) domain.Request {
	r := w.request(action, postings...)
	r.HoldID = holdID
	if amount > 0 {
		r.HasAmount, r.Amount, r.Currency = true, amount, "KES"
	}
	return r
}

func TestHoldCaptureRelease(t *testing.T) {
	t.Parallel()
	w := setup(t)
	alice := w.customer(t, "KES", 0)
	w.fund(t, alice.ID, 1_000)
	held := w.posted(t, w.request(domain.ActionHold, kes(alice.ID, rail, 600), kes(alice.ID, fees, 50)))
	w.wantBalance(t, alice.ID, 1_000, 350)
	w.refused(t, w.request(domain.ActionPost, kes(alice.ID, rail, 351)), "insufficient_funds")
	w.refused(t, w.on(domain.ActionCapture, held.HoldID, 100), "hold_mismatch") // of which of its two lines?
	w.refused(t, w.on(domain.ActionCapture, held.HoldID, 0, kes(alice.ID, rail, 651)), "capture_above_hold")
	w.refused(t, w.on(domain.ActionCapture, newID(), 0), "hold_not_found")
	// A part goes to the in-doubt account instead of the rail, the rest along the lines.
	w.posted(t, w.on(domain.ActionCapture, held.HoldID, 0, kes(alice.ID, domain.SystemAccountID("rail.mpesa.in_doubt.KES"), 200)))
	w.wantBalance(t, alice.ID, 800, 350)
	w.posted(t, w.on(domain.ActionRelease, held.HoldID, 50))
	w.wantBalance(t, alice.ID, 800, 400)
	w.posted(t, w.on(domain.ActionCapture, held.HoldID, 0))
	w.wantBalance(t, alice.ID, 400, 400)
	w.refused(t, w.on(domain.ActionRelease, held.HoldID, 0), "hold_not_active")
	w.refused(t, w.on(domain.ActionCapture, held.HoldID, 0), "hold_not_active")
}

func TestHoldExpires(t *testing.T) {
	t.Parallel()
	w := setup(t)
	alice := w.customer(t, "KES", 0)
	w.fund(t, alice.ID, 1_000)
	expiring := w.request(domain.ActionHold, kes(alice.ID, rail, 300))
	expiring.ExpiresAt = new(time.Now().Add(30 * time.Minute).UTC().Truncate(time.Microsecond))
	late := expiring
	late.Reference = w.ref()
	h, captured := w.posted(t, expiring), w.posted(t, late)
	w.posted(t, w.request(domain.ActionHold, kes(alice.ID, rail, 100))) // never expires
	if n, err := w.ExpireHolds(w.Ctx); n != 0 || err != nil {
		t.Fatalf("released %d before the time, %v", n, err)
	}
	w.Advance(31 * time.Minute)
	// State decides, not the clock: until the expiry is committed the hold can be captured.
	w.posted(t, w.on(domain.ActionCapture, captured.HoldID, 0))
	var released atomic.Int64
	var wg sync.WaitGroup
	for range 4 { // replicas
		wg.Go(func() {
			n, err := w.ExpireHolds(w.Ctx)
			if err != nil {
				t.Error(err)
			}
			released.Add(int64(n))
		})
	}
	wg.Wait()
	if released.Load() < 1 {
		t.Error("nothing was released")
	}
	w.wantBalance(t, alice.ID, 700, 600)
	if n := w.count(t, "SELECT count(*) FROM holds WHERE id = $1 AND status = 'expired'", h.HoldID); n != 1 {
		t.Error("the hold has not expired")
	}
	w.refused(t, w.on(domain.ActionCapture, h.HoldID, 0), "hold_not_active")
	if n := w.count(t, "SELECT count(*) FROM transactions WHERE reference = $1", h.HoldID.String()+":expire"); n != 1 {
		t.Errorf("%d expiries", n)
	}
}

func TestOverMaximum(t *testing.T) {
	t.Parallel()
	w := setup(t)
	alice := w.customer(t, "KES", 1_000)
	w.fund(t, alice.ID, 900)
	r := w.request(domain.ActionPost, kes(rail, alice.ID, 300))
	w.refused(t, r, "over_maximum")
	r.Reference, r.OverMaximum = w.ref(), true
	o := w.posted(t, r)
	w.wantBalance(t, alice.ID, 1_200, 1_000)
	if o.HoldID == uuid.Nil || o.Balances[1].Available != 1_000 {
		t.Fatalf("outcome %+v", o)
	}
	// Spending makes room, but what is held stays held until somebody releases it, and only as far as there is room.
	w.refused(t, w.on(domain.ActionRelease, o.HoldID, 0), "over_maximum")
	w.posted(t, w.request(domain.ActionPost, kes(alice.ID, rail, 150)))
	w.posted(t, w.on(domain.ActionRelease, o.HoldID, 150))
	w.wantBalance(t, alice.ID, 1_050, 1_000)
	w.refused(t, w.on(domain.ActionCapture, o.HoldID, 0), "hold_mismatch") // it has no destination of its own
	w.posted(t, w.on(domain.ActionCapture, o.HoldID, 0, kes(alice.ID, rail, 50)))
	w.wantBalance(t, alice.ID, 1_000, 1_000)
}

func TestReverse(t *testing.T) {
	t.Parallel()
	w := setup(t)
	alice, bob := w.customer(t, "KES", 0), w.customer(t, "KES", 0)
	w.fund(t, alice.ID, 1_000)
	reverse := func(id uuid.UUID, amount int64, postings ...domain.Posting) domain.Request {
		r := w.on(domain.ActionReverse, uuid.Nil, amount, postings...)
		r.OriginalID = id
		return r
	}
	single := w.posted(t, w.request(domain.ActionPost, kes(alice.ID, bob.ID, 100)))
	w.refused(t, reverse(single.TransactionID, 101), "reversal_above_original")
	part := w.posted(t, reverse(single.TransactionID, 30))
	w.refused(t, reverse(single.TransactionID, 71), "reversal_above_original")
	w.posted(t, reverse(single.TransactionID, 0))
	w.refused(t, reverse(single.TransactionID, 0), "reversal_above_original")
	w.refused(t, reverse(part.TransactionID, 0), "not_reversible")
	w.refused(t, reverse(newID(), 0), "transaction_not_found")
	w.wantBalance(t, alice.ID, 1_000, 1_000)

	several := w.posted(t, w.request(domain.ActionPost, kes(alice.ID, bob.ID, 100), kes(alice.ID, fees, 10)))
	w.refused(t, reverse(several.TransactionID, 10), "reversal_mismatch")
	w.refused(t, reverse(several.TransactionID, 0, kes(alice.ID, bob.ID, 10)), "reversal_mismatch")
	w.posted(t, reverse(several.TransactionID, 0, kes(fees, alice.ID, 4)))
	w.posted(t, reverse(several.TransactionID, 0))
	w.wantBalance(t, alice.ID, 1_000, 1_000)

	// What was spent cannot be taken back.
	spent := w.fund(t, bob.ID, 50)
	w.posted(t, w.request(domain.ActionPost, kes(bob.ID, alice.ID, 50)))
	w.refused(t, reverse(spent.TransactionID, 0), "insufficient_funds")
}

func TestReversalsRace(t *testing.T) {
	t.Parallel()
	w := setup(t)
	alice, bob := w.customer(t, "KES", 0), w.customer(t, "KES", 0)
	w.fund(t, alice.ID, 1_000)
	o := w.posted(t, w.request(domain.ActionPost, kes(alice.ID, bob.ID, 100)))
	h := w.posted(t, w.request(domain.ActionHold, kes(alice.ID, rail, 100)))
	replica := w.replica(t)
	var reversed, captured atomic.Int64
	var wg sync.WaitGroup
	for i := range 40 {
		r := w.on(domain.ActionReverse, uuid.Nil, 30)
		r.OriginalID = o.TransactionID
		c := w.on(domain.ActionCapture, h.HoldID, 30)
		ledger := w.App
		if i%2 == 0 {
			ledger = replica
		}
		wg.Go(func() {
			out, err := ledger.PostTransactions(w.Ctx, []domain.Request{r, c}, false)
			if err != nil {
				t.Error(err)
				return
			}
			if out[0].Status == domain.Posted {
				reversed.Add(30)
			}
			if out[1].Status == domain.Posted {
				captured.Add(30)
			}
		})
	}
	wg.Wait()
	if reversed.Load() != 90 || captured.Load() != 90 {
		t.Errorf("reversed %d and captured %d of 100, want 90 each", reversed.Load(), captured.Load())
	}
}
