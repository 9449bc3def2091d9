package check

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/sendtip/sendtip/services/transactions/proof"
)

// row is a transaction as its rows have it, with what they say twice.
type row struct {
	leaf     proof.Transaction
	salt     []byte
	hasRef   bool // ledger_references has its reference
	refID    uuid.UUID
	postings []postingRow
	hold     *holdRow
	metadata *metadataRow
	books    map[uuid.UUID]string // of its accounts, and of those that its balances name
}

type postingRow struct {
	transaction         uuid.UUID
	position            int
	recorded, effective time.Time
	leaf                proof.Posting
}

type holdRow struct {
	id      uuid.UUID
	leaf    proof.Hold
	created time.Time
	odd     error // its lines are not of the ledger's shape
}

type metadataRow struct {
	facts []byte
	salt  []byte
}

// moment is a time that no infinity can be taken for.
func moment(t pgtype.Timestamptz) time.Time {
	if t.InfinityModifier != pgtype.Finite {
		return time.Date(294276, 1, 1, 0, 0, 0, int(t.InfinityModifier)*1000+1_000_000, time.UTC)
	}
	return t.Time
}

const transactionColumns = `t.id, t.recorded_at, t.reference, t.action, t.type, t.channel, t.hold_id, t.hold_delta_minor,
	t.reverses_id, t.effective_at,
	t.metadata_hash, t.salt, t.batch_id, t.batch_position, t.balances, r.body_hash, r.transaction_id, t.leaf_version
	FROM transactions t LEFT JOIN ledger_references r ON r.reference = t.reference WHERE `

func scanTransaction(from pgx.CollectableRow, to **row) error {
	r := &row{}
	t := &r.leaf
	var recorded, effective pgtype.Timestamptz
	var hold, reverses, ref *uuid.UUID
	var position int16
	err := from.Scan(&t.ID, &recorded, &t.Reference, &t.Action, &t.Type, &t.Channel, &hold, &t.HoldDelta, &reverses, &effective,
		&t.MetadataHash, &r.salt, &t.Batch, &position, &t.Balances, &t.RequestHash, &ref,
		&t.Version)
	if err != nil {
		return err
	}
	t.RecordedAt, t.BatchPosition = moment(recorded), int(position)
	if effective.Valid {
		t.EffectiveAt = moment(effective)
	}
	if hold != nil {
		t.HoldID = *hold
	}
	if reverses != nil {
		t.ReversesID = *reverses
	}
	if r.hasRef = ref != nil; r.hasRef {
		r.refID = *ref
	}
	copy(t.Salt[:], r.salt)
	*to = r
	return nil
}

const postingColumns = `transaction_id, position, recorded_at, effective_at, source_id, destination_id, currency, amount_minor,
	source_sequence, source_balance_minor, destination_sequence, destination_balance_minor, reverses_position FROM postings WHERE `

func scanPosting(from pgx.CollectableRow, to *postingRow) error {
	var recorded, effective pgtype.Timestamptz
	var position int16
	var reverses *int16
	p := &to.leaf
	err := from.Scan(&to.transaction, &position, &recorded, &effective, &p.Source, &p.Destination, &p.Currency, &p.Amount,
		&p.SourceSequence, &p.SourceBalance, &p.DestinationSequence, &p.DestinationBalance, &reverses)
	if err != nil {
		return err
	}
	to.position, to.recorded = int(position), moment(recorded)
	if effective.Valid {
		to.effective = moment(effective)
	}
	p.ReversesPosition = -1
	if reverses != nil {
		p.ReversesPosition = int(*reverses)
	}
	return nil
}

const holdColumns = "id, account_id, currency, amount_minor, lines, reason, expires_at, created_at FROM holds WHERE "

func scanHold(from pgx.CollectableRow, to **holdRow) error {
	h := &holdRow{}
	var expires, created pgtype.Timestamptz
	var lines []byte
	if err := from.Scan(&h.id, &h.leaf.Account, &h.leaf.Currency, &h.leaf.Amount, &lines, &h.leaf.Reason, &expires, &created); err != nil {
		return err
	}
	h.created = moment(created)
	if expires.Valid {
		h.leaf.ExpiresAt = moment(expires)
	}
	h.leaf.Lines, h.odd = holdLines(lines)
	*to = h
	return nil
}

// holdLines reads lines that have exactly their three fields.
func holdLines(stored []byte) ([]proof.HoldLine, error) {
	var fields []map[string]json.RawMessage
	if err := json.Unmarshal(stored, &fields); err != nil || fields == nil {
		return nil, errors.New("its lines are no list")
	}
	var lines []proof.HoldLine
	for _, f := range fields {
		var l proof.HoldLine
		var remaining int64
		if len(f) != 3 || json.Unmarshal(f["destination"], &l.Destination) != nil || json.Unmarshal(f["amount"], &l.Amount) != nil ||
			json.Unmarshal(f["remaining"], &remaining) != nil {
			return nil, errors.New("a line has not its three fields")
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// window is a range of recorded times; nil: any time.
type window struct{ from, to pgtype.Timestamptz }

// and is the end of a condition that leaves out partitions.
func (w *window) and(args ...any) (string, []any) {
	if w == nil {
		return "", args
	}
	return " AND recorded_at >= $2 AND recorded_at <= $3", append(args, w.from, w.to)
}

// load reads transactions by id with all that belongs to them. A superuser may have made two of one id.
func load(ctx context.Context, db Querier, ids []uuid.UUID, w *window) (map[uuid.UUID][]*row, error) {
	and, args := w.and(ids)
	list, err := query(ctx, db, scanTransaction, "SELECT "+transactionColumns+"t.id = ANY($1)"+qualified(and), args...)
	if err != nil {
		return nil, err
	}
	found := make(map[uuid.UUID][]*row, len(list))
	var holds, facts []uuid.UUID
	for _, r := range list {
		found[r.leaf.ID] = append(found[r.leaf.ID], r)
		if r.leaf.HoldID == r.leaf.ID {
			holds = append(holds, r.leaf.ID)
		}
		if r.leaf.MetadataHash != nil {
			facts = append(facts, r.leaf.ID)
		}
	}
	postings, err := query(ctx, db, scanPosting, "SELECT "+postingColumns+"transaction_id = ANY($1)"+and+
		" ORDER BY transaction_id, position, recorded_at", args...)
	if err != nil {
		return nil, err
	}
	for i := range postings {
		for _, r := range found[postings[i].transaction] {
			r.postings = append(r.postings, postings[i])
			r.leaf.Postings = append(r.leaf.Postings, postings[i].leaf)
		}
	}
	if err := loadHolds(ctx, db, holds, found); err != nil {
		return nil, err
	}
	if err := loadBooks(ctx, db, list); err != nil {
		return nil, err
	}
	return found, loadMetadata(ctx, db, facts, found)
}

// loadBooks adds what the rows of the accounts say of their books.
func loadBooks(ctx context.Context, db Querier, list []*row) error {
	known := map[uuid.UUID]string{}
	for _, r := range list {
		for _, id := range r.leaf.Accounts() {
			known[id] = ""
		}
		if balances, err := proof.DecodeBalances(r.leaf.Balances); err == nil {
			for _, b := range balances {
				known[b.Account] = ""
			}
		}
	}
	if len(known) == 0 {
		return nil
	}
	rows, err := db.Query(ctx, "SELECT id, book FROM accounts WHERE id = ANY($1)", slices.Collect(maps.Keys(known)))
	if err != nil {
		return err
	}
	var id uuid.UUID
	var book string
	if _, err := pgx.ForEachRow(rows, []any{&id, &book}, func() error {
		known[id] = book
		return nil
	}); err != nil {
		return err
	}
	for _, r := range list {
		r.books = known
		r.leaf.SetBooks(known)
	}
	return nil
}

func qualified(and string) string {
	if and == "" {
		return ""
	}
	return " AND t.recorded_at >= $2 AND t.recorded_at <= $3"
}

func loadHolds(ctx context.Context, db Querier, ids []uuid.UUID, found map[uuid.UUID][]*row) error {
	if len(ids) == 0 {
		return nil
	}
	list, err := query(ctx, db, scanHold, "SELECT "+holdColumns+"id = ANY($1)", ids)
	for _, h := range list {
		for _, r := range found[h.id] {
			r.hold, r.leaf.Hold = h, &h.leaf
		}
	}
	return err
}

func loadMetadata(ctx context.Context, db Querier, ids []uuid.UUID, found map[uuid.UUID][]*row) error {
	if len(ids) == 0 {
		return nil
	}
	rows, err := db.Query(ctx, "SELECT transaction_id, metadata, salt FROM transaction_metadata WHERE transaction_id = ANY($1)", ids)
	if err != nil {
		return err
	}
	_, err = pgx.CollectRows(rows, func(from pgx.CollectableRow) (struct{}, error) {
		var id uuid.UUID
		m := &metadataRow{}
		err := from.Scan(&id, &m.facts, &m.salt)
		for _, r := range found[id] {
			r.metadata = m
		}
		return struct{}{}, err
	})
	return err
}

// hash is what metadata would have in a leaf; nil if it is none that the ledger writes.
func (m *metadataRow) hash() []byte {
	var facts map[string]string
	if len(m.salt) != proof.SaltSize || json.Unmarshal(m.facts, &facts) != nil {
		return nil
	}
	h := proof.MetadataHash([proof.SaltSize]byte(m.salt), facts)
	return h[:]
}

// ordered says whether the postings stand at the positions 0, 1, 2 …
func (r *row) ordered() bool {
	for i := range r.postings {
		if r.postings[i].position != i {
			return false
		}
	}
	return true
}

// opens says whether the transaction opened a hold.
func (r *row) opens() bool { return r.leaf.HoldID != uuid.Nil && r.leaf.HoldID == r.leaf.ID }

// whole says whether everything that a leaf covers is there to be hashed.
func (r *row) whole() bool {
	return r.hasRef && len(r.salt) == proof.SaltSize && r.ordered() && r.opens() == (r.hold != nil) && (r.hold == nil || r.hold.odd == nil)
}
