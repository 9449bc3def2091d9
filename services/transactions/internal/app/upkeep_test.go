package app_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/services/transactions/internal/app"
)

// partitions returns how many partitions of the two tables there are, and the months between them that no partition covers.
func (w *world) partitions(t testing.TB) (n, gaps int64) {
	t.Helper()
	n = w.count(t, "SELECT count(*) FROM pg_inherits WHERE inhparent IN ('transactions'::regclass, 'postings'::regclass)")
	gaps = w.count(t, `WITH bounds AS (
		SELECT inhparent, (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''([^'']+)''\) TO \(''([^'']+)''\)')) AS b
		FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE pg_get_expr(c.relpartbound, c.oid) <> 'DEFAULT' AND inhparent IN
		('transactions'::regclass, 'postings'::regclass))
		SELECT count(*) FROM (SELECT b[1]::timestamptz AS start, lag(b[2]::timestamptz) OVER (PARTITION BY inhparent ORDER BY b[1]::timestamptz)
		AS before FROM bounds) x WHERE before <> start`)
	return n, gaps
}

// lastMonth is the first moment of the last month that has partitions of its own.
func (w *world) lastMonth(t testing.TB) time.Time {
	t.Helper()
	var month string
	if err := w.Pool.QueryRow(context.Background(), `SELECT max(right(inhrelid::regclass::text, 7)) FROM pg_inherits
		WHERE inhparent = 'transactions'::regclass AND inhrelid::regclass::text ~ '[0-9]{4}_[0-9]{2}$'`).Scan(&month); err != nil {
		t.Fatal(err)
	}
	at, err := time.Parse("2006_01", month)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// forgetMonth drops the partitions of the last month, as if they had not been made yet.
func (w *world) forgetMonth(t testing.TB, owner *pgx.Conn) {
	t.Helper()
	month := w.lastMonth(t).Format("2006_01")
	for _, table := range []string{"transactions_", "postings_"} {
		if _, err := owner.Exec(context.Background(), "DROP TABLE "+table+month); err != nil {
			t.Fatal(err)
		}
	}
}

// createPartitions makes partitions and returns how many, with this month. It looks that there is nothing to do afterwards, anew if the
// month changes meanwhile.
func (w *world) createPartitions(t testing.TB) (made int, month time.Time) {
	t.Helper()
	now := func() time.Time {
		return time.Unix(w.count(t, "SELECT extract(epoch FROM date_trunc('month', now() AT TIME ZONE 'UTC'))::bigint"), 0).UTC()
	}
	for {
		month = now()
		n, err := w.CreatePartitions(w.Ctx)
		if err != nil {
			t.Fatal(err)
		}
		made += n
		again, err := w.CreatePartitions(w.Ctx)
		if err != nil {
			t.Fatal(err)
		}
		if made += again; month.Equal(now()) {
			if again != 0 {
				t.Errorf("made %d again", again)
			}
			return made, month
		}
	}
}

// TestPartitionsOfTheClocksMonth: the ledger's clock says which months are next, from the last moment of a leap day on.
func TestPartitionsOfTheClocksMonth(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.Clock.Set(time.Until(time.Date(2028, time.February, 29, 23, 59, 0, 0, time.UTC)))
	if made, err := w.CreatePartitions(w.Ctx); err != nil || made != 8 {
		t.Fatalf("made %d: %v", made, err)
	}
	if last := w.lastMonth(t); !last.Equal(time.Date(2028, time.May, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("the last month is %s", last)
	}
	alice := w.customer(t, "KES", 0)
	w.fund(t, alice.ID, 1)
	if n := w.count(t, "SELECT count(*) FROM transactions_2028_02"); n != 1 {
		t.Errorf("%d transactions in the month's partition", n)
	}
}

// TestCreatePartitions begins with a ledger that was migrated this month, and with one that was migrated a month ago: other tests'
// databases may be older than a month's end.
func TestCreatePartitions(t *testing.T) {
	t.Parallel()
	for _, monthsAgo := range []int{0, 1} {
		t.Run(fmt.Sprint(monthsAgo), func(t *testing.T) {
			t.Parallel()
			testCreatePartitions(t, monthsAgo)
		})
	}
}

func testCreatePartitions(t *testing.T, monthsAgo int) {
	w := setup(t)
	owner := w.Connect(w.DB.OwnerURL)
	for range monthsAgo {
		w.forgetMonth(t, owner)
	}
	_, month := w.createPartitions(t)
	before, gaps := w.partitions(t)
	// This month and three more, and the default, of two tables; and months that are over, if the database was made in one.
	if last := w.lastMonth(t); before < 10 || gaps != 0 || !last.Equal(month.AddDate(0, 3, 0)) {
		t.Errorf("%d partitions, %d gaps, the last month is %s", before, gaps, last)
	}
	// As three months ago: the last partitions are missing, and the service, which may not create tables, has them made.
	w.forgetMonth(t, owner)
	made, later := w.createPartitions(t)
	if n, gaps := w.partitions(t); n != before-2+int64(made) || gaps != 0 || later.Equal(month) && made != 2 {
		t.Errorf("made %d: %d partitions of %d, %d gaps", made, n, before, gaps)
	}
	// A row on each side of a boundary, in a partition that the function made, is protected as any other.
	alice := w.customer(t, "KES", 0)
	boundary := w.lastMonth(t)
	for _, at := range []time.Time{boundary.Add(-time.Second), boundary.Add(time.Second)} {
		w.Clock.Set(time.Until(at))
		w.fund(t, alice.ID, 1)
	}
	if n := w.count(t, "SELECT count(DISTINCT tableoid) FROM postings"); n != 2 {
		t.Errorf("rows in %d partitions", n)
	}
	for _, table := range []string{"transactions", "postings"} {
		partition := table + "_" + boundary.Format("2006_01")
		for _, stmt := range []string{"TRUNCATE " + partition, "DELETE FROM " + partition} {
			if _, err := owner.Exec(context.Background(), stmt); err == nil {
				t.Errorf("the owner may %s", stmt)
			}
		}
	}
	if _, err := w.CreatePartitions(w.Ctx); err != nil {
		t.Errorf("the default partition is empty: %v", err)
	}
	w.Clock.Set(400 * 24 * time.Hour)
	w.fund(t, alice.ID, 1)
	if _, err := w.CreatePartitions(w.Ctx); !errors.Is(err, app.ErrDefaultPartition) {
		t.Errorf("a row in the default partition: %v", err)
	}
}
