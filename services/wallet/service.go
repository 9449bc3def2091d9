// Package wallet wires the wallet service: what it owns and how it works is in README.md.
package wallet

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/exaring/otelpgx"
	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"

	transactionsclient "github.com/sendtip/sendtip/generated/transactions/client"
	userclient "github.com/sendtip/sendtip/generated/user/client"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/call"
	"github.com/sendtip/sendtip/kit/event"
	"github.com/sendtip/sendtip/kit/idem"
	kitjobs "github.com/sendtip/sendtip/kit/jobs"
	"github.com/sendtip/sendtip/kit/keycheck"
	"github.com/sendtip/sendtip/kit/outbox"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/seal"
	"github.com/sendtip/sendtip/kit/service"
	"github.com/sendtip/sendtip/kit/web"
	"github.com/sendtip/sendtip/providers/daraja"

	"github.com/sendtip/sendtip/services/wallet/internal/api"
	"github.com/sendtip/sendtip/services/wallet/internal/app"
	"github.com/sendtip/sendtip/services/wallet/internal/events"
	"github.com/sendtip/sendtip/services/wallet/internal/jobs"
)

const (
	name = "wallet"
	// maxBody is the largest request, in bytes.
	maxBody = 64 << 10
	// callTimeout bounds a call to a peer; the ledger's own is shorter (app.Deps).
	callTimeout = 6 * time.Second
)

// New returns the service, ready to run. It connects to nothing yet, so services start in any order.
func New(ctx context.Context, cfg Config, log *slog.Logger) (*service.Service, error) {
	keys := cfg.Common.KEKs()
	sealer, err := seal.New(keys[0], keys[1:]...)
	if err != nil {
		return nil, err
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
	deps, err := peers(cfg)
	if err != nil {
		return nil, err
	}
	deps.Pool, deps.Sealer, deps.Jobs, deps.Log, deps.Registry = pool, sealer, queue, log, registry
	a := app.New(deps)
	jobs.Register(workers, a)
	relay := outbox.NewRelay(pool, publisher, log, registry)
	consumer := event.NewConsumer(event.ConsumerConfig{
		Broker: broker, Group: name, Topics: events.Topics, Pool: pool, Log: log,
	}, events.Handlers(a))
	loops := []service.Loop{
		{Name: "outbox", Run: relay.Run}, {Name: "events", Run: consumer.Run}, {Name: "jobs", Run: kitjobs.Loop(queue)},
		{Name: "idempotency", Run: idem.SweepLoop(pool, log)}, {Name: "housekeeping", Run: a.Housekeep}, {Name: "claims", Run: a.VerifyLoop},
		{Name: "standing", Run: a.ConfirmUnanswered},
	}
	if cfg.DarajaRegisterC2b {
		loops = append(loops, service.Loop{Name: "paybill", Run: registerC2b(a)})
	}
	return &service.Service{
		Name: name, Listen: cfg.Common.Listen, OpsListen: cfg.Common.OpsListen, Registry: registry,
		Handler: newHandler(a, cfg, log, registry),
		Guard: keycheck.Guard(pool, log, keycheck.KEK(sealer, app.Sealed(sealer)...),
			keycheck.Secret("identity", "SENDTIP_IDENTITY_KEY", cfg.Common.IdentityKeys()...)),
		Loops: loops,
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

// peers makes the clients of everything outside this service.
func peers(cfg Config) (app.Deps, error) {
	doer := call.NewClient(call.Config{GatewayURL: cfg.Common.GatewayURL, Service: name, ServiceKey: cfg.Common.ServiceKey, Timeout: callTimeout})
	ledger, err := transactionsclient.NewClientWithResponses(cfg.Common.GatewayURL, transactionsclient.WithHTTPClient(doer))
	if err != nil {
		return app.Deps{}, fmt.Errorf("ledger client: %w", err)
	}
	users, err := userclient.NewClientWithResponses(cfg.Common.GatewayURL, userclient.WithHTTPClient(doer))
	if err != nil {
		return app.Deps{}, fmt.Errorf("user client: %w", err)
	}
	mpesa := daraja.New(daraja.Config{BaseURL: cfg.DarajaURL, ConsumerKey: cfg.DarajaConsumerKey.Reveal(),
		ConsumerSecret: cfg.DarajaConsumerSecret.Reveal(), ShortCode: cfg.DarajaShortCode, Passkey: cfg.DarajaPasskey.Reveal()})
	return app.Deps{Ledger: ledger, Users: users, Mpesa: mpesa, ShortCode: cfg.DarajaShortCode, PublicURL: cfg.Common.PublicURL,
		AskPull: cfg.DarajaPull, PullNumber: cfg.DarajaPullNumber, Country: cfg.Country, Now: func() time.Time { return time.Now().UTC() }}, nil
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

// registerC2b leaves the registration to a job, and then has nothing more to do than to wait for the end.
func registerC2b(a *app.App) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		if err := a.EnqueueRegisterC2b(ctx); err != nil {
			return err // the database is not there yet: the loop is started again
		}
		<-ctx.Done()
		return nil
	}
}
