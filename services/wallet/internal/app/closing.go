package app

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/clients/ledger"
	"github.com/sendtip/sendtip/generated/events"
	"github.com/sendtip/sendtip/kit/event"
	"github.com/sendtip/sendtip/kit/idem"
	"github.com/sendtip/sendtip/kit/outbox"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/together"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

const (
	// maxClosings bounds the transfers that one database transaction closes.
	maxClosings = 128
	// groupTimeout leaves a transfer whose group failed some of its closeTimeout to be closed alone.
	groupTimeout = 3 * time.Second
)

// closing is one posted transfer on its way to completed.
type closing struct {
	transfer domain.Transfer // as it will be
	told     event.Event
}

// commitFunc closes transfers in one transaction, and says of each whether it did.
type commitFunc func(ctx context.Context, group []closing) (closed []bool, err error)

// newClosings closes the posted transfers that end at the same time together. What a group does not close, because it failed or because
// the job was faster, its caller closes alone.
func newClosings(commit commitFunc, log *slog.Logger) *together.Group[closing, bool] {
	return together.New(together.Config[closing, bool]{
		Work: commit, Timeout: groupTimeout, Largest: maxClosings,
		Failed: func(err error, transfers int) bool {
			log.Error("a group of transfers was not closed, each is closed alone", "transfers", transfers, "err", err)
			return false
		},
	})
}

// completeTransfer is closeTransfer for the request that posted: together with other transfers that end now.
func (a *App) completeTransfer(ctx context.Context, t domain.Transfer, answer ledger.Answer) (domain.Transfer, error) {
	c := closing{transfer: t}
	now, transactionID := a.Now(), answer.TransactionID()
	c.transfer.Status, c.transfer.LedgerTransactionID, c.transfer.ClosedAt = domain.TransferCompleted, &transactionID, &now
	var err error
	if c.told, err = transferEvent(c.transfer); err != nil {
		return t, err
	}
	c.told = c.told.WithTrace(ctx)
	if closed, err := a.closings.Do(ctx, c); err != nil || !closed { // not closed, or nobody knows
		return a.closeTransfer(ctx, t, answer)
	}
	a.metrics.transfers.WithLabelValues(c.transfer.Status).Inc()
	return c.transfer, nil
}

// commitClosings is the last step of the saga for a group, in one transaction: states, reservations, events, idempotency results, and the
// end of the jobs. A transfer that another finisher closed is left alone. A job that runs right now will find its transfer closed.
func (a *App) commitClosings(ctx context.Context, group []closing) (closed []bool, err error) {
	ids, posted, at := make([]uuid.UUID, len(group)), make([]uuid.UUID, len(group)), make([]time.Time, len(group))
	for i, c := range group {
		ids[i], posted[i], at[i] = c.transfer.ID, *c.transfer.LedgerTransactionID, *c.transfer.ClosedAt
	}
	err = pg.InTx(ctx, indexed{a.Pool}, func(tx pgx.Tx) error {
		done, err := a.q.CompleteTransfers(ctx, tx, ids, posted, at)
		if err != nil {
			return fmt.Errorf("complete transfers: %w", err)
		}
		closed = make([]bool, len(group))
		var told []event.Event
		var finished []idem.Finished
		var over []int64
		for i, c := range group {
			if closed[i] = slices.Contains(done, c.transfer.ID); closed[i] {
				told, over = append(told, c.told), append(over, c.transfer.JobID)
				finished = append(finished, idem.Finished{ID: c.transfer.IdempotencyID, Status: 201, Result: c.transfer})
			}
		}
		if len(over) == 0 {
			return nil
		}
		return a.recordClosings(ctx, tx, told, finished, over)
	})
	return closed, err
}

// recordClosings writes what follows from the states of transfers: events, idempotency results, and that their jobs have nothing to do.
func (a *App) recordClosings(ctx context.Context, tx pgx.Tx, told []event.Event, finished []idem.Finished, over []int64) error {
	writes := &pipeline{tx: tx}
	if err := outbox.AppendAll(ctx, writes, told); err != nil {
		return err
	}
	if err := a.idem.FinishAll(ctx, writes, finished); err != nil {
		return err
	}
	if err := a.Jobs.Unschedule(ctx, writes, over); err != nil {
		return err
	}
	if err := writes.send(ctx); err != nil {
		return fmt.Errorf("record closings: %w", err)
	}
	return nil
}

// transferEvent is what is published when a transfer ends.
func transferEvent(t domain.Transfer) (event.Event, error) {
	if t.Status == domain.TransferCompleted {
		return event.New(topic, "wallet.transfer_completed", t.WalletID.String(), *t.ClosedAt, events.WalletTransferCompleted{
			TransferID: t.ID, SenderUserID: t.UserID, RecipientUserID: t.RecipientUserID, SenderWalletID: t.WalletID,
			RecipientWalletID: t.RecipientWalletID, Amount: wireMoney(t.Amount), Fee: wireMoney(t.Fee), Excise: wireMoney(t.Excise)})
	}
	return event.New(topic, "wallet.transfer_failed", t.WalletID.String(), *t.ClosedAt, events.WalletTransferFailed{
		TransferID: t.ID, SenderUserID: t.UserID, SenderWalletID: t.WalletID, Amount: wireMoney(t.Amount), ReasonCode: t.FailureCode})
}
