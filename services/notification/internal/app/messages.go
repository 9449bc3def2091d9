package app

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	notificationdb "github.com/sendtip/sendtip/generated/notification/db"

	"github.com/sendtip/sendtip/services/notification/internal/domain"
)

// Notice is one message that an event causes.
type Notice struct {
	SourceEventID uuid.UUID
	OccurredAt    time.Time
	Template      domain.Template
	RecipientID   uuid.UUID // the customer, the challenge of a one-time code, or a number that was left
	Params        domain.Params
}

// QueueMessages stores the SMS of notices and their jobs in the events' transaction. The copy by e-mail is queued by that job, because
// only then is it known whether there is an address. A notice that is there already changes nothing; so a transfer between wallets of
// one customer tells that customer once, as the sender.
func (a *App) QueueMessages(ctx context.Context, tx pgx.Tx, notices []Notice) error {
	if len(notices) == 0 {
		return nil
	}
	rows := notificationdb.InsertNotificationsParams{Channel: string(domain.SMS), Now: a.Now()}
	codes := map[uuid.UUID]bool{}
	for _, n := range notices {
		params, err := json.Marshal(n.Params.Stored())
		if err != nil {
			return fmt.Errorf("params: %w", err)
		}
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("id: %w", err)
		}
		codes[id] = n.Template == domain.OTP
		user := n.RecipientID
		if n.Template.Unowned() {
			user = uuid.Nil // a challenge, or a number that was left
		}
		rows.Ids, rows.SourceEventIds, rows.RecipientIds = append(rows.Ids, id), append(rows.SourceEventIds, n.SourceEventID),
			append(rows.RecipientIds, n.RecipientID)
		rows.UserIds, rows.Templates = append(rows.UserIds, user), append(rows.Templates, string(n.Template))
		rows.Params, rows.OccurredAts = append(rows.Params, string(params)), append(rows.OccurredAts, n.OccurredAt)
	}
	inserted, err := a.q.InsertNotifications(ctx, tx, rows)
	if err != nil || len(inserted) == 0 {
		return err
	}
	jobs := make([]river.InsertManyParams, len(inserted))
	for i, id := range inserted {
		jobs[i].Args = SendMessageArgs{NotificationID: id, Code: codes[id]}
	}
	if _, err := a.Jobs.InsertManyFastTx(ctx, tx, jobs); err != nil {
		return fmt.Errorf("queue messages: %w", err)
	}
	return nil
}

// queueEmail stores the e-mail copy of an SMS. It is called in the transaction that claims the SMS, and does nothing the second time.
func (a *App) queueEmail(ctx context.Context, tx pgx.Tx, n notificationdb.Notification) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("id: %w", err)
	}
	inserted, err := a.q.InsertNotification(ctx, tx, notificationdb.InsertNotificationParams{
		ID: id, SourceEventID: n.SourceEventID, RecipientID: n.RecipientID, UserID: n.UserID, Channel: string(domain.Email),
		Template: n.Template, Params: n.Params, OccurredAt: n.OccurredAt, Now: a.Now(),
	})
	if err != nil || inserted == 0 {
		return err
	}
	if _, err = a.Jobs.InsertTx(ctx, tx, SendMessageArgs{NotificationID: id, Code: n.Template == string(domain.OTP)}, nil); err != nil {
		return fmt.Errorf("queue message: %w", err)
	}
	return nil
}
