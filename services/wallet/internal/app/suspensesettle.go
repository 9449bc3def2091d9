package app

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/generated/events"
	walletdb "github.com/sendtip/sendtip/generated/wallet/db"
	"github.com/sendtip/sendtip/kit/jobs"
	"github.com/sendtip/sendtip/kit/pg"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

// SettleSuspense books what an item has come to: to the wallet that it was matched to, or back to the rail once the payer certainly has it.
// References are fixed by the row and the decision, so a run that repeats what another did finds what was done.
func (a *App) SettleSuspense(ctx context.Context, id uuid.UUID) error {
	row, err := a.q.GetSuspense(ctx, a.Pool, id)
	if err != nil {
		return fmt.Errorf("get suspense: %w", err)
	}
	i := suspenseItem(row)
	all, err := a.q.ListSuspenseTransitions(ctx, a.Pool, id)
	if err != nil {
		return fmt.Errorf("list suspense transitions: %w", err)
	}
	last := all[len(all)-1]
	switch {
	case i.Status == domain.SuspenseMatching:
		return a.postMatch(ctx, i, *last.WalletID)
	case i.Status == domain.SuspenseReturned && last.DoneAt == nil:
		return a.postReturn(ctx, i)
	}
	return nil
}

// postMatch gives the money to the wallet. What the ledger refuses is open again, with the reason.
func (a *App) postMatch(ctx context.Context, i domain.SuspenseItem, wallet uuid.UUID) error {
	answer := a.post(ctx, i.MatchRequest(wallet, i.Seq))
	if answer.IsUnknown() {
		return jobs.Unknown(answer.Err())
	}
	return pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		locked, err := a.lockSuspense(ctx, tx, i.ID)
		if err != nil || locked.Status != domain.SuspenseMatching || locked.Seq != i.Seq {
			return err // another run was first
		}
		if answer.IsRefused() {
			_, err := a.moveSuspense(ctx, tx, locked, domain.SuspenseOpen, walletdb.InsertSuspenseTransitionParams{Evidence: byLedger,
				Reason: answer.Code()})
			return err
		}
		transaction := answer.TransactionID()
		if _, err := a.moveSuspense(ctx, tx, locked, domain.SuspenseMatched, walletdb.InsertSuspenseTransitionParams{Evidence: byLedger,
			WalletID: &wallet, LedgerTransactionID: &transaction}); err != nil {
			return err
		}
		return a.tellMatched(ctx, tx, locked, wallet)
	})
}

// tellMatched tells the customer as of any pay-in, now that it is booked.
func (a *App) tellMatched(ctx context.Context, tx pgx.Tx, i domain.SuspenseItem, wallet uuid.UUID) error {
	w, err := a.q.GetWallet(ctx, tx, wallet)
	if err != nil {
		return fmt.Errorf("get wallet: %w", err)
	}
	if i.Receipt == "" { // a top-up that a query paid
		return a.publish(ctx, tx, "wallet.topup_succeeded", w.ID, events.WalletTopupSucceeded{TopupID: i.ID, WalletID: w.ID, UserID: w.UserID,
			Amount: wireMoney(i.Amount)})
	}
	return a.publish(ctx, tx, "wallet.deposit_received", w.ID, events.WalletDepositReceived{DepositID: i.ID, WalletID: w.ID, UserID: w.UserID,
		Amount: wireMoney(i.Amount), Receipt: i.Receipt})
}

// postReturn books that the money is no longer ours. The ledger has no reason to refuse that; if it does, a person must look.
func (a *App) postReturn(ctx context.Context, i domain.SuspenseItem) error {
	answer := a.post(ctx, i.ReturnRequest())
	switch {
	case answer.IsUnknown():
		return jobs.Unknown(answer.Err())
	case answer.IsRefused():
		a.alarm(ctx, "return_not_booked", "item", i.ID, "code", answer.Code())
		return jobs.Unknown(fmt.Errorf("return refused: %s", answer.Code()))
	}
	return pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		if _, err := a.q.FinishReturn(ctx, tx, walletdb.FinishReturnParams{ItemID: i.ID, Seq: i.Seq,
			LedgerTransactionID: answer.TransactionID(), At: a.Now()}); err != nil {
			return fmt.Errorf("finish return: %w", err)
		}
		return nil
	})
}
