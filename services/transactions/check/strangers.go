package check

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// strangers names rows that belong to nothing. Every row that was found where it belongs was counted: if a table has as many, it has no
// others.
func (r *run) strangers(ctx context.Context, s *session, _ *building, _ *treeState) error {
	if err := s.scan(ctx); err != nil {
		return err
	}
	type numbers struct{ transactions, postings, holds, metadata int64 }
	list, err := query(ctx, s.db, func(row pgx.CollectableRow, v *numbers) error {
		return row.Scan(&v.transactions, &v.postings, &v.holds, &v.metadata)
	}, "SELECT (SELECT count(*) FROM transactions), (SELECT count(*) FROM postings), (SELECT count(*) FROM holds), (SELECT count(*) FROM "+
		"transaction_metadata)")
	if err != nil {
		return fmt.Errorf("count the rows: %w", err)
	}
	n, suspicious := list[0], len(r.findings) > 0
	for _, t := range []struct {
		there, known int64
		look         func(context.Context, *session) error
	}{
		{n.transactions, r.counts.transactions.Load(), r.strangeTransactions},
		{n.postings, r.counts.postings.Load(), r.strangePostings},
		{n.holds, r.counts.holds.Load(), r.strangeHolds},
		{n.metadata, r.counts.metadata.Load(), r.strangeMetadata},
	} {
		if t.there == t.known && !suspicious { // what is wrong already may have led to a wrong count
			continue
		}
		if err := t.look(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// perTable bounds the strangers of one table that are named.
const perTable = 50

type stranger struct {
	id       uuid.UUID
	position int64
	batch    int64
}

func (r *run) search(ctx context.Context, s *session, sql string) ([]stranger, error) {
	list, err := query(ctx, s.db, func(row pgx.CollectableRow, v *stranger) error { return row.Scan(&v.id, &v.position, &v.batch) },
		fmt.Sprintf("%s LIMIT %d", sql, perTable))
	if err != nil {
		return nil, fmt.Errorf("look for rows that belong to nothing: %w", err)
	}
	return list, nil
}

func (r *run) strangeTransactions(ctx context.Context, s *session) error {
	list, err := r.search(ctx, s, `SELECT t.id, t.batch_position::bigint, t.batch_id FROM transactions t
		WHERE NOT EXISTS (SELECT FROM sealed_batches b WHERE b.batch_id = t.batch_id AND b.transaction_ids[t.batch_position + 1] = t.id
			AND t.recorded_at BETWEEN b.recorded_from AND b.recorded_to)
		AND NOT EXISTS (SELECT FROM seal_queue q WHERE q.id = t.batch_id AND q.transaction_ids[t.batch_position + 1] = t.id
			AND t.recorded_at BETWEEN q.recorded_from AND q.recorded_to)
		ORDER BY t.batch_id, t.batch_position, t.id`)
	if err != nil {
		return err
	}
	for start := 0; start < len(list); {
		end := start + 1
		for end < len(list) && list[end].batch == list[start].batch {
			end++
		}
		if err := r.strangeBatch(ctx, s, list[start:end]); err != nil {
			return err
		}
		start = end
	}
	return nil
}

// strangeBatch tells transactions that were inserted from those whose batch was deleted: those are whole, and stand in its order.
func (r *run) strangeBatch(ctx context.Context, s *session, list []stranger) error {
	ids := make([]uuid.UUID, len(list))
	for i := range list {
		ids[i] = list[i].id
	}
	found, err := load(ctx, s.db, ids, nil)
	if err != nil {
		return err
	}
	_, known := r.batches[list[0].batch]
	whole := !known
	for i, v := range list {
		x := single(found[v.id])
		whole = whole && x != nil && v.position == int64(i) && x.whole() && x.repeats() == nil
	}
	if whole {
		r.add(Finding{Kind: Deleted, Table: "sealed_batches or seal_queue", Key: fmt.Sprintf("batch %d", list[0].batch), Index: -1,
			Detail: fmt.Sprintf("its transactions are there, from %s to %s, and nothing lists them", list[0].id, list[len(list)-1].id)})
		return nil
	}
	for _, v := range list {
		if !r.isNamed(transactionKey(v.id)) {
			r.add(Finding{Kind: Inserted, Table: "transactions", Key: transactionKey(v.id), Index: -1,
				Detail: fmt.Sprintf("it says batch %d, position %d, which does not list it", v.batch, v.position)})
		}
	}
	return nil
}

func (r *run) strangePostings(ctx context.Context, s *session) error {
	list, err := r.search(ctx, s, `SELECT p.transaction_id, p.position::bigint, 0::bigint FROM postings p
		LEFT JOIN transactions t ON t.id = p.transaction_id AND t.recorded_at = p.recorded_at WHERE t.id IS NULL ORDER BY p.recorded_at,
		p.transaction_id, p.position`)
	for _, v := range list {
		key := postingKey(v.id, int(v.position))
		if !r.isNamed(transactionKey(v.id)) && !r.isNamed(key) {
			r.add(Finding{Kind: Inserted, Table: "postings", Key: key, Index: -1, Detail: "it belongs to no transaction"})
		}
	}
	return err
}

func (r *run) strangeHolds(ctx context.Context, s *session) error {
	list, err := r.search(ctx, s, `SELECT h.id, 0::bigint, 0::bigint FROM holds h
		LEFT JOIN transactions t ON t.id = h.id AND t.hold_id = h.id WHERE t.id IS NULL ORDER BY h.created_at, h.id`)
	for _, v := range list {
		if !r.isNamed(transactionKey(v.id)) {
			r.add(Finding{Kind: Inserted, Table: "holds", Key: "hold " + v.id.String(), Index: -1, Detail: "no transaction opened it"})
		}
	}
	return err
}

func (r *run) strangeMetadata(ctx context.Context, s *session) error {
	list, err := r.search(ctx, s, `SELECT m.transaction_id, 0::bigint, 0::bigint FROM transaction_metadata m
		LEFT JOIN transactions t ON t.id = m.transaction_id AND t.metadata_hash IS NOT NULL WHERE t.id IS NULL ORDER BY m.transaction_id`)
	for _, v := range list {
		if !r.isNamed(transactionKey(v.id)) {
			r.add(Finding{Kind: Inserted, Table: "transaction_metadata", Key: transactionKey(v.id), Index: -1,
				Detail: "no transaction has metadata of this hash"})
		}
	}
	return err
}
