package api

import (
	"context"

	walletapi "github.com/sendtip/sendtip/generated/wallet/api"
	"github.com/sendtip/sendtip/kit/page"

	"github.com/sendtip/sendtip/services/wallet/internal/app"
	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

// topup shows a paid top-up as crediting until the ledger has it: a customer who reads paid finds the money in the balance.
func topup(t domain.Topup) walletapi.Topup {
	status := string(t.Status)
	if t.Credit == domain.CreditDue {
		status = "crediting"
	}
	return walletapi.Topup{ID: t.ID, WalletID: t.WalletID, Amount: wire(t.Amount), Status: status, FailureCode: optional(t.FailureCode),
		AccountReference: t.AccountReference, Receipt: optional(t.Receipt), CreatedAt: t.CreatedAt, UpdatedAt: t.UpdatedAt}
}

// CreateTopup answers POST /v1/topups.
func (s *Server) CreateTopup(ctx context.Context, r walletapi.CreateTopupRequestObject) (walletapi.CreateTopupResponseObject, error) {
	m, err := amount(r.Body.Amount)
	if err != nil {
		return nil, err
	}
	t, err := s.app.CreateTopup(ctx,
		app.TopupInput{Key: r.Params.IdempotencyKey, WalletID: r.Body.WalletID, Amount: m, Phone: text(r.Body.Phone)})
	if err != nil {
		return nil, err
	}
	return walletapi.CreateTopup202JSONResponse(topup(t)), nil
}

// GetTopup answers GET /v1/topups/{topup_id}.
func (s *Server) GetTopup(ctx context.Context, r walletapi.GetTopupRequestObject) (walletapi.GetTopupResponseObject, error) {
	t, err := s.app.GetTopup(ctx, r.TopupID)
	if err != nil {
		return nil, err
	}
	return walletapi.GetTopup200JSONResponse(topup(t)), nil
}

// ListTopups answers GET /v1/topups.
func (s *Server) ListTopups(ctx context.Context, r walletapi.ListTopupsRequestObject) (walletapi.ListTopupsResponseObject, error) {
	topups, next, err := s.app.ListTopups(ctx, page.Request{Limit: r.Params.Limit, Cursor: r.Params.Cursor})
	if err != nil {
		return nil, err
	}
	out := walletapi.ListTopups200JSONResponse{Data: []walletapi.Topup{}, NextCursor: next}
	for _, t := range topups {
		out.Data = append(out.Data, topup(t))
	}
	return out, nil
}

// LiftMyPromptBlock answers POST /v1/prompt-block-lifts.
func (s *Server) LiftMyPromptBlock(ctx context.Context,
	_ walletapi.LiftMyPromptBlockRequestObject) (walletapi.LiftMyPromptBlockResponseObject, error) {
	if err := s.app.LiftMyPromptBlock(ctx); err != nil {
		return nil, err
	}
	return walletapi.LiftMyPromptBlock204Response{}, nil
}

// LiftPromptBlock answers POST /v1/admin/prompt-block-lifts.
func (s *Server) LiftPromptBlock(ctx context.Context,
	r walletapi.LiftPromptBlockRequestObject) (walletapi.LiftPromptBlockResponseObject, error) {
	if err := s.app.LiftPromptBlock(ctx, r.Body.Phone); err != nil {
		return nil, err
	}
	return walletapi.LiftPromptBlock204Response{}, nil
}
