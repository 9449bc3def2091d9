package journey

import (
	"context"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	bankingclient "github.com/sendtip/sendtip/generated/banking/client"
	"github.com/sendtip/sendtip/generated/common"
)

// payout is withdrawals to M-Pesa, as the list of rails has them.
const payout = "mpesa.b2c"

// ApproveBanking makes a decision of banking that another person of finance proposed, after reading it on the list.
func (c *Customer) ApproveBanking(ctx context.Context, id uuid.UUID) error {
	open := bankingclient.ListBankingApprovalsParamsStateOpen
	limit := int32(100)
	list, err := c.Banking.ListBankingApprovalsWithResponse(ctx, &bankingclient.ListBankingApprovalsParams{State: &open, Limit: &limit})
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
		done, err := c.Banking.ApproveBankingApprovalWithResponse(ctx, id, common.ApprovalDecision{Digest: a.Digest})
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

// SwitchRail proposes to switch payouts to M-Pesa off or on.
func (c *Customer) SwitchRail(ctx context.Context, off bool) (common.Approval, error) {
	resp, err := c.Banking.ProposeBankingRailSwitchWithResponse(ctx, payout, common.RailSwitch{Off: off, Reason: "Announced maintenance."})
	if err != nil {
		return common.Approval{}, err
	}
	if resp.JSON201 == nil {
		return common.Approval{}, refusal(resp.StatusCode(), resp.Body)
	}
	return *resp.JSON201, nil
}

// switchedOff is a rail that two people close: no withdrawal can be begun, and the app is told when to try again; then they open it.
func (s *story) switchedOff(ctx context.Context) (string, error) {
	for _, off := range []bool{true, false} {
		asked, err := s.finance[0].SwitchRail(ctx, off)
		if err != nil {
			return "", err
		}
		if err := s.finance[1].ApproveBanking(ctx, asked.ApprovalID); err != nil {
			return "", err
		}
		_, err = s.amina.WithdrawalQuote(ctx, 100_00)
		switch closed := refusal(http.StatusServiceUnavailable, []byte(`{"code":"rail_unavailable"}`)).Error(); {
		case off && (err == nil || err.Error() != closed):
			return "", fmt.Errorf("a quote while it is off: %w", err)
		case !off && err != nil:
			return "", fmt.Errorf("a quote when it is on again: %w", err)
		}
	}
	return "", nil
}
