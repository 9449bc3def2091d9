package seed

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/services/transactions/internal/domain"
	"github.com/sendtip/sendtip/services/transactions/proof"
)

// drawn is a ledger in memory with so many customers.
func drawn(customers int) *draw {
	accounts := []domain.Account{
		{ID: rail, Kind: domain.KindSystem, Currency: currency, NormalSide: domain.Debit, Status: domain.Active},
		{ID: fees, Kind: domain.KindSystem, Currency: currency, NormalSide: domain.Credit, Status: domain.Active},
		{ID: excise, Kind: domain.KindSystem, Currency: currency, NormalSide: domain.Credit, Status: domain.Active},
	}
	people := make([]int, customers)
	for i := range customers {
		people[i] = len(accounts)
		a := domain.Account{ID: uuid.NewSHA1(rail, []byte{byte(i), byte(i >> 8)}), OwnerID: uuid.New(), Kind: domain.KindCustomerWallet,
			Currency:   currency,
			NormalSide: domain.Credit, Status: domain.Active, Minimum: new(int64)}
		if i%2 == 0 {
			a.Maximum = &tiers[i%len(tiers)].maximum
		}
		accounts = append(accounts, a)
	}
	return newDraw(newBook(accounts, proof.NewTree()), people, 1, 0, 0)
}

// TestDraw keeps to what the ledger takes from callers, to the mix, and to the rules of accounts.
func TestDraw(t *testing.T) {
	t.Parallel()
	const batches = 300
	d, c := drawn(500), newChunk()
	c.reset()
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	references, actions, busy := map[string]bool{}, map[domain.Action]int{}, map[uuid.UUID]int{}
	posted, refused, rooms := 0, 0, 0
	for i := range batches {
		now = now.Add(time.Minute)
		requests := d.next(now, 1000)
		if len(requests) < minBatch || len(requests) > maxBatch {
			t.Fatalf("a batch of %d", len(requests))
		}
		for j := range requests {
			r := requests[j]
			if references[r.Reference] {
				t.Fatalf("the reference %s comes twice", r.Reference)
			}
			references[r.Reference] = true
			if strings.HasSuffix(r.Reference, domain.ExpirySuffix) {
				continue
			}
			if r.UpToMaximum {
				rooms++
				continue
			}
			if err := domain.Validate([]domain.Request{r}, false, now); err != nil {
				t.Fatalf("%+v: %v", r, err)
			}
		}
		decision := d.book.decide(c, int64(i+1), now, requests, d.originals)
		d.learn(&decision)
		for _, o := range decision.Outcomes {
			if o.Unstored() {
				t.Errorf("the ledger itself would not have sent what is refused with %s", o.Code)
			}
		}
		for j := range decision.Transactions {
			tx := &decision.Transactions[j]
			actions[tx.Action]++
			for _, p := range tx.Postings {
				busy[p.Destination]++
			}
			if !tx.RecordedAt.Equal(now) {
				t.Fatalf("recorded at %s, want %s", tx.RecordedAt, now)
			}
		}
		posted, refused = posted+len(decision.Transactions), refused+len(requests)-len(decision.Transactions)
	}
	if rooms == 0 {
		t.Error("no money above a maximum was freed")
	}
	if refused == 0 || refused > posted/20 {
		t.Errorf("%d posted, %d refused", posted, refused)
	}
	for action, share := range map[domain.Action]float64{domain.ActionPost: 0.6, domain.ActionHold: 0.03, domain.ActionCapture: 0.02,
		domain.ActionRelease: 0.002, domain.ActionReverse: 0.002} {
		if float64(actions[action]) < share*float64(posted) {
			t.Errorf("%d of %d are of the action %s", actions[action], posted, action)
		}
	}
	if first, last := busy[d.id(d.people[0])], busy[d.id(d.people[499])]; first < 3*max(last, 1) {
		t.Errorf("the busiest account has %d credits, the least busy %d", first, last)
	}
	for i := range d.book.accounts {
		if a := &d.book.accounts[i]; a.Minimum != nil && a.Available() < 0 || a.Maximum != nil && a.Balance()-a.OverCap > *a.Maximum {
			t.Errorf("an account has %d, of which %d are held, and may have %v", a.Balance(), a.Held(), a.Maximum)
		}
	}
}

// TestCharge rounds the duty half up, and keeps the fee within its limits.
func TestCharge(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ amount, fee, duty int64 }{
		{1_000, 500, 75}, {50_000, 500, 75}, {50_100, 501, 75}, {50_700, 507, 76}, {51_000, 510, 77}, {1_050_000, 10_500, 1575},
		{15_000_000, 10_500, 1575},
	} {
		if fee, duty := charge(x.amount); fee != x.fee || duty != x.duty {
			t.Errorf("%d: fee %d, duty %d, want %d, %d", x.amount, fee, duty, x.fee, x.duty)
		}
	}
}

// TestReceipt never repeats a receipt, whatever the day.
func TestReceipt(t *testing.T) {
	t.Parallel()
	d := drawn(2)
	d.now = time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC)
	seen := map[string]bool{}
	for range 200_000 {
		r := d.receipt()
		if len(r) != 10 || strings.ToUpper(r) != r || seen[r] {
			t.Fatalf("receipt %q", r)
		}
		seen[r] = true
	}
}
