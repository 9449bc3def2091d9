package e2e_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/cmd/sendtip/journey"
	"github.com/sendtip/sendtip/cmd/sendtip/platform"
	"github.com/sendtip/sendtip/kit/clock"
)

// stamped are the columns that hold the real time whatever the platform's clock says, and why. Nothing compares them.
var stamped = map[string]string{
	"goose_db_version.tstamp":    "goose's own note of when a migration ran",
	"goose_kit_version.tstamp":   "goose's own note of when a migration of the kit ran",
	"river_migration.created_at": "River's own note of when a migration ran",
	"accounts.created_at":        "system accounts come with a migration",
}

// TestEverythingTellsThePlatformsTime moves the clock of the whole platform to a moment, makes the journeys of the demo there, and looks
// through every time in every database for the real one.
func TestEverythingTellsThePlatformsTime(t *testing.T) {
	t.Parallel()
	nairobi := time.FixedZone("EAT", 3*60*60)
	for name, moment := range map[string]time.Time{
		"a year ends, behind":     time.Date(2024, time.December, 31, 23, 59, 50, 0, nairobi),
		"29 February ends, ahead": time.Date(2028, time.February, 29, 23, 59, 50, 0, nairobi),
		"a month ends, ahead":     time.Date(2027, time.April, 30, 23, 59, 50, 0, nairobi),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			real := time.Now()
			c := clock.New(time.Until(moment.Add(-time.Hour)))
			w := start(t, func(o *platform.Options) { o.Clock = c })
			c.Set(time.Until(moment))
			_, failed := journey.Run(t.Context(), w.World, func(s journey.Step) {
				if s.Err != nil {
					t.Errorf("%s: %v\n%s\n%s", s.Name, s.Err, s.Request, s.Answer)
				}
			})
			if failed > 0 {
				t.Fatalf("%d steps failed", failed)
			}
			for _, service := range platform.Services {
				w.lookForTheRealTime(t, service, real)
			}
		})
	}
}

// lookForTheRealTime fails for every column of a database that was stamped by another clock than the platform's.
func (w *world) lookForTheRealTime(t *testing.T, database string, started time.Time) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), w.p.AdminURL(database))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	rows, err := conn.Query(t.Context(), `SELECT c.table_name::text, c.column_name::text FROM information_schema.columns c
		JOIN information_schema.tables USING (table_schema, table_name)
		WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND data_type LIKE 'timestamp%' ORDER BY 1, 2`)
	if err != nil {
		t.Fatal(err)
	}
	columns, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Table, Name string }])
	if err != nil || len(columns) < 5 {
		t.Fatalf("%d columns of %s: %v", len(columns), database, err)
	}
	for _, c := range columns {
		name := pgx.Identifier{c.Name}.Sanitize()
		var real, never int
		query := fmt.Sprintf("SELECT count(*) FILTER (WHERE %[1]s BETWEEN $1 AND $2), count(*) FILTER (WHERE %[1]s < '1970-01-01') FROM %[2]s",
			name, pgx.Identifier{c.Table}.Sanitize())
		if err := conn.QueryRow(t.Context(), query, started.Add(-time.Hour), time.Now().Add(time.Hour)).Scan(&real, &never); err != nil {
			t.Fatal(err)
		}
		if _, listed := stamped[c.Table+"."+c.Name]; (real > 0 && !listed) || never > 0 {
			t.Errorf("%s: %s.%s has the real time in %d rows, and none in %d", database, c.Table, c.Name, real, never)
		}
	}
}

// TestStampedColumnsAreNeeded: an exception that no migration makes any more hides a mistake.
func TestStampedColumnsAreNeeded(t *testing.T) {
	t.Parallel()
	w := shared(t)
	for column := range stamped {
		found := slices.ContainsFunc(platform.Services, func(service string) bool {
			conn, err := pgx.Connect(t.Context(), w.p.AdminURL(service))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close(t.Context()) }()
			var there bool
			err = conn.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM information_schema.columns WHERE table_name || '.' || column_name = $1)`,
				column).Scan(&there)
			if err != nil {
				t.Fatal(err)
			}
			return there
		})
		if !found {
			t.Errorf("no database has %s", column)
		}
	}
}
