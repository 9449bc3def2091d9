package seed

import (
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/services/transactions/internal/domain"
	"github.com/sendtip/sendtip/services/transactions/proof"
)

// book is the ledger's present state in memory, and what the current chunk changed of it.
type book struct {
	accounts []domain.Account // by id
	index    map[uuid.UUID]int
	holds    map[uuid.UUID]domain.HoldState // active ones that this run opened
	tree     *proof.Tree

	was         []domain.Account // of changed accounts: as they were before the chunk
	isChanged   []bool
	changed     []int
	holdChanges map[uuid.UUID]changedHold
	holdOrder   []uuid.UUID

	postings, refused, opened int64 // counts of the run

	state   domain.State // of a batch
	encoder proof.Encoder
	leaf    proof.Transaction
	hashes  []byte
	ids     []uuid.UUID
}

type changedHold struct {
	domain.HoldState
	isNew bool // no chunk before has its row
}

func newBook(accounts []domain.Account, tree *proof.Tree) *book {
	b := &book{accounts: accounts, index: make(map[uuid.UUID]int, len(accounts)), holds: map[uuid.UUID]domain.HoldState{}, tree: tree,
		was: make([]domain.Account, len(accounts)), isChanged: make([]bool, len(accounts)), holdChanges: map[uuid.UUID]changedHold{},
		state: domain.State{Accounts: map[uuid.UUID]domain.Account{}, Holds: map[uuid.UUID]domain.HoldState{},
			Originals: map[uuid.UUID]domain.Original{}}}
	for i := range accounts {
		b.index[accounts[i].ID] = i
	}
	return b
}

// decide applies a batch as the ledger's committer does, on the states of its accounts, and writes its rows into the chunk.
func (b *book) decide(c *chunk, id int64, now time.Time, requests []domain.Request,
	originals map[uuid.UUID]domain.Original) domain.Decision {
	clear(b.state.Accounts)
	clear(b.state.Holds)
	b.state.Originals, b.state.Now = originals, now
	for i := range requests {
		b.involve(&requests[i])
	}
	d := domain.Decide(b.state, requests)
	for i := range requests {
		if d.Outcomes[i].Unstored() {
			continue
		}
		c.reference(&requests[i], &d.Outcomes[i])
		if d.Outcomes[i].Status == domain.Refused {
			b.refused++
		}
	}
	b.write(c, id, &d)
	for i := range d.Accounts {
		b.change(&d.Accounts[i])
	}
	for i := range d.NewHolds {
		b.changeHold(&d.NewHolds[i], true)
		b.opened++
	}
	for i := range d.Holds {
		b.changeHold(&d.Holds[i], b.holdChanges[d.Holds[i].ID].isNew)
	}
	return d
}

// involve gives the batch the accounts and the hold of a request.
func (b *book) involve(r *domain.Request) {
	for i := range r.Postings {
		b.take(r.Postings[i].Source)
		b.take(r.Postings[i].Destination)
	}
	if h, ok := b.holds[r.HoldID]; ok {
		b.state.Holds[h.ID] = h
		b.take(h.AccountID)
		for _, l := range h.Lines {
			b.take(l.Destination)
		}
	}
	if o, ok := b.state.Originals[r.OriginalID]; ok {
		for i := range o.Postings {
			b.take(o.Postings[i].Source)
			b.take(o.Postings[i].Destination)
		}
	}
}

func (b *book) take(id uuid.UUID) {
	if i, ok := b.index[id]; ok {
		b.state.Accounts[id] = b.accounts[i]
	}
}

// write hashes the leaves of posted transactions, appends them to the tree, and writes their rows.
func (b *book) write(c *chunk, id int64, d *domain.Decision) {
	if len(d.Transactions) == 0 {
		return
	}
	first := int64(b.tree.Size()) // #nosec G115 -- leaves
	from, to := d.Transactions[0].RecordedAt, d.Transactions[0].RecordedAt
	b.hashes, b.ids = b.hashes[:0], b.ids[:0]
	opened := make(map[uuid.UUID]*domain.HoldState, len(d.NewHolds))
	for i := range d.NewHolds {
		opened[d.NewHolds[i].ID] = &d.NewHolds[i]
	}
	for i := range d.Transactions {
		t := &d.Transactions[i]
		leafOf(&b.leaf, t, opened[t.ID])
		b.leaf.Batch, b.leaf.BatchPosition = id, i
		if len(t.Request.Metadata) > 0 {
			hash := proof.MetadataHash(t.Request.MetadataSalt, t.Request.Metadata)
			b.leaf.MetadataHash = hash[:]
		}
		hash := b.encoder.LeafHash(&b.leaf)
		b.hashes, b.ids = append(b.hashes, hash[:]...), append(b.ids, t.ID)
		b.tree.Append(hash, c.node)
		c.transaction(t, &b.leaf)
		b.postings += int64(len(t.Postings))
		if t.RecordedAt.Before(from) {
			from = t.RecordedAt
		}
		if t.RecordedAt.After(to) {
			to = t.RecordedAt
		}
	}
	c.batch(first, id, b.ids, b.hashes, from, to)
}

func (b *book) change(a *domain.Account) {
	i := b.index[a.ID]
	if !b.isChanged[i] {
		b.isChanged[i] = true
		b.was[i] = b.accounts[i]
		b.changed = append(b.changed, i)
	}
	b.accounts[i] = *a
}

func (b *book) changeHold(h *domain.HoldState, isNew bool) {
	if _, ok := b.holdChanges[h.ID]; !ok {
		b.holdOrder = append(b.holdOrder, h.ID)
	}
	b.holdChanges[h.ID] = changedHold{*h, isNew}
	if h.Status == domain.HoldActive {
		b.holds[h.ID] = *h
		return
	}
	delete(b.holds, h.ID)
}
