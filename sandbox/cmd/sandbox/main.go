// Command sandbox runs the simulated outside world alone; sendtip up runs the same inside its one process.
package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/sendtip/sendtip/sandbox"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	if err := run(ctx, log); err != nil {
		log.Error("sandbox stopped", "err", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, log *slog.Logger) error {
	cfg, err := sandbox.ConfigFromEnv()
	if err != nil {
		return err
	}
	cfg.Log = log
	s, err := sandbox.New(cfg)
	if err != nil {
		return err
	}
	return s.Run(ctx, cfg.Addr, cfg.SMTPAddr)
}
