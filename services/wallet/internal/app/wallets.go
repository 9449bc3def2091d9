package app

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/generated/events"
	"github.com/sendtip/sendtip/generated/scopes"
	walletdb "github.com/sendtip/sendtip/generated/wallet/db"
	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/idem"
	"github.com/sendtip/sendtip/kit/pg"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

// ListWallets returns the caller's wallets, oldest first.
func (a *App) ListWallets(ctx context.Context) ([]domain.Wallet, error) {
	userID, err := auth.UserFrom(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := a.q.ListWallets(ctx, a.Pool, userID)
	if err != nil {
		return nil, fmt.Errorf("list wallets: %w", err)
	}
	out := make([]domain.Wallet, 0, len(rows))
	for _, r := range rows {
		out = append(out, wallet(walletdb.GetWalletRow(r)))
	}
	return out, nil
}

// GetWallet returns one of the caller's wallets, with what the ledger holds of it above the maximum.
func (a *App) GetWallet(ctx context.Context, id uuid.UUID) (domain.Wallet, error) {
	userID, err := auth.UserFrom(ctx)
	if err != nil {
		return domain.Wallet{}, err
	}
	row, err := a.q.GetWallet(ctx, a.Pool, id)
	switch {
	case pg.IsNoRows(err), err == nil && row.UserID != userID:
		return domain.Wallet{}, fault.ErrNotFound
	case err != nil:
		return domain.Wallet{}, fmt.Errorf("get wallet: %w", err)
	}
	w := wallet(row)
	if w.Status == domain.WalletOpen { // before that it has no account
		balance, err := a.balanceOf(ctx, id)
		if err != nil {
			return domain.Wallet{}, err
		}
		w.HeldAboveMaximumMinor = balance.HeldAboveMaximumMinor
	}
	return w, nil
}

// GetWalletOwner tells another service whose a wallet is and what its customer may do. On behalf of a customer nobody else's wallet is
// there.
func (a *App) GetWalletOwner(ctx context.Context, id uuid.UUID) (domain.Wallet, domain.Customer, error) {
	if err := auth.Require(ctx, scopes.WalletsRead); err != nil {
		return domain.Wallet{}, domain.Customer{}, err
	}
	r, err := a.q.GetWalletOwner(ctx, a.Pool, id)
	if pg.IsNoRows(err) {
		return domain.Wallet{}, domain.Customer{}, fault.ErrNotFound
	}
	if err != nil {
		return domain.Wallet{}, domain.Customer{}, fmt.Errorf("get wallet: %w", err)
	}
	if caller, ok := auth.From(ctx).UserID(); ok && caller != r.UserID {
		return domain.Wallet{}, domain.Customer{}, fault.ErrNotFound
	}
	return domain.Wallet{ID: id, UserID: r.UserID, Currency: r.Currency, Status: r.Status},
		domain.Customer{UserID: r.UserID, Status: r.CustomerStatus, Tier: r.Tier, Country: r.Country}, nil
}

func wallet(r walletdb.GetWalletRow) domain.Wallet {
	w := domain.Wallet{ID: r.ID, UserID: r.UserID, Currency: r.Currency, Status: r.Status, CreatedAt: r.CreatedAt}
	if r.DepositAccount != nil {
		w.DepositAccount = *r.DepositAccount
	}
	return w
}

// OpenWallet opens a wallet in a further currency. It says whether the wallet is new; one that exists is returned as it is.
func (a *App) OpenWallet(ctx context.Context, key, currency string) (w domain.Wallet, created bool, err error) {
	userID, err := auth.UserFrom(ctx)
	if err != nil {
		return domain.Wallet{}, false, err
	}
	rules, err := a.rules(ctx)
	if err != nil {
		return domain.Wallet{}, false, err
	}
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		k := idem.NewKey(ctx, "openWallet", key, currency)
		stored, err := a.idem.Begin(ctx, tx, k, idem.Once)
		if err != nil {
			return err
		}
		if stored != nil {
			created = stored.Status == 201
			return stored.Decode(&w)
		}
		w, created, err = a.openWallet(ctx, tx, userID, currency, rules)
		if err != nil {
			return err
		}
		status := 200
		if created {
			status = 201
		}
		return a.idem.Finish(ctx, tx, k, status, w)
	})
	return w, created, err
}

func (a *App) openWallet(ctx context.Context,
	tx pgx.Tx, userID uuid.UUID, currency string, rules domain.Rules) (domain.Wallet, bool, error) {
	c, err := a.customerIn(ctx, tx, userID)
	if err != nil {
		return domain.Wallet{}, false, err
	}
	if err := c.MayPay(); err != nil {
		return domain.Wallet{}, false, err
	}
	if _, ok := rules.MaximumBalance(c, currency, a.Now()); !ok {
		return domain.Wallet{}, false, domain.ErrCurrency
	}
	id, created, err := a.addWallet(ctx, tx, userID, currency)
	if err != nil {
		return domain.Wallet{}, false, err
	}
	if created {
		if _, err := a.Jobs.InsertTx(ctx, tx, OpenAccountArgs{WalletID: id}, nil); err != nil {
			return domain.Wallet{}, false, fmt.Errorf("enqueue: %w", err)
		}
		err = audit.Record(ctx, tx, a.Now(), audit.Entry{Action: "wallet.requested", ObjectType: "wallet", ObjectID: id.String(),
			Detail: map[string]string{"currency": currency}})
		if err != nil {
			return domain.Wallet{}, false, err
		}
	}
	row, err := a.q.GetWalletByCurrency(ctx, tx, userID, currency)
	if err != nil {
		return domain.Wallet{}, false, fmt.Errorf("get wallet: %w", err)
	}
	return wallet(walletdb.GetWalletRow(row)), created, nil
}

// addWallet writes a wallet, unless there is one in that currency. The caller enqueues the job that makes its account.
func (a *App) addWallet(ctx context.Context, tx pgx.Tx, userID uuid.UUID, currency string) (id uuid.UUID, created bool, err error) {
	var account *string
	if currency == domain.MpesaCurrency {
		number := newAccountNumber(domain.AccountOfWallet)
		account = &number
	}
	id, err = a.q.InsertWallet(ctx, tx,
		walletdb.InsertWalletParams{ID: newID(), UserID: userID, Currency: currency, DepositAccount: account, CreatedAt: a.Now()})
	if pg.IsNoRows(err) {
		return uuid.Nil, false, nil
	}
	if err != nil {
		return uuid.Nil, false, fmt.Errorf("insert wallet: %w", err)
	}
	return id, true, nil
}

// OpenAccount makes a wallet's account at the ledger with the maximum of the customer's tier, or brings the maximum up to date. Two such
// jobs can overtake each other; so after the call the customer must still be the one whose tier was told, or it is told again. It is told
// also when another job has told it: an earlier try of this one, whose answer was lost, may have reached the ledger after that.
func (a *App) OpenAccount(ctx context.Context, walletID uuid.UUID) error {
	rules, err := a.rules(ctx)
	if err != nil {
		return err
	}
	owner, err := a.q.GetWalletOwner(ctx, a.Pool, walletID)
	if err != nil {
		return fmt.Errorf("get wallet: %w", err)
	}
	c := domain.Customer{UserID: owner.UserID, Status: owner.CustomerStatus, Tier: owner.Tier, Country: owner.Country,
		Revision: owner.Revision}
	// Without a row the tier may hold nothing: money stays where it is, and none can come in.
	maximum, _ := rules.MaximumBalance(c, owner.Currency, a.Now())
	if err := a.putAccount(ctx, domain.Wallet{ID: owner.ID, UserID: owner.UserID, Currency: owner.Currency}, maximum); err != nil {
		return err
	}
	return pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		now, err := a.q.LockWallet(ctx, tx, walletID)
		if err != nil {
			return fmt.Errorf("lock wallet: %w", err)
		}
		at, revision := a.Now(), owner.Revision
		if now.Revision != owner.Revision {
			revision = -1 // whatever another job has told meanwhile, this one may have overwritten it
			if _, err := a.Jobs.InsertTx(ctx, tx, OpenAccountArgs{WalletID: walletID}, nil); err != nil {
				return fmt.Errorf("enqueue: %w", err)
			}
		}
		if err := a.q.OpenWallet(ctx, tx, &at, revision, walletID); err != nil {
			return fmt.Errorf("open wallet: %w", err)
		}
		if now.Status == domain.WalletOpen {
			return nil
		}
		return a.publish(ctx, tx, "wallet.opened", walletID, events.WalletOpened{WalletID: walletID, UserID: now.UserID, Currency: now.Currency})
	})
}

// tellLedger enqueues the jobs that make each account or bring its maximum up to date. Wallets that are being opened are not left out:
// their job may have read the tier before.
func (a *App) tellLedger(ctx context.Context, tx pgx.Tx, userID uuid.UUID) error {
	wallets, err := a.q.ListWallets(ctx, tx, userID)
	if err != nil {
		return fmt.Errorf("list wallets: %w", err)
	}
	for _, w := range wallets {
		if _, err := a.Jobs.InsertTx(ctx, tx, OpenAccountArgs{WalletID: w.ID}, nil); err != nil {
			return fmt.Errorf("enqueue: %w", err)
		}
	}
	return nil
}

// customer returns what is known about somebody; a customer of whom nothing is known is active on tier 0.
func (a *App) customer(ctx context.Context, userID uuid.UUID) (domain.Customer, error) {
	return a.customerIn(ctx, a.Pool, userID)
}

func (a *App) customerIn(ctx context.Context, db walletdb.DBTX, userID uuid.UUID) (domain.Customer, error) {
	row, err := a.q.GetCustomer(ctx, db, userID)
	if pg.IsNoRows(err) {
		return domain.Customer{UserID: userID, Status: domain.CustomerActive}, nil
	}
	if err != nil {
		return domain.Customer{}, fmt.Errorf("get customer: %w", err)
	}
	return domain.Customer{UserID: row.UserID, Status: row.Status, Tier: row.Tier, Country: row.Country, Revision: row.Revision}, nil
}

// openingWait is how long a job waits for a wallet whose account is being made.
const openingWait = 5 * time.Second
