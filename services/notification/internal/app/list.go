package app

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/auth"

	"github.com/sendtip/sendtip/services/notification/internal/domain"
)

const (
	defaultPage = 25
	maximumPage = 100
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

// ListNotifications returns a page of the caller's own messages, newest first, and the cursor of the next page ("" on the last one).
// One-time codes are never among them: they belong to a challenge, not to a customer.
func (a *App) ListNotifications(ctx context.Context, limit int32, cursor string) ([]Item, string, error) {
	if err := auth.Require(ctx, "profile"); err != nil {
		return nil, "", err
	}
	user, err := auth.UserFrom(ctx)
	if err != nil {
		return nil, "", err
	}
	before, err := readCursor(cursor)
	if err != nil {
		return nil, "", err
	}
	if limit <= 0 {
		limit = defaultPage
	}
	limit = min(limit, maximumPage)
	rows, err := a.q.ListByUser(ctx, a.Pool, &user, before, limit+1)
	if err != nil {
		return nil, "", fmt.Errorf("list messages: %w", err)
	}
	next := ""
	if len(rows) > int(limit) {
		rows = rows[:limit]
		next = writeCursor(rows[limit-1].ID)
	}
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

func writeCursor(id uuid.UUID) string { return base64.RawURLEncoding.EncodeToString(id[:]) }

func readCursor(cursor string) (*uuid.UUID, error) {
	if cursor == "" {
		return nil, nil //nolint:nilnil // the first page starts nowhere
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return nil, domain.ErrBadCursor
	}
	id, err := uuid.FromBytes(raw)
	if err != nil {
		return nil, domain.ErrBadCursor
	}
	return &id, nil
}
