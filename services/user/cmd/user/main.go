// Command user runs the user service alone.
package main

import (
	"context"
	"log/slog"

	"github.com/sendtip/sendtip/kit/service"
	user "github.com/sendtip/sendtip/services/user"
)

func main() {
	service.Main("user", func(ctx context.Context, environ map[string]string, log *slog.Logger) (*service.Service, error) {
		cfg, err := user.LoadConfig(environ)
		if err != nil {
			return nil, err
		}
		return user.New(ctx, cfg, log)
	})
}
