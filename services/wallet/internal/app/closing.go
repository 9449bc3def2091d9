package app

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/clients/ledger"
	"github.com/sendtip/sendtip/generated/events"
	"github.com/sendtip/sendtip/kit/event"
	"github.com/sendtip/sendtip/kit/idem"
	"github.com/sendtip/sendtip/kit/outbox"
	"github.com/sendtip/sendtip/kit/pg"

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
	done     chan bool // whether the group's transaction closed it
}

// closings collects the posted transfers that end while a commit is under way, and closes them with the next one. When nothing runs, a
// transfer is closed at once. What a group does not close, because it failed or because the job was faster, its caller closes alone.
type closings struct {
	commit func(ctx context.Context, group []*closing) (closed []uuid.UUID, err error)
	log    *slog.Logger

	mu      sync.Mutex
	waiting []*closing
	running bool
}

// submit waits until the group of c is done, at most until ctx ends. False says that c was not closed, or that this is not known.
func (g *closings) submit(ctx context.Context, c *closing) bool {
	g.enqueue(c)
	select {
	case closed := <-c.done:
		return closed
	case <-ctx.Done():
		return false
	}
}

func (g *closings) enqueue(c *closing) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, c)
	if !g.running {
		g.running = true
		go g.drain()
	}
}

// drain commits groups until nothing waits.
func (g *closings) drain() {
	for group := g.next(); group != nil; group = g.next() {
		closed, err := g.try(group)
		if err != nil {
			g.log.Error("a group of transfers was not closed, each is closed alone", "transfers", len(group), "err", err)
		}
		for _, c := range group {
			c.done <- err == nil && slices.Contains(closed, c.transfer.ID)
		}
	}
}

// next takes what waits.
func (g *closings) next() []*closing {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := min(len(g.waiting), maxClosings)
	if n == 0 {
		g.running = false
		return nil
	}
	group := g.waiting[:n:n]
	g.waiting = g.waiting[n:]
	return group
}

func (g *closings) try(group []*closing) (closed []uuid.UUID, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), groupTimeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil { // without callers' goroutines around it, a panic here would end every service of the process
			closed, err = nil, fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return g.commit(ctx, group)
}

// completeTransfer is closeTransfer for the request that posted: together with other transfers that end now.
func (a *App) completeTransfer(ctx context.Context, t domain.Transfer, answer ledger.Answer) (domain.Transfer, error) {
	c := &closing{transfer: t, done: make(chan bool, 1)}
	now, transactionID := a.Now(), answer.TransactionID()
	c.transfer.Status, c.transfer.LedgerTransactionID, c.transfer.ClosedAt = domain.TransferCompleted, &transactionID, &now
	var err error
	if c.told, err = transferEvent(c.transfer); err != nil {
		return t, err
	}
	c.told = c.told.WithTrace(ctx)
	if !a.closings.submit(ctx, c) {
		return a.closeTransfer(ctx, t, answer)
	}
	a.metrics.transfers.WithLabelValues(c.transfer.Status).Inc()
	return c.transfer, nil
}

// commitClosings is the last step of the saga for a group, in one transaction: states, reservations, events, idempotency results, and the
// end of the jobs. A transfer that another finisher closed is left alone. A job that runs right now will find its transfer closed.
func (a *App) commitClosings(ctx context.Context, group []*closing) (closed []uuid.UUID, err error) {
	ids, posted, at := make([]uuid.UUID, len(group)), make([]uuid.UUID, len(group)), make([]time.Time, len(group))
	for i, c := range group {
		ids[i], posted[i], at[i] = c.transfer.ID, *c.transfer.LedgerTransactionID, *c.transfer.ClosedAt
	}
	err = pg.InTx(ctx, indexed{a.Pool}, func(tx pgx.Tx) (err error) {
		if closed, err = a.q.CompleteTransfers(ctx, tx, ids, posted, at); err != nil {
			return fmt.Errorf("complete transfers: %w", err)
		}
		var told []event.Event
		var finished []idem.Finished
		var over []int64
		for _, c := range group {
			if slices.Contains(closed, c.transfer.ID) {
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
		return event.New(topic, "wallet.transfer_completed", t.WalletID.String(), events.WalletTransferCompleted{
			TransferID: t.ID, SenderUserID: t.UserID, RecipientUserID: t.RecipientUserID, SenderWalletID: t.WalletID,
			RecipientWalletID: t.RecipientWalletID, Amount: wireMoney(t.Amount), Fee: wireMoney(t.Fee), Excise: wireMoney(t.Excise)})
	}
	return event.New(topic, "wallet.transfer_failed", t.WalletID.String(), events.WalletTransferFailed{
		TransferID: t.ID, SenderUserID: t.UserID, SenderWalletID: t.WalletID, Amount: wireMoney(t.Amount), ReasonCode: t.FailureCode})
}
