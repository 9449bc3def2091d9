package service_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/clock"
	"github.com/sendtip/sendtip/kit/event"
	"github.com/sendtip/sendtip/kit/idem"
	"github.com/sendtip/sendtip/kit/keycheck"
	"github.com/sendtip/sendtip/kit/outbox"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/pgtest"
	"github.com/sendtip/sendtip/kit/seal"
)

// TestRowsOfTheKitHaveTheClocksTime: no row of the kit's own tables is stamped by the database.
func TestRowsOfTheKitHaveTheClocksTime(t *testing.T) {
	t.Parallel()
	c := clock.New(-3 * 365 * 24 * time.Hour)
	from := c.Now()
	db := pgtest.Open(t, "kit", fstest.MapFS{})
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	sealer, err := seal.New(secret)
	if err != nil {
		t.Fatal(err)
	}
	if err := keycheck.Guard(db.Pool, c.Now, slog.New(slog.DiscardHandler), keycheck.KEK(sealer))(t.Context()); err != nil {
		t.Fatal(err)
	}
	writeOfAll(t, db, sealer, c)
	for _, column := range []string{
		"key_checks.created_at", "audit_log.at", "outbox.created_at", "inbox.received_at", "idempotency_keys.created_at",
		"idempotency_keys.finished_at",
	} {
		var table, name string
		for i := range column {
			if column[i] == '.' {
				table, name = column[:i], column[i+1:]
			}
		}
		var rows, wrong int
		query := "SELECT count(*), count(*) FILTER (WHERE " + name + " IS NULL OR " + name + " < $1 OR " + name + " > $2) FROM " + table
		if err := db.Pool.QueryRow(t.Context(), query, from, c.Now()).Scan(&rows, &wrong); err != nil {
			t.Fatal(err)
		}
		if rows == 0 || wrong > 0 {
			t.Errorf("%s: %d of %d rows have another time than the clock's", column, wrong, rows)
		}
	}
}

// writeOfAll writes every kind of row that the kit writes for a service.
func writeOfAll(t *testing.T, db *pgtest.DB, sealer *seal.Sealer, c *clock.Clock) {
	t.Helper()
	const topic = "sendtip.kit.v1"
	ctx := auth.With(t.Context(), auth.Principal{Subject: "user:1"})
	store := idem.New(sealer, c.Now)
	happened := func() event.Event {
		e, err := event.New(topic, "kit.happened", "k", c.Now(), 1)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	err := pg.InTx(ctx, db.Pool, func(tx pgx.Tx) error {
		for i, k := range []idem.Key{idem.NewKey(ctx, "op", "one"), idem.NewKey(ctx, "op", "many")} {
			if _, err := store.Begin(ctx, tx, k, idem.Once); err != nil {
				return err
			}
			var err error
			if i == 0 {
				err = store.Finish(ctx, tx, k, 201, 1)
			} else {
				err = store.FinishAll(ctx, tx, []idem.Finished{{ID: k.ID(), Status: 201, Result: 1}})
			}
			if err != nil {
				return err
			}
		}
		if err := audit.Record(ctx, tx, c.Now(), audit.Entry{Action: "kit.tried", ObjectType: "kit", ObjectID: "1"}); err != nil {
			return err
		}
		if err := outbox.Append(ctx, tx, happened()); err != nil {
			return err
		}
		return outbox.AppendAll(ctx, tx, []event.Event{happened()})
	})
	if err != nil {
		t.Fatal(err)
	}
	handler := func(context.Context, pgx.Tx, event.Event) error { return nil }
	if err := event.Dispatch(ctx, db.Pool, "kit", c.Now(), map[string]event.Handler{"kit.happened": handler}, happened()); err != nil {
		t.Fatal(err)
	}
	all := func(context.Context, pgx.Tx, []event.Event) error { return nil }
	if err := event.DispatchAll(ctx, db.Pool, "kit", c.Now(), all, []event.Event{happened()}); err != nil {
		t.Fatal(err)
	}
}
