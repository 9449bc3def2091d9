package api

import (
	"context"

	walletapi "github.com/sendtip/sendtip/generated/wallet/api"
	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/page"

	"github.com/sendtip/sendtip/services/wallet/internal/app"
	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

// CreateTransferQuote answers POST /v1/transfer-quotes.
func (s *Server) CreateTransferQuote(ctx context.Context,
	r walletapi.CreateTransferQuoteRequestObject) (walletapi.CreateTransferQuoteResponseObject, error) {
	var m money.Money // of a request's payment the request says it
	if r.Body.Amount != nil {
		var err error
		if m, err = amount(*r.Body.Amount); err != nil {
			return nil, err
		}
	}
	q, err := s.app.CreateTransferQuote(ctx, app.QuoteInput{WalletID: r.Body.WalletID, RecipientPhone: text(r.Body.RecipientPhone),
		RecipientWalletID: r.Body.RecipientWalletID, RequestID: r.Body.PaymentRequestID, Amount: m})
	if err != nil {
		return nil, err
	}
	total, err := q.Total()
	if err != nil {
		return nil, err
	}
	return walletapi.CreateTransferQuote201JSONResponse{ID: q.ID, WalletID: q.WalletID, RecipientWalletID: q.RecipientWalletID,
		RecipientName: optional(q.RecipientName), Amount: wire(q.Amount), Fee: wire(q.Fee), Excise: wire(q.Excise), Total: wire(total),
		ExpiresAt: q.ExpiresAt, PaymentRequestID: q.RequestID}, nil
}

func transfer(t domain.Transfer) (walletapi.Transfer, error) {
	total, err := t.Total()
	if err != nil {
		return walletapi.Transfer{}, err
	}
	status := t.Status
	if status == domain.TransferCreated {
		status = "pending"
	}
	return walletapi.Transfer{ID: t.ID, QuoteID: t.QuoteID, WalletID: t.WalletID, RecipientWalletID: t.RecipientWalletID,
		RecipientName: optional(t.RecipientName), Amount: wire(t.Amount), Fee: wire(t.Fee), Excise: wire(t.Excise), Total: wire(total),
		Status: status, FailureCode: optional(t.FailureCode), Note: optional(t.Note), ClientReference: optional(t.ClientReference),
		CreatedAt: t.CreatedAt, ClosedAt: t.ClosedAt, PaymentRequestID: t.RequestID}, nil
}

// CreateTransfer answers POST /v1/transfers: 201 completed, 202 pending.
func (s *Server) CreateTransfer(ctx context.Context,
	r walletapi.CreateTransferRequestObject) (walletapi.CreateTransferResponseObject, error) {
	t, err := s.app.CreateTransfer(ctx, app.TransferInput{Key: r.Params.IdempotencyKey, QuoteID: r.Body.QuoteID, Note: text(r.Body.Note),
		ClientReference: text(r.Body.ClientReference)})
	if err != nil {
		return nil, err
	}
	out, err := transfer(t)
	if err != nil {
		return nil, err
	}
	if t.Status == domain.TransferCompleted {
		return walletapi.CreateTransfer201JSONResponse(out), nil
	}
	return walletapi.CreateTransfer202JSONResponse(out), nil
}

// GetTransfer answers GET /v1/transfers/{transfer_id}.
func (s *Server) GetTransfer(ctx context.Context, r walletapi.GetTransferRequestObject) (walletapi.GetTransferResponseObject, error) {
	t, err := s.app.GetTransfer(ctx, r.TransferID)
	if err != nil {
		return nil, err
	}
	out, err := transfer(t)
	return walletapi.GetTransfer200JSONResponse(out), err
}

// ListTransfers answers GET /v1/transfers.
func (s *Server) ListTransfers(ctx context.Context, r walletapi.ListTransfersRequestObject) (walletapi.ListTransfersResponseObject, error) {
	in := page.Request{Limit: r.Params.Limit, Cursor: r.Params.Cursor}
	transfers, next, err := s.app.ListTransfers(ctx, text(r.Params.ClientReference), in)
	if err != nil {
		return nil, err
	}
	out := walletapi.ListTransfers200JSONResponse{Data: []walletapi.Transfer{}, NextCursor: next}
	for _, t := range transfers {
		shown, err := transfer(t)
		if err != nil {
			return nil, err
		}
		out.Data = append(out.Data, shown)
	}
	return out, nil
}
