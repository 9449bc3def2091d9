package idem_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sendtip/sendtip/kit/idem"
	"github.com/sendtip/sendtip/kit/pg"
)

func (w world) begin(ctx context.Context, key idem.Key) (stored *idem.Stored, err error) {
	err = pg.InTx(ctx, w.db.Pool, func(tx pgx.Tx) (err error) {
		stored, err = w.store.Begin(ctx, tx, key, idem.Phased("/v1/transfers/7"))
		return err
	})
	return stored, err
}

func TestFinishAll(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx := as(t, "user:1")
	name := func(i int) string { return fmt.Sprintf("key-0123456789-%d", i) }
	var all []idem.Finished
	for i := range 5 {
		key := idem.NewKey(ctx, "op", name(i), i)
		if stored, err := w.begin(ctx, key); err != nil || stored != nil {
			t.Fatal(err)
		}
		all = append(all, idem.Finished{ID: key.ID(), Status: 200 + i, Result: result{ID: int64(i)}})
	}
	finish := func(all []idem.Finished) {
		t.Helper()
		if err := pg.InTx(ctx, w.db.Pool, func(tx pgx.Tx) error { return w.store.FinishAll(ctx, tx, all) }); err != nil {
			t.Fatal(err)
		}
	}
	finish(nil)
	finish([]idem.Finished{{ID: all[0].ID, Status: 422, Result: result{ID: 99}}}) // another finisher was first
	finish(append(all[:4:4], idem.Finished{ID: uuid.New(), Status: 201, Result: result{}}))
	for i := range 5 {
		stored, err := w.begin(ctx, idem.NewKey(ctx, "op", name(i), i))
		if i == 4 {
			if !errors.Is(err, idem.ErrInProgress) {
				t.Errorf("a key that nobody finished: %v", err)
			}
			continue
		}
		if err != nil || stored == nil {
			t.Fatalf("key %d: %v", i, err)
		}
		wantStatus, wantID := 200+i, int64(i)
		if i == 0 {
			wantStatus, wantID = 422, 99
		}
		var got result
		if err := stored.Decode(&got); err != nil || stored.Status != wantStatus || got.ID != wantID {
			t.Errorf("key %d: status %d, result %d, %v", i, stored.Status, got.ID, err)
		}
	}
	var open int
	if err := w.db.Pool.QueryRow(ctx,
		`SELECT count(*) FROM idempotency_keys WHERE position('"ID"'::bytea IN result) > 0`).Scan(&open); err != nil || open != 0 {
		t.Errorf("%d results lie open, %v", open, err)
	}
}

func TestFinishAllRollsBack(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx := as(t, "user:1")
	key := idem.NewKey(ctx, "op", "key-0123456789abcdef", 1)
	if _, err := w.begin(ctx, key); err != nil {
		t.Fatal(err)
	}
	err := pg.InTx(ctx, w.db.Pool, func(tx pgx.Tx) error {
		return w.store.FinishAll(ctx, tx, []idem.Finished{{ID: key.ID(), Status: 201, Result: func() {}}})
	})
	if err == nil {
		t.Fatal("a result that is no JSON was stored")
	}
	if _, err := w.begin(ctx, idem.NewKey(ctx, "op", "key-0123456789abcdef", 1)); !errors.Is(err, idem.ErrInProgress) {
		t.Errorf("got %v", err)
	}
}

// queued records a statement and answers nothing, as a pipeline does.
type queued struct {
	sql  string
	args []any
}

func (q *queued) Exec(_ context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	q.sql, q.args = sql, args
	return pgconn.CommandTag{}, nil
}

// TestClaimInTwoHalves is Begin as a pipeline runs it.
func TestClaimInTwoHalves(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx := as(t, "user:1")
	claim := func(key idem.Key) (stored *idem.Stored, err error) {
		err = pg.InTx(ctx, w.db.Pool, func(tx pgx.Tx) error {
			q := &queued{}
			if _, err := w.store.Claim(ctx, q, key, idem.Phased("/v1/transfers/7")); err != nil {
				return err
			}
			tag, err := tx.Exec(ctx, q.sql, q.args...)
			stored, err = w.store.Claimed(ctx, tx, key, tag, err)
			return err
		})
		return stored, err
	}
	first := idem.NewKey(ctx, "op", "key-0123456789abcdef", 1)
	if stored, err := claim(first); err != nil || stored != nil {
		t.Fatalf("first: %v, %v", stored, err)
	}
	if _, err := claim(idem.NewKey(ctx, "op", "key-0123456789abcdef", 1)); !errors.Is(err, idem.ErrInProgress) {
		t.Errorf("twin: %v", err)
	}
	if _, err := claim(idem.NewKey(ctx, "op", "key-0123456789abcdef", 2)); !errors.Is(err, idem.ErrKeyReused) {
		t.Errorf("another body: %v", err)
	}
	if _, err := claim(idem.NewKey(ctx, "op", "", 1)); !errors.Is(err, idem.ErrMissing) {
		t.Errorf("no key: %v", err)
	}
	if err := pg.InTx(ctx, w.db.Pool, func(tx pgx.Tx) error {
		return w.store.FinishAll(ctx, tx, []idem.Finished{{ID: first.ID(), Status: 201, Result: result{ID: 7}}})
	}); err != nil {
		t.Fatal(err)
	}
	stored, err := claim(idem.NewKey(ctx, "op", "key-0123456789abcdef", 1))
	if err != nil || stored == nil || stored.Status != 201 {
		t.Errorf("replay: %+v, %v", stored, err)
	}
}
