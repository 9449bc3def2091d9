package pg_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/pgtest"
)

// execs, list and one are what generated code does with its database.
func execs(t *testing.T, db interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		if _, err := db.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
}

func list(ctx context.Context, p *pg.Pipeline, sql string) ([]int, error) {
	rows, err := p.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int])
}

func one(ctx context.Context, p *pg.Pipeline, sql string) (n int, err error) {
	err = p.QueryRow(ctx, sql).Scan(&n)
	return n, err
}

// counting counts the round trips of a transaction.
type counting struct {
	pgx.Tx
	sent int
}

func (c *counting) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	c.sent++
	return c.Tx.SendBatch(ctx, b)
}

// inPipeline runs do in a transaction and says how often it was sent.
func inPipeline(t *testing.T, db *pgtest.DB, do func(p *pg.Pipeline) error) (sent int, err error) {
	t.Helper()
	err = pg.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error {
		c := &counting{Tx: tx}
		err := do(pg.NewPipeline(c))
		sent = c.sent
		return err
	})
	return sent, err
}

func TestPipelineSend(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, "kit", schema)
	var before, after []int
	var p *pg.Pipeline
	sent, err := inPipeline(t, db, func(in *pg.Pipeline) error {
		p = in
		_, err := list(t.Context(), p, "SELECT balance FROM accounts ORDER BY id")
		pg.Collect(p, err, pgx.RowTo[int], &before)
		execs(t, p, "UPDATE accounts SET balance = balance - 30 WHERE id = 1", "UPDATE accounts SET balance = balance + 15")
		_, err = list(t.Context(), p, "SELECT balance FROM accounts ORDER BY id")
		pg.Collect(p, err, pgx.RowTo[int], &after)
		if before != nil || p.Tags() != nil {
			t.Error("something ran before the pipeline was sent")
		}
		return p.Send(t.Context())
	})
	if err != nil || sent != 1 || !slices.Equal(before, []int{100, 100}) || !slices.Equal(after, []int{85, 115}) {
		t.Errorf("%v, sent %d times, %v, then %v", err, sent, before, after)
	}
	if tags := p.Tags(); len(tags) != 2 || tags[0].RowsAffected() != 1 || tags[1].RowsAffected() != 2 {
		t.Errorf("tags %v", tags)
	}
}

func TestPipelineQueryRow(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, "kit", schema)
	n := 0
	sent, err := inPipeline(t, db, func(p *pg.Pipeline) (err error) {
		execs(t, p, "UPDATE accounts SET balance = 7 WHERE id = 1")
		n, err = one(t.Context(), p, "SELECT balance FROM accounts WHERE id = 1")
		return err
	})
	if err != nil || sent != 1 || n != 7 {
		t.Errorf("%v, sent %d times, %d", err, sent, n)
	}
	for range 2 { // twice, as a connection remembers statements
		var p *pg.Pipeline
		_, err = inPipeline(t, db, func(in *pg.Pipeline) error {
			p = in
			execs(t, p, "UPDATE accounts SET balance = 8 WHERE id = 1")
			_, err := one(t.Context(), p, "SELECT balance FROM accounts WHERE id = 99")
			return err
		})
		if !pg.IsNoRows(err) || len(p.Tags()) != 1 {
			t.Errorf("no row: %v, tags %v", err, p.Tags())
		}
	}
}

// TestPipelineFirstError: the error is that of the first statement that failed, what came after it did not run, and nothing is left.
func TestPipelineFirstError(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, "kit", schema)
	const refused = "UPDATE accounts SET balance = -1 WHERE id = 1"
	for name, do := range map[string]func(p *pg.Pipeline) error{
		"send": func(p *pg.Pipeline) error { return p.Send(t.Context()) },
		"row": func(p *pg.Pipeline) error {
			_, err := one(t.Context(), p, "SELECT 1 / 0")
			return err
		},
		"rows": func(p *pg.Pipeline) error {
			var none []int
			_, err := list(t.Context(), p, "SELECT 1 / 0")
			pg.Collect(p, err, pgx.RowTo[int], &none)
			return p.Send(t.Context())
		},
	} {
		var p *pg.Pipeline
		_, err := inPipeline(t, db, func(in *pg.Pipeline) error {
			p = in
			execs(t, p, "INSERT INTO accounts VALUES (3, 5)", refused, "INSERT INTO accounts VALUES (4, 5)")
			return do(p)
		})
		if pg.Constraint(err) != "accounts_balance" || len(p.Tags()) != 1 || count(t, db, "SELECT count(*) FROM accounts") != 2 {
			t.Errorf("%s: %v, tags %v", name, err, p.Tags())
		}
	}
	_, err := inPipeline(t, db, func(p *pg.Pipeline) error {
		_, err := one(t.Context(), p, "UPDATE accounts SET balance = -1 WHERE id = 1 RETURNING balance")
		return err
	})
	if pg.Constraint(err) != "accounts_balance" {
		t.Errorf("the row's own error: %v", err)
	}
}

// TestPipelineCollectOfSomethingElse: an error of the generated function itself is not lost.
func TestPipelineCollectOfSomethingElse(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, "kit", schema)
	broken := errors.New("no such argument")
	sent, err := inPipeline(t, db, func(p *pg.Pipeline) error {
		var none []int
		pg.Collect(p, broken, pgx.RowTo[int], &none)
		return p.Send(t.Context())
	})
	if !errors.Is(err, broken) || sent != 0 {
		t.Errorf("%v, sent %d times", err, sent)
	}
}

func TestByIndex(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, "kit", schema)
	var in, after string
	err := pg.InTx(t.Context(), pg.ByIndex(db.Pool), func(tx pgx.Tx) error {
		return tx.QueryRow(t.Context(), "SHOW enable_seqscan").Scan(&in)
	})
	if err != nil || in != "off" {
		t.Errorf("%s, %v", in, err)
	}
	if err := db.Pool.QueryRow(t.Context(), "SHOW enable_seqscan").Scan(&after); err != nil || after != "on" {
		t.Errorf("after the transaction: %s, %v", after, err)
	}
}
