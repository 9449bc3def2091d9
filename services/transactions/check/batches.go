package check

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/sendtip/sendtip/services/transactions/proof"
)

// span is a sealed batch without its leaves.
type span struct {
	first, size, id int64
}

// batch is a row of sealed_batches or seal_queue.
type batch struct {
	table    string
	first    int64 // -1 in the queue
	size     int64
	id       int64
	ids      []uuid.UUID
	hashes   []byte // 32 bytes each; nil for adopted rows of the queue
	from, to pgtype.Timestamptz
}

func (b *batch) index(position int) int64 {
	if b.first < 0 {
		return -1
	}
	return b.first + int64(position)
}

func (b *batch) key() string { return fmt.Sprintf("batch %d", b.id) }

// hash is the leaf hash at a position; false where the row has none.
func (b *batch) hash(position int) (h proof.Hash, ok bool) {
	if position < 0 || len(b.hashes) < proof.HashSize*(position+1) {
		return h, false
	}
	return proof.Hash(b.hashes[proof.HashSize*position : proof.HashSize*(position+1)]), true
}

// prepare reads what all workers need: keys, notes, and the order of the batches.
func (r *run) prepare(ctx context.Context, s *session) error {
	if err := r.readKeys(ctx, s); err != nil {
		return err
	}
	r.openNotes()
	var err error
	r.spans, err = query(ctx, s.db, func(row pgx.CollectableRow, v *span) error { return row.Scan(&v.first, &v.size, &v.id) },
		"SELECT first_index, size, batch_id FROM sealed_batches ORDER BY first_index")
	if err != nil {
		return fmt.Errorf("read the sealed batches: %w", err)
	}
	for _, b := range r.spans {
		r.sealed += b.size
		if _, twice := r.batches[b.id]; twice {
			r.add(Finding{Kind: Inserted, Table: "sealed_batches", Key: fmt.Sprintf("batch %d", b.id), Index: b.first,
				Detail: "the batch is sealed twice"})
		}
		r.batches[b.id] = struct{}{}
	}
	r.total = r.sealed + int64(len(rules))*r.ruleWeight()
	return nil
}

// chunkSize is how many transactions a worker looks up at once.
const chunkSize = 2048

// chunk is a run of sealed batches, by their first indexes.
type chunk struct{ from, to int64 }

func chunks(spans []span) (list []chunk) {
	var size int64
	for _, b := range spans {
		if n := len(list); n > 0 && size+b.size <= chunkSize {
			size += b.size
			list[n-1].to = b.first
			continue
		}
		size = b.size
		list = append(list, chunk{b.first, b.first})
	}
	return list
}

func scanBatch(row pgx.CollectableRow, b *batch) error {
	return row.Scan(&b.first, &b.size, &b.id, &b.ids, &b.hashes, &b.from, &b.to)
}

func (r *run) chunk(ctx context.Context, s *session, c chunk) error {
	if err := s.probe(ctx); err != nil {
		return err
	}
	list, err := query(ctx, s.db, scanBatch, `SELECT first_index, size, batch_id, transaction_ids, leaf_hashes, recorded_from, recorded_to
		FROM sealed_batches WHERE first_index >= $1 AND first_index <= $2 ORDER BY first_index`, c.from, c.to)
	if err != nil {
		return fmt.Errorf("read the batches from index %d: %w", c.from, err)
	}
	var n int64
	for i := range list {
		list[i].table = "sealed_batches"
		n += list[i].size
	}
	if err := r.compare(ctx, s, list); err != nil {
		return fmt.Errorf("read the transactions of the batches from index %d: %w", c.from, err)
	}
	r.step(n)
	return nil
}

// queue compares the batches that wait to be sealed.
func (r *run) queue(ctx context.Context, s *session) error {
	if err := s.probe(ctx); err != nil {
		return err
	}
	for last := int64(-1 << 62); ; {
		list, err := query(ctx, s.db, scanBatch,
			`SELECT -1::bigint, cardinality(transaction_ids)::bigint, id, transaction_ids, leaf_hashes, recorded_from, recorded_to
			FROM seal_queue WHERE id > $1 ORDER BY id LIMIT 64`, last)
		if err != nil {
			return fmt.Errorf("read the queue: %w", err)
		}
		if len(list) == 0 {
			return nil
		}
		for i := range list {
			b := &list[i]
			b.table, last = "seal_queue", b.id
			r.counts.queued.Add(b.size)
			if _, sealed := r.batches[b.id]; sealed {
				r.add(Finding{Kind: Inserted, Table: b.table, Key: b.key(), Index: -1, Detail: "the batch is sealed already"})
			}
		}
		if err := r.compare(ctx, s, list); err != nil {
			return fmt.Errorf("read the transactions of the queue: %w", err)
		}
	}
}

// order looks whether the indexes of the batches follow each other without a gap, and if they do not, or do not lead to the tree's root,
// whether the order of batch ids does: then batches were moved.
func (r *run) order(ctx context.Context, s *session, b *building, state *treeState) error {
	gapless := true
	var next int64
	for _, sp := range r.spans {
		gapless = gapless && sp.first == next
		next = sp.first + sp.size
	}
	if gapless && r.fits(b, state) {
		return nil
	}
	sorted := slices.Clone(r.spans)
	slices.SortStableFunc(sorted, func(a, b span) int { return cmp.Compare(a.id, b.id) })
	if !slices.Equal(sorted, r.spans) || !gapless {
		again, err := r.build(ctx, s, byBatch, nil)
		if err != nil {
			return err
		}
		if r.fits(&again, state) {
			*b = again
			r.moved(sorted)
			return nil
		}
	}
	if !gapless {
		r.gaps()
	}
	return nil
}

// moved names the batches that are not where the order of their ids, which leads to the tree's root, has them.
func (r *run) moved(sorted []span) {
	var next int64
	var wrong []Finding
	for _, sp := range sorted {
		if sp.first != next {
			wrong = append(wrong, Finding{Kind: Altered, Table: "sealed_batches", Key: fmt.Sprintf("batch %d", sp.id), Index: next,
				Detail: fmt.Sprintf("its first index is %d, the tree has it at %d", sp.first, next)})
		}
		next += sp.size
	}
	for _, f := range wrong {
		if len(wrong) > 1 {
			f.Kind = Reordered
		}
		r.add(f)
	}
}

// gaps names the places where batches are missing or overlap.
func (r *run) gaps() {
	var next int64
	for _, sp := range r.spans {
		switch {
		case sp.first > next:
			r.add(Finding{Kind: Deleted, Table: "sealed_batches", Key: fmt.Sprintf("first index %d", next), Index: next,
				Detail: fmt.Sprintf("the leaves %d to %d are missing", next, sp.first-1)})
		case sp.first < next:
			r.add(Finding{Kind: Inserted, Table: "sealed_batches", Key: fmt.Sprintf("batch %d", sp.id), Index: sp.first,
				Detail: fmt.Sprintf("its first index %d is within another batch", sp.first)})
		}
		next = max(next, sp.first+sp.size)
	}
}
