package check

import (
	"fmt"
	"maps"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/services/transactions/proof"
)

// books are all that an account can be in.
var books = []string{"emoney", "lending", "savings"}

// rebooked: one account of the transaction has another book than its leaf says, or no row any more. Everything else is as it was sealed.
func (r *row) rebooked(s *session, p *suspect) *Finding {
	if !r.whole() || !p.hasWant || r.leaf.Version == proof.LeafVersion1 {
		return nil
	}
	p.got, p.hasGot = s.encoder.LeafHash(&r.leaf), true
	fixed, tried := r.leaf, map[uuid.UUID]bool{}
	fixed.Postings = append([]proof.Posting(nil), r.leaf.Postings...)
	if r.leaf.Hold != nil {
		h := *r.leaf.Hold
		fixed.Hold = &h
	}
	for _, id := range r.leaf.Accounts() {
		if tried[id] {
			continue
		}
		tried[id] = true
		said := maps.Clone(r.own())
		for _, book := range books {
			said[id] = book
			fixed.SetBooks(said)
			if book == r.books[id] || s.encoder.LeafHash(&fixed) != p.want {
				continue
			}
			f := &Finding{Kind: Altered, Table: "accounts", Key: "account " + id.String(), Index: p.index(),
				Detail: fmt.Sprintf("its book is %s now, and was %s when transaction %s was posted", r.books[id], book, r.leaf.ID)}
			if r.books[id] == "" {
				f.Kind, f.Detail = Deleted, fmt.Sprintf("transaction %s has it, and there is no row of it", r.leaf.ID)
			}
			return f
		}
	}
	return nil
}

// own are the books of the accounts that the leaf names.
func (r *row) own() map[uuid.UUID]string {
	own := map[uuid.UUID]string{}
	for _, id := range r.leaf.Accounts() {
		own[id] = r.books[id]
	}
	return own
}
