package app

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	bankingdb "github.com/sendtip/sendtip/generated/banking/db"
	"github.com/sendtip/sendtip/kit/jobs"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/providers/paystack"

	"github.com/sendtip/sendtip/services/banking/internal/domain"
)

// GiveBack brings a stored refund to Paystack: the hold in the wallet, then one request. What was requested by a run that ended is not sent
// again: a second request would be a second refund. AskRefund looks it up.
func (a *App) GiveBack(ctx context.Context, id uuid.UUID) error {
	row, err := a.q.GetRefund(ctx, a.Pool, id)
	if err != nil {
		return fmt.Errorf("get refund: %w", err)
	}
	r := refundOf(row)
	if r.Status == domain.Stored {
		answer := a.post(ctx, r.Hold())
		switch {
		case answer.IsUnknown():
			return jobs.Unknown(answer.Err())
		case answer.IsRefused():
			_, _, err := a.decideRefund(ctx, id, domain.Failed, domain.Because{Evidence: domain.ByLedger, Reason: ledgerRefusal(answer.Code())}, nil)
			return err
		}
		hold := answer.HoldID()
		if r, _, err = a.decideRefund(ctx, id, domain.Held, domain.Because{Evidence: domain.ByLedger}, func(_ pgx.Tx, r *domain.Refund) error {
			if r.HoldID == nil {
				r.HoldID = &hold
			}
			return nil
		}); err != nil {
			return err
		}
	}
	if r.Status != domain.Held {
		return nil
	}
	sending := false
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		if r, err = a.lockRefund(ctx, tx, id); err != nil {
			return err
		}
		if r, sending, err = a.moveRefund(ctx, tx, r, domain.Requested, domain.Because{Evidence: domain.BySend}); err != nil || !sending {
			return err
		}
		wait, _ := a.Schedule.NextRefund(r, r.UpdatedAt)
		if _, err = a.Jobs.InsertTx(ctx, tx, AskRefundArgs{RefundID: id}, &river.InsertOpts{ScheduledAt: r.UpdatedAt.Add(wait)}); err != nil {
			return fmt.Errorf("enqueue: %w", err)
		}
		return nil
	})
	if err != nil || !sending {
		return err
	}
	return a.sendRefund(ctx, r)
}

// sendRefund posts a refund, for the first and only time.
func (a *App) sendRefund(ctx context.Context, r domain.Refund) error {
	got, err := a.Paystack.Refund(ctx, paystack.RefundRequest{Transaction: r.DepositID.String(), AmountMinor: r.Amount.Amount,
		Currency: r.Amount.Currency, MerchantNote: r.ID.String()})
	b := domain.Because{Evidence: domain.ByAnswer}
	switch {
	case err == nil:
		_, _, err = a.decideRefund(ctx, r.ID, domain.Accepted, b, func(_ pgx.Tx, r *domain.Refund) error {
			r.ProviderID = got.ID
			return nil
		})
		return err
	case paystack.Definite(err):
		a.Log.WarnContext(ctx, "refund refused", "refund", r.ID, "err", err)
		b.Reason = "rail_refused"
		if paystack.InsufficientBalance(err) {
			b.Reason = "rail_balance"
		} else if paystack.Busy(err) {
			b.Reason = "try_later"
		}
		_, _, err = a.decideRefund(ctx, r.ID, domain.Failed, b, nil)
		return err
	}
	a.Log.WarnContext(ctx, "refund's answer lost", "refund", r.ID, "err", err)
	b.Reason = "no_answer"
	_, _, err = a.decideRefund(ctx, r.ID, domain.Unknown, b, nil)
	return err
}

// AskRefund asks about a refund when its schedule says so. It returns how long to wait for the next question; 0 when there is none.
func (a *App) AskRefund(ctx context.Context, id uuid.UUID) (wait time.Duration, err error) {
	asks := false
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		r, err := a.lockRefund(ctx, tx, id)
		if err != nil {
			return err
		}
		now := a.Now()
		if wait, asks = a.Schedule.NextRefund(r, now); !asks || wait > 0 {
			return nil
		}
		r.Asked = a.Schedule.AskedRefund(r, now) // committed before it leaves: a crash costs one question, not the count
		if r.Status == domain.Requested {        // the run that sent it has ended without an answer
			if r, _, err = a.moveRefund(ctx, tx, r, domain.Unknown, domain.Because{Evidence: domain.BySilence, Reason: "no_answer"}); err != nil {
				return err
			}
		}
		return a.saveRefund(ctx, tx, r)
	})
	if err != nil || !asks || wait > 0 {
		return wait, err
	}
	if err := a.ReadRefund(ctx, id); err != nil {
		a.Log.WarnContext(ctx, "question failed", "refund", id, "err", err)
	}
	return time.Millisecond, nil // and look at the schedule again
}

// ReadRefund reads a refund at Paystack, by its number or, where that was lost, in the list of the payment's refunds, and does what
// follows.
func (a *App) ReadRefund(ctx context.Context, id uuid.UUID) error {
	row, err := a.q.GetRefund(ctx, a.Pool, id)
	if err != nil {
		return fmt.Errorf("get refund: %w", err)
	}
	r := refundOf(row)
	if !r.Open() || r.Status == domain.Requested { // its answer is under way
		return nil
	}
	got, found, err := a.findRefund(ctx, r)
	if err != nil {
		return jobs.Unknown(err)
	}
	if !found {
		return a.refundAbsent(ctx, id)
	}
	if got.AmountMinor != r.Amount.Amount || got.Currency != r.Amount.Currency {
		a.alarm(ctx, "refund_amount", "refund", id)
		return nil
	}
	to, reason := domain.RefundEnds(got.Status)
	_, moved, err := a.decideRefund(ctx, id, to, domain.Because{Evidence: domain.ByVerify, Reason: reason},
		func(_ pgx.Tx, r *domain.Refund) error {
			if r.ProviderID == "" {
				r.ProviderID = got.ID
			}
			return nil
		})
	if moved && to == domain.Attention {
		a.alarm(ctx, "refund_needs_attention", "refund", id)
	}
	return err
}

func (a *App) findRefund(ctx context.Context, r domain.Refund) (got paystack.Refund, found bool, err error) {
	if r.ProviderID != "" {
		got, err = a.Paystack.GetRefund(ctx, r.ProviderID)
		return got, err == nil, err
	}
	d, err := a.readDeposit(ctx, r.DepositID)
	if err != nil {
		return got, false, err
	}
	list, err := a.Paystack.ListRefunds(ctx, d.ProviderID, time.Time{})
	if err != nil {
		return got, false, err
	}
	var failed error
	got, found = r.Lookup(list, func(providerID string) bool {
		taken, err := a.q.RefundIsTaken(ctx, a.Pool, providerID)
		if err != nil {
			failed = fmt.Errorf("look for refund: %w", err)
		}
		return taken
	})
	return got, found, failed
}

// refundAbsent notes that Paystack's list does not have a refund that was sent long enough ago to be in it.
func (a *App) refundAbsent(ctx context.Context, id uuid.UUID) error {
	return pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		r, err := a.lockRefund(ctx, tx, id)
		if err != nil || r.Status != domain.Unknown || r.AbsentAt != nil {
			return err
		}
		now := a.Now()
		r.AbsentAt = &now
		return a.saveRefund(ctx, tx, r)
	})
}

// hearRefund has Paystack asked about the refunds of the payment that an event tells of.
func (a *App) hearRefund(ctx context.Context, tx pgx.Tx, reference string) (domain.Verdict, error) {
	deposit, err := uuid.Parse(reference)
	if err != nil {
		return domain.VerdictNobody, nil
	}
	if _, err := a.q.GetDeposit(ctx, tx, deposit); pg.IsNoRows(err) {
		return domain.VerdictNobody, nil
	} else if err != nil {
		return "", fmt.Errorf("get deposit: %w", err)
	}
	open, err := a.q.ListOpenRefunds(ctx, tx, deposit)
	if err != nil {
		return "", fmt.Errorf("list refunds: %w", err)
	}
	if len(open) == 0 {
		return domain.VerdictAgain, nil
	}
	for _, id := range open {
		if _, err := a.Jobs.InsertTx(ctx, tx, ReadRefundArgs{RefundID: id}, nil); err != nil {
			return "", fmt.Errorf("enqueue: %w", err)
		}
	}
	return domain.VerdictHint, nil
}

// SettleRefund books what a refund's transitions lead to, in their order.
func (a *App) SettleRefund(ctx context.Context, id uuid.UUID) error {
	row, err := a.q.GetRefund(ctx, a.Pool, id)
	if err != nil {
		return fmt.Errorf("get refund: %w", err)
	}
	transitions, err := a.q.ListRefundTransitions(ctx, a.Pool, id)
	if err != nil {
		return fmt.Errorf("list transitions: %w", err)
	}
	for _, t := range transitions {
		if t.DoneAt != nil {
			continue
		}
		answer := a.post(ctx, refundOf(row).Step(t.LedgerStep))
		switch {
		case answer.IsUnknown():
			return jobs.Unknown(answer.Err())
		case answer.IsRefused():
			a.alarm(ctx, "step_refused", "refund", id, "step", t.LedgerStep, "code", answer.Code())
			return jobs.Unknown(fmt.Errorf("%s refused: %s", t.LedgerStep, answer.Code()))
		}
		transaction, now := answer.TransactionID(), a.Now()
		if err := a.q.FinishRefundTransition(ctx, a.Pool, bankingdb.FinishRefundTransitionParams{RefundID: id, Seq: t.Seq,
			LedgerTransactionID: &transaction, Now: &now}); err != nil {
			return fmt.Errorf("finish transition: %w", err)
		}
	}
	return nil
}
