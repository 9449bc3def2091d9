// Command notification runs the notification service alone.
package main

import (
	"context"
	"log/slog"

	"github.com/sendtip/sendtip/kit/service"

	"github.com/sendtip/sendtip/services/notification"
)

func main() {
	service.Main("notification", func(ctx context.Context, environ map[string]string, log *slog.Logger) (*service.Service, error) {
		cfg, err := notification.LoadConfig(environ)
		if err != nil {
			return nil, err
		}
		return notification.New(ctx, cfg, log)
	})
}
