package event

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/IBM/sarama"
	"github.com/xdg-go/scram"

	"github.com/sendtip/sendtip/kit/config"
)

// Broker says where Kafka is and who asks.
type Broker struct {
	Addresses []string // "host:port"
	// User and Password are for SASL SCRAM-SHA-512 (RFC 5802); without a user nobody is named.
	User     string
	Password string
	TLS      *tls.Config // nil: in the clear
}

// NewBroker turns settings into a broker: it reads the certificates and does not connect yet.
func NewBroker(k config.Kafka) (Broker, error) {
	if len(k.Brokers) == 0 {
		return Broker{}, errors.New("event: no Kafka brokers configured")
	}
	b := Broker{Addresses: k.Brokers, User: k.User, Password: k.Password.Reveal()}
	if !k.TLS {
		return b, nil
	}
	b.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	if k.CA == "" {
		return b, nil
	}
	pem, err := os.ReadFile(k.CA)
	if err != nil {
		return Broker{}, fmt.Errorf("SENDTIP_KAFKA_CA: %w", err)
	}
	b.TLS.RootCAs = x509.NewCertPool()
	if !b.TLS.RootCAs.AppendCertsFromPEM(pem) {
		return Broker{}, errors.New("SENDTIP_KAFKA_CA holds no certificate in PEM")
	}
	return b, nil
}

// Config is what every connection to the broker has in common. 2.8.0 is the protocol version that the development broker, Redpanda and
// Kafka all speak; topics are declared in one file and never created by use.
func (b Broker) Config() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.V2_8_0_0
	c.ClientID = "sendtip"
	c.Metadata.AllowAutoTopicCreation = false
	c.Metadata.Retry.Max = 2
	c.Net.DialTimeout = 3 * time.Second
	c.Net.ReadTimeout = 10 * time.Second
	c.Net.WriteTimeout = 10 * time.Second
	if b.TLS != nil {
		c.Net.TLS.Enable, c.Net.TLS.Config = true, b.TLS
	}
	if b.User != "" {
		c.Net.SASL.Enable = true
		c.Net.SASL.Mechanism = sarama.SASLTypeSCRAMSHA512
		c.Net.SASL.User, c.Net.SASL.Password = b.User, b.Password
		c.Net.SASL.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &conversation{} }
	}
	return c
}

func (b Broker) publisherConfig() *sarama.Config {
	c := b.Config()
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Return.Successes = true
	c.Producer.Timeout = 5 * time.Second
	c.Producer.Retry.Max = 3
	c.Producer.Retry.Backoff = 100 * time.Millisecond
	return c
}

func (b Broker) subscriberConfig() *sarama.Config {
	c := b.Config()
	c.Net.ReadTimeout = 30 * time.Second             // fetches and joins wait at the broker
	c.Consumer.Offsets.Initial = sarama.OffsetOldest // the default misses what was sent before the first start
	c.Consumer.Offsets.AutoCommit.Enable = true      // a commit per message is a hundred times slower; the inbox drops repeats
	c.Consumer.Return.Errors = true                  // Watermill reads them
	c.Consumer.Group.Rebalance.Timeout = 30 * time.Second
	return c
}

// conversation proves to the broker that we know the password, without sending it.
type conversation struct{ *scram.ClientConversation }

// Begin implements sarama.SCRAMClient.
func (c *conversation) Begin(user, password, authorization string) error {
	client, err := scram.SHA512.NewClient(user, password, authorization)
	if err != nil {
		return errors.New("event: the Kafka user or password has characters that SASL forbids") // the cause may show the password
	}
	c.ClientConversation = client.NewConversation()
	return nil
}
