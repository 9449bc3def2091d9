package event

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/message"
	"golang.org/x/sync/errgroup"
)

// parallelKeys is how many keys are in flight at once: the client batches them into few requests.
const parallelKeys = 128

var errClosed = errors.New("event: publisher is closed")

// Publisher sends events and waits until all in-sync replicas have them. It connects when first used, and again after a
// failure, so a missing broker fails only the call. It is safe for concurrent use.
type Publisher struct {
	broker Broker

	mu     sync.Mutex
	kafka  *kafka.Publisher    // nil until connected
	bulk   sarama.SyncProducer // nil until connected
	closed bool
}

// NewPublisher returns a publisher; it does not connect yet.
func NewPublisher(b Broker) *Publisher { return &Publisher{broker: b} }

// Publish sends events, keys in parallel and each key in order, and returns the first failure. Services do not call it:
// they append to the outbox.
func (p *Publisher) Publish(ctx context.Context, events []Event) error {
	records := make([]Record, len(events))
	for i, e := range events {
		record, err := e.WithTrace(ctx).Record()
		if err != nil {
			return err
		}
		records[i] = record
	}
	for _, err := range p.PublishEach(ctx, records) {
		if err != nil {
			return err
		}
	}
	return nil
}

// PublishAll sends many events whose order among each other does not matter, and returns the first failure, after which any of them may
// have been sent. It costs a tenth of Publish per event: no goroutine and no wait for each.
func (p *Publisher) PublishAll(ctx context.Context, events []Event) error {
	producer, err := p.connectBulk()
	if err != nil {
		return err
	}
	messages := make([]*sarama.ProducerMessage, len(events))
	for i, e := range events {
		r, err := e.WithTrace(ctx).Record()
		if err != nil {
			return err
		}
		messages[i] = &sarama.ProducerMessage{Topic: r.Topic, Key: sarama.StringEncoder(r.Key), Value: sarama.ByteEncoder(r.Value),
			Headers: []sarama.RecordHeader{{Key: []byte(kafka.UUIDHeaderKey), Value: []byte(r.ID.String())},
				{Key: []byte(contentTypeHeader), Value: []byte(structuredJSON)}}}
	}
	if err := producer.SendMessages(messages); err != nil {
		var failures sarama.ProducerErrors
		if errors.As(err, &failures) && len(failures) > 0 {
			return fmt.Errorf("event: publish: %d of %d failed: %w", len(failures), len(events), failures[0])
		}
		return fmt.Errorf("event: publish: %w", err)
	}
	return nil
}

// PublishEach sends records, keys in parallel and each key in order. The result has one entry per record: nil means
// acknowledged. After a failure the rest of its key is not sent, so that order is kept.
func (p *Publisher) PublishEach(ctx context.Context, records []Record) []error {
	results := make([]error, len(records))
	sender, err := p.connect()
	if err != nil {
		for i := range results {
			results[i] = err
		}
		return results
	}
	var group errgroup.Group
	group.SetLimit(parallelKeys)
	for _, indexes := range byKey(records) {
		group.Go(func() error {
			var failed error
			for _, i := range indexes {
				if failed == nil {
					failed = send(ctx, sender, records[i])
				}
				results[i] = failed
			}
			return nil
		})
	}
	_ = group.Wait() // the goroutines report through results
	return results
}

// Close flushes and disconnects. Later calls fail.
func (p *Publisher) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	var errs []error
	if p.kafka != nil {
		errs = append(errs, p.kafka.Close())
	}
	if p.bulk != nil {
		errs = append(errs, p.bulk.Close())
	}
	p.kafka, p.bulk = nil, nil
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("event: close: %w", err)
	}
	return nil
}

func (p *Publisher) connectBulk() (sarama.SyncProducer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	if p.bulk != nil {
		return p.bulk, nil
	}
	producer, err := sarama.NewSyncProducer(p.broker.Addresses, p.broker.publisherConfig())
	if err != nil {
		return nil, fmt.Errorf("event: connect: %w", err)
	}
	p.bulk = producer
	return producer, nil
}

func (p *Publisher) connect() (*kafka.Publisher, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	if p.kafka != nil {
		return p.kafka, nil
	}
	sender, err := kafka.NewPublisher(kafka.PublisherConfig{
		Brokers: p.broker.Addresses, Marshaler: wire{}, OverwriteSaramaConfig: p.broker.publisherConfig(),
	}, quiet(slog.New(slog.DiscardHandler)))
	if err != nil {
		return nil, fmt.Errorf("event: connect: %w", err)
	}
	p.kafka = sender
	return sender, nil
}

// byKey groups the positions of records by topic and key, in order.
func byKey(records []Record) [][]int {
	type lane struct{ topic, key string }
	lanes, groups := map[lane]int{}, [][]int{}
	for i, r := range records {
		at, known := lanes[lane{r.Topic, r.Key}]
		if !known {
			at = len(groups)
			lanes[lane{r.Topic, r.Key}] = at
			groups = append(groups, nil)
		}
		groups[at] = append(groups[at], i)
	}
	return groups
}

func send(ctx context.Context, sender *kafka.Publisher, r Record) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("event: publish: %w", err)
	}
	msg := message.NewMessage(r.ID.String(), r.Value)
	msg.Metadata.Set(keyMetadata, r.Key)
	msg.Metadata.Set(contentTypeHeader, structuredJSON)
	if err := sender.Publish(r.Topic, msg); err != nil {
		return fmt.Errorf("event: publish to %s: %w", r.Topic, err)
	}
	return nil
}

// deadLetters lets Watermill's poison queue send through a Publisher that connects when needed.
type deadLetters struct{ *Publisher }

// Publish implements message.Publisher.
func (d deadLetters) Publish(topic string, messages ...*message.Message) error {
	sender, err := d.connect()
	if err != nil {
		return err
	}
	return sender.Publish(topic, messages...)
}
