package api

import (
	"context"

	transactionsapi "github.com/sendtip/sendtip/generated/transactions/api"

	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

// PutAccount answers PUT /v1/ledger/accounts/{account_id}.
func (s *Server) PutAccount(ctx context.Context,
	r transactionsapi.PutAccountRequestObject) (transactionsapi.PutAccountResponseObject, error) {
	want := domain.Account{ID: r.AccountID, OwnerID: r.Body.OwnerID, Kind: domain.Kind(r.Body.Kind), Currency: r.Body.Currency,
		Minimum: r.Body.MinimumMinor, Maximum: r.Body.MaximumMinor}
	if r.Body.Book != nil {
		want.Book = domain.Book(*r.Body.Book)
	}
	if r.Body.Status != nil {
		want.Status = domain.Status(*r.Body.Status)
	}
	got, created, err := s.app.PutAccount(ctx, want)
	if err != nil {
		return nil, err
	}
	if created {
		return transactionsapi.PutAccount201JSONResponse(ledgerAccount(got)), nil
	}
	return transactionsapi.PutAccount200JSONResponse(ledgerAccount(got)), nil
}

// GetLedgerAccount answers GET /v1/ledger/accounts/{account_id}.
func (s *Server) GetLedgerAccount(ctx context.Context,
	r transactionsapi.GetLedgerAccountRequestObject) (transactionsapi.GetLedgerAccountResponseObject, error) {
	a, err := s.app.GetAccount(ctx, r.AccountID)
	if err != nil {
		return nil, err
	}
	return transactionsapi.GetLedgerAccount200JSONResponse(ledgerAccount(a)), nil
}

// ListSystemAccounts answers GET /v1/ledger/system-accounts.
func (s *Server) ListSystemAccounts(ctx context.Context,
	_ transactionsapi.ListSystemAccountsRequestObject) (transactionsapi.ListSystemAccountsResponseObject, error) {
	accounts, totals, err := s.app.ListSystemAccounts(ctx)
	if err != nil {
		return nil, err
	}
	answer := transactionsapi.ListSystemAccounts200JSONResponse{
		Data: make([]transactionsapi.LedgerAccount, len(accounts)), Totals: make([]transactionsapi.CurrencyTotal, len(totals))}
	for i, a := range accounts {
		answer.Data[i] = ledgerAccount(a)
	}
	for i, t := range totals {
		answer.Totals[i] = transactionsapi.CurrencyTotal{Currency: t.Currency, Book: transactionsapi.Book(t.Book), DebitsMinor: t.DebitsMinor,
			CreditsMinor: t.CreditsMinor, CustomerBalanceMinor: t.CustomerBalanceMinor}
	}
	return answer, nil
}

// GetBalance answers GET /v1/accounts/{account_id}/balance.
func (s *Server) GetBalance(ctx context.Context,
	r transactionsapi.GetBalanceRequestObject) (transactionsapi.GetBalanceResponseObject, error) {
	a, err := s.app.GetBalance(ctx, r.AccountID)
	if err != nil {
		return nil, err
	}
	return transactionsapi.GetBalance200JSONResponse{AccountID: a.ID, Balance: moneyOf(a.Balance(), a.Currency),
		Available: moneyOf(a.Available(), a.Currency), HeldAboveMaximum: some(a.OverCap, a.Currency), Sequence: a.Sequence}, nil
}

func ledgerAccount(a domain.Account) transactionsapi.LedgerAccount {
	return transactionsapi.LedgerAccount{
		ID: a.ID, Code: optional(a.Code), OwnerID: optional(a.OwnerID), Kind: transactionsapi.AccountKind(a.Kind),
		Book: transactionsapi.Book(a.Book), NormalSide: transactionsapi.NormalSide(a.NormalSide), Status: transactionsapi.AccountStatus(a.Status),
		MinimumMinor: a.Minimum, MaximumMinor: a.Maximum, Balance: moneyOf(a.Balance(), a.Currency),
		Available: moneyOf(a.Available(), a.Currency), Held: moneyOf(a.Held(), a.Currency), HeldAboveMaximum: some(a.OverCap, a.Currency),
		Sequence: a.Sequence,
	}
}
