package api

import (
	"context"

	"github.com/sendtip/sendtip/clients/approvals"
	walletapi "github.com/sendtip/sendtip/generated/wallet/api"
	"github.com/sendtip/sendtip/kit/hook"
	"github.com/sendtip/sendtip/kit/page"

	"github.com/sendtip/sendtip/services/wallet/internal/app"
)

// ListSuspense answers GET /v1/wallet/suspense-items.
func (s *Server) ListSuspense(ctx context.Context, r walletapi.ListSuspenseRequestObject) (walletapi.ListSuspenseResponseObject, error) {
	status := walletapi.ListSuspenseParamsStatusOpen
	if r.Params.Status != nil {
		status = *r.Params.Status
	}
	all, next, err := s.app.ListSuspense(ctx, string(status), page.Request{Limit: r.Params.Limit, Cursor: r.Params.Cursor})
	if err != nil {
		return nil, err
	}
	out := walletapi.ListSuspense200JSONResponse{Data: []walletapi.SuspenseItem{}, NextCursor: next}
	for _, i := range all {
		out.Data = append(out.Data, s.suspenseItem(i))
	}
	return out, nil
}

// DecideSuspense answers POST /v1/wallet/suspense-items/{item_id}/decision.
func (s *Server) DecideSuspense(ctx context.Context,
	r walletapi.DecideSuspenseRequestObject) (walletapi.DecideSuspenseResponseObject, error) {
	item, asked, err := s.app.DecideSuspense(ctx, r.ItemID, app.SuspenseDecision{Action: string(r.Body.Action), WalletID: r.Body.WalletID},
		r.Body.Reason)
	if err != nil {
		return nil, err
	}
	out := walletapi.DecideSuspense200JSONResponse{Item: s.suspenseItem(item)}
	if asked != nil {
		shown, err := approvals.Answer(*asked)
		if err != nil {
			return nil, err
		}
		out.Approval = &shown
	}
	return out, nil
}

func (s *Server) suspenseItem(i app.SuspenseView) walletapi.SuspenseItem {
	out := walletapi.SuspenseItem{ID: i.ID, Source: i.Source, Why: i.Why, Amount: wire(i.Amount), AgeS: i.AgeSeconds, Status: string(i.Status),
		Receipt: optional(i.Receipt), Payer: optional(i.Payer), BillReference: optional(i.BillRef), BookedAt: i.BookedAt.UTC(),
		Transitions: []walletapi.SuspenseTransition{}}
	for _, t := range i.Transitions {
		out.Transitions = append(out.Transitions, walletapi.SuspenseTransition{Status: t.ToStatus, Reason: optional(t.Reason),
			Evidence: t.Evidence, EvidenceID: t.EvidenceID, WalletID: t.WalletID, Receipt: t.Receipt,
			LedgerTransactionID: t.LedgerTransactionID, At: t.At.UTC()})
	}
	return out
}

// ReceivePaybillResult answers POST /v1/hooks/wr/{token}/{request_id}.
func (s *Server) ReceivePaybillResult(ctx context.Context,
	r walletapi.ReceivePaybillResultRequestObject) (walletapi.ReceivePaybillResultResponseObject, error) {
	body, err := hook.Read(r.Body)
	if err != nil {
		return nil, err
	}
	if err := s.app.ReceivePaybillResult(ctx, r.Token, r.RequestID, body); err != nil {
		return nil, err
	}
	return walletapi.ReceivePaybillResult200JSONResponse(accepted), nil
}

// ReceivePaybillTimeout answers POST /v1/hooks/wr/{token}/{request_id}/late.
func (s *Server) ReceivePaybillTimeout(ctx context.Context,
	r walletapi.ReceivePaybillTimeoutRequestObject) (walletapi.ReceivePaybillTimeoutResponseObject, error) {
	body, err := hook.Read(r.Body)
	if err != nil {
		return nil, err
	}
	if err := s.app.ReceivePaybillTimeout(ctx, r.Token, r.RequestID, body); err != nil {
		return nil, err
	}
	return walletapi.ReceivePaybillTimeout200JSONResponse(accepted), nil
}
