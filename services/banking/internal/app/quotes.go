package app

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	bankingdb "github.com/sendtip/sendtip/generated/banking/db"
	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/pg"

	"github.com/sendtip/sendtip/services/banking/internal/domain"
)

// QuoteInput asks what a withdrawal costs.
type QuoteInput struct {
	WalletID uuid.UUID
	Amount   money.Money
	Phone    string // E.164; "" is the customer's own, if there is no account
	Account  *uuid.UUID
}

// Quote is a price and a destination, pinned until ExpiresAt.
type Quote struct {
	domain.Price

	domain.Destination

	ID, WalletID uuid.UUID
	ExpiresAt    time.Time
}

// CreateWithdrawalQuote checks that the withdrawal could be made, finds who gets it, and pins price and destination for domain.QuoteLife.
func (a *App) CreateWithdrawalQuote(ctx context.Context, in QuoteInput) (Quote, error) {
	userID, err := auth.UserFrom(ctx)
	if err != nil {
		return Quote{}, err
	}
	check := domain.CheckMpesaAmount
	if in.Account != nil {
		check = domain.CheckBankAmount
		if in.Phone != "" {
			return Quote{}, fault.ErrInvalid.WithField("/phone", "contradiction", "Give a phone or a bank account, not both.")
		}
	}
	if err := check(in.Amount); err != nil {
		return Quote{}, err
	}
	way := domain.RailMpesa
	if in.Account != nil {
		way = domain.RailPaystack
	}
	if err := a.Rails.Admit(ctx, a.Pool, domain.Operation(way)); err != nil {
		return Quote{}, err
	}
	owner, err := a.owner(ctx, userID, in.WalletID, in.Amount.Currency)
	if err != nil {
		return Quote{}, err
	}
	q := Quote{ID: newID(), WalletID: in.WalletID}
	if in.Account != nil {
		q.Destination, err = a.bankDestination(ctx, userID, *in.Account, true)
	} else {
		q.Destination, err = a.destination(ctx, userID, in.Phone)
	}
	if err != nil {
		return Quote{}, err
	}
	var version string
	if q.Price, version, err = a.price(ctx, owner, domain.KindWithdrawal, in.Amount); err != nil {
		return Quote{}, err
	}
	now := a.Now()
	q.ExpiresAt = now.Add(domain.QuoteLife)
	return q, a.insertQuote(ctx, q, userID, version, now)
}

func (a *App) insertQuote(ctx context.Context, q Quote, userID uuid.UUID, version string, now time.Time) error {
	row := bankingdb.InsertWithdrawalQuoteParams{ID: q.ID, UserID: userID, WalletID: q.WalletID, Rail: q.Rail, Currency: q.Amount.Currency,
		AmountMinor: q.Amount.Amount, FeeMinor: q.Fee.Amount, ExciseMinor: q.Excise.Amount, TariffVersion: version, CreatedAt: now,
		ExpiresAt: q.ExpiresAt, BankAccountID: accountID(q.Destination)}
	var err error
	if row.DestinationSealed, err = a.sealText(sealDestination, q.ID, place(q.Destination)); err != nil {
		return err
	}
	if row.NameSealed, err = a.sealText(sealName, q.ID, q.Name); err != nil {
		return err
	}
	return pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		if err := a.q.InsertWithdrawalQuote(ctx, tx, row); err != nil {
			return fmt.Errorf("insert quote: %w", err)
		}
		return audit.Record(ctx, tx, now, audit.Entry{Action: "withdrawal.quoted", ObjectType: "withdrawal_quote", ObjectID: q.ID.String()})
	})
}

// destination finds where a withdrawal goes, "" being the customer's own number, and refuses what may not be paid to now: a number that
// changes hands, and another's number while the customer's credentials are new, for they may be a thief's.
func (a *App) destination(ctx context.Context, userID uuid.UUID, phone string) (domain.Destination, error) {
	var none domain.Destination
	own, err := a.ownPhone(ctx, userID)
	if err != nil {
		return none, err
	}
	if phone == "" {
		if phone = own; phone == "" {
			return none, domain.ErrNoNumber
		}
	}
	if err := domain.CheckMpesaPhone(phone); err != nil {
		return none, err
	}
	if phone != own {
		if err := a.cooled(ctx, userID); err != nil {
			return none, err
		}
	}
	name, err := a.nameOf(ctx, phone)
	return domain.Destination{Rail: domain.RailMpesa, Phone: phone, Name: name}, err
}
