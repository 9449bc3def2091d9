package app

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	bankingdb "github.com/sendtip/sendtip/generated/banking/db"
	"github.com/sendtip/sendtip/kit/pg"

	"github.com/sendtip/sendtip/services/banking/internal/domain"
)

// Kinds of requests to a rail.
const (
	requestPay    = "pay"
	requestStatus = "status"
)

// Ask does what is due about a withdrawal that the rail has not ended: the same request again, a question, or giving up waiting. It returns
// how long to wait for the next; 0 when the end is known.
func (a *App) Ask(ctx context.Context, id uuid.UUID) (time.Duration, error) {
	var w domain.Withdrawal
	var what domain.Ask
	var wait time.Duration
	var request uuid.UUID
	err := pg.InTx(ctx, a.Pool, func(tx pgx.Tx) (err error) {
		if w, err = a.lock(ctx, tx, id); err != nil {
			return err
		}
		if what, wait = a.Schedule.Next(w, a.Now()); what == domain.AskNothing {
			return nil
		}
		if w.Status == domain.Requested { // the run that sent it has ended without an answer
			if w, _, err = a.move(ctx, tx, w, domain.Unknown, domain.Because{Evidence: domain.BySilence, Reason: "no_answer"}); err != nil {
				return err
			}
		}
		switch what {
		case domain.AskDoubt:
			_, _, err = a.move(ctx, tx, w, domain.InDoubt, domain.Because{Evidence: domain.BySilence, Reason: "no_answer"})
			return err
		case domain.AskResend:
			pay, err := a.q.GetPayRequest(ctx, tx, id)
			if err != nil {
				return fmt.Errorf("get request: %w", err)
			}
			request = pay.ID
		case domain.AskStatus:
			if request, err = a.insertQuestion(ctx, tx, w); err != nil {
				return err
			}
		}
		w.Asked = a.Schedule.Asked(w, a.Now()) // committed before it leaves: a crash costs one try, not the count
		return a.save(ctx, tx, w)
	})
	if err != nil {
		return 0, err
	}
	switch what {
	case domain.AskNothing:
		return wait, nil
	case domain.AskResend:
		err = a.send(ctx, w, request, false)
	case domain.AskStatus:
		err = a.way(w).ask(ctx, w, request)
	}
	return time.Millisecond, err // and look at the schedule again
}

// Question asks the rail about a withdrawal once more than its schedule does: something was said about it that decides nothing by itself.
// It returns how long to wait when it was asked a moment ago.
func (a *App) Question(ctx context.Context, id uuid.UUID) (wait time.Duration, err error) {
	var w domain.Withdrawal
	var request uuid.UUID
	pause := a.Schedule.Scaled(domain.QuestionPause)
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) (err error) {
		wait, request = 0, uuid.Nil
		if w, err = a.lock(ctx, tx, id); err != nil || !w.MayBeAsked() {
			return err
		}
		recent, err := a.q.AskedSince(ctx, tx, id, a.Now().Add(-pause))
		if err != nil {
			return fmt.Errorf("last question: %w", err)
		}
		if recent {
			wait = pause
			return nil
		}
		request, err = a.insertQuestion(ctx, tx, w)
		return err
	})
	if err != nil || request == uuid.Nil {
		return wait, err
	}
	return 0, a.way(w).ask(ctx, w, request)
}

func (a *App) insertQuestion(ctx context.Context, tx pgx.Tx, w domain.Withdrawal) (uuid.UUID, error) {
	id := newID()
	if err := a.q.InsertRailRequest(ctx, tx, bankingdb.InsertRailRequestParams{ID: id, WithdrawalID: w.ID, Kind: requestStatus,
		SentAt: a.Now(), AskedSeq: &w.Seq}); err != nil {
		return id, fmt.Errorf("insert question: %w", err)
	}
	return id, nil
}
