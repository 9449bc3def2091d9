package api

import (
	"context"

	"github.com/sendtip/sendtip/generated/common"
	transactionsapi "github.com/sendtip/sendtip/generated/transactions/api"

	"github.com/sendtip/sendtip/kit/fault"
)

// ListStatement answers GET /v1/accounts/{account_id}/statement.
func (s *Server) ListStatement(ctx context.Context, r transactionsapi.ListStatementRequestObject) (transactionsapi.ListStatementResponseObject, error) {
	limit, cursor := int32(0), ""
	if r.Params.Limit != nil {
		if limit = *r.Params.Limit; limit == 0 { // for the use case zero means that none was sent
			return nil, fault.ErrInvalid.WithField("limit", "limit_invalid", "The limit is not between 1 and 100.")
		}
	}
	if r.Params.Cursor != nil {
		cursor = *r.Params.Cursor
	}
	rows, next, err := s.app.ListStatement(ctx, r.AccountID, limit, cursor)
	if err != nil {
		return nil, err
	}
	answer := transactionsapi.ListStatement200JSONResponse{Data: make([]transactionsapi.StatementEntry, len(rows)), NextCursor: optional(next)}
	for i, e := range rows {
		answer.Data[i] = transactionsapi.StatementEntry{
			Sequence: e.Sequence, Direction: transactionsapi.Direction(e.Direction), Type: e.Type, Channel: transactionsapi.Channel(e.Channel),
			Amount: common.PositiveMoney{Amount: e.AmountMinor, Currency: e.Currency}, BalanceAfter: moneyOf(e.BalanceMinor, e.Currency),
			Reference: e.Reference, TransactionID: e.TransactionID, RecordedAt: e.RecordedAt.UTC(),
		}
	}
	return answer, nil
}
