package api

import (
	"context"

	notificationapi "github.com/sendtip/sendtip/generated/notification/api"

	"github.com/sendtip/sendtip/services/notification/internal/app"
)

// ListNotifications answers GET /v1/notifications.
func (s *Server) ListNotifications(ctx context.Context, r notificationapi.ListNotificationsRequestObject) (notificationapi.ListNotificationsResponseObject, error) {
	var limit int32
	if r.Params.Limit != nil {
		limit = *r.Params.Limit
	}
	cursor := ""
	if r.Params.Cursor != nil {
		cursor = *r.Params.Cursor
	}
	items, next, err := s.app.ListNotifications(ctx, limit, cursor)
	if err != nil {
		return nil, err
	}
	page := notificationapi.NotificationPage{Data: make([]notificationapi.Notification, len(items)), NextCursor: optional(next)}
	for i, item := range items {
		page.Data[i] = notification(item)
	}
	return notificationapi.ListNotifications200JSONResponse(page), nil
}

func notification(i app.Item) notificationapi.Notification {
	return notificationapi.Notification{
		ID: i.ID, Type: string(i.Template), Channel: string(i.Channel), State: string(i.State), CreatedAt: i.CreatedAt.UTC(),
		SentAt: i.SentAt, Subject: optional(i.Subject), Text: optional(i.Text),
	}
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
