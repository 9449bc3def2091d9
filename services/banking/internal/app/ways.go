package app

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/providers/daraja"

	"github.com/sendtip/sendtip/services/banking/internal/domain"
)

// way is one on which withdrawals leave. It speaks to the provider; what an answer leads to is the same for all.
type way interface {
	// prepare gets ready what a payment needs before it may be sent. Nothing leaves. A refusal is final; an error is tried again.
	prepare(ctx context.Context, w domain.Withdrawal) (refusal string, err error)
	// busy is why a withdrawal fails for which nothing could be got ready for too long.
	busy() string
	// pay sends a withdrawal under its id, the first time or again. The error is for the log.
	pay(ctx context.Context, w domain.Withdrawal, request uuid.UUID) (sent, error)
	// ask asks what became of a withdrawal. A question that fails is no harm: the next one is due.
	ask(ctx context.Context, w domain.Withdrawal, request uuid.UUID) error
}

// sent is what a rail has answered to a payment. Neither arrived nor refused is no answer.
type sent struct {
	arrived      bool
	refusal      string // why nothing was done, and will not be; of a first try only
	conversation string // the rail's id of the request
	ended        bool   // the answer hints at an end: ask
}

func (a *App) way(w domain.Withdrawal) way {
	if w.Rail == domain.RailPaystack {
		return bankRail{a}
	}
	return mpesaRail{a}
}

// mpesaRail is M-Pesa B2C: both payments and questions are answered by messages.
type mpesaRail struct{ *App }

func (r mpesaRail) prepare(ctx context.Context, _ domain.Withdrawal) (string, error) {
	return "", r.Mpesa.Authorize(ctx)
}

func (mpesaRail) busy() string { return "try_later" }

func (r mpesaRail) pay(ctx context.Context, w domain.Withdrawal, request uuid.UUID) (sent, error) {
	ack, err := r.Mpesa.PayB2C(ctx, daraja.B2CRequest{OriginatorConversationID: w.ID.String(), Phone: w.Phone, AmountMinor: w.Amount.Amount,
		Remarks: "Withdrawal", ResultURL: r.resultURL(request), TimeoutURL: r.resultURL(request) + "/late"})
	switch {
	case err == nil, daraja.Duplicate(err):
		return sent{arrived: true, conversation: ack.ConversationID}, nil
	case daraja.Definite(err) && !daraja.Busy(err): // a rail that is only busy is asked again under the same id
		return sent{refusal: "rail_refused"}, err
	}
	return sent{}, err
}

// ask asks for the state of a withdrawal; the answer comes as a result. A question that fails is no harm: the next one is due.
func (r mpesaRail) ask(ctx context.Context, w domain.Withdrawal, request uuid.UUID) error {
	ack, err := r.Mpesa.QueryStatus(ctx, daraja.StatusRequest{OriginalConversationID: w.ID.String(), Remarks: "Withdrawal",
		ResultURL:  r.resultURL(request),
		TimeoutURL: r.resultURL(request) + "/late"})
	answer := answerAccepted
	if err != nil {
		answer = answerLost
		if daraja.Definite(err) {
			answer = answerRefused
		}
		r.Log.WarnContext(ctx, "question failed", "withdrawal", w.ID, "err", err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	return pg.InTx(ctx, r.Pool, func(tx pgx.Tx) error { return r.storeAnswer(ctx, tx, request, answer, ack.ConversationID) })
}
