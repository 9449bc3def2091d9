package api

import (
	"context"

	userapi "github.com/sendtip/sendtip/generated/user/api"
	"github.com/sendtip/sendtip/services/user/internal/app"
)

// StartPinReset sends a code.
func (s *Server) StartPinReset(ctx context.Context, r userapi.StartPinResetRequestObject) (userapi.StartPinResetResponseObject, error) {
	c, err := s.app.StartPinReset(ctx, r.Body.Phone, r.Body.DeviceID)
	if err != nil {
		return nil, err
	}
	return userapi.StartPinReset202JSONResponse{PinResetID: c.ID, ExpiresAt: c.ExpiresAt, ResendAfter: c.ResendAfter}, nil
}

// CompletePinReset sets a new PIN.
func (s *Server) CompletePinReset(ctx context.Context,
	r userapi.CompletePinResetRequestObject) (userapi.CompletePinResetResponseObject, error) {
	in := app.PinResetInput{ID: r.PinResetID, Otp: r.Body.Otp, Pin: r.Body.Pin, Device: r.Body.DeviceID}
	if r.Body.IDNumber != nil {
		in.IDNumber = *r.Body.IDNumber
	}
	if err := s.app.CompletePinReset(ctx, in); err != nil {
		return nil, err
	}
	return userapi.CompletePinReset204Response{}, nil
}
