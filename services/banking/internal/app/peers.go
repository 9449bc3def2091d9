package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/clients/ledger"
	"github.com/sendtip/sendtip/generated/common"
	transactionsclient "github.com/sendtip/sendtip/generated/transactions/client"
	userclient "github.com/sendtip/sendtip/generated/user/client"
	walletclient "github.com/sendtip/sendtip/generated/wallet/client"
	"github.com/sendtip/sendtip/kit/call"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/money"

	"github.com/sendtip/sendtip/services/banking/internal/domain"
)

// owner asks wallet whose a wallet is, and refuses what its customer may not do.
func (a *App) owner(ctx context.Context, userID, walletID uuid.UUID, currency string) (walletclient.WalletOwner, error) {
	answer, err := a.Wallets.GetWalletOwnerWithResponse(ctx, walletID)
	if err != nil {
		return walletclient.WalletOwner{}, fmt.Errorf("get wallet: %w", err)
	}
	if answer.JSON200 == nil {
		return walletclient.WalletOwner{}, peerFault("get wallet", call.Problem(answer.StatusCode(), answer.Body))
	}
	o := *answer.JSON200
	switch {
	case o.UserID != userID || o.WalletID != walletID:
		return o, fault.ErrNotFound
	case o.CustomerStatus != "active": // also a status that is new to this service
		return o, domain.ErrSuspended
	case o.Tier < 1:
		return o, domain.ErrKycRequired
	case o.Currency != currency:
		return o, domain.ErrCurrency
	case o.Status != "open":
		return o, domain.ErrWalletNotOpen
	}
	return o, nil
}

// price asks wallet what a payment of a kind costs a customer.
func (a *App) price(ctx context.Context, o walletclient.WalletOwner, kind string, amount money.Money) (p domain.Price, version string,
	err error) {
	answer, err := a.Wallets.PriceOperationWithResponse(ctx, walletclient.PriceRequest{Country: o.Country, Kind: kind, Tier: o.Tier,
		Amount: common.PositiveMoney{Amount: amount.Amount, Currency: amount.Currency}})
	if err != nil {
		return p, "", fmt.Errorf("price: %w", err)
	}
	if answer.JSON200 == nil {
		return p, "", peerFault("price", call.Problem(answer.StatusCode(), answer.Body))
	}
	got := answer.JSON200
	if got.Fee.Amount < 0 || got.Excise.Amount < 0 || got.Fee.Currency != amount.Currency || got.Excise.Currency != amount.Currency {
		return p, "", errors.New("price: the answer is for something else")
	}
	return domain.Price{Amount: amount, Fee: money.Money(got.Fee), Excise: money.Money(got.Excise)}, got.TariffVersion, nil
}

// reserve asks wallet for a share of the customer's limit, for the payment of a row. A refusal is final: wallet keeps it.
func (a *App) reserve(ctx context.Context, id, userID uuid.UUID, kind string, amount money.Money) (refusal *fault.Error, err error) {
	answer, err := a.Wallets.PutLimitReservationWithResponse(ctx, id, walletclient.LimitReservationRequest{UserID: userID, Kind: kind,
		Amount: common.PositiveMoney{Amount: amount.Amount, Currency: amount.Currency}})
	if err != nil {
		return nil, fmt.Errorf("reserve limit: %w", err)
	}
	if answer.JSON200 != nil || answer.JSON201 != nil {
		return nil, nil
	}
	problem := call.Problem(answer.StatusCode(), answer.Body)
	if f, ok := fault.As(problem); ok && answer.StatusCode() == http.StatusUnprocessableEntity && isLimit(f.Code) {
		return fault.New(fault.Unprocessable, f.Code, f.Detail), nil
	}
	return nil, fmt.Errorf("reserve limit: %w", problem)
}

func isLimit(code string) bool {
	return code == "limit_per_transaction" || code == "limit_per_day" || code == "limit_per_month"
}

// settleLimit tells wallet what became of a reservation. Repeating it is harmless.
func (a *App) settleLimit(ctx context.Context, id uuid.UUID, step string) error {
	var status int
	var body []byte
	switch step {
	case domain.LimitCommit:
		answer, err := a.Wallets.CommitLimitReservationWithResponse(ctx, id)
		if err != nil {
			return fmt.Errorf("commit limit: %w", err)
		}
		status, body = answer.StatusCode(), answer.Body
	case domain.LimitRelease:
		answer, err := a.Wallets.ReleaseLimitReservationWithResponse(ctx, id)
		if err != nil {
			return fmt.Errorf("release limit: %w", err)
		}
		status, body = answer.StatusCode(), answer.Body
	default:
		return nil
	}
	if status < http.StatusOK || status >= http.StatusMultipleChoices {
		return fmt.Errorf("%s limit: %w", step, call.Problem(status, body))
	}
	return nil
}

// ownPhone asks user for a customer's own number; "" if there is none that may be used.
func (a *App) ownPhone(ctx context.Context, userID uuid.UUID) (string, error) {
	answer, err := a.Users.GetContactsWithResponse(ctx, userID)
	if err != nil {
		return "", fmt.Errorf("get contacts: %w", err)
	}
	if answer.JSON200 == nil {
		return "", peerFault("get contacts", call.Problem(answer.StatusCode(), answer.Body))
	}
	return text(answer.JSON200.Phone), nil
}

// credentialsChanged asks user when the customer's PIN, number or devices last changed; nil for never.
func (a *App) credentialsChanged(ctx context.Context, userID uuid.UUID) (*time.Time, error) {
	answer, err := a.Users.GetStandingWithResponse(ctx, userID)
	if err != nil {
		return nil, fmt.Errorf("get standing: %w", err)
	}
	if answer.JSON200 == nil {
		return nil, peerFault("get standing", call.Problem(answer.StatusCode(), answer.Body))
	}
	return answer.JSON200.CredentialsChangedAt, nil
}

// nameOf asks user for the masked name of a number's customer; "" when it is nobody's.
func (a *App) nameOf(ctx context.Context, phone string) (string, error) {
	answer, err := a.Users.LookupRecipientWithResponse(ctx, userclient.RecipientLookup{Phone: phone})
	if err != nil {
		return "", fmt.Errorf("look up recipient: %w", err)
	}
	if answer.JSON200 != nil {
		return answer.JSON200.MaskedName, nil
	}
	problem := call.Problem(answer.StatusCode(), answer.Body)
	if f, ok := fault.As(problem); ok && f.Code == domain.ErrInReview.Code {
		return "", domain.ErrInReview
	}
	err = peerFault("look up recipient", problem)
	if errors.Is(err, fault.ErrNotFound) {
		return "", nil
	}
	return "", err
}

// peerFault passes on what concerns the customer: absent, refused for a reason of theirs, too often, not available. Any other refusal of a
// peer is a fault between services, which the customer must not take for their own.
func peerFault(what string, err error) error {
	f, ok := fault.As(err)
	switch {
	case ok && f.Kind == fault.NotFound:
		return fault.ErrNotFound
	case ok && f.Code == "no_price", ok && f.Code == "currency_not_supported":
		return fault.New(fault.Unprocessable, f.Code, f.Detail)
	case ok && f.Kind == fault.TooMany, call.IsUnknown(err):
		return fmt.Errorf("%s: %w", what, err)
	}
	return errors.New(what + ": " + err.Error())
}

// post asks the ledger for a transaction. The request depends on stored rows only, so that every try sends the same.
func (a *App) post(ctx context.Context, r domain.LedgerRequest) ledger.Answer {
	body := transactionsclient.LedgerRequest{Reference: r.Reference, Action: transactionsclient.LedgerAction(r.Action), Type: r.Type,
		Channel: transactionsclient.Channel(r.Channel), HoldID: r.HoldID}
	for _, p := range r.Postings {
		body.Postings = append(body.Postings, transactionsclient.PostingRequest{Source: p.Source, Destination: p.Destination,
			Amount: common.PositiveMoney{Amount: p.Amount.Amount, Currency: p.Amount.Currency}})
	}
	if r.OverMaximum {
		hold := transactionsclient.LedgerRequestOverMaximumHold
		body.OverMaximum = &hold
	}
	answer := a.ledger.Post(ctx, body)
	if errors.Is(answer.Err(), ledger.ErrReused) {
		a.alarm(ctx, "reference_reused", "reference", r.Reference)
	}
	return answer
}

func wireMoney(m money.Money) common.Money {
	return common.Money{Amount: m.Amount, Currency: m.Currency}
}
