package event_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"

	"github.com/sendtip/sendtip/kit/event"
)

const topic = "sendtip.wallet.v1"

// happened is an event of the test's own kind.
func happened(t testing.TB, key string, data any) event.Event {
	t.Helper()
	e, err := event.New(topic, "wallet.happened", key, time.Now(), data)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestRecordIsACloudEvent(t *testing.T) {
	t.Parallel()
	e := happened(t, "wallet-1", map[string]int{"n": 7})
	e.TraceParent = "00-01000000000000000000000000000000-0200000000000000-01"
	record, err := e.Record()
	if err != nil {
		t.Fatal(err)
	}
	if record.ID != e.ID || record.Topic != topic || record.Key != "wallet-1" || e.ID.Version() != 7 {
		t.Fatalf("%+v", record)
	}
	var got map[string]any
	if err := json.Unmarshal(record.Value, &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"specversion": "1.0", "id": e.ID.String(), "source": "sendtip/wallet", "type": "wallet.happened", "subject": "wallet-1",
		"datacontenttype": "application/json", "traceparent": e.TraceParent,
	} {
		if got[name] != want {
			t.Errorf("%s: got %v, want %v", name, got[name], want)
		}
	}
	if at, _ := got["time"].(string); !strings.HasSuffix(at, "Z") {
		t.Errorf("time is not UTC: %v", got["time"])
	}
	back, err := event.Decode(topic, record.Value)
	if err != nil || !back.Time.Equal(e.Time) || string(back.Data) != `{"n":7}` || back.ID != e.ID || back.Key != e.Key ||
		back.Type != e.Type || back.Topic != e.Topic || back.TraceParent != e.TraceParent {
		t.Fatalf("got %+v %v, want %+v", back, err, e)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"no key":           second(event.New(topic, "wallet.happened", "", time.Now(), 1)),
		"no type":          second(event.New(topic, "", "k", time.Now(), 1)),
		"foreign topic":    second(event.New("wallet.v1", "wallet.happened", "k", time.Now(), 1)),
		"no version":       second(event.New("sendtip.wallet", "wallet.happened", "k", time.Now(), 1)),
		"data is not JSON": second(event.New(topic, "wallet.happened", "k", time.Now(), func() {})),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := happened(t, "k", strings.Repeat("x", event.MaxBytes)).Record(); err == nil {
		t.Error("too large: accepted")
	}
}

func second(_ event.Event, err error) error { return err }

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	valid, err := happened(t, "k", 1).Record()
	if err != nil {
		t.Fatal(err)
	}
	without := func(name string) []byte {
		var m map[string]any
		if err := json.Unmarshal(valid.Value, &m); err != nil {
			t.Fatal(err)
		}
		delete(m, name)
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, value := range map[string][]byte{
		"tombstone": nil, "not JSON": []byte("0712345678"), "array": []byte("[]"), "another version": []byte(`{"specversion":"0.3"}`),
		"nil id": []byte(strings.Replace(string(valid.Value), valid.ID.String(), uuid.Nil.String(), 1)),
		"no id":  without("id"), "no type": without("type"), "no subject": without("subject"), "no data": without("data"),
	} {
		_, err := event.Decode(topic, value)
		if !errors.Is(err, event.ErrUndecodable) || !event.IsRefused(err) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "0712345678") {
			t.Errorf("%s: shows the content: %v", name, err)
		}
	}
	grown := []byte(strings.Replace(string(valid.Value), "{", `{"later":{"added":1},`, 1))
	if _, err := event.Decode(topic, grown); err != nil {
		t.Errorf("an unknown attribute must be ignored: %v", err)
	}
}

func TestWithTrace(t *testing.T) {
	t.Parallel()
	e := happened(t, "k", 1)
	if got := e.WithTrace(t.Context()).TraceParent; got != "" {
		t.Fatalf("no span, but %q", got)
	}
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: 1})
	e = e.WithTrace(trace.ContextWithSpanContext(t.Context(), span))
	if want := "00-01000000000000000000000000000000-0200000000000000-01"; e.TraceParent != want {
		t.Fatalf("got %q", e.TraceParent)
	}
	other := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{9}, SpanID: trace.SpanID{9}, TraceFlags: 1})
	if again := e.WithTrace(trace.ContextWithSpanContext(t.Context(), other)); again.TraceParent != e.TraceParent {
		t.Fatal("the first cause must stay")
	}
}
