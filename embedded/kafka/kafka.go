//go:build unix

// Package kafka runs a Kafka-protocol broker inside this process, for development. Its records, topics and
// group offsets are kept in a folder and survive a restart and kill -9 (not a crash of the machine).
package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/sendtip/sendtip/embedded/filelock"
	"github.com/sendtip/sendtip/embedded/internal/pulse"
)

// ErrRunning says that another process already runs the broker of this folder.
var ErrRunning = errors.New("the embedded Kafka broker is already running for this folder")

const (
	lockFile      = "owner.lock"
	lockPatience  = time.Second
	createTimeout = 30 * time.Second
)

// Topic is a topic that must exist.
type Topic struct {
	Name       string
	Partitions int32
}

// Config says where and how to run the broker.
type Config struct {
	// Dir is the folder of the installation (.sendtip); the broker's data lives in Dir/kafka.
	Dir string
	// Port on the loopback interface; 0 picks a free one.
	Port int
	// Topics that must exist; those that are missing are created. The broker never creates a topic because
	// somebody uses it: such a topic is lost on a crash with all its records, and it hides a forgotten one.
	Topics []Topic
	// Admin is the superuser. With one, whoever connects must say who it is (SASL SCRAM-SHA-512), and may do only what the superuser has
	// granted over the protocol since the start: users and grants of earlier runs are forgotten. Without one the broker is open.
	Admin User
}

// User is a name and its password.
type User struct{ Name, Password string }

// Broker is a running broker.
type Broker struct {
	cluster *kfake.Cluster
	lock    *filelock.Lock
	stop    chan struct{}
	done    <-chan struct{}
	once    sync.Once
}

// apiVersions asks which requests the broker knows (version 0, no client id); it is answered before anybody has said who it is.
var apiVersions = []byte{0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff}

// Start runs one broker and returns when every topic of cfg exists.
func Start(ctx context.Context, cfg Config) (*Broker, error) {
	dir := filepath.Join(cfg.Dir, "kafka")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the folder for Kafka: %w", err)
	}
	lock, err := claim(ctx, dir)
	if err != nil {
		return nil, err
	}
	if err := checkPort(cfg.Port); err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	cluster, err := open(cfg, filepath.Join(dir, "data"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the embedded Kafka broker on %s: %w; if the data is damaged, "+
			"remove the folder (events not yet consumed are lost), or give brokers in SENDTIP_KAFKA_BROKERS", dir, err), lock.Release())
	}
	broker := &Broker{cluster: cluster, lock: lock, stop: make(chan struct{})}
	broker.done = pulse.Watch(broker.stop, broker.Brokers()[0], apiVersions)
	if err := broker.createMissing(ctx, cfg); err != nil {
		return nil, errors.Join(err, broker.Stop())
	}
	return broker, nil
}

// open starts the broker on its data. What it kept of users and grants would win over what is configured now, so that goes first.
func open(cfg Config, data string) (*kfake.Cluster, error) {
	for _, kept := range []string{"sasl.json", "acls.json"} {
		if err := os.Remove(filepath.Join(data, kept)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	options := []kfake.Opt{kfake.Ports(cfg.Port), kfake.DataDir(data)}
	if cfg.Admin.Name != "" {
		options = append(options, kfake.EnableSASL(), kfake.EnableACLs(), kfake.Superuser("SCRAM-SHA-512", cfg.Admin.Name, cfg.Admin.Password))
	}
	return kfake.NewCluster(options...)
}

// Brokers is the list for SENDTIP_KAFKA_BROKERS.
func (b *Broker) Brokers() []string { return b.cluster.ListenAddrs() }

// Done is closed when the broker was stopped or does not answer any more.
func (b *Broker) Done() <-chan struct{} { return b.done }

// Stop writes everything to disk and ends the broker.
func (b *Broker) Stop() error {
	b.once.Do(func() { close(b.stop) })
	b.cluster.Close()
	if err := b.lock.Release(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil // stopped twice
}

// Remove deletes the broker's records, topics and offsets of an installation's folder. It refuses while a process runs the broker,
// follows no link, and leaves whatever it did not make, with the folder around it.
func Remove(ctx context.Context, installation string) error {
	dir := filepath.Join(installation, "kafka")
	info, err := os.Lstat(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil || !info.IsDir() {
		return errors.Join(err, fmt.Errorf("%s is no folder of the embedded Kafka broker: it stays", dir))
	}
	lock, err := claim(ctx, dir)
	if err != nil {
		return err
	}
	err = errors.Join(os.RemoveAll(filepath.Join(dir, "data")), os.Remove(filepath.Join(dir, lockFile)), lock.Release())
	if left, readErr := os.ReadDir(dir); readErr == nil && len(left) == 0 {
		err = errors.Join(err, os.Remove(dir))
	}
	return err
}

// createMissing goes through the protocol, because the broker honours its list of seed topics only on an
// empty folder. A topic created so is on disk before the answer; partitions of existing topics are left alone.
func (b *Broker) createMissing(ctx context.Context, cfg Config) error {
	if len(cfg.Topics) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	options := []kgo.Opt{kgo.SeedBrokers(b.Brokers()...)}
	if cfg.Admin.Name != "" {
		options = append(options, kgo.SASL(scram.Auth{User: cfg.Admin.Name, Pass: cfg.Admin.Password}.AsSha512Mechanism()))
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return err
	}
	defer client.Close()
	request := kmsg.NewPtrCreateTopicsRequest()
	request.TimeoutMillis = int32(createTimeout / time.Millisecond)
	for _, topic := range cfg.Topics {
		wanted := kmsg.NewCreateTopicsRequestTopic()
		wanted.Topic, wanted.NumPartitions, wanted.ReplicationFactor = topic.Name, topic.Partitions, 1
		request.Topics = append(request.Topics, wanted)
	}
	response, err := request.RequestWith(ctx, client)
	if err != nil {
		return fmt.Errorf("create topics: %w", err)
	}
	for _, topic := range response.Topics {
		err := kerr.ErrorForCode(topic.ErrorCode)
		if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			return fmt.Errorf("create topic %s: %w", topic.Topic, err)
		}
	}
	return nil
}

func claim(ctx context.Context, dir string) (*filelock.Lock, error) {
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	lock, err := filelock.Acquire(ctx, filepath.Join(dir, lockFile))
	if errors.Is(err, filelock.ErrHeld) {
		return nil, fmt.Errorf("%w (%s): stop the other process first", ErrRunning, dir)
	}
	return lock, err
}

func checkPort(port int) error {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("the embedded Kafka broker cannot use port %d: %w; stop the program that uses the port, "+
			"or set SENDTIP_PORT_BASE, or give brokers in SENDTIP_KAFKA_BROKERS", port, err)
	}
	return listener.Close()
}
