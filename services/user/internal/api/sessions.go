package api

import (
	"context"

	userapi "github.com/sendtip/sendtip/generated/user/api"
	"github.com/sendtip/sendtip/services/user/internal/app"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

// StartLoginChallenge sends a code for a new device.
func (s *Server) StartLoginChallenge(ctx context.Context,
	r userapi.StartLoginChallengeRequestObject) (userapi.StartLoginChallengeResponseObject, error) {
	c, err := s.app.StartLoginChallenge(ctx, r.Body.Phone, r.Body.DeviceID)
	if err != nil {
		return nil, err
	}
	return userapi.StartLoginChallenge202JSONResponse{ChallengeID: c.ID, ExpiresAt: c.ExpiresAt, ResendAfter: c.ResendAfter}, nil
}

// CreateSession signs in.
func (s *Server) CreateSession(ctx context.Context, r userapi.CreateSessionRequestObject) (userapi.CreateSessionResponseObject, error) {
	in := app.SessionInput{Phone: r.Body.Phone, Pin: r.Body.Pin, Device: r.Body.DeviceID, ChallengeID: r.Body.ChallengeID}
	if r.Body.Otp != nil {
		in.Otp = *r.Body.Otp
	}
	if r.Body.Totp != nil {
		in.Totp = *r.Body.Totp
	}
	t, err := s.app.CreateSession(ctx, in)
	if err != nil {
		return nil, err
	}
	return userapi.CreateSession201JSONResponse(tokensAnswer(t)), nil
}

// RefreshSession exchanges a refresh token.
func (s *Server) RefreshSession(ctx context.Context, r userapi.RefreshSessionRequestObject) (userapi.RefreshSessionResponseObject, error) {
	t, err := s.app.RefreshSession(ctx,
		app.RefreshInput{Token: r.Body.RefreshToken, Device: r.Body.DeviceID, IdempotencyKey: r.Params.IdempotencyKey})
	if err != nil {
		return nil, err
	}
	return userapi.RefreshSession201JSONResponse(tokensAnswer(t)), nil
}

// DeleteSession signs out.
func (s *Server) DeleteSession(ctx context.Context, _ userapi.DeleteSessionRequestObject) (userapi.DeleteSessionResponseObject, error) {
	if err := s.app.DeleteSession(ctx); err != nil {
		return nil, err
	}
	return userapi.DeleteSession204Response{}, nil
}

// jwksKept is as long as a gateway trusts a key that it does not see again: a withdrawn one dies everywhere at the same time.
const jwksKept = "public, max-age=300"

// GetJwks shows the public keys.
func (s *Server) GetJwks(context.Context, userapi.GetJwksRequestObject) (userapi.GetJwksResponseObject, error) {
	set := userapi.Jwks{Keys: []userapi.Jwk{}}
	for _, k := range s.app.Keys.Public() {
		set.Keys = append(set.Keys, userapi.Jwk{Kty: "EC", Crv: "P-256", Alg: "ES256", Use: "sig", Kid: k.Kid, X: k.X, Y: k.Y})
	}
	kept := jwksKept
	return userapi.GetJwks200JSONResponse{Body: set, Headers: userapi.GetJwks200ResponseHeaders{CacheControl: &kept}}, nil
}

// CreateStepUp approves an operation with the PIN.
func (s *Server) CreateStepUp(ctx context.Context, r userapi.CreateStepUpRequestObject) (userapi.CreateStepUpResponseObject, error) {
	u, err := s.app.CreateStepUp(ctx, app.StepUpInput{Pin: r.Body.Pin, Operation: r.Body.Operation,
		Approves: domain.StepUpSubject{QuoteID: r.Body.Approves.QuoteID, ID: r.Body.Approves.ID}})
	if err != nil {
		return nil, err
	}
	return userapi.CreateStepUp201JSONResponse{Token: u.Token, ExpiresAt: u.ExpiresAt}, nil
}

func tokensAnswer(t app.Tokens) userapi.Tokens {
	return userapi.Tokens{
		AccessToken: t.Access, TokenType: "Bearer", ExpiresAt: t.AccessExpires,
		RefreshToken: t.Refresh, RefreshExpiresAt: t.RefreshExpires, SessionID: t.SessionID,
	}
}
