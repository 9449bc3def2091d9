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
	walletdb "github.com/sendtip/sendtip/generated/wallet/db"
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

// closing is the end of one transfer, with what belongs to it.
type closing struct {
	transfer domain.Transfer // as it will be
	told     event.Event
	result   idem.Finished
}

// closingOf says how a transfer ends by the ledger's answer.
func (a *App) closingOf(ctx context.Context, t domain.Transfer, answer ledger.Answer) (closing, error) {
	now := a.Now()
	t.ClosedAt = &now
	var result idem.Finished
	switch {
	case answer.IsPosted():
		id := answer.TransactionID()
		t.Status, t.LedgerTransactionID = domain.TransferCompleted, &id
		result = idem.Finished{ID: t.IdempotencyID, Status: 201, Result: t}
	case answer.IsRefused():
		refusal := domain.TransferRefusal(answer.Code())
		t.Status, t.FailureCode = domain.TransferFailed, refusal.Code
		result = idem.Refused(t.IdempotencyID, refusal)
	default:
		return closing{}, answer.Err()
	}
	told, err := transferEvent(t)
	return closing{transfer: t, told: told.WithTrace(ctx), result: result}, err
}

// closeTransfer is the last step of a transfer: state, reservation, event, idempotency result, and the end of the job. Posted transfers
// that end at the same time share one transaction. What that one does not close, because it failed or because the job was faster, is closed
// alone.
func (a *App) closeTransfer(ctx context.Context, t domain.Transfer, answer ledger.Answer) (domain.Transfer, error) {
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	if answer.IsPosted() {
		c, err := a.closingOf(ctx, t, answer)
		if err != nil {
			return t, err
		}
		if closed, err := a.closings.Do(ctx, c); err == nil && closed {
			a.metrics.transfers.WithLabelValues(c.transfer.Status).Inc()
			return c.transfer, nil
		}
	}
	return a.closeAlone(ctx, t, answer)
}

// closeAlone is closeTransfer in a transaction of its own. If another finisher was first, it returns what that one left.
func (a *App) closeAlone(ctx context.Context, t domain.Transfer, answer ledger.Answer) (domain.Transfer, error) {
	c, err := a.closingOf(ctx, t, answer)
	if err != nil {
		return t, err
	}
	end := c.transfer
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		_, err := a.q.CloseTransfer(ctx, tx, walletdb.CloseTransferParams{ID: end.ID, Status: end.Status, FailureCode: end.FailureCode,
			LedgerTransactionID: end.LedgerTransactionID, At: end.ClosedAt})
		if pg.IsNoRows(err) {
			row, err := a.q.GetTransfer(ctx, tx, end.ID)
			if err != nil {
				return fmt.Errorf("get transfer: %w", err)
			}
			end = a.transfer(ctx, row)
			return nil
		}
		if err != nil {
			return fmt.Errorf("close transfer: %w", err)
		}
		return a.recordClosings(ctx, tx, []closing{c})
	})
	if err != nil {
		return t, err
	}
	a.metrics.transfers.WithLabelValues(end.Status).Inc()
	return end, nil
}

// commitFunc closes transfers in one transaction, and says of each whether it did.
type commitFunc func(ctx context.Context, group []closing) (closed []bool, err error)

// newClosings closes the posted transfers that end at the same time together.
func newClosings(commit commitFunc, log *slog.Logger) *together.Group[closing, bool] {
	return together.New(together.Config[closing, bool]{
		Work: commit, Timeout: groupTimeout, Largest: maxClosings,
		Failed: func(err error, transfers int) bool {
			log.Error("a group of transfers was not closed, each is closed alone", "transfers", transfers, "err", err)
			return false
		},
	})
}

// commitClosings closes posted transfers in one transaction. A transfer that another finisher closed, or holds now, is left alone. A job
// that runs right now will find its transfer closed.
func (a *App) commitClosings(ctx context.Context, group []closing) (closed []bool, err error) {
	ids, posted, at := make([]uuid.UUID, len(group)), make([]uuid.UUID, len(group)), make([]time.Time, len(group))
	for i, c := range group {
		ids[i], posted[i], at[i] = c.transfer.ID, *c.transfer.LedgerTransactionID, *c.transfer.ClosedAt
	}
	err = pg.InTx(ctx, pg.ByIndex(a.Pool), func(tx pgx.Tx) error {
		done, err := a.q.CompleteTransfers(ctx, tx, ids, posted, at)
		if err != nil {
			return fmt.Errorf("complete transfers: %w", err)
		}
		closed = make([]bool, len(group))
		var ours []closing
		for i, c := range group {
			if closed[i] = slices.Contains(done, c.transfer.ID); closed[i] {
				ours = append(ours, c)
			}
		}
		return a.recordClosings(ctx, tx, ours)
	})
	return closed, err
}

// recordClosings writes what follows from the states of transfers: events, idempotency results, and that their jobs have nothing to do.
func (a *App) recordClosings(ctx context.Context, tx pgx.Tx, group []closing) error {
	if len(group) == 0 {
		return nil
	}
	told, results, over := make([]event.Event, len(group)), make([]idem.Finished, len(group)), make([]int64, len(group))
	for i, c := range group {
		told[i], results[i], over[i] = c.told, c.result, c.transfer.JobID
	}
	writes := pg.NewPipeline(tx)
	if err := outbox.AppendAll(ctx, writes, told); err != nil {
		return err
	}
	if err := a.idem.FinishAll(ctx, writes, results); err != nil {
		return err
	}
	if err := a.Jobs.Unschedule(ctx, writes, over); err != nil {
		return err
	}
	if err := writes.Send(ctx); err != nil {
		return fmt.Errorf("record closings: %w", err)
	}
	return nil
}

// transferEvent is what is published when a transfer ends.
func transferEvent(t domain.Transfer) (event.Event, error) {
	if t.Status == domain.TransferCompleted {
		return event.New(topic, "wallet.transfer_completed", t.WalletID.String(), *t.ClosedAt, events.WalletTransferCompleted{
			TransferID: t.ID, SenderUserID: t.UserID, RecipientUserID: t.RecipientUserID, SenderWalletID: t.WalletID,
			RecipientWalletID: t.RecipientWalletID, Amount: wireMoney(t.Amount), Fee: wireMoney(t.Fee), Excise: wireMoney(t.Excise),
			PaymentRequestID: t.RequestID})
	}
	return event.New(topic, "wallet.transfer_failed", t.WalletID.String(), *t.ClosedAt, events.WalletTransferFailed{
		TransferID: t.ID, SenderUserID: t.UserID, SenderWalletID: t.WalletID, Amount: wireMoney(t.Amount), ReasonCode: t.FailureCode})
}
