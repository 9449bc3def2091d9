//go:build kafka

package e2e_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sendtip/sendtip/cmd/sendtip/keys"
	"github.com/sendtip/sendtip/cmd/sendtip/platform"
	"github.com/sendtip/sendtip/embedded/apachekafka"
	"github.com/sendtip/sendtip/kit/event"
)

// TestKafkaJourney walks the same journey with Apache Kafka's own broker, whose protocol the embedded one only imitates.
func TestKafkaJourney(t *testing.T) {
	t.Parallel()
	jars := os.Getenv("SENDTIP_KAFKA_JARS")
	if jars == "" {
		jars = filepath.Join(root(), ".cache", "kafka", "lib")
	}
	admin := apachekafka.User{Name: "admin", Password: "admin-password"}
	broker, err := apachekafka.Start(t.Context(), apachekafka.Config{Dir: t.TempDir(), JarDir: jars, Admin: admin})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := broker.Stop(context.Background()); err != nil {
			t.Logf("stop Kafka: %v", err)
		}
	})
	w := start(t, func(o *platform.Options) {
		o.Environ["SENDTIP_KAFKA_BROKERS"], o.Environ["SENDTIP_KAFKA_SASL"] = strings.Join(broker.Brokers(), ","), "true"
		set, err := keys.Init(filepath.Join(o.Dir, "keys"))
		if err != nil {
			t.Fatal(err)
		}
		superuser := event.Broker{Addresses: broker.Brokers(), User: admin.Name, Password: admin.Password}
		if err := platform.ApplyAccess(t.Context(), superuser, set); err != nil { // `sendtip events users`
			t.Fatal(err)
		}
	})
	walk(t, w)
	letters, err := w.p.DeadLetters(t.Context())
	if err != nil || len(letters) != 0 {
		t.Fatalf("dead letters: %+v %v", letters, err)
	}
}
