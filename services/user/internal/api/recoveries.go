package api

import (
	"context"
	"time"

	"github.com/sendtip/sendtip/clients/approvals"
	userapi "github.com/sendtip/sendtip/generated/user/api"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/services/user/internal/app"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

// StartRecovery sends a code.
func (s *Server) StartRecovery(ctx context.Context, r userapi.StartRecoveryRequestObject) (userapi.StartRecoveryResponseObject, error) {
	c, err := s.app.StartRecovery(ctx, r.Body.Phone, r.Body.Country, r.Body.Language)
	if err != nil {
		return nil, err
	}
	return userapi.StartRecovery202JSONResponse{RecoveryID: c.ID, ExpiresAt: c.ExpiresAt, ResendAfter: c.ResendAfter}, nil
}

// CompleteRecovery takes the proof and the document.
func (s *Server) CompleteRecovery(ctx context.Context,
	r userapi.CompleteRecoveryRequestObject) (userapi.CompleteRecoveryResponseObject, error) {
	b := r.Body
	in := app.RecoveryInput{ID: r.RecoveryID, Otp: b.Otp, Pin: b.Pin, Device: b.DeviceID, ConsentVersion: b.ConsentVersion,
		Submission: domain.Submission{Country: b.Country, IDType: b.IDType, IDNumber: b.IDNumber, FirstName: b.FirstName, LastName: b.LastName,
			DateOfBirth: b.DateOfBirth.Format(time.DateOnly)}}
	if b.MiddleName != nil {
		in.Submission.MiddleName = *b.MiddleName
	}
	receipt, err := s.app.CompleteRecovery(ctx, in)
	if err != nil {
		return nil, err
	}
	return userapi.CompleteRecovery202JSONResponse{RecoveryID: receipt.ID, RecoveryToken: receipt.Token, State: "processing"}, nil
}

// GetRecovery tells how far it is.
func (s *Server) GetRecovery(ctx context.Context, r userapi.GetRecoveryRequestObject) (userapi.GetRecoveryResponseObject, error) {
	token := ""
	if r.Params.RecoveryToken != nil {
		token = *r.Params.RecoveryToken
	}
	st, err := s.app.GetRecovery(ctx, r.RecoveryID, token)
	if err != nil {
		return nil, err
	}
	return userapi.GetRecovery200JSONResponse{RecoveryID: st.ID, State: st.State, AppliesAt: st.AppliesAt}, nil
}

// ListMyRecoveries lists the approved recoveries of the own account.
func (s *Server) ListMyRecoveries(ctx context.Context,
	r userapi.ListMyRecoveriesRequestObject) (userapi.ListMyRecoveriesResponseObject, error) {
	all, next, err := s.app.ListMyRecoveries(ctx, page.Request{Limit: r.Params.Limit, Cursor: r.Params.Cursor})
	if err != nil {
		return nil, err
	}
	out := userapi.ListMyRecoveries200JSONResponse{Data: []userapi.MyRecovery{}, NextCursor: next}
	for _, m := range all {
		out.Data = append(out.Data, myRecoveryAnswer(m))
	}
	return out, nil
}

func myRecoveryAnswer(m app.MyRecovery) userapi.MyRecovery {
	return userapi.MyRecovery{RecoveryID: m.ID, State: m.State, CreatedAt: m.CreatedAt, AppliesAt: m.AppliesAt, ClosedAt: m.ClosedAt}
}

// CancelRecovery stops a recovery of the own account.
func (s *Server) CancelRecovery(ctx context.Context, r userapi.CancelRecoveryRequestObject) (userapi.CancelRecoveryResponseObject, error) {
	m, err := s.app.CancelRecovery(ctx, r.RecoveryID)
	if err != nil {
		return nil, err
	}
	return userapi.CancelRecovery200JSONResponse(myRecoveryAnswer(m)), nil
}

// ListRecoveries lists recoveries for compliance.
func (s *Server) ListRecoveries(ctx context.Context, r userapi.ListRecoveriesRequestObject) (userapi.ListRecoveriesResponseObject, error) {
	state := userapi.ListRecoveriesParamsStateChecked
	if r.Params.State != nil {
		state = *r.Params.State
	}
	if !state.Valid() {
		return nil, fault.ErrInvalid.WithField("state", "enum", "There is no such state.")
	}
	all, next, err := s.app.ListRecoveries(ctx, string(state), page.Request{Limit: r.Params.Limit, Cursor: r.Params.Cursor})
	if err != nil {
		return nil, err
	}
	out := userapi.ListRecoveries200JSONResponse{Data: []userapi.RecoveryCase{}, NextCursor: next}
	for _, c := range all {
		one := userapi.RecoveryCase{RecoveryID: c.ID, UserID: c.UserID, State: c.State, ReasonCode: optional(c.Reason), Phone: optional(c.Phone),
			Country: c.Country, IDType: c.IDType, NumberTaken: c.NumberTaken, NumberClaimID: c.ClaimID, CreatedAt: c.CreatedAt,
			AppliesAt: c.AppliesAt, ClosedAt: c.ClosedAt,
			Submitted: details(c.Submitted.FullName(), c.Submitted.DateOfBirth, c.Submitted.IDNumber)}
		if c.Unreadable {
			one.Unreadable = &c.Unreadable
		}
		if c.Returned != nil {
			returned := details(c.Returned.FullName, c.Returned.DateOfBirth, c.Returned.IDNumber)
			one.Returned = &returned
		}
		out.Data = append(out.Data, one)
	}
	return out, nil
}

// ProposeRecovery asks to give an account back.
func (s *Server) ProposeRecovery(ctx context.Context,
	r userapi.ProposeRecoveryRequestObject) (userapi.ProposeRecoveryResponseObject, error) {
	a, err := s.app.ProposeRecovery(ctx, r.Body.RecoveryID, r.Body.Reason)
	if err != nil {
		return nil, err
	}
	out, err := approvals.Answer(a)
	return userapi.ProposeRecovery201JSONResponse(out), err
}
