package api

import (
	"context"

	walletapi "github.com/sendtip/sendtip/generated/wallet/api"
	"github.com/sendtip/sendtip/kit/hook"
)

// accepted is what Safaricom gets for every message that is stored.
var accepted = walletapi.ProviderReceipt{ResultCode: 0, ResultDesc: "Accepted"}

// ReceiveStkCallback answers POST /v1/hooks/st/{token}/{topup_id}.
func (s *Server) ReceiveStkCallback(ctx context.Context,
	r walletapi.ReceiveStkCallbackRequestObject) (walletapi.ReceiveStkCallbackResponseObject, error) {
	body, err := hook.Read(r.Body)
	if err != nil {
		return nil, err
	}
	if err := s.app.ReceiveStkCallback(ctx, r.Token, r.TopupID, body); err != nil {
		return nil, err
	}
	return walletapi.ReceiveStkCallback200JSONResponse(accepted), nil
}

// ReceiveC2BConfirmation answers POST /v1/hooks/cb/{token}/confirmation.
func (s *Server) ReceiveC2BConfirmation(ctx context.Context,
	r walletapi.ReceiveC2BConfirmationRequestObject) (walletapi.ReceiveC2BConfirmationResponseObject, error) {
	body, err := hook.Read(r.Body)
	if err != nil {
		return nil, err
	}
	if err := s.app.ReceiveC2bConfirmation(ctx, r.Token, body); err != nil {
		return nil, err
	}
	return walletapi.ReceiveC2BConfirmation200JSONResponse(accepted), nil
}

// ReceiveC2BValidation answers POST /v1/hooks/cb/{token}/validation.
func (s *Server) ReceiveC2BValidation(ctx context.Context,
	r walletapi.ReceiveC2BValidationRequestObject) (walletapi.ReceiveC2BValidationResponseObject, error) {
	body, err := hook.Read(r.Body)
	if err != nil {
		return nil, err
	}
	v, err := s.app.ValidateC2b(ctx, r.Token, body)
	if err != nil {
		return nil, err
	}
	return walletapi.ReceiveC2BValidation200JSONResponse{ResultCode: v.Code, ResultDesc: v.Text}, nil
}
