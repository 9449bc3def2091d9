package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	bankingdb "github.com/sendtip/sendtip/generated/banking/db"
	"github.com/sendtip/sendtip/kit/jobs"
	"github.com/sendtip/sendtip/kit/pg"

	"github.com/sendtip/sendtip/services/banking/internal/domain"
)

// preparePatience is how long a withdrawal waits for what must be ready before it is sent; later the customer may try again.
const preparePatience = time.Minute

// Answers to a request, as they are stored.
const (
	answerAccepted = "accepted"
	answerRefused  = "refused"
	answerLost     = "lost"
	answerNotFound = "not_found" // to a question: the rail has no such payment
)

// Pay brings a stored withdrawal to the rail: limit, hold, request. Each step is committed before the next one begins, and a run that finds
// one done goes on from there. What was requested by a run that ended is not sent again from here: nobody knows whether it left, and Ask
// has it.
func (a *App) Pay(ctx context.Context, id uuid.UUID) error {
	row, err := a.q.GetWithdrawal(ctx, a.Pool, id)
	if err != nil {
		return fmt.Errorf("get withdrawal: %w", err)
	}
	w, err := a.withdrawal(row)
	if err != nil {
		return err
	}
	if w.Status == domain.Stored {
		if w, err = a.holdMoney(ctx, w); err != nil {
			return err
		}
	}
	if w.Status != domain.Held {
		return nil
	}
	return a.request(ctx, w)
}

// holdMoney reserves the limit, then the money. Both answers are final and repeated to whoever asks again.
func (a *App) holdMoney(ctx context.Context, w domain.Withdrawal) (domain.Withdrawal, error) {
	if _, err := a.owner(ctx, w.UserID, w.WalletID, w.Amount.Currency); errors.Is(err, domain.ErrSuspended) { // since the quote
		w, _, err = a.decide(ctx, w.ID, domain.Failed, domain.Because{Evidence: domain.ByLimit, Reason: domain.ErrSuspended.Code}, nil)
		return w, err
	} else if err != nil {
		return w, jobs.Unknown(err)
	}
	refusal, err := a.reserve(ctx, w.ID, w.UserID, domain.KindWithdrawal, w.Amount)
	if err != nil {
		return w, jobs.Unknown(err)
	}
	if refusal != nil {
		w, _, err = a.decide(ctx, w.ID, domain.Failed, domain.Because{Evidence: domain.ByLimit, Reason: refusal.Code}, nil)
		return w, err
	}
	answer := a.post(ctx, w.Hold())
	switch {
	case answer.IsUnknown():
		return w, jobs.Unknown(answer.Err())
	case answer.IsRefused():
		w, _, err = a.decide(ctx, w.ID, domain.Failed, domain.Because{Evidence: domain.ByLedger, Reason: ledgerRefusal(answer.Code())}, nil)
		return w, err
	}
	hold := answer.HoldID()
	w, _, err = a.decide(ctx, w.ID, domain.Held, domain.Because{Evidence: domain.ByLedger}, func(_ pgx.Tx, w *domain.Withdrawal) error {
		if w.Status == domain.Stored {
			w.HoldID = &hold
		}
		return nil
	})
	return w, err
}

// ledgerRefusal turns the ledger's reason into the customer's.
func ledgerRefusal(code string) string {
	switch code {
	case "insufficient_funds":
		return code
	case "account_frozen", "account_closed", "account_not_found":
		return "wallet_frozen"
	}
	return "withdrawal_refused"
}

// request sends a held withdrawal. The state is committed as requested, with the row of the request and the job that watches over it,
// before the first byte leaves.
func (a *App) request(ctx context.Context, w domain.Withdrawal) error {
	refusal, err := a.way(w).prepare(ctx, w)
	if err != nil { // nothing has left: the next attempt starts over
		if a.Now().Sub(w.UpdatedAt) < preparePatience {
			return jobs.Unknown(err)
		}
		a.Log.WarnContext(ctx, "a withdrawal cannot be sent", "withdrawal", w.ID, "err", err)
		refusal = a.way(w).busy()
	}
	if refusal != "" {
		_, _, err = a.decide(ctx, w.ID, domain.Failed, domain.Because{Evidence: domain.BySend, Reason: refusal}, nil)
		return err
	}
	sent := newID()
	sending := false
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) (err error) {
		if w, err = a.lock(ctx, tx, w.ID); err != nil {
			return err
		}
		if w, sending, err = a.move(ctx, tx, w, domain.Requested, domain.Because{Evidence: domain.BySend, ID: &sent}); err != nil || !sending {
			return err
		}
		if err := a.q.InsertRailRequest(ctx, tx, bankingdb.InsertRailRequestParams{ID: sent, WithdrawalID: w.ID, Kind: requestPay,
			SentAt: w.UpdatedAt}); err != nil {
			return fmt.Errorf("insert request: %w", err)
		}
		_, wait := a.Schedule.Next(w, w.UpdatedAt)
		_, err = a.Jobs.InsertTx(ctx, tx, AskArgs{WithdrawalID: w.ID}, &river.InsertOpts{ScheduledAt: w.UpdatedAt.Add(wait)})
		if err != nil {
			return fmt.Errorf("enqueue: %w", err)
		}
		return nil
	})
	if err != nil || !sending {
		return err
	}
	return a.send(ctx, w, sent, true)
}

// send sends a withdrawal under its id, the first time or again, and stores what came of it. Only the first try can be refused for good: a
// refusal of a repeat says nothing about the one before.
func (a *App) send(ctx context.Context, w domain.Withdrawal, request uuid.UUID, first bool) error {
	sent, err := a.way(w).pay(ctx, w, request)
	b := domain.Because{Evidence: domain.ByAnswer, ID: &request}
	switch {
	case sent.arrived:
		return a.answered(ctx, w.ID, domain.Accepted, b, answerAccepted, sent)
	case first && sent.refusal != "":
		a.Log.WarnContext(ctx, "withdrawal refused", "withdrawal", w.ID, "err", err)
		b.Reason = sent.refusal
		return a.answered(ctx, w.ID, domain.Failed, b, answerRefused, sent)
	}
	a.Log.WarnContext(ctx, "withdrawal's answer lost", "withdrawal", w.ID, "err", err)
	b.Reason = "no_answer"
	return a.answered(ctx, w.ID, domain.Unknown, b, answerLost, sent)
}

// answered stores the rail's answer to a request and what it means. A result may have been faster: then the state stays.
func (a *App) answered(ctx context.Context, id uuid.UUID, to domain.Status, b domain.Because, answer string, s sent) error {
	_, _, err := a.decide(ctx, id, to, b, func(tx pgx.Tx, _ *domain.Withdrawal) error {
		if s.ended {
			if _, err := a.Jobs.InsertTx(ctx, tx, QuestionArgs{WithdrawalID: id}, nil); err != nil {
				return fmt.Errorf("enqueue: %w", err)
			}
		}
		return a.storeAnswer(ctx, tx, *b.ID, answer, s.conversation)
	})
	return err
}

func (a *App) storeAnswer(ctx context.Context, tx pgx.Tx, request uuid.UUID, answer, conversation string) error {
	now := a.Now()
	if err := a.q.AnswerRailRequest(ctx, tx, bankingdb.AnswerRailRequestParams{ID: request, Answer: answer,
		ConversationID: optional(conversation), Now: &now}); err != nil {
		return fmt.Errorf("store answer: %w", err)
	}
	return nil
}
