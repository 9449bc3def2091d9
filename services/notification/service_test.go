package notification_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	openapitypes "github.com/oapi-codegen/runtime/types"

	"github.com/sendtip/sendtip/embedded/kafka"
	"github.com/sendtip/sendtip/generated/common"
	"github.com/sendtip/sendtip/generated/events"
	userapi "github.com/sendtip/sendtip/generated/user/api"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/event"
	"github.com/sendtip/sendtip/kit/pgtest"
	"github.com/sendtip/sendtip/kit/service"
	"github.com/sendtip/sendtip/sandbox"
	"github.com/sendtip/sendtip/sandbox/control"
	notificationsql "github.com/sendtip/sendtip/sql/notification"

	"github.com/sendtip/sendtip/services/notification"
)

const (
	phone    = "+254711000111"
	code     = "482913"
	patience = 60 * time.Second
)

var (
	userID      = uuid.MustParse("01937c5e-8a40-7c1b-9d7e-000000000001")
	challengeID = uuid.MustParse("01937c5e-8a40-7c1b-9d7e-000000000002")
	identityKey = bytes.Repeat([]byte{3}, 32)
)

// userPeer is a scripted user service.
type userPeer struct{ userapi.StrictServerInterface }

func (userPeer) GetContacts(context.Context, userapi.GetContactsRequestObject) (userapi.GetContactsResponseObject, error) {
	address, number := openapitypes.Email("amina@example.com"), phone
	return userapi.GetContacts200JSONResponse{Phone: &number, Language: "sw", Email: &address}, nil
}

func (userPeer) TakeOtp(context.Context, userapi.TakeOtpRequestObject) (userapi.TakeOtpResponseObject, error) {
	return userapi.TakeOtp200JSONResponse{Phone: phone, Code: code, Language: "en", Purpose: "login",
		ExpiresAt: time.Now().Add(5 * time.Minute)}, nil
}

// gateway forwards delivery reports with the identity that the real one would mint, and calls to the scripted user service.
type gateway struct {
	t       *testing.T
	hooks   http.Handler
	callees http.Handler
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, "/v1/hooks/") {
		g.callees.ServeHTTP(w, r)
		return
	}
	token, err := auth.Mint(identityKey, time.Now(),
		auth.Claims{RegisteredClaims: jwt.RegisteredClaims{Subject: "provider:notification", Audience: jwt.ClaimStrings{"notification"}}})
	if err != nil {
		g.t.Error(err)
	}
	r.Header.Set(auth.IdentityHeader, token)
	g.hooks.ServeHTTP(w, r)
}

func freeAddr(t *testing.T) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestService runs the whole service: Kafka, PostgreSQL, River, SMS and mail, from the event to the report of delivery.
func TestService(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	broker := startKafka(ctx, t)
	db := pgtest.Open(t, "notification", notificationsql.Migrations())
	world, smtpAddr, smsURL := startSandbox(t)

	g := &gateway{t: t, callees: userapi.HandlerFromMux(userapi.NewStrictHandler(userPeer{}, nil), nil)}
	entrance := httptest.NewServer(g)
	t.Cleanup(entrance.Close)
	cfg, err := notification.LoadConfig(environ(db.AppURL, entrance.URL, broker.Brokers(), smsURL, smtpAddr))
	if err != nil {
		t.Fatal(err)
	}
	s, err := notification.New(ctx, cfg, service.Host{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	g.hooks = s.Handler
	hook, err := notification.ReportPath(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := world.SetSMSReportURL(ctx, entrance.URL+hook); err != nil {
		t.Fatal(err)
	}
	stopped := run(t, s)

	publisher := event.NewPublisher(event.Broker{Addresses: broker.Brokers()})
	t.Cleanup(func() { _ = publisher.Close() })
	opened := newEvent(t, "sendtip.wallet.v1", "wallet.opened", events.WalletOpened{WalletID: uuid.New(), UserID: userID, Currency: "KES"})
	sent := newEvent(t, "sendtip.wallet.v1", "wallet.transfer_failed", events.WalletTransferFailed{
		TransferID: uuid.New(), SenderUserID: userID, SenderWalletID: uuid.New(), Amount: common.Money{Amount: 100000, Currency: "KES"},
		ReasonCode: "insufficient_funds",
	})
	otp := newEvent(t, "sendtip.user.v1", "user.otp_requested", events.UserOtpRequested{ChallengeID: challengeID, Purpose: "login"})
	if err := publisher.Publish(ctx, []event.Event{opened, opened, sent, otp, otp}); err != nil {
		t.Fatal(err)
	}

	for _, want := range []string{"Pochi yako ya KES imefunguliwa", "Ombi la kutuma KES 1,000.00 halikufaulu: salio lako halikutosha",
		"sign-in code is " + code} {
		if _, err := world.WaitSMS(ctx, phone, func(m control.Message) bool { return strings.Contains(m.Text, want) }); err != nil {
			t.Fatalf("%q: %v", want, err)
		}
	}
	if _, err := world.WaitMail(ctx, func(m control.Mail) bool { return m.Subject == "Pochi yako ya KES imefunguliwa" }); err != nil {
		t.Fatal(err)
	}
	waitFor(ctx, t, db, "SELECT count(*) = 3 FROM notifications WHERE channel = 'sms' AND state = 'delivered'")
	waitFor(ctx, t, db, "SELECT count(*) = 2 FROM notifications WHERE channel = 'email' AND state = 'sent'")
	waitFor(ctx, t, db, "SELECT count(*) = 3 FROM outbox WHERE published_at IS NOT NULL")
	if messages, err := world.Messages(ctx, phone); err != nil || len(messages) != 3 {
		t.Errorf("the phone has %d messages (%v): events came twice", len(messages), err)
	}
	if err := s.Ready(ctx); err != nil {
		t.Errorf("not ready: %v", err)
	}
	stopped()
}

func startKafka(ctx context.Context, t *testing.T) *kafka.Broker {
	t.Helper()
	broker, err := kafka.Start(ctx, kafka.Config{Dir: t.TempDir(), Topics: []kafka.Topic{
		{Name: "sendtip.user.v1", Partitions: 6}, {Name: "sendtip.wallet.v1", Partitions: 6},
		{Name: "sendtip.banking.v1", Partitions: 6},
		{Name: "sendtip.notification.v1", Partitions: 6}, {Name: event.DeadTopic, Partitions: 6},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := broker.Stop(); err != nil {
			t.Errorf("stop Kafka: %v", err)
		}
	})
	return broker
}

func environ(database, gateway string, brokers []string, smsURL, smtpAddr string) map[string]string {
	return map[string]string{
		"SENDTIP_LISTEN": "127.0.0.1:0", "SENDTIP_DATABASE_URL": database, "SENDTIP_GATEWAY_URL": gateway,
		"SENDTIP_KAFKA_BROKERS": strings.Join(brokers, ","), "SENDTIP_SERVICE_KEY": "service-key",
		"SENDTIP_IDENTITY_KEY": base64.StdEncoding.EncodeToString(identityKey),
		"SENDTIP_KEK":          base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{9}, 32)),
		"SENDTIP_AT_URL":       smsURL, "SENDTIP_AT_API_KEY": sandbox.DefaultSMSAPIKey, "SENDTIP_AT_SENDER": "SENDTIP",
		"SENDTIP_SMTP_ADDR": smtpAddr, "SENDTIP_MAIL_FROM": "no-reply@sendtip.example",
	}
}

func startSandbox(t *testing.T) (world *control.Client, smtpAddr, smsURL string) {
	t.Helper()
	box, err := sandbox.New(sandbox.Config{SMSReportDelay: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	web, mails := freeAddr(t), freeAddr(t)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- box.Serve(ctx, web, mails) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("sandbox: %v", err)
		}
	})
	smsURL = "http://" + web.Addr().String()
	return control.New(smsURL, nil), mails.Addr().String(), smsURL
}

// run starts the service; the returned function stops it and waits for a clean end.
func run(t *testing.T, s *service.Service) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- service.Run(ctx, s, slog.New(slog.DiscardHandler)) }()
	ended := false
	stop = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("run: %v", err)
			}
		case <-time.After(30 * time.Second):
			t.Error("the service does not stop within 30 s")
		}
	}
	t.Cleanup(stop)
	return stop
}

func newEvent(t *testing.T, topic, eventType string, data any) event.Event {
	t.Helper()
	e, err := event.New(topic, eventType, uuid.NewString(), time.Now(), data)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// waitFor polls a question to the database until it is answered with true.
func waitFor(ctx context.Context, t *testing.T, db *pgtest.DB, question string) {
	t.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		var yes bool
		if err := db.Pool.QueryRow(ctx, question).Scan(&yes); err != nil {
			t.Fatalf("%s: %v", question, err)
		}
		if yes {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("never true: %s", question)
		case <-ticker.C:
		}
	}
}

func TestLoadConfig(t *testing.T) {
	t.Parallel()
	good := environ("postgres://localhost/notification", "http://localhost:8090", []string{"localhost:9092"}, "http://localhost:8180",
		"localhost:25")
	if _, err := notification.LoadConfig(good); err != nil {
		t.Fatal(err)
	}
	for _, missing := range []string{
		"SENDTIP_DATABASE_URL", "SENDTIP_GATEWAY_URL", "SENDTIP_KAFKA_BROKERS", "SENDTIP_SERVICE_KEY", "SENDTIP_KEK", "SENDTIP_IDENTITY_KEY",
		"SENDTIP_AT_URL", "SENDTIP_AT_API_KEY", "SENDTIP_SMTP_ADDR", "SENDTIP_MAIL_FROM",
	} {
		if _, err := notification.LoadConfig(without(good, missing, "")); err == nil || !strings.Contains(err.Error(), missing) {
			t.Errorf("without %s: %v", missing, err)
		}
	}
	for setting, value := range map[string]string{"SENDTIP_ENV": "production", "SENDTIP_BRAND": "a name too long",
		"SENDTIP_AT_URL": "no url"} {
		if _, err := notification.LoadConfig(without(good, setting, value)); err == nil {
			t.Errorf("%s=%s was taken", setting, value)
		}
	}
	// The longest is what TestRenderFitsOneSMS renders with: 11 of the characters of which an SMS holds 160.
	for brand, taken := range map[string]bool{"MWANANCHI ü": true, "MWANANCHI ü2": false, "PESA [KE]": false, "Pesa €": false,
		"Ŵallet": false} {
		if _, err := notification.LoadConfig(without(good, "SENDTIP_BRAND", brand)); (err == nil) != taken {
			t.Errorf("SENDTIP_BRAND=%s: %v", brand, err)
		}
	}
}

func without(environ map[string]string, name, value string) map[string]string {
	out := map[string]string{}
	for k, v := range environ {
		out[k] = v
	}
	out[name] = value
	if value == "" {
		delete(out, name)
	}
	return out
}

func TestProductionRefusesTheSandbox(t *testing.T) {
	t.Parallel()
	good := environ("postgres://localhost/notification", "http://localhost:8090", []string{"localhost:9092"}, "https://api.africastalking.com",
		"localhost:25")
	maps.Copy(good, map[string]string{"SENDTIP_ENV": "production", "SENDTIP_AT_USERNAME": "acme", "SENDTIP_AT_API_KEY": "a-key-of-our-own",
		"SENDTIP_KAFKA_USER": "notification", "SENDTIP_KAFKA_PASSWORD": "p", "SENDTIP_KAFKA_TLS": "true"})
	if _, err := notification.LoadConfig(good); err != nil {
		t.Fatal(err)
	}
	for setting, value := range map[string]string{"SENDTIP_AT_USERNAME": "sandbox", "SENDTIP_AT_API_KEY": "sendtip-sandbox-sms-key",
		"SENDTIP_AT_URL": "http://api.africastalking.com"} {
		if _, err := notification.LoadConfig(without(good, setting, value)); err == nil || !strings.Contains(err.Error(), setting) {
			t.Errorf("%s=%s: %v", setting, value, err)
		}
	}
}
