package seed

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sendtip/sendtip/kit/clock"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
	"github.com/sendtip/sendtip/services/transactions/proof"
)

const (
	// sealerLock and publisherLock are those of app.Seal and app.Publish: who holds them for the whole run lets nobody else seal or publish.
	sealerLock    = 1936023916
	publisherLock = 1886741100
	// chunkLock is shared by each database transaction of a run: the next run waits until none of a run that was cut is still under way.
	chunkLock   = 1936024933 // "seed" in ASCII
	guardWait   = 5 * time.Second
	publication = "transaction_posted"
)

// Refusals to start. Each says what to do.
var (
	ErrServing = errors.New(
		"the transactions service is connected to this ledger, and seeding would contradict what it posts: stop it first")
	ErrUnsealed    = errors.New("the ledger has transactions that are not sealed: run the platform for a few seconds, stop it, and try again")
	ErrUnpublished = errors.New(
		"the ledger has transactions whose events are not published, and seeding would skip them: run the platform for a few seconds, stop it, " +
			"and try again")
	ErrNoLedger   = errors.New("there is no ledger in this database, or not in its present form: run `sendtip migrate`")
	ErrNoTime     = errors.New("the ledger's last transaction is too recent to add that many after it: wait a moment, or seed fewer")
	ErrInterfered = errors.New("somebody else writes to the ledger; what was seeded before is complete and sound")
)

// guard is the connection that keeps others out, and the ledger as it was found.
type guard struct {
	conn     *pgx.Conn
	accounts []domain.Account // by id
	people   []int            // customers' wallets in KES that may do anything
	tree     *proof.Tree
	requests int64 // references so far
	from, to time.Time
	bytes    int64
}

// session makes a connection fit for loading: as the owner of the tables, so that partitions get the owner's default grants, and without
// waiting for the disk at each commit. A crash may lose the last chunks, and leaves those before complete.
func session(ctx context.Context, conn *pgx.Conn) error {
	var owner *string
	if err := conn.QueryRow(
		ctx, "SELECT quote_ident(tableowner) FROM pg_tables WHERE schemaname = 'public' AND tablename = 'sealed_batches'").Scan(
		&owner); err != nil {
		if pg.IsNoRows(err) {
			return ErrNoLedger
		}
		return fmt.Errorf("look for the ledger: %w", err)
	}
	_, err := conn.Exec(ctx, "SET ROLE "+*owner+
		"; SET synchronous_commit = off; SET idle_in_transaction_session_timeout = 0; SET lock_timeout = '30s'")
	if err != nil {
		return fmt.Errorf("the role may not act as the owner of the ledger's tables: give the address of transactions_owner: %w", err)
	}
	return nil
}

// enter takes the ledger for this run, or says why not.
func enter(ctx context.Context, conn *pgx.Conn) (*guard, error) {
	g := &guard{conn: conn}
	deadline := clock.Monotonic().Add(guardWait)
	for { // sessions that were closed a moment ago may still be listed
		err := g.alone(ctx)
		if err == nil {
			break
		}
		if clock.Monotonic().After(deadline) || !errors.Is(err, ErrServing) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	// Whatever a run that was cut still has under way ends before the ledger is read.
	if _, err := conn.Exec(ctx, fmt.Sprintf("SELECT pg_advisory_lock(%d), pg_advisory_unlock(%d)", chunkLock, chunkLock)); err != nil {
		return nil, fmt.Errorf("wait for an earlier run: %w", err)
	}
	return g, g.settled(ctx)
}

func (g *guard) alone(ctx context.Context) error {
	var serving, sealer, publisher bool
	err := g.conn.QueryRow(
		ctx, `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND usename = 'transactions_app')`).Scan(&serving)
	if err != nil {
		return fmt.Errorf("look for the service: %w", err)
	}
	if serving {
		return ErrServing
	}
	if err := g.conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1), pg_try_advisory_lock($2)", sealerLock, publisherLock).Scan(&sealer,
		&publisher); err != nil {
		return fmt.Errorf("lock the ledger: %w", err)
	}
	if sealer && publisher {
		return nil
	}
	if _, err := g.conn.Exec(ctx, "SELECT pg_advisory_unlock_all()"); err != nil {
		return fmt.Errorf("unlock the ledger: %w", err)
	}
	return ErrServing
}

// settled reads the tree, which must cover everything that was posted and published.
func (g *guard) settled(ctx context.Context) error {
	var size, next, queued int64
	var frontier []byte
	err := g.conn.QueryRow(
		ctx, `SELECT t.size, t.frontier, coalesce((SELECT next_index FROM publications WHERE name = $1), 0), (SELECT count(*) FROM seal_queue),
		(SELECT count(*) FROM ledger_references), pg_database_size(current_database()) FROM ledger_tree t`, publication).Scan(&size, &frontier,
		&next, &queued, &g.requests, &g.bytes)
	if err != nil {
		return fmt.Errorf("read the ledger: %w", err)
	}
	if queued > 0 {
		return ErrUnsealed
	}
	if next < size {
		return ErrUnpublished
	}
	if g.tree, err = proof.ResumeTree(uint64(size), frontier); err != nil { // #nosec G115 -- CHECK (size >= 0)
		return fmt.Errorf("resume the tree: %w", err)
	}
	return nil
}

// span decides between which times the transactions are recorded: the last days, but after all that is recorded.
func (g *guard) span(ctx context.Context, now time.Time, o Options) error {
	var last time.Time
	if err := g.conn.QueryRow(ctx, "SELECT coalesce(max(last_recorded_at), 'epoch') FROM accounts").Scan(&last); err != nil {
		return fmt.Errorf("read the last time: %w", err)
	}
	g.to = now.UTC().Truncate(time.Microsecond).Add(-time.Second)
	g.from = g.to.AddDate(0, 0, -o.Days)
	if last = last.UTC().Add(time.Microsecond); last.After(g.from) {
		g.from = last
	}
	if g.to.Sub(g.from) < time.Duration(o.Transactions)*time.Microsecond {
		return ErrNoTime
	}
	return nil
}

// partitions makes those of the past months, as create_ledger_partitions makes this one's and the next ones.
func (g *guard) partitions(ctx context.Context) error {
	return pgx.BeginFunc(ctx, g.conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL timezone = 'UTC'; SELECT pg_advisory_xact_lock(hashtext('create_ledger_partitions'))"); err != nil {
			return fmt.Errorf("lock the partitions: %w", err)
		}
		for month := time.Date(g.from.Year(), g.from.Month(), 1, 0, 0, 0, 0, time.UTC); !month.After(g.to); month = month.AddDate(0, 1, 0) {
			for _, parent := range []string{"transactions", "postings"} {
				if err := makePartition(ctx, tx, parent, month); err != nil {
					return fmt.Errorf("make the partition of %s for %s: %w", parent, month.Format("2006-01"), err)
				}
			}
		}
		return nil
	})
}

func makePartition(ctx context.Context, tx pgx.Tx, parent string, month time.Time) error {
	part := parent + "_" + month.Format("2006_01")
	var there bool
	if err := tx.QueryRow(ctx, "SELECT to_regclass('public.' || $1::text) IS NOT NULL", part).Scan(&there); err != nil || there {
		return err
	}
	const day = "2006-01-02 15:04:05+00"
	_, err := tx.Exec(ctx, fmt.Sprintf(
		`CREATE TABLE public.%[1]s (LIKE public.%[2]s INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES);
		ALTER TABLE public.%[2]s ATTACH PARTITION public.%[1]s FOR VALUES FROM ('%[3]s') TO ('%[4]s');
		CREATE TRIGGER %[2]s_no_truncate BEFORE TRUNCATE ON public.%[1]s FOR EACH STATEMENT EXECUTE FUNCTION public.ledger_append_only()`,
		part, parent, month.Format(day), month.AddDate(0, 1, 0).Format(day)))
	return err
}

// Maxima of customers' accounts by tier, in minor units, and the share of each; the rest have none.
var tiers = []struct {
	share   float64
	maximum int64
}{{0.3, 10_000_000}, {0.5, 50_000_000}}

// openAccounts opens what is missing of the wanted customers, each with its audit row, in one database transaction.
func (g *guard) openAccounts(ctx context.Context, missing int, rnd *rand.Rand) error {
	if missing <= 0 {
		return nil
	}
	var list rows
	list.reset()
	for i := range missing {
		at := g.from.Add(-time.Duration(missing-i) * 13 * time.Second) // they came one after the other
		list.row(9)
		list.uuid(idAt(rnd, at))
		list.uuid(idAt(rnd, at))
		list.text(string(domain.KindCustomerWallet))
		list.text(currency)
		list.text(string(domain.Credit))
		list.int64(0)
		list.optionalInt64(maximum(rnd))
		list.time(at)
		list.text(string(domain.BookEmoney))
	}
	return pgx.BeginFunc(ctx, g.conn, func(tx pgx.Tx) error {
		if err := copyRows(ctx, tx, &list,
			"accounts (id, owner_id, kind, currency, normal_side, minimum_minor, maximum_minor, created_at, book)"); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO audit_log (actor, operation, action, object_type, object_id, detail)
			SELECT 'service:bench', 'benchSeed', 'ledger_account.opened', 'ledger_account', id::text, jsonb_strip_nulls(jsonb_build_object('status',
			status, 'kind', kind,
				'currency', currency, 'book', book, 'minimum_minor', minimum_minor::text, 'maximum_minor', maximum_minor::text))
			FROM accounts WHERE xmin = pg_current_xact_id()::xid`)
		if err != nil {
			return fmt.Errorf("write the audit rows: %w", err)
		}
		return nil
	})
}

func maximum(rnd *rand.Rand) *int64 {
	p := rnd.Float64()
	for _, t := range tiers {
		if p -= t.share; p < 0 {
			return &t.maximum
		}
	}
	return nil
}

// readAccounts reads all of them, and returns how many customers can take part.
func (g *guard) readAccounts(ctx context.Context) (int, error) {
	list, err := g.conn.Query(ctx,
		`SELECT id, coalesce(code, ''), kind, currency, normal_side, status, debits_minor, credits_minor, pending_debits_minor,
		pending_credits_minor, over_cap_minor, minimum_minor, maximum_minor, sequence, last_recorded_at, book FROM accounts ORDER BY id`)
	if err != nil {
		return 0, fmt.Errorf("read the accounts: %w", err)
	}
	g.accounts, err = pgx.CollectRows(list, func(row pgx.CollectableRow) (a domain.Account, err error) {
		err = row.Scan(&a.ID, &a.Code, &a.Kind, &a.Currency, &a.NormalSide, &a.Status, &a.Debits, &a.Credits, &a.PendingDebits, &a.PendingCredits,
			&a.OverCap,
			&a.Minimum, &a.Maximum, &a.Sequence, &a.LastRecordedAt, &a.Book)
		return a, err
	})
	if err != nil {
		return 0, fmt.Errorf("read the accounts: %w", err)
	}
	g.people = g.people[:0]
	var chart []uuid.UUID
	for i := range g.accounts {
		a := &g.accounts[i]
		if a.Kind == domain.KindCustomerWallet && a.Book == domain.BookEmoney && a.Currency == currency && a.Status == domain.Active {
			g.people = append(g.people, i)
		}
		if a.ID == rail || a.ID == fees || a.ID == excise {
			chart = append(chart, a.ID)
		}
	}
	if len(chart) != 3 {
		return 0, ErrNoLedger
	}
	return len(g.people), nil
}

// batchIDs takes numbers of batches from the queue's sequence, as the committer does.
func batchIDs(ctx context.Context, pool *pgxpool.Conn, n int) ([]int64, error) {
	list, err := pool.Query(ctx, "SELECT nextval('seal_queue_id_seq') FROM generate_series(1, $1::int)", n)
	if err != nil {
		return nil, fmt.Errorf("take batch numbers: %w", err)
	}
	ids, err := pgx.CollectRows(list, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("take batch numbers: %w", err)
	}
	return ids, nil
}
