package app

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	notificationdb "github.com/sendtip/sendtip/generated/notification/db"

	"github.com/sendtip/sendtip/services/notification/internal/domain"
)

// Notice is one message that an event causes.
type Notice struct {
	SourceEventID uuid.UUID
	OccurredAt    time.Time
	Template      domain.Template
	RecipientID   uuid.UUID // the customer, or the challenge of a one-time code
	Params        domain.Params
}

// QueueMessage stores the SMS of a notice and its job in the event's transaction. The copy by e-mail is queued by that job, because
// only then is it known whether there is an address. A notice that is there already changes nothing; so a transfer between wallets of
// one customer tells that customer once, as the sender.
func (a *App) QueueMessage(ctx context.Context, tx pgx.Tx, n Notice) error {
	params, err := json.Marshal(n.Params)
	if err != nil {
		return fmt.Errorf("params: %w", err)
	}
	row := notificationdb.InsertNotificationParams{
		SourceEventID: n.SourceEventID, RecipientID: n.RecipientID, Channel: string(domain.SMS), Template: string(n.Template),
		Params: params, OccurredAt: n.OccurredAt,
	}
	if n.Template != domain.OTP {
		row.UserID = &n.RecipientID
	}
	return a.insert(ctx, tx, row)
}

func (a *App) insert(ctx context.Context, tx pgx.Tx, row notificationdb.InsertNotificationParams) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("id: %w", err)
	}
	row.ID, row.Now = id, a.Now()
	inserted, err := a.q.InsertNotification(ctx, tx, row)
	if err != nil || inserted == 0 {
		return err
	}
	_, err = a.Jobs.InsertTx(ctx, tx, SendMessageArgs{NotificationID: id, Code: row.Template == string(domain.OTP)}, nil)
	if err != nil {
		return fmt.Errorf("queue message: %w", err)
	}
	return nil
}

// queueEmail stores the e-mail copy of an SMS. It is called in the transaction that claims the SMS, and does nothing the second time.
func (a *App) queueEmail(ctx context.Context, tx pgx.Tx, n notificationdb.Notification) error {
	return a.insert(ctx, tx, notificationdb.InsertNotificationParams{
		SourceEventID: n.SourceEventID, RecipientID: n.RecipientID, UserID: n.UserID, Channel: string(domain.Email),
		Template: n.Template, Params: n.Params, OccurredAt: n.OccurredAt,
	})
}
