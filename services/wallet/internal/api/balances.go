package api

import (
	"context"

	walletapi "github.com/sendtip/sendtip/generated/wallet/api"
	"github.com/sendtip/sendtip/kit/money"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

// ListRailBalances answers GET /v1/wallet/rail-balances.
func (s *Server) ListRailBalances(ctx context.Context,
	_ walletapi.ListRailBalancesRequestObject) (walletapi.ListRailBalancesResponseObject, error) {
	b, err := s.app.ListRailBalances(ctx)
	if err != nil {
		return nil, err
	}
	out := walletapi.ListRailBalances200JSONResponse{Data: []walletapi.RailBalance{}, LedgerAccount: b.LedgerAccount,
		LedgerBalance: wire(money.Money{Amount: b.LedgerMinor, Currency: domain.MpesaCurrency})}
	for _, x := range b.Accounts {
		minor := func(m int64) money.Money { return money.Money{Amount: m, Currency: x.Currency} }
		out.Data = append(out.Data, walletapi.RailBalance{ShortCode: x.ShortCode, Account: x.Account, Current: wire(minor(x.CurrentMinor)),
			Available: wire(minor(x.AvailableMinor)), Reserved: wire(minor(x.ReservedMinor)), Uncleared: wire(minor(x.UnclearedMinor)),
			AsOf: x.AsOf.UTC()})
	}
	return out, nil
}
