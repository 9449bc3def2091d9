// Package seed loads millions of made-up transactions into a ledger, as the ledger itself would have written them: decided by
// domain.Decide, hashed, sealed, with every balance. It is for local platforms and load tests; `sendtip bench seed` runs it.
//
// It writes large database transactions by COPY, each of which leaves the ledger whole: a run that is cut may be followed by another.
// It needs the ledger for itself. It refuses while the service is connected, keeps sealers and publishers out by their own locks, and
// every counter that it writes must still be what it read, or the run ends with what it has committed.
//
// What differs from transactions that were posted: no events are published, one checkpoint is signed at the end instead of two a second,
// batches are spread evenly over the days, and salts come from the seed, so that whoever knows it can guess what receipts hide.
package seed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sendtip/sendtip/kit/clock"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/transactions/internal/app"
	"github.com/sendtip/sendtip/services/transactions/proof"
)

// Options say what to load.
type Options struct {
	Transactions int    // to post, beside those that are refused
	Accounts     int    // customers' wallets in KES; those that exist count, what is missing is opened
	Days         int    // over which recorded times are spread, up to a second ago; always after what is recorded already
	Seed         uint64 // the same on the same ledger at the same time gives the same transactions
	Chunk        int    // transactions of one database transaction; 0 means 20,000

	Now      func() time.Time      // nil: the real time
	Progress func(done, total int) // after each database transaction, from several goroutines
	Sign     *Signing              // signs the tree at the end; nil leaves that to the service
}

// Signing is what the checkpoint at the end is signed with.
type Signing struct {
	Origin string
	Keys   []proof.Key
	File   string // checkpoints are appended to it; "" for none
}

// Result is what a run added.
type Result struct {
	Transactions, Postings, Holds, Refused, Accounts int64
	Bytes                                            int64 // that the database grew by
	Took                                             time.Duration
	Size                                             int64 // of the tree now
	Root                                             proof.Hash
}

const (
	defaultChunk = 20_000
	writers      = 2 // chunks that are sent at the same time
)

func (o Options) validate() error {
	switch {
	case o.Transactions < 1 || o.Transactions > 1_000_000_000:
		return errors.New("the number of transactions is between 1 and 1,000,000,000")
	case o.Accounts < 2 || o.Accounts > 10_000_000:
		return errors.New("the number of accounts is between 2 and 10,000,000")
	case o.Days < 1 || o.Days > 3660:
		return errors.New("the number of days is between 1 and 3660")
	}
	return nil
}

// Run seeds the ledger at the address of its owner or of a superuser. What was committed before an error, or the end of ctx, stays and is
// complete.
func Run(ctx context.Context, url string, o Options) (Result, error) {
	if err := o.validate(); err != nil {
		return Result{}, err
	}
	if o.Now == nil {
		o.Now = (*clock.Clock)(nil).Now
	}
	if o.Progress == nil {
		o.Progress = func(int, int) {}
	}
	if o.Chunk == 0 {
		o.Chunk = defaultChunk
	}
	pool, err := pg.Open(ctx, url, pg.Options{MaxConns: writers + 2})
	if err != nil {
		return Result{}, err
	}
	defer pool.Close()
	r, err := run(ctx, pool, o)
	if err != nil || o.Sign == nil {
		return r, err
	}
	return r, sign(ctx, pool, *o.Sign)
}

func run(ctx context.Context, pool *pgxpool.Pool, o Options) (Result, error) {
	started := clock.Monotonic()
	conns, err := connect(ctx, pool)
	defer func() {
		for _, c := range conns {
			_ = c.Conn().Close(context.WithoutCancel(ctx)) // with its role and its locks
			c.Release()
		}
	}()
	if err != nil {
		return Result{}, err
	}
	g, err := enter(ctx, conns[0].Conn())
	if err != nil {
		return Result{}, err
	}
	s := &seeding{Options: o, guard: g, conn: conns[0], free: make(chan *chunk, writers+1)}
	if err := s.prepare(ctx); err != nil {
		return Result{}, err
	}
	if err := s.load(ctx, conns[1:]); err != nil {
		return Result{}, err
	}
	return s.result(ctx, started)
}

func connect(ctx context.Context, pool *pgxpool.Pool) (conns []*pgxpool.Conn, err error) {
	for range writers + 1 {
		c, err := pool.Acquire(ctx)
		if err != nil {
			return conns, fmt.Errorf("connect: %w", err)
		}
		conns = append(conns, c)
		if err := session(ctx, c.Conn()); err != nil {
			return conns, err
		}
	}
	return conns, nil
}

// seeding is one run.
type seeding struct {
	Options
	*guard
	conn   *pgxpool.Conn // the guard's
	book   *book
	draw   *draw
	opened int
	free   chan *chunk
	ids    []int64
}

// prepare makes partitions and accounts, and reads where the ledger stands.
func (s *seeding) prepare(ctx context.Context) error {
	if err := s.span(ctx, s.Now(), s.Options); err != nil {
		return err
	}
	if err := s.partitions(ctx); err != nil {
		return err
	}
	// A repeated seed must not repeat ids and references: what is there already is part of it.
	salt := uint64(s.requests)                 // #nosec G115 -- a count
	rnd := rand.New(rand.NewPCG(s.Seed, salt)) // #nosec G404 -- made-up data that must be reproducible
	there, err := s.readAccounts(ctx)
	if err != nil {
		return err
	}
	if s.opened = max(0, s.Accounts-there); s.opened > 0 {
		if err := s.openAccounts(ctx, s.opened, rnd); err != nil {
			return fmt.Errorf("open accounts: %w", err)
		}
		if _, err := s.readAccounts(ctx); err != nil {
			return err
		}
	}
	// The busiest come first, and they are not the oldest.
	people := slices.Clone(s.people)
	rnd.Shuffle(len(people), func(i, j int) { people[i], people[j] = people[j], people[i] })
	s.book = newBook(s.accounts, s.tree)
	s.draw = newDraw(s.book, people[:min(len(people), s.Accounts)], s.Seed, salt, salt)
	for range cap(s.free) {
		s.free <- newChunk()
	}
	return nil
}

// load fills chunks, and writes them on several connections in their order.
func (s *seeding) load(ctx context.Context, conns []*pgxpool.Conn) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	full := make(chan *chunk)
	var wg sync.WaitGroup
	for _, conn := range conns {
		wg.Go(func() {
			for c := range full {
				if err := write(ctx, conn.Conn(), c); err != nil {
					stop(err)
					continue // the rest is not written either: their turn never comes
				}
				s.Progress(c.progress, s.Transactions)
				s.free <- c
			}
		})
	}
	err := s.fill(ctx, full)
	close(full)
	wg.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause // what happened first
	}
	return err
}

// fill makes chunks until all transactions are posted.
func (s *seeding) fill(ctx context.Context, full chan<- *chunk) error {
	committed := make(chan struct{})
	close(committed)
	var before <-chan struct{} = committed
	first := int64(s.tree.Size()) // #nosec G115 -- leaves
	now, batches := s.from, 0
	for posted := 0; posted < s.Transactions; {
		var c *chunk
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case c = <-s.free:
		}
		c.reset()
		c.before, c.firstSize = before, int64(s.tree.Size()) // #nosec G115
		for end := min(posted+s.Chunk, s.Transactions); posted < end; batches++ {
			id, err := s.batchID(ctx)
			if err != nil {
				return err
			}
			requests := s.draw.next(now, end-posted)
			d := s.book.decide(c, id, now, requests, s.draw.originals)
			s.draw.learn(&d)
			posted = int(int64(s.tree.Size()) - first) // #nosec G115
			now = s.at(now, posted)
		}
		if err := s.book.finish(c); err != nil {
			return err
		}
		c.progress, before = posted, c.done
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case full <- c:
		}
	}
	return nil
}

// at is the time of the batch after so many transactions: evenly spread, and later than the batch before.
func (s *seeding) at(before time.Time, posted int) time.Time {
	share := float64(posted) / float64(s.Transactions)
	at := s.from.Add(time.Duration(share * float64(s.to.Sub(s.from)))).Truncate(time.Microsecond)
	if !at.After(before) {
		return before.Add(time.Microsecond)
	}
	return at
}

func (s *seeding) batchID(ctx context.Context) (int64, error) {
	if len(s.ids) == 0 {
		var err error
		if s.ids, err = batchIDs(ctx, s.conn, s.Chunk/minBatch/2+1); err != nil {
			return 0, err
		}
	}
	id := s.ids[0]
	s.ids = s.ids[1:]
	return id, nil
}

func (s *seeding) result(ctx context.Context, started time.Time) (Result, error) {
	r := Result{Transactions: int64(s.Transactions), Postings: s.book.postings, Holds: s.book.opened, Refused: s.book.refused,
		Accounts: int64(s.opened),
		Took:     clock.Monotonic().Sub(started), Size: int64(s.tree.Size()), Root: s.tree.Root()} // #nosec G115
	// A commit that waits for the disk takes all before it along.
	if _, err := s.guard.conn.Exec(ctx, "SET synchronous_commit = on; UPDATE publications SET next_index = next_index WHERE name = '"+
		publication+"'"); err != nil {
		return r, fmt.Errorf("write to the disk: %w", err)
	}
	// Queries must not wait for autovacuum to plan for what is there now.
	if _, err := s.guard.conn.Exec(ctx,
		"ANALYZE accounts, ledger_references, ledger_refusals, transactions, postings, transaction_metadata, holds, "+
			"sealed_batches, tree_nodes"); err != nil {
		return r, fmt.Errorf("analyze: %w", err)
	}
	var bytes int64
	if err := s.guard.conn.QueryRow(ctx, "SELECT pg_database_size(current_database())").Scan(&bytes); err != nil {
		return r, fmt.Errorf("read the size: %w", err)
	}
	r.Bytes = bytes - s.bytes
	return r, nil
}

// sign signs the tree as the service does.
func sign(ctx context.Context, pool *pgxpool.Pool, with Signing) error {
	signer := app.CheckpointSigner{Origin: with.Origin, File: with.File}
	for _, k := range with.Keys {
		signer.Signers, signer.VerifierKeys = append(signer.Signers, k.Signer), append(signer.VerifierKeys, k.VerifierKey)
	}
	a := app.New(app.Pools{Shared: pool, Committers: pool}, (*clock.Clock)(nil).Now, slog.New(slog.DiscardHandler), signer, nil)
	return a.SignCheckpoint(ctx)
}
