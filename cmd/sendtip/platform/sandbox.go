package platform

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"

	"github.com/sendtip/sendtip/cmd/sendtip/keys"
	"github.com/sendtip/sendtip/kit/config"
	"github.com/sendtip/sendtip/kit/web"
	"github.com/sendtip/sendtip/sandbox"
	"github.com/sendtip/sendtip/sandbox/control"
	"github.com/sendtip/sendtip/services/notification"
)

// sandboxFolder is where the sandbox keeps what wallet registered.
const sandboxFolder = "sandbox"

// sandboxPart is the running sandbox.
type sandboxPart struct {
	cancel context.CancelFunc
	ended  chan struct{}
	result error
}

func startSandbox(ctx context.Context, o Options, set keys.Set, l *slog.Logger) (*sandboxPart, error) {
	reports, err := ReportURL("http://"+loopback(o.Ports.Of("gateway")), set)
	if err != nil {
		return nil, err
	}
	speed, _ := strconv.ParseInt(o.Environ["SENDTIP_TIME_SCALE"], 10, 64) // the services that have it name what is no number
	s, err := sandbox.New(sandbox.Config{Environment: o.Environ["SENDTIP_ENV"], SMSReportURL: reports,
		PaystackWebhookURL: "http://" + loopback(o.Ports.Of("gateway")) + "/v1/hooks/bp",
		Dir:                filepath.Join(o.Dir, sandboxFolder), TimeScale: speed,
		PublicURL: "http://" + loopback(o.Ports.Sandbox()), Script: script(o), Now: o.Clock.Now, Log: l.With("service", "sandbox")})
	if err != nil {
		return nil, err
	}
	page, err := web.Listen(ctx, loopback(o.Ports.Sandbox()))
	if err != nil {
		return nil, err
	}
	mail, err := web.Listen(ctx, loopback(o.Ports.SMTP()))
	if err != nil {
		_ = page.Close()
		return nil, err
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p := &sandboxPart{cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		p.result = s.Serve(run, page, mail)
	}()
	return p, nil
}

func (s *sandboxPart) stop(ctx context.Context) error {
	s.cancel()
	select {
	case <-s.ended:
		return s.result
	case <-ctx.Done():
		return ctx.Err()
	}
}

func script(o Options) control.Script { return control.Script{STK: o.Script} }

func checkScript(o Options) error {
	if err := script(o).Validate(); err != nil {
		return fmt.Errorf("--sandbox-answers: %w", err)
	}
	return nil
}

// ReportURL is where the SMS provider must post its delivery reports, under the gateway's public address; a real account has it in its
// dashboard. It holds a secret.
func ReportURL(public string, set keys.Set) (string, error) {
	kek, err := set.Read(keys.Of("notification", keys.KEK))
	if err != nil {
		return "", err
	}
	path, err := notification.ReportPath(notification.Config{Common: config.Common{KEK: config.NewSecret(kek)}})
	if err != nil {
		return "", fmt.Errorf("address for delivery reports: %w", err)
	}
	return public + path, nil
}
