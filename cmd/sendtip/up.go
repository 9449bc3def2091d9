package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"gopkg.in/natefinch/lumberjack.v2"

	"github.com/sendtip/sendtip/cmd/sendtip/platform"
)

// stopTimeout bounds a stop: services drain within 30 s, the parts after them.
const stopTimeout = 45 * time.Second

func upCommand(f *flags) *cobra.Command {
	var target, script string
	cmd := &cobra.Command{Use: "up", Short: "Start the platform on this machine and print its addresses", Args: cobra.NoArgs,
		Long: "Starts PostgreSQL, a Kafka-protocol broker, Redis, the sandbox for all providers and every service. To replace a part, set its\n" +
			"address: SENDTIP_POSTGRES_URL, SENDTIP_KAFKA_BROKERS, SENDTIP_REDIS_URL, and the providers' settings (docs/operations.md).",
		RunE: func(c *cobra.Command, _ []string) error {
			return up(c.Context(), f, target, script, c.OutOrStdout())
		}}
	cmd.Flags().StringVar(&target, "target", "all", "services to run, separated by commas: "+strings.Join(platform.Services, ","))
	cmd.Flags().StringVar(&script, "sandbox-answers", "",
		`how the sandbox's phones answer payment prompts: "" waits for you, "pay" pays automatically`)
	return cmd
}

func up(ctx context.Context, f *flags, target, script string, out io.Writer) error {
	started := time.Now()
	platform.TuneMemory()
	logs, err := logFile(f.dir)
	if err != nil {
		return err
	}
	defer func() { _ = logs.Close() }()
	o := platform.Options{Dir: f.dir, Ports: f.ports(), Environ: f.environ(), Script: script, Log: logs,
		Progress: func(s string) { _, _ = fmt.Fprintln(out, "  "+s) }}
	if target != "all" {
		o.Targets = strings.Split(target, ",")
	}
	p, err := platform.Start(ctx, o)
	if err != nil {
		return err
	}
	printAddresses(out, p, logs.Filename, time.Since(started))
	failure := p.Failed(ctx) // until Ctrl-C, or a service that ends by itself
	_, _ = fmt.Fprintln(out, "stopping")
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	return errors.Join(failure, p.Stop(stop))
}

const (
	// logSize and logFiles bound what logs take on the disk, in MB: the file being written and older ones beside it.
	logSize  = 50
	logFiles = 5
)

// logFile opens the file of all services' lines, which makes way for a new one when it is full.
func logFile(dir string) (*lumberjack.Logger, error) {
	if err := os.MkdirAll(filepath.Join(dir, "log"), 0o750); err != nil {
		return nil, fmt.Errorf("create the log folder: %w", err)
	}
	l := &lumberjack.Logger{Filename: filepath.Join(dir, "log", "sendtip.log"), MaxSize: logSize, MaxBackups: logFiles}
	if _, err := l.Write(nil); err != nil { // a file that cannot be written is said at the start
		return nil, fmt.Errorf("open the log: %w", err)
	}
	return l, nil
}

func printAddresses(out io.Writer, p *platform.Platform, log string, took time.Duration) {
	_, _ = fmt.Fprintf(out, `
SENDTIP is up after %.1f s.

  API                %s
  Swagger UI         %s/docs
  public contract    %s/openapi.json
  sandbox phones     %s
  log                %s

Next: run "make demo" in another terminal to see a customer's journey. Ctrl-C stops the platform; its data stays.
`, took.Seconds(), p.PublicURL(), p.PublicURL(), p.PublicURL(), p.SandboxURL(), log)
}
