package domain

import "slices"

// reverse posts an earlier transaction, or a part of it, the other way round. What all reversals take of a posting never exceeds it.
func (d *draft) reverse() error {
	o, ok := d.ledger.Originals[d.request.OriginalID]
	if !ok {
		return RefusedTransactionUnknown
	}
	if o.Action == ActionReverse {
		return RefusedNotReversible
	}
	o.Postings = slices.Clone(o.Postings)
	postings, positions, err := d.reversalPostings(&o)
	if err != nil {
		return err
	}
	d.original, d.tx.ReversesID = &o, o.ID
	if err := d.move(postings); err != nil {
		return err
	}
	for i := range d.tx.Postings {
		d.tx.Postings[i].ReversesPosition = positions[i]
	}
	return nil
}

// reversalPostings returns the postings to book with the original position of each, and counts them as reversed in o.
func (d *draft) reversalPostings(o *Original) ([]Posting, []int, error) {
	r := d.request
	wanted := r.Postings
	switch {
	case len(wanted) > 0:
	case r.HasAmount:
		if len(o.Postings) != 1 {
			return nil, nil, RefusedReversalMismatch // which posting to cut is the caller's choice
		}
		wanted = []Posting{turned(o.Postings[0].Posting, r.Amount)}
		wanted[0].Currency = r.Currency
	default:
		for _, p := range slices.Backward(o.Postings) {
			if left := p.Amount - p.Reversed; left > 0 {
				wanted = append(wanted, turned(p.Posting, left))
			}
		}
		if len(wanted) == 0 {
			return nil, nil, RefusedReversalAbove
		}
	}
	var postings []Posting
	var positions []int
	for _, w := range wanted {
		matched, rest := false, w.Amount
		for i := range o.Postings {
			p := &o.Postings[i]
			if turned(p.Posting, w.Amount) != w {
				continue
			}
			matched = true
			if part := min(rest, p.Amount-p.Reversed); part > 0 {
				p.Reversed += part
				rest -= part
				postings = append(postings, turned(p.Posting, part))
				positions = append(positions, p.Position)
			}
		}
		if !matched {
			return nil, nil, RefusedReversalMismatch
		}
		if rest > 0 {
			return nil, nil, RefusedReversalAbove
		}
	}
	return postings, positions, nil
}

// turned is a posting the other way round.
func turned(p Posting, amount int64) Posting {
	return Posting{Source: p.Destination, Destination: p.Source, Amount: amount, Currency: p.Currency}
}
