package api

import (
	"context"

	"github.com/sendtip/sendtip/clients/approvals"
	userapi "github.com/sendtip/sendtip/generated/user/api"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/page"
)

// CreateTotp shows the secret of a new authenticator.
func (s *Server) CreateTotp(ctx context.Context, r userapi.CreateTotpRequestObject) (userapi.CreateTotpResponseObject, error) {
	t, err := s.app.CreateTotp(ctx, r.Body.Pin)
	if err != nil {
		return nil, err
	}
	return userapi.CreateTotp201JSONResponse{Secret: t.Secret, URI: t.URI}, nil
}

// ConfirmTotp takes the first code of a new authenticator.
func (s *Server) ConfirmTotp(ctx context.Context, r userapi.ConfirmTotpRequestObject) (userapi.ConfirmTotpResponseObject, error) {
	if err := s.app.ConfirmTotp(ctx, r.Body.Code); err != nil {
		return nil, err
	}
	return userapi.ConfirmTotp204Response{}, nil
}

// ListStaff lists who runs the platform.
func (s *Server) ListStaff(ctx context.Context, r userapi.ListStaffRequestObject) (userapi.ListStaffResponseObject, error) {
	members, next, err := s.app.ListStaff(ctx, page.Request{Limit: r.Params.Limit, Cursor: r.Params.Cursor})
	if err != nil {
		return nil, err
	}
	out := userapi.ListStaff200JSONResponse{Data: []userapi.StaffMember{}, NextCursor: next}
	for _, m := range members {
		out.Data = append(out.Data, userapi.StaffMember{UserID: m.ID, Role: m.Role, Status: m.Status, Totp: m.Totp, CreatedAt: m.CreatedAt})
	}
	return out, nil
}

// ProposeRoleChange asks for another role of a user.
func (s *Server) ProposeRoleChange(ctx context.Context,
	r userapi.ProposeRoleChangeRequestObject) (userapi.ProposeRoleChangeResponseObject, error) {
	if !r.Body.Role.Valid() {
		return nil, fault.ErrInvalid.WithField("/role", "enum", "The role is not known.")
	}
	a, err := s.app.ProposeRole(ctx, r.Body.UserID, string(r.Body.Role), r.Body.Reason)
	if err != nil {
		return nil, err
	}
	out, err := approvals.Answer(a)
	return userapi.ProposeRoleChange201JSONResponse(out), err
}

// ProposeTotpReset asks that a member of staff sets up a new authenticator.
func (s *Server) ProposeTotpReset(ctx context.Context,
	r userapi.ProposeTotpResetRequestObject) (userapi.ProposeTotpResetResponseObject, error) {
	a, err := s.app.ProposeTotpReset(ctx, r.Body.UserID, r.Body.Reason)
	if err != nil {
		return nil, err
	}
	out, err := approvals.Answer(a)
	return userapi.ProposeTotpReset201JSONResponse(out), err
}

// ProposeKycOverride asks to verify an identity that was rejected.
func (s *Server) ProposeKycOverride(ctx context.Context,
	r userapi.ProposeKycOverrideRequestObject) (userapi.ProposeKycOverrideResponseObject, error) {
	a, err := s.app.ProposeKycOverride(ctx, r.Body.KycID, r.Body.Reason)
	if err != nil {
		return nil, err
	}
	out, err := approvals.Answer(a)
	return userapi.ProposeKycOverride201JSONResponse(out), err
}

// ListUserApprovals lists the changes that need two people.
func (s *Server) ListUserApprovals(ctx context.Context,
	r userapi.ListUserApprovalsRequestObject) (userapi.ListUserApprovalsResponseObject, error) {
	var state string
	if r.Params.State != nil {
		state = string(*r.Params.State)
	}
	all, next, err := s.app.Approvals.List(ctx, s.app.Pool, "listUserApprovals", state, page.Request{Limit: r.Params.Limit,
		Cursor: r.Params.Cursor})
	if err != nil {
		return nil, err
	}
	out, err := approvals.Page(all, next)
	return userapi.ListUserApprovals200JSONResponse(out), err
}

// ApproveUserApproval makes a change that another person proposed.
func (s *Server) ApproveUserApproval(ctx context.Context,
	r userapi.ApproveUserApprovalRequestObject) (userapi.ApproveUserApprovalResponseObject, error) {
	a, err := s.app.Approvals.Approve(ctx, s.app.Pool, r.ApprovalID, r.Body.Digest)
	if err != nil {
		return nil, err
	}
	out, err := approvals.Answer(a)
	return userapi.ApproveUserApproval200JSONResponse(out), err
}

// RejectUserApproval ends a request without the change.
func (s *Server) RejectUserApproval(ctx context.Context,
	r userapi.RejectUserApprovalRequestObject) (userapi.RejectUserApprovalResponseObject, error) {
	a, err := s.app.Approvals.Reject(ctx, s.app.Pool, r.ApprovalID, r.Body.Reason)
	if err != nil {
		return nil, err
	}
	out, err := approvals.Answer(a)
	return userapi.RejectUserApproval200JSONResponse(out), err
}
