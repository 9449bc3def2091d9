package event

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sendtip/sendtip/kit/clock"
	"github.com/sendtip/sendtip/kit/together"
)

const (
	defaultHandlerTimeout = 30 * time.Second
	defaultMaxBackoff     = 30 * time.Second
	firstBackoff          = 100 * time.Millisecond
	drainTimeout          = 15 * time.Second
	sweepEvery            = time.Hour
	// rejoinGrace is how long a consumer may be outside its group and still count as ready: rebalances take seconds.
	rejoinGrace = 15 * time.Second
)

// ConsumerConfig says what a service listens to.
type ConsumerConfig struct {
	Broker Broker
	Group  string // the service's name; instances with the same group share the partitions
	Topics []string
	Pool   *pgxpool.Pool
	Log    *slog.Logger
	Now    func() time.Time // nil: the real time

	HandlerTimeout time.Duration // one attempt of one handler; 0 means 30 s
	MaxBackoff     time.Duration // the longest wait between attempts; 0 means 30 s
	// Together applies events that arrive at the same time in one transaction; nil applies each alone. Types without a handler do not come.
	Together BatchHandler
}

// Consumer receives events of several topics and dispatches them to handlers by type.
type Consumer struct {
	cfg      ConsumerConfig
	handlers map[string]Handler
	dead     *Publisher
	together *together.Group[Event, struct{}] // nil: each alone

	mu     sync.Mutex
	joined map[string]membership // by topic
}

// membership is whether the consumer is in a topic's group, and since when.
type membership struct {
	sessions int
	ever     bool
	since    time.Time
}

// NewConsumer returns a consumer that does nothing until Run. Handlers are keyed by event type.
func NewConsumer(cfg ConsumerConfig, handlers map[string]Handler) *Consumer {
	if cfg.HandlerTimeout == 0 {
		cfg.HandlerTimeout = defaultHandlerTimeout
	}
	if cfg.MaxBackoff == 0 {
		cfg.MaxBackoff = defaultMaxBackoff
	}
	if cfg.Now == nil {
		cfg.Now = (*clock.Clock)(nil).Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	c := &Consumer{cfg: cfg, handlers: handlers, joined: map[string]membership{}}
	if cfg.Together != nil {
		c.together = newTogether(cfg)
	}
	return c
}

// Run consumes until ctx ends, then drains and returns nil. A missing broker or topic does not end it: it tries again
// with a growing wait. It returns an error only for a configuration that can never work.
func (c *Consumer) Run(ctx context.Context) error {
	if len(c.cfg.Broker.Addresses) == 0 || len(c.cfg.Topics) == 0 || c.cfg.Group == "" || c.cfg.Pool == nil {
		return errors.New("event: a consumer needs a broker, topics, a group and a pool")
	}
	c.dead = NewPublisher(c.cfg.Broker)
	var running sync.WaitGroup
	for _, topic := range c.cfg.Topics {
		running.Go(func() { c.keepConsuming(ctx, topic) })
	}
	running.Go(func() { c.keepSweeping(ctx) })
	running.Wait()
	if err := c.dead.Close(); err != nil {
		c.cfg.Log.WarnContext(ctx, "close dead letters", "err", err)
	}
	return nil
}

// Ready returns nil while every topic's group has this consumer as a member, or had it moments ago.
func (c *Consumer) Ready() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, topic := range c.cfg.Topics {
		m := c.joined[topic]
		if m.sessions > 0 || m.ever && time.Since(m.since) < rejoinGrace {
			continue
		}
		return fmt.Errorf("event: not consuming %s", topic)
	}
	return nil
}

// keepConsuming runs a router of its own for the topic, so that one missing topic does not hold up the others.
func (c *Consumer) keepConsuming(ctx context.Context, topic string) {
	for attempt := 0; ctx.Err() == nil; attempt++ {
		started := time.Now()
		err := c.consume(ctx, topic)
		if ctx.Err() != nil {
			return
		}
		if time.Since(started) > time.Minute {
			attempt = 0 // it worked for a while: this is a new failure
		}
		c.cfg.Log.WarnContext(ctx, "consumer stopped, starting again", "topic", topic, "group", c.cfg.Group, "err", err)
		pause(ctx, backoff(attempt, c.cfg.MaxBackoff))
	}
}

func (c *Consumer) consume(ctx context.Context, topic string) error {
	logger := quiet(c.cfg.Log)
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: drainTimeout}, logger)
	if err != nil {
		return err
	}
	poison, err := middleware.PoisonQueueWithFilter(deadLetters{c.dead}, DeadTopic, IsRefused)
	if err != nil {
		return err
	}
	subscriber, err := kafka.NewSubscriber(kafka.SubscriberConfig{
		Brokers: c.cfg.Broker.Addresses, Unmarshaler: wire{}, OverwriteSaramaConfig: c.cfg.Broker.subscriberConfig(),
		// A group per topic: a rebalance of one topic does not interrupt the others.
		ConsumerGroup:   c.cfg.Group + "." + topic,
		NackResendSleep: time.Second, ReconnectRetrySleep: time.Second,
		Tracer: membershipTracer{consumer: c, topic: topic},
	}, logger)
	if err != nil {
		return err
	}
	defer func() { _ = subscriber.Close() }() // it has nothing to flush that a repeat would not repair
	router.AddMiddleware(c.reportRefusals, poison, c.retry, middleware.Recoverer)
	router.AddConsumerHandler(c.cfg.Group+":"+topic, topic, subscriber, c.receive(topic))
	return router.Run(ctx)
}

// receive is the innermost step: decode and dispatch within the time limit.
func (c *Consumer) receive(topic string) message.NoPublishHandlerFunc {
	return func(msg *message.Message) error {
		e, err := Decode(topic, msg.Payload)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(msg.Context(), c.cfg.HandlerTimeout)
		defer cancel()
		if _, wanted := c.handlers[e.Type]; wanted && c.together != nil {
			if _, err := c.together.Do(ctx, e); err == nil {
				return nil
			}
		}
		return Dispatch(ctx, c.cfg.Pool, c.cfg.Group, c.cfg.Now(), c.handlers, e)
	}
}

// retry repeats a message until it succeeds, is refused, or the consumer stops.
func (c *Consumer) retry(next message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) ([]*message.Message, error) {
		ctx := msg.Context()
		for attempt := 0; ; attempt++ {
			out, err := next(msg)
			if err == nil || IsRefused(err) || ctx.Err() != nil {
				return out, err
			}
			wait := backoff(attempt, c.cfg.MaxBackoff)
			c.cfg.Log.ErrorContext(ctx, "event failed, partition waits", "event", msg.UUID, "group", c.cfg.Group,
				"attempt", attempt+1, "retry_in_ms", wait.Milliseconds(), "err", err)
			pause(ctx, wait)
		}
	}
}

// reportRefusals stands outside the poison queue only to see what it took: a dead letter needs a person.
func (c *Consumer) reportRefusals(next message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) ([]*message.Message, error) {
		out, err := next(msg)
		if reason := msg.Metadata.Get(middleware.ReasonForPoisonedKey); reason != "" && err == nil {
			c.cfg.Log.ErrorContext(msg.Context(), "event sent to the dead letters", "event", msg.UUID,
				"group", c.cfg.Group, "reason", reason)
		}
		return out, err
	}
}

func (c *Consumer) keepSweeping(ctx context.Context) {
	for ctx.Err() == nil {
		pause(ctx, sweepEvery)
		if err := sweepInbox(ctx, c.cfg.Pool, c.cfg.Group, c.cfg.Now()); err != nil && ctx.Err() == nil {
			c.cfg.Log.WarnContext(ctx, "sweep inbox", "err", err)
		}
	}
}

func (c *Consumer) changeSessions(topic string, by int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.joined[topic]
	c.joined[topic] = membership{sessions: m.sessions + by, ever: true, since: time.Now()}
}

// backoff doubles from firstBackoff to limit, with up to a fifth taken off so that instances do not move in step.
func backoff(attempt int, limit time.Duration) time.Duration {
	wait := min(firstBackoff<<min(attempt, 20), limit)
	return wait - time.Duration(rand.Int64N(int64(wait)/5+1))
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// membershipTracer uses Watermill's only door to the consumer group to learn when a session begins and ends.
type membershipTracer struct {
	consumer *Consumer
	topic    string
}

// WrapConsumer implements kafka.SaramaTracer.
func (membershipTracer) WrapConsumer(c sarama.Consumer) sarama.Consumer { return c }

// WrapPartitionConsumer implements kafka.SaramaTracer.
func (membershipTracer) WrapPartitionConsumer(c sarama.PartitionConsumer) sarama.PartitionConsumer {
	return c
}

// WrapSyncProducer implements kafka.SaramaTracer.
func (membershipTracer) WrapSyncProducer(_ *sarama.Config, p sarama.SyncProducer) sarama.SyncProducer {
	return p
}

// WrapConsumerGroupHandler implements kafka.SaramaTracer.
func (t membershipTracer) WrapConsumerGroupHandler(h sarama.ConsumerGroupHandler) sarama.ConsumerGroupHandler {
	return membershipHandler{ConsumerGroupHandler: h, tracer: t}
}

type membershipHandler struct {
	sarama.ConsumerGroupHandler
	tracer membershipTracer
}

// Setup implements sarama.ConsumerGroupHandler.
func (h membershipHandler) Setup(s sarama.ConsumerGroupSession) error {
	h.tracer.consumer.changeSessions(h.tracer.topic, 1)
	return h.ConsumerGroupHandler.Setup(s)
}

// Cleanup implements sarama.ConsumerGroupHandler.
func (h membershipHandler) Cleanup(s sarama.ConsumerGroupSession) error {
	h.tracer.consumer.changeSessions(h.tracer.topic, -1)
	return h.ConsumerGroupHandler.Cleanup(s)
}
