package app_test

import (
	"context"
	"errors"
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
		FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE pg_get_expr(c.relpartbound, c.oid) <> 'DEFAULT' AND inhparent IN ('transactions'::regclass, 'postings'::regclass))
		SELECT count(*) FROM (SELECT b[1]::timestamptz AS start, lag(b[2]::timestamptz) OVER (PARTITION BY inhparent ORDER BY b[1]::timestamptz) AS before FROM bounds) x WHERE before <> start`)
	return n, gaps
}

func TestCreatePartitions(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const all = 10 // this month and three more, and the default, of two tables
	if n, gaps := w.partitions(t); n != all || gaps != 0 {
		t.Errorf("%d partitions, %d gaps", n, gaps)
	}
	if made, err := w.CreatePartitions(w.ctx); made != 0 || err != nil {
		t.Errorf("made %d again, %v", made, err)
	}
	// As three months ago: the last partitions are missing, and the service, which may not create tables, has them made.
	owner, err := pgx.Connect(context.Background(), w.db.OwnerURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = owner.Close(context.Background()) })
	if _, err := owner.Exec(context.Background(), `DO $$ DECLARE p text; BEGIN
		FOR p IN SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent IN ('transactions'::regclass, 'postings'::regclass)
			AND inhrelid::regclass::text ~ (to_char(now() AT TIME ZONE 'UTC' + interval '3 months', 'YYYY_MM') || '$') LOOP EXECUTE 'DROP TABLE ' || p; END LOOP; END $$`); err != nil {
		t.Fatal(err)
	}
	if made, err := w.CreatePartitions(w.ctx); made != 2 || err != nil {
		t.Errorf("made %d, %v", made, err)
	}
	if n, gaps := w.partitions(t); n != all || gaps != 0 {
		t.Errorf("%d partitions, %d gaps", n, gaps)
	}
	// A row on each side of a boundary, in a partition that the function made, is protected as any other.
	alice := w.customer(t, "KES", 0)
	now := time.Now().UTC()
	boundary := time.Date(now.Year(), now.Month()+3, 1, 0, 0, 0, 0, time.UTC)
	for _, at := range []time.Time{boundary.Add(-time.Second), boundary.Add(time.Second)} {
		w.skew.Store(int64(time.Until(at)))
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
	if _, err := w.CreatePartitions(w.ctx); err != nil {
		t.Errorf("the default partition is empty: %v", err)
	}
	w.skew.Store(int64(400 * 24 * time.Hour))
	w.fund(t, alice.ID, 1)
	if _, err := w.CreatePartitions(w.ctx); !errors.Is(err, app.ErrDefaultPartition) {
		t.Errorf("a row in the default partition: %v", err)
	}
}
