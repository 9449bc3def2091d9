package api

import (
	"context"

	userapi "github.com/sendtip/sendtip/generated/user/api"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/services/user/internal/app"
)

// StartNumberChange sends a code to the new number.
func (s *Server) StartNumberChange(ctx context.Context,
	r userapi.StartNumberChangeRequestObject) (userapi.StartNumberChangeResponseObject, error) {
	c, err := s.app.StartNumberChange(ctx, r.Body.Phone)
	if err != nil {
		return nil, err
	}
	return userapi.StartNumberChange202JSONResponse{NumberChangeID: c.ID, ExpiresAt: c.ExpiresAt, ResendAfter: c.ResendAfter}, nil
}

// ConfirmNumberChange takes the code and the approval.
func (s *Server) ConfirmNumberChange(ctx context.Context,
	r userapi.ConfirmNumberChangeRequestObject) (userapi.ConfirmNumberChangeResponseObject, error) {
	c, err := s.app.ConfirmNumberChange(ctx, r.NumberChangeID, r.Body.Otp)
	if err != nil {
		return nil, err
	}
	return userapi.ConfirmNumberChange200JSONResponse(numberChangeAnswer(c)), nil
}

// ListNumberChanges lists the own changes.
func (s *Server) ListNumberChanges(ctx context.Context,
	r userapi.ListNumberChangesRequestObject) (userapi.ListNumberChangesResponseObject, error) {
	all, next, err := s.app.ListNumberChanges(ctx, page.Request{Limit: r.Params.Limit, Cursor: r.Params.Cursor})
	if err != nil {
		return nil, err
	}
	out := userapi.ListNumberChanges200JSONResponse{Data: []userapi.NumberChange{}, NextCursor: next}
	for _, c := range all {
		out.Data = append(out.Data, numberChangeAnswer(c))
	}
	return out, nil
}

// GetNumberChange reads an own change.
func (s *Server) GetNumberChange(ctx context.Context,
	r userapi.GetNumberChangeRequestObject) (userapi.GetNumberChangeResponseObject, error) {
	c, err := s.app.GetNumberChange(ctx, r.NumberChangeID)
	if err != nil {
		return nil, err
	}
	return userapi.GetNumberChange200JSONResponse(numberChangeAnswer(c)), nil
}

// CancelNumberChange stops an own change.
func (s *Server) CancelNumberChange(ctx context.Context,
	r userapi.CancelNumberChangeRequestObject) (userapi.CancelNumberChangeResponseObject, error) {
	c, err := s.app.CancelNumberChange(ctx, r.NumberChangeID)
	if err != nil {
		return nil, err
	}
	return userapi.CancelNumberChange200JSONResponse(numberChangeAnswer(c)), nil
}

func numberChangeAnswer(c app.NumberChange) userapi.NumberChange {
	return userapi.NumberChange{NumberChangeID: c.ID, Phone: c.Phone, State: c.State, ReasonCode: optional(c.Reason), CreatedAt: c.CreatedAt,
		AppliesAt: c.AppliesAt, ClosedAt: c.ClosedAt}
}

// GetFormerNumber tells where a customer was reached before.
func (s *Server) GetFormerNumber(ctx context.Context,
	r userapi.GetFormerNumberRequestObject) (userapi.GetFormerNumberResponseObject, error) {
	n, err := s.app.GetFormerNumber(ctx, r.FormerNumberID)
	if err != nil {
		return nil, err
	}
	return userapi.GetFormerNumber200JSONResponse{Phone: n.Phone, Language: n.Language}, nil
}
