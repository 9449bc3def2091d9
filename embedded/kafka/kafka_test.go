package kafka_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sendtip/sendtip/embedded/kafka"
)

// childEnv makes the test binary run a broker on the folder that it names until it is killed.
const childEnv = "SENDTIP_TEST_KAFKA_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		broker, err := kafka.Start(context.Background(), kafka.Config{Dir: dir, Topics: topics("old", "new")})
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println("ready", broker.Brokers()[0])
		select {}
	}
	os.Exit(m.Run())
}

func topics(names ...string) []kafka.Topic {
	list := make([]kafka.Topic, 0, len(names))
	for _, name := range names {
		list = append(list, kafka.Topic{Name: name, Partitions: 3})
	}
	return list
}

func begin(t *testing.T, cfg kafka.Config) *kafka.Broker {
	t.Helper()
	broker, err := kafka.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, broker) })
	return broker
}

func stop(t *testing.T, broker *kafka.Broker) {
	t.Helper()
	if err := broker.Stop(); err != nil {
		t.Error(err)
	}
}

func client(t *testing.T, address string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(address)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func produce(t *testing.T, address, topic string, from, to int) {
	t.Helper()
	c := client(t, address)
	for i := from; i < to; i++ {
		record := &kgo.Record{Topic: topic, Key: []byte(strconv.Itoa(i)), Value: []byte(strconv.Itoa(i))}
		if err := c.ProduceSync(t.Context(), record).FirstErr(); err != nil {
			t.Fatalf("produce %d: %v", i, err)
		}
	}
}

// consume reads n records of a topic in a group, commits, and returns how often each value came.
func consume(t *testing.T, address, group, topic string, n int) map[string]int {
	t.Helper()
	c := client(t, address, kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	seen, count := map[string]int{}, 0
	for count < n {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			t.Fatalf("got %d of %d records: %v", count, n, err)
		}
		fetches.EachRecord(func(r *kgo.Record) { seen[string(r.Value)]++; count++ })
	}
	if err := c.CommitUncommittedOffsets(ctx); err != nil {
		t.Fatal(err)
	}
	c.Close()
	return seen
}

func wantEach(t *testing.T, seen map[string]int, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		if seen[strconv.Itoa(i)] != 1 {
			t.Errorf("record %d came %d times", i, seen[strconv.Itoa(i)])
		}
	}
	if len(seen) != to-from {
		t.Errorf("%d different records, want %d", len(seen), to-from)
	}
}

func TestRestartKeepsRecordsAndOffsets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := begin(t, kafka.Config{Dir: dir, Topics: topics("old")})
	if _, err := kafka.Start(t.Context(), kafka.Config{Dir: dir}); !errors.Is(err, kafka.ErrRunning) {
		t.Fatalf("second start: %v, want ErrRunning", err)
	}
	produce(t, first.Brokers()[0], "old", 0, 20)
	wantEach(t, consume(t, first.Brokers()[0], "g", "old", 20), 0, 20)
	produce(t, first.Brokers()[0], "old", 20, 30)
	stop(t, first)

	second := begin(t, kafka.Config{Dir: dir, Topics: topics("old", "new")})
	address := second.Brokers()[0]
	wantEach(t, consume(t, address, "g", "old", 10), 20, 30)    // the group goes on where it was
	wantEach(t, consume(t, address, "fresh", "old", 30), 0, 30) // a new group reads all
	produce(t, address, "new", 0, 5)                            // a topic of the later start
	wantEach(t, consume(t, address, "g-new", "new", 5), 0, 5)
}

func TestKillNineKeepsAcknowledgedRecords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stop(t, begin(t, kafka.Config{Dir: dir, Topics: topics("old")})) // so that the child has to create "new"
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "ready ")
	if !ok {
		t.Fatalf("child: %q %v", line, err)
	}
	produce(t, address, "old", 0, 20)
	produce(t, address, "new", 0, 20)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it says "killed"
	broker := begin(t, kafka.Config{Dir: dir, Topics: topics("old", "new")})
	wantEach(t, consume(t, broker.Brokers()[0], "g", "old", 20), 0, 20)
	wantEach(t, consume(t, broker.Brokers()[0], "g", "new", 20), 0, 20)
}

func TestUnknownTopicIsNotCreated(t *testing.T) {
	t.Parallel()
	broker := begin(t, kafka.Config{Dir: t.TempDir(), Topics: topics("old")})
	c := client(t, broker.Brokers()[0], kgo.AllowAutoTopicCreation(), kgo.UnknownTopicRetries(0))
	err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "forgotten", Value: []byte("x")}).FirstErr()
	if !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Fatalf("produce to a topic that nobody declared: %v", err)
	}
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	port := listener.Addr().(*net.TCPAddr).Port
	dir := t.TempDir()
	_, err = kafka.Start(t.Context(), kafka.Config{Dir: dir, Port: port})
	if err == nil || !strings.Contains(err.Error(), "port "+strconv.Itoa(port)) || !strings.Contains(err.Error(), "SENDTIP_PORT_BASE") {
		t.Fatalf("the error names neither the port nor what to do: %v", err)
	}
	begin(t, kafka.Config{Dir: dir})
}
