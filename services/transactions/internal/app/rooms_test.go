package app_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/services/transactions/internal/app"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

// over pays an amount in that the account's maximum may not take, and returns the hold of what is above it.
func (w *world) over(t testing.TB, account uuid.UUID, amount int64) domain.Outcome {
	t.Helper()
	r := w.request(domain.ActionPost, kes(rail, account, amount))
	r.OverMaximum = true
	return w.posted(t, r)
}

// upTo is a release of what there is room for.
func (w *world) upTo(holdID uuid.UUID) domain.Request {
	r := w.on(domain.ActionRelease, holdID, 0)
	r.UpToMaximum = true
	return r
}

// maximum changes the limit of an account; 0 means none.
func (w *world) maximum(t testing.TB, a domain.Account, maximum int64) {
	t.Helper()
	if a.Maximum = &maximum; maximum == 0 {
		a.Maximum = nil
	}
	if _, _, err := w.PutAccount(w.Ctx, a); err != nil {
		t.Fatal(err)
	}
}

func (w *world) free(t testing.TB, want int) {
	t.Helper()
	if n, err := w.FreeRoom(w.Ctx); n != want || err != nil {
		t.Fatalf("%d releases, %v, want %d", n, err, want)
	}
}

// wantNothing looks that nothing is stored under a reference.
func (w *world) wantNothing(t testing.TB, reference string) {
	t.Helper()
	if n := w.count(t, "SELECT (SELECT count(*) FROM ledger_references WHERE reference = $1) + (SELECT count(*) FROM ledger_refusals WHERE "+
		"reference = $1)", reference); n != 0 {
		t.Errorf("%s has %d rows", reference, n)
	}
	if _, err := w.GetOutcome(w.Ctx, reference); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("its outcome: %v", err)
	}
}

func TestReleaseUpToMaximum(t *testing.T) {
	t.Parallel()
	w := setup(t)
	alice := w.customer(t, "KES", 1_000)
	o := w.over(t, alice.ID, 1_300)
	r := w.upTo(o.HoldID)
	for range 2 { // it may be repeated, as long as there is no room
		w.refused(t, r, "no_room")
		w.wantNothing(t, r.Reference)
	}
	w.posted(t, w.request(domain.ActionPost, kes(alice.ID, rail, 120)))
	got := w.posted(t, r)
	if got.Released != 120 || got.Currency != "KES" || got.HoldID != o.HoldID {
		t.Errorf("%+v", got)
	}
	w.wantBalance(t, alice.ID, 1_180, 1_000)
	// The repeat frees nothing more, whatever room there is, and is told the same.
	w.posted(t, w.request(domain.ActionPost, kes(alice.ID, rail, 50)))
	for _, again := range []func() (domain.Outcome, error){
		func() (domain.Outcome, error) { return w.posted(t, r), nil },
		func() (domain.Outcome, error) { return w.GetOutcome(w.Ctx, r.Reference) },
	} {
		if o, err := again(); err != nil || !reflect.DeepEqual(o, got) {
			t.Errorf("told %+v, later %+v, %v", got, o, err)
		}
	}
	w.wantBalance(t, alice.ID, 1_130, 950)
	other := r
	other.UpToMaximum, other.HasAmount, other.Amount, other.Currency = false, true, 10, "KES"
	w.refused(t, other, "reference_reused")
	// Without a maximum all of it is freed, of a frozen account too, which still gives nothing out.
	frozen := alice
	frozen.Maximum, frozen.Status = nil, domain.Frozen
	if _, _, err := w.PutAccount(w.Ctx, frozen); err != nil {
		t.Fatal(err)
	}
	if got := w.posted(t, w.upTo(o.HoldID)); got.Released != 180 {
		t.Errorf("%+v", got)
	}
	w.wantBalance(t, alice.ID, 1_130, 1_130)
	w.refused(t, w.request(domain.ActionPost, kes(alice.ID, rail, 1)), "account_frozen")
	w.refused(t, w.upTo(o.HoldID), "hold_not_active")
	// Only of money above a maximum.
	bob := w.customer(t, "KES", 0)
	w.fund(t, bob.ID, 100)
	w.refused(t, w.upTo(w.posted(t, w.request(domain.ActionHold, kes(bob.ID, rail, 30))).HoldID), "hold_mismatch")
	if _, err := w.PostTransactions(w.Ctx, []domain.Request{w.upTo(o.HoldID)}, true); !errors.Is(err,
		fault.New(fault.Unprocessable, "field_not_allowed", "")) {
		t.Errorf("in an atomic list: %v", err)
	}
}

// TestReleasedIsToldOfEveryRelease: whole, in part, up to the maximum and by expiry, also when the outcome is read later.
func TestReleasedIsToldOfEveryRelease(t *testing.T) {
	t.Parallel()
	w := setup(t)
	alice := w.customer(t, "KES", 0)
	w.fund(t, alice.ID, 1_000)
	h := w.posted(t, w.request(domain.ActionHold, kes(alice.ID, rail, 100)))
	for _, c := range []struct {
		r        domain.Request
		released int64
	}{{w.on(domain.ActionRelease, h.HoldID, 30), 30}, {w.on(domain.ActionCapture, h.HoldID, 20), 0},
		{w.on(domain.ActionRelease, h.HoldID, 0), 50}} {
		o := w.posted(t, c.r)
		stored, err := w.GetOutcome(w.Ctx, c.r.Reference)
		if err != nil || o.Released != c.released || !reflect.DeepEqual(o, stored) {
			t.Errorf("%s: told %+v, stored %+v, %v, want %d", c.r.Action, o, stored, err, c.released)
		}
	}
}

// TestNoRoomLeavesItsNeighboursAlone: what comes with a refusal that is not stored is decided as if it had come alone: others, repeats of
// the same, and the same reference with another body.
func TestNoRoomLeavesItsNeighboursAlone(t *testing.T) {
	t.Parallel()
	w := setup(t)
	alice, bob := w.customer(t, "KES", 100), w.customer(t, "KES", 0)
	w.fund(t, bob.ID, 50)
	o := w.over(t, alice.ID, 130)
	r := w.upTo(o.HoldID)
	taken := w.request(domain.ActionPost, kes(bob.ID, rail, 5))
	taken.Reference = r.Reference
	makes := w.request(domain.ActionPost, kes(alice.ID, rail, 10))
	later := w.upTo(o.HoldID)
	list := []domain.Request{r, w.request(domain.ActionPost, kes(bob.ID, rail, 7)), r, taken,
		w.request(domain.ActionPost, kes(bob.ID, rail, 1_000)), makes, later}
	codes := func(out []domain.Outcome, err error) (list []string) {
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range out {
			list = append(list, o.Code)
		}
		return list
	}
	want := []string{"no_room", "", "no_room", "", "insufficient_funds", "", ""}
	if got := codes(w.PreviewTransactions(w.Ctx, slices.Clone(list), false)); !slices.Equal(got, want) {
		t.Errorf("foreseen %q, want %q", got, want)
	}
	if got := codes(w.PostTransactions(w.Ctx, slices.Clone(list), false)); !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
	w.wantBalance(t, bob.ID, 38, 38)
	w.wantBalance(t, alice.ID, 120, 100)
	w.refused(t, r, "reference_reused") // the other body has it now
}

func TestFreeRoom(t *testing.T) {
	t.Parallel()
	w := setup(t)
	alice, bob := w.customer(t, "KES", 1_000), w.customer(t, "KES", 1_000)
	first, second := w.over(t, alice.ID, 1_200), w.over(t, alice.ID, 300)
	w.over(t, bob.ID, 1_500)
	w.free(t, 0)
	left := func(o domain.Outcome) int64 {
		return w.count(t, "SELECT amount_minor - captured_minor - released_minor FROM holds WHERE id = $1", o.HoldID)
	}
	// A debit makes room: the oldest hold first.
	w.posted(t, w.request(domain.ActionPost, kes(alice.ID, rail, 150)))
	w.free(t, 1)
	if left(first) != 50 || left(second) != 300 {
		t.Errorf("%d and %d are left", left(first), left(second))
	}
	// So does a capture, and both holds take part.
	h := w.posted(t, w.request(domain.ActionHold, kes(alice.ID, rail, 100)))
	w.free(t, 0)
	w.posted(t, w.on(domain.ActionCapture, h.HoldID, 0))
	w.free(t, 2)
	if left(first) != 0 || left(second) != 250 {
		t.Errorf("%d and %d are left", left(first), left(second))
	}
	w.wantBalance(t, alice.ID, 1_250, 1_000)
	// And a higher maximum.
	w.maximum(t, alice, 1_100)
	w.free(t, 1)
	w.wantBalance(t, alice.ID, 1_250, 1_100)
	w.maximum(t, alice, 0)
	w.free(t, 1)
	w.wantBalance(t, alice.ID, 1_250, 1_250)
	w.wantBalance(t, bob.ID, 1_500, 1_000)
	var references []string
	rows, err := w.Pool.Query(t.Context(), "SELECT reference FROM transactions WHERE type = 'hold_room' AND hold_id = $1 ORDER BY id",
		second.HoldID)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		references = append(references, s)
	}
	hold := second.HoldID.String()
	if want := []string{hold + ":room:1", hold + ":room:2", hold + ":room:3"}; !slices.Equal(references, want) {
		t.Errorf("%q, want %q", references, want)
	}
	// Nobody else may use such a reference.
	r := w.on(domain.ActionRelease, second.HoldID, 0)
	r.Reference = hold + ":room:4"
	if _, err := w.PostTransactions(w.Ctx, []domain.Request{r}, false); !errors.Is(err,
		fault.New(fault.Unprocessable, "reference_reserved", "")) {
		t.Errorf("the ledger's reference: %v", err)
	}
}

// TestFreeRoomAfterACrash: the answer to a release was lost, or it was answered and not counted. It is sent again under its number, and
// what there is room for now goes under the next. A number that somebody used before it was reserved is passed over.
func TestFreeRoomAfterACrash(t *testing.T) {
	t.Parallel()
	w := setup(t)
	alice := w.customer(t, "KES", 1_000)
	o := w.over(t, alice.ID, 1_500)
	w.maximum(t, alice, 1_100)
	w.free(t, 1)
	number := func(n int64) {
		t.Helper()
		if _, err := w.Pool.Exec(t.Context(), "UPDATE room_releases SET number = $2 WHERE hold_id = $1", o.HoldID, n); err != nil {
			t.Fatal(err)
		}
	}
	number(1) // as a crash between the answer and the count leaves it
	w.free(t, 0)
	w.maximum(t, alice, 1_200)
	w.free(t, 2) // the first one again, and the second
	w.wantBalance(t, alice.ID, 1_500, 1_200)
	if n := w.count(t, "SELECT count(*) FROM transactions WHERE hold_id = $1 AND action = 'release'", o.HoldID); n != 2 {
		t.Errorf("%d releases", n)
	}
	// As if an older version had let a caller use the next reference.
	if _, err := w.Pool.Exec(t.Context(),
		`WITH r AS (INSERT INTO ledger_references (reference, body_hash, transaction_id) VALUES ($1, sha256('x'), gen_random_uuid()) RETURNING
			reference)
		INSERT INTO ledger_refusals (reference, code, detail, recorded_at) SELECT reference, 'hold_not_found', 'x', now() FROM r`,
		o.HoldID.String()+":room:3"); err != nil {
		t.Fatal(err)
	}
	w.maximum(t, alice, 1_300)
	w.free(t, 0) // the number is known to be used
	w.free(t, 1)
	w.wantBalance(t, alice.ID, 1_500, 1_300)
}

// TestFreeRoomOfMany: more accounts than one pass takes, of which the first ones cannot be served.
func TestFreeRoomOfMany(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var accounts []domain.Account
	var list []domain.Request
	for range 130 {
		a := w.customer(t, "KES", 10)
		r := w.request(domain.ActionPost, kes(rail, a.ID, 15))
		r.OverMaximum = true
		accounts, list = append(accounts, a), append(list, r)
	}
	for _, part := range [][]domain.Request{list[:65], list[65:]} {
		if _, err := w.PostTransactions(w.Ctx, part, false); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range accounts {
		w.maximum(t, a, 0)
	}
	// The numbers of the first hundred are used up for this pass.
	if _, err := w.Pool.Exec(t.Context(), `WITH r AS (INSERT INTO ledger_references (reference, body_hash, transaction_id)
			SELECT id || ':room:1', sha256('x'), gen_random_uuid() FROM holds ORDER BY account_id LIMIT 100 RETURNING reference)
		INSERT INTO ledger_refusals (reference, code, detail, recorded_at) SELECT reference, 'hold_not_found', 'x', now() FROM r`); err != nil {
		t.Fatal(err)
	}
	w.free(t, 30)
	w.free(t, 100)
}

// TestFreeRoomLooksAtFewAccounts: what looks for room goes by the index of accounts that have something to free.
func TestFreeRoomLooksAtFewAccounts(t *testing.T) {
	t.Parallel()
	w := setup(t)
	if _, err := w.Pool.Exec(t.Context(), `INSERT INTO accounts (id, owner_id, kind, currency, normal_side, minimum_minor)
		SELECT gen_random_uuid(), gen_random_uuid(), 'customer_wallet', 'KES', 'credit', 0 FROM generate_series(1, 5000)`); err != nil {
		t.Fatal(err)
	}
	w.over(t, w.customer(t, "KES", 10).ID, 20)
	rows, err := w.Pool.Query(t.Context(), `EXPLAIN SELECT a.id FROM accounts a WHERE a.over_cap_minor > 0 AND a.id > $1
		AND (a.maximum_minor IS NULL OR a.credits_minor - a.debits_minor - a.over_cap_minor < a.maximum_minor) ORDER BY a.id LIMIT 100`, uuid.Nil)
	if err != nil {
		t.Fatal(err)
	}
	plan := ""
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		plan += line + "\n"
	}
	if !strings.Contains(plan, "accounts_above_maximum") {
		t.Errorf("%s", plan)
	}
}

// wealth is what came into an account less what went out of it.
func (w *world) wealth(rt *rapid.T, id uuid.UUID) (n int64) {
	if err := w.Pool.QueryRow(context.Background(),
		`SELECT coalesce(sum(amount), 0)::bigint FROM (SELECT amount_minor AS amount FROM postings WHERE destination_id = $1
		UNION ALL SELECT -amount_minor FROM postings WHERE source_id = $1) x`, id).Scan(&n); err != nil {
		rt.Fatal(err)
	}
	return n
}

// TestRoomIsUsed draws credits, debits, holds with captures, releases and higher maximums, which run at the same time as two replicas of
// the loop. What is available and what is held are what came in less what went out; in no snapshot is the maximum passed; and once all is
// quiet no room is left while something is held above the maximum.
func TestRoomIsUsed(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ledgers := []*app.App{w.App, w.replica(t)}
	rapid.Check(t, func(rt *rapid.T) {
		maximum := rapid.Int64Range(1, 300).Draw(rt, "maximum")
		a := w.customer(t, "KES", maximum)
		var callers [][]func(ledger *app.App) error
		for i := range 3 {
			var steps []func(ledger *app.App) error
			for range rapid.IntRange(1, 6).Draw(rt, "steps") {
				if i == 0 && rapid.Bool().Draw(rt, "raise") { // one caller only, so that it never falls
					maximum += rapid.Int64Range(1, 200).Draw(rt, "more")
					steps = append(steps, w.raise(a, maximum))
					continue
				}
				steps = append(steps, w.step(rt, a))
			}
			callers = append(callers, steps)
		}
		var wg, loops sync.WaitGroup
		done := make(chan struct{})
		failed := make(chan error, 100)
		while := func(do func() error) {
			loops.Go(func() {
				for {
					if err := do(); err != nil {
						failed <- err
						return
					}
					select {
					case <-done:
						return
					default:
					}
				}
			})
		}
		for _, l := range ledgers {
			while(func() error { _, err := l.FreeRoom(w.Ctx); return err })
		}
		while(func() error { return w.withinMaximum(a.ID) })
		for i, steps := range callers {
			wg.Go(func() {
				for _, do := range steps {
					if err := do(ledgers[i%2]); err != nil {
						failed <- err
						return
					}
				}
			})
		}
		wg.Wait()
		close(done)
		loops.Wait()
		close(failed)
		for err := range failed {
			rt.Fatal(err)
		}
		if _, err := w.FreeRoom(w.Ctx); err != nil {
			rt.Fatal(err)
		}
		now := w.account(t, a.ID)
		if got := w.wealth(rt, a.ID); now.Held() != now.OverCap || now.Available()+now.OverCap != got {
			rt.Fatalf("%d available, %d held, %d above the maximum; %d came in and stayed", now.Available(), now.Held(), now.OverCap, got)
		}
		if err := w.withinMaximum(a.ID); err != nil {
			rt.Fatal(err)
		}
		if now.OverCap > 0 && now.Room() > 0 {
			rt.Fatalf("%d are held above the maximum, and there is room for %d", now.OverCap, now.Room())
		}
	})
}

// withinMaximum looks at one snapshot of an account.
func (w *world) withinMaximum(id uuid.UUID) error {
	var counted, maximum int64
	err := w.Pool.QueryRow(context.Background(),
		"SELECT credits_minor - debits_minor - over_cap_minor, maximum_minor FROM accounts WHERE id = $1", id).Scan(&counted, &maximum)
	if err == nil && counted > maximum {
		return fmt.Errorf("%d count against a maximum of %d", counted, maximum)
	}
	return err
}

// raise lifts the maximum of an account.
func (w *world) raise(a domain.Account, maximum int64) func(ledger *app.App) error {
	return func(ledger *app.App) error {
		want := a
		want.Maximum = &maximum
		_, _, err := ledger.PutAccount(w.Ctx, want)
		return err
	}
}

// step draws what one caller does with an account.
func (w *world) step(rt *rapid.T, a domain.Account) func(ledger *app.App) error {
	amount := rapid.Int64Range(1, 200).Draw(rt, "amount")
	post := func(ledger *app.App, r domain.Request) (domain.Outcome, error) {
		out, err := ledger.PostTransactions(w.Ctx, []domain.Request{r}, false)
		if err != nil {
			return domain.Outcome{}, err
		}
		return out[0], nil
	}
	switch rapid.IntRange(1, 4).Draw(rt, "what") {
	case 1:
		return func(ledger *app.App) error {
			_, err := post(ledger, w.request(domain.ActionPost, kes(a.ID, rail, amount)))
			return err
		}
	case 2:
		return func(ledger *app.App) error {
			h, err := post(ledger, w.request(domain.ActionHold, kes(a.ID, rail, amount)))
			if err != nil || h.Status != domain.Posted {
				return err
			}
			_, err = post(ledger, w.on(domain.ActionCapture, h.HoldID, 0))
			return err
		}
	default:
		return func(ledger *app.App) error {
			r := w.request(domain.ActionPost, kes(rail, a.ID, amount))
			r.OverMaximum = true
			o, err := post(ledger, r)
			if err != nil || o.HoldID == uuid.Nil {
				return err
			}
			_, err = post(ledger, w.upTo(o.HoldID))
			return err
		}
	}
}
