package api

import (
	"context"

	"github.com/sendtip/sendtip/clients/approvals"
	userapi "github.com/sendtip/sendtip/generated/user/api"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/services/user/internal/app"
)

// ListMyNumberClaims lists who claimed the caller's number.
func (s *Server) ListMyNumberClaims(ctx context.Context,
	r userapi.ListMyNumberClaimsRequestObject) (userapi.ListMyNumberClaimsResponseObject, error) {
	claims, next, err := s.app.ListMyNumberClaims(ctx, page.Request{Limit: r.Params.Limit, Cursor: r.Params.Cursor})
	if err != nil {
		return nil, err
	}
	out := userapi.ListMyNumberClaims200JSONResponse{Data: []userapi.NumberClaim{}, NextCursor: next}
	for _, c := range claims {
		out.Data = append(out.Data, claimAnswer(c))
	}
	return out, nil
}

// RejectNumberClaim takes the holder's answer that the number is theirs.
func (s *Server) RejectNumberClaim(ctx context.Context,
	r userapi.RejectNumberClaimRequestObject) (userapi.RejectNumberClaimResponseObject, error) {
	c, err := s.app.RejectNumberClaim(ctx, r.ClaimID)
	if err != nil {
		return nil, err
	}
	return userapi.RejectNumberClaim200JSONResponse(claimAnswer(c)), nil
}

// ReleaseNumberClaim takes the holder's answer that the number is not theirs.
func (s *Server) ReleaseNumberClaim(ctx context.Context,
	r userapi.ReleaseNumberClaimRequestObject) (userapi.ReleaseNumberClaimResponseObject, error) {
	c, err := s.app.ReleaseNumberClaim(ctx, r.ClaimID)
	if err != nil {
		return nil, err
	}
	return userapi.ReleaseNumberClaim200JSONResponse(claimAnswer(c)), nil
}

func claimAnswer(c app.Claim) userapi.NumberClaim {
	return userapi.NumberClaim{ClaimID: c.ID, State: c.State, Reason: optional(c.Reason), OpenedAt: c.OpenedAt, ReleaseAt: c.ReleaseAt,
		AnsweredAt: c.AnsweredAt, ClosedAt: c.ClosedAt}
}

// ListNumberClaims lists claims for compliance.
func (s *Server) ListNumberClaims(ctx context.Context,
	r userapi.ListNumberClaimsRequestObject) (userapi.ListNumberClaimsResponseObject, error) {
	state := userapi.ListNumberClaimsParamsStateDisputed
	if r.Params.State != nil {
		state = *r.Params.State
	}
	if !state.Valid() {
		return nil, fault.ErrInvalid.WithField("state", "enum", "The state must be open, disputed, released or kept.")
	}
	claims, next, err := s.app.ListNumberClaims(ctx, string(state), page.Request{Limit: r.Params.Limit, Cursor: r.Params.Cursor})
	if err != nil {
		return nil, err
	}
	out := userapi.ListNumberClaims200JSONResponse{Data: []userapi.NumberClaimReview{}, NextCursor: next}
	for _, c := range claims {
		out.Data = append(out.Data, userapi.NumberClaimReview{ClaimID: c.ID, State: c.State, Reason: optional(c.Reason), OpenedAt: c.OpenedAt,
			ReleaseAt: c.ReleaseAt, AnsweredAt: c.AnsweredAt, ClosedAt: c.ClosedAt, UserID: c.UserID, Phone: c.Phone})
	}
	return out, nil
}

// ProposeNumberClaimDecision asks to end a claim.
func (s *Server) ProposeNumberClaimDecision(ctx context.Context,
	r userapi.ProposeNumberClaimDecisionRequestObject) (userapi.ProposeNumberClaimDecisionResponseObject, error) {
	if !r.Body.Outcome.Valid() {
		return nil, fault.ErrInvalid.WithField("/outcome", "enum", "The outcome must be keep or release.")
	}
	a, err := s.app.ProposeNumberDecision(ctx, r.Body.ClaimID, string(r.Body.Outcome), r.Body.Reason)
	if err != nil {
		return nil, err
	}
	out, err := approvals.Answer(a)
	return userapi.ProposeNumberClaimDecision201JSONResponse(out), err
}
