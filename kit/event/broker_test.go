//go:build !kafka

package event_test

import (
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/sendtip/sendtip/kit/event"
)

// broker runs a Kafka-protocol broker on a port (0 picks one) until the test ends, or stop is called; the folder keeps its data.
func broker(t testing.TB, dir string, port int) (addresses []string, stop func()) {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(port), kfake.DataDir(dir),
		kfake.SeedTopics(6, topic), kfake.SeedTopics(1, event.DeadTopic))
	if err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(cluster.Close)
	t.Cleanup(stop)
	return cluster.ListenAddrs(), stop
}
