package app

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	bankingdb "github.com/sendtip/sendtip/generated/banking/db"
	"github.com/sendtip/sendtip/generated/events"
	"github.com/sendtip/sendtip/kit/jobs"
	"github.com/sendtip/sendtip/kit/pg"

	"github.com/sendtip/sendtip/services/banking/internal/domain"
)

// Settle books what a withdrawal's transitions lead to, one after the other in their order, and tells of each when it is booked. References
// are fixed by the row and the step, so a run that repeats what another did finds what was done.
func (a *App) Settle(ctx context.Context, id uuid.UUID) error {
	row, err := a.q.GetWithdrawal(ctx, a.Pool, id)
	if err != nil {
		return fmt.Errorf("get withdrawal: %w", err)
	}
	w, err := a.withdrawal(row)
	if err != nil {
		return err
	}
	transitions, err := a.q.ListTransitions(ctx, a.Pool, id)
	if err != nil {
		return fmt.Errorf("list transitions: %w", err)
	}
	paid := domain.BookedWallet
	for _, t := range transitions {
		booked := domain.Booked(t.Booked)
		if t.DoneAt == nil {
			if booked, err = a.settleTransition(ctx, w, t, paid); err != nil {
				return err
			}
		}
		if t.ToStatus == string(domain.Paid) {
			paid = booked
		}
	}
	return nil
}

// settleTransition does what follows from one transition: the ledger first, then the limit, then the mark and the event.
func (a *App) settleTransition(ctx context.Context, w domain.Withdrawal, t bankingdb.ListTransitionsRow, paid domain.Booked) (domain.Booked,
	error) {
	booked, transaction, err := a.book(ctx, w, t.LedgerStep, paid)
	if err != nil {
		return booked, err
	}
	if err := a.settleLimit(ctx, w.ID, t.LimitStep); err != nil {
		return booked, jobs.Unknown(err)
	}
	return booked, pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		now := a.Now()
		n, err := a.q.FinishTransition(ctx, tx, bankingdb.FinishTransitionParams{WithdrawalID: w.ID, Seq: t.Seq, Booked: string(booked),
			LedgerTransactionID: transaction, Now: &now})
		if err != nil {
			return fmt.Errorf("finish transition: %w", err)
		}
		if n == 0 {
			return nil // another run was first
		}
		return a.tell(ctx, tx, w, t)
	})
}

// book posts a step of the ledger. Money that the wallet cannot take goes to suspense, and money that it no longer has is owed.
func (a *App) book(ctx context.Context, w domain.Withdrawal, step string, paid domain.Booked) (domain.Booked, *uuid.UUID, error) {
	if step == domain.StepNone {
		return "", nil, nil
	}
	if step == domain.StepRelease && w.HoldID == nil { // it was cancelled while the hold was asked for: ask again, to know
		answer := a.post(ctx, w.Hold())
		switch {
		case answer.IsUnknown():
			return "", nil, jobs.Unknown(answer.Err())
		case answer.IsRefused():
			return domain.BookedNothing, nil, nil
		}
		hold := answer.HoldID()
		w.HoldID = &hold
	}
	answer := a.post(ctx, w.Step(step, paid))
	booked := domain.BookedWallet
	if step == domain.StepDoubt {
		booked = domain.BookedDoubt
	}
	if answer.IsRefused() {
		instead, where, possible := w.Otherwise(step)
		if !possible {
			a.alarm(ctx, "step_refused", "withdrawal", w.ID, "step", step, "code", answer.Code())
			return "", nil, jobs.Unknown(fmt.Errorf("%s refused: %s", step, answer.Code()))
		}
		a.alarm(ctx, "booked_to_"+string(where), "withdrawal", w.ID, "step", step, "code", answer.Code())
		booked = where
		if answer = a.post(ctx, instead); answer.IsRefused() {
			a.alarm(ctx, "step_refused", "withdrawal", w.ID, "step", step, "code", answer.Code())
			return "", nil, jobs.Unknown(fmt.Errorf("%s refused: %s", instead.Reference, answer.Code()))
		}
	}
	if answer.IsUnknown() {
		return "", nil, jobs.Unknown(answer.Err())
	}
	transaction := answer.TransactionID()
	return booked, &transaction, nil
}

// tell publishes what a transition means to the customer, now that it is booked.
func (a *App) tell(ctx context.Context, tx pgx.Tx, w domain.Withdrawal, t bankingdb.ListTransitionsRow) error {
	switch domain.Status(t.ToStatus) {
	case domain.Paid:
		return a.publish(ctx, tx, "banking.withdrawal_paid", w.WalletID, events.BankingWithdrawalPaid{WithdrawalID: w.ID, WalletID: w.WalletID,
			UserID: w.UserID, Rail: w.Rail, Amount: wireMoney(w.Amount), Fee: wireMoney(w.Fee), Excise: wireMoney(w.Excise),
			Receipt: optional(w.Receipt)})
	case domain.Failed:
		return a.publish(ctx, tx, "banking.withdrawal_failed", w.WalletID, ended(w, t.Reason))
	case domain.Cancelled:
		return a.publish(ctx, tx, "banking.withdrawal_cancelled", w.WalletID, events.BankingWithdrawalCancelled(ended(w, "cancelled_in_app")))
	case domain.Returned:
		return a.publish(ctx, tx, "banking.withdrawal_returned", w.WalletID, events.BankingWithdrawalReturned(ended(w, t.Reason)))
	case domain.Reversed:
		return a.publish(ctx, tx, "banking.withdrawal_reversed", w.WalletID, events.BankingWithdrawalReversed(ended(w, t.Reason)))
	case domain.InDoubt:
		return a.publish(ctx, tx, "banking.withdrawal_in_doubt", w.WalletID, events.BankingWithdrawalInDoubt{WithdrawalID: w.ID,
			WalletID: w.WalletID, UserID: w.UserID, Rail: w.Rail, Amount: wireMoney(w.Amount)})
	}
	return nil
}

func ended(w domain.Withdrawal, reason string) events.BankingWithdrawalFailed {
	return events.BankingWithdrawalFailed{WithdrawalID: w.ID, WalletID: w.WalletID, UserID: w.UserID, Rail: w.Rail,
		Amount:     wireMoney(w.Amount),
		ReasonCode: reason}
}
