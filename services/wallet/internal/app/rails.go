package app

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/generated/scopes"
	"github.com/sendtip/sendtip/kit/approve"
	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/rail"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

// markRail counts what an event of a top-up shows of the rail, in the transaction that stores it.
func (a *App) markRail(ctx context.Context, tx pgx.Tx, before domain.Topup, e domain.TopupEvent, failure string) error {
	good, known := domain.RailMark(before, e, failure)
	if !known {
		return nil
	}
	return a.Rails.Record(ctx, tx, domain.OperationStk, good, before.Took(a.Now()))
}

// ListRails says how the prompts do. The reading is audited.
func (a *App) ListRails(ctx context.Context) ([]rail.Health, error) {
	if _, err := auth.UserFrom(ctx); err != nil {
		return nil, err
	}
	if err := auth.Require(ctx, scopes.AdminRails); err != nil {
		return nil, err
	}
	all, err := a.Rails.List(ctx, a.Pool)
	if err != nil {
		return nil, err
	}
	return all, pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		return audit.Record(ctx, tx, a.Now(), audit.Entry{Action: "rails.listed", ObjectType: "rails", ObjectID: "all"})
	})
}

// ProposeRailSwitch asks another person to close an operation of a rail, or to open it again.
func (a *App) ProposeRailSwitch(ctx context.Context, operation string, off bool, reason string) (approve.Approval, error) {
	return a.Rails.Propose(ctx, a.Pool, a.Approvals, operation, off, reason)
}
