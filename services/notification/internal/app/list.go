package app

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	notificationdb "github.com/sendtip/sendtip/generated/notification/db"
	"github.com/sendtip/sendtip/generated/scopes"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/page"

	"github.com/sendtip/sendtip/services/notification/internal/domain"
)

// Item is a message as its recipient sees it. Subject and Text are empty until it is rendered, and when they cannot be opened.
type Item struct {
	ID        uuid.UUID
	Template  domain.Template
	Channel   domain.Channel
	State     domain.State
	CreatedAt time.Time
	SentAt    *time.Time
	domain.Message
}

// ListNotifications returns a page of the caller's own messages, newest first, and the cursor of the next page (nil on the last one).
// One-time codes are never among them: they belong to a challenge, not to a customer.
func (a *App) ListNotifications(ctx context.Context, in page.Request) ([]Item, *string, error) {
	if err := auth.Require(ctx, scopes.Profile); err != nil {
		return nil, nil, err
	}
	user, err := auth.UserFrom(ctx)
	if err != nil {
		return nil, nil, err
	}
	p, err := page.Read[uuid.UUID](ctx, a.pages, "listNotifications", in)
	if err != nil {
		return nil, nil, err
	}
	rows, err := a.q.ListByUser(ctx, a.Pool, &user, p.From(uuid.Max), p.Size+1)
	if err != nil {
		return nil, nil, fmt.Errorf("list messages: %w", err)
	}
	rows, next := page.Cut(p, rows, func(r notificationdb.ListByUserRow) uuid.UUID { return r.ID })
	items := make([]Item, len(rows))
	for i, r := range rows {
		message, err := a.openMessage(r.ID, r.Message)
		if err != nil { // the other messages are no less readable for it
			a.alarm(ctx, alarmLostText, r.ID)
			message = domain.Message{}
		}
		items[i] = Item{
			ID: r.ID, Template: domain.Template(r.Template), Channel: domain.Channel(r.Channel), State: domain.State(r.State),
			CreatedAt: r.CreatedAt, SentAt: r.SentAt, Message: message,
		}
	}
	return items, next, nil
}
