// Package user wires the user service: customers, PINs, codes, sessions, tokens and identity verification. What it owns and how
// it works is in README.md.
package user

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/exaring/otelpgx"
	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/event"
	"github.com/sendtip/sendtip/kit/idem"
	kitjobs "github.com/sendtip/sendtip/kit/jobs"
	"github.com/sendtip/sendtip/kit/keycheck"
	"github.com/sendtip/sendtip/kit/outbox"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/seal"
	"github.com/sendtip/sendtip/kit/service"
	"github.com/sendtip/sendtip/kit/web"
	"github.com/sendtip/sendtip/providers/smileid"
	"github.com/sendtip/sendtip/services/user/internal/api"
	"github.com/sendtip/sendtip/services/user/internal/app"
	"github.com/sendtip/sendtip/services/user/internal/jobs"
)

const (
	name = "user"
	// maxBody is the largest request in bytes: a callback of Smile ID with a photograph. The gateway holds others to less.
	maxBody = 2 << 20
)

// New returns the service, ready to run. It connects to nothing yet, so services start in any order.
func New(ctx context.Context, cfg Config, log *slog.Logger) (*service.Service, error) {
	sealer, err := newSealer(cfg)
	if err != nil {
		return nil, err
	}
	keys, err := app.NewKeys(cfg.SigningKey.Reveal(), cfg.SigningKeyPrevious.Reveal())
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
	queue, err := kitjobs.NewClient(pool, workers, kitjobs.Config{Service: name, Log: log})
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	a, err := app.New(app.Deps{
		Pool: pool, Sealer: sealer, Registry: registry, Keys: keys, Jobs: queue, Env: cfg.Common.Env, PublicURL: cfg.Common.PublicURL, Now: time.Now, Log: log,
		Smile: smileid.New(smileid.Config{BaseURL: cfg.smileHost(), PartnerID: cfg.SmilePartnerID, APIKey: cfg.SmileAPIKey.Reveal()}),
	})
	if err != nil {
		return nil, err
	}
	jobs.Register(workers, a)
	relay := outbox.NewRelay(pool, publisher, log, registry)
	return &service.Service{
		Name: name, Listen: cfg.Common.Listen, OpsListen: cfg.Common.OpsListen, Registry: registry,
		Handler: newHandler(a, cfg, log, registry),
		Guard: keycheck.Guard(pool, log, keycheck.KEK(sealer, app.Sealed(sealer)...), keycheck.Public("signing", "SENDTIP_SIGNING_KEY", keys.Kids()...),
			keycheck.Secret("identity", "SENDTIP_IDENTITY_KEY", cfg.Common.IdentityKeys()...)),
		Loops: []service.Loop{
			{Name: "outbox", Run: relay.Run}, {Name: "jobs", Run: kitjobs.Loop(queue)},
			{Name: "sweep", Run: a.SweepLoop}, {Name: "sweep keys", Run: idem.SweepLoop(pool, log)},
		},
		Checks: []service.Check{
			{Name: "postgres", Run: pg.Check(pool)},
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

// CreateAdmin makes an operator: a mobile number in E.164, a PIN that is not weak, and the id of the device that may sign in without a
// code. It is what `sendtip admin create` calls; no operation of the API makes operators. A phone that is registered already is
// refused (already_registered).
func CreateAdmin(ctx context.Context, cfg Config, phone, pin, deviceID string) (uuid.UUID, error) {
	sealer, err := newSealer(cfg)
	if err != nil {
		return uuid.Nil, err
	}
	pool, err := pg.Open(ctx, cfg.Common.DatabaseURL.Reveal(), pg.Options{MaxConns: 2})
	if err != nil {
		return uuid.Nil, err
	}
	defer pool.Close()
	if err := keycheck.Guard(pool, slog.New(slog.DiscardHandler), keycheck.KEK(sealer, app.Sealed(sealer)...))(ctx); err != nil {
		return uuid.Nil, err // else the administrator's row is sealed under a key that the service does not have
	}
	a, err := app.New(app.Deps{Pool: pool, Sealer: sealer, Env: cfg.Common.Env, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return uuid.Nil, err
	}
	ctx = auth.With(ctx, auth.Principal{Subject: "operator:command-line", Operation: "createAdmin"})
	return a.CreateAdmin(ctx, phone, pin, deviceID)
}
