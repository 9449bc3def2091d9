package kafka_test

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/sendtip/sendtip/embedded/kafka"
)

func as(user, password string) kgo.Opt {
	return kgo.SASL(scram.Auth{User: user, Pass: password}.AsSha512Mechanism())
}

// TestGuarded: a folder of an open broker goes on as a guarded one with all its records; the superuser's password is the configured one,
// and what an earlier run granted is gone.
func TestGuarded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := begin(t, kafka.Config{Dir: dir, Topics: topics("events")})
	produce(t, open.Brokers()[0], "events", 0, 20)
	stop(t, open)

	first := begin(t, kafka.Config{Dir: dir, Topics: topics("events"), Admin: kafka.User{Name: "admin", Password: "first"}})
	address := first.Brokers()[0]
	if writes(t, address) {
		t.Error("nobody may write")
	}
	admin := client(t, address, as("admin", "first"))
	makeUser(t, admin)
	if writes(t, address, as("wallet", "w")) {
		t.Error("wallet may write before that was granted")
	}
	grant(t, admin)
	if !writes(t, address, as("wallet", "w")) {
		t.Error("wallet may not write what was granted")
	}
	stop(t, first)

	second := begin(t, kafka.Config{Dir: dir, Topics: topics("events"), Admin: kafka.User{Name: "admin", Password: "second"}})
	address = second.Brokers()[0]
	if writes(t, address, as("admin", "first")) || writes(t, address, as("wallet", "w")) {
		t.Error("users of the earlier run are still known")
	}
	makeUser(t, client(t, address, as("admin", "second")))
	if writes(t, address, as("wallet", "w")) {
		t.Error("grants of the earlier run still hold")
	}
	reader := client(t, address, as("admin", "second"), kgo.ConsumeTopics("events"))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for seen := 0; seen < 21; {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %d records: %v", seen, err)
		}
		seen += fetches.NumRecords()
	}
}

// writes says whether one record to the topic is taken.
func writes(t *testing.T, address string, opts ...kgo.Opt) bool {
	t.Helper()
	c := client(t, address, append(opts, kgo.RecordRetries(0), kgo.RetryTimeout(2*time.Second), kgo.DisableIdempotentWrite(),
		kgo.RequiredAcks(kgo.LeaderAck()))...)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	return c.ProduceSync(ctx, &kgo.Record{Topic: "events", Value: []byte("x")}).FirstErr() == nil
}

func makeUser(t *testing.T, c *kgo.Client) {
	t.Helper()
	made, err := kadm.NewClient(c).AlterUserSCRAMs(t.Context(), nil,
		[]kadm.UpsertSCRAM{{User: "wallet", Mechanism: kadm.ScramSha512, Iterations: 4096, Password: "w"}})
	if err != nil || made["wallet"].Err != nil {
		t.Fatal(err, made)
	}
}

// grant lets the user write the topic.
func grant(t *testing.T, c *kgo.Client) {
	t.Helper()
	acl := kadm.NewACLs().Topics("events").Allow("User:wallet").AllowHosts("*").Operations(kadm.OpWrite).ResourcePatternType(
		kadm.ACLPatternLiteral)
	if _, err := kadm.NewClient(c).CreateACLs(t.Context(), acl); err != nil {
		t.Fatal(err)
	}
}
