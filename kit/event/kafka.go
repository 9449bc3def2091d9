package event

import (
	"log/slog"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/message"
)

// keyMetadata carries the Kafka key through Watermill's metadata; it is not sent as a header.
const keyMetadata = "sendtip_key"

// wire translates between Watermill and Kafka. Unmarshal never fails: an error there would end the claim, and the same
// message would come back for ever without reaching the dead letters.
type wire struct{ kafka.DefaultMarshaler }

func (w wire) Marshal(topic string, msg *message.Message) (*sarama.ProducerMessage, error) {
	key := msg.Metadata.Get(keyMetadata)
	sent := message.NewMessage(msg.UUID, msg.Payload)
	for name, value := range msg.Metadata {
		if name != keyMetadata && name != kafka.UUIDHeaderKey {
			sent.Metadata.Set(name, value)
		}
	}
	out, err := w.DefaultMarshaler.Marshal(topic, sent)
	if err != nil {
		return nil, err
	}
	if key != "" {
		out.Key = sarama.StringEncoder(key)
	}
	return out, nil
}

func (w wire) Unmarshal(received *sarama.ConsumerMessage) (*message.Message, error) {
	msg, err := w.DefaultMarshaler.Unmarshal(received)
	if err != nil {
		msg = message.NewMessage("", received.Value)
	}
	msg.Metadata.Set(keyMetadata, string(received.Key))
	return msg, nil
}

// baseConfig: 2.8.0 is the protocol version that the development broker, Redpanda and Kafka all speak; topics are
// declared in one file and never created by use.
func baseConfig() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.V2_8_0_0
	c.ClientID = "sendtip"
	c.Metadata.AllowAutoTopicCreation = false
	c.Metadata.Retry.Max = 2
	c.Net.DialTimeout = 3 * time.Second
	c.Net.ReadTimeout = 10 * time.Second
	c.Net.WriteTimeout = 10 * time.Second
	return c
}

func publisherConfig() *sarama.Config {
	c := baseConfig()
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Return.Successes = true
	c.Producer.Timeout = 5 * time.Second
	c.Producer.Retry.Max = 3
	c.Producer.Retry.Backoff = 100 * time.Millisecond
	return c
}

func subscriberConfig() *sarama.Config {
	c := baseConfig()
	c.Net.ReadTimeout = 30 * time.Second             // fetches and joins wait at the broker
	c.Consumer.Offsets.Initial = sarama.OffsetOldest // the default misses what was sent before the first start
	c.Consumer.Offsets.AutoCommit.Enable = true      // a commit per message is a hundred times slower; the inbox drops repeats
	c.Consumer.Return.Errors = true                  // Watermill reads them
	c.Consumer.Group.Rebalance.Timeout = 30 * time.Second
	return c
}

// quiet passes what Watermill says to debug level: its errors are this package's retries, and it reports those itself.
func quiet(log *slog.Logger) watermill.LoggerAdapter {
	return watermill.NewSlogLoggerWithLevelMapping(log, map[slog.Level]slog.Level{
		slog.LevelInfo: slog.LevelDebug, slog.LevelWarn: slog.LevelDebug, slog.LevelError: slog.LevelDebug,
	})
}
