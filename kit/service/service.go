// Package service runs a deployable: its HTTP server, its loops (consumers, relays, jobs) and its operations listener with health,
// readiness and metrics. The same value runs alone in its own process or beside others in the one binary.
package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sendtip/sendtip/kit/config"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/keycheck"
	"github.com/sendtip/sendtip/kit/log"
	"github.com/sendtip/sendtip/kit/web"
)

// Check answers nil when a dependency is there.
type Check struct {
	Name string
	Run  func(ctx context.Context) error
}

// Listener is one more server of the service (the gateway's internal one).
type Listener struct {
	Addr    string
	Handler http.Handler
}

// Service is one deployable, made by its package's New.
type Service struct {
	Name      string
	Listen    string
	OpsListen string // empty: no operations listener
	Handler   http.Handler
	Also      []Listener
	// Guard is asked until it answers nil; before that no request is served and no loop runs. keycheck.ErrRefused ends the service, any other
	// error is taken for a dependency that is away. It may be absent.
	Guard    func(ctx context.Context) error
	Loops    []Loop
	Checks   []Check
	Registry *prometheus.Registry
	Close    func() // after everything has stopped

	waiting  atomic.Bool // for the guard
	loops    loopStates
	draining atomic.Bool
}

// Ready answers nil when every dependency is there and the service is not stopping.
func (s *Service) Ready(ctx context.Context) error {
	if s.draining.Load() {
		return errors.New("stopping")
	}
	var errs []error
	if s.waiting.Load() {
		errs = append(errs, errors.New("keys: not checked yet"))
	}
	errs = append(errs, s.loops.ready(time.Now()))
	for _, c := range s.Checks {
		if err := c.Run(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", c.Name, err))
		}
	}
	return errors.Join(errs...)
}

// Run serves until ctx ends, then: not ready, drain the servers, stop the loops, close. Its error is one of starting or draining.
func Run(ctx context.Context, s *Service, l *slog.Logger) error {
	if s.Close != nil {
		defer s.Close()
	}
	servers := append([]Listener{{s.Listen, s.Handler}}, s.Also...)
	for i := range servers {
		servers[i].Handler = s.guarded(servers[i].Handler)
	}
	if s.OpsListen != "" {
		servers = append(servers, Listener{s.OpsListen, s.ops()})
	}
	listeners := make([]net.Listener, len(servers))
	for i, srv := range servers {
		ln, err := web.Listen(ctx, srv.Addr)
		if err != nil {
			for _, open := range listeners[:i] {
				_ = open.Close()
			}
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		listeners[i] = ln
	}
	s.waiting.Store(s.Guard != nil)
	run, end := context.WithCancel(ctx)
	defer end()
	stop := context.AfterFunc(run, func() { s.draining.Store(true) })
	defer stop()

	loopCtx, stopLoops := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLoops()
	var refusal error
	var loops sync.WaitGroup
	loops.Go(func() {
		if refusal = s.admit(run, l); s.waiting.Load() {
			end()
			return
		}
		for _, loop := range s.Loops {
			loops.Go(func() { s.loops.keepRunning(loopCtx, loop, l) })
		}
	})
	errs := make([]error, len(servers))
	var serving sync.WaitGroup
	for i, ln := range listeners {
		serving.Go(func() {
			defer end() // a server that ends by itself takes the others along: half a service must not look alive
			errs[i] = web.Serve(run, ln, servers[i].Handler, l)
		})
	}
	serving.Wait() // requests drain while loops still run: a request may wait for a relay or a job
	stopLoops()
	loops.Wait()
	return errors.Join(append(errs, refusal)...)
}

// admit returns nil when the guard has let the service work or ctx has ended.
func (s *Service) admit(ctx context.Context, l *slog.Logger) error {
	for pause := 100 * time.Millisecond; s.Guard != nil; pause = min(pause*2, 2*time.Second) {
		err := s.Guard(ctx)
		if errors.Is(err, keycheck.ErrRefused) {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		if err == nil {
			break
		}
		l.WarnContext(ctx, "not admitted yet, asking again", "err", err, "pause_ms", pause.Milliseconds())
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
	s.waiting.Store(false)
	return nil
}

// guarded answers that the service is away until it is admitted.
func (s *Service) guarded(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.waiting.Load() {
			web.WriteProblem(w, r, fault.ErrUnavailable)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func (s *Service) ops() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 3*time.Second)
		defer cancel()
		answer := map[string]string{"service": s.Name, "status": "ready"}
		if err := s.Ready(ctx); err != nil {
			answer["status"] = err.Error()
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(answer)
	})
	if s.Registry != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(s.Registry, promhttp.HandlerOpts{}))
	}
	return mux
}

// Loader is the LoadConfig that every service exports.
type Loader[C any] func(environ map[string]string) (C, error)

// Maker is the New that every service exports.
type Maker[C any] func(ctx context.Context, cfg C, host Host) (*Service, error)

// Main is the main function of a service that runs alone: settings from the environment, SIGTERM and Ctrl-C drain, exit status 0.
func Main[C any](name string, load Loader[C], build Maker[C]) {
	environ := config.Environ()
	level := environ["SENDTIP_LOG_LEVEL"]
	l := log.New(os.Stdout, level, name)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	cfg, err := load(environ)
	if err == nil {
		err = run(ctx, cfg, build, Host{Log: l})
	}
	if err != nil {
		l.Error("stopped", "err", err)
		os.Exit(1) //nolint:gocritic // the process ends; nothing is left to clean up
	}
}

func run[C any](ctx context.Context, cfg C, build Maker[C], host Host) error {
	s, err := build(ctx, cfg, host)
	if err != nil {
		return err
	}
	host.Log.Info("started", "listen", s.Listen, "ops", s.OpsListen)
	return Run(ctx, s, host.Log)
}
