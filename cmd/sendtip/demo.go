package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/sendtip/sendtip/cmd/sendtip/journey"
	"github.com/sendtip/sendtip/cmd/sendtip/platform"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/sandbox/control"
	"github.com/sendtip/sendtip/services/transactions/check"
	"github.com/sendtip/sendtip/services/user"
)

func demoCommand(f *flags) *cobra.Command {
	return &cobra.Command{Use: "demo", Short: "Run the customers' journey on the running platform, or start one for it", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return demo(c.Context(), f, c.OutOrStdout()) }}
}

func demo(ctx context.Context, f *flags, out io.Writer) (err error) {
	if !f.running(ctx) {
		_, _ = fmt.Fprintln(out, "no platform is running on these ports: starting one")
		logs, err := logFile(f.dir)
		if err != nil {
			return err
		}
		defer func() { _ = logs.Close() }()
		p, err := platform.Start(ctx, platform.Options{Dir: f.dir, Ports: f.ports(), Environ: f.environ(), Log: logs,
			Progress: func(s string) { _, _ = fmt.Fprintln(out, "  "+s) }})
		if err != nil {
			return err
		}
		defer func() {
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
			defer cancel()
			err = errors.Join(err, p.Stop(stop))
		}()
	}
	passed, failed := journey.Run(ctx, f.world(), func(s journey.Step) { printStep(out, s) })
	_, _ = fmt.Fprintf(out, "demo: %d passed, %d failed\n", passed, failed)
	if failed > 0 {
		return errFailed
	}
	return nil
}

// running says whether a gateway answers on this folder's ports.
func (f *flags) running(ctx context.Context) bool {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp",
		net.JoinHostPort("127.0.0.1", strconv.Itoa(f.ports().Of("gateway"))))
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

func (f *flags) world() journey.World {
	client := &http.Client{Timeout: 30 * time.Second}
	at := func(port int) string { return "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
	return journey.World{Gateway: at(f.ports().Of("gateway")), Sandbox: control.New(at(f.ports().Sandbox()), client), HTTP: client,
		CheckLedger: f.checkLedger, MakeAdmin: f.makeAdmin}
}

// makeAdmin does what `sendtip admin create` does.
func (f *flags) makeAdmin(ctx context.Context, c *journey.Customer, breakGlass string) error {
	cfg, err := f.userConfig()
	if err != nil {
		return err
	}
	c.UserID, err = user.CreateAdmin(ctx, cfg, user.Admin{Phone: c.Phone, Pin: c.PIN, Device: c.Device, BreakGlass: breakGlass})
	return err
}

// checkLedger proves the ledger's invariants on its own database.
func (f *flags) checkLedger(ctx context.Context) (string, error) {
	admin, err := f.adminURL()
	if err != nil {
		return "", err
	}
	u, err := platform.DatabaseURL(admin, "transactions")
	if err != nil {
		return "", err
	}
	pool, err := pg.Open(ctx, u, pg.Options{MaxConns: 2})
	if err != nil {
		return "", err
	}
	defer pool.Close()
	violations, err := check.Check(ctx, pool)
	if err != nil {
		return "", err
	}
	for _, v := range violations {
		err = errors.Join(err, fmt.Errorf("%+v", v))
	}
	return "every invariant holds", err
}

func printStep(out io.Writer, s journey.Step) {
	mark := "ok  "
	if s.Err != nil {
		mark = "FAIL"
	}
	_, _ = fmt.Fprintf(out, "%s %6d ms  %s\n", mark, s.Took.Milliseconds(), s.Name)
	if s.Request != "" {
		_, _ = fmt.Fprintf(out, "                 %s → %s\n", s.Request, s.Answer)
	}
	if s.Err != nil {
		_, _ = fmt.Fprintf(out, "                 %v\n", s.Err)
	} else if s.Note != "" {
		_, _ = fmt.Fprintf(out, "                 %s\n", s.Note)
	}
}
