package app_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/servicetest"

	"github.com/sendtip/sendtip/services/wallet/internal/app"
	"github.com/sendtip/sendtip/services/wallet/internal/domain"
	"github.com/sendtip/sendtip/services/wallet/internal/testworld"
)

// wave is a number of transfers of different senders that are made at the same time. Every fourth lacks the money.
type wave struct {
	w      *testworld.World
	to     testworld.Person
	orders []order
}

type order struct {
	ctx    context.Context
	in     app.TransferInput
	from   testworld.Person
	funded bool
	got    domain.Transfer
	err    error
}

func newWave(t *testing.T, size int) *wave {
	t.Helper()
	v := &wave{w: testworld.New(t)}
	v.to = v.w.Person(2, 0)
	for i := range size {
		o := order{funded: i%4 != 3}
		shillings := int64(0)
		if o.funded {
			shillings = 5000
		}
		o.from = v.w.Person(1, shillings)
		q := v.w.Quote(o.from, v.to, 1000)
		o.ctx, o.in = v.w.Approve(testworld.As(t.Context(), o.from), q.ID), app.TransferInput{Key: key(), QuoteID: q.ID}
		v.orders = append(v.orders, o)
	}
	return v
}

func (v *wave) run() {
	together(len(v.orders), func(i int) {
		v.orders[i].got, v.orders[i].err = v.w.App.CreateTransfer(v.orders[i].ctx, v.orders[i].in)
	})
}

// check proves that each transfer ended once, with everything that belongs to its end. Those that were answered pending are settled first.
func (v *wave) check(t *testing.T, pendingAllowed bool) {
	t.Helper()
	funded := 0
	for i, o := range v.orders {
		if o.err == nil && o.got.Status == domain.TransferCreated {
			if !pendingAllowed {
				t.Errorf("transfer %d is pending", i)
			}
			if err := v.w.App.SettleTransfer(t.Context(), o.got.ID); err != nil {
				t.Fatalf("settle: %v", err)
			}
		}
		if o.funded {
			funded++
		}
		v.checkOne(t, i, o)
	}
	refused := len(v.orders) - funded
	for query, want := range map[string]int{
		"SELECT count(*) FROM transfers WHERE status = 'completed'":                                   funded,
		"SELECT count(*) FROM transfers WHERE status = 'failed'":                                      refused,
		"SELECT count(*) FROM limit_reservations WHERE status = 'committed'":                          funded,
		"SELECT count(*) FROM limit_reservations WHERE status = 'released'":                           refused,
		"SELECT sum(amount_minor)::bigint FROM limit_usage WHERE span = 'day'":                        funded * 100000,
		"SELECT count(*) FROM river_job WHERE kind = 'wallet.post_transfer'":                          0,
		"SELECT count(*) FROM idempotency_keys WHERE operation = 'createTransfer' AND status IS NULL": 0,
	} {
		if got := v.w.Count(query); got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
	}
	told := map[any]int{}
	for _, eventType := range []string{"wallet.transfer_completed", "wallet.transfer_failed"} {
		for _, data := range v.w.PublishedOf(eventType) {
			told[data["transfer_id"]]++
		}
	}
	for id, n := range told {
		if n != 1 {
			t.Errorf("transfer %v was told %d times", id, n)
		}
	}
	if len(told) != len(v.orders) || v.w.Ledger.Balance(v.to.WalletID.String()) != int64(funded)*100000 {
		t.Errorf("%d of %d were told, the recipient has %d", len(told), len(v.orders), v.w.Ledger.Balance(v.to.WalletID.String()))
	}
}

func (v *wave) checkOne(t *testing.T, i int, o order) {
	t.Helper()
	replay, err := v.w.App.CreateTransfer(o.ctx, o.in)
	if !o.funded {
		if !errors.Is(err, domain.ErrInsufficientFunds) || o.err != nil && !errors.Is(o.err, domain.ErrInsufficientFunds) {
			t.Errorf("unfunded transfer %d: %v, replay %v", i, o.err, err)
		}
		return
	}
	if o.err != nil || err != nil || replay.Status != domain.TransferCompleted || replay.ID != o.got.ID || replay.LedgerTransactionID == nil {
		t.Errorf("transfer %d: %v, replay %+v, %v", i, o.err, replay, err)
		return
	}
	row, err := v.w.App.GetTransfer(testworld.As(t.Context(), o.from), o.got.ID)
	if err != nil || row.Status != domain.TransferCompleted || *row.LedgerTransactionID != *replay.LedgerTransactionID {
		t.Errorf("transfer %d is stored as %+v, %v", i, row, err)
	}
}

func TestTransfersEndTogether(t *testing.T) {
	t.Parallel()
	v := newWave(t, 64)
	var largest atomic.Int64
	v.w.App.WrapClosings(func(size int, commit func() error) error {
		largest.Store(max(largest.Load(), int64(size)))
		return commit()
	})
	v.run()
	v.check(t, false)
	if largest.Load() < 2 {
		t.Error("no two transfers ended together")
	}
}

// TestTransfersEndTogetherWithTheirJobs lets the job of every third transfer end it between the posting and the group's transaction.
func TestTransfersEndTogetherWithTheirJobs(t *testing.T) {
	t.Parallel()
	v := newWave(t, 64)
	var mu sync.Mutex
	byJob := 0
	v.w.App.WrapClosings(func(_ int, commit func() error) error {
		for i, id := range v.created(t) {
			if i%3 != 0 {
				continue
			}
			if err := v.w.App.SettleTransfer(t.Context(), id); err != nil {
				t.Errorf("the job: %v", err)
			}
			mu.Lock()
			byJob++
			mu.Unlock()
		}
		return commit()
	})
	v.run()
	v.check(t, false)
	if byJob == 0 {
		t.Error("no job was faster")
	}
}

// created are the transfers that have not ended.
func (v *wave) created(t *testing.T) []uuid.UUID {
	rows, err := v.w.DB.Pool.Query(t.Context(), "SELECT id FROM transfers WHERE status = 'created' ORDER BY id")
	if err != nil {
		t.Errorf("list: %v", err)
		return nil
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		t.Errorf("list: %v", err)
	}
	return ids
}

// TestTransfersEndAloneWhenTheGroupFails covers a group whose transaction is refused, one that panics, and one whose commit is not answered
// although it took effect: each transfer is closed alone then, and those that are closed already are answered from their rows.
func TestTransfersEndAloneWhenTheGroupFails(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(commit func() error) error{
		"refused": func(func() error) error { return errors.New("a constraint") },
		"panic":   func(func() error) error { panic("a broken program") },
		"committed_without_answer": func(commit func() error) error {
			return errors.Join(commit(), fault.ErrUnavailable)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newWave(t, 24)
			v.w.App.WrapClosings(func(_ int, commit func() error) error { return fail(commit) })
			v.run()
			v.check(t, false)
		})
	}
}

// TestTransfersEndDespiteKilledConnections ends the database connection of the first commits that close transfers, whether a group's or a
// single one's. Nobody is told more than pending, and the jobs end the rest.
func TestTransfersEndDespiteKilledConnections(t *testing.T) {
	t.Parallel()
	v := newWave(t, 64)
	if _, err := v.w.Connect(v.w.DB.OwnerURL).Exec(t.Context(), `
		CREATE SEQUENCE kills;
		GRANT SELECT ON SEQUENCE kills TO PUBLIC;
		CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			IF nextval('kills') IN (1, 5, 12, 20) THEN
				PERFORM pg_terminate_backend(pg_backend_pid());
			END IF;
			RETURN NULL;
		END $$;
		CREATE CONSTRAINT TRIGGER die AFTER UPDATE ON transfers DEFERRABLE INITIALLY DEFERRED
			FOR EACH ROW WHEN (NEW.status = 'completed') EXECUTE FUNCTION die();`); err != nil {
		t.Fatal(err)
	}
	v.run()
	v.check(t, true)
	if n := v.w.Count("SELECT last_value FROM kills"); n < 48 {
		t.Errorf("the trigger ran %d times", n)
	}
}

// TestHeldTransferDoesNotStopItsGroup: somebody holds one transfer's row; its neighbours end at once.
func TestHeldTransferDoesNotStopItsGroup(t *testing.T) {
	t.Parallel()
	v := newWave(t, 8)
	blocker, err := v.w.DB.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = blocker.Rollback(context.Background()) }) // before the pool closes, which waits for it
	var once sync.Once
	v.w.App.WrapClosings(func(_ int, commit func() error) error {
		once.Do(func() {
			// Not one that is being refused right now: its end would be committed before the lock is ours.
			tag, err := blocker.Exec(t.Context(), "SELECT FROM transfers WHERE status = 'created' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED")
			if err != nil || tag.RowsAffected() != 1 {
				t.Errorf("hold: %v, %v", tag, err)
			}
		})
		return commit()
	})
	ended := make(chan struct{})
	go func() { defer close(ended); v.run() }()
	servicetest.Eventually(t, "all but one end", func() bool {
		return v.w.Count("SELECT count(*) FROM transfers WHERE status = 'created'") == 1 && v.w.Count("SELECT count(*) FROM transfers") == 8
	})
	if err := blocker.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-ended
	v.check(t, true)
}
