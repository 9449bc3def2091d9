package api

import (
	"context"

	bankingapi "github.com/sendtip/sendtip/generated/banking/api"

	"github.com/sendtip/sendtip/services/banking/internal/app"
	"github.com/sendtip/sendtip/services/banking/internal/domain"
)

// ListBanks answers GET /v1/banks.
func (s *Server) ListBanks(ctx context.Context, _ bankingapi.ListBanksRequestObject) (bankingapi.ListBanksResponseObject, error) {
	all, err := s.app.ListBanks(ctx)
	if err != nil {
		return nil, err
	}
	out := bankingapi.ListBanks200JSONResponse{Data: []bankingapi.Bank{}}
	for _, b := range all {
		out.Data = append(out.Data, bankingapi.Bank{Code: b.Code, Name: b.Name})
	}
	return out, nil
}

// ListBankAccounts answers GET /v1/bank-accounts.
func (s *Server) ListBankAccounts(ctx context.Context,
	_ bankingapi.ListBankAccountsRequestObject) (bankingapi.ListBankAccountsResponseObject, error) {
	all, err := s.app.ListBankAccounts(ctx)
	if err != nil {
		return nil, err
	}
	out := bankingapi.ListBankAccounts200JSONResponse{Data: []bankingapi.BankAccount{}}
	for _, account := range all {
		out.Data = append(out.Data, bankAccount(account))
	}
	return out, nil
}

// CreateBankAccount answers POST /v1/bank-accounts.
func (s *Server) CreateBankAccount(ctx context.Context,
	r bankingapi.CreateBankAccountRequestObject) (bankingapi.CreateBankAccountResponseObject, error) {
	account, err := s.app.CreateBankAccount(ctx, app.BankAccountInput{ID: r.Body.ID, BankCode: r.Body.BankCode, Number: r.Body.AccountNumber,
		Name: text(r.Body.Name)})
	if err != nil {
		return nil, err
	}
	return bankingapi.CreateBankAccount201JSONResponse(bankAccount(account)), nil
}

// DeleteBankAccount answers DELETE /v1/bank-accounts/{bank_account_id}.
func (s *Server) DeleteBankAccount(ctx context.Context,
	r bankingapi.DeleteBankAccountRequestObject) (bankingapi.DeleteBankAccountResponseObject, error) {
	if err := s.app.DeleteBankAccount(ctx, r.BankAccountID); err != nil {
		return nil, err
	}
	return bankingapi.DeleteBankAccount204Response{}, nil
}

func bankAccount(a domain.BankAccount) bankingapi.BankAccount {
	return bankingapi.BankAccount{ID: a.ID, BankCode: a.BankCode, BankName: a.BankName, LastFour: domain.LastFour(a.Number), Name: a.Name,
		NameChecked: a.NameChecked, PayableFrom: a.PayableFrom, CreatedAt: a.CreatedAt}
}
