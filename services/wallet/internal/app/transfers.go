package app

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	walletdb "github.com/sendtip/sendtip/generated/wallet/db"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/call"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/jobs"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/pg"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

const sealNote = "transfer note"

// TransferInput asks for a quoted transfer.
type TransferInput struct {
	Key             string `json:"-"` // Idempotency-Key
	QuoteID         uuid.UUID
	Note            string
	ClientReference string
}

// CreateTransfer moves money to another wallet. The ledger decides; if its answer is lost, the transfer stays created and the job
// post_transfer settles it under the same reference.
func (a *App) CreateTransfer(ctx context.Context, in TransferInput) (domain.Transfer, error) {
	userID, err := auth.UserFrom(ctx)
	if err != nil {
		return domain.Transfer{}, err
	}
	rules, err := a.rules(ctx)
	if err != nil {
		return domain.Transfer{}, err
	}
	var t domain.Transfer
	var replayed bool
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) (err error) {
		t, replayed, err = a.openTransfer(ctx, tx, userID, in, rules) // idempotency, ownership, quote, limits, row, job
		return err
	})
	if err != nil || replayed {
		return t, err
	}
	ctx = context.WithoutCancel(ctx)         // the caller may hang up; what follows has deadlines of its own
	answer := a.post(ctx, t.LedgerRequest()) // outside any transaction
	if answer.IsUnknown() {
		a.Log.WarnContext(ctx, "transfer pending", "transfer", t.ID, "err", answer.Err())
		return t, nil // 202: the job asks again
	}
	closed, err := a.closeTransfer(ctx, t, answer) // state, limits, event, idempotency result, job
	if err != nil {
		a.Log.ErrorContext(ctx, "close transfer", "transfer", t.ID, "err", err)
		return t, nil // 202: money may have moved, the job closes it
	}
	if closed.Status == domain.TransferFailed {
		return closed, domain.TransferRefusal(answer.Code())
	}
	return closed, nil
}

// SettleTransfer repeats the last two steps for a transfer whose request did not end it. It waits for nobody: a job is late already.
func (a *App) SettleTransfer(ctx context.Context, id uuid.UUID) error {
	row, err := a.q.GetTransfer(ctx, a.Pool, id)
	if err != nil {
		return fmt.Errorf("get transfer: %w", err)
	}
	if row.Status != domain.TransferCreated {
		return nil
	}
	t := a.transfer(ctx, row)
	answer := a.post(call.AsService(ctx), t.LedgerRequest())
	if answer.IsUnknown() {
		return jobs.Unknown(answer.Err())
	}
	_, err = a.closeAlone(ctx, t, answer)
	return err
}

// GetTransfer returns a transfer that the caller sent.
func (a *App) GetTransfer(ctx context.Context, id uuid.UUID) (domain.Transfer, error) {
	userID, err := auth.UserFrom(ctx)
	if err != nil {
		return domain.Transfer{}, err
	}
	row, err := a.q.GetTransfer(ctx, a.Pool, id)
	switch {
	case pg.IsNoRows(err), err == nil && row.UserID != userID:
		return domain.Transfer{}, fault.ErrNotFound
	case err != nil:
		return domain.Transfer{}, fmt.Errorf("get transfer: %w", err)
	}
	return a.transfer(ctx, row), nil
}

// ListTransfers returns a page of what the caller sent, newest first; with a client reference only what carries it.
func (a *App) ListTransfers(ctx context.Context, clientReference string, in page.Request) ([]domain.Transfer, *string, error) {
	userID, err := auth.UserFrom(ctx)
	if err != nil {
		return nil, nil, err
	}
	p, err := page.Read[uuid.UUID](ctx, a.pages, "listTransfers", in, clientReference)
	if err != nil {
		return nil, nil, err
	}
	var rows []walletdb.Transfer
	if clientReference == "" {
		rows, err = a.q.ListTransfers(ctx, a.Pool, userID, p.From(uuid.Max), p.Size+1)
	} else {
		rows, err = a.q.ListTransfersByReference(ctx, a.Pool, walletdb.ListTransfersByReferenceParams{
			UserID: userID, ClientReference: clientReference, Before: p.From(uuid.Max), PageSize: p.Size + 1})
	}
	if err != nil {
		return nil, nil, fmt.Errorf("list transfers: %w", err)
	}
	rows, next := page.Cut(p, rows, func(t walletdb.Transfer) uuid.UUID { return t.ID })
	out := make([]domain.Transfer, 0, len(rows))
	for _, r := range rows {
		out = append(out, a.transfer(ctx, r))
	}
	return out, next, nil
}
