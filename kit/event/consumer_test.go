package event_test

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sendtip/sendtip/kit/event"
	"github.com/sendtip/sendtip/kit/servicetest"
)

const patience = 60 * time.Second

func freePort(t testing.TB) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port
}

// consume runs a consumer until the test ends.
func consume(t testing.TB, brokers []string, pool *pgxpool.Pool, handlers map[string]event.Handler) *event.Consumer {
	t.Helper()
	c := event.NewConsumer(event.ConsumerConfig{
		Broker: event.Broker{Addresses: brokers}, Group: "wallet", Topics: []string{topic}, Pool: pool, MaxBackoff: time.Second,
	}, handlers)
	run(t, c)
	return c
}

// run lets a consumer work until the test ends.
func run(t testing.TB, c *event.Consumer) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("run: %v", err)
			}
		case <-time.After(patience):
			t.Error("the consumer did not end")
		}
	})
}

func publisher(t testing.TB, brokers []string) *event.Publisher {
	t.Helper()
	p := event.NewPublisher(event.Broker{Addresses: brokers})
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func TestConsumerRetriesAndPoisons(t *testing.T) {
	t.Parallel()
	pool := setup(t)
	brokers, _ := broker(t, t.TempDir(), 0)
	var failures atomic.Int64
	failures.Store(2)
	consume(t, brokers, pool, map[string]event.Handler{
		"wallet.happened": func(ctx context.Context, tx pgx.Tx, e event.Event) error {
			switch {
			case string(e.Data) == `"refuse"`:
				return event.Refuse(errors.New("no such wallet"))
			case string(e.Data) == `"panic"` && failures.Add(-1) >= 0:
				panic("broken program")
			case string(e.Data) == `"later"` && failures.Add(-1) >= -2:
				return errors.New("database is away")
			}
			return insertEffect(ctx, tx, e)
		},
	})
	p := publisher(t, brokers)
	var records []event.Record // one key: one partition, in this order
	for _, data := range []string{"first", "panic", "refuse", "later", "last"} {
		record, err := happened(t, "k", data).Record()
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, record)
	}
	garbage := event.Record{ID: records[0].ID, Topic: topic, Key: "k", Value: []byte("not an event")}
	records = append(records[:2:2], append([]event.Record{garbage}, records[2:]...)...)
	for _, err := range p.PublishEach(t.Context(), records) {
		if err != nil {
			t.Fatal(err)
		}
	}
	servicetest.Eventually(t, "the last event",
		func() bool { return count(t, pool, `SELECT count(*) FROM effects WHERE data = '"last"'`) == 1 })
	if got, want := order(t, pool), `"first" "panic" "later" "last" `; got != want {
		t.Fatalf("effects: %s, want %s", got, want)
	}
	dead := deadLetters(t, brokers, 2)
	if string(dead[0].Value) != "not an event" || string(dead[1].Value) != string(records[3].Value) {
		t.Fatalf("dead letters: %q, %q", dead[0].Value, dead[1].Value)
	}
	headers := map[string]string{}
	for _, h := range dead[1].Headers {
		headers[string(h.Key)] = string(h.Value)
	}
	if string(dead[1].Key) != "k" || headers[event.DeadTopicHeader] != topic || headers[event.DeadConsumerHeader] != "wallet:"+topic ||
		headers[event.DeadReasonHeader] == "" {
		t.Fatalf("key %q, headers %v", dead[1].Key, headers)
	}
}

// TestConsumerStopsAtAFailingEvent: an event that could not be applied when its consumer stopped is no dead letter. The next one applies
// it.
func TestConsumerStopsAtAFailingEvent(t *testing.T) {
	t.Parallel()
	pool := setup(t)
	brokers, _ := broker(t, t.TempDir(), 0)
	if err := publisher(t, brokers).Publish(t.Context(), []event.Event{happened(t, "k", "kept")}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	err := event.NewConsumer(event.ConsumerConfig{Broker: event.Broker{Addresses: brokers}, Group: "wallet", Topics: []string{topic},
		Pool: pool},
		map[string]event.Handler{"wallet.happened": func(context.Context, pgx.Tx, event.Event) error {
			stop()
			return errors.New("database is away")
		}}).Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	consume(t, brokers, pool, map[string]event.Handler{"wallet.happened": insertEffect})
	servicetest.Eventually(t, "the event that failed", func() bool { return count(t, pool, `SELECT count(*) FROM effects`) == 1 })
	client, err := sarama.NewClient(brokers, sarama.NewConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	if n, err := client.GetOffset(event.DeadTopic, 0, sarama.OffsetNewest); err != nil || n != 0 {
		t.Errorf("%d dead letters, %v", n, err)
	}
}

func order(t testing.TB, pool *pgxpool.Pool) (all string) {
	t.Helper()
	rows, err := pool.Query(t.Context(), `SELECT data::text FROM effects ORDER BY seq`)
	if err != nil {
		t.Fatal(err)
	}
	var data string
	if _, err := pgx.ForEachRow(rows, []any{&data}, func() error { all += data + " "; return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

func deadLetters(t testing.TB, brokers []string, n int) []*sarama.ConsumerMessage {
	t.Helper()
	cfg := sarama.NewConfig()
	cfg.Version = sarama.V2_8_0_0
	consumer, err := sarama.NewConsumer(brokers, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = consumer.Close() }()
	partition, err := consumer.ConsumePartition(event.DeadTopic, 0, sarama.OffsetOldest)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = partition.Close() }()
	var all []*sarama.ConsumerMessage
	for len(all) < n {
		select {
		case m := <-partition.Messages():
			all = append(all, m)
		case <-time.After(patience):
			t.Fatalf("%d dead letters, want %d", len(all), n)
		}
	}
	return all
}

// TestConsumerOutlivesBroker starts without a broker, gets one, and loses it for a while.
func TestConsumerOutlivesBroker(t *testing.T) {
	t.Parallel()
	pool, dir, port := setup(t), t.TempDir(), freePort(t)
	brokers := []string{net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	c := consume(t, brokers, pool, map[string]event.Handler{"wallet.happened": insertEffect})
	p := publisher(t, brokers)
	if err := p.Publish(t.Context(), []event.Event{happened(t, "k", 0)}); err == nil {
		t.Fatal("published without a broker")
	}
	if err := c.Ready(); err == nil {
		t.Fatal("ready without a broker")
	}
	for n := 1; n <= 2; n++ {
		_, stop := broker(t, dir, port)
		e := happened(t, "k", n)
		servicetest.Eventually(t, "publish", func() bool { return p.Publish(t.Context(), []event.Event{e}) == nil })
		servicetest.Eventually(t, "consume", func() bool { return count(t, pool, `SELECT count(*) FROM effects`) == n })
		servicetest.Eventually(t, "ready", func() bool { return c.Ready() == nil })
		stop()
	}
}

func TestPublishKeepsOrderPerKey(t *testing.T) {
	t.Parallel()
	pool := setup(t)
	brokers, _ := broker(t, t.TempDir(), 0)
	consume(t, brokers, pool, map[string]event.Handler{"wallet.happened": insertEffect})
	var events []event.Event
	for n := range 300 {
		events = append(events, happened(t, "key-"+strconv.Itoa(n%7), n))
	}
	if err := publisher(t, brokers).Publish(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	servicetest.Eventually(t, "all", func() bool { return count(t, pool, `SELECT count(*) FROM effects`) == len(events) })
	if n := count(t, pool, `SELECT count(*) FROM (SELECT data::int < lag(data::int) OVER (PARTITION BY key ORDER BY seq) AS back FROM effects)
		o WHERE back`); n != 0 {
		t.Fatalf("%d effects out of order", n)
	}
}

func TestPublishEachGoesOnWithOtherKeys(t *testing.T) {
	t.Parallel()
	brokers, _ := broker(t, t.TempDir(), 0)
	good, err := happened(t, "good", 1).Record()
	if err != nil {
		t.Fatal(err)
	}
	bad := good
	bad.Topic = "sendtip.missing.v1"
	results := publisher(t, brokers).PublishEach(t.Context(), []event.Record{bad, good, bad})
	if results[0] == nil || results[1] != nil || results[2] == nil {
		t.Fatalf("%v", results)
	}
}

func TestRunRefusesConfigurationThatCannotWork(t *testing.T) {
	t.Parallel()
	pool := setup(t)
	for name, cfg := range map[string]event.ConsumerConfig{
		"no brokers": {Group: "g", Topics: []string{topic}, Pool: pool},
		"no topics":  {Group: "g", Broker: event.Broker{Addresses: []string{"b:1"}}, Pool: pool},
		"no group":   {Topics: []string{topic}, Broker: event.Broker{Addresses: []string{"b:1"}}, Pool: pool},
		"no pool":    {Group: "g", Topics: []string{topic}, Broker: event.Broker{Addresses: []string{"b:1"}}},
	} {
		if err := event.NewConsumer(cfg, nil).Run(t.Context()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
