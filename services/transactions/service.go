// Package transactions wires the ledger: what it owns and how it works is in README.md.
package transactions

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/exaring/otelpgx"
	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/riverqueue/river"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/event"
	kitjobs "github.com/sendtip/sendtip/kit/jobs"
	"github.com/sendtip/sendtip/kit/keycheck"
	"github.com/sendtip/sendtip/kit/outbox"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/service"
	"github.com/sendtip/sendtip/kit/web"

	"github.com/sendtip/sendtip/services/transactions/internal/api"
	"github.com/sendtip/sendtip/services/transactions/internal/app"
	"github.com/sendtip/sendtip/services/transactions/internal/jobs"
)

const name = "transactions"

// New returns the service, ready to run. It connects to nothing yet, so services start in any order.
func New(ctx context.Context, cfg Config, log *slog.Logger) (*service.Service, error) {
	broker, err := event.NewBroker(cfg.Common.Kafka)
	if err != nil {
		return nil, err
	}
	publisher := event.NewPublisher(broker)
	pool, err := pg.Open(ctx, cfg.Common.DatabaseURL.Reveal(), pg.Options{MaxConns: cfg.Common.PoolSize, Tracer: otelpgx.NewTracer()})
	if err != nil {
		return nil, err
	}
	committers, err := pg.Open(ctx, cfg.Common.DatabaseURL.Reveal(), pg.Options{MaxConns: app.CommitConns, Params: app.CommitParams()})
	if err != nil {
		return nil, err
	}
	sealer, err := cfg.sealer()
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	relay := outbox.NewRelay(pool, publisher, log, registry)
	a := app.New(app.Pools{Shared: pool, Committers: committers}, time.Now, log, sealer)
	a.Register(registry)
	registry.MustRegister(collectors.NewGoCollector())
	workers := river.NewWorkers()
	jobs.Register(workers, a)
	queue, err := kitjobs.NewClient(pool, workers, kitjobs.Config{Service: name, Log: log})
	if err != nil {
		return nil, err
	}
	queue.PeriodicJobs().AddMany(jobs.Periodic())
	return &service.Service{
		Name: name, Listen: cfg.Common.Listen, OpsListen: cfg.Common.OpsListen, Registry: registry,
		Handler: newHandler(a, cfg, log, registry),
		Guard: keycheck.Guard(pool, log, keycheck.Fixed("origin", "SENDTIP_LEDGER_ORIGIN", cfg.Origin), // a part of the keys' names, so before them
			keycheck.Public("signing", "SENDTIP_SIGNING_KEY", sealer.VerifierKeys...),
			keycheck.Secret("identity", "SENDTIP_IDENTITY_KEY", cfg.Common.IdentityKeys()...)),
		Loops: []service.Loop{
			{Name: "seal", Run: a.SealLoop}, {Name: "publish", Run: a.PublishLoop(publisher)}, {Name: "outbox", Run: relay.Run},
			{Name: "hold_expiry", Run: a.ExpiryLoop}, {Name: "room", Run: a.RoomLoop}, {Name: "jobs", Run: kitjobs.Loop(queue)},
		},
		Checks: []service.Check{
			{Name: "postgres", Run: pg.Check(pool)},
			{Name: "jobs", Run: func(context.Context) error { return queue.Ready() }},
		},
		Close: func() {
			if err := publisher.Close(); err != nil {
				log.Warn("close publisher", "err", err)
			}
			committers.Close()
			pool.Close()
		},
	}, nil
}

func newHandler(a *app.App, cfg Config, log *slog.Logger, registry *prometheus.Registry) http.Handler {
	r := chi.NewRouter()
	r.Use(web.Middleware(log, web.NewMetrics(registry), api.MaxBody))
	r.Use(auth.NewVerifier(name, cfg.Common.IdentityKeys()...).Middleware(web.WriteProblem))
	r.NotFound(web.NotFound)
	r.MethodNotAllowed(web.MethodNotAllowed)
	api.Mount(r, a)
	return r
}
