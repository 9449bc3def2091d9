// Package notification wires the notification service: what it owns and how it works is in README.md.
package notification

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/exaring/otelpgx"
	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"

	userclient "github.com/sendtip/sendtip/generated/user/client"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/call"
	"github.com/sendtip/sendtip/kit/event"
	kitjobs "github.com/sendtip/sendtip/kit/jobs"
	"github.com/sendtip/sendtip/kit/keycheck"
	"github.com/sendtip/sendtip/kit/outbox"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/seal"
	"github.com/sendtip/sendtip/kit/service"
	"github.com/sendtip/sendtip/kit/web"
	"github.com/sendtip/sendtip/providers/africastalking"

	"github.com/sendtip/sendtip/services/notification/internal/api"
	"github.com/sendtip/sendtip/services/notification/internal/app"
	"github.com/sendtip/sendtip/services/notification/internal/domain"
	"github.com/sendtip/sendtip/services/notification/internal/events"
	"github.com/sendtip/sendtip/services/notification/internal/jobs"
)

const (
	name = "notification"
	// maxBody is the largest request, in bytes: a delivery report.
	maxBody = 16 << 10
)

// New returns the service, ready to run. It connects to nothing yet, so services start in any order.
func New(ctx context.Context, cfg Config, log *slog.Logger) (*service.Service, error) {
	sealer, err := newSealer(cfg)
	if err != nil {
		return nil, err
	}
	texts, err := domain.NewTexts(cfg.Brand)
	if err != nil {
		return nil, err
	}
	mailer, err := app.NewMailer(app.MailConfig{
		Addr: cfg.SMTPAddr, From: cfg.MailFrom, Username: cfg.SMTPUsername, Password: cfg.SMTPPassword.Reveal(), RequireTLS: cfg.Common.Production(),
	})
	if err != nil {
		return nil, err
	}
	doer := call.NewClient(call.Config{GatewayURL: cfg.Common.GatewayURL, Service: name, ServiceKey: cfg.Common.ServiceKey})
	users, err := userclient.NewClientWithResponses(cfg.Common.GatewayURL, userclient.WithHTTPClient(doer))
	if err != nil {
		return nil, fmt.Errorf("user client: %w", err)
	}
	broker, err := event.NewBroker(cfg.Common.Kafka)
	if err != nil {
		return nil, err
	}
	publisher := event.NewPublisher(broker)
	pool, err := pg.Open(ctx, cfg.Common.DatabaseURL.Reveal(), pg.Options{MaxConns: cfg.Common.PoolSize, Tracer: otelpgx.NewTracer()})
	if err != nil {
		return nil, err
	}
	workers := river.NewWorkers()
	queue, err := kitjobs.NewClient(pool, workers, kitjobs.Config{Service: name, Queues: jobs.Queues, Log: log})
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	a := app.New(app.Deps{
		Pool: pool, Sealer: sealer, Jobs: queue, Users: users, Mail: mailer, Texts: texts, Log: log, Registry: registry,
		SMS:      africastalking.New(africastalking.Config{BaseURL: cfg.SMSURL, Username: cfg.SMSUsername, APIKey: cfg.SMSAPIKey.Reveal()}),
		SenderID: cfg.SMSSender, Now: func() time.Time { return time.Now().UTC() },
	})
	jobs.Register(workers, a)
	relay := outbox.NewRelay(pool, publisher, log, registry)
	consumer := event.NewConsumer(event.ConsumerConfig{
		Broker: broker, Group: name, Topics: events.Topics, Pool: pool, Log: log, Together: events.Together(a),
	}, events.Handlers(a))
	return &service.Service{
		Name: name, Listen: cfg.Common.Listen, OpsListen: cfg.Common.OpsListen, Registry: registry,
		Handler: newHandler(a, cfg, log, registry),
		Guard: keycheck.Guard(pool, log, keycheck.KEK(sealer, app.Sealed(sealer)...),
			keycheck.Secret("identity", "SENDTIP_IDENTITY_KEY", cfg.Common.IdentityKeys()...)),
		Loops: []service.Loop{
			{Name: "outbox", Run: relay.Run}, {Name: "events", Run: consumer.Run}, {Name: "jobs", Run: kitjobs.Loop(queue)},
		},
		Checks: []service.Check{
			{Name: "postgres", Run: pg.Check(pool)},
			{Name: "events", Run: func(context.Context) error { return consumer.Ready() }},
			{Name: "jobs", Run: func(context.Context) error { return queue.Ready() }},
		},
		Close: func() {
			if err := publisher.Close(); err != nil {
				log.Warn("close publisher", "err", err)
			}
			pool.Close()
		},
	}, nil
}

func newSealer(cfg Config) (*seal.Sealer, error) {
	keys := cfg.Common.KEKs()
	if len(keys) == 0 {
		return nil, errors.New("SENDTIP_KEK is not set: `sendtip keys init` makes it")
	}
	return seal.New(keys[0], keys[1:]...)
}

func newHandler(a *app.App, cfg Config, log *slog.Logger, registry *prometheus.Registry) http.Handler {
	r := chi.NewRouter()
	r.Use(web.Middleware(log, web.NewMetrics(registry), maxBody))
	r.Use(auth.NewVerifier(name, cfg.Common.IdentityKeys()...).Middleware(web.WriteProblem))
	r.NotFound(web.NotFound)
	r.MethodNotAllowed(web.MethodNotAllowed)
	api.Mount(r, a)
	return r
}

// ReportPath returns the path under the public address that the SMS gateway must be told for its delivery reports. It holds a secret.
func ReportPath(cfg Config) (string, error) {
	sealer, err := newSealer(cfg)
	if err != nil {
		return "", err
	}
	return app.HookPath(sealer), nil
}
