package app

import (
	"cmp"
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	walletdb "github.com/sendtip/sendtip/generated/wallet/db"
	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/pg"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

const sealRecipientName = "recipient name"

// QuoteInput asks for the price of a transfer. Exactly one of RecipientPhone, RecipientWalletID and RequestID is set, and Amount unless it
// is a request's.
type QuoteInput struct {
	WalletID          uuid.UUID
	RecipientPhone    string // E.164
	RecipientWalletID *uuid.UUID
	RequestID         *uuid.UUID
	Amount            money.Money
}

func (in QuoteInput) check() error {
	recipients := 0
	for _, given := range []bool{in.RecipientPhone != "", in.RecipientWalletID != nil, in.RequestID != nil} {
		if given {
			recipients++
		}
	}
	switch {
	case recipients != 1:
		return domain.ErrRecipientAmbiguous
	case in.RequestID != nil && !in.Amount.IsZero():
		return domain.ErrAmountPinned
	case in.RequestID == nil && in.Amount.IsZero():
		return domain.ErrAmountMissing
	}
	return nil
}

// CreateTransferQuote finds the recipient, checks that the transfer could be made, and pins price and recipient for domain.QuoteLife.
func (a *App) CreateTransferQuote(ctx context.Context, in QuoteInput) (domain.Quote, error) {
	userID, err := auth.UserFrom(ctx)
	if err != nil {
		return domain.Quote{}, err
	}
	if err := in.check(); err != nil {
		return domain.Quote{}, err
	}
	name := "" // as the request shows it
	if in.RequestID != nil {
		r, err := a.payable(ctx, userID, *in.RequestID)
		if err != nil {
			return domain.Quote{}, err
		}
		in.RecipientWalletID, in.Amount, name = &r.WalletID, r.Amount, r.RequesterName
	}
	price, err := a.priceTransfer(ctx, userID, in)
	if err != nil {
		return domain.Quote{}, err
	}
	to, found, err := a.recipientOf(ctx, userID, in)
	if err != nil {
		return domain.Quote{}, err
	}
	name = cmp.Or(found, name)
	now := a.Now()
	quote := domain.Quote{ID: newID(), UserID: userID, WalletID: in.WalletID, RecipientUserID: to.UserID, RecipientWalletID: to.ID,
		RecipientName: name, Price: price, ExpiresAt: now.Add(domain.QuoteLife),
		RequestID: in.RequestID}
	sealed, err := a.sealText(sealRecipientName, quote.ID, name)
	if err != nil {
		return domain.Quote{}, err
	}
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		err := a.q.InsertQuote(ctx, tx, walletdb.InsertQuoteParams{ID: quote.ID, UserID: userID, WalletID: quote.WalletID,
			RecipientUserID: to.UserID, RecipientWalletID: to.ID, RecipientNameSealed: sealed, Currency: price.Amount.Currency,
			AmountMinor: price.Amount.Amount, FeeMinor: price.Fee.Amount, ExciseMinor: price.Excise.Amount, CreatedAt: now,
			ExpiresAt: quote.ExpiresAt, TariffVersion: price.Version, ByPhone: in.RecipientPhone != "",
			PaymentRequestID: in.RequestID})
		if err != nil {
			return fmt.Errorf("insert quote: %w", err)
		}
		return audit.Record(ctx, tx, now, audit.Entry{Action: "transfer.quoted", ObjectType: "transfer_quote", ObjectID: quote.ID.String()})
	})
	return quote, err
}

// priceTransfer checks the sender's side and prices the amount.
func (a *App) priceTransfer(ctx context.Context, userID uuid.UUID, in QuoteInput) (domain.Price, error) {
	rules, err := a.rules(ctx)
	if err != nil {
		return domain.Price{}, err
	}
	from, err := a.q.GetWalletOwner(ctx, a.Pool, in.WalletID)
	switch {
	case pg.IsNoRows(err), err == nil && from.UserID != userID:
		return domain.Price{}, fault.ErrNotFound
	case err != nil:
		return domain.Price{}, fmt.Errorf("get wallet: %w", err)
	}
	c := domain.Customer{UserID: userID, Status: from.CustomerStatus, Tier: from.Tier, Country: from.Country}
	if err := c.MayPay(); err != nil {
		return domain.Price{}, err
	}
	switch {
	case from.Currency != in.Amount.Currency:
		return domain.Price{}, domain.ErrCurrencyMismatch
	case from.Status != domain.WalletOpen:
		return domain.Price{}, domain.ErrWalletNotOpen
	}
	now := a.Now()
	if err := rules.Limit(c, domain.KindTransfer, in.Amount.Currency, now).CheckAmount(in.Amount.Amount); err != nil {
		return domain.Price{}, err
	}
	return rules.Price(c, domain.KindTransfer, in.Amount, now)
}

// recipientOf finds the wallet that gets the money and, for a phone, the masked name of its owner.
func (a *App) recipientOf(ctx context.Context, userID uuid.UUID, in QuoteInput) (walletdb.GetWalletOwnerRow, string, error) {
	var to walletdb.GetWalletOwnerRow
	var name string
	var err error
	if in.RecipientWalletID != nil {
		to, err = a.q.GetWalletOwner(ctx, a.Pool, *in.RecipientWalletID)
		if pg.IsNoRows(err) {
			return to, "", domain.ErrRecipientMissing
		}
	} else {
		found, lookupErr := a.findRecipient(ctx, in.RecipientPhone)
		if lookupErr != nil {
			return to, "", lookupErr
		}
		if found.UserID == userID {
			return to, "", domain.ErrRecipientSelf
		}
		name = found.MaskedName
		var row walletdb.GetWalletOwnerByCurrencyRow
		row, err = a.q.GetWalletOwnerByCurrency(ctx, a.Pool, found.UserID, in.Amount.Currency)
		if pg.IsNoRows(err) {
			return to, "", domain.ErrRecipientCannot
		}
		to = walletdb.GetWalletOwnerRow(row)
	}
	if err != nil {
		return to, "", fmt.Errorf("get recipient's wallet: %w", err)
	}
	if to.UserID == userID {
		return to, "", domain.ErrRecipientSelf
	}
	c := domain.Customer{Status: to.CustomerStatus, Tier: to.Tier}
	if err := c.MayReceive(); err != nil {
		return to, "", err
	}
	if to.Status != domain.WalletOpen || to.Currency != in.Amount.Currency {
		return to, "", domain.ErrRecipientCannot
	}
	return to, name, nil
}
