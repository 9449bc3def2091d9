package app

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	transactionsdb "github.com/sendtip/sendtip/generated/transactions/db"
	"github.com/sendtip/sendtip/kit/clock"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/transactions/internal/leaves"
	"github.com/sendtip/sendtip/services/transactions/proof"
)

const (
	// sealEvery is the least time between two passes while transactions arrive: a receipt waits no longer than this and one pass.
	sealEvery = 400 * time.Millisecond
	// sealIdle is how often the queue is looked into without a wake: another replica may have committed.
	sealIdle    = 500 * time.Millisecond
	sealTimeout = 20 * time.Second
	sealLimit   = 500
)

// Seal takes the leaves of committed batches, by id, into the tree, in the order in which they will stay for ever, and returns how many
// batches it took, at most 500; 0 also when another replica is at it. Posted rows are not touched.
func (a *App) Seal(ctx context.Context) (batches int, err error) {
	ctx, cancel := context.WithTimeout(ctx, sealTimeout)
	defer cancel()
	err = pg.InTx(ctx, a.pool, func(tx pgx.Tx) error {
		batches = 0
		locked, err := a.q.LockSealer(ctx, tx)
		if err != nil || !locked {
			return err
		}
		queued, err := a.q.ListQueue(ctx, tx, sealLimit)
		if err != nil || len(queued) == 0 {
			return err
		}
		failpoint("seal_after_read")
		row, err := a.q.GetTree(ctx, tx)
		if err != nil {
			return fmt.Errorf("read the tree: %w", err)
		}
		s := sealing{}
		if s.tree, err = proof.ResumeTree(uint64(row.Size), row.Frontier); err != nil {
			return fmt.Errorf("resume the tree: %w", err)
		}
		if err := a.adopt(ctx, tx, queued, &s); err != nil {
			return err
		}
		s.append(queued)
		batches = len(queued)
		if err := s.write(ctx, a.q, tx, a.clock()); err != nil {
			return err
		}
		failpoint("seal_before_commit")
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("seal: %w", err)
	}
	if batches > 0 {
		failpoint("seal_after_commit")
		wake(a.unpublished)
	}
	return batches, nil
}

// sealing is what one pass adds.
type sealing struct {
	tree    *proof.Tree
	ids     []int64
	firsts  []int64
	adopted [][]byte // leaf hashes of rows that came without
	levels  []int16
	indexes []int64
	hashes  [][]byte
}

// append puts the queue's leaves at the end of the tree.
func (s *sealing) append(queued []transactionsdb.ListQueueRow) {
	for i, q := range queued {
		s.ids = append(s.ids, q.ID)
		s.firsts = append(s.firsts, int64(s.tree.Size()))
		hashes := q.LeafHashes
		if hashes == nil {
			hashes = s.adopted[i]
		}
		for ; len(hashes) > 0; hashes = hashes[proof.HashSize:] {
			s.tree.Append([proof.HashSize]byte(hashes[:proof.HashSize]), func(level uint, index uint64, hash [proof.HashSize]byte) {
				s.levels = append(s.levels, int16(level))
				s.indexes = append(s.indexes, int64(index))
				s.hashes = append(s.hashes, hash[:])
			})
		}
	}
}

func (s *sealing) write(ctx context.Context, q *transactionsdb.Queries, tx pgx.Tx, now time.Time) error {
	p := pg.NewPipeline(tx)
	if err := q.InsertSealed(ctx, p,
		transactionsdb.InsertSealedParams{Now: now, Ids: s.ids, FirstIndexes: s.firsts, Adopted: s.adopted}); err != nil {
		return err
	}
	if err := q.DeleteQueued(ctx, p, s.ids); err != nil {
		return err
	}
	if len(s.levels) > 0 {
		if err := q.InsertNodes(ctx, p, s.levels, s.indexes, s.hashes); err != nil {
			return err
		}
	}
	root := s.tree.Root()
	if err := q.UpdateTree(ctx, p, int64(s.tree.Size()), s.tree.Frontier(), root[:]); err != nil {
		return err
	}
	if err := p.Send(ctx); err != nil {
		return fmt.Errorf("write leaves: %w", err)
	}
	return nil
}

// adopt computes the leaves of queue rows that came without: transactions of a version that had no proof.
func (a *App) adopt(ctx context.Context, tx pgx.Tx, queued []transactionsdb.ListQueueRow, s *sealing) error {
	s.adopted = make([][]byte, len(queued))
	for i, q := range queued {
		if q.LeafHashes != nil {
			continue
		}
		found, err := leaves.Load(ctx, tx, q.TransactionIds)
		if err != nil {
			return err
		}
		var encoder proof.Encoder
		for _, id := range q.TransactionIds {
			leaf, ok := found[id]
			if !ok {
				return fmt.Errorf("batch %d: transaction %s is missing", q.ID, id)
			}
			hash := encoder.LeafHash(leaf)
			s.adopted[i] = append(s.adopted[i], hash[:]...)
		}
	}
	return nil
}

// SealLoop seals and signs until ctx ends.
func (a *App) SealLoop(ctx context.Context) error {
	recalled := false
	for failing := false; ctx.Err() == nil; {
		started := clock.Monotonic()
		n, err := a.Seal(ctx)
		if err == nil && !recalled {
			err = a.recallCheckpoint(ctx)
			recalled = err == nil
		}
		for err == nil && n == sealLimit && ctx.Err() == nil {
			n, err = a.Seal(ctx)
		}
		if err == nil {
			err = a.SignCheckpoint(ctx)
		}
		a.measureUnsealed(ctx)
		if failing = a.report(ctx, "sealing the ledger", err, failing); failing {
			rest(ctx, time.Second, nil)
			continue
		}
		rest(ctx, sealEvery-clock.Monotonic().Sub(started), nil)
		rest(ctx, sealIdle, a.unsealed)
	}
	return nil
}

// report logs the first failure of a row of them, and the end of the row.
func (a *App) report(ctx context.Context, what string, err error, failing bool) bool {
	switch {
	case ctx.Err() != nil:
	case err != nil && !failing:
		a.log.WarnContext(ctx, what+" failed, trying again", "err", err)
	case err == nil && failing:
		a.log.InfoContext(ctx, what+" works again")
	}
	return err != nil
}

func rest(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-timer.C:
	}
}
