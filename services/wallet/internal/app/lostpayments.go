package app

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/providers/daraja"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

const (
	// pullEvery is how often Safaricom's books are read while a top-up is lost.
	pullEvery = 5 * time.Minute
	// pullReach is how far they reach back.
	pullReach = 48 * time.Hour
	// pullOverlap is read again each time: books are written late.
	pullOverlap = time.Hour
)

// FindLostLoop reads Safaricom's books for lost payments until ctx ends. Any number of replicas may run it.
func (a *App) FindLostLoop(ctx context.Context) error {
	ticks := time.NewTicker(a.scaled(pullEvery))
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
		if err := a.FindLostPayments(ctx); err != nil && ctx.Err() == nil {
			a.Log.WarnContext(ctx, "lost payments could not be looked for", "err", err)
		}
	}
}

// FindLostPayments looks in Safaricom's books for the top-ups of which nobody said how they ended (the answer, the callback, the
// confirmation and the query were all lost), as long as the books reach back. A payment of a top-up's reference and amount is that
// top-up's.
func (a *App) FindLostPayments(ctx context.Context) error {
	if !a.AskPull {
		return nil
	}
	now := a.Now()
	since := now.Add(-pullReach)
	from, err := a.q.OldestLostTopup(ctx, a.Pool, since)
	if pg.IsNoRows(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("oldest lost topup: %w", err)
	}
	a.pulledMu.Lock()
	defer a.pulledMu.Unlock()
	if again := a.pulledTo.Add(-pullOverlap); again.After(from) {
		from = again
	}
	whole, err := a.readBooks(ctx, from, now, func(r daraja.PulledTransaction) error { return a.findLost(ctx, r, since) })
	if err == nil && whole {
		a.pulledTo = now
	}
	return err
}

// readBooks calls each for every payment in the books between two times, within this minute's budget.
// It reports false when that ended first.
func (a *App) readBooks(ctx context.Context, from, to time.Time, each func(r daraja.PulledTransaction) error) (whole bool, err error) {
	for offset := 0; ; {
		if ok, err := a.mayAsk(ctx); err != nil || !ok {
			return false, err
		}
		rows, err := a.Mpesa.PullTransactions(ctx, from, to, offset)
		if err != nil {
			return false, fmt.Errorf("pull transactions: %w", err)
		}
		if len(rows) == 0 {
			return true, nil
		}
		for _, r := range rows {
			if err := each(r); err != nil {
				return false, err
			}
		}
		offset += len(rows)
	}
}

// findLost books a payment that is a lost top-up's, as a confirmation of it would be; any other is none of our business here.
func (a *App) findLost(ctx context.Context, r daraja.PulledTransaction, since time.Time) error {
	p := domain.Payment{Receipt: r.Receipt, Amount: money.Money{Amount: r.AmountMinor, Currency: domain.MpesaCurrency},
		Account: domain.NormalizeAccount(r.BillRef), PaidAt: r.At, Source: domain.SourcePull}
	lost, err := a.q.IsLostTopup(ctx, a.Pool, p.Account, p.Amount.Amount, since)
	if err != nil || !lost || !domain.ReadableReceipt(p.Receipt) {
		return err
	}
	var j domain.Judgement
	err = a.onFacts(ctx, func(tx pgx.Tx) error {
		k, err := a.knownOfPayment(ctx, tx, p, a.Now())
		if err != nil {
			return err
		}
		if j = domain.JudgePayment(k, p); j.Topup == nil || j.Event != domain.EventPaid {
			return nil // something else has ended it meanwhile
		}
		return a.apply(ctx, tx, j, message{ReceivedAt: a.Now()})
	})
	if err == nil && j.Verdict != "" {
		a.metrics.callbacks.WithLabelValues(kindPull, string(j.Verdict)).Inc()
	}
	return err
}

// scaled is a wait at the speed of this platform.
func (a *App) scaled(d time.Duration) time.Duration { return d / time.Duration(max(a.Speed, 1)) }

// aged is an age as it would be at the speed of reality.
func (a *App) aged(d time.Duration) time.Duration { return d * time.Duration(max(a.Speed, 1)) }
