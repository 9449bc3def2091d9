package journey

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/google/uuid"

	bankingclient "github.com/sendtip/sendtip/generated/banking/client"
	"github.com/sendtip/sendtip/generated/common"
	"github.com/sendtip/sendtip/providers/safaricom"
	"github.com/sendtip/sendtip/sandbox/control"
)

// WithdrawalQuote prices a withdrawal to the customer's own number.
func (c *Customer) WithdrawalQuote(ctx context.Context, minor int64) (bankingclient.WithdrawalQuote, error) {
	return c.quoteTo(ctx, nil, minor)
}

// quoteTo prices a withdrawal to a linked account; to the customer's own number if there is none.
func (c *Customer) quoteTo(ctx context.Context, account *uuid.UUID, minor int64) (bankingclient.WithdrawalQuote, error) {
	resp, err := c.Banking.CreateWithdrawalQuoteWithResponse(ctx, bankingclient.WithdrawalQuoteRequest{WalletID: c.WalletID,
		Amount: common.PositiveMoney{Amount: minor, Currency: safaricom.Currency}, BankAccountID: account})
	if err != nil {
		return bankingclient.WithdrawalQuote{}, err
	}
	if resp.JSON201 == nil {
		return bankingclient.WithdrawalQuote{}, refusal(resp.StatusCode(), resp.Body)
	}
	return *resp.JSON201, nil
}

// Withdraw quotes, approves and begins a withdrawal.
func (c *Customer) Withdraw(ctx context.Context, minor int64) (bankingclient.Withdrawal, error) {
	return c.withdrawTo(ctx, nil, minor)
}

// WithdrawToBank is Withdraw to a linked account.
func (c *Customer) WithdrawToBank(ctx context.Context, account uuid.UUID, minor int64) (bankingclient.Withdrawal, error) {
	return c.withdrawTo(ctx, &account, minor)
}

func (c *Customer) withdrawTo(ctx context.Context, account *uuid.UUID, minor int64) (bankingclient.Withdrawal, error) {
	var none bankingclient.Withdrawal
	quote, err := c.quoteTo(ctx, account, minor)
	if err != nil {
		return none, err
	}
	approval, err := c.StepUpFor(ctx, "createWithdrawal", quote.ID)
	if err != nil {
		return none, err
	}
	resp, err := c.Banking.CreateWithdrawalWithResponse(ctx,
		&bankingclient.CreateWithdrawalParams{IdempotencyKey: newKey(), StepUpToken: approval},
		bankingclient.CreateWithdrawalRequest{WithdrawalQuoteID: quote.ID})
	if err != nil {
		return none, err
	}
	if resp.JSON202 == nil {
		return none, refusal(resp.StatusCode(), resp.Body)
	}
	return *resp.JSON202, nil
}

// WaitWithdrawal waits until the withdrawal has one of the states.
func (c *Customer) WaitWithdrawal(ctx context.Context, id uuid.UUID, states ...string) (bankingclient.Withdrawal, error) {
	var last bankingclient.Withdrawal
	err := until(ctx, fmt.Sprintf("the withdrawal to be %v", states), func() (bool, error) {
		resp, err := c.Banking.GetWithdrawalWithResponse(ctx, id)
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

// withdrawals is what the story does over the rails.
type withdrawals struct {
	mu   sync.Mutex
	lost uuid.UUID // whose result M-Pesa never sends
}

// withdraws takes money out to M-Pesa; the phone and the statement of the organisation show it.
func (s *story) withdraws(ctx context.Context) (string, error) {
	before, err := s.amina.Balance(ctx)
	if err != nil {
		return "", err
	}
	w, err := s.amina.Withdraw(ctx, 100_00)
	if err != nil {
		return "", err
	}
	if w, err = s.amina.WaitWithdrawal(ctx, w.ID, "paid", "failed", "in_doubt"); err != nil {
		return "", err
	}
	if w.Status != "paid" || w.Receipt == nil {
		return "", fmt.Errorf("the withdrawal is %s", w.Status)
	}
	if _, err := s.sms(ctx, s.amina, "You withdrew", "100.00", *w.Receipt); err != nil {
		return "", err
	}
	after, err := s.amina.Balance(ctx)
	if err == nil && after != before-w.Total.Amount {
		err = fmt.Errorf("the balance fell from %s to %s, not by %s", kes(before), kes(after), kes(w.Total.Amount))
	}
	return "receipt " + *w.Receipt + ", " + kes(w.Total.Amount) + " with fee and duty", err
}

// loses begins a withdrawal whose result M-Pesa never sends; keeps looks at it later.
func (s *story) loses(ctx context.Context) (string, error) {
	if err := s.Sandbox.QueueScript(ctx, s.amina.Phone, control.Script{Result: "lose"}); err != nil {
		return "", err
	}
	w, err := s.amina.Withdraw(ctx, 50_00)
	if err != nil {
		return "", err
	}
	s.rails.mu.Lock()
	defer s.rails.mu.Unlock()
	s.rails.lost = w.ID
	return w.Status, nil
}

func (s *story) finds(ctx context.Context) (string, error) {
	s.rails.mu.Lock()
	id := s.rails.lost
	s.rails.mu.Unlock()
	w, err := s.amina.WaitWithdrawal(ctx, id, "paid")
	if err != nil {
		return "", err
	}
	return "receipt " + *w.Receipt, nil
}
