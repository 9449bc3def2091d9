package journey

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	bankingclient "github.com/sendtip/sendtip/generated/banking/client"
	"github.com/sendtip/sendtip/generated/common"
	"github.com/sendtip/sendtip/providers/safaricom"
)

// Deposit begins a deposit by Paystack: on its page (page), or by a prompt on the customer's phone (mpesa).
func (c *Customer) Deposit(ctx context.Context, minor int64, channel string) (bankingclient.Deposit, error) {
	resp, err := c.Banking.CreateDepositWithResponse(ctx, &bankingclient.CreateDepositParams{IdempotencyKey: newKey()},
		bankingclient.CreateDepositRequest{WalletID: c.WalletID, Channel: bankingclient.CreateDepositRequestChannel(channel),
			Amount: common.PositiveMoney{Amount: minor, Currency: safaricom.Currency}})
	switch {
	case err != nil:
		return bankingclient.Deposit{}, err
	case resp.JSON201 != nil:
		return *resp.JSON201, nil
	case resp.JSON202 != nil:
		return *resp.JSON202, nil
	}
	return bankingclient.Deposit{}, refusal(resp.StatusCode(), resp.Body)
}

// WaitDeposit waits until the deposit has one of the states.
func (c *Customer) WaitDeposit(ctx context.Context, id uuid.UUID, states ...string) (bankingclient.Deposit, error) {
	var last bankingclient.Deposit
	err := until(ctx, fmt.Sprintf("the deposit to be %v", states), func() (bool, error) {
		resp, err := c.Banking.GetDepositWithResponse(ctx, id)
		if err != nil {
			return false, err
		}
		if resp.JSON200 == nil {
			return false, refusal(resp.StatusCode(), resp.Body)
		}
		last = *resp.JSON200
		return slices.Contains(states, last.Status), nil
	})
	if err != nil {
		return last, fmt.Errorf("%w (it is %s)", err, last.Status)
	}
	return last, nil
}

// deposits pays money in by a channel of Paystack's, as the customer on the page or with the phone does.
func (s *story) deposits(ctx context.Context, minor int64, channel, text string) (string, error) {
	before, err := s.amina.Balance(ctx)
	if err != nil {
		return "", err
	}
	d, err := s.amina.Deposit(ctx, minor, channel)
	if err != nil {
		return "", err
	}
	if d.CheckoutURL == nil && d.DisplayText == nil {
		return "", fmt.Errorf("the deposit is %s, with nothing to show", d.Status)
	}
	if _, err := s.Sandbox.AnswerPaystack(ctx, d.ID.String(), "pay"); err != nil {
		return "", err
	}
	if d, err = s.amina.WaitDeposit(ctx, d.ID, "paid", "failed", "expired", "broken"); err != nil {
		return "", err
	}
	if d.Status != "paid" {
		return "", fmt.Errorf("the deposit is %s", d.Status)
	}
	if _, err := s.sms(ctx, s.amina, "Deposited", text); err != nil {
		return "", err
	}
	after, err := s.amina.Balance(ctx)
	if err == nil && after != before+d.Credit.Amount {
		err = fmt.Errorf("the balance rose from %s to %s, not by %s", kes(before), kes(after), kes(d.Credit.Amount))
	}
	return kes(d.Credit.Amount) + " credited", err
}
