package idem_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/idem"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/pgtest"
	"github.com/sendtip/sendtip/kit/seal"
)

type world struct {
	db    *pgtest.DB
	store *idem.Store
}

func setup(t *testing.T) world {
	t.Helper()
	sealer, err := seal.New(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	schema := fstest.MapFS{"00001_init.sql": {Data: []byte(
		"-- +goose Up\nCREATE TABLE effects (id bigint GENERATED ALWAYS AS IDENTITY, what text);\n")}}
	return world{db: pgtest.Open(t, "kit", schema), store: idem.New(sealer, time.Now)}
}

func as(t *testing.T, subject string) context.Context {
	t.Helper()
	return auth.With(t.Context(), auth.Principal{Subject: subject})
}

type result struct{ ID int64 }

// once does the work of a Once operation.
func (w world) once(ctx context.Context, key idem.Key, refuse error) (out result, replayed bool, err error) {
	err = pg.InTx(ctx, w.db.Pool, func(tx pgx.Tx) error {
		stored, err := w.store.Begin(ctx, tx, key, idem.Once)
		if err != nil {
			return err
		}
		if stored != nil {
			replayed = true
			return errors.Join(stored.Err(), stored.Decode(&out))
		}
		if err := tx.QueryRow(ctx, "INSERT INTO effects (what) VALUES ('x') RETURNING id").Scan(&out.ID); err != nil {
			return err
		}
		if refuse != nil {
			return refuse
		}
		return w.store.Finish(ctx, tx, key, http.StatusCreated, out)
	})
	return out, replayed, err
}

func (w world) effects(t *testing.T) (n int) {
	t.Helper()
	if err := w.db.Pool.QueryRow(t.Context(), "SELECT count(*) FROM effects").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestFiftyTwinsOneEffect(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx := as(t, "user:1")
	var wg sync.WaitGroup
	var fresh atomic.Int32
	for range 50 {
		wg.Go(func() {
			out, replayed, err := w.once(ctx, idem.NewKey(ctx, "createTransfer", "key-0123456789abcdef", map[string]int{"amount": 5}), nil)
			if err != nil && !errors.Is(err, idem.ErrInProgress) {
				t.Error(err)
			}
			if err == nil && !replayed {
				fresh.Add(1)
			}
			if err == nil && out.ID == 0 {
				t.Error("an answer without its result")
			}
		})
	}
	wg.Wait()
	if w.effects(t) != 1 || fresh.Load() != 1 {
		t.Fatalf("%d effects, %d fresh answers", w.effects(t), fresh.Load())
	}
}

func TestAnotherBodyIsRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx := as(t, "user:1")
	if _, _, err := w.once(ctx, idem.NewKey(ctx, "op", "key-0123456789abcdef", 1), nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.once(ctx, idem.NewKey(ctx, "op", "key-0123456789abcdef", 2), nil); !errors.Is(err, idem.ErrKeyReused) {
		t.Fatalf("want idempotency_key_reused, got %v", err)
	}
	for name, other := range map[string]idem.Key{
		"another operation": idem.NewKey(ctx, "op2", "key-0123456789abcdef", 2),
		"another principal": idem.NewKey(as(t, "user:2"), "op", "key-0123456789abcdef", 2),
	} {
		if _, replayed, err := w.once(ctx, other, nil); err != nil || replayed {
			t.Errorf("%s has keys of its own: %v", name, err)
		}
	}
}

func TestRefusalBeforeTheFirstCommitFreesTheKey(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx := as(t, "user:1")
	low := fault.New(fault.Unprocessable, "insufficient_funds", "")
	if _, _, err := w.once(ctx, idem.NewKey(ctx, "op", "key-0123456789abcdef", 1), low); !errors.Is(err, low) {
		t.Fatal(err)
	}
	if _, replayed, err := w.once(ctx, idem.NewKey(ctx, "op", "key-0123456789abcdef", 2), nil); err != nil || replayed || w.effects(t) != 1 {
		t.Fatalf("the key was not free: %v", err)
	}
}

func TestPhased(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx := as(t, "user:1")
	begin := func() (*idem.Stored, idem.Key, error) {
		key := idem.NewKey(ctx, "op", "key-0123456789abcdef", 1)
		var stored *idem.Stored
		err := pg.InTx(ctx, w.db.Pool, func(tx pgx.Tx) (err error) {
			stored, err = w.store.Begin(ctx, tx, key, idem.Phased("/v1/transfers/7"))
			return err
		})
		return stored, key, err
	}
	stored, key, err := begin()
	if err != nil || stored != nil {
		t.Fatal(err)
	}
	_, _, err = begin()
	if f, ok := fault.As(err); !ok || !errors.Is(err, idem.ErrInProgress) || f.Location != "/v1/transfers/7" || f.RetryAfter == 0 {
		t.Fatalf("want 409 with Retry-After and Location, got %+v", err)
	}
	low := fault.New(fault.Unprocessable, "insufficient_funds", "The balance is too low.")
	for range 2 { // a job that finishes twice changes nothing
		if err := pg.InTx(ctx, w.db.Pool,
			func(tx pgx.Tx) error { return w.store.FinishAll(ctx, tx, []idem.Finished{idem.Refused(key.ID(), low)}) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := pg.InTx(ctx, w.db.Pool, func(tx pgx.Tx) error { // a second finisher comes too late, alone or with others
		late := idem.Finished{ID: key.ID(), Status: http.StatusCreated, Result: result{ID: 1}}
		return errors.Join(w.store.FinishByID(ctx, tx, key.ID(), http.StatusCreated, result{ID: 1}),
			w.store.FinishAll(ctx, tx, []idem.Finished{late}))
	}); err != nil {
		t.Fatal(err)
	}
	stored, _, err = begin()
	if err != nil || stored == nil || stored.Status != 422 || !errors.Is(stored.Err(), low) {
		t.Fatalf("a committed refusal must be replayed: %+v %v", stored, err)
	}
	var sealed []byte
	if err := w.db.Pool.QueryRow(ctx, "SELECT result FROM idempotency_keys").Scan(&sealed); err != nil ||
		bytes.Contains(sealed, []byte("insufficient")) {
		t.Fatalf("the result lies open: %v", err)
	}
}

func TestKeyIsNeeded(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, key := range []idem.Key{idem.NewKey(as(t, "user:1"), "op", ""), idem.NewKey(t.Context(), "op", "key-0123456789abcdef")} {
		if _, _, err := w.once(t.Context(), key, nil); !errors.Is(err, idem.ErrMissing) {
			t.Fatalf("want idempotency_key_missing, got %v", err)
		}
	}
}

func TestSweepKeepsYoungAndRunningKeys(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx := as(t, "user:1")
	for _, k := range []string{"key-old-0123456789", "key-new-0123456789", "key-late-0123456789"} {
		if _, _, err := w.once(ctx, idem.NewKey(ctx, "op", k, 1), nil); err != nil {
			t.Fatal(err)
		}
	}
	err := pg.InTx(ctx, w.db.Pool, func(tx pgx.Tx) error {
		_, err := w.store.Begin(ctx, tx, idem.NewKey(ctx, "op", "key-running-0123456789", 1), idem.Phased("/v1/things/1"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	owner, err := pgx.Connect(ctx, w.db.OwnerURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = owner.Close(ctx) }()
	if _, err := owner.Exec(
		ctx, "UPDATE idempotency_keys SET created_at = now() - interval '8 days' WHERE key NOT LIKE 'key-new%'"); err != nil {
		t.Fatal(err)
	}
	// The late one began as long ago, and ended just now: its caller has yet to learn the result.
	if _, err := owner.Exec(ctx, "UPDATE idempotency_keys SET finished_at = created_at WHERE key LIKE 'key-old%'"); err != nil {
		t.Fatal(err)
	}
	if n, err := idem.Sweep(ctx, w.db.Pool, time.Now()); err != nil || n != 1 {
		t.Fatalf("swept %d: %v", n, err)
	}
	var left string
	if err := owner.QueryRow(ctx, "SELECT string_agg(key, ' ' ORDER BY key) FROM idempotency_keys").Scan(&left); err != nil {
		t.Fatal(err)
	}
	if left != "key-late-0123456789 key-new-0123456789 key-running-0123456789" {
		t.Errorf("left are %s", left)
	}
}

// TestKeysAreKeptSevenDays: a phone that was off for the better part of a week still gets the answer of its first try, and not a second
// payment.
func TestKeysAreKeptSevenDays(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx := as(t, "user:1")
	owner, err := pgx.Connect(ctx, w.db.OwnerURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = owner.Close(ctx) }()
	first := map[string]result{}
	for key, age := range map[string]string{
		"key-of-a-day-ago-0123456789": "1 day", "key-nearly-a-week-0123456789": "7 days -5 minutes",
		"key-over-a-week-0123456789": "7 days 5 minutes",
	} {
		if first[key], _, err = w.once(ctx, idem.NewKey(ctx, "op", key, 1), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := owner.Exec(
			ctx, "UPDATE idempotency_keys SET created_at = now() - $2::interval, finished_at = now() - $2::interval WHERE key = $1", key,
			age); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := idem.Sweep(ctx, w.db.Pool, time.Now()); err != nil || n != 1 {
		t.Errorf("swept %d: %v", n, err)
	}
	for key, was := range first {
		again, replayed, err := w.once(ctx, idem.NewKey(ctx, "op", key, 1), nil)
		if kept := key != "key-over-a-week-0123456789"; err != nil || replayed != kept || (again == was) != kept {
			t.Errorf("%s: replayed %t with %v, was %v: %v", key, replayed, again, was, err)
		}
	}
}

// TestKeyRotation repeats requests after the key-encryption key was replaced: they are replayed or refused as before.
func TestKeyRotation(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx := as(t, "user:1")
	first, _, err := w.once(ctx, idem.NewKey(ctx, "pay", "k", "body"), nil)
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := seal.New(bytes.Repeat([]byte{8}, 32), bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	w.store = idem.New(sealer, time.Now)
	again, replayed, err := w.once(ctx, idem.NewKey(ctx, "pay", "k", "body"), nil)
	if err != nil || !replayed || again != first {
		t.Errorf("got %+v, replayed %v, %v", again, replayed, err)
	}
	if _, _, err := w.once(ctx, idem.NewKey(ctx, "pay", "k", "another"), nil); !errors.Is(err, idem.ErrKeyReused) {
		t.Errorf("another body: %v", err)
	}
	if n := w.effects(t); n != 1 {
		t.Errorf("%d effects", n)
	}
}
