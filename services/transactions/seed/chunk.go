package seed

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/services/transactions/internal/domain"
	"github.com/sendtip/sendtip/services/transactions/proof"
)

// sealDelay is how long after its commit a batch is sealed by a service.
const sealDelay = 300 * time.Millisecond

// chunk is what one database transaction writes: many batches, and where they leave accounts, holds and the tree.
type chunk struct {
	references, refusals, transactions, postings, metadata, sealed, nodes, newHolds rows

	accounts accountChanges
	holds    holdChanges

	firstSize      int64 // of the tree, before
	size           int64
	frontier, root []byte
	progress       int // transactions of the run so far

	before <-chan struct{} // closed when the chunk before is committed
	done   chan struct{}
}

// accountChanges are columns; was… is what the rows must still have, or somebody else has written to the ledger.
type accountChanges struct {
	ids                                                          []uuid.UUID
	debits, credits, pendingDebits, pendingCredits, overCap      []int64
	sequences, wasSequences, wasPendingDebits, wasPendingCredits []int64
	recorded, wasRecorded                                        []time.Time
}

// holdChanges are those of holds that earlier chunks wrote.
type holdChanges struct {
	ids                []uuid.UUID
	captured, released []int64
	lines, statuses    []string
}

func newChunk() *chunk { return &chunk{} }

func (c *chunk) reset() {
	for _, r := range []*rows{&c.references, &c.refusals, &c.transactions, &c.postings, &c.metadata, &c.sealed, &c.nodes, &c.newHolds} {
		r.reset()
	}
	c.accounts, c.holds = accountChanges{}, holdChanges{}
	c.done = make(chan struct{})
}

// reference writes what every request leaves, and the refusal of one that was refused.
func (c *chunk) reference(r *domain.Request, o *domain.Outcome) {
	w := &c.references
	w.row(4)
	w.text(r.Reference)
	w.bytes(r.BodyHash)
	w.uuid(r.TransactionID)
	w.time(o.RecordedAt)
	if o.Status != domain.Refused {
		return
	}
	w = &c.refusals
	w.row(4)
	w.text(o.Reference)
	w.text(o.Code)
	w.text(o.Detail)
	w.time(o.RecordedAt)
}

func (c *chunk) transaction(t *domain.Transaction, leaf *proof.Transaction) {
	w := &c.transactions
	w.row(16)
	w.uuid(t.ID)
	w.time(t.RecordedAt)
	w.text(t.Reference)
	w.text(string(t.Action))
	w.text(t.Type)
	w.text(t.Channel)
	w.optionalUUID(t.HoldID)
	w.int64(t.HoldDelta)
	w.optionalUUID(t.ReversesID)
	w.optionalTime(leaf.EffectiveAt)
	w.optionalBytes(leaf.MetadataHash)
	w.bytes(t.Request.Salt[:])
	w.int64(leaf.Batch)
	w.int16(leaf.BatchPosition)
	w.optionalBytes(leaf.Balances)
	w.int16(leaf.Version)
	for i := range t.Postings {
		c.posting(t, i)
	}
	if leaf.MetadataHash != nil {
		w = &c.metadata
		w.row(3)
		w.uuid(t.ID)
		w.jsonb(proof.MetadataJSON(t.Request.Metadata))
		w.bytes(t.Request.MetadataSalt[:])
	}
}

func (c *chunk) posting(t *domain.Transaction, position int) {
	w, p := &c.postings, &t.Postings[position]
	w.row(13)
	w.uuid(t.ID)
	w.int16(position)
	w.time(t.RecordedAt)
	w.uuid(p.Source)
	w.uuid(p.Destination)
	w.text(p.Currency)
	w.int64(p.Amount)
	w.int64(p.SourceSequence)
	w.int64(p.SourceBalance)
	w.int64(p.DestinationSequence)
	w.int64(p.DestinationBalance)
	if p.ReversesPosition < 0 {
		w.null()
	} else {
		w.int16(p.ReversesPosition)
	}
	if at := t.Request.EffectiveAt; at != nil {
		w.time(*at)
	} else {
		w.null()
	}
}

// batch writes the sealed leaves of a batch.
func (c *chunk) batch(first, id int64, ids []uuid.UUID, hashes []byte, from, to time.Time) {
	w := &c.sealed
	w.row(8)
	w.int64(first)
	w.int32(len(ids))
	w.int64(id)
	w.uuids(ids)
	w.bytes(hashes)
	w.time(from)
	w.time(to)
	w.time(to.Add(sealDelay))
}

func (c *chunk) node(level uint, index uint64, hash proof.Hash) {
	w := &c.nodes
	w.row(3)
	w.int16(int(level))   // #nosec G115 -- at most 63
	w.int64(int64(index)) // #nosec G115 -- counts subtrees
	w.bytes(hash[:])
}

func (c *chunk) hold(h *domain.HoldState) error {
	lines, err := holdLines(h)
	if err != nil {
		return err
	}
	w := &c.newHolds
	w.row(11)
	w.uuid(h.ID)
	w.uuid(h.AccountID)
	w.text(h.Currency)
	w.int64(h.Amount)
	w.int64(h.Captured)
	w.int64(h.Released)
	w.jsonb(lines)
	w.text(string(h.Reason))
	w.text(string(h.Status))
	w.optionalTime(h.ExpiresAt)
	w.time(h.CreatedAt)
	return nil
}

func (c *chunk) holdChange(h *domain.HoldState) error {
	lines, err := holdLines(h)
	if err != nil {
		return err
	}
	w := &c.holds
	w.ids, w.captured, w.released = append(w.ids, h.ID), append(w.captured, h.Captured), append(w.released, h.Released)
	w.lines, w.statuses = append(w.lines, string(lines)), append(w.statuses, string(h.Status))
	return nil
}

func holdLines(h *domain.HoldState) ([]byte, error) {
	if len(h.Lines) == 0 {
		return []byte("[]"), nil
	}
	lines, err := json.Marshal(h.Lines)
	if err != nil {
		return nil, fmt.Errorf("encode lines: %w", err)
	}
	return lines, nil
}

// add notes where the chunk leaves an account.
func (w *accountChanges) add(a, was *domain.Account) {
	w.ids = append(w.ids, a.ID)
	w.debits, w.credits = append(w.debits, a.Debits), append(w.credits, a.Credits)
	w.pendingDebits, w.pendingCredits = append(w.pendingDebits, a.PendingDebits), append(w.pendingCredits, a.PendingCredits)
	w.overCap = append(w.overCap, a.OverCap)
	w.sequences, w.recorded = append(w.sequences, a.Sequence), append(w.recorded, a.LastRecordedAt)
	w.wasSequences, w.wasRecorded = append(w.wasSequences, was.Sequence), append(w.wasRecorded, was.LastRecordedAt)
	w.wasPendingDebits, w.wasPendingCredits = append(w.wasPendingDebits, was.PendingDebits), append(w.wasPendingCredits, was.PendingCredits)
}

// leafOf says what the leaf of a new transaction covers.
func leafOf(leaf *proof.Transaction, t *domain.Transaction, opened *domain.HoldState) {
	*leaf = proof.Transaction{Version: proof.LeafVersion2, ID: t.ID, RecordedAt: t.RecordedAt, Reference: t.Reference,
		Action: string(t.Action), Type: t.Type, Channel: t.Channel, HoldID: t.HoldID, HoldDelta: t.HoldDelta, ReversesID: t.ReversesID,
		Salt:        t.Request.Salt,
		RequestHash: t.Request.BodyHash, Postings: leaf.Postings[:0], Balances: leaf.Balances[:0]}
	if at := t.Request.EffectiveAt; at != nil {
		leaf.EffectiveAt = *at
	}
	for i := range t.Postings {
		p := &t.Postings[i]
		leaf.Postings = append(leaf.Postings, proof.Posting{Source: p.Source, Destination: p.Destination, Currency: p.Currency, Amount: p.Amount,
			SourceBook: string(p.Book), DestinationBook: string(p.Book),
			SourceSequence: p.SourceSequence, SourceBalance: p.SourceBalance, DestinationSequence: p.DestinationSequence,
			DestinationBalance: p.DestinationBalance, ReversesPosition: p.ReversesPosition})
	}
	for _, b := range t.Balances {
		leaf.Balances = proof.AppendBalance(leaf.Balances,
			proof.Balance{Account: b.AccountID, Balance: b.Balance, Available: b.Available, Sequence: b.Sequence})
	}
	if opened == nil {
		return
	}
	leaf.Hold = &proof.Hold{Account: opened.AccountID, Book: string(opened.Book), Currency: opened.Currency, Amount: opened.Amount,
		Reason: string(opened.Reason), ExpiresAt: opened.ExpiresAt}
	for _, l := range opened.Lines {
		leaf.Hold.Lines = append(leaf.Hold.Lines, proof.HoldLine{Destination: l.Destination, Amount: l.Amount})
	}
}

// finish adds what the chunk leaves behind of accounts, holds and the tree.
func (b *book) finish(c *chunk) error {
	slices.Sort(b.changed) // accounts are kept by id: all writers lock them in that order
	for _, i := range b.changed {
		c.accounts.add(&b.accounts[i], &b.was[i])
		b.isChanged[i] = false
	}
	b.changed = b.changed[:0]
	for _, id := range b.holdOrder {
		h := b.holdChanges[id]
		write := c.holdChange
		if h.isNew {
			write = c.hold
		}
		if err := write(&h.HoldState); err != nil {
			return err
		}
	}
	clear(b.holdChanges)
	b.holdOrder = b.holdOrder[:0]
	root := b.tree.Root()
	c.size, c.frontier, c.root = int64(b.tree.Size()), b.tree.Frontier(), root[:] // #nosec G115 -- leaves
	return nil
}
