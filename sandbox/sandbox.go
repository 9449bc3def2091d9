// Package sandbox is the outside world on one machine: local counterparts of M-Pesa (Daraja), Paystack, Smile ID and Africa's
// Talking with their wire shapes, a mail sink, and a page with telephones to tap on. Scripts make it misbehave the way
// the real services do: lost, late, doubled, altered and forged callbacks, busy answers, broken connections. It keeps
// its own statement, which is the truth about what was paid. Everything is in memory, apart from what a short code has registered.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/sendtip/sendtip/sandbox/control"
	"github.com/sendtip/sendtip/sandbox/internal/daraja"
	"github.com/sendtip/sendtip/sandbox/internal/mail"
	"github.com/sendtip/sendtip/sandbox/internal/page"
	"github.com/sendtip/sendtip/sandbox/internal/paystack"
	"github.com/sendtip/sendtip/sandbox/internal/smileid"
	"github.com/sendtip/sendtip/sandbox/internal/sms"
	"github.com/sendtip/sendtip/sandbox/internal/world"
)

// drainTimeout bounds how long a stop waits for open exchanges.
const drainTimeout = 5 * time.Second

// Sandbox is one simulated outside world. It is safe for concurrent use.
type Sandbox struct {
	cfg     Config
	world   *world.World
	mpesa   *daraja.Server
	pay     *paystack.Server
	sms     *sms.Server
	handler http.Handler
}

// New returns a sandbox, or ErrProduction. It listens nowhere yet: use Handler, Serve or Run.
func New(cfg Config) (*Sandbox, error) {
	if cfg.production() {
		return nil, ErrProduction
	}
	if err := cfg.Script.Validate(); err != nil {
		return nil, fmt.Errorf("sandbox script: %w", err)
	}
	cfg = cfg.withDefaults()
	w := world.New(world.Options{
		Log: cfg.Log, Now: cfg.Now, CallbackTimeout: cfg.CallbackTimeout,
		Defaults: control.Script{STK: "manual", STKAnswer: "normal", Query: "normal", Callback: "normal", KYCCallback: "normal", B2C: "pay",
			OrderAnswer: "normal", Result: "normal", QueryResult: "normal"},
		Float: map[string]int64{cfg.B2CShortCode: cfg.FloatMinor}, Speed: cfg.TimeScale,
	})
	w.SetScript(cfg.Script)
	mpesa, err := daraja.New(daraja.Options{
		ShortCode: cfg.ShortCode, Passkey: cfg.Passkey, ConsumerKey: cfg.ConsumerKey, ConsumerSecret: cfg.ConsumerSecret,
		TokenLife: cfg.TokenLife, AnswerDelay: cfg.STKAnswerDelay, PromptTimeout: cfg.PromptTimeout, Dir: cfg.Dir,
		B2CShortCode: cfg.B2CShortCode, Initiator: cfg.Initiator, InitiatorPassword: cfg.InitiatorPassword, ResultDelay: cfg.ResultDelay,
		Seed: cfg.Seed,
	}, w)
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	s := &Sandbox{
		cfg: cfg, world: w, mpesa: mpesa,
		pay: paystack.New(paystack.Options{SecretKey: cfg.PaystackKey, WebhookURL: cfg.PaystackWebhookURL, PublicURL: cfg.PublicURL,
			BalanceMinor: max(0, cfg.PaystackBalanceMinor), AnswerDelay: cfg.STKAnswerDelay, ResultDelay: cfg.ResultDelay}, w),
		sms: sms.New(sms.Options{
			Username: cfg.SMSUsername, APIKey: cfg.SMSAPIKey, Sender: cfg.SMSSender, ReportURL: cfg.SMSReportURL, ReportDelay: cfg.SMSReportDelay,
		}, w),
	}
	mux := http.NewServeMux()
	s.mpesa.Routes(mux)
	s.pay.Routes(mux)
	s.sms.Routes(mux)
	smileid.New(smileid.Options{PartnerID: cfg.SmilePartnerID, APIKey: cfg.SmileAPIKey, JobDelay: cfg.KYCDelay}, w).Routes(mux)
	page.Routes(mux)
	s.controlRoutes(mux)
	s.handler = mux
	return s, nil
}

// Made reports whether a file of Config.Dir is the sandbox's.
func Made(name string) bool { return daraja.Made(name) }

// Handler serves all provider APIs, the control API and the page on one address.
func (s *Sandbox) Handler() http.Handler { return s.handler }

// Close ends prompts and callbacks that are under way and waits for their goroutines.
func (s *Sandbox) Close() { s.world.Close() }

// Run listens on addr and smtpAddr (none if empty) until ctx ends, then stops within a few seconds.
func (s *Sandbox) Run(ctx context.Context, addr, smtpAddr string) error {
	var listen net.ListenConfig
	web, err := listen.Listen(ctx, "tcp", addr)
	if err != nil {
		s.Close()
		return fmt.Errorf("sandbox: %w", err)
	}
	var mails net.Listener
	if smtpAddr != "" {
		if mails, err = listen.Listen(ctx, "tcp", smtpAddr); err != nil {
			s.Close()
			return errors.Join(fmt.Errorf("sandbox mail: %w", err), web.Close())
		}
	}
	return s.Serve(ctx, web, mails)
}

// Serve is Run on listeners that are already open; mails may be nil. It closes both.
func (s *Sandbox) Serve(ctx context.Context, web, mails net.Listener) error {
	server := &http.Server{
		Handler: s.handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 20 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 32 << 10,
	}
	failed := make(chan error, 2)
	go func() { failed <- server.Serve(web) }()
	var sink *smtp.Server
	if mails != nil {
		sink = mail.NewServer(s.world)
		go func() { failed <- sink.Serve(mails) }()
	}
	s.cfg.Log.InfoContext(ctx, "sandbox is up", "url", s.publicURL(web))
	var cause error
	select {
	case <-ctx.Done():
	case cause = <-failed:
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	err := server.Shutdown(end)
	if sink != nil {
		err = errors.Join(err, sink.Shutdown(end))
	}
	_ = web.Close() // a server that was ended before it began to serve does not know its listener
	if mails != nil {
		_ = mails.Close()
	}
	s.Close()
	if cause != nil {
		return fmt.Errorf("sandbox: %w", cause)
	}
	return err
}

func (s *Sandbox) publicURL(l net.Listener) string {
	if s.cfg.PublicURL != "" {
		return strings.TrimRight(s.cfg.PublicURL, "/")
	}
	return "http://" + l.Addr().String()
}
