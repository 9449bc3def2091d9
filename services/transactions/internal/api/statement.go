package api

import (
	"context"
	"time"

	"github.com/sendtip/sendtip/generated/common"
	transactionsapi "github.com/sendtip/sendtip/generated/transactions/api"
	"github.com/sendtip/sendtip/kit/page"

	"github.com/sendtip/sendtip/services/transactions/internal/app"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

// GetAccountBalance answers GET /v1/ledger/accounts/{account_id}/balance.
func (s *Server) GetAccountBalance(ctx context.Context,
	r transactionsapi.GetAccountBalanceRequestObject) (transactionsapi.GetAccountBalanceResponseObject, error) {
	b, err := s.app.GetAccountBalance(ctx, r.AccountID,
		domain.AsOf{Recorded: moment(r.Params.RecordedAt), Effective: moment(r.Params.EffectiveAt)})
	if err != nil {
		return nil, err
	}
	return transactionsapi.GetAccountBalance200JSONResponse(balanceAt(b)), nil
}

// GetBalanceAt answers GET /v1/accounts/{account_id}/balance-at.
func (s *Server) GetBalanceAt(ctx context.Context,
	r transactionsapi.GetBalanceAtRequestObject) (transactionsapi.GetBalanceAtResponseObject, error) {
	b, err := s.app.GetBalanceAt(ctx, r.AccountID, domain.AsOf{Recorded: moment(r.Params.RecordedAt), Effective: moment(r.Params.EffectiveAt)})
	if err != nil {
		return nil, err
	}
	return transactionsapi.GetBalanceAt200JSONResponse(balanceAt(b)), nil
}

func balanceAt(b app.Balance) transactionsapi.BalanceAt {
	out := transactionsapi.BalanceAt{AccountID: b.Account.ID, Balance: moneyOf(b.Balance, b.Account.Currency), Sequence: b.Sequence,
		AsOf: b.AsOf}
	if b.Available != nil {
		available := moneyOf(*b.Available, b.Account.Currency)
		out.Available = &available
		out.HeldAboveMaximum = some(b.Account.OverCap, b.Account.Currency) // of now, as what is available
	}
	return out
}

// ListStatement answers GET /v1/accounts/{account_id}/statement.
func (s *Server) ListStatement(ctx context.Context,
	r transactionsapi.ListStatementRequestObject) (transactionsapi.ListStatementResponseObject, error) {
	found, err := s.app.ListStatement(ctx, r.AccountID, app.StatementQuery{
		Request: page.Request{Limit: r.Params.Limit, Cursor: r.Params.Cursor},
		Filter:  filter(r.Params.From, r.Params.To, r.Params.Channel, r.Params.Type)})
	if err != nil {
		return nil, err
	}
	return transactionsapi.ListStatement200JSONResponse(statement(found)), nil
}

// ListAccountStatement answers GET /v1/ledger/accounts/{account_id}/statement.
func (s *Server) ListAccountStatement(ctx context.Context,
	r transactionsapi.ListAccountStatementRequestObject) (transactionsapi.ListAccountStatementResponseObject, error) {
	found, err := s.app.ListAccountStatement(ctx, r.AccountID, app.StatementQuery{
		Request: page.Request{Limit: r.Params.Limit, Cursor: r.Params.Cursor},
		Filter:  filter(r.Params.From, r.Params.To, r.Params.Channel, r.Params.Type)})
	if err != nil {
		return nil, err
	}
	return transactionsapi.ListAccountStatement200JSONResponse(statement(found)), nil
}

func statement(found app.StatementPage) transactionsapi.Statement {
	out := transactionsapi.Statement{Data: make([]transactionsapi.StatementEntry, len(found.Entries)), NextCursor: found.Next}
	for i := range found.Entries {
		out.Data[i] = statementEntry(&found.Entries[i])
	}
	return out
}

func statementEntry(e *app.Entry) transactionsapi.StatementEntry {
	return transactionsapi.StatementEntry{
		Sequence: e.Sequence, Direction: e.Direction, Type: e.Type, Channel: e.Channel,
		Amount: common.PositiveMoney{Amount: e.AmountMinor, Currency: e.Currency}, BalanceAfter: moneyOf(e.BalanceMinor, e.Currency),
		Reference: e.Reference, TransactionID: e.TransactionID, RecordedAt: e.RecordedAt.UTC(), EffectiveAt: utc(value(e.EffectiveAt)),
	}
}

func filter(from, to *time.Time, channel *transactionsapi.Channel, kind *string) domain.Filter {
	return domain.Filter{From: moment(from), To: moment(to), Channel: string(value(channel)), Type: value(kind)}
}

// moment returns the zero time for what was not sent; who sends the beginning of the year 1 means a time.
func moment(p *time.Time) time.Time {
	if p != nil && p.IsZero() {
		return p.Add(1)
	}
	return value(p)
}

// value returns zero for what was not sent.
func value[T any](p *T) T {
	var v T
	if p != nil {
		v = *p
	}
	return v
}
