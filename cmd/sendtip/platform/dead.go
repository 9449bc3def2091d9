package platform

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"github.com/sendtip/sendtip/kit/event"
)

// DeadLetter is one message that a consumer refused. Its content is not shown: the log's event id leads to the row.
type DeadLetter struct {
	Partition int32
	Offset    int64
	At        time.Time
	Topic     string // where it was first
	Consumer  string
	Reason    string
	message   *sarama.ConsumerMessage
}

// Name is what the operator calls it by: "partition/offset".
func (l DeadLetter) Name() string { return fmt.Sprintf("%d/%d", l.Partition, l.Offset) }

// DeadLetters reads all of them, as the operator's tool.
func DeadLetters(ctx context.Context, tool event.Broker) ([]DeadLetter, error) {
	client, err := sarama.NewClient(tool.Addresses, tool.Config())
	if err != nil {
		return nil, fmt.Errorf("connect to Kafka: %w", err)
	}
	defer func() { _ = client.Close() }()
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return nil, err
	}
	defer func() { _ = consumer.Close() }()
	partitions, err := client.Partitions(event.DeadTopic)
	if err != nil {
		return nil, fmt.Errorf("%s: %w (run `sendtip events apply`)", event.DeadTopic, err)
	}
	var all []DeadLetter
	for _, n := range partitions {
		messages, err := readPartition(ctx, client, consumer, event.DeadTopic, n)
		if err != nil {
			return nil, err
		}
		for _, m := range messages {
			all = append(all, letter(m))
		}
	}
	slices.SortFunc(all, func(a, b DeadLetter) int { return a.At.Compare(b.At) })
	return all, nil
}

func readPartition(ctx context.Context,
	client sarama.Client, consumer sarama.Consumer, topic string, n int32) ([]*sarama.ConsumerMessage, error) {
	oldest, err := client.GetOffset(topic, n, sarama.OffsetOldest)
	if err != nil {
		return nil, err
	}
	end, err := client.GetOffset(topic, n, sarama.OffsetNewest)
	if err != nil || oldest == end {
		return nil, err
	}
	pc, err := consumer.ConsumePartition(topic, n, oldest)
	if err != nil {
		return nil, err
	}
	defer func() { _ = pc.Close() }()
	var all []*sarama.ConsumerMessage
	for {
		select {
		case m := <-pc.Messages():
			all = append(all, m)
			if m.Offset >= end-1 {
				return all, nil
			}
		case <-ctx.Done():
			return all, ctx.Err()
		}
	}
}

func letter(m *sarama.ConsumerMessage) DeadLetter {
	l := DeadLetter{Partition: m.Partition, Offset: m.Offset, At: m.Timestamp, message: m}
	for _, h := range m.Headers {
		switch string(h.Key) {
		case event.DeadTopicHeader:
			l.Topic = string(h.Value)
		case event.DeadConsumerHeader:
			l.Consumer = string(h.Value)
		case event.DeadReasonHeader:
			l.Reason = string(h.Value)
		}
	}
	return l
}

// ReplayDead sends the named letters ("partition/offset") to their topic again and returns how many were sent.
func ReplayDead(ctx context.Context, tool event.Broker, names []string) (int, error) {
	letters, err := DeadLetters(ctx, tool)
	if err != nil {
		return 0, err
	}
	cfg := tool.Config()
	cfg.Producer.RequiredAcks = sarama.WaitForAll
	cfg.Producer.Return.Successes = true
	producer, err := sarama.NewSyncProducer(tool.Addresses, cfg)
	if err != nil {
		return 0, fmt.Errorf("connect to Kafka: %w", err)
	}
	defer func() { _ = producer.Close() }()
	for sent, name := range names {
		i := slices.IndexFunc(letters, func(l DeadLetter) bool { return l.Name() == name })
		if i < 0 || letters[i].Topic == "" {
			return sent, fmt.Errorf("there is no dead letter %s with a known topic", name)
		}
		out := &sarama.ProducerMessage{Topic: letters[i].Topic, Key: sarama.ByteEncoder(letters[i].message.Key),
			Value: sarama.ByteEncoder(letters[i].message.Value), Headers: letters[i].headers()}
		if _, _, err := producer.SendMessage(out); err != nil {
			return sent, fmt.Errorf("replay %s: %w", name, err)
		}
	}
	return len(names), nil
}

// headers are those of the message as it was before it was refused.
func (l DeadLetter) headers() []sarama.RecordHeader {
	var kept []sarama.RecordHeader
	for _, h := range l.message.Headers {
		if !strings.HasSuffix(string(h.Key), "_poisoned") { // what the consumer noted when it refused it
			kept = append(kept, *h)
		}
	}
	return kept
}
