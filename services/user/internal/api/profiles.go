package api

import (
	"context"

	userapi "github.com/sendtip/sendtip/generated/user/api"
	"github.com/sendtip/sendtip/services/user/internal/app"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

// GetProfile reads the own record.
func (s *Server) GetProfile(ctx context.Context, _ userapi.GetProfileRequestObject) (userapi.GetProfileResponseObject, error) {
	p, err := s.app.GetProfile(ctx)
	if err != nil {
		return nil, err
	}
	return userapi.GetProfile200JSONResponse(profileAnswer(p)), nil
}

// UpdateProfile changes e-mail address or language.
func (s *Server) UpdateProfile(ctx context.Context, r userapi.UpdateProfileRequestObject) (userapi.UpdateProfileResponseObject, error) {
	p, err := s.app.UpdateProfile(ctx, app.ProfileInput{Email: (*string)(r.Body.Email), Language: r.Body.Language})
	if err != nil {
		return nil, err
	}
	return userapi.UpdateProfile200JSONResponse(profileAnswer(p)), nil
}

func profileAnswer(p domain.Profile) userapi.Profile {
	return userapi.Profile{
		UserID: p.ID, Phone: optional(p.Phone), Email: optional(userapi.Email(p.Email)), FirstName: optional(p.FirstName),
		LastName: optional(p.LastName),
		Country:  p.Country, Language: p.Language, Status: p.Status, KycStatus: p.KycStatus, Tier: p.Tier, Roles: []string{p.Role},
		CreatedAt: p.CreatedAt,
	}
}

// LookupRecipient finds who can be paid at a phone.
func (s *Server) LookupRecipient(ctx context.Context,
	r userapi.LookupRecipientRequestObject) (userapi.LookupRecipientResponseObject, error) {
	p, err := s.app.LookupRecipient(ctx, r.Body.Phone)
	if err != nil {
		return nil, err
	}
	return userapi.LookupRecipient200JSONResponse{UserID: p.ID, MaskedName: p.MaskedName(), Status: p.Status, Tier: p.Tier}, nil
}

// GetContacts tells where a customer is reached.
func (s *Server) GetContacts(ctx context.Context, r userapi.GetContactsRequestObject) (userapi.GetContactsResponseObject, error) {
	p, err := s.app.GetContacts(ctx, r.UserID)
	if err != nil {
		return nil, err
	}
	return userapi.GetContacts200JSONResponse{Phone: optional(p.Phone), Email: optional(userapi.Email(p.Email)), Language: p.Language,
		FirstName: optional(p.FirstName), MaskedName: optional(p.MaskedName())}, nil
}

// GetStanding tells what a customer may do.
func (s *Server) GetStanding(ctx context.Context, r userapi.GetStandingRequestObject) (userapi.GetStandingResponseObject, error) {
	st, err := s.app.GetStanding(ctx, r.UserID)
	if err != nil {
		return nil, err
	}
	out := userapi.GetStanding200JSONResponse{UserID: st.UserID, Status: st.Status, Tier: st.Tier, Country: st.Country, Number: &st.Number,
		Version: st.Version}
	if !st.CredentialsChangedAt.IsZero() {
		out.CredentialsChangedAt = &st.CredentialsChangedAt
	}
	return out, nil
}

// TakeOtp gives a code to the service that sends it.
func (s *Server) TakeOtp(ctx context.Context, r userapi.TakeOtpRequestObject) (userapi.TakeOtpResponseObject, error) {
	c, err := s.app.TakeOtp(ctx, r.ChallengeID)
	if err != nil {
		return nil, err
	}
	return userapi.TakeOtp200JSONResponse{Phone: c.Phone, Code: c.Code, Language: c.Language, Purpose: c.Purpose, ExpiresAt: c.ExpiresAt}, nil
}
