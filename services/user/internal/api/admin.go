package api

import (
	"context"

	userapi "github.com/sendtip/sendtip/generated/user/api"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/services/user/internal/app"
)

// ListKycReviews lists what waits for a person.
func (s *Server) ListKycReviews(ctx context.Context, r userapi.ListKycReviewsRequestObject) (userapi.ListKycReviewsResponseObject, error) {
	status := userapi.ListKycReviewsParamsStatusReview
	if r.Params.Status != nil {
		status = *r.Params.Status
	}
	if !status.Valid() {
		return nil, fault.ErrInvalid.WithField("status", "enum", "The status must be review or rejected.")
	}
	reviews, next, err := s.app.ListKycReviews(ctx, string(status), page.Request{Limit: r.Params.Limit, Cursor: r.Params.Cursor})
	if err != nil {
		return nil, err
	}
	out := userapi.ListKycReviews200JSONResponse{Data: []userapi.KycReview{}, NextCursor: next}
	for _, v := range reviews {
		out.Data = append(out.Data, reviewAnswer(v))
	}
	return out, nil
}

func reviewAnswer(v app.Review) userapi.KycReview {
	out := userapi.KycReview{
		KycID: v.ID, UserID: v.UserID, ReasonCode: v.Reason, Country: v.Country, IDType: v.IDType, SubmittedAt: v.SubmittedAt,
		Submitted: details(v.Submitted.FullName(), v.Submitted.DateOfBirth, v.Submitted.IDNumber),
	}
	if v.Unreadable {
		out.Unreadable = &v.Unreadable
	}
	if v.Returned != nil {
		returned := details(v.Returned.FullName, v.Returned.DateOfBirth, v.Returned.IDNumber)
		out.Returned = &returned
	}
	return out
}

func details(name, born, number string) userapi.KycDetails {
	return userapi.KycDetails{FullName: optional(name), DateOfBirth: optional(born), IDNumber: optional(number)}
}

// DecideKycReview takes an operator's decision.
func (s *Server) DecideKycReview(ctx context.Context,
	r userapi.DecideKycReviewRequestObject) (userapi.DecideKycReviewResponseObject, error) {
	if !r.Body.Decision.Valid() {
		return nil, fault.ErrInvalid.WithField("/decision", "enum", "The decision must be approve or reject.")
	}
	k, err := s.app.DecideKycReview(ctx,
		app.DecisionInput{KycID: r.KycID, Approve: r.Body.Decision == userapi.KycDecisionDecisionApprove, Reason: r.Body.Reason})
	if err != nil {
		return nil, err
	}
	return userapi.DecideKycReview200JSONResponse(kycAnswer(k)), nil
}

// SuspendUser stops a customer.
func (s *Server) SuspendUser(ctx context.Context, r userapi.SuspendUserRequestObject) (userapi.SuspendUserResponseObject, error) {
	u, err := s.app.SuspendUser(ctx, r.UserID, r.Body.Reason)
	if err != nil {
		return nil, err
	}
	return userapi.SuspendUser200JSONResponse(statusAnswer(u)), nil
}

// ReinstateUser lets a customer back in.
func (s *Server) ReinstateUser(ctx context.Context, r userapi.ReinstateUserRequestObject) (userapi.ReinstateUserResponseObject, error) {
	u, err := s.app.ReinstateUser(ctx, r.UserID)
	if err != nil {
		return nil, err
	}
	return userapi.ReinstateUser200JSONResponse(statusAnswer(u)), nil
}

func statusAnswer(u app.UserStatus) userapi.UserStatus {
	return userapi.UserStatus{UserID: u.ID, Status: u.Status, Version: u.Version}
}

// ListRevocations tells gateways which sessions are dead.
func (s *Server) ListRevocations(ctx context.Context,
	r userapi.ListRevocationsRequestObject) (userapi.ListRevocationsResponseObject, error) {
	now, revocations, err := s.app.ListRevocations(ctx, r.Params.Since)
	if err != nil {
		return nil, err
	}
	out := userapi.ListRevocations200JSONResponse{DatabaseTime: now, Data: []userapi.Revocation{}}
	for _, v := range revocations {
		out.Data = append(out.Data, userapi.Revocation{Kind: v.Kind, ID: v.ID, RevokedAt: v.RevokedAt})
	}
	return out, nil
}
