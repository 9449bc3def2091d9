// Package platform runs the whole of SENDTIP on one machine: embedded or given infrastructure, the sandbox, and every service, in this
// process or as processes of their own. `sendtip up` and the end-to-end tests use it alike.
package platform

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/sendtip/sendtip/cmd/sendtip/keys"
	"github.com/sendtip/sendtip/embedded/filelock"
	"github.com/sendtip/sendtip/embedded/postgres"
	"github.com/sendtip/sendtip/kit/clock"
	"github.com/sendtip/sendtip/kit/event"
)

// Options say where and how to run.
type Options struct {
	// Dir holds keys, data and logs; .sendtip by default.
	Dir string
	// Ports of everything; DefaultPortBase when zero.
	Ports Ports
	// Environ replaces embedded parts by addresses (SENDTIP_POSTGRES_URL, SENDTIP_KAFKA_BROKERS, SENDTIP_REDIS_URL, provider settings)
	// and tunes services. Service settings that the platform knows better (listen addresses, keys) are overwritten.
	Environ map[string]string
	// Targets are the services to run; empty means all.
	Targets []string
	// Binaries, if set, are executables by service: those services run as processes of their own.
	Binaries map[string]string
	// Clock is what services and sandbox tell the time by; nil: one of SENDTIP_CLOCK_OFFSET in Environ. Services in processes of their own
	// have its offset of when they start.
	Clock *clock.Clock
	// Script answers sandbox prompts by itself ("pay"); empty leaves them to the person at the phone page.
	Script string
	// Log receives the services' lines; nil discards.
	Log io.Writer
	// Progress receives sentences for a person who waits; nil discards.
	Progress func(string)
}

// ErrRunning says that a platform already runs on the folder.
var ErrRunning = errors.New("SENDTIP is already running in this folder")

// Platform is a running platform.
type Platform struct {
	o        Options
	log      *slog.Logger
	keys     keys.Set
	lock     *filelock.Lock
	parts    *parts
	mu       sync.Mutex
	running  map[string]runner
	stopOnce sync.Once
	stopErr  error
}

// runner is a service that runs here or in a process of its own.
type runner interface {
	// stop ends it gracefully; kill at once (a process of its own only).
	stop(ctx context.Context) error
	kill() error
	// done is closed when it has ended.
	done() <-chan struct{}
	err() error
}

// Start runs the platform and returns when every service is ready. Stop must be called, also after an error of a later step.
func Start(ctx context.Context, o Options) (*Platform, error) {
	o = withDefaults(o)
	if err := errors.Join(checkTargets(o.Targets), o.Ports.Check(), CheckSettings(o.Environ), checkScript(o)); err != nil {
		return nil, err
	}
	if o.Clock == nil {
		offset, _ := time.ParseDuration(cmp.Or(o.Environ[offsetSetting], "0")) // it was checked
		o.Clock = clock.New(offset)
	}
	p := &Platform{o: o, log: slog.New(slog.NewJSONHandler(o.Log, nil)).With("service", "platform"), running: map[string]runner{}}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil { // #nosec G301 -- the database server's user must pass through
		return nil, fmt.Errorf("make %s: %w", o.Dir, err)
	}
	lock, err := filelock.Try(filepath.Join(o.Dir, lockName))
	if err != nil {
		return nil, fmt.Errorf("%w: %s (stop it with Ctrl-C where it was started, or choose another folder with --dir)", ErrRunning, o.Dir)
	}
	p.lock = lock
	err = mark(o.Dir)
	if err == nil {
		err = p.start(ctx)
	}
	if err != nil {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		return nil, errors.Join(err, p.Stop(stop))
	}
	return p, nil
}

func withDefaults(o Options) Options {
	if o.Dir == "" {
		o.Dir = ".sendtip"
	}
	if abs, err := filepath.Abs(o.Dir); err == nil {
		o.Dir = abs
	}
	if o.Ports.Base == 0 {
		o.Ports.Base = DefaultPortBase
	}
	if o.Environ == nil {
		o.Environ = map[string]string{}
	}
	if len(o.Targets) == 0 {
		o.Targets = Services
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	return o
}

func (p *Platform) start(ctx context.Context) error {
	if err := p.endOrphan(ctx); err != nil {
		return err
	}
	if err := p.o.Ports.Free(); err != nil {
		return err
	}
	set, err := keys.Init(filepath.Join(p.o.Dir, "keys"))
	if err != nil {
		return err
	}
	p.keys = set
	p.parts = newParts(p.o, set, p.log)
	if err := p.parts.startAll(ctx); err != nil {
		return err
	}
	p.o.Progress("bringing the databases up to date")
	if err := Migrate(ctx, p.parts.adminURL, set); err != nil {
		return err
	}
	p.o.Progress("starting the services")
	for _, s := range Services {
		if slices.Contains(p.o.Targets, s) {
			if err := p.StartService(ctx, s); err != nil {
				return err
			}
		}
	}
	return p.WaitReady(ctx, p.o.Targets...)
}

// endOrphan waits for the database server of a run on this folder that was killed: it ends a moment after its owner, and its port would
// look like somebody else's.
func (p *Platform) endOrphan(ctx context.Context) error {
	if p.o.Environ["SENDTIP_POSTGRES_URL"] != "" {
		return nil
	}
	return postgres.EndOrphan(ctx, postgres.Config{Dir: p.o.Dir, Log: p.log, Progress: p.o.Progress})
}

// StartService runs one service, for example after StopService.
func (p *Platform) StartService(ctx context.Context, name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.running[name]; ok {
		return nil
	}
	environ, err := p.environ(name)
	if err != nil {
		return err
	}
	var r runner
	if path, ok := p.o.Binaries[name]; ok {
		r, err = startProcess(name, path, environ, p.o.Log)
	} else {
		r, err = p.startHere(ctx, name, environ, p.parts.watch.ready)
	}
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	p.running[name] = r
	return nil
}

func (p *Platform) take(name string) runner {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.running[name]
	delete(p.running, name)
	return r
}

// StopService drains and stops one service.
func (p *Platform) StopService(ctx context.Context, name string) error {
	if r := p.take(name); r != nil {
		return r.stop(ctx)
	}
	return nil
}

// KillService ends a service's own process with SIGKILL.
func (p *Platform) KillService(name string) error {
	r := p.take(name)
	if r == nil {
		return fmt.Errorf("%s is not running", name)
	}
	return r.kill()
}

// WaitReady returns when each named service says that it is ready, or with the reason why one is not after 60 s.
func (p *Platform) WaitReady(ctx context.Context, names ...string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, name := range names {
		for {
			why := p.ready(ctx, name)
			if why == nil {
				break
			}
			p.mu.Lock()
			r := p.running[name]
			p.mu.Unlock()
			if r != nil {
				select {
				case <-r.done():
					return fmt.Errorf("%s ended: %w", name, r.err())
				default:
				}
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("%s is not ready: %w", name, why)
			case <-time.After(25 * time.Millisecond):
			}
		}
	}
	return nil
}

func (p *Platform) ready(ctx context.Context, name string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+loopback(p.o.Ports.Ops(name))+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", body)
	}
	return nil
}

// Stop ends everything in reverse order: services, sandbox, Redis, Kafka, PostgreSQL. It may be called again.
func (p *Platform) Stop(ctx context.Context) error {
	p.stopOnce.Do(func() {
		var errs []error
		for _, s := range slices.Backward(Services) {
			errs = append(errs, p.StopService(ctx, s))
		}
		if p.parts != nil {
			errs = append(errs, p.parts.stopAll(ctx))
		}
		errs = append(errs, p.lock.Release())
		p.stopErr = errors.Join(errs...)
	})
	return p.stopErr
}

// Failed waits until a service ends although nobody asked for it, or an embedded part is given up, and says why; it answers nil when ctx
// ends first.
func (p *Platform) Failed(ctx context.Context) error {
	p.mu.Lock()
	running := map[string]runner{}
	for n, r := range p.running {
		running[n] = r
	}
	p.mu.Unlock()
	ended := make(chan string, len(running))
	for n, r := range running {
		go func() {
			select {
			case <-r.done():
				ended <- n
			case <-ctx.Done():
			}
		}()
	}
	select {
	case n := <-ended:
		return fmt.Errorf("%s ended: %w", n, running[n].err())
	case err := <-p.parts.watch.failed:
		return err
	case <-ctx.Done():
		return nil
	}
}

// PublicURL is the gateway's address for customers.
func (p *Platform) PublicURL() string { return "http://" + loopback(p.o.Ports.Of("gateway")) }

// InternalURL is the gateway's address for services.
func (p *Platform) InternalURL() string { return "http://" + loopback(p.o.Ports.Internal()) }

// ServiceURL is a service's own address, which answers the gateway only.
func (p *Platform) ServiceURL(name string) string { return "http://" + loopback(p.o.Ports.Of(name)) }

// SandboxURL is the address of the phone page and the providers' counterparts.
func (p *Platform) SandboxURL() string { return "http://" + loopback(p.o.Ports.Sandbox()) }

// Keys are the deployment's secrets; the bench signs step-up tokens with them.
func (p *Platform) Keys() keys.Set { return p.keys }

// AdminURL is the superuser's address of a database. It contains a password.
func (p *Platform) AdminURL(database string) string {
	u, err := DatabaseURL(p.parts.adminURL, database)
	if err != nil {
		return ""
	}
	return u
}

// StopPart and StartPart stop and start one embedded part: postgres, kafka, redis or sandbox. Faults are tested with them.
func (p *Platform) StopPart(ctx context.Context, name string) error { return p.parts.stop(ctx, name) }

// StartPart starts a part again on the same port and data.
func (p *Platform) StartPart(ctx context.Context, name string) error { return p.parts.start(ctx, name) }

// Brokers are the addresses of Kafka.
func (p *Platform) Brokers() []string { return p.parts.brokers }

// Broker is Kafka as a service, or keys.Tool, reaches it.
func (p *Platform) Broker(user string) (event.Broker, error) {
	return Broker(p.o.Environ, p.parts.brokers, p.keys, user)
}

// DeadLetters reads the messages that no consumer could take.
func (p *Platform) DeadLetters(ctx context.Context) ([]DeadLetter, error) {
	tool, err := p.Broker(keys.Tool)
	if err != nil {
		return nil, err
	}
	return DeadLetters(ctx, tool)
}
