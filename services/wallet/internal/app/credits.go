package app

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/generated/events"
	walletdb "github.com/sendtip/sendtip/generated/wallet/db"
	"github.com/sendtip/sendtip/kit/jobs"
	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/pg"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

// credit posts money that has arrived, to the wallet or, when the wallet can never take it, to suspense. Both references are fixed by the
// row, and the second is used only after the ledger has refused the first for ever; so a repeat finds what was done.
func (a *App) credit(
	ctx context.Context, row uuid.UUID, request func(suspense bool) domain.LedgerRequest,
) (domain.Credit, uuid.UUID, error) {
	answer := a.post(ctx, request(false))
	switch {
	case answer.IsUnknown():
		return "", uuid.Nil, jobs.Unknown(answer.Err())
	case answer.IsPosted() && request(false).Postings[0].Destination == domain.AccountSuspense+domain.MpesaCurrency:
		return domain.CreditSuspense, answer.TransactionID(), nil
	case answer.IsPosted():
		return domain.CreditWallet, answer.TransactionID(), nil
	case !domain.GoesToSuspense(answer.Code()):
		return "", uuid.Nil, jobs.Unknown(fmt.Errorf("credit refused: %s", answer.Code()))
	}
	a.alarm(ctx, "credit_to_suspense", "row", row, "code", answer.Code())
	answer = a.post(ctx, request(true))
	switch {
	case answer.IsUnknown():
		return "", uuid.Nil, jobs.Unknown(answer.Err())
	case answer.IsRefused():
		return "", uuid.Nil, jobs.Unknown(fmt.Errorf("credit to suspense refused: %s", answer.Code()))
	}
	return domain.CreditSuspense, answer.TransactionID(), nil
}

// walletOpening says that a wallet's account is still being made, so that a credit has to wait.
func (a *App) walletOpening(ctx context.Context, id uuid.UUID) (bool, error) {
	w, err := a.q.GetWallet(ctx, a.Pool, id)
	if err != nil {
		return false, fmt.Errorf("get wallet: %w", err)
	}
	return w.Status == domain.WalletOpening, nil
}

// CreditTopup posts a paid top-up. It returns how long to wait while the wallet is being opened.
func (a *App) CreditTopup(ctx context.Context, id uuid.UUID) (time.Duration, error) {
	row, err := a.q.GetTopup(ctx, a.Pool, id)
	if err != nil {
		return 0, fmt.Errorf("get topup: %w", err)
	}
	t, err := a.topup(row)
	if err != nil {
		return 0, err
	}
	if t.Credit != domain.CreditDue {
		return 0, nil
	}
	if opening, err := a.walletOpening(ctx, t.WalletID); err != nil || opening {
		return openingWait, err
	}
	credit, transactionID, err := a.credit(ctx, t.ID, t.LedgerRequest)
	if err != nil {
		return 0, err
	}
	return 0, pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		t, err := a.lockTopup(ctx, tx, id)
		if err != nil || t.Credit != domain.CreditDue {
			return err
		}
		t.Credit, t.LedgerTransactionID = credit, &transactionID
		if err := a.saveTopup(ctx, tx, t); err != nil || credit != domain.CreditWallet {
			return err
		}
		e := events.WalletTopupSucceeded{TopupID: t.ID, WalletID: t.WalletID, UserID: t.UserID, Amount: wireMoney(t.Amount)}
		if t.Receipt != "" {
			e.Receipt = &t.Receipt
		}
		return a.publish(ctx, tx, "wallet.topup_succeeded", t.WalletID, e)
	})
}

// CreditDeposit posts a paybill deposit. It returns how long to wait while the wallet is being opened.
func (a *App) CreditDeposit(ctx context.Context, id uuid.UUID) (time.Duration, error) {
	row, err := a.q.GetDeposit(ctx, a.Pool, id)
	if err != nil {
		return 0, fmt.Errorf("get deposit: %w", err)
	}
	d := deposit(row)
	if d.Credit != domain.CreditDue {
		return 0, nil
	}
	if d.WalletID != nil {
		if opening, err := a.walletOpening(ctx, *d.WalletID); err != nil || opening {
			return openingWait, err
		}
	}
	credit, transactionID, err := a.credit(ctx, d.ID, d.LedgerRequest)
	if err != nil {
		return 0, err
	}
	return 0, pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		_, err := a.q.CloseDeposit(ctx, tx, walletdb.CloseDepositParams{ID: id, Credit: string(credit),
			LedgerTransactionID: transactionID, At: a.Now()})
		if pg.IsNoRows(err) {
			return nil // another run was first
		}
		if err != nil {
			return fmt.Errorf("close deposit: %w", err)
		}
		if credit != domain.CreditWallet {
			return nil
		}
		return a.publish(ctx, tx, "wallet.deposit_received", *d.WalletID, events.WalletDepositReceived{
			DepositID: d.ID, WalletID: *d.WalletID, UserID: *d.UserID, Amount: wireMoney(d.Amount), Receipt: d.Receipt})
	})
}

func deposit(r walletdb.GetDepositRow) domain.Deposit {
	return domain.Deposit{ID: r.ID, Receipt: r.Receipt, UserID: r.UserID, WalletID: r.WalletID,
		Amount: money.Money{Amount: r.AmountMinor, Currency: r.Currency}, Credit: domain.Credit(r.Credit)}
}
