//go:build kafka

package platform

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/sendtip/sendtip/embedded/apachekafka"
)

// guarded runs Apache Kafka itself, like its twin without the tag: the same tests hold on both.
func guarded(t *testing.T, password string) []string {
	t.Helper()
	jars := os.Getenv("SENDTIP_KAFKA_JARS")
	if jars == "" {
		jars = filepath.Join("..", "..", "..", ".cache", "kafka", "lib")
	}
	b, err := apachekafka.Start(t.Context(),
		apachekafka.Config{Dir: t.TempDir(), JarDir: jars, Admin: apachekafka.User{Name: defaultAdmin, Password: password}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Stop(context.Background()); err != nil {
			t.Logf("stop Kafka: %v", err)
		}
	})
	return b.Brokers()
}
