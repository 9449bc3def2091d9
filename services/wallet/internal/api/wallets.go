package api

import (
	"context"

	openapi_types "github.com/oapi-codegen/runtime/types"

	"github.com/sendtip/sendtip/generated/common"
	walletapi "github.com/sendtip/sendtip/generated/wallet/api"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

func wallet(w domain.Wallet) walletapi.Wallet {
	out := walletapi.Wallet{ID: w.ID, Currency: w.Currency, Status: w.Status, DepositAccount: optional(w.DepositAccount),
		CreatedAt: w.CreatedAt}
	if w.HeldAboveMaximumMinor > 0 {
		out.HeldAboveMaximum = &common.Money{Amount: w.HeldAboveMaximumMinor, Currency: w.Currency}
	}
	return out
}

// ListWallets answers GET /v1/wallets.
func (s *Server) ListWallets(ctx context.Context, _ walletapi.ListWalletsRequestObject) (walletapi.ListWalletsResponseObject, error) {
	wallets, err := s.app.ListWallets(ctx)
	if err != nil {
		return nil, err
	}
	out := walletapi.ListWallets200JSONResponse{Data: []walletapi.Wallet{}}
	for _, w := range wallets {
		out.Data = append(out.Data, wallet(w))
	}
	return out, nil
}

// GetWallet answers GET /v1/wallets/{wallet_id}.
func (s *Server) GetWallet(ctx context.Context, r walletapi.GetWalletRequestObject) (walletapi.GetWalletResponseObject, error) {
	w, err := s.app.GetWallet(ctx, r.WalletID)
	if err != nil {
		return nil, err
	}
	return walletapi.GetWallet200JSONResponse(wallet(w)), nil
}

// OpenWallet answers POST /v1/wallets.
func (s *Server) OpenWallet(ctx context.Context, r walletapi.OpenWalletRequestObject) (walletapi.OpenWalletResponseObject, error) {
	w, created, err := s.app.OpenWallet(ctx, r.Params.IdempotencyKey, r.Body.Currency)
	if err != nil {
		return nil, err
	}
	if created {
		return walletapi.OpenWallet201JSONResponse(wallet(w)), nil
	}
	return walletapi.OpenWallet200JSONResponse(wallet(w)), nil
}

// GetLimits answers GET /v1/limits.
func (s *Server) GetLimits(ctx context.Context, _ walletapi.GetLimitsRequestObject) (walletapi.GetLimitsResponseObject, error) {
	l, err := s.app.GetLimits(ctx)
	if err != nil {
		return nil, err
	}
	out := walletapi.GetLimits200JSONResponse{Tier: int32(l.Customer.Tier), Status: l.Customer.Status, Day: openapi_types.Date{Time: l.Day},
		Limits: []walletapi.Limit{}, MaximumBalances: []common.Money{}}
	for _, u := range l.Limits {
		out.Limits = append(out.Limits, walletapi.Limit{Kind: u.Kind, PerTransaction: minor(u.PerTransaction, u.Currency),
			PerDay: minor(u.PerDay, u.Currency), UsedToday: minor(u.Used.Day, u.Currency),
			PerMonth: minor(u.PerMonth, u.Currency), UsedThisMonth: minor(u.Used.Month, u.Currency)})
	}
	for _, b := range l.Balances {
		out.MaximumBalances = append(out.MaximumBalances, minor(b.Maximum, b.Currency))
	}
	return out, nil
}

// EstimateFee answers POST /v1/fee-estimates.
func (s *Server) EstimateFee(ctx context.Context, r walletapi.EstimateFeeRequestObject) (walletapi.EstimateFeeResponseObject, error) {
	m, err := amount(r.Body.Amount)
	if err != nil {
		return nil, err
	}
	price, err := s.app.EstimateFee(ctx, r.Body.Kind, text(r.Body.Country), m)
	if err != nil {
		return nil, err
	}
	total, err := price.Total()
	if err != nil {
		return nil, err
	}
	return walletapi.EstimateFee200JSONResponse{Kind: r.Body.Kind, Amount: wire(price.Amount), Fee: wire(price.Fee),
		Excise: wire(price.Excise),
		Total:  wire(total)}, nil
}

// GetWalletOwner answers GET /v1/internal/wallets/{wallet_id}.
func (s *Server) GetWalletOwner(ctx context.Context,
	r walletapi.GetWalletOwnerRequestObject) (walletapi.GetWalletOwnerResponseObject, error) {
	w, c, err := s.app.GetWalletOwner(ctx, r.WalletID)
	if err != nil {
		return nil, err
	}
	return walletapi.GetWalletOwner200JSONResponse{WalletID: w.ID, UserID: w.UserID, Currency: w.Currency, Status: w.Status,
		CustomerStatus: c.Status, Tier: int32(c.Tier), Country: c.Country}, nil
}
