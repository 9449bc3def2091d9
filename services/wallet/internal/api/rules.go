package api

import (
	"context"

	"github.com/sendtip/sendtip/clients/approvals"
	"github.com/sendtip/sendtip/clients/rails"
	walletapi "github.com/sendtip/sendtip/generated/wallet/api"
	"github.com/sendtip/sendtip/kit/page"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

// ListRules answers GET /v1/wallet/rules.
func (s *Server) ListRules(ctx context.Context, r walletapi.ListRulesRequestObject) (walletapi.ListRulesResponseObject, error) {
	rules, err := s.app.ListRules(ctx, r.Params.Country)
	if err != nil {
		return nil, err
	}
	out := walletapi.ListRules200JSONResponse{Tariffs: []walletapi.TariffRow{}, Taxes: []walletapi.TaxRow{}, Limits: []walletapi.LimitRow{}}
	for _, t := range rules.Tariffs {
		row := walletapi.TariffRow{Country: t.Country, Kind: t.Kind, Currency: t.Currency, ExciseIncluded: t.ExciseIncluded,
			EffectiveFrom: t.EffectiveFrom.UTC(), TariffID: t.ID}
		if t.Tier != nil {
			tier := int32(*t.Tier)
			row.Tier = &tier
		}
		from := int64(1)
		for _, b := range t.Bands {
			row.Bands = append(row.Bands, walletapi.TariffBand{FromMinor: from, UpToMinor: b.UpTo, FeeMinor: b.Fee})
			from = b.UpTo + 1
		}
		out.Tariffs = append(out.Tariffs, row)
	}
	for _, t := range rules.Taxes {
		out.Taxes = append(out.Taxes, walletapi.TaxRow{Country: t.Country, Tax: t.Name, RatePpm: t.RatePPM, EffectiveFrom: t.EffectiveFrom.UTC()})
	}
	for _, l := range rules.Limits {
		out.Limits = append(out.Limits, walletapi.LimitRow{Country: l.Country, Tier: int32(l.Tier), Kind: l.Kind, Currency: l.Currency,
			PerTransactionMinor: l.PerTransaction, PerDayMinor: l.PerDay, PerMonthMinor: l.PerMonth, EffectiveFrom: l.EffectiveFrom.UTC()})
	}
	return out, nil
}

// ProposeTariff answers POST /v1/wallet/tariffs.
func (s *Server) ProposeTariff(ctx context.Context, r walletapi.ProposeTariffRequestObject) (walletapi.ProposeTariffResponseObject, error) {
	c := domain.TariffChange{Country: r.Body.Country, Kind: r.Body.Kind, Currency: r.Body.Currency, ExciseIncluded: r.Body.ExciseIncluded,
		EffectiveFrom: r.Body.EffectiveFrom}
	if r.Body.Tier != nil {
		tier := int16(*r.Body.Tier)
		c.Tier = &tier
	}
	for _, b := range r.Body.Bands {
		c.Bands = append(c.Bands, domain.BandChange{From: b.FromMinor, UpTo: b.UpToMinor, Fee: b.FeeMinor})
	}
	a, err := s.app.ProposeTariff(ctx, c, r.Body.Reason)
	if err != nil {
		return nil, err
	}
	out, err := approvals.Answer(a)
	return walletapi.ProposeTariff201JSONResponse(out), err
}

// ProposeTax answers POST /v1/wallet/taxes.
func (s *Server) ProposeTax(ctx context.Context, r walletapi.ProposeTaxRequestObject) (walletapi.ProposeTaxResponseObject, error) {
	a, err := s.app.ProposeTax(ctx, domain.TaxChange{Country: r.Body.Country, Tax: r.Body.Tax, RatePPM: r.Body.RatePpm,
		EffectiveFrom: r.Body.EffectiveFrom}, r.Body.Reason)
	if err != nil {
		return nil, err
	}
	out, err := approvals.Answer(a)
	return walletapi.ProposeTax201JSONResponse(out), err
}

// ProposeLimit answers POST /v1/wallet/limits.
func (s *Server) ProposeLimit(ctx context.Context, r walletapi.ProposeLimitRequestObject) (walletapi.ProposeLimitResponseObject, error) {
	a, err := s.app.ProposeLimit(ctx, domain.LimitChange{Country: r.Body.Country, Tier: int16(r.Body.Tier),
		Kind: r.Body.Kind, Currency: r.Body.Currency, PerTransaction: r.Body.PerTransactionMinor, PerDay: r.Body.PerDayMinor,
		PerMonth: r.Body.PerMonthMinor, EffectiveFrom: r.Body.EffectiveFrom}, r.Body.Reason)
	if err != nil {
		return nil, err
	}
	out, err := approvals.Answer(a)
	return walletapi.ProposeLimit201JSONResponse(out), err
}

// ListWalletRails answers GET /v1/wallet/rails.
func (s *Server) ListWalletRails(ctx context.Context, _ walletapi.ListWalletRailsRequestObject) (walletapi.ListWalletRailsResponseObject,
	error) {
	all, err := s.app.ListRails(ctx)
	return walletapi.ListWalletRails200JSONResponse(rails.List(all, nil)), err
}

// ProposeWalletRailSwitch answers POST /v1/wallet/rails/{operation}/switches.
func (s *Server) ProposeWalletRailSwitch(ctx context.Context,
	r walletapi.ProposeWalletRailSwitchRequestObject) (walletapi.ProposeWalletRailSwitchResponseObject, error) {
	a, err := s.app.ProposeRailSwitch(ctx, r.Operation, r.Body.Off, r.Body.Reason)
	if err != nil {
		return nil, err
	}
	out, err := approvals.Answer(a)
	return walletapi.ProposeWalletRailSwitch201JSONResponse(out), err
}

// ListWalletApprovals lists the changes that need two people.
func (s *Server) ListWalletApprovals(ctx context.Context,
	r walletapi.ListWalletApprovalsRequestObject) (walletapi.ListWalletApprovalsResponseObject, error) {
	var state string
	if r.Params.State != nil {
		state = string(*r.Params.State)
	}
	all, next, err := s.app.Approvals.List(ctx, s.app.Pool, "listWalletApprovals", state, page.Request{Limit: r.Params.Limit,
		Cursor: r.Params.Cursor})
	if err != nil {
		return nil, err
	}
	out, err := approvals.Page(all, next)
	return walletapi.ListWalletApprovals200JSONResponse(out), err
}

// ApproveWalletApproval makes a change that another person proposed.
func (s *Server) ApproveWalletApproval(ctx context.Context,
	r walletapi.ApproveWalletApprovalRequestObject) (walletapi.ApproveWalletApprovalResponseObject, error) {
	a, err := s.app.Approvals.Approve(ctx, s.app.Pool, r.ApprovalID, r.Body.Digest)
	if err != nil {
		return nil, err
	}
	out, err := approvals.Answer(a)
	return walletapi.ApproveWalletApproval200JSONResponse(out), err
}

// RejectWalletApproval ends a request without the change.
func (s *Server) RejectWalletApproval(ctx context.Context,
	r walletapi.RejectWalletApprovalRequestObject) (walletapi.RejectWalletApprovalResponseObject, error) {
	a, err := s.app.Approvals.Reject(ctx, s.app.Pool, r.ApprovalID, r.Body.Reason)
	if err != nil {
		return nil, err
	}
	out, err := approvals.Answer(a)
	return walletapi.RejectWalletApproval200JSONResponse(out), err
}
