package api

import (
	"context"

	userapi "github.com/sendtip/sendtip/generated/user/api"
	"github.com/sendtip/sendtip/services/user/internal/app"
)

// StartRegistration sends a code.
func (s *Server) StartRegistration(ctx context.Context,
	r userapi.StartRegistrationRequestObject) (userapi.StartRegistrationResponseObject, error) {
	c, err := s.app.StartRegistration(ctx, r.Body.Phone, r.Body.Country, r.Body.Language)
	if err != nil {
		return nil, err
	}
	return userapi.StartRegistration202JSONResponse{RegistrationID: c.ID, ExpiresAt: c.ExpiresAt, ResendAfter: c.ResendAfter}, nil
}

// CompleteRegistration makes the customer.
func (s *Server) CompleteRegistration(ctx context.Context,
	r userapi.CompleteRegistrationRequestObject) (userapi.CompleteRegistrationResponseObject, error) {
	p, t, err := s.app.CompleteRegistration(ctx,
		app.RegistrationInput{ID: r.RegistrationID, Otp: r.Body.Otp, Pin: r.Body.Pin, Device: r.Body.DeviceID})
	if err != nil {
		return nil, err
	}
	return userapi.CompleteRegistration201JSONResponse{User: profileAnswer(p), Tokens: tokensAnswer(t)}, nil
}
