// Package leaves reads transactions as their leaves cover them: for the sealer's adoption of old rows, for receipts, and for the proof
// that nothing was changed.
package leaves

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	transactionsdb "github.com/sendtip/sendtip/generated/transactions/db"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
	"github.com/sendtip/sendtip/services/transactions/proof"
)

// Load returns the transactions with these ids as proof.Transaction; one that does not exist, or whose reference is not its own, is absent.
func Load(ctx context.Context, db transactionsdb.DBTX, ids []uuid.UUID) (map[uuid.UUID]*proof.Transaction, error) {
	q := transactionsdb.New()
	rows, err := q.ListLeafTransactions(ctx, db, ids)
	if err != nil {
		return nil, fmt.Errorf("read transactions: %w", err)
	}
	found := make(map[uuid.UUID]*proof.Transaction, len(rows))
	for i := range rows {
		found[rows[i].ID] = transaction(&rows[i])
	}
	postings, err := q.ListLeafPostings(ctx, db, ids)
	if err != nil {
		return nil, fmt.Errorf("read postings: %w", err)
	}
	for i := range postings {
		t := found[postings[i].TransactionID]
		switch {
		case t == nil:
		case int(postings[i].Position) != len(t.Postings): // a leaf counts positions: a row that is out of place belongs to none
			delete(found, t.ID)
		default:
			t.Postings = append(t.Postings, posting(&postings[i]))
		}
	}
	holds, err := q.ListOpenedHolds(ctx, db, ids)
	if err != nil {
		return nil, fmt.Errorf("read holds: %w", err)
	}
	for i := range holds {
		if t := found[holds[i].ID]; t != nil {
			if t.Hold, err = hold(&holds[i]); err != nil {
				return nil, err
			}
		}
	}
	return found, addBooks(ctx, db, found)
}

// addBooks adds what the accounts' rows say of their books, where leaves have them.
func addBooks(ctx context.Context, db transactionsdb.DBTX, found map[uuid.UUID]*proof.Transaction) error {
	var ids []uuid.UUID
	for _, t := range found {
		if t.Version != proof.LeafVersion1 {
			ids = append(ids, t.Accounts()...)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	rows, err := transactionsdb.New().ListBooks(ctx, db, domain.Distinct(ids))
	if err != nil {
		return fmt.Errorf("read the books of accounts: %w", err)
	}
	books := make(map[uuid.UUID]string, len(rows))
	for _, row := range rows {
		books[row.ID] = row.Book
	}
	for _, t := range found {
		t.SetBooks(books)
	}
	return nil
}

func transaction(row *transactionsdb.ListLeafTransactionsRow) *proof.Transaction {
	t := &proof.Transaction{Version: int(row.LeafVersion), ID: row.ID, RecordedAt: row.RecordedAt, Reference: row.Reference,
		Action: row.Action, Type: row.Type, Channel: row.Channel,
		HoldDelta: row.HoldDeltaMinor, MetadataHash: row.MetadataHash, Batch: row.BatchID, BatchPosition: int(row.BatchPosition),
		Balances: row.Balances, RequestHash: row.BodyHash}
	copy(t.Salt[:], row.Salt)
	if row.HoldID != nil {
		t.HoldID = *row.HoldID
	}
	if row.ReversesID != nil {
		t.ReversesID = *row.ReversesID
	}
	if row.EffectiveAt != nil {
		t.EffectiveAt = *row.EffectiveAt
	}
	return t
}

func posting(row *transactionsdb.ListLeafPostingsRow) proof.Posting {
	p := proof.Posting{Source: row.SourceID, Destination: row.DestinationID, Currency: row.Currency, Amount: row.AmountMinor,
		SourceSequence: row.SourceSequence, SourceBalance: row.SourceBalanceMinor,
		DestinationSequence: row.DestinationSequence, DestinationBalance: row.DestinationBalanceMinor, ReversesPosition: -1}
	if row.ReversesPosition != nil {
		p.ReversesPosition = int(*row.ReversesPosition)
	}
	return p
}

func hold(row *transactionsdb.ListOpenedHoldsRow) (*proof.Hold, error) {
	h := &proof.Hold{Account: row.AccountID, Currency: row.Currency, Amount: row.AmountMinor, Reason: row.Reason}
	if row.ExpiresAt != nil {
		h.ExpiresAt = *row.ExpiresAt
	}
	var lines []domain.HoldLine
	if err := json.Unmarshal(row.Lines, &lines); err != nil {
		return nil, fmt.Errorf("lines of hold %s: %w", row.ID, err)
	}
	for _, l := range lines {
		h.Lines = append(h.Lines, proof.HoldLine{Destination: l.Destination, Amount: l.Amount})
	}
	return h, nil
}
