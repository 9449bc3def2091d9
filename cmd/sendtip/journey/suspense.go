package journey

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	walletclient "github.com/sendtip/sendtip/generated/wallet/client"
	"github.com/sendtip/sendtip/sandbox/control"
)

// Misdirect pays to an account of the paybill that nobody has, and waits until the money is in suspense.
func (w World) Misdirect(ctx context.Context, payer, finance *Customer, minor int64) (walletclient.SuspenseItem, error) {
	paid, err := w.Sandbox.C2B(ctx, control.C2BPayment{Msisdn: payer.Phone, Account: "NOBODY", AmountMinor: minor})
	if err != nil {
		return walletclient.SuspenseItem{}, err
	}
	return finance.WaitSuspense(ctx, func(i walletclient.SuspenseItem) bool { return i.Receipt != nil && *i.Receipt == paid.Receipt },
		walletclient.ListSuspenseParamsStatusOpen)
}

// WaitSuspense waits until an item is in a state.
func (c *Customer) WaitSuspense(ctx context.Context, is func(walletclient.SuspenseItem) bool,
	status walletclient.ListSuspenseParamsStatus) (out walletclient.SuspenseItem, err error) {
	limit := int32(100)
	err = until(ctx, fmt.Sprintf("the money in suspense to be %s", status), func() (bool, error) {
		params := &walletclient.ListSuspenseParams{Status: &status, Limit: &limit}
		for {
			resp, err := c.Wallet.ListSuspenseWithResponse(ctx, params)
			if err != nil {
				return false, err
			}
			if resp.JSON200 == nil {
				return false, refusal(resp.StatusCode(), resp.Body)
			}
			for _, i := range resp.JSON200.Data {
				if is(i) {
					out = i
					return true, nil
				}
			}
			if params.Cursor = resp.JSON200.NextCursor; params.Cursor == nil {
				return false, nil
			}
		}
	})
	return out, err
}

// DecideSuspense decides about money in suspense: a wallet, or nil for its payer.
func (c *Customer) DecideSuspense(ctx context.Context, item uuid.UUID, wallet *uuid.UUID) (*walletclient.SuspenseDecision, error) {
	body := walletclient.SuspenseDecisionRequest{Action: walletclient.SuspenseDecisionRequestActionReturn, WalletID: wallet,
		Reason: "The payer has shown us the message."}
	if wallet != nil {
		body.Action = walletclient.SuspenseDecisionRequestActionMatch
	}
	resp, err := c.Wallet.DecideSuspenseWithResponse(ctx, item, body)
	if err != nil {
		return nil, err
	}
	if resp.JSON200 == nil {
		return nil, refusal(resp.StatusCode(), resp.Body)
	}
	return resp.JSON200, nil
}

// misdirected pays to an account that nobody has; finance finds out whose the money is.
func (s *story) misdirected(ctx context.Context) (string, error) {
	finance, err := s.Appoint(ctx, s.admins, "Akinyi", "finance")
	if err != nil {
		return "", err
	}
	item, err := s.Misdirect(ctx, s.amina, finance, 300_00)
	if err != nil {
		return "", err
	}
	before, err := s.amina.Balance(ctx)
	if err != nil {
		return "", err
	}
	if _, err := finance.DecideSuspense(ctx, item.ID, &s.amina.WalletID); err != nil {
		return "", err
	}
	err = until(ctx, "the money that was matched", func() (bool, error) {
		after, err := s.amina.Balance(ctx)
		return after-before == 300_00, err
	})
	return fmt.Sprintf("%s from suspense, receipt %s", kes(300_00), *item.Receipt), err
}
