package api

import (
	"context"

	"github.com/sendtip/sendtip/generated/common"
	transactionsapi "github.com/sendtip/sendtip/generated/transactions/api"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/page"

	"github.com/sendtip/sendtip/services/transactions/internal/app"
)

// ListLedgerTransactions answers GET /v1/ledger/transactions.
func (s *Server) ListLedgerTransactions(ctx context.Context,
	r transactionsapi.ListLedgerTransactionsRequestObject) (transactionsapi.ListLedgerTransactionsResponseObject, error) {
	p := r.Params
	q := app.TransactionQuery{Filter: filter(p.From, p.To, p.Channel, p.Type), AccountID: idOf(p.AccountID), Reference: value(p.Reference),
		Request: page.Request{Limit: p.Limit, Cursor: p.Cursor}}
	if isNil(p.AccountID) {
		return nil, fault.ErrNotFound // as of any account that does not exist
	}
	if (p.MetadataKey == nil) != (p.MetadataValue == nil) {
		return nil, fault.ErrInvalid.WithField("metadata_key", "metadata_incomplete", "Send metadata_key and metadata_value together.")
	}
	if p.MetadataKey != nil {
		q.Facts = map[string]string{*p.MetadataKey: *p.MetadataValue}
	}
	found, err := s.app.ListTransactions(ctx, q)
	if err != nil {
		return nil, err
	}
	answer := transactionsapi.ListLedgerTransactions200JSONResponse{
		Data: make([]transactionsapi.LedgerTransaction, len(found.Transactions)), NextCursor: found.Next}
	for i := range found.Transactions {
		answer.Data[i] = ledgerTransaction(&found.Transactions[i])
	}
	return answer, nil
}

func ledgerTransaction(t *app.Transaction) transactionsapi.LedgerTransaction {
	out := transactionsapi.LedgerTransaction{
		ID: t.ID, Reference: t.Reference, Action: transactionsapi.LedgerAction(t.Action), Type: t.Type, Channel: t.Channel,
		HoldID: t.HoldID, ReversesID: t.ReversesID, RecordedAt: t.RecordedAt.UTC(), EffectiveAt: utc(value(t.EffectiveAt)), Metadata: t.Facts,
		Postings: make([]transactionsapi.LedgerPosting, len(t.Postings)),
	}
	for i, p := range t.Postings {
		out.Postings[i] = transactionsapi.LedgerPosting{
			Position: int32(p.Position), Source: p.SourceID, Destination: p.DestinationID,
			Amount:         common.PositiveMoney{Amount: p.AmountMinor, Currency: p.Currency},
			SourceSequence: p.SourceSequence, SourceBalance: moneyOf(p.SourceBalanceMinor, p.Currency),
			DestinationSequence: p.DestinationSequence, DestinationBalance: moneyOf(p.DestinationBalanceMinor, p.Currency),
		}
	}
	return out
}
