// Package jobs maps River jobs to use cases. None of them is ever given up: they end when the outcome is known.
package jobs

import (
	"context"
	"time"

	"github.com/riverqueue/river"

	kitjobs "github.com/sendtip/sendtip/kit/jobs"

	"github.com/sendtip/sendtip/services/banking/internal/app"
)

// Queues are how many jobs run at a time. Those of the rails wait for Safaricom most of the time.
var Queues = map[string]int{app.QueueMoney: 8, app.QueueRails: 16, app.QueueAsk: 4}

// Register adds the workers of this service.
func Register(workers *river.Workers, a *app.App) {
	kitjobs.Add(workers, func(ctx context.Context, j *river.Job[app.PayArgs]) (time.Duration, error) {
		return 0, a.Pay(ctx, j.Args.WithdrawalID)
	})
	kitjobs.Add(workers, func(ctx context.Context, j *river.Job[app.AskArgs]) (time.Duration, error) {
		return a.Ask(ctx, j.Args.WithdrawalID)
	})
	kitjobs.Add(workers, func(ctx context.Context, j *river.Job[app.QuestionArgs]) (time.Duration, error) {
		return a.Question(ctx, j.Args.WithdrawalID)
	})
	kitjobs.Add(workers, func(ctx context.Context, j *river.Job[app.SettleArgs]) (time.Duration, error) {
		return 0, a.Settle(ctx, j.Args.WithdrawalID)
	})
	kitjobs.Add(workers, func(ctx context.Context, j *river.Job[app.DepositArgs]) (time.Duration, error) {
		return 0, a.OpenDeposit(ctx, j.Args.DepositID)
	})
	kitjobs.Add(workers, func(ctx context.Context, j *river.Job[app.AskDepositArgs]) (time.Duration, error) {
		return a.AskDeposit(ctx, j.Args.DepositID)
	})
	kitjobs.Add(workers, func(ctx context.Context, j *river.Job[app.VerifyDepositArgs]) (time.Duration, error) {
		return 0, a.VerifyDeposit(ctx, j.Args.DepositID)
	})
	kitjobs.Add(workers, func(ctx context.Context, j *river.Job[app.SettleDepositArgs]) (time.Duration, error) {
		return 0, a.SettleDeposit(ctx, j.Args.DepositID)
	})
	kitjobs.Add(workers, func(ctx context.Context, j *river.Job[app.RefundArgs]) (time.Duration, error) {
		return 0, a.GiveBack(ctx, j.Args.RefundID)
	})
	kitjobs.Add(workers, func(ctx context.Context, j *river.Job[app.AskRefundArgs]) (time.Duration, error) {
		return a.AskRefund(ctx, j.Args.RefundID)
	})
	kitjobs.Add(workers, func(ctx context.Context, j *river.Job[app.ReadRefundArgs]) (time.Duration, error) {
		return 0, a.ReadRefund(ctx, j.Args.RefundID)
	})
	kitjobs.Add(workers, func(ctx context.Context, j *river.Job[app.SettleRefundArgs]) (time.Duration, error) {
		return 0, a.SettleRefund(ctx, j.Args.RefundID)
	})
	kitjobs.Add(workers, func(ctx context.Context, j *river.Job[app.HearArgs]) (time.Duration, error) {
		return a.Hear(ctx, j.Args.EventID)
	})
	kitjobs.Add(workers, func(ctx context.Context, j *river.Job[app.TellDelaysArgs]) (time.Duration, error) {
		return 0, a.TellDelays(ctx, j.Args.Operation)
	})
	kitjobs.Add(workers, func(ctx context.Context, j *river.Job[app.JudgeArgs]) (time.Duration, error) {
		return a.JudgeMessage(ctx, j.Args.EventID)
	})
}
