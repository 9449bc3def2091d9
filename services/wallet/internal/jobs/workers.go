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
	add(workers, func(ctx context.Context, j app.OpenAccountArgs) (time.Duration, error) {
		return 0, unknown(a.OpenAccount(ctx, j.WalletID))
	})
	add(workers, func(ctx context.Context, j app.ConfirmStandingArgs) (time.Duration, error) {
		return 0, unknown(a.ConfirmStanding(ctx, j.UserID))
	})
	add(workers, func(ctx context.Context, j app.PostTransferArgs) (time.Duration, error) {
		return 0, a.SettleTransfer(ctx, j.TransferID)
	})
	add(workers, func(ctx context.Context, j app.RequestStkArgs) (time.Duration, error) {
		return 0, unknown(a.RequestStk(ctx, j.TopupID))
	})
	add(workers, func(ctx context.Context, j app.QueryStkArgs) (time.Duration, error) {
		return a.QueryStk(ctx, j.TopupID)
	})
	add(workers, func(ctx context.Context, j app.AskStkArgs) (time.Duration, error) {
		return 0, unknown(a.AskStk(ctx, j.TopupID))
	})
	add(workers, func(ctx context.Context, j app.JudgeCallbackArgs) (time.Duration, error) {
		return a.JudgeCallback(ctx, j.CallbackID)
	})
	add(workers, func(ctx context.Context, j app.CreditTopupArgs) (time.Duration, error) {
		return a.CreditTopup(ctx, j.TopupID)
	})
	add(workers, func(ctx context.Context, j app.CreditDepositArgs) (time.Duration, error) {
		return a.CreditDeposit(ctx, j.DepositID)
	})
	add(workers, func(ctx context.Context, _ app.RegisterC2bArgs) (time.Duration, error) {
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

func add[T river.JobArgs](workers *river.Workers, work func(ctx context.Context, args T) (time.Duration, error)) {
	river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, job *river.Job[T]) error {
		wait, err := work(ctx, job.Args)
		if err != nil || wait == 0 {
			return err
		}
		return river.JobSnooze(wait)
	}))
}
