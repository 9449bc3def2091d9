package seed

import (
	"strings"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

// shareRecent is how many pay-ins and transfers are remembered, so that some are reversed later.
const shareRecent = 0.05

// learn takes note of what became of a batch: holds that are to be settled, and what can be reversed.
func (d *draw) learn(decision *domain.Decision) {
	for i := range decision.Transactions {
		t := &decision.Transactions[i]
		switch {
		case t.Action == domain.ActionHold:
			d.later(1+d.rnd.IntN(20), payout{hold: t.ID, reference: strings.TrimSuffix(t.Reference, ":hold")})
		case t.HoldID == t.ID: // a pay-in above the maximum
			d.later(50, payout{hold: t.ID, reference: t.Reference})
		case t.Action == domain.ActionReverse:
			d.reversed(t)
		case t.Action == domain.ActionPost && t.HoldID == uuid.Nil && d.rnd.Float64() < shareRecent:
			d.remember(original(t))
		}
	}
}

func original(t *domain.Transaction) domain.Original {
	o := domain.Original{ID: t.ID, Action: t.Action, Postings: make([]domain.OriginalPosting, len(t.Postings))}
	for i := range t.Postings {
		o.Postings[i] = domain.OriginalPosting{Posting: t.Postings[i].Posting, Position: i}
	}
	return o
}

// remember keeps what can be reversed, instead of another one when there are many.
func (d *draw) remember(o domain.Original) {
	if len(d.recent) < reversible {
		d.recent = append(d.recent, o)
		return
	}
	d.recent[d.rnd.IntN(len(d.recent))] = o
}

// reversed counts what a reversal took, and keeps the original if something is left of its first posting.
func (d *draw) reversed(t *domain.Transaction) {
	o := d.originals[t.ReversesID]
	for i := range t.Postings {
		o.Postings[t.Postings[i].ReversesPosition].Reversed += t.Postings[i].Amount
	}
	if first := o.Postings[0]; first.Reversed < first.Amount {
		d.remember(o)
	}
}
