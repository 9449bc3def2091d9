// Command wallet runs the wallet service alone.
package main

import (
	"context"
	"log/slog"

	"github.com/sendtip/sendtip/kit/service"

	"github.com/sendtip/sendtip/services/wallet"
)

func main() {
	service.Main("wallet", func(ctx context.Context, environ map[string]string, log *slog.Logger) (*service.Service, error) {
		cfg, err := wallet.LoadConfig(environ)
		if err != nil {
			return nil, err
		}
		return wallet.New(ctx, cfg, log)
	})
}
