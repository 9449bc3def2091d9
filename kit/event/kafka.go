package event

import (
	"log/slog"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/message"
)

// keyMetadata carries the Kafka key through Watermill's metadata; it is not sent as a header.
const keyMetadata = "sendtip_key"

// Each message is a CloudEvent in structured mode, and this header says so (CloudEvents Kafka protocol binding 1.0, 3.3).
const (
	contentTypeHeader = "content-type"
	structuredJSON    = "application/cloudevents+json; charset=UTF-8"
)

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

// quiet passes what Watermill says to debug level: its errors are this package's retries, and it reports those itself.
func quiet(log *slog.Logger) watermill.LoggerAdapter {
	return watermill.NewSlogLoggerWithLevelMapping(log, map[slog.Level]slog.Level{
		slog.LevelInfo: slog.LevelDebug, slog.LevelWarn: slog.LevelDebug, slog.LevelError: slog.LevelDebug,
	})
}
