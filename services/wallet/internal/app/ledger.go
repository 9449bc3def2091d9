package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/clients/ledger"
	"github.com/sendtip/sendtip/generated/common"
	transactionsclient "github.com/sendtip/sendtip/generated/transactions/client"
	"github.com/sendtip/sendtip/kit/call"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/money"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

// post asks the ledger to post a transaction. The request depends on stored rows only, so that every try sends the same.
func (a *App) post(ctx context.Context, r domain.LedgerRequest) ledger.Answer {
	answer := a.ledger.Post(ctx, ledgerBody(r))
	if errors.Is(answer.Err(), ledger.ErrReused) {
		a.alarm(ctx, "reference_reused", "reference", r.Reference)
	}
	return answer
}

func ledgerBody(r domain.LedgerRequest) transactionsclient.LedgerRequest {
	body := transactionsclient.LedgerRequest{
		Reference: r.Reference, Action: transactionsclient.LedgerActionPost, Type: r.Type, Channel: transactionsclient.Channel(r.Channel),
	}
	for _, p := range r.Postings {
		body.Postings = append(body.Postings, transactionsclient.PostingRequest{Source: p.Source, Destination: p.Destination,
			Amount: common.PositiveMoney{Amount: p.Amount.Amount, Currency: p.Amount.Currency}})
	}
	if r.HoldOverMaximum {
		hold := transactionsclient.LedgerRequestOverMaximumHold
		body.OverMaximum = &hold
	}
	return body
}

// putAccount makes a wallet's account, or changes its maximum. It may be repeated.
func (a *App) putAccount(ctx context.Context, w domain.Wallet, maximumMinor int64) error {
	ctx, cancel := context.WithTimeout(ctx, a.SettleTimeout)
	defer cancel()
	minimum := int64(0)
	answer, err := a.Ledger.PutAccountWithResponse(ctx, w.ID, transactionsclient.PutAccountRequest{
		OwnerID: w.UserID, Kind: transactionsclient.AccountKindCustomerWallet, Currency: w.Currency,
		MinimumMinor: &minimum, MaximumMinor: &maximumMinor,
	})
	if err != nil {
		return fmt.Errorf("put account: %w", err)
	}
	if answer.JSON200 == nil && answer.JSON201 == nil {
		return fmt.Errorf("put account: %w", call.Problem(answer.StatusCode(), answer.Body))
	}
	return nil
}

// balance is what the ledger says of a wallet's account, in minor units.
type balance struct {
	BalanceMinor          int64
	HeldAboveMaximumMinor int64
}

// balanceOf asks the ledger for the balance of a wallet that is open.
func (a *App) balanceOf(ctx context.Context, wallet uuid.UUID) (balance, error) {
	ctx, cancel := context.WithTimeout(ctx, a.SettleTimeout)
	defer cancel()
	answer, err := a.Ledger.GetAccountBalanceWithResponse(ctx, wallet, nil)
	if err != nil {
		return balance{}, fmt.Errorf("get balance: %w", err)
	}
	if answer.JSON200 == nil {
		return balance{}, peerFault("get balance", call.Problem(answer.StatusCode(), answer.Body), fault.ErrUnavailable)
	}
	b := balance{BalanceMinor: answer.JSON200.Balance.Amount}
	if held := answer.JSON200.HeldAboveMaximum; held != nil {
		b.HeldAboveMaximumMinor = held.Amount
	}
	return b, nil
}

func wireMoney(m money.Money) common.Money {
	return common.Money{Amount: m.Amount, Currency: m.Currency}
}
