package journey

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/generated/common"
	walletclient "github.com/sendtip/sendtip/generated/wallet/client"
	"github.com/sendtip/sendtip/providers/safaricom"
)

// ProposeTariff asks for a price list in Kenyan shillings for all tiers.
func (c *Customer) ProposeTariff(ctx context.Context, kind string, from time.Time,
	bands ...walletclient.TariffBand) (common.Approval, error) {
	resp, err := c.Wallet.ProposeTariffWithResponse(ctx, walletclient.TariffProposal{Country: safaricom.Country, Kind: kind,
		Currency:      safaricom.Currency,
		EffectiveFrom: from, Bands: bands, Reason: "Agreed on by the board."})
	if err != nil {
		return common.Approval{}, err
	}
	if resp.JSON201 == nil {
		return common.Approval{}, refusal(resp.StatusCode(), resp.Body)
	}
	return *resp.JSON201, nil
}

// ApproveRule makes a change of prices, taxes or limits that another person of finance proposed, after reading it on the list.
func (c *Customer) ApproveRule(ctx context.Context, id uuid.UUID) error {
	open := walletclient.ListWalletApprovalsParamsStateOpen
	limit := int32(100)
	list, err := c.Wallet.ListWalletApprovalsWithResponse(ctx, &walletclient.ListWalletApprovalsParams{State: &open, Limit: &limit})
	if err != nil {
		return err
	}
	if list.JSON200 == nil {
		return refusal(list.StatusCode(), list.Body)
	}
	for _, a := range list.JSON200.Data {
		if a.ApprovalID != id {
			continue
		}
		done, err := c.Wallet.ApproveWalletApprovalWithResponse(ctx, id, common.ApprovalDecision{Digest: a.Digest})
		if err != nil {
			return err
		}
		if done.JSON200 == nil {
			return refusal(done.StatusCode(), done.Body)
		}
		return nil
	}
	return fmt.Errorf("the request %s is not on the list", id)
}

// priced is a price for cash-out from tomorrow on, which one officer of finance proposes and another approves.
func (s *story) priced(ctx context.Context) (string, error) {
	maker, err := s.Appoint(ctx, s.admins, "Wanjiku", "finance")
	if err != nil {
		return "", err
	}
	checker, err := s.Appoint(ctx, s.admins, "Mutua", "finance")
	if err != nil {
		return "", err
	}
	s.finance = [2]*Customer{maker, checker}
	tomorrow := maker.now().Add(24 * time.Hour).UTC().Truncate(time.Second)
	proposed, err := maker.ProposeTariff(ctx, "cash_out", tomorrow, walletclient.TariffBand{FromMinor: 1, UpToMinor: 250_000, FeeMinor: 29_00},
		walletclient.TariffBand{FromMinor: 250_001, UpToMinor: 25_000_000, FeeMinor: 69_00})
	if err != nil {
		return "", err
	}
	if err := maker.ApproveRule(ctx, proposed.ApprovalID); err == nil || err.Error() != refusal(http.StatusForbidden,
		[]byte(`{"code":"approval_same_person"}`)).Error() {
		return "", fmt.Errorf("the officer approved their own proposal: %w", err)
	}
	if err := checker.ApproveRule(ctx, proposed.ApprovalID); err != nil {
		return "", err
	}
	rules, err := maker.Wallet.ListRulesWithResponse(ctx, &walletclient.ListRulesParams{Country: safaricom.Country})
	if err != nil {
		return "", err
	}
	if rules.JSON200 == nil {
		return "", refusal(rules.StatusCode(), rules.Body)
	}
	for _, t := range rules.JSON200.Tariffs {
		if t.Kind == "cash_out" && t.EffectiveFrom.Equal(tomorrow) && len(t.Bands) == 2 {
			return "from " + tomorrow.Format(time.RFC3339) + " on: " + safaricom.Currency + " 29.00", nil
		}
	}
	return "", fmt.Errorf("the price of %s is not among those to come", tomorrow)
}
