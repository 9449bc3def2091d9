package api

import (
	"context"

	bankingapi "github.com/sendtip/sendtip/generated/banking/api"
	"github.com/sendtip/sendtip/generated/common"
	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/page"

	"github.com/sendtip/sendtip/services/banking/internal/app"
	"github.com/sendtip/sendtip/services/banking/internal/domain"
)

// CreateDeposit answers POST /v1/deposits: 202 while the page or the prompt is not known.
func (s *Server) CreateDeposit(ctx context.Context, r bankingapi.CreateDepositRequestObject) (bankingapi.CreateDepositResponseObject,
	error) {
	m, err := amount(r.Body.Amount)
	if err != nil {
		return nil, err
	}
	d, err := s.app.CreateDeposit(ctx, app.DepositInput{Key: r.Params.IdempotencyKey, WalletID: r.Body.WalletID, Amount: m,
		Channel: string(r.Body.Channel)})
	if err != nil {
		return nil, err
	}
	if d.Status == domain.Stored || d.Status == domain.Requested {
		return bankingapi.CreateDeposit202JSONResponse(deposit(d)), nil
	}
	return bankingapi.CreateDeposit201JSONResponse(deposit(d)), nil
}

// GetDeposit answers GET /v1/deposits/{deposit_id}.
func (s *Server) GetDeposit(ctx context.Context, r bankingapi.GetDepositRequestObject) (bankingapi.GetDepositResponseObject, error) {
	d, err := s.app.GetDeposit(ctx, r.DepositID)
	if err != nil {
		return nil, err
	}
	return bankingapi.GetDeposit200JSONResponse(deposit(d)), nil
}

// ListDeposits answers GET /v1/deposits.
func (s *Server) ListDeposits(ctx context.Context, r bankingapi.ListDepositsRequestObject) (bankingapi.ListDepositsResponseObject, error) {
	all, next, err := s.app.ListDeposits(ctx, page.Request{Limit: r.Params.Limit, Cursor: r.Params.Cursor})
	if err != nil {
		return nil, err
	}
	out := bankingapi.ListDeposits200JSONResponse{Data: []bankingapi.Deposit{}, NextCursor: next}
	for _, d := range all {
		out.Data = append(out.Data, deposit(d))
	}
	return out, nil
}

func deposit(d domain.Deposit) bankingapi.Deposit {
	out := bankingapi.Deposit{ID: d.ID, WalletID: d.WalletID, Channel: d.Channel, Amount: wire(d.Amount), Fee: wire(d.Fee),
		Excise: wire(d.Excise), Credit: wire(d.Credit()), Status: string(d.Status), FailureCode: optional(d.FailureCode),
		Receipt: optional(d.Receipt), CreatedAt: d.CreatedAt, UpdatedAt: d.UpdatedAt}
	if d.Status == domain.Waiting {
		out.CheckoutURL, out.DisplayText = optional(d.CheckoutURL), optional(d.DisplayText)
	}
	return out
}

// ListDepositsByStatus answers GET /v1/banking/deposits.
func (s *Server) ListDepositsByStatus(ctx context.Context,
	r bankingapi.ListDepositsByStatusRequestObject) (bankingapi.ListDepositsByStatusResponseObject, error) {
	status := bankingapi.ListDepositsByStatusParamsStatusBroken
	if r.Params.Status != nil {
		status = *r.Params.Status
	}
	all, next, err := s.app.ListDepositsByStatus(ctx, string(status), page.Request{Limit: r.Params.Limit, Cursor: r.Params.Cursor})
	if err != nil {
		return nil, err
	}
	out := bankingapi.ListDepositsByStatus200JSONResponse{Data: []bankingapi.OperatorDeposit{}, NextCursor: next}
	for _, d := range all {
		out.Data = append(out.Data, operatorDeposit(d))
	}
	return out, nil
}

func operatorDeposit(d app.OperatorDeposit) bankingapi.OperatorDeposit {
	minor := func(n *int64) *common.Money {
		if n == nil {
			return nil
		}
		m := wire(money.Money{Amount: *n, Currency: d.Amount.Currency})
		return &m
	}
	out := bankingapi.OperatorDeposit{ID: d.ID, UserID: d.UserID, Channel: d.Channel, Amount: wire(d.Amount), Came: minor(d.CameMinor),
		RailFee: minor(d.RailFeeMinor), ProviderID: optional(d.ProviderID), Status: string(d.Status), FailureCode: optional(d.FailureCode),
		CreatedAt: d.CreatedAt, Breaks: []bankingapi.DepositBreak{}, Transitions: []bankingapi.WithdrawalTransition{}}
	for _, b := range d.Breaks {
		out.Breaks = append(out.Breaks, bankingapi.DepositBreak{Kind: b.Kind, AmountMinor: b.AmountMinor, Currency: b.Currency, At: b.At.UTC()})
	}
	for _, t := range d.Transitions {
		out.Transitions = append(out.Transitions, bankingapi.WithdrawalTransition{Status: t.ToStatus, Reason: optional(t.Reason),
			Evidence: t.Evidence, LedgerTransactionID: t.LedgerTransactionID, Booked: optional(t.Booked), At: t.At.UTC()})
	}
	return out
}
