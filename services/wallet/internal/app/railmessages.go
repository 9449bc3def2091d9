package app

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	walletdb "github.com/sendtip/sendtip/generated/wallet/db"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/hook"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/providers/daraja"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

// railResults is where Safaricom tells what became of a request about the paybill, with the request's id after the token.
var railResults = hook.Address{Path: "/v1/hooks/wr/", Token: "paybill result", Sealed: "wallet.rail_message:"}

// Kinds of messages about requests.
const (
	kindResult  = "result"
	kindTimeout = "timeout"
)

// A message can be faster than the answer to its request, whose conversation it is judged by: it waits for that, but not for ever.
const (
	answerWait     = time.Second
	answerPatience = 45 * time.Second
)

// ReceivePaybillResult stores what Safaricom says about a request, sealed and once, and leaves the judgement to a job. A wrong token is
// 404.
func (a *App) ReceivePaybillResult(ctx context.Context, token string, request uuid.UUID, body []byte) error {
	return a.receiveRail(ctx, kindResult, token, request, body)
}

// ReceivePaybillTimeout is ReceivePaybillResult for the notice that a request waited too long in Safaricom's queue.
func (a *App) ReceivePaybillTimeout(ctx context.Context, token string, request uuid.UUID, body []byte) error {
	return a.receiveRail(ctx, kindTimeout, token, request, body)
}

func (a *App) receiveRail(ctx context.Context, kind, token string, request uuid.UUID, body []byte) error {
	if err := a.rails.Check(token, request.String()); err != nil {
		return err
	}
	source := auth.SourceKnown
	if auth.From(ctx).Stranger() {
		source = auth.SourceStranger
	}
	sum := sha256.Sum256(body)
	return a.rails.Keep(ctx, body, func(tx pgx.Tx, m hook.Message) (river.JobArgs, error) {
		_, err := a.q.InsertRailMessage(ctx, tx, walletdb.InsertRailMessageParams{ID: m.ID, Kind: kind, RequestID: request,
			BodyHash: sum[:], BodySealed: m.Sealed, Source: source, ReceivedAt: a.Now()})
		if pg.IsNoRows(err) {
			return nil, nil // the same message again
		}
		if err != nil {
			return nil, err
		}
		return JudgeRailMessageArgs{MessageID: m.ID}, nil
	})
}

// JudgeRailMessage decides what a stored message means, once, and does what follows in the same transaction. It returns how long to wait
// when the answer to the request is still under way.
func (a *App) JudgeRailMessage(ctx context.Context, id uuid.UUID) (wait time.Duration, err error) {
	var row walletdb.LockRailMessageRow
	var verdict domain.Verdict
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		verdict, wait = "", 0
		if row, err = a.q.LockRailMessage(ctx, tx, id); err != nil {
			return fmt.Errorf("lock message: %w", err)
		}
		if row.JudgedAt != nil {
			return nil
		}
		body, err := a.rails.Open(id, row.BodySealed)
		if err != nil {
			return err
		}
		if verdict, wait, err = a.judgeRail(ctx, tx, row, body); err != nil || verdict == "" {
			return err
		}
		return a.q.JudgeRailMessage(ctx, tx, a.Now(), string(verdict), id)
	})
	if err != nil || verdict == "" {
		return wait, err
	}
	a.metrics.callbacks.WithLabelValues(row.Kind, string(verdict)).Inc()
	switch what := "rail_message_" + string(verdict); {
	case verdict.Harmless():
	case row.Source == auth.SourceKnown:
		a.alarm(ctx, what, "message", id, "request", row.RequestID)
	default:
		a.metrics.alarms.WithLabelValues(what).Inc()
		a.sampled.WarnContext(ctx, "alarm: "+what, "message", id)
	}
	return 0, nil
}

// judgeRail judges a message under the locks of its item and its request, in the order that everybody takes them.
func (a *App) judgeRail(ctx context.Context, tx pgx.Tx, row walletdb.LockRailMessageRow, body []byte) (domain.Verdict, time.Duration,
	error) {
	item, err := a.q.RailRequestItem(ctx, tx, row.RequestID)
	if err != nil {
		return "", 0, fmt.Errorf("get request: %w", err) // the token was right, so the request is ours
	}
	if item == nil {
		return a.judgeBalance(ctx, tx, row, body)
	}
	i, err := a.lockSuspense(ctx, tx, *item)
	if err != nil {
		return "", 0, err
	}
	request, err := a.q.LockRailRequest(ctx, tx, row.RequestID)
	if err != nil {
		return "", 0, fmt.Errorf("lock request: %w", err)
	}
	if request.Answer == "" && a.Now().Sub(row.ReceivedAt) < a.scaled(answerPatience) {
		return "", answerWait, nil
	}
	said, readable := readRail(row, request, body)
	if !readable {
		return domain.VerdictUnreadable, 0, nil
	}
	asked := domain.RailAsked{Question: request.Kind == requestStatus, ByReceipt: request.Named == namedReceipt,
		Conversation: text(request.ConversationID), Outcome: request.Outcome}
	reversal := request.ID
	if request.About != nil {
		reversal = *request.About
		about, err := a.q.LockRailRequest(ctx, tx, reversal)
		if err != nil {
			return "", 0, fmt.Errorf("lock request: %w", err)
		}
		asked.Originator = text(about.OriginatorID)
	}
	verdict := domain.JudgeReturn(i, asked, said)
	return verdict, 0, a.applyRail(ctx, tx, i, verdict, said, row.ID, request, reversal)
}

// readRail reads what a message says, by the kind of the request. One that waited too long in Safaricom's queue says no outcome.
func readRail(row walletdb.LockRailMessageRow, request walletdb.LockRailRequestRow, body []byte) (domain.RailSaid, bool) {
	r, err := daraja.ParseResult(body)
	if err != nil {
		return domain.RailSaid{}, false
	}
	said := domain.RailSaid{Known: row.Source == auth.SourceKnown, Conversation: r.ConversationID}
	if row.Kind == kindTimeout {
		return said, true
	}
	if request.Kind == requestReversal {
		v, err := r.Reversal()
		if err != nil {
			return said, false
		}
		said.Done, said.Failed, said.Already = v.Outcome == daraja.Paid, v.Outcome == daraja.Failed, v.AlreadyReversed
		said.Reason, said.Receipt, said.Original, said.AmountMinor = string(v.Reason), v.Receipt, v.OriginalReceipt, v.AmountMinor
		return said, true
	}
	s, err := r.Status()
	if err != nil {
		return said, false
	}
	said.Originator, said.AmountMinor, said.Reason = s.OriginatorConversationID, s.AmountMinor, string(s.Reason)
	if request.Named == namedReceipt { // it speaks of the payment itself, which stands in the books whether it was given back or not
		said.Original, said.Standing = s.Receipt, s.Outcome == daraja.Paid
		return said, true
	}
	said.Receipt, said.Done = s.Receipt, s.Outcome == daraja.Paid
	said.Standing = s.Outcome == daraja.Failed // perhaps because it was given back before: another order will find out
	return said, true
}

// applyRail does what a verdict says.
func (a *App) applyRail(ctx context.Context, tx pgx.Tx, i domain.SuspenseItem, v domain.Verdict, s domain.RailSaid, message uuid.UUID,
	request walletdb.LockRailRequestRow, reversal uuid.UUID) error {
	closes, outcome := []uuid.UUID{request.ID}, ""
	switch v {
	case domain.VerdictStanding:
		outcome = domain.OutcomeStanding
	case domain.VerdictFailed:
		outcome = domain.OutcomeFailed
	case domain.VerdictReturned:
		outcome = domain.OutcomeDone
	default:
		return nil
	}
	if reversal != request.ID && v == domain.VerdictReturned {
		closes = append(closes, reversal)
	}
	for _, id := range closes {
		if err := a.q.CloseRailRequest(ctx, tx, walletdb.CloseRailRequestParams{ID: id, Outcome: outcome, Reason: s.Reason,
			At: a.Now()}); err != nil {
			return fmt.Errorf("close request: %w", err)
		}
	}
	if v != domain.VerdictReturned { // the schedule has what follows, now
		_, err := a.Jobs.InsertTx(ctx, tx, ReturnSuspenseArgs{ItemID: i.ID, Once: true}, nil)
		return err
	}
	evidence := byResult
	if request.Kind == requestStatus {
		evidence = byStatus
	}
	_, err := a.moveSuspense(ctx, tx, i, domain.SuspenseReturned, walletdb.InsertSuspenseTransitionParams{Evidence: evidence,
		EvidenceID: &message, Receipt: present(s.Receipt)})
	return err
}
