package app

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	walletdb "github.com/sendtip/sendtip/generated/wallet/db"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/providers/daraja"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

// Kinds of requests to Safaricom.
const (
	requestReversal = "reversal"
	requestStatus   = "status"

	namedConversation = "conversation"
	namedReceipt      = "receipt"
)

func (a *App) returnSchedule() domain.ReturnSchedule { return domain.ReturnSchedule{Speed: a.Speed} }

// errand is what is to be sent about an item: committed before the first byte leaves, so that a run that ended is never repeated blindly.
type errand struct {
	step     domain.ReturnStep
	item     domain.SuspenseItem
	request  uuid.UUID
	reversal domain.Reversal // that a question is about
}

// ReturnSuspense does what is due about money that is being returned, and says how long to wait for the next; 0 when it has ended.
func (a *App) ReturnSuspense(ctx context.Context, id uuid.UUID) (time.Duration, error) {
	var e errand
	var wait time.Duration
	err := pg.InTx(ctx, a.Pool, func(tx pgx.Tx) (err error) {
		e, wait, err = a.nextErrand(ctx, tx, id)
		return err
	})
	if err != nil {
		return 0, err
	}
	switch e.step {
	case domain.ReturnSend:
		err = a.orderReversal(ctx, e)
	case domain.ReturnAsk:
		err = a.askReversal(ctx, e)
	default:
		return wait, nil
	}
	return time.Millisecond, err // and look at the schedule again
}

func (a *App) nextErrand(ctx context.Context, tx pgx.Tx, id uuid.UUID) (e errand, wait time.Duration, err error) {
	if e.item, err = a.lockSuspense(ctx, tx, id); err != nil || e.item.Status != domain.SuspenseReturning {
		return e, 0, err
	}
	all, err := a.reversals(ctx, tx, id)
	if err != nil {
		return e, 0, err
	}
	e.step, wait = domain.NextReturn(all, e.item.Seq, a.Now(), a.returnSchedule())
	e.request = newID()
	row := walletdb.InsertRailRequestParams{ID: e.request, ItemID: &id, Kind: requestReversal, SentAt: a.Now(), Seq: e.item.Seq}
	switch e.step {
	case domain.ReturnWait:
		return e, wait, nil
	case domain.ReturnOpen:
		last := all[len(all)-1]
		_, err = a.moveSuspense(ctx, tx, e.item, domain.SuspenseOpen, walletdb.InsertSuspenseTransitionParams{Evidence: byAnswer,
			EvidenceID: &last.ID, Reason: cmp.Or(last.Reason, "rail_refused")})
		return e, 0, err
	case domain.ReturnAsk:
		e.reversal = all[len(all)-1]
		row.Kind, row.About, row.Named = requestStatus, &e.reversal.ID, namedReceipt
		if e.reversal.Originator != "" {
			row.Named = namedConversation
		}
	}
	if err := a.q.InsertRailRequest(ctx, tx, row); err != nil {
		return e, 0, fmt.Errorf("insert request: %w", err)
	}
	return e, 0, nil
}

// reversals are all orders to give an item back, with the questions about each.
func (a *App) reversals(ctx context.Context, tx pgx.Tx, item uuid.UUID) (all []domain.Reversal, err error) {
	rows, err := a.q.ListRailRequests(ctx, tx, &item)
	if err != nil {
		return nil, fmt.Errorf("list requests: %w", err)
	}
	at := map[uuid.UUID]int{}
	for _, r := range rows {
		if r.Kind == requestReversal {
			at[r.ID] = len(all)
			all = append(all, domain.Reversal{ID: r.ID, Seq: r.Seq, SentAt: r.SentAt, Answer: r.Answer, Originator: text(r.OriginatorID),
				Outcome: r.Outcome, Reason: r.Reason})
			continue
		}
		of := &all[at[*r.About]]
		of.Declined = of.Declined || r.Named == namedConversation && r.Outcome == domain.OutcomeStanding
		of.Questions = append(of.Questions, domain.ReversalQuestion{SentAt: r.SentAt, Outcome: r.Outcome})
	}
	return all, nil
}

func (a *App) resultURL(request uuid.UUID) string {
	return a.PublicURL + a.rails.Path(request.String()) + "/" + request.String()
}

// orderReversal sends one order to give the payment back, and stores what came of it.
func (a *App) orderReversal(ctx context.Context, e errand) error {
	ack, err := a.Mpesa.Reverse(ctx, daraja.ReversalRequest{Receipt: e.item.Receipt, AmountMinor: e.item.Amount.Amount,
		Remarks: "Returned to payer", ResultURL: a.resultURL(e.request), TimeoutURL: a.resultURL(e.request) + "/late"})
	answer := domain.AnswerAccepted
	switch {
	case daraja.Busy(err):
		answer = domain.AnswerBusy
	case daraja.Definite(err):
		answer = domain.AnswerRefused
	case err != nil:
		answer = domain.AnswerLost
	}
	if err != nil {
		a.Log.WarnContext(ctx, "reversal not confirmed", "item", e.item.ID, "request", e.request, "err", err)
	}
	return a.answered(ctx, e.request, answer, ack)
}

// askReversal asks what became of a reversal: by Safaricom's name of it, or, if its answer was lost, by the receipt of the payment. A
// question that fails is no harm: the next one is due.
func (a *App) askReversal(ctx context.Context, e errand) error {
	q := daraja.StatusRequest{OriginalConversationID: e.reversal.Originator, Remarks: "Returned to payer", ResultURL: a.resultURL(e.request),
		TimeoutURL: a.resultURL(e.request) + "/late"}
	if q.OriginalConversationID == "" {
		q.Receipt = e.item.Receipt
	}
	ack, err := a.Mpesa.QueryStatus(ctx, q)
	answer := domain.AnswerAccepted
	if err != nil {
		answer = domain.AnswerLost
		a.Log.WarnContext(ctx, "question failed", "item", e.item.ID, "request", e.request, "err", err)
	}
	return a.answered(ctx, e.request, answer, ack)
}

// answered stores Safaricom's answer to a request, which a shutdown must not cut off.
func (a *App) answered(ctx context.Context, request uuid.UUID, answer string, ack daraja.Ack) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	return pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		if err := a.q.AnswerRailRequest(ctx, tx, walletdb.AnswerRailRequestParams{ID: request, Answer: answer,
			ConversationID: present(ack.ConversationID), OriginatorID: present(ack.OriginatorConversationID), At: a.Now()}); err != nil {
			return fmt.Errorf("store answer: %w", err)
		}
		return nil
	})
}

func present(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
