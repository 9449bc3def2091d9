package api

import (
	"context"

	walletapi "github.com/sendtip/sendtip/generated/wallet/api"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/page"

	"github.com/sendtip/sendtip/services/wallet/internal/app"
	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

// paymentRequest is a request as the caller may see it: each side sees the other's name, and only the requester the own wallet.
func paymentRequest(ctx context.Context, r domain.Request) walletapi.PaymentRequest {
	out := walletapi.PaymentRequest{ID: r.ID, Direction: "received", CounterpartyName: optional(r.RequesterName), Amount: wire(r.Amount),
		Note: optional(r.Note), Status: r.Status, RemindersSent: int32(r.Reminders), CreatedAt: r.CreatedAt, ExpiresAt: r.ExpiresAt,
		ClosedAt: r.ClosedAt}
	if caller, ok := auth.From(ctx).UserID(); !ok || caller != r.RequesterID {
		return out
	}
	out.Direction, out.CounterpartyName, out.WalletID = "sent", optional(r.PayerName), &r.WalletID
	if next := r.RemindAfter(); !next.IsZero() {
		out.RemindAfter = &next
	}
	return out
}

// CreatePaymentRequest answers POST /v1/payment-requests.
func (s *Server) CreatePaymentRequest(ctx context.Context,
	r walletapi.CreatePaymentRequestRequestObject) (walletapi.CreatePaymentRequestResponseObject, error) {
	m, err := amount(r.Body.Amount)
	if err != nil {
		return nil, err
	}
	made, err := s.app.CreatePaymentRequest(ctx, app.RequestInput{Key: r.Params.IdempotencyKey, WalletID: r.Body.WalletID,
		PayerPhone: r.Body.PayerPhone, Amount: m, Note: text(r.Body.Note)})
	if err != nil {
		return nil, err
	}
	return walletapi.CreatePaymentRequest201JSONResponse(paymentRequest(ctx, made)), nil
}

// ListPaymentRequests answers GET /v1/payment-requests.
func (s *Server) ListPaymentRequests(ctx context.Context,
	r walletapi.ListPaymentRequestsRequestObject) (walletapi.ListPaymentRequestsResponseObject, error) {
	direction := ""
	if r.Params.Direction != nil {
		direction = string(*r.Params.Direction)
	}
	requests, next, err := s.app.ListPaymentRequests(ctx, direction, page.Request{Limit: r.Params.Limit, Cursor: r.Params.Cursor})
	if err != nil {
		return nil, err
	}
	out := walletapi.ListPaymentRequests200JSONResponse{Data: []walletapi.PaymentRequest{}, NextCursor: next}
	for _, one := range requests {
		out.Data = append(out.Data, paymentRequest(ctx, one))
	}
	return out, nil
}

// GetPaymentRequest answers GET /v1/payment-requests/{payment_request_id}.
func (s *Server) GetPaymentRequest(ctx context.Context,
	r walletapi.GetPaymentRequestRequestObject) (walletapi.GetPaymentRequestResponseObject, error) {
	got, err := s.app.GetPaymentRequest(ctx, r.PaymentRequestID)
	if err != nil {
		return nil, err
	}
	return walletapi.GetPaymentRequest200JSONResponse(paymentRequest(ctx, got)), nil
}

// DeclinePaymentRequest answers POST /v1/payment-requests/{payment_request_id}/decline.
func (s *Server) DeclinePaymentRequest(ctx context.Context,
	r walletapi.DeclinePaymentRequestRequestObject) (walletapi.DeclinePaymentRequestResponseObject, error) {
	got, err := s.app.DeclinePaymentRequest(ctx, r.PaymentRequestID)
	if err != nil {
		return nil, err
	}
	return walletapi.DeclinePaymentRequest200JSONResponse(paymentRequest(ctx, got)), nil
}

// CancelPaymentRequest answers POST /v1/payment-requests/{payment_request_id}/cancellation.
func (s *Server) CancelPaymentRequest(ctx context.Context,
	r walletapi.CancelPaymentRequestRequestObject) (walletapi.CancelPaymentRequestResponseObject, error) {
	got, err := s.app.CancelPaymentRequest(ctx, r.PaymentRequestID)
	if err != nil {
		return nil, err
	}
	return walletapi.CancelPaymentRequest200JSONResponse(paymentRequest(ctx, got)), nil
}

// RemindPaymentRequest answers POST /v1/payment-requests/{payment_request_id}/reminders.
func (s *Server) RemindPaymentRequest(ctx context.Context,
	r walletapi.RemindPaymentRequestRequestObject) (walletapi.RemindPaymentRequestResponseObject, error) {
	got, err := s.app.RemindPaymentRequest(ctx, r.PaymentRequestID)
	if err != nil {
		return nil, err
	}
	return walletapi.RemindPaymentRequest200JSONResponse(paymentRequest(ctx, got)), nil
}
