package journey

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/generated/common"
	walletclient "github.com/sendtip/sendtip/generated/wallet/client"
	"github.com/sendtip/sendtip/providers/safaricom"
)

// Ask asks another customer for money.
func (c *Customer) Ask(ctx context.Context, payer *Customer, minor int64) (walletclient.PaymentRequest, error) {
	note := "Lunch on Friday"
	resp, err := c.Wallet.CreatePaymentRequestWithResponse(ctx, &walletclient.CreatePaymentRequestParams{IdempotencyKey: newKey()},
		walletclient.PaymentRequestCreation{WalletID: c.WalletID, PayerPhone: payer.Phone, Note: &note,
			Amount: common.PositiveMoney{Amount: minor, Currency: safaricom.Currency}})
	if err != nil {
		return walletclient.PaymentRequest{}, err
	}
	if resp.JSON201 == nil {
		return walletclient.PaymentRequest{}, refusal(resp.StatusCode(), resp.Body)
	}
	return *resp.JSON201, nil
}

// Request reads a request that the customer made or received.
func (c *Customer) Request(ctx context.Context, id uuid.UUID) (walletclient.PaymentRequest, error) {
	resp, err := c.Wallet.GetPaymentRequestWithResponse(ctx, id)
	if err != nil {
		return walletclient.PaymentRequest{}, err
	}
	if resp.JSON200 == nil {
		return walletclient.PaymentRequest{}, refusal(resp.StatusCode(), resp.Body)
	}
	return *resp.JSON200, nil
}

// QuoteRequest prices the payment of a request.
func (c *Customer) QuoteRequest(ctx context.Context, id uuid.UUID) (*walletclient.CreateTransferQuoteResponse, error) {
	return c.Wallet.CreateTransferQuoteWithResponse(ctx, walletclient.TransferQuoteRequest{WalletID: c.WalletID, PaymentRequestID: &id})
}

// Pay quotes, approves and pays a request; a 202 is followed until it is closed.
func (c *Customer) Pay(ctx context.Context, id uuid.UUID) (walletclient.Transfer, error) {
	quote, err := c.QuoteRequest(ctx, id)
	if err != nil {
		return walletclient.Transfer{}, err
	}
	return c.spend(ctx, quote)
}

// asks lets her ask him for money, and him pay it.
func (s *story) asks(ctx context.Context) (string, error) {
	before, err := s.amina.Balance(ctx)
	if err != nil {
		return "", err
	}
	asked, err := s.amina.Ask(ctx, s.brian, 50_00)
	if err != nil {
		return "", err
	}
	m, err := s.sms(ctx, s.brian, "asks you for", "50.00")
	if err != nil {
		return "", err
	}
	paid, err := s.brian.Pay(ctx, asked.ID)
	if err != nil {
		return "", err
	}
	if asked, err = s.amina.Request(ctx, asked.ID); err != nil {
		return "", err
	}
	after, err := s.amina.Balance(ctx)
	switch {
	case err != nil:
		return "", err
	case paid.Status != "completed" || asked.Status != "paid" || after != before+50_00:
		return "", fmt.Errorf("the transfer is %s, the request %s, and the balance went from %s to %s", paid.Status, asked.Status, kes(before),
			kes(after))
	}
	return m.Text, nil
}
