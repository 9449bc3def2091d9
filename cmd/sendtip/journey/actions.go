package journey

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	openapitypes "github.com/oapi-codegen/runtime/types"

	"github.com/sendtip/sendtip/generated/common"
	transactionsclient "github.com/sendtip/sendtip/generated/transactions/client"
	userclient "github.com/sendtip/sendtip/generated/user/client"
	walletclient "github.com/sendtip/sendtip/generated/wallet/client"
	"github.com/sendtip/sendtip/providers/safaricom"
)

// Register signs the customer up with the code from the SMS, and signs in.
func (w World) Register(ctx context.Context, c *Customer) error {
	started, err := c.User.StartRegistrationWithResponse(ctx,
		userclient.RegistrationRequest{Phone: c.Phone, Language: "en", Country: safaricom.Country})
	if err != nil {
		return err
	}
	if started.JSON202 == nil {
		return refusal(started.StatusCode(), started.Body)
	}
	m, err := w.sms(ctx, c, "code")
	if err != nil {
		return err
	}
	done, err := c.User.CompleteRegistrationWithResponse(ctx, started.JSON202.RegistrationID,
		userclient.RegistrationCompletion{Otp: otpPattern.FindString(m.Text), Pin: c.PIN, DeviceID: c.Device})
	if err != nil {
		return err
	}
	if done.JSON201 == nil {
		return refusal(done.StatusCode(), done.Body)
	}
	c.UserID = done.JSON201.User.UserID
	c.keep(done.JSON201.Tokens)
	return nil
}

// LogIn opens a session with phone and PIN, and the authenticator's code of staff, on the own device, which must be known.
func (c *Customer) LogIn(ctx context.Context) error {
	request := userclient.SessionRequest{Phone: c.Phone, Pin: c.PIN, DeviceID: c.Device}
	if c.totpSecret != "" {
		code, err := c.TotpCode()
		if err != nil {
			return err
		}
		request.Totp = &code
	}
	resp, err := c.User.CreateSessionWithResponse(ctx, request)
	if err != nil {
		return err
	}
	if resp.JSON201 == nil {
		return refusal(resp.StatusCode(), resp.Body)
	}
	c.keep(*resp.JSON201)
	return nil
}

// keep makes later calls use the tokens.
func (c *Customer) keep(t userclient.Tokens) {
	c.Tokens, c.SessionID = t, t.SessionID
	c.SignIn(t.AccessToken)
}

// SetEmail stores the customer's e-mail address.
func (c *Customer) SetEmail(ctx context.Context) error {
	email := openapitypes.Email(c.Email)
	resp, err := c.User.UpdateProfileWithResponse(ctx, userclient.ProfileUpdate{Email: &email})
	if err != nil {
		return err
	}
	if resp.JSON200 == nil {
		return refusal(resp.StatusCode(), resp.Body)
	}
	return nil
}

// SetLanguage stores the language of messages to the customer ("en" or "sw").
func (c *Customer) SetLanguage(ctx context.Context, language string) error {
	resp, err := c.User.UpdateProfileWithResponse(ctx, userclient.ProfileUpdate{Language: &language})
	if err != nil {
		return err
	}
	if resp.JSON200 == nil {
		return refusal(resp.StatusCode(), resp.Body)
	}
	return nil
}

// SubmitKYC submits an ID number and waits for the decision, which it returns.
func (c *Customer) SubmitKYC(ctx context.Context, idNumber string) (string, error) {
	c.IDNumber = idNumber
	resp, err := c.User.SubmitKycWithResponse(ctx, &userclient.SubmitKycParams{IdempotencyKey: newKey()}, userclient.KycSubmission{
		ConsentVersion: "2026-01", Country: safaricom.Country, IDType: "NATIONAL_ID", IDNumber: idNumber, FirstName: c.Name, LastName: "Wanjiru",
		DateOfBirth: openapitypes.Date{Time: time.Date(1990, 4, 12, 0, 0, 0, 0, time.UTC)},
	})
	if err != nil {
		return "", err
	}
	if resp.JSON202 == nil {
		return "", refusal(resp.StatusCode(), resp.Body)
	}
	c.KycID = resp.JSON202.KycID
	var status string
	err = until(ctx, "the identity check", func() (bool, error) {
		got, err := c.User.GetKycWithResponse(ctx, resp.JSON202.KycID)
		if err != nil {
			return false, err
		}
		if got.JSON200 == nil {
			return false, refusal(got.StatusCode(), got.Body)
		}
		status = got.JSON200.Status
		return status == "verified" || status == "rejected" || status == "review", nil
	})
	return status, err
}

// WaitWallet waits until the KES wallet that opens by itself is open.
func (c *Customer) WaitWallet(ctx context.Context) error {
	return until(ctx, "the wallet", func() (bool, error) {
		resp, err := c.Wallet.ListWalletsWithResponse(ctx)
		if err != nil {
			return false, err
		}
		if resp.JSON200 == nil {
			return false, refusal(resp.StatusCode(), resp.Body)
		}
		for _, wl := range resp.JSON200.Data {
			if wl.Currency == safaricom.Currency && wl.Status == "open" {
				c.WalletID = wl.ID
				if wl.DepositAccount != nil {
					c.DepositAccount = *wl.DepositAccount
				}
				return true, nil
			}
		}
		return false, nil
	})
}

// Join takes a customer from nothing to an open wallet.
func (w World) Join(ctx context.Context, c *Customer) error {
	if err := w.Register(ctx, c); err != nil {
		return fmt.Errorf("register: %w", err)
	}
	if err := c.SetEmail(ctx); err != nil {
		return fmt.Errorf("e-mail: %w", err)
	}
	status, err := c.SubmitKYC(ctx, newID())
	if err != nil || status != "verified" {
		return fmt.Errorf("identity check: %s %w", status, err)
	}
	return c.WaitWallet(ctx)
}

// Balance is the wallet's posted balance in minor units.
func (c *Customer) Balance(ctx context.Context) (int64, error) {
	resp, err := c.Ledger.GetBalanceWithResponse(ctx, c.WalletID)
	if err != nil {
		return 0, err
	}
	if resp.JSON200 == nil {
		return 0, refusal(resp.StatusCode(), resp.Body)
	}
	return resp.JSON200.Balance.Amount, nil
}

// TopUp asks for a prompt on the customer's phone and returns the stored top-up.
func (c *Customer) TopUp(ctx context.Context, minor int64) (uuid.UUID, error) {
	resp, err := c.Wallet.CreateTopupWithResponse(ctx, &walletclient.CreateTopupParams{IdempotencyKey: newKey()},
		walletclient.TopupRequest{WalletID: c.WalletID, Amount: common.PositiveMoney{Amount: minor, Currency: safaricom.Currency},
			Phone: &c.Phone})
	if err != nil {
		return uuid.Nil, err
	}
	if resp.JSON202 == nil {
		return uuid.Nil, refusal(resp.StatusCode(), resp.Body)
	}
	return resp.JSON202.ID, nil
}

// WaitTopUp waits until the top-up has one of the states.
func (c *Customer) WaitTopUp(ctx context.Context, id uuid.UUID, states ...string) (walletclient.Topup, error) {
	var last walletclient.Topup
	err := until(ctx, fmt.Sprintf("the top-up to be %v", states), func() (bool, error) {
		resp, err := c.Wallet.GetTopupWithResponse(ctx, id)
		if err != nil {
			return false, err
		}
		if resp.JSON200 == nil {
			return false, refusal(resp.StatusCode(), resp.Body)
		}
		last = *resp.JSON200
		for _, s := range states {
			if last.Status == s {
				return true, nil
			}
		}
		return false, nil
	})
	if err != nil {
		return last, fmt.Errorf("%w (it is %s)", err, last.Status)
	}
	return last, nil
}

// Quote prices a transfer to somebody's phone.
func (c *Customer) Quote(ctx context.Context, to *Customer, minor int64) (*walletclient.CreateTransferQuoteResponse, error) {
	return c.Wallet.CreateTransferQuoteWithResponse(ctx, walletclient.TransferQuoteRequest{WalletID: c.WalletID, RecipientPhone: &to.Phone,
		Amount: &common.PositiveMoney{Amount: minor, Currency: safaricom.Currency}})
}

// StepUp approves a quote with the PIN.
func (c *Customer) StepUp(ctx context.Context, quote uuid.UUID) (string, error) {
	return c.stepUp(ctx, "createTransfer", userclient.StepUpSubject{QuoteID: &quote})
}

// StepUpFor approves any other operation on an object with the PIN.
func (c *Customer) StepUpFor(ctx context.Context, operation string, id uuid.UUID) (string, error) {
	return c.stepUp(ctx, operation, userclient.StepUpSubject{ID: &id})
}

func (c *Customer) stepUp(ctx context.Context, operation string, approves userclient.StepUpSubject) (string, error) {
	resp, err := c.User.CreateStepUpWithResponse(ctx, userclient.StepUpRequest{Pin: c.PIN, Operation: operation, Approves: approves})
	if err != nil {
		return "", err
	}
	if resp.JSON201 == nil {
		return "", refusal(resp.StatusCode(), resp.Body)
	}
	return resp.JSON201.Token, nil
}

// Transfer makes a quoted and approved transfer under a key.
func (c *Customer) Transfer(ctx context.Context, quote uuid.UUID, approval, key string) (*walletclient.CreateTransferResponse, error) {
	return c.Wallet.CreateTransferWithResponse(ctx, &walletclient.CreateTransferParams{IdempotencyKey: key, StepUpToken: approval},
		walletclient.TransferRequest{QuoteID: quote})
}

// Send quotes, approves and makes a transfer; a 202 is followed until it is closed.
func (c *Customer) Send(ctx context.Context, to *Customer, minor int64) (walletclient.Transfer, error) {
	quote, err := c.Quote(ctx, to, minor)
	if err != nil {
		return walletclient.Transfer{}, err
	}
	return c.spend(ctx, quote)
}

// spend approves and makes the transfer of a quote; a 202 is followed until it is closed.
func (c *Customer) spend(ctx context.Context, quote *walletclient.CreateTransferQuoteResponse) (walletclient.Transfer, error) {
	var none walletclient.Transfer
	if quote.JSON201 == nil {
		return none, refusal(quote.StatusCode(), quote.Body)
	}
	approval, err := c.StepUp(ctx, quote.JSON201.ID)
	if err != nil {
		return none, fmt.Errorf("approve: %w", err)
	}
	resp, err := c.Transfer(ctx, quote.JSON201.ID, approval, newKey())
	if err != nil {
		return none, err
	}
	switch resp.StatusCode() {
	case http.StatusCreated:
		return *resp.JSON201, nil
	case http.StatusAccepted:
		return c.WaitTransfer(ctx, resp.JSON202.ID)
	}
	return none, refusal(resp.StatusCode(), resp.Body)
}

// WaitTransfer follows a pending transfer until it is closed.
func (c *Customer) WaitTransfer(ctx context.Context, id uuid.UUID) (walletclient.Transfer, error) {
	var last walletclient.Transfer
	err := until(ctx, "the transfer", func() (bool, error) {
		got, err := c.Wallet.GetTransferWithResponse(ctx, id)
		if err != nil {
			return false, err
		}
		if got.JSON200 == nil {
			return false, refusal(got.StatusCode(), got.Body)
		}
		last = *got.JSON200
		return last.Status != "pending", nil
	})
	return last, err
}

// Statement reads the whole statement, page by page, newest first.
func (c *Customer) Statement(ctx context.Context) ([]transactionsclient.StatementEntry, error) {
	var all []transactionsclient.StatementEntry
	limit := int32(5) // small, so that the cursor is walked
	params := &transactionsclient.ListStatementParams{Limit: &limit}
	for {
		resp, err := c.Ledger.ListStatementWithResponse(ctx, c.WalletID, params)
		if err != nil {
			return nil, err
		}
		if resp.JSON200 == nil {
			return nil, refusal(resp.StatusCode(), resp.Body)
		}
		all = append(all, resp.JSON200.Data...)
		if resp.JSON200.NextCursor == nil {
			return all, nil
		}
		params.Cursor = resp.JSON200.NextCursor
	}
}
