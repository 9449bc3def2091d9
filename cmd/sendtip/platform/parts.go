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
	sandbox  *sandboxPart
	pg       *postgres.Server
	kafka    *kafka.Broker
	redis    *redis.Server
}

func newParts(o Options, set keys.Set, l *slog.Logger) *parts {
	p := &parts{o: o, keys: set, log: l, adminURL: o.Environ["SENDTIP_POSTGRES_URL"], redisURL: o.Environ["SENDTIP_REDIS_URL"]}
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
			return fmt.Errorf("SENDTIP_ENV=production runs on real parts only: give the address of %s (see docs/operations.md)", name)
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

func (p *parts) start(ctx context.Context, name string) (err error) {
	switch name {
	case "postgres":
		return p.startPostgres(ctx)
	case "kafka":
		return p.startKafka(ctx)
	case "redis":
		return p.startRedis()
	case "sandbox":
		p.sandbox, err = startSandbox(ctx, p.o, p.keys, p.log)
		return err
	}
	return fmt.Errorf("no part is named %s", name)
}

func (p *parts) startPostgres(ctx context.Context) error {
	password, err := p.keys.Read(keys.AdminPassword)
	if err != nil {
		return err
	}
	// A server that has just been stopped may still hold its data for a moment.
	for try := 0; ; try++ {
		p.pg, err = postgres.Start(ctx, postgres.Config{Dir: p.o.Dir, Port: p.o.Ports.Postgres(), Password: password, Log: p.log, Progress: p.o.Progress})
		if err == nil || try == 20 || !errors.Is(err, postgres.ErrRunning) {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	if err != nil {
		return err
	}
	p.adminURL = p.pg.URL("postgres")
	return nil
}

func (p *parts) startRedis() error {
	password, err := p.keys.Read(keys.RedisPassword)
	if err != nil {
		return err
	}
	if p.redis, err = redis.Start(p.o.Ports.Redis(), password); err != nil {
		return err
	}
	p.redisURL = p.redis.URL()
	return nil
}

func (p *parts) startKafka(ctx context.Context) error {
	topics, err := Topics()
	if err != nil {
		return err
	}
	var list []kafka.Topic
	for _, t := range topics {
		list = append(list, kafka.Topic{Name: t.Name, Partitions: t.Partitions})
	}
	password, err := p.keys.Read(keys.KafkaAdmin)
	if err != nil {
		return err
	}
	superuser := kafka.User{Name: defaultAdmin, Password: password}
	if p.kafka, err = kafka.Start(ctx, kafka.Config{Dir: p.o.Dir, Port: p.o.Ports.Kafka(), Topics: list, Admin: superuser}); err != nil {
		return err
	}
	p.brokers = p.kafka.Brokers()
	return ApplyAccess(ctx, event.Broker{Addresses: p.brokers, User: superuser.Name, Password: superuser.Password}, p.keys)
}

func (p *parts) stop(ctx context.Context, name string) error {
	switch {
	case name == "postgres" && p.pg != nil:
		s := p.pg
		p.pg = nil
		return s.Stop(ctx)
	case name == "kafka" && p.kafka != nil:
		b := p.kafka
		p.kafka = nil
		return b.Stop()
	case name == "redis" && p.redis != nil:
		p.redis.Stop()
		p.redis = nil
	case name == "sandbox" && p.sandbox != nil:
		s := p.sandbox
		p.sandbox = nil
		return s.stop(ctx)
	}
	return nil
}

func (p *parts) stopAll(ctx context.Context) error {
	var errs []error
	for i := len(partNames) - 1; i >= 0; i-- {
		errs = append(errs, p.stop(ctx, partNames[i]))
	}
	return errors.Join(errs...)
}
