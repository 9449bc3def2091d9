package domain

import "slices"

// reserve makes a hold of the postings' one source, and marks the credits of their destinations as pending.
func (d *draft) reserve() error {
	postings := d.request.Postings
	h := HoldState{AccountID: postings[0].Source, Currency: postings[0].Currency, Reason: HoldRequested}
	for _, p := range postings {
		if p.Currency != h.Currency {
			return RefusedCurrencyMismatch // one account, one currency
		}
		source, err := d.account(p.Source, p.Currency)
		if err != nil {
			return err
		}
		destination, err := d.account(p.Destination, p.Currency)
		if err != nil {
			return err
		}
		if source.Book != destination.Book {
			return RefusedBooksDiffer
		}
		if source.PendingDebits > maxCounter-p.Amount || destination.PendingCredits > maxCounter-p.Amount {
			return RefusedBalanceOverflow
		}
		h.Book = source.Book
		source.PendingDebits += p.Amount
		destination.PendingCredits += p.Amount
		d.put(source)
		d.put(destination)
		h.Amount += p.Amount
		h.Lines = append(h.Lines, HoldLine{Destination: p.Destination, Amount: p.Amount, Remaining: p.Amount})
	}
	if at := d.request.ExpiresAt; at != nil {
		if !at.After(d.ledger.recordedAt(d.touched)) {
			return RefusedExpiryPassed
		}
		h.ExpiresAt = *at
	}
	d.newHold(h)
	return nil
}

// openHold finds the hold and gives the draft its own copy.
func (d *draft) openHold() (HoldState, error) {
	h, ok := d.ledger.Holds[d.request.HoldID]
	if !ok {
		return h, RefusedHoldNotFound
	}
	if h.Status != HoldActive {
		return h, RefusedHoldNotActive
	}
	h.Lines = slices.Clone(h.Lines)
	return h, nil
}

// capture turns reserved money into postings. State decides, not the clock: an expired hold can be captured until its release is committed.
func (d *draft) capture() error {
	h, err := d.openHold()
	if err != nil {
		return err
	}
	postings, err := d.capturePostings(h)
	if err != nil {
		return err
	}
	amount := total(postings)
	if amount > h.Remaining() {
		return RefusedCaptureAboveHold
	}
	if err := d.free(&h, postings, amount); err != nil {
		return err
	}
	h.Captured += amount
	d.keepHold(h, HoldCaptured, amount)
	return d.move(postings)
}

// capturePostings says where captured money goes: as the request says, or along the hold's own lines.
func (d *draft) capturePostings(h HoldState) ([]Posting, error) {
	r := d.request
	if len(r.Postings) > 0 {
		for _, p := range r.Postings {
			if p.Source != h.AccountID {
				return nil, RefusedHoldMismatch
			}
			if p.Currency != h.Currency {
				return nil, RefusedCurrencyMismatch
			}
		}
		return r.Postings, nil
	}
	if r.HasAmount {
		if r.Currency != h.Currency {
			return nil, RefusedCurrencyMismatch
		}
		if len(h.Lines) != 1 {
			return nil, RefusedHoldMismatch // which line to cut is the caller's choice
		}
		return []Posting{{Source: h.AccountID, Destination: h.Lines[0].Destination, Amount: r.Amount, Currency: h.Currency}}, nil
	}
	var postings []Posting
	for _, l := range h.Lines {
		if l.Remaining > 0 {
			postings = append(postings, Posting{Source: h.AccountID, Destination: l.Destination, Amount: l.Remaining, Currency: h.Currency})
		}
	}
	if len(postings) == 0 {
		return nil, RefusedHoldMismatch // money above the maximum has no destination of its own
	}
	return postings, nil
}

// release gives reserved money back.
func (d *draft) release() error {
	h, err := d.openHold()
	if err != nil {
		return err
	}
	amount, err := d.releaseAmount(&h)
	if err != nil {
		return err
	}
	if err := d.free(&h, nil, amount); err != nil {
		return err
	}
	h.Released += amount
	d.released, d.currency = amount, h.Currency
	status := HoldReleased
	if d.request.expires() {
		status = HoldExpired
	}
	d.keepHold(h, status, amount)
	return nil
}

// releaseAmount says how much is to be freed: what the request says, all, or as much as the account's maximum leaves room for.
func (d *draft) releaseAmount(h *HoldState) (int64, error) {
	amount := h.Remaining()
	switch r := d.request; {
	case r.UpToMaximum && h.Reason != HoldOverCap:
		return 0, RefusedNotAboveMaximum
	case r.UpToMaximum:
		held, err := d.account(h.AccountID, h.Currency)
		if err != nil {
			return 0, err
		}
		if amount = min(amount, held.Room()); amount <= 0 {
			return 0, RefusedNoRoom
		}
	case r.HasAmount && r.Currency != h.Currency:
		return 0, RefusedCurrencyMismatch
	case r.HasAmount && r.Amount > amount:
		return 0, RefusedReleaseAboveHold
	case r.HasAmount:
		amount = r.Amount
	}
	return amount, nil
}

// free takes the amount off the pending counters. It is taken from the lines that lead where the postings go, then from the first ones.
func (d *draft) free(h *HoldState, postings []Posting, amount int64) error {
	held, err := d.account(h.AccountID, h.Currency)
	if err != nil {
		return err
	}
	held.PendingDebits -= amount
	if h.Reason == HoldOverCap {
		held.OverCap -= amount
	}
	d.put(held)
	if len(h.Lines) == 0 {
		return nil
	}
	rest := amount
	for _, p := range postings {
		want := p.Amount
		for i := range h.Lines {
			if h.Lines[i].Destination == p.Destination {
				taken, err := d.take(h, i, want)
				if err != nil {
					return err
				}
				want -= taken
				rest -= taken
			}
		}
	}
	for i := range h.Lines {
		taken, err := d.take(h, i, rest)
		if err != nil {
			return err
		}
		rest -= taken
	}
	return nil
}

// take frees up to want of one line, and returns how much it was.
func (d *draft) take(h *HoldState, line int, want int64) (int64, error) {
	l := &h.Lines[line]
	taken := min(l.Remaining, want)
	if taken == 0 {
		return 0, nil
	}
	destination, err := d.account(l.Destination, h.Currency)
	if err != nil {
		return 0, err
	}
	destination.PendingCredits -= taken
	d.put(destination)
	l.Remaining -= taken
	return taken, nil
}

func (d *draft) keepHold(h HoldState, done HoldStatus, amount int64) {
	if h.Remaining() == 0 {
		h.Status = done
		if h.Captured > 0 {
			h.Status = HoldCaptured
		}
	}
	d.hold = &h
	d.tx.HoldID, d.tx.HoldDelta = h.ID, -amount
}
