package api

import (
	"context"

	"github.com/sendtip/sendtip/clients/approvals"
	bankingapi "github.com/sendtip/sendtip/generated/banking/api"
	"github.com/sendtip/sendtip/kit/page"

	"github.com/sendtip/sendtip/services/banking/internal/app"
)

// ProposeRefund answers POST /v1/banking/deposits/{deposit_id}/refund.
func (s *Server) ProposeRefund(ctx context.Context, r bankingapi.ProposeRefundRequestObject) (bankingapi.ProposeRefundResponseObject,
	error) {
	m, err := amount(r.Body.Amount)
	if err != nil {
		return nil, err
	}
	a, err := s.app.ProposeRefund(ctx, r.DepositID, m, r.Body.Reason)
	if err != nil {
		return nil, err
	}
	out, err := approvals.Answer(a)
	return bankingapi.ProposeRefund201JSONResponse(out), err
}

// ProposeRefundSettlement answers POST /v1/banking/refunds/{refund_id}/settlement.
func (s *Server) ProposeRefundSettlement(ctx context.Context,
	r bankingapi.ProposeRefundSettlementRequestObject) (bankingapi.ProposeRefundSettlementResponseObject, error) {
	a, err := s.app.ProposeRefundSettlement(ctx, r.RefundID, app.RefundSettlement{Outcome: string(r.Body.Outcome), Evidence: r.Body.Evidence},
		r.Body.Reason)
	if err != nil {
		return nil, err
	}
	out, err := approvals.Answer(a)
	return bankingapi.ProposeRefundSettlement201JSONResponse(out), err
}

// ListRefundsByStatus answers GET /v1/banking/refunds.
func (s *Server) ListRefundsByStatus(ctx context.Context,
	r bankingapi.ListRefundsByStatusRequestObject) (bankingapi.ListRefundsByStatusResponseObject, error) {
	status := bankingapi.ListRefundsByStatusParamsStatusAttention
	if r.Params.Status != nil {
		status = *r.Params.Status
	}
	all, next, err := s.app.ListRefundsByStatus(ctx, string(status), page.Request{Limit: r.Params.Limit, Cursor: r.Params.Cursor})
	if err != nil {
		return nil, err
	}
	out := bankingapi.ListRefundsByStatus200JSONResponse{Data: []bankingapi.Refund{}, NextCursor: next}
	for _, f := range all {
		shown := bankingapi.Refund{ID: f.ID, DepositID: f.DepositID, UserID: f.UserID, Amount: wire(f.Amount), Status: string(f.Status),
			FailureCode: optional(f.FailureCode), ProviderID: optional(f.ProviderID), CreatedAt: f.CreatedAt,
			Transitions: []bankingapi.WithdrawalTransition{}}
		for _, t := range f.Transitions {
			shown.Transitions = append(shown.Transitions, bankingapi.WithdrawalTransition{Status: t.ToStatus, Reason: optional(t.Reason),
				Evidence: t.Evidence, EvidenceID: t.EvidenceID, LedgerTransactionID: t.LedgerTransactionID, At: t.At.UTC()})
		}
		out.Data = append(out.Data, shown)
	}
	return out, nil
}
