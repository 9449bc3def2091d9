package check

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/services/transactions/proof"
)

// examine finds out what happened to the rows of suspects, of which the first ones are looked at closely.
func (r *run) examine(ctx context.Context, s *session, suspects []suspect) error {
	if len(suspects) == 0 {
		return nil
	}
	ids := make([]uuid.UUID, len(suspects))
	for i := range suspects {
		ids[i] = suspects[i].id
	}
	found, err := load(ctx, s.db, ids, nil)
	if err != nil {
		return err
	}
	for i := range suspects {
		if err := r.explain(ctx, s, &suspects[i], found[suspects[i].id]); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) explain(ctx context.Context, s *session, p *suspect, rows []*row) error {
	if len(rows) == 0 {
		return r.vanished(ctx, s, p)
	}
	best := slices.IndexFunc(rows, func(x *row) bool { return r.sound(s, p, x) })
	sound := best >= 0
	x := rows[max(best, 0)]
	for _, other := range rows {
		if other != x {
			r.add(Finding{Kind: Inserted, Table: "transactions", Key: transactionKey(p.id), Index: p.index(),
				Detail: "there is a second row of it, recorded at " + other.leaf.RecordedAt.UTC().Format("2006-01-02T15:04:05.000000Z")})
		}
	}
	r.count(x)
	if !sound {
		return r.diagnosed(ctx, s, p, x)
	}
	if x.leaf.MetadataHash != nil && x.metadata == nil {
		if err := r.erased(ctx, s, []suspect{*p}); err != nil {
			return err
		}
	}
	if len(rows) == 1 {
		r.add(Finding{Kind: Altered, Table: p.batch.table, Key: p.batch.key(), Index: p.batch.first,
			Detail: fmt.Sprintf("transaction %s was recorded outside its recorded_from and recorded_to", p.id)})
	}
	return nil
}

// vanished explains an id that no transaction has.
func (r *run) vanished(ctx context.Context, s *session, p *suspect) error {
	gone := Finding{Kind: Deleted, Table: "transactions", Key: transactionKey(p.id), Index: p.index(),
		Detail: "the batch lists it, and there is no row of it"}
	if r.diagnose.Add(-5) < 0 {
		r.add(gone)
		return nil
	}
	there, err := query(ctx, s.db, func(row pgx.CollectableRow, v *uuid.UUID) error { return row.Scan(v) },
		"SELECT id FROM transactions WHERE batch_id = $1 AND batch_position = $2 LIMIT 1", p.batch.id, p.position)
	if err != nil {
		return err
	}
	if len(there) == 0 {
		r.add(gone)
		return nil
	}
	found, err := load(ctx, s.db, there, nil)
	if err != nil {
		return err
	}
	x := found[there[0]][0]
	if r.sound(s, p, x) {
		r.count(x)
		r.add(Finding{Kind: Altered, Table: p.batch.table, Key: p.batch.key(), Index: p.index(),
			Detail: fmt.Sprintf("at position %d it lists %s, where the leaf is that of transaction %s", p.position, p.id, there[0])})
		return nil
	}
	r.add(Finding{Kind: Altered, Table: "transactions", Key: transactionKey(p.id), Index: p.index(),
		Detail: fmt.Sprintf("the row at its place has the id %s", there[0])})
	return nil
}

// diagnosed adds what is wrong with a transaction that is there.
func (r *run) diagnosed(ctx context.Context, s *session, p *suspect, x *row) error {
	if f := x.rebooked(s, p); f != nil { // as many as a busy account has: this look is cheap
		r.doubt(p, *f)
		return nil
	}
	if r.diagnose.Add(-1) < 0 {
		r.add(r.altered(p, x))
		return nil
	}
	for _, look := range []func(context.Context, *session, *suspect, *row) (*Finding, error){r.misplaced, r.reference, r.incomplete, r.single,
		r.lastPosting} {
		f, err := look(ctx, s, p, x)
		if err != nil {
			return err
		}
		if f != nil {
			f.Index = p.index()
			r.add(*f)
			return nil
		}
	}
	p.got, p.hasGot = s.encoder.LeafHash(&x.leaf), x.whole()
	r.doubt(p, r.altered(p, x))
	return nil
}

// doubt keeps a transaction whose rows may have been changed as said: the tree will tell whether they were, or the leaf hash.
func (r *run) doubt(p *suspect, altered Finding) {
	p.altered = altered
	r.keep(p)
	if !p.hasGot || p.batch.first < 0 { // there is no tree to ask
		r.add(p.altered)
	}
}

// maxDoubts bounds the suspects that are kept for one row that may have been changed: an account's may be in millions of leaves.
const maxDoubts = 200

// doubts are the suspects that are kept for one row: their number, and where the first of them is in run.suspects.
type doubts struct{ kept, first int }

// keep keeps a suspect if its row has few so far, or none before it in the tree: it then takes the place of the first one.
func (r *run) keep(p *suspect) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.doubted[p.altered.Key]
	switch {
	case d.kept < maxDoubts:
		if d.kept++; d.kept == 1 {
			d.first = len(r.suspects)
		}
		r.suspects = append(r.suspects, *p)
	case uint64(p.index()) < uint64(r.suspects[d.first].index()): // #nosec G115 -- -1 becomes the largest
		r.suspects[d.first] = *p
	}
	r.doubted[p.altered.Key] = d
}

func (r *run) altered(p *suspect, x *row) Finding {
	return Finding{Kind: Altered, Table: "transactions", Key: transactionKey(p.id), Index: p.index(),
		Detail: fmt.Sprintf("its rows (reference %s, %d postings) do not give the leaf of batch %d, position %d", x.leaf.Reference,
			len(x.postings), p.batch.id, p.position)}
}

// misplaced: the transaction is sound by itself, but not where it stands.
func (r *run) misplaced(ctx context.Context, s *session, p *suspect, x *row) (*Finding, error) {
	t := &x.leaf
	if !x.whole() || !p.hasWant {
		return nil, nil
	}
	got := s.encoder.LeafHash(t)
	if t.Batch == p.batch.id && t.BatchPosition == p.position {
		if got == p.want {
			return x.repeats(), nil
		}
		for j := range p.batch.ids {
			if h, ok := p.batch.hash(j); ok && h == got {
				return &Finding{Kind: Reordered, Table: p.batch.table, Key: p.batch.key(),
					Detail: fmt.Sprintf("the leaf hash of %s, position %d, stands at position %d", p.id, p.position, j)}, nil
			}
		}
		return nil, nil
	}
	own, err := query(ctx, s.db, func(row pgx.CollectableRow, v *struct {
		id   *uuid.UUID
		hash []byte
	}) error {
		return row.Scan(&v.id, &v.hash)
	}, `SELECT transaction_ids[$2::int + 1], substring(leaf_hashes FROM 32 * $2::int + 1 FOR 32) FROM sealed_batches WHERE batch_id = $1
		UNION ALL SELECT transaction_ids[$2::int + 1], substring(leaf_hashes FROM 32 * $2::int + 1 FOR 32) FROM seal_queue WHERE id = $1`,
		t.Batch, t.BatchPosition)
	if err != nil {
		return nil, err
	}
	wrong := &Finding{Kind: Reordered, Table: p.batch.table, Key: p.batch.key(),
		Detail: fmt.Sprintf("position %d lists transaction %s, whose rows say batch %d, position %d", p.position, p.id, t.Batch, t.BatchPosition)}
	for _, o := range own {
		switch {
		case o.id != nil && *o.id == t.ID && slices.Equal(o.hash, got[:]):
			wrong.Kind = Inserted // it is where it belongs, and here a second time
			return wrong, nil
		case got == p.want || slices.Equal(o.hash, got[:]):
			return wrong, nil
		}
	}
	if got == p.want && len(own) == 0 {
		wrong.Kind, wrong.Detail = Altered, fmt.Sprintf("its transactions say that their batch is %d", t.Batch)
		return wrong, nil
	}
	return nil, nil
}

// reference: the transaction and its row in ledger_references no longer name each other.
func (r *run) reference(ctx context.Context, s *session, p *suspect, x *row) (*Finding, error) {
	t := x.leaf
	if x.hasRef && x.refID == t.ID {
		return nil, nil
	}
	type reference struct {
		name string
		hash []byte
	}
	list, err := query(ctx, s.db, func(row pgx.CollectableRow, v *reference) error { return row.Scan(&v.name, &v.hash) },
		"SELECT reference, body_hash FROM ledger_references WHERE transaction_id = $1 LIMIT 2", t.ID)
	if err != nil {
		return nil, err
	}
	for _, other := range list {
		for _, name := range []string{t.Reference, other.name} {
			fixed := t
			fixed.Reference, fixed.RequestHash = name, other.hash
			if s.encoder.LeafHash(&fixed) != p.want {
				continue
			}
			if name == t.Reference {
				return &Finding{Kind: Altered, Table: "ledger_references", Key: "reference " + t.Reference,
					Detail: fmt.Sprintf("the row of transaction %s has the reference %s now", t.ID, other.name)}, nil
			}
			return &Finding{Kind: Altered, Table: "transactions", Key: transactionKey(t.ID),
				Detail: fmt.Sprintf("its reference is %s now, and was %s", t.Reference, name)}, nil
		}
	}
	if !x.hasRef {
		return &Finding{Kind: Deleted, Table: "ledger_references", Key: "reference " + t.Reference,
			Detail: fmt.Sprintf("transaction %s has it, and there is no row of it", t.ID)}, nil
	}
	return nil, nil
}

// incomplete: postings or the hold are missing, are too many, or stand out of their order.
func (r *run) incomplete(_ context.Context, s *session, p *suspect, x *row) (*Finding, error) {
	t := x.leaf
	fits := func(postings []proof.Posting) bool {
		fixed := t
		fixed.Postings = postings
		return p.hasWant && s.encoder.LeafHash(&fixed) == p.want
	}
	if x.opens() && x.hold == nil {
		return &Finding{Kind: Deleted, Table: "holds", Key: "hold " + t.ID.String(),
			Detail: "its transaction opened it, and there is no row of it"}, nil
	}
	if x.hold != nil && x.hold.odd != nil {
		return &Finding{Kind: Altered, Table: "holds", Key: "hold " + t.ID.String(), Detail: x.hold.odd.Error()}, nil
	}
	for i := range x.postings {
		if fits(slices.Delete(slices.Clone(t.Postings), i, i+1)) {
			return &Finding{Kind: Inserted, Table: "postings", Key: postingKey(t.ID, x.postings[i].position),
				Detail: "the leaf has no such posting"}, nil
		}
	}
	for i := range t.Postings { // one posting was moved, or two were exchanged
		for j := range t.Postings {
			moved := slices.Insert(slices.Delete(slices.Clone(t.Postings), i, i+1), j, t.Postings[i])
			swapped := slices.Clone(t.Postings)
			swapped[i], swapped[j] = swapped[j], swapped[i]
			if !fits(moved) && !fits(swapped) || i == j && x.ordered() {
				continue
			}
			kind := Reordered
			if !x.ordered() {
				kind = Altered
			}
			return &Finding{Kind: kind, Table: "postings", Key: postingKey(t.ID, x.postings[i].position),
				Detail: fmt.Sprintf("its position is %d now, and was another", x.postings[i].position)}, nil
		}
	}
	if x.ordered() {
		return nil, nil
	}
	i := 0
	for x.postings[i].position == i { // not ordered: it ends
		i++
	}
	if x.postings[i].position < i {
		return &Finding{Kind: Inserted, Table: "postings", Key: postingKey(t.ID, x.postings[i].position), Detail: "the position is taken twice"},
			nil
	}
	return &Finding{Kind: Deleted, Table: "postings", Key: postingKey(t.ID, i), Detail: "its transaction has later positions"}, nil
}

// lastPosting: the last posting was deleted, which leaves no gap. The transaction's balances say which entry each account got last.
func (r *run) lastPosting(ctx context.Context, s *session, _ *suspect, x *row) (*Finding, error) {
	t := &x.leaf
	balances, err := proof.DecodeBalances(t.Balances)
	if err != nil {
		return nil, nil //nolint:nilerr // an altered column: the caller names the transaction
	}
	lost := 0
	for _, b := range balances {
		if b.Sequence == 0 {
			continue
		}
		entries, err := query(ctx, s.db, func(row pgx.CollectableRow, v *int) error { return row.Scan(v) },
			"SELECT 1 FROM postings WHERE source_id = $1 AND source_sequence = $2 UNION ALL SELECT 1 FROM postings WHERE destination_id = $1 AND "+
				"destination_sequence = $2 LIMIT 1", b.Account, b.Sequence)
		if err != nil {
			return nil, err
		}
		if len(entries) == 0 {
			lost++
		}
	}
	if lost < 2 {
		return nil, nil
	}
	return &Finding{Kind: Deleted, Table: "postings", Key: postingKey(t.ID, len(x.postings)),
		Detail: "its accounts have the balances after it, and no entry of it"}, nil
}
