package app_test

import (
	"reflect"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/services/transactions/internal/app"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

// race sends each request from a caller of its own, to one of two replicas, all at once.
func (w *world) race(t *testing.T, requests []domain.Request) []domain.Outcome {
	t.Helper()
	ledgers := []*app.App{w.App, w.replica(t)}
	outcomes := make([]domain.Outcome, len(requests))
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i, r := range requests {
		wg.Go(func() {
			<-start
			out, err := ledgers[i%2].PostTransactions(w.Ctx, []domain.Request{r}, false)
			if err != nil {
				t.Error(err)
				return
			}
			outcomes[i] = out[0]
		})
	}
	close(start)
	wg.Wait()
	return outcomes
}

// TestReferenceRace posts ten references fifty times at once: one with the same body each time, which has one effect and fifty equal
// outcomes, and others with 25 bodies of two twins each, of which one body wins and all others are refused (L7).
func TestReferenceRace(t *testing.T) {
	t.Parallel()
	w := setup(t)
	alice, bob := w.customer(t, "KES", 0), w.customer(t, "KES", 0)
	w.fund(t, alice.ID, 1_000_000)
	const keys, twins = 10, 50
	var requests []domain.Request
	for key := range keys {
		r := w.request(domain.ActionPost, kes(alice.ID, bob.ID, 1_000))
		for i := range twins {
			if key > 0 {
				r.Postings = []domain.Posting{kes(alice.ID, bob.ID, int64(1+i%(twins/2)))}
			}
			requests = append(requests, r)
		}
	}
	outcomes := w.race(t, requests)
	moved := int64(0)
	for key := range keys {
		byBody := map[int64][]domain.Outcome{}
		for i := key * twins; i < (key+1)*twins; i++ {
			if o := outcomes[i]; o.Status == domain.Posted {
				byBody[requests[i].Postings[0].Amount] = append(byBody[requests[i].Postings[0].Amount], o)
			} else if key == 0 || o.Code != "reference_reused" {
				t.Errorf("reference %d: %+v", key, o)
			}
		}
		if len(byBody) != 1 {
			t.Errorf("reference %d: %d bodies were posted", key, len(byBody))
		}
		for amount, posted := range byBody {
			moved += amount
			if want := map[bool]int{true: twins, false: 2}[key == 0]; len(posted) != want {
				t.Errorf("reference %d: %d callers were told that it is posted, want %d", key, len(posted), want)
			}
			for _, o := range posted {
				if !reflect.DeepEqual(o, posted[0]) {
					t.Errorf("reference %d: %+v and %+v", key, o, posted[0])
				}
			}
		}
	}
	w.wantBalance(t, bob.ID, moved, moved)
}

// TestMaximumRace credits an account fifty times at once at the edge of its maximum, without and with over_maximum: hold (W3).
func TestMaximumRace(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for name, hold := range map[string]bool{"refused": false, "held": true} {
		t.Run(name, func(t *testing.T) {
			account := w.customer(t, "KES", 1_000)
			requests := make([]domain.Request, 50)
			for i := range requests {
				requests[i] = w.request(domain.ActionPost, kes(rail, account.ID, 30))
				requests[i].OverMaximum = hold
			}
			posted, holds := 0, map[uuid.UUID]int64{}
			for _, o := range w.race(t, requests) {
				switch {
				case o.Status == domain.Posted:
					posted++
					if o.HoldID != uuid.Nil {
						holds[o.HoldID] = w.count(t, "SELECT amount_minor FROM holds WHERE id = $1 AND reason = 'over_cap'", o.HoldID)
					}
				case hold || o.Code != "over_maximum":
					t.Errorf("%+v", o)
				}
			}
			if !hold {
				if posted != 33 || len(holds) != 0 {
					t.Errorf("%d credits and %d holds of 33 that the maximum allows", posted, len(holds))
				}
				w.wantBalance(t, account.ID, 990, 990)
				return
			}
			sum := int64(0)
			for _, amount := range holds {
				sum += amount
			}
			// 33 fit, the next one by 10; it and 16 more are held.
			if posted != 50 || len(holds) != 17 || sum != 500 {
				t.Errorf("%d credits, %d holds of %d in all", posted, len(holds), sum)
			}
			w.wantBalance(t, account.ID, 1_500, 1_000)
		})
	}
}
