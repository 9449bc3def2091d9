package jobs_test

import (
	"context"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"github.com/sendtip/sendtip/kit/jobs"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/pgtest"
)

type plainArgs struct {
	Text string `json:"text"`
}

func (plainArgs) Kind() string { return "wallet.plain" }

type queuedArgs struct {
	N int64 `json:"n"`
}

func (queuedArgs) Kind() string { return "wallet.queued" }
func (queuedArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: "money", MaxAttempts: jobs.MoneyAttempts, Priority: 3}
}

type uniqueArgs struct{ plainArgs }

func (uniqueArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{UniqueOpts: river.UniqueOpts{ByArgs: true}}
}

func schedulingClient(t *testing.T, pool *pgxpool.Pool) *jobs.Client {
	t.Helper()
	workers := river.NewWorkers()
	addWorker[payArgs](workers)
	addWorker[plainArgs](workers)
	addWorker[queuedArgs](workers)
	client, err := jobs.NewClient(pool, workers, jobs.Config{Service: "wallet"})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func addWorker[T river.JobArgs](workers *river.Workers) {
	jobs.Add(workers, func(context.Context, *river.Job[T]) (time.Duration, error) { return 0, nil })
}

// TestScheduleEqualsInsertTx holds the row that Schedule writes against River's own, so that a new version of River cannot part them.
func TestScheduleEqualsInsertTx(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, "wallet", fstest.MapFS{})
	client := schedulingClient(t, db.Pool)
	at := time.Date(2026, 11, 23, 9, 30, 0, 123456000, time.UTC)
	for _, args := range []river.JobArgs{payArgs{ID: "a\"b"}, plainArgs{Text: "<ü>"}, queuedArgs{N: 1 << 60}} {
		err := pg.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error {
			own, err := client.InsertTx(t.Context(), tx, args, &river.InsertOpts{ScheduledAt: at})
			if err != nil {
				return err
			}
			var id int64
			if err := tx.QueryRow(t.Context(), "SELECT nextval('river_job_id_seq')").Scan(&id); err != nil {
				return err
			}
			if err := client.Schedule(t.Context(), tx, id, args, at); err != nil {
				return err
			}
			row := "SELECT (to_jsonb(j) - 'id' - 'created_at')::text FROM river_job j WHERE id = $1 AND created_at BETWEEN now() - interval '1 " +
				"min' AND clock_timestamp()"
			var rivers, ours string
			if err := tx.QueryRow(t.Context(), row, own.Job.ID).Scan(&rivers); err != nil {
				return err
			}
			if err := tx.QueryRow(t.Context(), row, id).Scan(&ours); err != nil {
				return err
			}
			if rivers != ours {
				t.Errorf("%s:\nRiver writes %s\nSchedule     %s", args.Kind(), rivers, ours)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestScheduleRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, "wallet", fstest.MapFS{})
	client := schedulingClient(t, db.Pool)
	for name, err := range map[string]error{
		"unique":  client.Schedule(t.Context(), db.Pool, 1, uniqueArgs{}, time.Now()),
		"no id":   client.Schedule(t.Context(), db.Pool, 0, plainArgs{}, time.Now()),
		"no time": client.Schedule(t.Context(), db.Pool, 1, plainArgs{}, time.Time{}),
	} {
		if err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestUnschedule(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, "wallet", fstest.MapFS{})
	client := schedulingClient(t, db.Pool)
	ids := []int64{1001, 1002, 1003, 1004, 1005}
	for _, id := range ids {
		if err := client.Schedule(t.Context(), db.Pool, id, plainArgs{}, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Pool.Exec(t.Context(), "UPDATE river_job SET state = 'running' WHERE id = 1002"); err != nil {
		t.Fatal(err)
	}
	worker, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = worker.Rollback(context.Background()) }()
	if _, err := worker.Exec(t.Context(), "SELECT FROM river_job WHERE id = 1003 FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	if err := client.Unschedule(t.Context(), db.Pool, []int64{1001, 1002, 1003, 1004, 9999}); err != nil {
		t.Fatal(err)
	}
	rows, err := db.Pool.Query(t.Context(), "SELECT id FROM river_job ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	left, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil || !slices.Equal(left, []int64{1002, 1003, 1005}) {
		t.Errorf("left are %v, %v", left, err)
	}
}
