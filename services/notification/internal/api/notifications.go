package api

import (
	"context"

	notificationapi "github.com/sendtip/sendtip/generated/notification/api"
	"github.com/sendtip/sendtip/kit/page"

	"github.com/sendtip/sendtip/services/notification/internal/app"
)

// ListNotifications answers GET /v1/notifications.
func (s *Server) ListNotifications(ctx context.Context,
	r notificationapi.ListNotificationsRequestObject) (notificationapi.ListNotificationsResponseObject, error) {
	items, next, err := s.app.ListNotifications(ctx, page.Request{Limit: r.Params.Limit, Cursor: r.Params.Cursor})
	if err != nil {
		return nil, err
	}
	out := notificationapi.NotificationPage{Data: make([]notificationapi.Notification, len(items)), NextCursor: next}
	for i, item := range items {
		out.Data[i] = notification(item)
	}
	return notificationapi.ListNotifications200JSONResponse(out), nil
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
