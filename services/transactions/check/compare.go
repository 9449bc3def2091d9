package check

import (
	"bytes"
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/sendtip/sendtip/services/transactions/proof"
)

// suspect is a place in the tree whose transaction has not the leaf that was sealed there.
type suspect struct {
	batch    *batch
	position int
	id       uuid.UUID
	want     proof.Hash
	hasWant  bool
	got      proof.Hash // of the rows as they are
	hasGot   bool
	altered  Finding // what is to be said if its rows were changed
}

func (p *suspect) index() int64 { return p.batch.index(p.position) }

// compare recomputes the leaves of batches from their rows.
func (r *run) compare(ctx context.Context, s *session, list []batch) error {
	var ids []uuid.UUID
	w := window{from: list[0].from, to: list[0].to}
	for i := range list {
		b := &list[i]
		if int(b.size) != len(b.ids) || b.hashes != nil && len(b.hashes) != proof.HashSize*len(b.ids) || b.hashes == nil && b.first >= 0 {
			r.add(Finding{Kind: Altered, Table: b.table, Key: b.key(), Index: b.first,
				Detail: fmt.Sprintf("it has %d transactions and %d bytes of hashes, and says %d", len(b.ids), len(b.hashes), b.size)})
		}
		ids = append(ids, b.ids...)
		w.from, w.to = earlier(w.from, b.from), later(w.to, b.to)
	}
	found, err := load(ctx, s.db, ids, &w)
	if err != nil {
		return err
	}
	var suspects []suspect
	var missing []suspect // metadata
	taken := make(map[*row]bool, len(ids))
	for i := range list {
		b := &list[i]
		var from, to pgtype.Timestamptz
		for position, id := range b.ids {
			p := suspect{batch: b, position: position, id: id}
			p.want, p.hasWant = b.hash(position)
			x := single(found[id])
			if x == nil || taken[x] || !r.sound(s, &p, x) {
				suspects = append(suspects, p)
				continue
			}
			taken[x] = true
			r.count(x)
			if x.leaf.MetadataHash != nil && x.metadata == nil {
				missing = append(missing, p)
			}
			at := pgtype.Timestamptz{Time: x.leaf.RecordedAt, Valid: true}
			if position == 0 {
				from, to = at, at
			}
			from, to = earlier(from, at), later(to, at)
		}
		if len(taken) > 0 && len(suspects) == 0 && (!from.Time.Equal(moment(b.from)) || !to.Time.Equal(moment(b.to))) {
			r.add(Finding{Kind: Altered, Table: b.table, Key: b.key(), Index: b.first,
				Detail: "recorded_from and recorded_to are not the times of its transactions"})
		}
	}
	if err := r.erased(ctx, s, missing); err != nil {
		return err
	}
	return r.examine(ctx, s, suspects)
}

// single is the only row of a list; nil if it has none or several.
func single(rows []*row) *row {
	if len(rows) != 1 {
		return nil
	}
	return rows[0]
}

func earlier(a, b pgtype.Timestamptz) pgtype.Timestamptz {
	if moment(b).Before(moment(a)) {
		return b
	}
	return a
}

func later(a, b pgtype.Timestamptz) pgtype.Timestamptz {
	if moment(b).After(moment(a)) {
		return b
	}
	return a
}

// sound says whether the rows give the leaf, stand where it stands, and repeat truly what they say twice.
func (r *run) sound(s *session, p *suspect, x *row) bool {
	if !x.whole() {
		return false
	}
	p.got, p.hasGot = s.encoder.LeafHash(&x.leaf), true
	return (p.got == p.want || !p.hasWant && p.batch.first < 0) && x.leaf.Batch == p.batch.id && x.leaf.BatchPosition == p.position &&
		x.repeats() == nil
}

// repeats returns what the rows say twice, and not the same.
func (r *row) repeats() *Finding {
	t := &r.leaf
	if r.refID != t.ID {
		return &Finding{Kind: Altered, Table: "ledger_references", Key: "reference " + t.Reference,
			Detail: fmt.Sprintf("it belongs to transaction %s, and names another", t.ID)}
	}
	for i := range r.postings {
		p := &r.postings[i]
		if !p.recorded.Equal(t.RecordedAt) {
			return &Finding{Kind: Altered, Table: "postings", Key: postingKey(t.ID, p.position),
				Detail: "its recorded_at is not that of its transaction"}
		}
		if !p.effective.Equal(t.EffectiveAt) {
			return &Finding{Kind: Altered, Table: "postings", Key: postingKey(t.ID, p.position),
				Detail: "its effective_at is not that of its transaction"}
		}
	}
	if r.hold != nil && !r.hold.created.Equal(t.RecordedAt) {
		return &Finding{Kind: Altered, Table: "holds", Key: "hold " + t.ID.String(),
			Detail: "its created_at is not when its transaction was recorded"}
	}
	if r.metadata != nil && !bytes.Equal(r.metadata.hash(), t.MetadataHash) {
		return &Finding{Kind: Altered, Table: "transaction_metadata", Key: transactionKey(t.ID),
			Detail: "metadata and salt do not have the hash that the leaf covers"}
	}
	return nil
}

func (r *run) count(x *row) {
	r.counts.transactions.Add(1)
	r.counts.postings.Add(int64(len(x.postings)))
	if x.hold != nil {
		r.counts.holds.Add(1)
	}
	if x.metadata != nil {
		r.counts.metadata.Add(1)
	}
}

// erased accepts missing metadata that the audit log says was erased.
func (r *run) erased(ctx context.Context, s *session, missing []suspect) error {
	if len(missing) == 0 {
		return nil
	}
	names := make([]string, len(missing))
	for i := range missing {
		names[i] = missing[i].id.String()
	}
	list, err := query(ctx, s.db, func(row pgx.CollectableRow, v *string) error { return row.Scan(v) },
		`SELECT DISTINCT object_id FROM audit_log WHERE object_type = 'ledger_transaction' AND object_id = ANY($1) AND action =
			'ledger_transaction.metadata_erased'`, names)
	if err != nil {
		return fmt.Errorf("read the audit log: %w", err)
	}
	audited := make(map[string]bool, len(list))
	for _, id := range list {
		audited[id] = true
	}
	for i := range missing {
		if audited[names[i]] {
			r.counts.erased.Add(1)
			continue
		}
		r.add(Finding{Kind: Deleted, Table: "transaction_metadata", Key: transactionKey(missing[i].id), Index: missing[i].index(),
			Detail: "the metadata is gone, and the audit log has no erasure of it"})
	}
	return nil
}
