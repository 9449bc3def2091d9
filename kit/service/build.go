package service

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/exaring/otelpgx"
	"github.com/go-chi/chi/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/call"
	"github.com/sendtip/sendtip/kit/clock"
	"github.com/sendtip/sendtip/kit/config"
	"github.com/sendtip/sendtip/kit/event"
	"github.com/sendtip/sendtip/kit/idem"
	"github.com/sendtip/sendtip/kit/jobs"
	"github.com/sendtip/sendtip/kit/keycheck"
	"github.com/sendtip/sendtip/kit/outbox"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/seal"
	"github.com/sendtip/sendtip/kit/web"
)

// defaultMaxBody is the largest request of a service that says nothing else, in bytes.
const defaultMaxBody = 64 << 10

// Host is what the process that runs a service gives to it.
type Host struct {
	Log *slog.Logger
	// Clock is shared with the other services of the process; nil: one by the service's own settings. Who asks for more than the time (its
	// offset) finds it in Parts.
	Clock *clock.Clock
}

// Spec is what must be known of a service before its parts are made.
type Spec struct {
	Host

	Name   string
	Common config.Common
	Queues map[string]int // jobs at a time by queue; nil: eight in the default one
}

// Parts are what every service is made of. Nothing is connected yet, so services start in any order.
type Parts struct {
	Spec // its Clock is there, whether the host has given one or not

	Now       func() time.Time // UTC, whole microseconds; the clock's
	Pool      *pgxpool.Pool
	Sealer    *seal.Sealer
	Publisher *event.Publisher
	Relay     *outbox.Relay
	Jobs      *jobs.Client
	Registry  *prometheus.Registry

	Workers *river.Workers // of jobs; a service adds its own in Own.Work
	broker  event.Broker
	closers []func()
}

// Own is what a service adds to the parts.
type Own struct {
	// Mount adds the operations of the contract to the chain that all services share. Handler stands in its place where a service has a
	// chain of its own (the gateway).
	Mount   func(r chi.Router)
	Handler http.Handler
	MaxBody int64 // of a request, in bytes; 0 means 64 KiB
	Also    []Listener

	Work   func(workers *river.Workers) // adds the workers of jobs; nil: the service has none
	Events Events

	// Sealed are the columns under the key-encryption key, Keys what else must not change unnoticed.
	Sealed []keycheck.Sealed
	Keys   []keycheck.Key

	Loops  []Loop
	Checks []Check
	// WithoutDatabase says that the service answers, though not everything, while its database is away: it stays ready.
	WithoutDatabase bool
}

// Events are what a service hears. Without topics it hears nothing.
type Events struct {
	Topics   []string
	Handlers map[string]event.Handler
	Together event.BatchHandler // applies events that arrive at the same time; nil: each alone
}

// Build makes a service: the parts that all have, then what own makes of them. When a step fails, all that was opened is closed.
func Build(ctx context.Context, spec Spec, own func(p *Parts) (Own, error)) (*Service, error) {
	p, err := Open(ctx, spec)
	if err != nil {
		return nil, err
	}
	o, err := own(p)
	if err != nil {
		p.Close()
		return nil, err
	}
	return p.service(o), nil
}

// Open makes the parts alone, for a command that does one thing with a service's rows. The caller closes them.
func Open(ctx context.Context, spec Spec) (*Parts, error) {
	sealer, err := NewSealer(spec.Common)
	if err != nil {
		return nil, err
	}
	spec.Clock = cmp.Or(spec.Clock, clock.New(spec.Common.ClockOffset))
	p := &Parts{Spec: spec, Now: spec.Clock.Now, Sealer: sealer, Registry: prometheus.NewRegistry(), Workers: river.NewWorkers()}
	if p.broker, err = event.NewBroker(spec.Common.Kafka); err != nil {
		return nil, err
	}
	if p.Pool, err = p.OpenPool(ctx, pg.Options{MaxConns: spec.Common.PoolSize, Tracer: otelpgx.NewTracer()}); err != nil {
		return nil, err
	}
	p.Publisher = event.NewPublisher(p.broker)
	p.OnClose(func() {
		if err := p.Publisher.Close(); err != nil {
			p.Log.Warn("close publisher", "err", err)
		}
	})
	queue := jobs.Config{Service: p.Name, Queues: p.Queues, Log: p.Log, Clock: p.Clock}
	if p.Jobs, err = jobs.NewClient(p.Pool, p.Workers, queue); err != nil {
		p.Close()
		return nil, err
	}
	p.Relay = outbox.NewRelay(p.Pool, p.Publisher, p.Now, p.Log, p.Registry)
	return p, nil
}

// NewSealer makes what seals a service's rows, for who needs nothing else of it.
func NewSealer(c config.Common) (*seal.Sealer, error) {
	keys := c.KEKs()
	if len(keys) == 0 {
		return nil, errors.New("SENDTIP_KEK is not set: `sendtip keys init` makes it")
	}
	return seal.New(keys[0], keys[1:]...)
}

// OpenPool opens one more pool on the service's database; it is closed with the rest.
func (p *Parts) OpenPool(ctx context.Context, o pg.Options) (*pgxpool.Pool, error) {
	pool, err := pg.Open(ctx, p.Common.DatabaseURL.Reveal(), o)
	if err == nil {
		p.OnClose(pool.Close)
	}
	return pool, err
}

// OnClose adds what is done when the service has stopped, or was not made after all; the last added is done first.
func (p *Parts) OnClose(f func()) { p.closers = append(p.closers, f) }

// Close closes all that was opened, the last first.
func (p *Parts) Close() {
	for _, f := range slices.Backward(p.closers) {
		f()
	}
	p.closers = nil
}

// Caller performs the calls of generated clients to other services, within a time of at most timeout (0: the kit's own).
func (p *Parts) Caller(peers config.Peers, timeout time.Duration) *call.Doer {
	return call.NewClient(call.Config{GatewayURL: peers.GatewayURL, Service: p.Name, ServiceKey: peers.ServiceKey, Timeout: timeout})
}

// Handler is the chain of every service around the operations that mount adds: log and limits, then who is asking.
func (p *Parts) Handler(mount func(r chi.Router), maxBody int64) http.Handler {
	r := chi.NewRouter()
	r.Use(web.Middleware(p.Log, web.NewMetrics(p.Registry), cmp.Or(maxBody, defaultMaxBody)))
	r.Use(auth.NewVerifier(p.Name, p.Now, p.Common.IdentityKeys()...).Middleware(web.WriteProblem))
	r.NotFound(web.NotFound)
	r.MethodNotAllowed(web.MethodNotAllowed)
	mount(r)
	return r
}

// Admit answers nil when the service's keys are those that its database was written under; it is the guard of the service.
func (p *Parts) Admit(o Own) func(ctx context.Context) error {
	keys := append(slices.Clone(o.Keys), keycheck.KEK(p.Sealer, o.Sealed...),
		keycheck.Secret("identity", "SENDTIP_IDENTITY_KEY", p.Common.IdentityKeys()...))
	return keycheck.Guard(p.Pool, p.Now, p.Log, keys...)
}

func (p *Parts) service(o Own) *Service {
	s := &Service{
		Name: p.Name, Listen: p.Common.Listen, OpsListen: p.Common.OpsListen, Registry: p.Registry,
		Handler: o.Handler, Also: o.Also, Guard: p.Admit(o), Close: p.Close,
		Loops:  append([]Loop{{Name: "outbox", Run: p.Relay.Run}, {Name: "idempotency", Run: idem.SweepLoop(p.Pool, p.Now, p.Log)}}, o.Loops...),
		Checks: slices.Clone(o.Checks),
	}
	if s.Handler == nil {
		s.Handler = p.Handler(o.Mount, o.MaxBody)
	}
	if !o.WithoutDatabase {
		s.Checks = append(s.Checks, Check{Name: "postgres", Run: pg.Check(p.Pool)})
	}
	if o.Work != nil {
		o.Work(p.Workers)
		s.Loops = append(s.Loops, Loop{Name: "jobs", Run: jobs.Loop(p.Jobs)})
		s.Checks = append(s.Checks, Check{Name: "jobs", Run: func(context.Context) error { return p.Jobs.Ready() }})
	}
	if len(o.Events.Topics) > 0 {
		c := event.NewConsumer(event.ConsumerConfig{
			Broker: p.broker, Group: p.Name, Topics: o.Events.Topics, Pool: p.Pool, Log: p.Log, Now: p.Now, Together: o.Events.Together,
		}, o.Events.Handlers)
		s.Loops = append(s.Loops, Loop{Name: "events", Run: c.Run})
		s.Checks = append(s.Checks, Check{Name: "events", Run: func(context.Context) error { return c.Ready() }})
	}
	return s
}
