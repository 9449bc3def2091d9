package api

import (
	"context"

	bankingapi "github.com/sendtip/sendtip/generated/banking/api"
	"github.com/sendtip/sendtip/kit/hook"
	"github.com/sendtip/sendtip/kit/page"

	"github.com/sendtip/sendtip/services/banking/internal/app"
	"github.com/sendtip/sendtip/services/banking/internal/domain"
)

// CreateWithdrawalQuote answers POST /v1/withdrawal-quotes.
func (s *Server) CreateWithdrawalQuote(ctx context.Context,
	r bankingapi.CreateWithdrawalQuoteRequestObject) (bankingapi.CreateWithdrawalQuoteResponseObject, error) {
	m, err := amount(r.Body.Amount)
	if err != nil {
		return nil, err
	}
	q, err := s.app.CreateWithdrawalQuote(ctx, app.QuoteInput{WalletID: r.Body.WalletID, Amount: m, Phone: text(r.Body.Phone),
		Account: r.Body.BankAccountID})
	if err != nil {
		return nil, err
	}
	return bankingapi.CreateWithdrawalQuote201JSONResponse{ID: q.ID, WalletID: q.WalletID, Rail: q.Rail, Phone: optional(q.Phone),
		BankAccount: paidAccount(q.Destination), RecipientName: optional(q.Name), Amount: wire(q.Amount), Fee: wire(q.Fee),
		Excise: wire(q.Excise), Total: wire(q.Total()),
		Arrival: arrival(q.Rail), ExpiresAt: q.ExpiresAt}, nil
}

// CreateWithdrawal answers POST /v1/withdrawals.
func (s *Server) CreateWithdrawal(ctx context.Context,
	r bankingapi.CreateWithdrawalRequestObject) (bankingapi.CreateWithdrawalResponseObject, error) {
	w, err := s.app.CreateWithdrawal(ctx, app.WithdrawalInput{Key: r.Params.IdempotencyKey, QuoteID: r.Body.WithdrawalQuoteID,
		ClientReference: text(r.Body.ClientReference)})
	if err != nil {
		return nil, err
	}
	return bankingapi.CreateWithdrawal202JSONResponse(withdrawal(w)), nil
}

// GetWithdrawal answers GET /v1/withdrawals/{withdrawal_id}.
func (s *Server) GetWithdrawal(ctx context.Context, r bankingapi.GetWithdrawalRequestObject) (bankingapi.GetWithdrawalResponseObject,
	error) {
	w, err := s.app.GetWithdrawal(ctx, r.WithdrawalID)
	if err != nil {
		return nil, err
	}
	return bankingapi.GetWithdrawal200JSONResponse(withdrawal(w)), nil
}

// ListWithdrawals answers GET /v1/withdrawals.
func (s *Server) ListWithdrawals(ctx context.Context,
	r bankingapi.ListWithdrawalsRequestObject) (bankingapi.ListWithdrawalsResponseObject, error) {
	all, next, err := s.app.ListWithdrawals(ctx, text(r.Params.ClientReference), page.Request{Limit: r.Params.Limit, Cursor: r.Params.Cursor})
	if err != nil {
		return nil, err
	}
	out := bankingapi.ListWithdrawals200JSONResponse{Data: []bankingapi.Withdrawal{}, NextCursor: next}
	for _, w := range all {
		out.Data = append(out.Data, withdrawal(w))
	}
	return out, nil
}

// CancelWithdrawal answers POST /v1/withdrawals/{withdrawal_id}/cancellation.
func (s *Server) CancelWithdrawal(ctx context.Context,
	r bankingapi.CancelWithdrawalRequestObject) (bankingapi.CancelWithdrawalResponseObject, error) {
	w, err := s.app.CancelWithdrawal(ctx, r.WithdrawalID)
	if err != nil {
		return nil, err
	}
	return bankingapi.CancelWithdrawal200JSONResponse(withdrawal(w)), nil
}

func withdrawal(w domain.Withdrawal) bankingapi.Withdrawal {
	return bankingapi.Withdrawal{ID: w.ID, WalletID: w.WalletID, Rail: w.Rail, Phone: optional(w.Phone), RecipientName: optional(w.Name),
		BankAccount: paidAccount(w.Destination),
		Amount:      wire(w.Amount), Fee: wire(w.Fee), Excise: wire(w.Excise), Total: wire(w.Total()), Status: string(w.Status),
		FailureCode: optional(w.FailureCode), Receipt: optional(w.Receipt), ClientReference: optional(w.ClientReference),
		CreatedAt: w.CreatedAt, UpdatedAt: w.UpdatedAt}
}

func arrival(rail string) string {
	if rail == domain.RailPaystack {
		return "hours"
	}
	return "minutes"
}

func paidAccount(d domain.Destination) *bankingapi.PaidAccount {
	if d.Account == nil {
		return nil
	}
	return &bankingapi.PaidAccount{BankAccountID: d.Account.ID, BankName: d.Account.BankName, LastFour: domain.LastFour(d.Account.Number)}
}

// stored is what a provider gets for every message that is kept.
var stored = bankingapi.ProviderReceipt{ResultCode: 0, ResultDesc: "Accepted"}

// ReceivePaystackEvent answers POST /v1/hooks/bp.
func (s *Server) ReceivePaystackEvent(ctx context.Context,
	r bankingapi.ReceivePaystackEventRequestObject) (bankingapi.ReceivePaystackEventResponseObject, error) {
	body, err := hook.Read(r.Body)
	if err != nil {
		return nil, err
	}
	if err := s.app.ReceivePaystackEvent(ctx, text(r.Params.XPaystackSignature), body); err != nil {
		return nil, err
	}
	return bankingapi.ReceivePaystackEvent200JSONResponse(stored), nil
}

// ReceiveRailResult answers POST /v1/hooks/br/{token}/{request_id}.
func (s *Server) ReceiveRailResult(ctx context.Context,
	r bankingapi.ReceiveRailResultRequestObject) (bankingapi.ReceiveRailResultResponseObject, error) {
	body, err := hook.Read(r.Body)
	if err != nil {
		return nil, err
	}
	if err := s.app.ReceiveRailResult(ctx, r.Token, r.RequestID, body); err != nil {
		return nil, err
	}
	return bankingapi.ReceiveRailResult200JSONResponse(stored), nil
}

// ReceiveRailTimeout answers POST /v1/hooks/br/{token}/{request_id}/late.
func (s *Server) ReceiveRailTimeout(ctx context.Context,
	r bankingapi.ReceiveRailTimeoutRequestObject) (bankingapi.ReceiveRailTimeoutResponseObject, error) {
	body, err := hook.Read(r.Body)
	if err != nil {
		return nil, err
	}
	if err := s.app.ReceiveRailTimeout(ctx, r.Token, r.RequestID, body); err != nil {
		return nil, err
	}
	return bankingapi.ReceiveRailTimeout200JSONResponse(stored), nil
}
