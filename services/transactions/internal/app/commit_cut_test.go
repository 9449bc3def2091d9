package app_test

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/services/transactions/internal/app"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
	"github.com/sendtip/sendtip/services/transactions/internal/testworld"
)

// repeats counts what the committer logs when it repeats a batch.
type repeats struct {
	slog.Handler
	n *atomic.Int64
}

func newRepeats() repeats { return repeats{slog.DiscardHandler, &atomic.Int64{}} }

// Enabled implements slog.Handler.
func (r repeats) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (r repeats) Handle(_ context.Context, record slog.Record) error {
	if strings.HasPrefix(record.Message, "a batch is repeated") {
		r.n.Add(1)
	}
	return nil
}

// cutReplica is a ledger whose committers reach the database through a proxy.
func (w *world) cutReplica(t testing.TB, log slog.Handler) (*app.App, *proxy) {
	t.Helper()
	direct, err := url.Parse(w.DB.AppURL)
	if err != nil {
		t.Fatal("the application's address cannot be read")
	}
	direct.RawQuery = "" // as docs/testing.md writes the address of a server of one's own
	p, address := newProxy(t, direct.String(), w.Pool)
	pools := app.Pools{Shared: w.Pool, Committers: testworld.Committers(t, address, app.CommitParams())}
	return w.LedgerOver(pools, slog.New(log), testworld.Signer(t)), p
}

// TestCommitIsCut breaks the connection at every second COMMIT of two replicas: after the server has it, before it has it, and with its
// process ended in between. The committer repeats the batch, so each caller is told its one outcome, nearly always at the first asking (F3,
// L8).
func TestCommitIsCut(t *testing.T) {
	t.Parallel()
	w := setup(t)
	alice, bob := w.customer(t, "KES", 0), w.customer(t, "KES", 0)
	w.fund(t, alice.ID, 20_000)
	repeated := newRepeats()
	var ledgers [2]*app.App
	var proxies [2]*proxy
	for i := range ledgers {
		ledgers[i], proxies[i] = w.cutReplica(t, repeated)
	}
	done := func() (n int64) {
		for _, p := range proxies {
			for how := range p.did {
				n += p.did[how].Load()
			}
		}
		return n
	}
	told := make(map[string]domain.Outcome)
	requests := make(map[string][]domain.Request)
	var mu sync.Mutex
	var wg sync.WaitGroup
	var gaveUp atomic.Int64
	for _, p := range proxies {
		p.on.Store(true)
	}
	for i := range 12 {
		wg.Go(func() {
			for deadline := time.Now().Add(time.Minute); done() < 55 && !t.Failed(); {
				list := []domain.Request{w.request(domain.ActionPost, kes(alice.ID, bob.ID, 1)),
					w.request(domain.ActionPost, kes(bob.ID, alice.ID, 100_000))}
				out, err := ledgers[i%2].PostTransactions(w.Ctx, list, false)
				for ; errors.Is(err, fault.ErrUnavailable) &&
					time.Now().Before(deadline); out, err = ledgers[i%2].PostTransactions(w.Ctx, list, false) {
					gaveUp.Add(1) // a batch that is cut again and again for 4 s, on a machine that has other things to do
				}
				if err != nil {
					t.Errorf("a lost COMMIT is %v", err)
					return
				}
				if time.Now().After(deadline) {
					t.Error("nothing more is cut")
					return
				}
				mu.Lock()
				for j, o := range out {
					told[list[j].Reference] = o
				}
				requests[list[0].Reference] = list
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for _, p := range proxies {
		p.on.Store(false)
		for how := range p.did {
			if p.did[how].Load() == 0 {
				t.Errorf("a COMMIT was never cut in way %d", how)
			}
		}
	}
	if repeated.n.Load() < 50 || done() < 50 || gaveUp.Load() > done()/2 {
		t.Errorf("%d connections were cut, %d batches repeated, want 50; %d callers had to ask again", done(), repeated.n.Load(), gaveUp.Load())
	}
	for _, list := range requests {
		again, err := w.PostTransactions(w.Ctx, list, false)
		if err != nil {
			t.Fatal(err)
		}
		for j, o := range again {
			if !reflect.DeepEqual(o, told[list[j].Reference]) {
				t.Errorf("told %+v, later %+v", told[list[j].Reference], o)
			}
		}
	}
	w.wantTold(t, told, bob.ID)
	t.Logf("%d connections cut, %d batches repeated, %d callers asked again, %d outcomes", done(), repeated.n.Load(), gaveUp.Load(), len(told))
}

// wantTold compares the outcomes that callers were told with the rows: each posted one moved 1 to the account, once.
func (w *world) wantTold(t testing.TB, told map[string]domain.Outcome, account uuid.UUID) {
	t.Helper()
	posted := int64(0)
	for reference, o := range told {
		transactions := w.count(t, "SELECT count(*) FROM transactions WHERE reference = $1", reference)
		refusals := w.count(t, "SELECT count(*) FROM ledger_refusals WHERE reference = $1", reference)
		if o.Status == domain.Posted {
			posted++
			if transactions != 1 || refusals != 0 {
				t.Errorf("%s was posted, and is there %d times, refused %d times", reference, transactions, refusals)
			}
		} else if transactions != 0 || refusals != 1 {
			t.Errorf("%s was refused, and is there %d times, refused %d times", reference, transactions, refusals)
		}
	}
	w.wantBalance(t, account, posted, posted)
}
