package platform

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/IBM/sarama"
)

const deadTopic = "sendtip.dead.v1"

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

// DeadLetters reads all of them.
func DeadLetters(ctx context.Context, brokers []string) ([]DeadLetter, error) {
	client, err := sarama.NewClient(brokers, toolConfig())
	if err != nil {
		return nil, fmt.Errorf("connect to Kafka: %w", err)
	}
	defer func() { _ = client.Close() }()
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return nil, err
	}
	defer func() { _ = consumer.Close() }()
	partitions, err := client.Partitions(deadTopic)
	if err != nil {
		return nil, fmt.Errorf("%s: %w (run `sendtip events apply`)", deadTopic, err)
	}
	var all []DeadLetter
	for _, n := range partitions {
		letters, err := readPartition(ctx, client, consumer, n)
		if err != nil {
			return nil, err
		}
		all = append(all, letters...)
	}
	slices.SortFunc(all, func(a, b DeadLetter) int { return a.At.Compare(b.At) })
	return all, nil
}

func readPartition(ctx context.Context, client sarama.Client, consumer sarama.Consumer, n int32) ([]DeadLetter, error) {
	oldest, err := client.GetOffset(deadTopic, n, sarama.OffsetOldest)
	if err != nil {
		return nil, err
	}
	end, err := client.GetOffset(deadTopic, n, sarama.OffsetNewest)
	if err != nil || oldest == end {
		return nil, err
	}
	pc, err := consumer.ConsumePartition(deadTopic, n, oldest)
	if err != nil {
		return nil, err
	}
	defer func() { _ = pc.Close() }()
	var letters []DeadLetter
	for {
		select {
		case m := <-pc.Messages():
			letters = append(letters, letter(m))
			if m.Offset >= end-1 {
				return letters, nil
			}
		case <-ctx.Done():
			return letters, ctx.Err()
		}
	}
}

func letter(m *sarama.ConsumerMessage) DeadLetter {
	l := DeadLetter{Partition: m.Partition, Offset: m.Offset, At: m.Timestamp, message: m}
	for _, h := range m.Headers {
		switch string(h.Key) {
		case "topic_poisoned":
			l.Topic = string(h.Value)
		case "handler_poisoned":
			l.Consumer = string(h.Value)
		case "reason_poisoned":
			l.Reason = string(h.Value)
		}
	}
	return l
}

// ReplayDead sends the named letters ("partition/offset") to their topic again and returns how many were sent.
func ReplayDead(ctx context.Context, brokers []string, names []string) (int, error) {
	letters, err := DeadLetters(ctx, brokers)
	if err != nil {
		return 0, err
	}
	cfg := toolConfig()
	cfg.Producer.RequiredAcks = sarama.WaitForAll
	cfg.Producer.Return.Successes = true
	producer, err := sarama.NewSyncProducer(brokers, cfg)
	if err != nil {
		return 0, fmt.Errorf("connect to Kafka: %w", err)
	}
	defer func() { _ = producer.Close() }()
	for sent, name := range names {
		i := slices.IndexFunc(letters, func(l DeadLetter) bool { return fmt.Sprintf("%d/%d", l.Partition, l.Offset) == name })
		if i < 0 || letters[i].Topic == "" {
			return sent, fmt.Errorf("there is no dead letter %s with a known topic", name)
		}
		out := &sarama.ProducerMessage{Topic: letters[i].Topic, Key: sarama.ByteEncoder(letters[i].message.Key), Value: sarama.ByteEncoder(letters[i].message.Value)}
		if _, _, err := producer.SendMessage(out); err != nil {
			return sent, fmt.Errorf("replay %s: %w", name, err)
		}
	}
	return len(names), nil
}

func toolConfig() *sarama.Config {
	cfg := sarama.NewConfig()
	cfg.Version = sarama.V2_8_0_0
	cfg.ClientID = "sendtip-tool"
	cfg.Metadata.AllowAutoTopicCreation = false
	return cfg
}
