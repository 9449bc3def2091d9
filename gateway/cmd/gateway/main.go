// Command gateway runs the gateway alone; its settings are environment variables (README.md).
package main

import (
	"context"
	"log/slog"

	"github.com/sendtip/sendtip/gateway"
	"github.com/sendtip/sendtip/kit/service"
)

func main() {
	service.Main("gateway", func(ctx context.Context, environ map[string]string, log *slog.Logger) (*service.Service, error) {
		cfg, err := gateway.LoadConfig(environ)
		if err != nil {
			return nil, err
		}
		return gateway.New(ctx, cfg, log)
	})
}
