package app

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	bankingdb "github.com/sendtip/sendtip/generated/banking/db"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/pg"

	"github.com/sendtip/sendtip/services/banking/internal/domain"
)

// lock locks a withdrawal's row: everything that is decided about it is decided under this lock.
func (a *App) lock(ctx context.Context, tx pgx.Tx, id uuid.UUID) (domain.Withdrawal, error) {
	row, err := a.q.LockWithdrawal(ctx, tx, id)
	if pg.IsNoRows(err) {
		return domain.Withdrawal{}, fault.ErrNotFound
	}
	if err != nil {
		return domain.Withdrawal{}, fmt.Errorf("lock withdrawal: %w", err)
	}
	return a.withdrawal(row)
}

// move brings a locked withdrawal to another state, with the transition's row and the job of what follows. It writes nothing and reports
// false when the machine has no such transition.
func (a *App) move(ctx context.Context, tx pgx.Tx, w domain.Withdrawal, to domain.Status, b domain.Because) (domain.Withdrawal, bool,
	error) {
	next, t, legal := w.Move(to, b, a.Now())
	if !legal {
		return w, false, nil
	}
	row := bankingdb.InsertTransitionParams{WithdrawalID: w.ID, Seq: t.Seq, FromStatus: optional(string(t.From)), ToStatus: string(t.To),
		Reason: t.Reason, Evidence: t.Evidence, EvidenceID: t.EvidenceID, At: t.At, LedgerStep: t.Ledger, LimitStep: t.Limit}
	follows := t.Ledger != domain.StepNone || t.Limit != domain.LimitKept
	if !follows {
		row.DoneAt = &t.At
	}
	if err := a.q.InsertTransition(ctx, tx, row); err != nil {
		return w, false, fmt.Errorf("insert transition: %w", err)
	}
	if err := a.save(ctx, tx, next); err != nil {
		return w, false, err
	}
	if err := a.mark(ctx, tx, next, t); err != nil {
		return w, false, err
	}
	a.metrics.withdrawals.WithLabelValues(w.Rail, string(to)).Inc()
	if follows {
		if _, err := a.Jobs.InsertTx(ctx, tx, SettleArgs{WithdrawalID: w.ID}, nil); err != nil {
			return w, false, fmt.Errorf("enqueue: %w", err)
		}
	}
	for _, days := range next.ReversalDays() {
		_, err := a.Jobs.InsertTx(ctx, tx, QuestionArgs{WithdrawalID: w.ID},
			&river.InsertOpts{ScheduledAt: t.At.Add(a.Schedule.Scaled(time.Duration(days) * 24 * time.Hour))})
		if err != nil {
			return w, false, fmt.Errorf("enqueue: %w", err)
		}
	}
	return next, true, nil
}

func (a *App) save(ctx context.Context, tx pgx.Tx, w domain.Withdrawal) error {
	err := a.q.UpdateWithdrawal(ctx, tx, bankingdb.UpdateWithdrawalParams{ID: w.ID, Status: string(w.Status), Seq: w.Seq,
		FailureCode: w.FailureCode, HoldID: w.HoldID, Receipt: optional(w.Receipt), Asked: w.Asked, FirstSentAt: w.FirstSentAt, Now: a.Now()})
	if pg.Constraint(err) == "withdrawals_receipt_once" {
		return domain.ErrReceiptUsed
	}
	if err != nil {
		return fmt.Errorf("update withdrawal: %w", err)
	}
	return nil
}

// decide is move in a transaction of its own, under the lock. change may add what else is known; it may be nil.
func (a *App) decide(ctx context.Context, id uuid.UUID, to domain.Status, b domain.Because,
	change func(tx pgx.Tx, w *domain.Withdrawal) error) (w domain.Withdrawal, moved bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout) // what is known must not be lost to a shutdown
	defer cancel()
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		if w, err = a.lock(ctx, tx, id); err != nil {
			return err
		}
		if change != nil {
			if err := change(tx, &w); err != nil {
				return err
			}
		}
		w, moved, err = a.move(ctx, tx, w, to, b)
		return err
	})
	return w, moved, err
}
