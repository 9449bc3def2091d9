package app_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/services/wallet/internal/app"
	"github.com/sendtip/sendtip/services/wallet/internal/domain"
	"github.com/sendtip/sendtip/services/wallet/internal/testworld"
)

// breakCommits makes every transaction that changes a row of the table fail at its commit, as a crash in that moment would.
func breakCommits(t *testing.T, w *testworld.World, table string) (mend func()) {
	t.Helper()
	conn := w.Connect(w.DB.OwnerURL)
	do := func(sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	do(`CREATE OR REPLACE FUNCTION crash() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'crash'; END $$`)
	do(`CREATE CONSTRAINT TRIGGER crash AFTER UPDATE ON ` + table + ` DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION crash()`)
	return func() {
		t.Helper()
		do(`DROP TRIGGER crash ON ` + table)
	}
}

// TestEventsComeWithTheirRows: when the transaction of a change fails at its last moment, no event tells of it; when it succeeds, one does.
func TestEventsComeWithTheirRows(t *testing.T) {
	t.Parallel()
	for event, c := range map[string]struct {
		table string
		start func(t *testing.T, w *testworld.World, p testworld.Person) (change func() error)
	}{
		"wallet.topup_failed": {"topups", func(t *testing.T, w *testworld.World, p testworld.Person) func() error {
			made := topup(t, w, p, 100)
			body := testworld.StkFailure(made.CheckoutRequestID, "1032")
			if err := w.App.ReceiveStkCallback(testworld.Known(t.Context()), token(t, w, "stk", made.ID.String()), made.ID, body); err != nil {
				t.Fatal(err)
			}
			id := uuid.MustParse(w.Text("SELECT id::text FROM callbacks"))
			return func() error { _, err := w.App.JudgeCallback(t.Context(), id); return err }
		}},
		"wallet.topup_succeeded": {"topups", func(t *testing.T, w *testworld.World, p testworld.Person) func() error {
			made := topup(t, w, p, 100)
			callback(t, w, made.ID, testworld.StkSuccess(made.CheckoutRequestID, "R1", 100))
			return func() error { _, err := w.App.CreditTopup(t.Context(), made.ID); return err }
		}},
		"wallet.deposit_received": {"deposits", func(t *testing.T, w *testworld.World, p testworld.Person) func() error {
			c2b(t, w, testworld.C2b("R1", depositAccount(w, p), 100))
			id := uuid.MustParse(w.Text("SELECT id::text FROM deposits"))
			return func() error { _, err := w.App.CreditDeposit(t.Context(), id); return err }
		}},
		"wallet.opened": {"wallets", func(t *testing.T, w *testworld.World, p testworld.Person) func() error {
			opened, _, err := w.App.OpenWallet(testworld.As(t.Context(), p), key(), "USD")
			if err != nil {
				t.Fatal(err)
			}
			return func() error { return w.App.OpenAccount(t.Context(), opened.ID) }
		}},
	} {
		t.Run(event, func(t *testing.T) {
			t.Parallel()
			w := testworld.New(t)
			p := w.Person(1, 0)
			change := c.start(t, w, p)
			before := len(w.PublishedOf(event))
			mend := breakCommits(t, w, c.table)
			if err := change(); err == nil || !strings.Contains(err.Error(), "crash") {
				t.Fatalf("the transaction did not fail: %v", err)
			}
			if n := len(w.PublishedOf(event)) - before; n != 0 {
				t.Errorf("%d events tell of what did not happen", n)
			}
			mend()
			for range 2 { // the repeat and one more
				if err := change(); err != nil {
					t.Fatal(err)
				}
			}
			if n := len(w.PublishedOf(event)) - before; n != 1 {
				t.Errorf("%d events", n)
			}
		})
	}
}

// TestLimitsEndAtMidnightInNairobi: 21:00 UTC begins the next day there, and the limit of a day with it.
func TestLimitsEndAtMidnightInNairobi(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	from, to := w.Person(1, 9000000), w.Person(2, 0)
	pay := func(shillings int64) error {
		q := w.Quote(from, to, shillings)
		_, err := w.App.CreateTransfer(w.Approve(testworld.As(t.Context(), from), q.ID), app.TransferInput{Key: key(), QuoteID: q.ID})
		return err
	}
	now := w.Now()
	evening := time.Date(now.Year(), now.Month(), now.Day()+1, 20, 30, 0, 0, time.UTC) // 23:30 in Nairobi
	w.Advance(evening.Sub(now))
	for _, c := range []struct {
		after     time.Duration
		shillings int64
		want      error
	}{
		{0, 70000, nil}, {0, 70000, nil}, {0, 1, domain.ErrLimitDay},
		{time.Hour, 70000, nil},                 // 21:30 UTC, 00:30 in Nairobi
		{3 * time.Hour, 70000, nil},             // 00:30 UTC: still the same day there
		{0, 1, domain.ErrLimitDay},              //
		{20 * time.Hour, 1, domain.ErrLimitDay}, // 20:30 UTC
		{time.Hour, 1, nil},
	} {
		w.Advance(c.after)
		if err := pay(c.shillings); !errors.Is(err, c.want) {
			t.Errorf("%s, %d shillings: %v, want %v", w.Now().Format(time.RFC3339), c.shillings, err, c.want)
		}
	}
}

// TestReleaseFreesItsOwnDay: a top-up that fails gives back what it took of its day and month, and nothing of another day.
func TestReleaseFreesItsOwnDay(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	used := func(span string) string {
		return w.Text(`SELECT coalesce(string_agg(amount_minor::text, ' ' ORDER BY starts_on), '') FROM limit_usage WHERE user_id = $1 AND kind =
			'topup' AND span = $2`, p.UserID, span)
	}
	now := w.Now()
	w.Advance(time.Date(now.Year(), now.Month()+1, 10, 9, 0, 0, 0, time.UTC).Sub(now)) // two days of one month
	first := topup(t, w, p, 100)
	w.Advance(24 * time.Hour)
	second := topup(t, w, p, 200)
	if d, m := used("day"), used("month"); d != "10000 20000" || m != "30000" {
		t.Fatalf("days %s, month %s", d, m)
	}
	for range 2 {
		callback(t, w, first.ID, testworld.StkFailure(first.CheckoutRequestID, "1032"))
		if d, m := used("day"), used("month"); d != "0 20000" || m != "20000" {
			t.Errorf("after the first failed: days %s, month %s", d, m)
		}
	}
	// Paid all the same: it counts again, on the day of its reservation.
	callback(t, w, first.ID, testworld.StkSuccess(first.CheckoutRequestID, "R1", 100))
	callback(t, w, second.ID, testworld.StkFailure(second.CheckoutRequestID, "1032"))
	if d, m := used("day"), used("month"); d != "10000 0" || m != "10000" {
		t.Errorf("in the end: days %s, month %s", d, m)
	}
}

// TestCustomersActsAreAudited: who asked for what is written with it, once.
func TestCustomersActsAreAudited(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	from, to := w.Person(1, 1000), w.Person(1, 0)
	q := w.Quote(from, to, 10)
	in := app.TopupInput{Key: key(), WalletID: from.WalletID, Amount: testworld.KES(100)}
	made, err := w.App.CreateTopup(testworld.As(t.Context(), from), in)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.App.CreateTopup(testworld.As(t.Context(), from), in); err != nil { // the phone's repeat
		t.Fatal(err)
	}
	for action, id := range map[string]uuid.UUID{"topup.created": made.ID, "transfer.quoted": q.ID} {
		got := w.Text(`SELECT coalesce(string_agg(actor || ' ' || object_id, ','), '') FROM audit_log WHERE action = $1`, action)
		if want := "user:" + from.UserID.String() + " " + id.String(); got != want {
			t.Errorf("%s: %q, want %q", action, got, want)
		}
	}
}
