package platform

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"github.com/sendtip/sendtip/cmd/sendtip/keys"
	"github.com/sendtip/sendtip/kit/event"
	"github.com/sendtip/sendtip/kit/servicetest"
)

// guardedWorld is a broker with the users of a set of keys and the declared topics.
type guardedWorld struct {
	t       *testing.T
	dir     string
	set     keys.Set
	brokers []string
	environ map[string]string
}

func newGuardedWorld(t *testing.T) *guardedWorld {
	t.Helper()
	w := &guardedWorld{t: t, dir: t.TempDir()}
	var err error
	if w.set, err = keys.Init(w.dir); err != nil {
		t.Fatal(err)
	}
	password, err := w.set.Read(keys.KafkaAdmin)
	if err != nil {
		t.Fatal(err)
	}
	w.brokers = guarded(t, password)
	w.environ = map[string]string{"SENDTIP_KAFKA_BROKERS": strings.Join(w.brokers, ","), "SENDTIP_KAFKA_SASL": "true"}
	w.apply()
	made, err := ApplyTopics(w.as(keys.Tool), 1)
	if err != nil {
		t.Fatal(err)
	}
	client, err := sarama.NewClient(w.brokers, w.admin().Config())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	servicetest.Eventually(t, "the topics", func() bool { // a broker learns of them a moment after the controller
		found, err := client.Topics()
		return client.RefreshMetadata() == nil && err == nil && len(found) >= len(made)
	})
	return w
}

func (w *guardedWorld) admin() event.Broker {
	w.t.Helper()
	b, err := AdminBroker(w.environ, w.brokers, w.set)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func (w *guardedWorld) apply() {
	w.t.Helper()
	if err := ApplyAccess(w.t.Context(), w.admin(), w.set); err != nil {
		w.t.Fatal(err)
	}
}

func (w *guardedWorld) as(user string) event.Broker {
	w.t.Helper()
	b, err := Broker(w.environ, w.brokers, w.set, user)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// write sends one message to a topic as somebody.
func (w *guardedWorld) write(b event.Broker, topic string) error {
	w.t.Helper()
	cfg := b.Config()
	cfg.Producer.RequiredAcks, cfg.Producer.Return.Successes, cfg.Producer.Retry.Max, cfg.Metadata.Retry.Max = sarama.WaitForAll, true, 0, 0
	cfg.Net.ReadTimeout = 3 * time.Second // a broker may leave who has not signed in without an answer
	p, err := sarama.NewSyncProducer(b.Addresses, cfg)
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	_, _, err = p.SendMessage(&sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder("k"), Value: sarama.StringEncoder("v")})
	return err
}

// join becomes a member of a consumer group as somebody, and says whether that was allowed.
func (w *guardedWorld) join(b event.Broker, group, topic string) error {
	w.t.Helper()
	cfg := b.Config()
	cfg.Consumer.Return.Errors = true
	g, err := sarama.NewConsumerGroup(b.Addresses, group, cfg)
	if err != nil {
		return err
	}
	defer func() { _ = g.Close() }()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	return g.Consume(ctx, []string{topic}, member{cancel})
}

// member leaves as soon as it has joined.
type member struct{ leave func() }

func (m member) Setup(sarama.ConsumerGroupSession) error { m.leave(); return nil }
func (member) Cleanup(sarama.ConsumerGroupSession) error { return nil }
func (member) ConsumeClaim(sarama.ConsumerGroupSession, sarama.ConsumerGroupClaim) error {
	return nil
}

// read asks for the messages of a topic's first partition as somebody, and returns the refusal.
func (w *guardedWorld) read(b event.Broker, topic string) error {
	w.t.Helper()
	cfg := b.Config()
	cfg.Consumer.Return.Errors = true
	c, err := sarama.NewConsumer(b.Addresses, cfg)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	p, err := c.ConsumePartition(topic, 0, sarama.OffsetOldest)
	if err != nil {
		return err
	}
	defer p.AsyncClose()
	select {
	case err := <-p.Errors():
		return err
	case <-time.After(10 * time.Second):
		return nil
	}
}

// TestAccess: only its owner writes a topic, everybody writes the dead letters, groups are a service's own, and nobody comes in unnamed.
func TestAccess(t *testing.T) {
	t.Parallel()
	w := newGuardedWorld(t)
	topics, err := Topics()
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range keys.Services {
		b := w.as(user)
		for _, topic := range topics {
			err := w.write(b, topic.Name)
			if may := topic.Name == event.DeadTopic || topic.Name == "sendtip."+user+".v1"; may && err != nil {
				t.Errorf("%s cannot write %s: %v", user, topic.Name, err)
			} else if !may && !errors.Is(err, sarama.ErrTopicAuthorizationFailed) {
				t.Errorf("%s writes %s: %v", user, topic.Name, err)
			}
		}
	}
	wallet := w.as("wallet")
	if err := w.join(wallet, "wallet.sendtip.user.v1", "sendtip.user.v1"); err != nil {
		t.Errorf("wallet cannot consume: %v", err)
	}
	if err := w.join(wallet, "user.sendtip.wallet.v1", "sendtip.wallet.v1"); !errors.Is(err, sarama.ErrGroupAuthorizationFailed) {
		t.Errorf("wallet consumes in user's group, and takes its events away: %v", err)
	}
	if err := w.read(wallet, event.DeadTopic); !errors.Is(err, sarama.ErrTopicAuthorizationFailed) {
		t.Errorf("wallet reads the dead letters: %v", err)
	}
	if _, err := ApplyTopics(wallet, 1); err == nil {
		// topics exist: creating again must be refused before that is seen
		t.Error("wallet may create topics")
	}
	if err := ApplyAccess(t.Context(), wallet, w.set); err == nil {
		t.Error("wallet may grant")
	}
	for name, b := range map[string]event.Broker{
		"nobody":             {Addresses: w.brokers},
		"a wrong password":   {Addresses: w.brokers, User: "wallet", Password: "guess"},
		"an unknown user":    {Addresses: w.brokers, User: "mallory", Password: "guess"},
		"another's password": {Addresses: w.brokers, User: "user", Password: wallet.Password},
	} {
		if err := w.write(b, "sendtip.wallet.v1"); err == nil {
			t.Errorf("%s writes", name)
		}
	}
}

// TestToolReplays: the operator's user reads dead letters and sends them again with the headers that they came with.
func TestToolReplays(t *testing.T) {
	t.Parallel()
	w := newGuardedWorld(t)
	gateway, tool := w.as("gateway"), w.as(keys.Tool)
	cfg := gateway.Config()
	cfg.Producer.RequiredAcks, cfg.Producer.Return.Successes = sarama.WaitForAll, true
	p, err := sarama.NewSyncProducer(gateway.Addresses, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	header := func(k, v string) sarama.RecordHeader { return sarama.RecordHeader{Key: []byte(k), Value: []byte(v)} }
	_, _, err = p.SendMessage(&sarama.ProducerMessage{Topic: event.DeadTopic, Key: sarama.StringEncoder("k"), Value: sarama.StringEncoder("v"),
		Headers: []sarama.RecordHeader{
			header("content-type", "application/cloudevents+json; charset=UTF-8"), header(event.DeadTopicHeader, "sendtip.wallet.v1"),
			header(event.DeadConsumerHeader, "wallet:x"), header(event.DeadReasonHeader, "odd")}})
	if err != nil {
		t.Fatal(err)
	}
	letters, err := DeadLetters(t.Context(), tool)
	if err != nil || len(letters) != 1 || letters[0].Topic != "sendtip.wallet.v1" || letters[0].Consumer != "wallet:x" ||
		letters[0].Reason != "odd" {
		t.Fatalf("%+v %v", letters, err)
	}
	if n, err := ReplayDead(t.Context(), tool, []string{letters[0].Name()}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	again := readAll(t, tool, "sendtip.wallet.v1")
	if len(again) != 1 || string(again[0].Value) != "v" || len(again[0].Headers) != 1 || string(again[0].Headers[0].Key) != "content-type" {
		t.Fatalf("%+v", again)
	}
}

// readAll reads what a topic holds.
func readAll(t *testing.T, b event.Broker, topic string) []*sarama.ConsumerMessage {
	t.Helper()
	client, err := sarama.NewClient(b.Addresses, b.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		t.Fatal(err)
	}
	partitions, err := client.Partitions(topic)
	if err != nil {
		t.Fatal(err)
	}
	var all []*sarama.ConsumerMessage
	for _, n := range partitions {
		some, err := readPartition(t.Context(), client, consumer, topic, n)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, some...)
	}
	return all
}

// TestAccessAgain: applying again changes nothing, takes back what was granted by hand, and brings in new passwords.
func TestAccessAgain(t *testing.T) {
	t.Parallel()
	w := newGuardedWorld(t)
	admin, err := sarama.NewClusterAdmin(w.brokers, w.admin().Config())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close() }()
	byHand := sarama.Resource{ResourceType: sarama.AclResourceTopic, ResourceName: "sendtip.user.v1",
		ResourcePatternType: sarama.AclPatternLiteral}
	for _, principal := range []string{"User:wallet", "User:auditor"} {
		err := admin.CreateACLs([]*sarama.ResourceAcls{{Resource: byHand, Acls: []*sarama.Acl{
			{Principal: principal, Host: "*", Operation: sarama.AclOperationAll, PermissionType: sarama.AclPermissionAllow}}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	granted := func(principal string) int {
		found, err := admin.ListAcls(sarama.AclFilter{ResourceType: sarama.AclResourceAny, ResourcePatternTypeFilter: sarama.AclPatternAny,
			PermissionType: sarama.AclPermissionAny, Operation: sarama.AclOperationAll, Principal: &principal})
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	servicetest.Eventually(t, "what was granted by hand", func() bool { return granted("User:wallet") == 1 && granted("User:auditor") == 1 })
	old := w.as("wallet")
	if err := os.Remove(filepath.Join(w.dir, keys.Of("wallet", keys.KafkaPassword))); err != nil {
		t.Fatal(err)
	}
	if w.set, err = keys.Init(w.dir); err != nil {
		t.Fatal(err)
	}
	w.apply()
	w.apply()
	if err := w.write(w.as("wallet"), "sendtip.wallet.v1"); err != nil {
		t.Errorf("the new password: %v", err)
	}
	if err := w.write(old, "sendtip.wallet.v1"); err == nil {
		t.Error("the old password is still good")
	}
	if err := w.write(w.as("wallet"), "sendtip.user.v1"); !errors.Is(err, sarama.ErrTopicAuthorizationFailed) {
		t.Errorf("what was granted by hand stays: %v", err)
	}
	if err := w.write(w.as("notification"), "sendtip.notification.v1"); err != nil {
		t.Errorf("another user: %v", err)
	}
	if granted("User:wallet") != 0 || granted("User:auditor") != 1 {
		t.Errorf("wallet has %d grants by hand; the user who is not ours has %d", granted("User:wallet"), granted("User:auditor"))
	}
}

func TestBrokerSettings(t *testing.T) {
	t.Parallel()
	set, err := keys.Init(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		environ map[string]string
		user    string // "" is nobody
		refused string
	}{
		"embedded": {environ: map[string]string{}, user: "wallet"},
		// of no given broker
		"embedded, TLS": {environ: map[string]string{"SENDTIP_KAFKA_TLS": "true", "SENDTIP_KAFKA_CA": "/nowhere"}, user: "wallet"},
		"given, open":   {environ: map[string]string{"SENDTIP_KAFKA_BROKERS": "b:1"}},
		"given, own user": {environ: map[string]string{"SENDTIP_KAFKA_BROKERS": "b:1", "SENDTIP_KAFKA_USER": "one",
			"SENDTIP_KAFKA_PASSWORD": "p"}, user: "one"},
		"given, keys": {environ: map[string]string{"SENDTIP_KAFKA_BROKERS": "b:1", "SENDTIP_KAFKA_SASL": "true"}, user: "wallet"},
		"neither": {environ: map[string]string{"SENDTIP_KAFKA_BROKERS": "b:1", "SENDTIP_KAFKA_SASL": "perhaps"},
			refused: "SENDTIP_KAFKA_SASL"},
		"no such file": {environ: map[string]string{"SENDTIP_KAFKA_BROKERS": "b:1", "SENDTIP_KAFKA_TLS": "true",
			"SENDTIP_KAFKA_CA": "/nowhere"}, refused: "SENDTIP_KAFKA_CA"},
		"no certificate": {environ: map[string]string{"SENDTIP_KAFKA_BROKERS": "b:1", "SENDTIP_KAFKA_TLS": "true",
			"SENDTIP_KAFKA_CA": "/dev/null"}, refused: "SENDTIP_KAFKA_CA"},
		"TLS is no number": {environ: map[string]string{"SENDTIP_KAFKA_TLS": "17"}, refused: "TLS"},
	} {
		b, err := Broker(c.environ, []string{"b:1"}, set, "wallet")
		if c.refused != "" {
			if err == nil || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || b.User != c.user || b.TLS != nil {
			t.Errorf("%s: %q %v", name, b.User, err)
		}
		e, err := ServiceEnviron(Ports{Base: DefaultPortBase}, set, "postgres://postgres:x@127.0.0.1:5432/postgres", []string{"b:1"}, c.environ,
			"wallet")
		if err != nil || e["SENDTIP_KAFKA_USER"] != c.user || (e["SENDTIP_KAFKA_PASSWORD"] == "") != (c.user == "") ||
			e["SENDTIP_KAFKA_TLS"] != "" {
			t.Errorf("%s: the service gets %q %v", name, e["SENDTIP_KAFKA_USER"], err)
		}
	}
}
