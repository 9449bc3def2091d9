// Package event owns the envelope of events (CloudEvents 1.0 in JSON) and their way over Kafka: a publisher that keeps the
// order per key, and a consumer that runs each handler once per event, in one transaction with its inbox row.
//
// Delivery is at least once; effects are exactly once, because the inbox row (consumer, event id) commits with them.
// An error of the infrastructure is retried for ever and blocks its partition: order matters more than progress. Only
// what can never succeed (undecodable, or refused by its handler) goes to the dead letters.
package event

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel/propagation"
)

// DeadTopic receives undecodable and refused messages of every consumer.
const DeadTopic = "sendtip.dead.v1"

// TopicPrefix begins every topic of the platform: "sendtip.<service>.v<major>".
const TopicPrefix = "sendtip."

// Headers of a dead letter; its key and value are those of the message that was refused.
const (
	DeadReasonHeader   = middleware.ReasonForPoisonedKey
	DeadTopicHeader    = middleware.PoisonedTopicKey
	DeadConsumerHeader = middleware.PoisonedHandlerKey // "<group>:<topic>"
)

// MaxBytes is the largest encoded event. Events carry ids, not documents.
const MaxBytes = 64 << 10

const (
	specVersion = "1.0"
	contentType = "application/json"
)

// ErrUndecodable is returned for bytes that are not an event of this platform.
var ErrUndecodable = errors.New("event: undecodable")

// Event is one thing that happened. Events of one key keep their order.
type Event struct {
	ID          uuid.UUID       // UUIDv7; consumers drop a second event with the same id
	Type        string          // past tense, "wallet.transfer_completed"
	Topic       string          // "sendtip.wallet.v1"
	Key         string          // id of the aggregate; the CloudEvents subject and the Kafka key
	Time        time.Time       // UTC
	Data        json.RawMessage // payload as in openapi/events.yaml; ids only, never personal data
	TraceParent string          // W3C trace context of the cause, may be empty
}

// Record is an encoded event on its way to Kafka.
type Record struct {
	ID    uuid.UUID
	Time  time.Time // when it happened
	Topic string
	Key   string
	Value []byte
}

// envelope is the JSON form; attribute names are those of CloudEvents 1.0 and its distributed tracing extension.
type envelope struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Subject         string          `json:"subject"`
	Time            time.Time       `json:"time"`
	DataContentType string          `json:"datacontenttype"`
	Data            json.RawMessage `json:"data"`
	TraceParent     string          `json:"traceparent,omitempty"`
}

// New returns an event of something that happened at a time, with a new id. Topics are named "sendtip.<service>.v<major>".
func New(topic, eventType, key string, at time.Time, data any) (Event, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Event{}, fmt.Errorf("event: %w", err)
	}
	payload, err := json.Marshal(data)
	if err != nil {
		return Event{}, fmt.Errorf("event %s: %w", eventType, err)
	}
	e := Event{ID: id, Type: eventType, Topic: topic, Key: key, Time: at.UTC(), Data: payload}
	if err := e.check(); err != nil {
		return Event{}, err
	}
	return e, nil
}

func (e Event) check() error {
	service, _, versioned := strings.Cut(strings.TrimPrefix(e.Topic, TopicPrefix), ".v")
	switch {
	case !strings.HasPrefix(e.Topic, TopicPrefix) || service == "" || !versioned:
		return fmt.Errorf("event %s: topic %q is not sendtip.<service>.v<major>", e.Type, e.Topic)
	case e.Type == "" || e.Key == "" || e.ID == uuid.Nil:
		return errors.New("event: id, type and key are required")
	}
	return nil
}

// Record encodes the event.
func (e Event) Record() (Record, error) {
	if err := e.check(); err != nil {
		return Record{}, err
	}
	service, _, _ := strings.Cut(strings.TrimPrefix(e.Topic, TopicPrefix), ".v")
	value, err := e.encode(service)
	if err != nil {
		return Record{}, fmt.Errorf("event %s: %w", e.Type, err)
	}
	if len(value) > MaxBytes {
		return Record{}, fmt.Errorf("event %s: %d bytes, at most %d", e.Type, len(value), MaxBytes)
	}
	return Record{ID: e.ID, Time: e.Time, Topic: e.Topic, Key: e.Key, Value: value}, nil
}

// encode writes the envelope. Its attributes are ids and names, which need no escapes, and the payload was encoded by New: going through
// the JSON encoder would read all of it once more.
func (e Event) encode(service string) ([]byte, error) {
	if !plain(e.Type) || !plain(e.Key) || !plain(e.TraceParent) || !plain(service) {
		return json.Marshal(envelope{SpecVersion: specVersion, ID: e.ID.String(), Source: "sendtip/" + service, Type: e.Type, Subject: e.Key,
			Time: e.Time.UTC(), DataContentType: contentType, Data: e.Data, TraceParent: e.TraceParent})
	}
	b := make([]byte, 0, len(e.Data)+320)
	b = append(append(b, `{"specversion":"`+specVersion+`","id":"`...), e.ID.String()...)
	b = append(append(b, `","source":"sendtip/`...), service...)
	b = append(append(b, `","type":"`...), e.Type...)
	b = append(append(b, `","subject":"`...), e.Key...)
	b = e.Time.UTC().AppendFormat(append(b, `","time":"`...), time.RFC3339Nano)
	b = append(append(b, `","datacontenttype":"`+contentType+`","data":`...), e.Data...)
	if e.TraceParent != "" {
		b = append(append(append(b, `,"traceparent":"`...), e.TraceParent...), '"')
	}
	return append(b, '}'), nil
}

// plain says that JSON shows the text as it is.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}

// Decode reads an event that was received on a topic. Unknown attributes are ignored: published events only grow.
// Every error is ErrUndecodable and shows nothing of the content.
func Decode(topic string, value []byte) (Event, error) {
	var env envelope
	if err := json.Unmarshal(value, &env); err != nil {
		return Event{}, fmt.Errorf("%w: not a CloudEvent in JSON", ErrUndecodable)
	}
	id, err := uuid.Parse(env.ID)
	if err != nil || id == uuid.Nil {
		return Event{}, fmt.Errorf("%w: id is not a UUID", ErrUndecodable)
	}
	if env.SpecVersion != specVersion || env.Type == "" || env.Subject == "" || len(env.Data) == 0 {
		return Event{}, fmt.Errorf("%w: specversion, type, subject or data", ErrUndecodable)
	}
	return Event{
		ID: id, Type: env.Type, Topic: topic, Key: env.Subject, Time: env.Time.UTC(), Data: env.Data, TraceParent: env.TraceParent,
	}, nil
}

// WithTrace returns the event with the trace context of ctx, unless it has one or ctx has none.
func (e Event) WithTrace(ctx context.Context) Event {
	if e.TraceParent != "" {
		return e
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	e.TraceParent = carrier.Get("traceparent")
	return e
}

// traceContext returns ctx continuing the trace of the event's cause.
func (e Event) traceContext(ctx context.Context) context.Context {
	if e.TraceParent == "" {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": e.TraceParent})
}
