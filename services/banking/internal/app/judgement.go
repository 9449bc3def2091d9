package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	bankingdb "github.com/sendtip/sendtip/generated/banking/db"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/providers/daraja"

	"github.com/sendtip/sendtip/services/banking/internal/domain"
)

// A message can be faster than the answer to its request, whose conversation it is judged by: it waits for that, but not for ever.
const (
	answerWait     = time.Second
	answerPatience = 45 * time.Second
)

// JudgeMessage decides what a stored message means, once, and does what follows in the same transaction. It returns how long to wait when
// the answer to the request is still under way.
func (a *App) JudgeMessage(ctx context.Context, id uuid.UUID) (time.Duration, error) {
	wait, err := a.judge(ctx, id, false)
	if errors.Is(err, domain.ErrReceiptUsed) { // the constraint has ended the transaction: judge again, knowing it
		return a.judge(ctx, id, true)
	}
	return wait, err
}

func (a *App) judge(ctx context.Context, id uuid.UUID, receiptUsed bool) (wait time.Duration, err error) {
	var row bankingdb.ProviderEvent
	var verdict domain.Verdict
	var withdrawal uuid.UUID
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		verdict, wait = "", 0
		if row, err = a.q.LockProviderEvent(ctx, tx, id); err != nil {
			return fmt.Errorf("lock message: %w", err)
		}
		if row.JudgedAt != nil {
			return nil
		}
		body, err := a.results.Open(id, row.BodySealed)
		if err != nil {
			return err
		}
		request, err := a.q.LockRailRequest(ctx, tx, row.RequestID)
		if err != nil {
			return fmt.Errorf("lock request: %w", err) // the token was right, so the request is ours
		}
		withdrawal = request.WithdrawalID
		if request.Answer == "" && a.Now().Sub(row.ReceivedAt) < a.Schedule.Scaled(answerPatience) {
			wait = answerWait
			return nil
		}
		if verdict, err = a.applyMessage(ctx, tx, row, request, body, receiptUsed); err != nil {
			return err
		}
		if verdict.Asks(request.Kind == requestPay) {
			if _, err := a.Jobs.InsertTx(ctx, tx, QuestionArgs{WithdrawalID: withdrawal}, nil); err != nil {
				return fmt.Errorf("enqueue: %w", err)
			}
		}
		now, text := a.Now(), string(verdict)
		if err := a.q.JudgeProviderEvent(ctx, tx, &now, &text, id); err != nil {
			return fmt.Errorf("judge message: %w", err)
		}
		return nil
	})
	if err == nil && verdict != "" {
		a.tellVerdict(ctx, row, withdrawal, verdict)
	}
	return wait, err
}

// applyMessage judges a message under the locks of its request and its withdrawal, and moves the withdrawal.
func (a *App) applyMessage(ctx context.Context, tx pgx.Tx, row bankingdb.ProviderEvent, request bankingdb.RailRequest, body []byte,
	receiptUsed bool) (domain.Verdict, error) {
	w, err := a.lock(ctx, tx, request.WithdrawalID)
	if err != nil {
		return "", err
	}
	said, readable := readMessage(row, request, body)
	if !readable {
		return domain.VerdictUnreadable, nil
	}
	asked := domain.Asked{Pay: request.Kind == requestPay, Conversation: text(request.ConversationID),
		Used: request.ClosedAt != nil}
	verdict := domain.Judge(w, asked, said)
	to := said.Leads(verdict, w.Status)
	if to == "" {
		return verdict, nil
	}
	if receiptUsed {
		return domain.VerdictReceipt, nil
	}
	evidence := domain.ByResult
	if !asked.Pay {
		evidence = domain.ByStatus
	}
	if _, _, err := a.move(ctx, tx, w, to,
		domain.Because{Evidence: evidence, ID: &row.ID, Reason: said.Reason, Receipt: said.Receipt}); err != nil {
		return "", err
	}
	now := a.Now()
	if err := a.q.CloseRailRequest(ctx, tx, &now, request.ID); err != nil {
		return "", fmt.Errorf("close request: %w", err)
	}
	return verdict, nil
}

// readMessage reads what a message says, by the kind of the request. One that waited too long in the rail's queue says no outcome.
func readMessage(row bankingdb.ProviderEvent, request bankingdb.RailRequest, body []byte) (domain.Said, bool) {
	r, err := daraja.ParseResult(body)
	if err != nil {
		return domain.Said{}, false
	}
	said := domain.Said{Known: row.Source == auth.SourceKnown, Conversation: r.ConversationID, Originator: r.OriginatorConversationID}
	if request.Kind == requestStatus {
		s, err := r.Status()
		if err != nil {
			return domain.Said{}, false
		}
		said.Originator = s.OriginatorConversationID
		said.Paid, said.Failed = s.Outcome == daraja.Paid, s.Outcome == daraja.Failed
		said.Reason, said.Receipt, said.AmountMinor = string(s.Reason), s.Receipt, s.AmountMinor
	} else {
		p, err := r.B2C()
		if err != nil {
			return domain.Said{}, false
		}
		said.Paid, said.Failed = p.Outcome == daraja.Paid, p.Outcome == daraja.Failed
		said.Reason, said.Receipt, said.AmountMinor = string(p.Reason), p.Receipt, p.AmountMinor
	}
	if row.Kind == kindTimeout {
		said.Paid, said.Failed = false, false
	}
	return said, true
}

// tellVerdict counts a verdict, and calls a person if it is not harmless.
func (a *App) tellVerdict(ctx context.Context, row bankingdb.ProviderEvent, withdrawal uuid.UUID, v domain.Verdict) {
	a.metrics.messages.WithLabelValues(row.Kind, string(v)).Inc()
	switch what := "message_" + string(v); {
	case v.Harmless():
	case row.Source == auth.SourceKnown:
		a.alarm(ctx, what, "message", row.ID, "withdrawal", withdrawal)
	default:
		a.metrics.alarms.WithLabelValues(what).Inc()
		a.sampled.WarnContext(ctx, "alarm: "+what, "message", row.ID)
	}
}
