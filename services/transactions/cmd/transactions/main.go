// Command transactions runs the ledger service alone.
package main

import (
	"context"
	"log/slog"

	"github.com/sendtip/sendtip/kit/service"

	"github.com/sendtip/sendtip/services/transactions"
)

func main() {
	service.Main("transactions", func(ctx context.Context, environ map[string]string, log *slog.Logger) (*service.Service, error) {
		cfg, err := transactions.LoadConfig(environ)
		if err != nil {
			return nil, err
		}
		return transactions.New(ctx, cfg, log)
	})
}
