package api

import (
	"context"

	"github.com/sendtip/sendtip/clients/approvals"
	"github.com/sendtip/sendtip/clients/rails"
	bankingapi "github.com/sendtip/sendtip/generated/banking/api"
	"github.com/sendtip/sendtip/kit/page"

	"github.com/sendtip/sendtip/services/banking/internal/app"
)

// ListWithdrawalsByStatus answers GET /v1/banking/withdrawals.
func (s *Server) ListWithdrawalsByStatus(ctx context.Context,
	r bankingapi.ListWithdrawalsByStatusRequestObject) (bankingapi.ListWithdrawalsByStatusResponseObject, error) {
	status := bankingapi.ListWithdrawalsByStatusParamsStatusInDoubt
	if r.Params.Status != nil {
		status = *r.Params.Status
	}
	all, next, err := s.app.ListWithdrawalsByStatus(ctx, string(status), page.Request{Limit: r.Params.Limit, Cursor: r.Params.Cursor})
	if err != nil {
		return nil, err
	}
	out := bankingapi.ListWithdrawalsByStatus200JSONResponse{Data: []bankingapi.OperatorWithdrawal{}, NextCursor: next}
	for _, w := range all {
		shown := bankingapi.OperatorWithdrawal{ID: w.ID, UserID: w.UserID, Rail: w.Rail, Phone: optional(w.Phone),
			BankAccount: paidAccount(w.Destination), Amount: wire(w.Amount),
			Total:  wire(w.Total()),
			Status: string(w.Status), FailureCode: optional(w.FailureCode), Receipt: optional(w.Receipt), CreatedAt: w.CreatedAt,
			Transitions: []bankingapi.WithdrawalTransition{}}
		for _, t := range w.Transitions {
			shown.Transitions = append(shown.Transitions, bankingapi.WithdrawalTransition{Status: t.ToStatus, Reason: optional(t.Reason),
				Evidence: t.Evidence, EvidenceID: t.EvidenceID, LedgerTransactionID: t.LedgerTransactionID, Booked: optional(t.Booked), At: t.At.UTC()})
		}
		out.Data = append(out.Data, shown)
	}
	return out, nil
}

// ProposeSettlement answers POST /v1/banking/withdrawals/{withdrawal_id}/settlement.
func (s *Server) ProposeSettlement(ctx context.Context,
	r bankingapi.ProposeSettlementRequestObject) (bankingapi.ProposeSettlementResponseObject, error) {
	a, err := s.app.ProposeSettlement(ctx, r.WithdrawalID, app.Settlement{Outcome: string(r.Body.Outcome), Receipt: text(r.Body.Receipt),
		Evidence: r.Body.Evidence}, r.Body.Reason)
	if err != nil {
		return nil, err
	}
	out, err := approvals.Answer(a)
	return bankingapi.ProposeSettlement201JSONResponse(out), err
}

// ListBankingRails answers GET /v1/banking/rails.
func (s *Server) ListBankingRails(ctx context.Context,
	_ bankingapi.ListBankingRailsRequestObject) (bankingapi.ListBankingRailsResponseObject, error) {
	all, doubt, err := s.app.ListRails(ctx)
	return bankingapi.ListBankingRails200JSONResponse(rails.List(all, doubt)), err
}

// ProposeBankingRailSwitch answers POST /v1/banking/rails/{operation}/switches.
func (s *Server) ProposeBankingRailSwitch(ctx context.Context,
	r bankingapi.ProposeBankingRailSwitchRequestObject) (bankingapi.ProposeBankingRailSwitchResponseObject, error) {
	a, err := s.app.ProposeRailSwitch(ctx, r.Operation, r.Body.Off, r.Body.Reason)
	if err != nil {
		return nil, err
	}
	out, err := approvals.Answer(a)
	return bankingapi.ProposeBankingRailSwitch201JSONResponse(out), err
}

// ListBankingApprovals lists the decisions that need two people.
func (s *Server) ListBankingApprovals(ctx context.Context,
	r bankingapi.ListBankingApprovalsRequestObject) (bankingapi.ListBankingApprovalsResponseObject, error) {
	var state string
	if r.Params.State != nil {
		state = string(*r.Params.State)
	}
	all, next, err := s.app.Approvals.List(ctx, s.app.Pool, "listBankingApprovals", state, page.Request{Limit: r.Params.Limit,
		Cursor: r.Params.Cursor})
	if err != nil {
		return nil, err
	}
	out, err := approvals.Page(all, next)
	return bankingapi.ListBankingApprovals200JSONResponse(out), err
}

// ApproveBankingApproval carries out a decision that another person proposed.
func (s *Server) ApproveBankingApproval(ctx context.Context,
	r bankingapi.ApproveBankingApprovalRequestObject) (bankingapi.ApproveBankingApprovalResponseObject, error) {
	a, err := s.app.Approvals.Approve(ctx, s.app.Pool, r.ApprovalID, r.Body.Digest)
	if err != nil {
		return nil, err
	}
	out, err := approvals.Answer(a)
	return bankingapi.ApproveBankingApproval200JSONResponse(out), err
}

// RejectBankingApproval ends a request without the decision.
func (s *Server) RejectBankingApproval(ctx context.Context,
	r bankingapi.RejectBankingApprovalRequestObject) (bankingapi.RejectBankingApprovalResponseObject, error) {
	a, err := s.app.Approvals.Reject(ctx, s.app.Pool, r.ApprovalID, r.Body.Reason)
	if err != nil {
		return nil, err
	}
	out, err := approvals.Answer(a)
	return bankingapi.RejectBankingApproval200JSONResponse(out), err
}
