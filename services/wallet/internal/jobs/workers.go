// Package jobs maps River jobs to use cases. None of them is ever given up: they end when the outcome is known.
package jobs

import (
	"context"
	"time"

	"github.com/riverqueue/river"

	kitjobs "github.com/sendtip/sendtip/kit/jobs"

	"github.com/sendtip/sendtip/services/wallet/internal/app"
)

// Queues are how many jobs run at a time. Those of M-Pesa wait for Safaricom most of the time.
var Queues = map[string]int{app.QueueMoney: 8, app.QueueMpesa: 16, app.QueueUsers: 4}

// Register adds the workers of this service.
func Register(workers *river.Workers, a *app.App) {
	kitjobs.Add(workers, func(ctx context.Context, j *river.Job[app.OpenAccountArgs]) (time.Duration, error) {
		return 0, unknown(a.OpenAccount(ctx, j.Args.WalletID))
	})
	kitjobs.Add(workers, func(ctx context.Context, j *river.Job[app.ConfirmStandingArgs]) (time.Duration, error) {
		return 0, unknown(a.ConfirmStanding(ctx, j.Args.UserID))
	})
	kitjobs.Add(workers, func(ctx context.Context, j *river.Job[app.PostTransferArgs]) (time.Duration, error) {
		return 0, a.SettleTransfer(ctx, j.Args.TransferID)
	})
	kitjobs.Add(workers, func(ctx context.Context, j *river.Job[app.RequestStkArgs]) (time.Duration, error) {
		return 0, unknown(a.RequestStk(ctx, j.Args.TopupID))
	})
	kitjobs.Add(workers, func(ctx context.Context, j *river.Job[app.QueryStkArgs]) (time.Duration, error) {
		return a.QueryStk(ctx, j.Args.TopupID)
	})
	kitjobs.Add(workers, func(ctx context.Context, j *river.Job[app.AskStkArgs]) (time.Duration, error) {
		return 0, unknown(a.AskStk(ctx, j.Args.TopupID))
	})
	kitjobs.Add(workers, func(ctx context.Context, j *river.Job[app.JudgeCallbackArgs]) (time.Duration, error) {
		return a.JudgeCallback(ctx, j.Args.CallbackID)
	})
	kitjobs.Add(workers, func(ctx context.Context, j *river.Job[app.CreditTopupArgs]) (time.Duration, error) {
		return a.CreditTopup(ctx, j.Args.TopupID)
	})
	kitjobs.Add(workers, func(ctx context.Context, j *river.Job[app.CreditDepositArgs]) (time.Duration, error) {
		return a.CreditDeposit(ctx, j.Args.DepositID)
	})
	kitjobs.Add(workers, func(ctx context.Context, j *river.Job[app.SettleSuspenseArgs]) (time.Duration, error) {
		return 0, a.SettleSuspense(ctx, j.Args.ItemID)
	})
	kitjobs.Add(workers, func(ctx context.Context, j *river.Job[app.ReturnSuspenseArgs]) (time.Duration, error) {
		wait, err := a.ReturnSuspense(ctx, j.Args.ItemID)
		if j.Args.Once {
			wait = 0
		}
		return wait, unknown(err)
	})
	kitjobs.Add(workers, func(ctx context.Context, j *river.Job[app.JudgeRailMessageArgs]) (time.Duration, error) {
		return a.JudgeRailMessage(ctx, j.Args.MessageID)
	})
	kitjobs.Add(workers, func(ctx context.Context, _ *river.Job[app.RegisterC2bArgs]) (time.Duration, error) {
		return 0, unknown(a.RegisterC2b(ctx))
	})
}

// unknown makes any failure a snooze that grows to a minute: a peer that is down for long must not wear the job out.
func unknown(err error) error {
	if err == nil {
		return nil
	}
	return kitjobs.Unknown(err)
}
