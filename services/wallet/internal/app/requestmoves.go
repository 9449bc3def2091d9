package app

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/pg"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

const (
	// expireEvery is how often overdue requests are looked for; until then they are shown and treated as expired all the same.
	expireEvery = 30 * time.Second
	// maxExpired bounds what one transaction ends.
	maxExpired = 200
)

// DeclinePaymentRequest ends a request that the caller received.
func (a *App) DeclinePaymentRequest(ctx context.Context, id uuid.UUID) (domain.Request, error) {
	return a.closeRequest(ctx, id, domain.RequestDeclined, func(r domain.Request) uuid.UUID { return r.PayerID })
}

// CancelPaymentRequest withdraws a request that the caller made.
func (a *App) CancelPaymentRequest(ctx context.Context, id uuid.UUID) (domain.Request, error) {
	return a.closeRequest(ctx, id, domain.RequestCancelled, func(r domain.Request) uuid.UUID { return r.RequesterID })
}

// closeRequest ends a request under its lock; only the side that owner names may.
func (a *App) closeRequest(ctx context.Context, id uuid.UUID, as string, owner func(domain.Request) uuid.UUID) (domain.Request, error) {
	userID, err := auth.UserFrom(ctx)
	if err != nil {
		return domain.Request{}, err
	}
	var r domain.Request
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		if r, err = a.lockRequest(ctx, tx, id); err != nil {
			return err
		}
		if owner(r) != userID {
			return fault.ErrNotFound
		}
		now := a.Now()
		changes, err := r.MayClose(as, now)
		if err != nil || !changes {
			return err
		}
		if err := a.q.CloseRequest(ctx, tx, as, &now, id); err != nil {
			return fmt.Errorf("close request: %w", err)
		}
		r.Status, r.ClosedAt = as, &now
		return a.tellRequest(ctx, tx, r, as)
	})
	return r, err
}

// RemindPaymentRequest tells the payer again.
func (a *App) RemindPaymentRequest(ctx context.Context, id uuid.UUID) (domain.Request, error) {
	userID, err := auth.UserFrom(ctx)
	if err != nil {
		return domain.Request{}, err
	}
	var r domain.Request
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		if r, err = a.lockRequest(ctx, tx, id); err != nil {
			return err
		}
		if r.RequesterID != userID {
			return fault.ErrNotFound
		}
		now := a.Now()
		if err := r.MayRemind(now); err != nil {
			return err
		}
		if err := a.q.RemindRequest(ctx, tx, now, id); err != nil {
			return fmt.Errorf("remind: %w", err)
		}
		r.Reminders, r.AskedAt = r.Reminders+1, now
		return a.tellRequest(ctx, tx, r, "reminded")
	})
	return r, err
}

// claimRequest gives a request to the transfer that will pay it, in the transaction that opens the transfer: before money moves, and so
// that it can end in no other way until the transfer has.
func (a *App) claimRequest(ctx context.Context, tx pgx.Tx, t domain.Transfer) error {
	if t.RequestID == nil {
		return nil
	}
	r, err := a.lockRequest(ctx, tx, *t.RequestID)
	if err != nil {
		return err
	}
	if err := r.MayPay(a.Now()); err != nil {
		return err
	}
	if err := a.q.ClaimRequest(ctx, tx, t.ID, r.ID); err != nil {
		return fmt.Errorf("claim request: %w", err)
	}
	return nil
}

func (a *App) lockRequest(ctx context.Context, tx pgx.Tx, id uuid.UUID) (domain.Request, error) {
	row, err := a.q.LockRequest(ctx, tx, id)
	if pg.IsNoRows(err) {
		return domain.Request{}, fault.ErrNotFound
	}
	if err != nil {
		return domain.Request{}, fmt.Errorf("lock request: %w", err)
	}
	return a.request(ctx, row), nil
}

// ExpireRequestsLoop ends overdue requests until ctx ends. Any number of replicas may run it.
func (a *App) ExpireRequestsLoop(ctx context.Context) error {
	ticks := time.NewTicker(expireEvery)
	defer ticks.Stop()
	for {
		if err := a.ExpireRequests(ctx); err != nil && ctx.Err() == nil {
			a.Log.WarnContext(ctx, "requests could not be ended", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
	}
}

// ExpireRequests ends every request that is overdue.
func (a *App) ExpireRequests(ctx context.Context) error {
	for {
		n := 0
		err := pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
			now := a.Now()
			rows, err := a.q.ExpireRequests(ctx, tx, &now, maxExpired)
			if err != nil {
				return fmt.Errorf("expire requests: %w", err)
			}
			n = len(rows)
			for _, row := range rows {
				if err := a.tellRequest(ctx, tx, a.request(ctx, row), domain.RequestExpired); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || n < maxExpired {
			return err
		}
	}
}
