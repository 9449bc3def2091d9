package platform

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/sendtip/sendtip/cmd/sendtip/keys"
	"github.com/sendtip/sendtip/embedded/kafka"
	"github.com/sendtip/sendtip/embedded/postgres"
	"github.com/sendtip/sendtip/embedded/redis"
	"github.com/sendtip/sendtip/kit/event"
)

// parts is the infrastructure: what is given by address is used, the rest is embedded.
type parts struct {
	o        Options
	keys     keys.Set
	log      *slog.Logger
	adminURL string
	brokers  []string
	redisURL string
	watch    *watch
}

// part is one embedded part that runs.
type part struct {
	done <-chan struct{}                 // closed when it has ended, asked or not
	why  func() string                   // how it ended
	stop func(ctx context.Context) error // also gives back what it holds after it has ended by itself
}

func newParts(o Options, set keys.Set, l *slog.Logger) *parts {
	p := &parts{o: o, keys: set, log: l, adminURL: o.Environ["SENDTIP_POSTGRES_URL"], redisURL: o.Environ["SENDTIP_REDIS_URL"]}
	p.watch = newWatch(l, p.begin)
	if b := o.Environ["SENDTIP_KAFKA_BROKERS"]; b != "" {
		p.brokers = strings.Split(b, ",")
	}
	return p
}

func (p *parts) embeds(name string) bool {
	switch name {
	case "postgres":
		return p.o.Environ["SENDTIP_POSTGRES_URL"] == ""
	case "kafka":
		return p.o.Environ["SENDTIP_KAFKA_BROKERS"] == ""
	case "redis":
		return p.o.Environ["SENDTIP_REDIS_URL"] == ""
	default: // the sandbox stands in for providers that have no address of their own
		return p.o.Environ["SENDTIP_DARAJA_URL"] == "" || p.o.Environ["SENDTIP_SMILEID_URL"] == "" || p.o.Environ["SENDTIP_AT_URL"] == ""
	}
}

var partNames = []string{"postgres", "kafka", "redis", "sandbox"}

func (p *parts) startAll(ctx context.Context) error {
	production := p.o.Environ["SENDTIP_ENV"] == "production"
	errs := make(chan error, len(partNames))
	for _, name := range partNames {
		if production && p.embeds(name) {
			return fmt.Errorf("SENDTIP_ENV=production needs real infrastructure: give the address of %s (see docs/operations.md)", name)
		}
	}
	for _, name := range partNames {
		go func() {
			if !p.embeds(name) {
				errs <- nil
				return
			}
			errs <- p.start(ctx, name)
		}()
	}
	var all []error
	for range partNames {
		all = append(all, <-errs)
	}
	if err := errors.Join(all...); err != nil {
		return err
	}
	if p.embeds("kafka") {
		return nil
	}
	tool, err := Broker(p.o.Environ, p.brokers, p.keys, keys.Tool)
	if err != nil {
		return err
	}
	_, err = ApplyTopics(tool, 1)
	return err
}

func (p *parts) start(ctx context.Context, name string) error { return p.watch.start(ctx, name) }

func (p *parts) stop(ctx context.Context, name string) error { return p.watch.stop(ctx, name) }

// begin starts a part. The addresses that it fills in are the same each time, since ports and passwords are.
func (p *parts) begin(ctx context.Context, name string) (*part, error) {
	switch name {
	case "postgres":
		return p.startPostgres(ctx)
	case "kafka":
		return p.startKafka(ctx)
	case "redis":
		return p.startRedis()
	case "sandbox":
		s, err := startSandbox(ctx, p.o, p.keys, p.log)
		if err != nil {
			return nil, err
		}
		return &part{done: s.ended, why: func() string { return fmt.Sprint(s.result) }, stop: s.stop}, nil
	}
	return nil, fmt.Errorf("there is no part named %s", name)
}

func (p *parts) startPostgres(ctx context.Context) (*part, error) {
	password, err := p.keys.Read(keys.AdminPassword)
	if err != nil {
		return nil, err
	}
	var server *postgres.Server
	// A server that has just been stopped may still hold its data for a moment.
	for try := 0; ; try++ {
		server, err = postgres.Start(ctx,
			postgres.Config{Dir: p.o.Dir, Port: p.o.Ports.Postgres(), Password: password, Log: p.log, Progress: p.o.Progress})
		if err == nil || try == 20 || !errors.Is(err, postgres.ErrRunning) {
			break
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	if err != nil {
		return nil, err
	}
	if p.adminURL == "" {
		p.adminURL = server.URL("postgres")
	}
	return &part{done: server.Done(), why: server.Ending, stop: server.Stop}, nil
}

func (p *parts) startRedis() (*part, error) {
	password, err := p.keys.Read(keys.RedisPassword)
	if err != nil {
		return nil, err
	}
	server, err := redis.Start(p.o.Ports.Redis(), password)
	if err != nil {
		return nil, err
	}
	if p.redisURL == "" {
		p.redisURL = server.URL()
	}
	return &part{done: server.Done(), why: noAnswer, stop: func(context.Context) error { server.Stop(); return nil }}, nil
}

// noAnswer is how a server inside this process ends.
func noAnswer() string { return "it does not answer" }

func (p *parts) startKafka(ctx context.Context) (*part, error) {
	topics, err := Topics()
	if err != nil {
		return nil, err
	}
	var list []kafka.Topic
	for _, t := range topics {
		list = append(list, kafka.Topic{Name: t.Name, Partitions: t.Partitions})
	}
	password, err := p.keys.Read(keys.KafkaAdmin)
	if err != nil {
		return nil, err
	}
	superuser := kafka.User{Name: defaultAdmin, Password: password}
	broker, err := kafka.Start(ctx, kafka.Config{Dir: p.o.Dir, Port: p.o.Ports.Kafka(), Topics: list, Admin: superuser})
	if err != nil {
		return nil, err
	}
	if p.brokers == nil {
		p.brokers = broker.Brokers()
	}
	// The broker forgets users and grants when it ends.
	if err := ApplyAccess(ctx, event.Broker{Addresses: broker.Brokers(), User: superuser.Name, Password: superuser.Password},
		p.keys); err != nil {
		return nil, errors.Join(err, broker.Stop())
	}
	return &part{done: broker.Done(), why: noAnswer, stop: func(context.Context) error { return broker.Stop() }}, nil
}

func (p *parts) stopAll(ctx context.Context) error {
	p.watch.close()
	var errs []error
	for i := len(partNames) - 1; i >= 0; i-- {
		errs = append(errs, p.stop(ctx, partNames[i]))
	}
	return errors.Join(errs...)
}
