package event_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/sendtip/sendtip/kit/config"
	"github.com/sendtip/sendtip/kit/event"
)

// TestConnection: with the authority's certificate, the user and the password an event arrives; without any one of them none does.
func TestConnection(t *testing.T) {
	t.Parallel()
	certificate, ca := certificates(t)
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, topic), kfake.EnableSASL(),
		kfake.Superuser("SCRAM-SHA-512", "wallet", "secret"),
		kfake.TLS(&tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	good := config.Kafka{Brokers: cluster.ListenAddrs(), User: "wallet", Password: config.NewSecret("secret"), TLS: true, CA: ca}
	send := func(k config.Kafka) error {
		b, err := event.NewBroker(k)
		if err != nil {
			t.Fatal(err)
		}
		p := event.NewPublisher(b)
		defer func() { _ = p.Close() }()
		e, err := event.New(topic, "wallet.happened", "k", time.Now(), 1)
		if err != nil {
			t.Fatal(err)
		}
		return p.Publish(t.Context(), []event.Event{e})
	}
	if err := send(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*config.Kafka){
		"another authority": func(k *config.Kafka) { _, k.CA = certificates(t) },
		"the system's":      func(k *config.Kafka) { k.CA = "" },
		"another password":  func(k *config.Kafka) { k.Password = config.NewSecret("guess") },
		"another user":      func(k *config.Kafka) { k.User = "user" },
	} {
		k := good
		change(&k)
		if err := send(k); err == nil {
			t.Errorf("%s: the event is sent", name)
		}
	}
}

// TestContentType: each message says that it is a CloudEvent in structured mode (CloudEvents Kafka protocol binding 1.0, 3.3).
func TestContentType(t *testing.T) {
	t.Parallel()
	brokers, _ := broker(t, t.TempDir(), 0)
	p := publisher(t, brokers)
	var list []event.Event
	for range 2 {
		e, err := event.New(topic, "wallet.happened", "k", time.Now(), 1)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, e)
	}
	if err := p.Publish(t.Context(), list[:1]); err != nil {
		t.Fatal(err)
	}
	if err := p.PublishAll(t.Context(), list[1:]); err != nil {
		t.Fatal(err)
	}
	consumer, err := sarama.NewConsumer(brokers, event.Broker{}.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = consumer.Close() }()
	partitions, err := consumer.Partitions(topic)
	if err != nil {
		t.Fatal(err)
	}
	messages := make(chan *sarama.ConsumerMessage, len(list))
	for _, n := range partitions {
		pc, err := consumer.ConsumePartition(topic, n, sarama.OffsetOldest)
		if err != nil {
			t.Fatal(err)
		}
		defer pc.AsyncClose()
		go func() {
			for m := range pc.Messages() {
				messages <- m
			}
		}()
	}
	for range list {
		select {
		case m := <-messages:
			var found string
			for _, h := range m.Headers {
				if string(h.Key) == "content-type" {
					found = string(h.Value)
				}
			}
			if found != "application/cloudevents+json; charset=UTF-8" {
				t.Errorf("content-type %q of %d headers", found, len(m.Headers))
			}
		case <-time.After(patience):
			t.Fatal("a message is missing")
		}
	}
}

// certificates makes an authority and a certificate of it for this machine; the file holds the authority's.
func certificates(t *testing.T) (server tls.Certificate, caFile string) {
	t.Helper()
	key := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	from, until := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	authority := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: until, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: from, NotAfter: until, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	authorityKey, leafKey := key(), key()
	authorityDER, err := x509.CreateCertificate(rand.Reader, authority, authority, authorityKey.Public(), authorityKey)
	if err != nil {
		t.Fatal(err)
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, authority, leafKey.Public(), authorityKey)
	if err != nil {
		t.Fatal(err)
	}
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authorityDER}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: leafKey}, caFile
}
