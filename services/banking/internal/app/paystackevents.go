package app

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	bankingdb "github.com/sendtip/sendtip/generated/banking/db"
	"github.com/sendtip/sendtip/kit/hook"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/providers/paystack"

	"github.com/sendtip/sendtip/services/banking/internal/domain"
)

// paystackEvents is where Paystack posts. The address is entered in its dashboard and holds no secret: each message is signed.
var paystackEvents = hook.Address{Path: "/v1/hooks/bp", Sealed: "banking.paystack_event:"}

// kindEvent is the kind of Paystack's messages.
const kindEvent = "paystack_event"

// An event can be faster than our own row, whose transaction has not ended: it waits for that, but not for ever.
const (
	hearWait     = time.Second
	hearPatience = 10 * time.Minute
)

// ReceivePaystackEvent stores an event that Paystack has signed, sealed and once, and leaves the rest to a job. Nothing of a body whose
// signature is wrong is believed or kept.
func (a *App) ReceivePaystackEvent(ctx context.Context, signature string, body []byte) error {
	if !paystack.VerifySignature(body, signature, a.PaystackKeys...) {
		a.metrics.messages.WithLabelValues(kindEvent, "unsigned").Inc()
		a.sampled.WarnContext(ctx, "an event that Paystack did not sign")
		return domain.ErrUnsigned
	}
	sum := sha256.Sum256(body)
	return a.events.Keep(ctx, body, func(tx pgx.Tx, m hook.Message) (river.JobArgs, error) {
		_, err := a.q.InsertPaystackEvent(ctx, tx, bankingdb.InsertPaystackEventParams{ID: m.ID, BodyHash: sum[:], BodySealed: m.Sealed,
			ReceivedAt: a.Now()})
		if pg.IsNoRows(err) {
			return nil, nil // the same message again
		}
		if err != nil {
			return nil, err
		}
		return HearArgs{EventID: m.ID}, nil
	})
}

// Hear decides, once, whom a stored event concerns, and has Paystack asked about it: what an event says about money is a hint. It returns
// how long to wait when nobody is known yet whom it could concern.
func (a *App) Hear(ctx context.Context, id uuid.UUID) (wait time.Duration, err error) {
	var verdict domain.Verdict
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		verdict, wait = "", 0
		row, err := a.q.LockPaystackEvent(ctx, tx, id)
		if err != nil {
			return fmt.Errorf("lock event: %w", err)
		}
		if row.JudgedAt != nil {
			return nil
		}
		body, err := a.events.Open(id, row.BodySealed)
		if err != nil {
			return err
		}
		said, err := a.hear(ctx, tx, body)
		if err != nil {
			return err
		}
		now, text := a.Now(), string(said)
		if said == domain.VerdictNobody && now.Sub(row.ReceivedAt) < hearPatience {
			wait = hearWait
			return nil
		}
		if err := a.q.JudgePaystackEvent(ctx, tx, &now, &text, id); err != nil {
			return fmt.Errorf("judge event: %w", err)
		}
		verdict = said
		return nil
	})
	if err == nil && verdict != "" {
		a.metrics.messages.WithLabelValues(kindEvent, string(verdict)).Inc()
		if !verdict.Harmless() {
			a.alarm(ctx, "message_"+string(verdict), "message", id)
		}
	}
	return wait, err
}

// hear reads an event, and enqueues the question about what it names.
func (a *App) hear(ctx context.Context, tx pgx.Tx, body []byte) (domain.Verdict, error) {
	e, err := paystack.ParseWebhook(body)
	if err != nil {
		return domain.VerdictUnreadable, nil
	}
	reference, mode := named(e)
	switch {
	case reference == "":
		return domain.VerdictNothing, nil // of a product that we do not use
	case mode != paystack.Domain(a.PaystackKeys[0]):
		return domain.VerdictDomain, nil
	case e.Transaction != nil:
		return a.hearPayment(ctx, tx, reference)
	case e.Refund != nil:
		return a.hearRefund(ctx, tx, reference)
	case e.Transfer != nil:
		return a.hearTransfer(ctx, tx, *e.Transfer)
	}
	return domain.VerdictNobody, nil
}

// named is what an event is about, by our own reference, and the mode of Paystack that it comes from.
func named(e paystack.Event) (reference, mode string) {
	switch {
	case e.Transaction != nil:
		return e.Transaction.Reference, e.Transaction.Domain
	case e.Transfer != nil:
		return e.Transfer.Reference, e.Transfer.Domain
	case e.Refund != nil:
		return e.Refund.TransactionReference, e.Refund.Domain
	case e.Dispute != nil:
		return e.Dispute.TransactionReference, e.Dispute.Domain
	}
	return "", ""
}
