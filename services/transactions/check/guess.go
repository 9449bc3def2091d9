package check

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/services/transactions/proof"
)

// guess is a column that may have been changed, with what it may have been.
type guess struct {
	table, key, column string
	put                func(t *proof.Transaction)
}

// single tries to put one column back to what other rows, or the few values that it may have, say that it was: if that gives the leaf,
// the column is found.
func (r *run) single(ctx context.Context, s *session, p *suspect, x *row) (*Finding, error) {
	if !x.whole() || !p.hasWant {
		return nil, nil
	}
	guesses := x.guesses(p)
	near, err := x.neighbours(ctx, s)
	if err != nil {
		return nil, err
	}
	for _, g := range append(guesses, near...) {
		fixed := x.leaf
		fixed.Postings = slices.Clone(fixed.Postings)
		if x.leaf.Hold != nil {
			h := *x.leaf.Hold
			fixed.Hold = &h
		}
		g.put(&fixed)
		fixed.SetBooks(x.books) // of the accounts that it has now
		if s.encoder.LeafHash(&fixed) == p.want {
			return &Finding{Kind: Altered, Table: g.table, Key: g.key, Detail: "the column " + g.column +
				" was changed: with what other rows say that it was, the leaf is right"}, nil
		}
	}
	return nil, nil
}

// guesses are the values that need no further look.
func (r *row) guesses(p *suspect) []guess {
	t := &r.leaf
	key := transactionKey(t.ID)
	var list []guess
	header := func(column string, put func(t *proof.Transaction)) {
		list = append(list, guess{"transactions", key, column, put})
	}
	header("batch_id", func(t *proof.Transaction) { t.Batch = p.batch.id })
	header("batch_position", func(t *proof.Transaction) { t.BatchPosition = p.position })
	for _, version := range []int{proof.LeafVersion1, proof.LeafVersion2} {
		header("leaf_version", func(t *proof.Transaction) { t.Version = version })
	}
	for _, action := range []string{"post", "hold", "capture", "release", "reverse"} {
		header("action", func(t *proof.Transaction) { t.Action = action })
	}
	for _, channel := range []string{"mpesa", "paystack", "bank", "internal"} {
		header("channel", func(t *proof.Transaction) { t.Channel = channel })
	}
	header("reverses_id", func(t *proof.Transaction) { t.ReversesID = uuid.Nil })
	header("metadata_hash", func(t *proof.Transaction) { t.MetadataHash = nil })
	if r.metadata != nil {
		header("metadata_hash", func(t *proof.Transaction) { t.MetadataHash = r.metadata.hash() })
	}
	times := []time.Time{{}}
	if len(r.postings) > 0 {
		header("recorded_at", func(t *proof.Transaction) { t.RecordedAt = r.postings[0].recorded })
		times = append(times, r.postings[0].effective)
	}
	for _, at := range times {
		header("effective_at", func(t *proof.Transaction) { t.EffectiveAt = at })
	}
	if r.hold != nil {
		header("recorded_at", func(t *proof.Transaction) { t.RecordedAt = r.hold.created })
		header("hold_delta_minor", func(t *proof.Transaction) { t.HoldDelta = r.hold.leaf.Amount })
		held := func(column string, put func(h *proof.Hold)) {
			list = append(list, guess{"holds", "hold " + t.ID.String(), column, func(t *proof.Transaction) { put(t.Hold) }})
		}
		held("amount_minor", func(h *proof.Hold) { h.Amount = t.HoldDelta })
		held("expires_at", func(h *proof.Hold) { h.ExpiresAt = time.Time{} })
		for _, reason := range []string{"requested", "over_cap"} {
			held("reason", func(h *proof.Hold) { h.Reason = reason })
		}
		if balances, err := proof.DecodeBalances(t.Balances); err == nil {
			for _, b := range balances {
				held("account_id", func(h *proof.Hold) { h.Account = b.Account })
			}
		}
	}
	var moved int64
	for i := range t.Postings {
		moved += t.Postings[i].Amount
	}
	header("hold_delta_minor", func(t *proof.Transaction) { t.HoldDelta = -moved })
	return append(list, r.postingGuesses()...)
}

// postingGuesses are what the transaction's own balances and its other postings say of a posting.
func (r *row) postingGuesses() []guess {
	t := &r.leaf
	var list []guess
	balances, err := proof.DecodeBalances(t.Balances)
	if err != nil {
		return nil
	}
	for i := range t.Postings {
		put := func(column string, put func(p *proof.Posting)) {
			list = append(list, guess{"postings", postingKey(t.ID, r.postings[i].position), column,
				func(t *proof.Transaction) { put(&t.Postings[i]) }})
		}
		for n := -1; n < 20; n++ { // an original has at most 20 postings
			put("reverses_position", func(p *proof.Posting) { p.ReversesPosition = n })
		}
		for _, b := range balances {
			put("source_id", func(p *proof.Posting) { p.Source = b.Account })
			put("destination_id", func(p *proof.Posting) { p.Destination = b.Account })
			put("source_balance_minor", func(p *proof.Posting) { p.SourceBalance = b.Balance })
			put("destination_balance_minor", func(p *proof.Posting) { p.DestinationBalance = b.Balance })
			for back := range int64(len(t.Postings)) {
				put("source_sequence", func(p *proof.Posting) { p.SourceSequence = b.Sequence - back })
				put("destination_sequence", func(p *proof.Posting) { p.DestinationSequence = b.Sequence - back })
			}
		}
	}
	return list
}

// neighbours are what the entries before a posting, and the accounts, say of it.
func (r *row) neighbours(ctx context.Context, s *session) ([]guess, error) {
	t := &r.leaf
	var list []guess
	for i := range t.Postings {
		p := t.Postings[i]
		for _, side := range []struct {
			account           uuid.UUID
			sequence, balance int64
			set               func(p *proof.Posting, balance int64)
			column            string
		}{
			{p.Source, p.SourceSequence, p.SourceBalance, func(p *proof.Posting, b int64) { p.SourceBalance = b }, "source_balance_minor"},
			{p.Destination, p.DestinationSequence, p.DestinationBalance, func(p *proof.Posting, b int64) { p.DestinationBalance = b },
				"destination_balance_minor"},
		} {
			before, currency, err := entryBefore(ctx, s, side.account, side.sequence)
			if err != nil {
				return nil, err
			}
			put := func(column string, put func(p *proof.Posting)) {
				list = append(list, guess{"postings", postingKey(t.ID, r.postings[i].position), column,
					func(t *proof.Transaction) { put(&t.Postings[i]) }})
			}
			put("amount_minor", func(p *proof.Posting) { p.Amount = side.balance - before })
			put("amount_minor", func(p *proof.Posting) { p.Amount = before - side.balance })
			put(side.column, func(q *proof.Posting) { side.set(q, before+p.Amount) })
			put(side.column, func(q *proof.Posting) { side.set(q, before-p.Amount) })
			put("currency", func(p *proof.Posting) { p.Currency = currency })
		}
	}
	return list, nil
}

// entryBefore is the balance of an account before its entry of this sequence, and its currency.
func entryBefore(ctx context.Context, s *session, account uuid.UUID, sequence int64) (balance int64, currency string, err error) {
	rows, err := s.db.Query(
		ctx, `SELECT coalesce((SELECT source_balance_minor FROM postings WHERE source_id = $1 AND source_sequence = $2 LIMIT 1),
			(SELECT destination_balance_minor FROM postings WHERE destination_id = $1 AND destination_sequence = $2 LIMIT 1), 0),
		coalesce((SELECT currency FROM accounts WHERE id = $1), '')`, account, sequence-1)
	if err != nil {
		return 0, "", err
	}
	_, err = pgx.CollectOneRow(rows, func(row pgx.CollectableRow) (struct{}, error) {
		return struct{}{}, row.Scan(&balance, &currency)
	})
	return balance, currency, err
}
