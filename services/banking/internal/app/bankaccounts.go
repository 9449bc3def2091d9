package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	bankingdb "github.com/sendtip/sendtip/generated/banking/db"
	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/pg"

	"github.com/sendtip/sendtip/services/banking/internal/domain"
)

// What the values of a linked account are sealed and indexed for. They are part of stored data: never change one.
const (
	sealAccountNumber  = "banking.account_number"
	sealAccountName    = "banking.account_name"
	indexAccountNumber = "banking.account_number"
)

// BankAccountInput links an account.
type BankAccountInput struct {
	ID       uuid.UUID // the client's choice
	BankCode string
	Number   string
	Name     string // of a bank that cannot tell it
}

// CreateBankAccount links an account. The same account again, or the same request again, is the account that there is.
func (a *App) CreateBankAccount(ctx context.Context, in BankAccountInput) (domain.BankAccount, error) {
	userID, err := auth.UserFrom(ctx)
	if err != nil {
		return domain.BankAccount{}, err
	}
	stepUp := auth.From(ctx).StepUp
	switch now := a.Now(); {
	case stepUp == nil:
		return domain.BankAccount{}, domain.ErrStepUpMissing
	case stepUp.Hash != domain.BankAccountApprovalHash(in.ID):
		return domain.BankAccount{}, domain.ErrStepUpMismatch
	case !stepUp.ExpiresAt.After(now):
		return domain.BankAccount{}, domain.ErrStepUpExpired
	}
	if found, err := a.linked(ctx, a.Pool, userID, in); err != nil || found != nil {
		return deref(found), err
	}
	if err := a.cooled(ctx, userID); err != nil {
		return domain.BankAccount{}, err
	}
	account, err := a.newBankAccount(ctx, userID, in)
	if err != nil {
		return domain.BankAccount{}, err
	}
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		account, err = a.linkBankAccount(ctx, tx, account, stepUp, in)
		return err
	})
	return account, err
}

// cooled refuses whatever would let money go to a new place while the customer's credentials are new, for they may be a thief's.
func (a *App) cooled(ctx context.Context, userID uuid.UUID) error {
	changed, err := a.credentialsChanged(ctx, userID)
	if err == nil && changed != nil && a.Now().Sub(*changed) < domain.CoolingPeriod {
		err = domain.ErrCooling
	}
	return err
}

// newBankAccount asks the bank whose the account is, and user who the customer is.
func (a *App) newBankAccount(ctx context.Context, userID uuid.UUID, in BankAccountInput) (domain.BankAccount, error) {
	bank, err := a.bank(ctx, in.BankCode)
	if err != nil {
		return domain.BankAccount{}, err
	}
	name, err := a.resolve(ctx, in.BankCode, in.Number)
	if err != nil {
		return domain.BankAccount{}, err
	}
	own, err := a.ownName(ctx, userID)
	if err != nil {
		return domain.BankAccount{}, err
	}
	now := a.Now()
	account := domain.BankAccount{ID: in.ID, UserID: userID, BankCode: bank.Code, BankName: bank.Name, Number: in.Number, Name: name,
		NameChecked: name != "", CreatedAt: now, PayableFrom: domain.PayableFrom(domain.NameFits(name, own), now)}
	if name == "" {
		account.Name = in.Name
	}
	if account.Name == "" {
		return domain.BankAccount{}, domain.ErrAccountNameRequired
	}
	return account, nil
}

// ownName is the customer's masked name, which is all that user tells; "" where their number is not theirs at the moment.
func (a *App) ownName(ctx context.Context, userID uuid.UUID) (string, error) {
	phone, err := a.ownPhone(ctx, userID)
	if err != nil || phone == "" {
		return "", err
	}
	name, err := a.nameOf(ctx, phone)
	if errors.Is(err, domain.ErrInReview) {
		return "", nil
	}
	return name, err
}

// linkBankAccount spends the approval and writes the row, one customer's accounts one after the other.
func (a *App) linkBankAccount(ctx context.Context, tx pgx.Tx, account domain.BankAccount, stepUp *auth.StepUp,
	in BankAccountInput) (domain.BankAccount, error) {
	if err := a.q.LockBankAccounts(ctx, tx, account.UserID); err != nil {
		return account, fmt.Errorf("lock accounts: %w", err)
	}
	if found, err := a.linked(ctx, tx, account.UserID, in); err != nil || found != nil {
		return deref(found), err
	}
	rows, err := a.q.ListBankAccounts(ctx, tx, account.UserID)
	if err != nil {
		return account, fmt.Errorf("list accounts: %w", err)
	}
	if len(rows) >= domain.MaxBankAccounts {
		return account, domain.ErrTooManyAccounts
	}
	if err := a.insertBankAccount(ctx, tx, account); err != nil {
		return account, err
	}
	if err := a.q.SpendStepUp(ctx, tx, stepUp.JTI, account.ID, stepUp.ExpiresAt); err != nil {
		if pg.Constraint(err) == "step_ups_once" {
			return account, domain.ErrStepUpUsed
		}
		return account, fmt.Errorf("spend approval: %w", err)
	}
	return account, audit.Record(ctx, tx, account.CreatedAt, audit.Entry{Action: "bank_account.linked", ObjectType: "bank_account",
		ObjectID: account.ID.String()})
}

func (a *App) insertBankAccount(ctx context.Context, tx pgx.Tx, account domain.BankAccount) error {
	row := bankingdb.InsertBankAccountParams{ID: account.ID, UserID: account.UserID, BankCode: account.BankCode, BankName: account.BankName,
		NumberIndex: a.Sealer.Index(indexAccountNumber, account.BankCode+"/"+account.Number), LastFour: domain.LastFour(account.Number),
		NameChecked: account.NameChecked, PayableFrom: account.PayableFrom, CreatedAt: account.CreatedAt}
	var err error
	if row.NumberSealed, err = a.sealText(sealAccountNumber, account.ID, account.Number); err != nil {
		return err
	}
	if row.NameSealed, err = a.sealText(sealAccountName, account.ID, account.Name); err != nil {
		return err
	}
	err = a.q.InsertBankAccount(ctx, tx, row)
	if pg.Constraint(err) == "bank_accounts_id_once" {
		return domain.ErrAccountIDUsed
	}
	if err != nil {
		return fmt.Errorf("insert account: %w", err)
	}
	return nil
}

// linked finds the account that a request would link; nil if there is none. An id that is another account's is refused.
func (a *App) linked(ctx context.Context, db bankingdb.DBTX, userID uuid.UUID, in BankAccountInput) (*domain.BankAccount, error) {
	row, err := a.q.FindBankAccount(ctx, db, userID, a.Sealer.Indexes(indexAccountNumber, in.BankCode+"/"+in.Number))
	if err == nil {
		account, err := a.bankAccount(row)
		return &account, err
	}
	if !pg.IsNoRows(err) {
		return nil, fmt.Errorf("find account: %w", err)
	}
	switch _, err := a.q.GetBankAccount(ctx, db, in.ID); {
	case err == nil:
		return nil, domain.ErrAccountIDUsed
	case !pg.IsNoRows(err):
		return nil, fmt.Errorf("get account: %w", err)
	}
	return nil, nil
}

// ListBankAccounts returns the caller's accounts, the oldest first.
func (a *App) ListBankAccounts(ctx context.Context) ([]domain.BankAccount, error) {
	userID, err := auth.UserFrom(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := a.q.ListBankAccounts(ctx, a.Pool, userID)
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	out := make([]domain.BankAccount, len(rows))
	for i, r := range rows {
		if out[i], err = a.bankAccount(r); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// DeleteBankAccount removes one of the caller's accounts. What is on its way to it is still paid. Repeating it is harmless.
func (a *App) DeleteBankAccount(ctx context.Context, id uuid.UUID) error {
	userID, err := auth.UserFrom(ctx)
	if err != nil {
		return err
	}
	return pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		row, err := a.q.GetBankAccount(ctx, tx, id)
		switch {
		case pg.IsNoRows(err), err == nil && row.UserID != userID:
			return fault.ErrNotFound
		case err != nil:
			return fmt.Errorf("get account: %w", err)
		case row.DeletedAt != nil:
			return nil
		}
		now := a.Now()
		if err := a.q.DeleteBankAccount(ctx, tx, &now, id); err != nil {
			return fmt.Errorf("delete account: %w", err)
		}
		return audit.Record(ctx, tx, now, audit.Entry{Action: "bank_account.deleted", ObjectType: "bank_account", ObjectID: id.String()})
	})
}

func (a *App) bankAccount(r bankingdb.BankAccount) (domain.BankAccount, error) {
	out := domain.BankAccount{ID: r.ID, UserID: r.UserID, BankCode: r.BankCode, BankName: r.BankName, NameChecked: r.NameChecked,
		PayableFrom: r.PayableFrom.UTC(), CreatedAt: r.CreatedAt.UTC(), Deleted: r.DeletedAt != nil, Recipient: text(r.RecipientCode)}
	var err error
	if out.Number, err = a.openText(sealAccountNumber, r.ID, r.NumberSealed); err != nil {
		return out, err
	}
	out.Name, err = a.openText(sealAccountName, r.ID, r.NameSealed)
	return out, err
}

func deref(account *domain.BankAccount) domain.BankAccount {
	if account == nil {
		return domain.BankAccount{}
	}
	return *account
}
