package api

import (
	"context"
	"time"

	userapi "github.com/sendtip/sendtip/generated/user/api"
	"github.com/sendtip/sendtip/kit/hook"
	"github.com/sendtip/sendtip/services/user/internal/app"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

// SubmitKyc takes identity details.
func (s *Server) SubmitKyc(ctx context.Context, r userapi.SubmitKycRequestObject) (userapi.SubmitKycResponseObject, error) {
	b := r.Body
	sub := domain.Submission{
		Country: b.Country, IDType: b.IDType, IDNumber: b.IDNumber, FirstName: b.FirstName, LastName: b.LastName,
		DateOfBirth: b.DateOfBirth.Format(time.DateOnly),
	}
	if b.MiddleName != nil {
		sub.MiddleName = *b.MiddleName
	}
	k, err := s.app.SubmitKyc(ctx, app.KycInput{Submission: sub, ConsentVersion: b.ConsentVersion, IdempotencyKey: r.Params.IdempotencyKey})
	if err != nil {
		return nil, err
	}
	return userapi.SubmitKyc202JSONResponse(kycAnswer(k)), nil
}

// GetKyc reads a submission's state.
func (s *Server) GetKyc(ctx context.Context, r userapi.GetKycRequestObject) (userapi.GetKycResponseObject, error) {
	k, err := s.app.GetKyc(ctx, r.KycID)
	if err != nil {
		return nil, err
	}
	return userapi.GetKyc200JSONResponse(kycAnswer(k)), nil
}

// ReceiveKycCallback stores what Smile ID sends, unread: its form is its own matter.
func (s *Server) ReceiveKycCallback(ctx context.Context,
	r userapi.ReceiveKycCallbackRequestObject) (userapi.ReceiveKycCallbackResponseObject, error) {
	body, err := hook.Read(r.Body)
	if err != nil {
		return nil, err
	}
	if err := s.app.ReceiveKycCallback(ctx, r.Token, r.KycID, body); err != nil {
		return nil, err
	}
	return userapi.ReceiveKycCallback200JSONResponse{Received: true}, nil
}

func kycAnswer(k app.Kyc) userapi.KycVerification {
	return userapi.KycVerification{
		KycID: k.ID, UserID: k.UserID, Status: k.Status, ReasonCode: optional(k.Reason), Country: k.Country, IDType: k.IDType,
		SubmittedAt: k.SubmittedAt, DecidedAt: k.DecidedAt,
	}
}
