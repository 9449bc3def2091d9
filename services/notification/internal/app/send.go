package app

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/generated/events"
	notificationdb "github.com/sendtip/sendtip/generated/notification/db"
	"github.com/sendtip/sendtip/kit/pg"

	"github.com/sendtip/sendtip/services/notification/internal/domain"
)

// sendTimeout bounds the provider's answer and the transaction after it: both outlive a stop of the service, because a message that
// went out and is not noted would be unknown for ever.
const sendTimeout = 30 * time.Second

// outgoing is a message that is ready to go.
type outgoing struct {
	address string // phone or e-mail address
	message domain.Message
	stored  domain.Message // as kept: a one-time code is masked
	hasMail bool           // the customer also has an e-mail address
}

// answer is what a provider said.
type answer struct {
	messageID string
	accepted  bool
	unknown   bool   // the message may have gone out
	retryable bool   // refused for a passing reason, and certainly not sent
	reason    string // of a refusal
}

// SendMessage sends one message, at most once per claim. It returns how long to wait before it should be called again, or zero when
// there is nothing left to do. An error means that one of our own parts did not answer and nothing was sent.
//
// The state `sending` is committed before the provider is called. A message that is found in that state belongs to a process that died
// in between; it may have gone out, so it becomes `unknown` and is not sent again: twice the same receipt is worse than none, since
// the app shows every transaction, and for a code the customer asks again.
func (a *App) SendMessage(ctx context.Context, id uuid.UUID) (time.Duration, error) {
	n, err := a.q.GetNotification(ctx, a.Pool, id)
	if pg.IsNoRows(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read message: %w", err)
	}
	switch domain.State(n.State) {
	case domain.Sending:
		return 0, a.close(ctx, id, domain.Unknown, "")
	case domain.Pending:
	default:
		return 0, nil
	}
	if !a.Now().Before(domain.Deadline(domain.Template(n.Template), n.OccurredAt)) {
		return 0, a.expire(ctx, n)
	}
	out, reason, err := a.prepare(ctx, n)
	if err != nil {
		return 0, err
	}
	if reason != "" {
		return 0, a.close(ctx, id, domain.Failed, reason)
	}
	claimed, err := a.claim(ctx, n, out)
	if err != nil || !claimed {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendTimeout)
	defer cancel()
	return a.settle(ctx, n, a.deliver(ctx, n, out))
}

// expire ends a message that is too late to be of use. One that was never even tried had no provider to refuse it: its facts cannot be
// read, or a part of ours was away for as long as the message made sense.
func (a *App) expire(ctx context.Context, n notificationdb.Notification) error {
	if err := a.close(ctx, n.ID, domain.Failed, domain.ReasonExpired); err != nil {
		return err
	}
	if n.Attempts == 0 {
		a.alarm(ctx, alarmNeverSent, n.ID)
	}
	return nil
}

// claim commits `sending` with the sealed text, and the e-mail copy of an SMS. It reports false when another process was faster.
func (a *App) claim(ctx context.Context, n notificationdb.Notification, out outgoing) (bool, error) {
	sealed, err := a.sealMessage(n.ID, out.stored)
	if err != nil {
		return false, err
	}
	claimed := false
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		rows, err := a.q.ClaimNotification(ctx, tx, sealed, a.Now(), n.ID)
		claimed = rows == 1
		if err != nil || !claimed || !out.hasMail || n.Channel != string(domain.SMS) {
			return err
		}
		return a.queueEmail(ctx, tx, n)
	})
	if err != nil {
		return false, fmt.Errorf("claim message: %w", err)
	}
	return claimed, nil
}

// deliver hands the message to the provider of its channel. A customer without a number reads the text in the app, and in the mail that
// the claim has queued.
func (a *App) deliver(ctx context.Context, n notificationdb.Notification, out outgoing) answer {
	if out.address == "" {
		return answer{reason: domain.ReasonNoAddress}
	}
	if n.Channel == string(domain.Email) {
		return a.Mail.send(ctx, n.ID, out.address, out.message)
	}
	return a.sendSMS(ctx, out)
}

// settle stores the provider's answer and returns the wait before the next attempt.
func (a *App) settle(ctx context.Context, n notificationdb.Notification, got answer) (time.Duration, error) {
	template := domain.Template(n.Template)
	switch {
	case got.accepted:
		return 0, a.markSent(ctx, n.ID, got.messageID)
	case got.unknown:
		return 0, a.close(ctx, n.ID, domain.Unknown, "")
	case !got.retryable:
		return 0, a.close(ctx, n.ID, domain.Failed, got.reason)
	}
	wait := domain.SendBackoff(template, int(n.Attempts)+1)
	if !a.Now().Add(wait).Before(domain.Deadline(template, n.OccurredAt)) {
		return 0, a.close(ctx, n.ID, domain.Failed, got.reason) // the last attempt
	}
	a.Log.WarnContext(ctx, "message refused for now", "notification", n.ID, "channel", n.Channel, "reason", got.reason, "retry_in_ms",
		wait.Milliseconds())
	return wait, a.close(ctx, n.ID, domain.Pending, got.reason)
}

func (a *App) markSent(ctx context.Context, id uuid.UUID, providerID string) error {
	if providerID == "" { // accepted without an id: no report will find it, but it is sent
		providerID = unnamed + id.String()
	}
	mark := func(tx pgx.Tx, _ notificationdb.Notification, now time.Time) error {
		return a.q.MarkSent(ctx, tx, &providerID, &now, id)
	}
	err := a.change(ctx, id, domain.Sent, mark)
	if pg.Constraint(err) == providerIDConstraint { // reports cannot tell the two apart, but this one is out
		a.alarm(ctx, alarmProviderID, id)
		providerID = unnamed + id.String()
		return a.change(ctx, id, domain.Sent, mark)
	}
	return err
}

// providerIDConstraint keeps a provider's message id unique.
const providerIDConstraint = "notifications_provider_message"

// unnamed begins what stands for a missing message id.
const unnamed = "unnamed:"

// close moves a message to a state without a provider's message id: failed, unknown, or back to pending.
func (a *App) close(ctx context.Context, id uuid.UUID, next domain.State, reason string) error {
	return a.change(ctx, id, next, func(tx pgx.Tx, n notificationdb.Notification, now time.Time) error {
		return a.markState(ctx, tx, n, next, reason, now)
	})
}

func (a *App) markState(ctx context.Context, tx pgx.Tx, n notificationdb.Notification, next domain.State, reason string,
	now time.Time) error {
	p := notificationdb.MarkStateParams{ID: n.ID, State: string(next), Now: now}
	if reason != "" {
		p.ReasonCode = &reason
	}
	if err := a.q.MarkState(ctx, tx, p); err != nil {
		return err
	}
	switch next {
	case domain.Failed:
		return a.publish(ctx, tx, "notification.failed", n.ID, events.NotificationFailed{
			NotificationID: n.ID, UserID: n.UserID, Channel: n.Channel, SourceEventID: n.SourceEventID, ReasonCode: reason,
		})
	case domain.Delivered:
		return a.publish(ctx, tx, "notification.delivered", n.ID, events.NotificationDelivered{
			NotificationID: n.ID, UserID: n.UserID, Channel: n.Channel, SourceEventID: n.SourceEventID,
		})
	}
	return nil
}

// change locks a message, and stores the next state if the rules allow it; if not, another process has settled it and nothing happens.
func (a *App) change(ctx context.Context, id uuid.UUID, next domain.State,
	store func(tx pgx.Tx, n notificationdb.Notification, now time.Time) error,
) error {
	var changed *notificationdb.Notification
	err := pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		changed = nil
		n, err := a.q.LockNotification(ctx, tx, id)
		if err != nil || !domain.State(n.State).CanBecome(next) {
			return err
		}
		changed = &n
		return store(tx, n, a.Now())
	})
	if err != nil {
		return fmt.Errorf("message to %s: %w", next, err)
	}
	if changed != nil {
		a.count(*changed, next)
	}
	return nil
}

func messagePurpose(id uuid.UUID) string { return "notification.message:" + id.String() }

func (a *App) sealMessage(id uuid.UUID, m domain.Message) ([]byte, error) {
	plain, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("message: %w", err)
	}
	return a.Sealer.Seal(messagePurpose(id), plain)
}

func (a *App) openMessage(id uuid.UUID, sealed []byte) (domain.Message, error) {
	var m domain.Message
	if len(sealed) == 0 {
		return m, nil // not rendered yet
	}
	plain, err := a.Sealer.Open(messagePurpose(id), sealed)
	if err != nil {
		return m, fmt.Errorf("message %s: %w", id, err)
	}
	return m, json.Unmarshal(plain, &m)
}
