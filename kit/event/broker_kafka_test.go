//go:build kafka

package event_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/IBM/sarama"

	"github.com/sendtip/sendtip/embedded/apachekafka"
	"github.com/sendtip/sendtip/kit/event"
)

// broker runs Apache Kafka itself, like its twin without the tag: the same tests hold on both.
func broker(t testing.TB, dir string, port int) (addresses []string, stop func()) {
	t.Helper()
	jars := os.Getenv("SENDTIP_KAFKA_JARS")
	if jars == "" {
		_, file, _, _ := runtime.Caller(0)
		jars = filepath.Join(filepath.Dir(file), "..", "..", ".cache", "kafka", "lib")
	}
	b, err := apachekafka.Start(context.Background(), apachekafka.Config{Dir: dir, Port: port, JarDir: jars})
	if err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		if err := b.Stop(context.Background()); err != nil {
			t.Errorf("stop Kafka: %v", err)
		}
	})
	t.Cleanup(stop)
	cfg := sarama.NewConfig()
	cfg.Version = sarama.V2_8_0_0
	admin, err := sarama.NewClusterAdmin(b.Brokers(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close() }()
	for name, partitions := range map[string]int32{topic: 6, event.DeadTopic: 1} {
		err := admin.CreateTopic(name, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1}, false)
		if err != nil && !errors.Is(err, sarama.ErrTopicAlreadyExists) {
			t.Fatal(err)
		}
	}
	return b.Brokers(), stop
}
