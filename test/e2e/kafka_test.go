//go:build kafka

package e2e_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sendtip/sendtip/cmd/sendtip/platform"
	"github.com/sendtip/sendtip/embedded/apachekafka"
)

// TestKafkaJourney walks the same journey with Apache Kafka's own broker, whose protocol the embedded one only imitates.
func TestKafkaJourney(t *testing.T) {
	t.Parallel()
	jars := os.Getenv("SENDTIP_KAFKA_JARS")
	if jars == "" {
		jars = filepath.Join(root(), ".cache", "kafka", "lib")
	}
	broker, err := apachekafka.Start(t.Context(), apachekafka.Config{Dir: t.TempDir(), JarDir: jars})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := broker.Stop(context.Background()); err != nil {
			t.Logf("stop Kafka: %v", err)
		}
	})
	w := start(t, func(o *platform.Options) { o.Environ["SENDTIP_KAFKA_BROKERS"] = strings.Join(broker.Brokers(), ",") })
	walk(t, w)
	letters, err := platform.DeadLetters(t.Context(), w.p.Brokers())
	if err != nil || len(letters) != 0 {
		t.Fatalf("dead letters: %+v %v", letters, err)
	}
}
