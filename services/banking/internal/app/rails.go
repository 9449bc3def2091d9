package app

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/generated/events"
	"github.com/sendtip/sendtip/kit/approve"
	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/rail"

	"github.com/sendtip/sendtip/services/banking/internal/domain"
)

// mark counts what a transition shows of its rail, in the transaction that writes it.
func (a *App) mark(ctx context.Context, tx pgx.Tx, w domain.Withdrawal, t domain.Transition) error {
	operation, mark := domain.Operation(w.Rail), domain.MarkOf(t)
	if mark == domain.MarkNone || w.FirstSentAt == nil {
		return nil
	}
	if mark == domain.MarkNoFloat {
		if err := a.Rails.Trip(ctx, tx, operation, rail.NoFloat); err != nil {
			return err
		}
	}
	return a.Rails.Record(ctx, tx, operation, mark == domain.MarkGood, t.At.Sub(*w.FirstSentAt))
}

// markDeposit is mark for a deposit.
func (a *App) markDeposit(ctx context.Context, tx pgx.Tx, d domain.Deposit, t domain.Transition) error {
	mark := domain.MarkOfDeposit(t)
	if mark == domain.MarkNone || d.FirstSentAt == nil {
		return nil
	}
	return a.Rails.Record(ctx, tx, domain.OperationDeposit, mark == domain.MarkGood, t.At.Sub(*d.FirstSentAt))
}

// railChanged has the customers told whose money is on its way while a rail is down.
func (a *App) railChanged(ctx context.Context, tx pgx.Tx, operation, state string) error {
	if state != rail.Down {
		return nil
	}
	a.metrics.alarms.WithLabelValues("rail_down").Inc()
	if _, err := a.Jobs.InsertTx(ctx, tx, TellDelaysArgs{Operation: operation}, nil); err != nil {
		return fmt.Errorf("enqueue: %w", err)
	}
	return nil
}

// TellDelays tells each customer who waits for an operation, once for a withdrawal, that it takes longer.
func (a *App) TellDelays(ctx context.Context, operation string) error {
	_, err := pg.Drain(ctx, func(ctx context.Context) (n int64, err error) {
		err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
			n = 0
			for _, r := range domain.Rails {
				if domain.Operation(r) != operation {
					continue
				}
				late, err := a.q.InsertDelays(ctx, tx, a.Now(), r)
				if err != nil {
					return fmt.Errorf("insert delays: %w", err)
				}
				for _, id := range late {
					if err := a.tellDelay(ctx, tx, id); err != nil {
						return err
					}
				}
				n += int64(len(late))
			}
			return nil
		})
		return n, err
	})
	return err
}

func (a *App) tellDelay(ctx context.Context, tx pgx.Tx, id uuid.UUID) error {
	w, err := a.lock(ctx, tx, id)
	if err != nil || w.Status != domain.Requested && w.Status != domain.Accepted && w.Status != domain.Unknown {
		return err
	}
	return a.publish(ctx, tx, "banking.withdrawal_delayed", w.WalletID, events.BankingWithdrawalDelayed{WithdrawalID: w.ID,
		WalletID: w.WalletID, UserID: w.UserID, Rail: w.Rail, Amount: wireMoney(w.Amount)})
}

// ListRails says how the rails do, and what is in doubt on each. The reading is audited.
func (a *App) ListRails(ctx context.Context) ([]rail.Health, map[string]money.Money, error) {
	if err := operator(ctx); err != nil {
		return nil, nil, err
	}
	all, err := a.Rails.List(ctx, a.Pool)
	if err != nil {
		return nil, nil, err
	}
	rows, err := a.q.InDoubtByRail(ctx, a.Pool)
	if err != nil {
		return nil, nil, fmt.Errorf("value in doubt: %w", err)
	}
	doubt := map[string]money.Money{}
	for _, r := range rows {
		doubt[domain.Operation(r.Rail)] = money.Money{Amount: r.Minor, Currency: r.Currency}
	}
	return all, doubt, pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		return audit.Record(ctx, tx, a.Now(), audit.Entry{Action: "rails.listed", ObjectType: "rails", ObjectID: "all"})
	})
}

// ProposeRailSwitch asks another person to close an operation of a rail, or to open it again.
func (a *App) ProposeRailSwitch(ctx context.Context, operation string, off bool, reason string) (approve.Approval, error) {
	return a.Rails.Propose(ctx, a.Pool, a.Approvals, operation, off, reason)
}
