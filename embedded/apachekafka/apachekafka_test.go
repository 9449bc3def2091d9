//go:build kafka

package apachekafka_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/sendtip/sendtip/embedded/apachekafka"
)

func jarDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("SENDTIP_KAFKA_JARS")
	if dir == "" {
		dir = "../../.cache/kafka/lib"
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

func begin(t *testing.T, dir string) *apachekafka.Broker {
	t.Helper()
	broker, err := apachekafka.Start(t.Context(), apachekafka.Config{Dir: dir, JarDir: jarDir(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, broker) })
	return broker
}

func stop(t *testing.T, broker *apachekafka.Broker) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := broker.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func TestServesAndKeepsRecords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	broker := begin(t, dir)
	if _, err := apachekafka.Start(t.Context(), apachekafka.Config{Dir: dir, JarDir: jarDir(t)}); !errors.Is(err, apachekafka.ErrRunning) {
		t.Fatalf("second start: %v, want ErrRunning", err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(broker.Brokers()...), kgo.AllowAutoTopicCreation(), kgo.UnknownTopicRetries(0))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	err = client.ProduceSync(t.Context(), &kgo.Record{Topic: "forgotten", Value: []byte("x")}).FirstErr()
	if !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Fatalf("produce to a topic that nobody created: %v", err)
	}
	create := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "kept", 1, 1
	create.Topics = append(create.Topics, topic)
	created, err := create.RequestWith(t.Context(), client)
	if err == nil {
		err = kerr.ErrorForCode(created.Topics[0].ErrorCode)
	}
	if err != nil {
		t.Fatal(err)
	}
	producer, err := kgo.NewClient(kgo.SeedBrokers(broker.Brokers()...))
	if err != nil {
		t.Fatal(err)
	}
	if err := producer.ProduceSync(t.Context(), &kgo.Record{Topic: "kept", Value: []byte("here")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	producer.Close()
	stop(t, broker)

	again := begin(t, dir)
	reader, err := kgo.NewClient(kgo.SeedBrokers(again.Brokers()...), kgo.ConsumerGroup("g"), kgo.ConsumeTopics("kept"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	for {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			t.Fatal(err)
		}
		if records := fetches.Records(); len(records) > 0 {
			if string(records[0].Value) != "here" {
				t.Fatalf("record = %q", records[0].Value)
			}
			return
		}
	}
}

func TestMissingJarsNameTheScript(t *testing.T) {
	t.Parallel()
	_, err := apachekafka.Start(t.Context(), apachekafka.Config{Dir: t.TempDir(), JarDir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "scripts/fetch-kafka.sh") {
		t.Fatalf("error = %v", err)
	}
}
