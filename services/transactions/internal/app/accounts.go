package app

import (
	"context"
	"fmt"
	"strconv"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/generated/scopes"
	transactionsdb "github.com/sendtip/sendtip/generated/transactions/db"
	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

// PutAccount opens the account, or replaces its rules and status; created says which. Owner, kind, currency and book never change. Every
// change has its audit row, and equal values change nothing. Without a status an account that exists keeps its own: who follows a
// customer's tier must not thaw what an operator froze.
func (a *App) PutAccount(ctx context.Context, want domain.Account) (got domain.Account, created bool, err error) {
	if err := auth.Require(ctx, scopes.LedgerAccounts); err != nil {
		return got, false, err
	}
	if user, ok := auth.From(ctx).UserID(); ok && user != want.OwnerID {
		return got, false, fault.ErrForbidden // a service acts for this user only
	}
	keepStatus := want.Status == ""
	if want, err = domain.NewAccount(want); err != nil {
		return got, false, err
	}
	err = pg.InTx(ctx, a.committers, func(tx pgx.Tx) error {
		n, err := a.q.InsertAccount(ctx, tx, transactionsdb.InsertAccountParams{ID: want.ID, OwnerID: &want.OwnerID, Kind: string(want.Kind),
			Currency: want.Currency, Book: string(want.Book), NormalSide: string(want.NormalSide), Status: string(want.Status),
			MinimumMinor: want.Minimum, MaximumMinor: want.Maximum, Now: a.clock()})
		if err != nil {
			return fmt.Errorf("insert account: %w", err)
		}
		if _, err := a.q.LockAccounts(ctx, tx, []uuid.UUID{want.ID}); err != nil {
			return fmt.Errorf("lock account: %w", err)
		}
		row, err := a.q.GetAccount(ctx, tx, want.ID)
		if err != nil {
			return fmt.Errorf("read account: %w", err)
		}
		got, created = account(row), n == 1
		if created {
			return a.auditAccount(ctx, tx, "ledger_account.opened", got)
		}
		change := want
		if keepStatus {
			change.Status = got.Status
		}
		changed, err := got.Change(change)
		if err != nil || !changed {
			return err
		}
		if err := a.q.UpdateAccountRules(ctx, tx, transactionsdb.UpdateAccountRulesParams{ID: got.ID, Status: string(got.Status),
			MinimumMinor: got.Minimum, MaximumMinor: got.Maximum}); err != nil {
			return fmt.Errorf("update account: %w", err)
		}
		return a.auditAccount(ctx, tx, "ledger_account.changed", got)
	})
	return got, created, err
}

func (a *App) auditAccount(ctx context.Context, tx pgx.Tx, action string, account domain.Account) error {
	detail := map[string]string{"status": string(account.Status), "kind": string(account.Kind), "currency": account.Currency,
		"book": string(account.Book)}
	if account.Minimum != nil {
		detail["minimum_minor"] = strconv.FormatInt(*account.Minimum, 10)
	}
	if account.Maximum != nil {
		detail["maximum_minor"] = strconv.FormatInt(*account.Maximum, 10)
	}
	return audit.Record(ctx, tx, a.clock(), audit.Entry{Action: action, ObjectType: "ledger_account", ObjectID: account.ID.String(),
		Detail: detail})
}

// GetAccount returns any account to a service, or fault.ErrNotFound.
func (a *App) GetAccount(ctx context.Context, id uuid.UUID) (domain.Account, error) {
	if err := auth.Require(ctx, scopes.LedgerRead); err != nil {
		return domain.Account{}, err
	}
	row, err := a.q.GetAccount(ctx, a.pool, id)
	return account(row), notFound(err)
}

// GetBalance returns the user's own account; somebody else's is fault.ErrNotFound, as if it did not exist.
func (a *App) GetBalance(ctx context.Context, id uuid.UUID) (domain.Account, error) {
	if err := auth.Require(ctx, scopes.WalletRead); err != nil {
		return domain.Account{}, err
	}
	user, err := auth.UserFrom(ctx)
	if err != nil {
		return domain.Account{}, err
	}
	row, err := a.q.GetAccount(ctx, a.pool, id)
	if err != nil {
		return domain.Account{}, notFound(err)
	}
	if row.OwnerID == nil || *row.OwnerID != user {
		return domain.Account{}, fault.ErrNotFound
	}
	return account(row), nil
}

// ListSystemAccounts returns the chart with balances and the sums over all accounts per currency and book, from one snapshot.
func (a *App) ListSystemAccounts(ctx context.Context) (accounts []domain.Account, totals []transactionsdb.SumAccountsRow, err error) {
	if err := auth.Require(ctx, scopes.LedgerRead); err != nil {
		return nil, nil, err
	}
	err = pgx.BeginTxFunc(ctx, a.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		rows, err := a.q.ListSystemAccounts(ctx, tx)
		if err != nil {
			return err
		}
		for _, row := range rows {
			accounts = append(accounts, account(row))
		}
		totals, err = a.q.SumAccounts(ctx, tx)
		return err
	})
	return accounts, totals, err
}
