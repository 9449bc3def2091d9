//go:build unix

// Package apachekafka runs Apache Kafka's own broker from its published Java artifacts, so that tests can prove
// the event code against the real thing. The development broker is package kafka.
package apachekafka

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/sendtip/sendtip/embedded/filelock"
	"github.com/sendtip/sendtip/embedded/internal/child"
)

// ErrRunning says that another process already runs the broker of this folder.
var ErrRunning = errors.New("Apache Kafka is already running for this folder")

const (
	readyTimeout = 90 * time.Second // the Java machine on a busy computer
	logTailBytes = 1500
)

// Config says where and how to run the broker.
type Config struct {
	// Dir holds the broker's data, settings and log. It is kept.
	Dir string
	// Port on the loopback interface; 0 picks a free one.
	Port int
	// JarDir holds the jars that scripts/fetch-kafka.sh downloads.
	JarDir string
	// Admin is the superuser. With one, whoever connects must say who it is (SASL SCRAM-SHA-512), and may do only what is granted to it
	// (Kafka's StandardAuthorizer). Without one the broker is open. It is fixed when the folder is made.
	Admin User
}

// User is a name and its password.
type User struct{ Name, Password string }

// Broker is a running broker.
type Broker struct {
	process *child.Process
	lock    *filelock.Lock
	address string
}

// Start runs a single node (KRaft: broker and controller in one) and returns when it answers. Topics are never
// created by use.
func Start(ctx context.Context, cfg Config) (*Broker, error) {
	jars, err := filepath.Glob(filepath.Join(cfg.JarDir, "kafka_*.jar"))
	if err != nil || len(jars) == 0 {
		return nil, fmt.Errorf("no Apache Kafka in %q: run scripts/fetch-kafka.sh", cfg.JarDir)
	}
	java, err := exec.LookPath("java")
	if err != nil {
		return nil, fmt.Errorf("%w: run scripts/fetch-kafka.sh as root, or install Java 17", err)
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := filelock.Try(filepath.Join(cfg.Dir, "owner.lock"))
	if errors.Is(err, filelock.ErrHeld) {
		return nil, fmt.Errorf("%w (%s): stop the other process first", ErrRunning, cfg.Dir)
	}
	if err != nil {
		return nil, err
	}
	broker, err := start(ctx, cfg, java)
	if err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	broker.lock = lock
	return broker, nil
}

func start(ctx context.Context, cfg Config, java string) (*Broker, error) {
	address, err := freeAddress(cfg.Port)
	if err != nil {
		return nil, err
	}
	controller, err := freeAddress(0)
	if err != nil {
		return nil, err
	}
	if err := configure(ctx, cfg, java, address, controller); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(logFile(cfg), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the broker has its own copy
	// The broker's life is not bound to the context of Start.
	cmd := command(context.Background(), cfg, java, "kafka.Kafka", propertiesFile(cfg))
	cmd.Stdout, cmd.Stderr = log, log
	process, err := child.Start(cmd, syscall.SIGTERM)
	if err != nil {
		return nil, err
	}
	broker := &Broker{process: process, address: address}
	if err := broker.waitReady(ctx, cfg.Admin); err != nil {
		process.Kill()
		return nil, fmt.Errorf("%w: %s", err, logTail(cfg))
	}
	return broker, nil
}

// Brokers is the list for SENDTIP_KAFKA_BROKERS.
func (b *Broker) Brokers() []string { return []string{b.address} }

// Done is closed when the broker has ended, asked or not.
func (b *Broker) Done() <-chan struct{} { return b.process.Done() }

// Stop shuts the broker down; if ctx ends first, it is killed.
func (b *Broker) Stop(ctx context.Context) error {
	err := b.process.Stop(ctx, syscall.SIGTERM)
	if released := b.lock.Release(); !errors.Is(released, os.ErrClosed) {
		err = errors.Join(err, released)
	}
	return err
}

func (b *Broker) waitReady(ctx context.Context, admin User) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	options := []kgo.Opt{kgo.SeedBrokers(b.address)}
	if admin.Name != "" {
		options = append(options, kgo.SASL(scram.Auth{User: admin.Name, Pass: admin.Password}.AsSha512Mechanism()))
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return err
	}
	defer client.Close()
	for {
		if err := client.Ping(ctx); err == nil {
			return nil
		}
		select {
		case <-b.process.Done():
			return fmt.Errorf("Apache Kafka ended while starting: %w", b.process.Err())
		case <-ctx.Done():
			return fmt.Errorf("Apache Kafka does not answer on %s: %w", b.address, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// configure writes the settings and formats the storage once.
func configure(ctx context.Context, cfg Config, java, address, controller string) error {
	data := filepath.Join(cfg.Dir, "data")
	properties := strings.Join(append([]string{
		"process.roles=broker,controller",
		"node.id=1",
		"controller.quorum.voters=1@" + controller,
		"listeners=CLIENTS://" + address + ",CONTROLLER://" + controller,
		"advertised.listeners=CLIENTS://" + address,
		"inter.broker.listener.name=CLIENTS",
		"controller.listener.names=CONTROLLER",
		"log.dirs=" + data,
		"offsets.topic.num.partitions=4",
		"offsets.topic.replication.factor=1",
		"transaction.state.log.num.partitions=4",
		"transaction.state.log.replication.factor=1",
		"transaction.state.log.min.isr=1",
		"auto.create.topics.enable=false",
		"group.initial.rebalance.delay.ms=0",
	}, access(cfg.Admin)...), "\n") + "\n"
	logging := "log4j.rootLogger=WARN, out\nlog4j.appender.out=org.apache.log4j.ConsoleAppender\n" +
		"log4j.appender.out.layout=org.apache.log4j.PatternLayout\nlog4j.appender.out.layout.ConversionPattern=%d %p %m (%c)%n\n"
	if err := errors.Join(
		os.WriteFile(propertiesFile(cfg), []byte(properties), 0o600),
		os.WriteFile(loggingFile(cfg), []byte(logging), 0o600),
	); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(data, "meta.properties")); err == nil {
		return nil
	}
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	cluster := base64.RawURLEncoding.EncodeToString(id)
	// The equals sign keeps an id that begins with a dash from being taken for an option.
	format := []string{"format", "--cluster-id=" + cluster, "--config", propertiesFile(cfg), "--ignore-formatted"}
	if cfg.Admin.Name != "" {
		format = append(format, "--add-scram", "SCRAM-SHA-512=[name="+cfg.Admin.Name+",password="+cfg.Admin.Password+"]")
	}
	output, err := command(ctx, cfg, java, "kafka.tools.StorageTool", format...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("format the storage of Apache Kafka: %w: %s", err, output)
	}
	return nil
}

// access are the settings that say who may connect. The controller's port is its own and the node's: nobody is named there.
func access(admin User) []string {
	if admin.Name == "" {
		return []string{"listener.security.protocol.map=CONTROLLER:PLAINTEXT,CLIENTS:PLAINTEXT"}
	}
	return []string{
		"listener.security.protocol.map=CONTROLLER:PLAINTEXT,CLIENTS:SASL_PLAINTEXT",
		"sasl.enabled.mechanisms=SCRAM-SHA-512",
		"sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512",
		`listener.name.clients.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="` +
			admin.Name + `" password="` + admin.Password + `";`,
		"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users=User:" + admin.Name + ";User:ANONYMOUS", // the second is the node itself, on the controller's port
	}
}

func command(ctx context.Context, cfg Config, java, class string, args ...string) *exec.Cmd {
	all := append([]string{
		"-Xms128m", "-Xmx512m", "-XX:+UseSerialGC",
		"-Dlog4j.configuration=file:" + loggingFile(cfg),
		"-cp", filepath.Join(cfg.JarDir, "*"), class,
	}, args...)
	return exec.CommandContext(ctx, java, all...)
}

func propertiesFile(cfg Config) string { return filepath.Join(cfg.Dir, "server.properties") }
func loggingFile(cfg Config) string    { return filepath.Join(cfg.Dir, "log4j.properties") }
func logFile(cfg Config) string        { return filepath.Join(cfg.Dir, "server.log") }

func logTail(cfg Config) string {
	text, err := os.ReadFile(logFile(cfg))
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-logTailBytes):])
}

func freeAddress(port int) (string, error) {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return "", fmt.Errorf("Apache Kafka cannot use port %d: %w; stop the program that uses the port", port, err)
	}
	return listener.Addr().String(), listener.Close()
}
