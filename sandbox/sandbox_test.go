package sandbox

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/sendtip/sendtip/providers/africastalking"
	"github.com/sendtip/sendtip/providers/daraja"
	"github.com/sendtip/sendtip/providers/smileid"
	"github.com/sendtip/sendtip/sandbox/control"
)

const phone = "+254712345678"

// received is one callback as the platform under test gets it.
type received struct {
	path   string
	from   string // the sender's address without the port
	header http.Header
	body   []byte
}

// bench is one sandbox with clients of every provider and a platform that records callbacks.
type bench struct {
	url      string
	hooks    string
	control  *control.Client
	mpesa    *daraja.Client
	smile    *smileid.Client
	sms      *africastalking.Client
	arrivals chan received
	answer   func(path string) (int, string) // of the platform; nil: 200 and an acknowledgement
}

func setup(t *testing.T, change func(*Config)) *bench {
	t.Helper()
	cfg := Config{Environment: "development", STKAnswerDelay: -1, KYCDelay: -1, SMSReportDelay: -1}
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{arrivals: make(chan received, 1000)}
	platform := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		from, _, _ := net.SplitHostPort(r.RemoteAddr)
		b.arrivals <- received{path: r.URL.Path, from: from, header: r.Header, body: body}
		status, text := 200, `{"ResultCode":0,"ResultDesc":"Accepted"}`
		if b.answer != nil {
			status, text = b.answer(r.URL.Path)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}))
	server := httptest.NewServer(s.Handler())
	t.Cleanup(func() { s.Close(); server.Close(); platform.Close() })
	b.url, b.hooks = server.URL, platform.URL
	b.control = control.New(server.URL, nil)
	b.mpesa = daraja.New(daraja.Config{BaseURL: server.URL, ConsumerKey: DefaultConsumerKey, ConsumerSecret: DefaultConsumerSecret,
		ShortCode: DefaultShortCode, Passkey: DefaultPasskey})
	b.smile = smileid.New(smileid.Config{BaseURL: server.URL, PartnerID: DefaultSmilePartnerID, APIKey: DefaultSmileAPIKey})
	b.sms = africastalking.New(africastalking.Config{BaseURL: server.URL, Username: DefaultSMSUsername, APIKey: DefaultSMSAPIKey})
	return b
}

func limit(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func (b *bench) next(t *testing.T) received {
	t.Helper()
	select {
	case r := <-b.arrivals:
		return r
	case <-limit(t).Done():
		t.Fatal("no callback came")
		return received{}
	}
}

func (b *bench) nextSTK(t *testing.T) daraja.STKCallback {
	t.Helper()
	r := b.next(t)
	cb, err := daraja.ParseSTKCallback(r.body)
	if err != nil || r.path != "/v1/hooks/st/token" {
		t.Fatalf("%s: %v: %s", r.path, err, r.body)
	}
	return cb
}

func (b *bench) nextC2B(t *testing.T) daraja.C2BConfirmation {
	t.Helper()
	r := b.next(t)
	c, err := daraja.ParseC2B(r.body)
	if err != nil || !strings.HasPrefix(r.path, "/v1/hooks/c2/") {
		t.Fatalf("%s: %v: %s", r.path, err, r.body)
	}
	return c
}

// none waits until the sandbox has recorded n deliveries, and checks that no more callbacks arrived than those read.
func (b *bench) none(t *testing.T) {
	t.Helper()
	select {
	case r := <-b.arrivals:
		t.Fatalf("unexpected callback %s: %s", r.path, r.body)
	default:
	}
}

func (b *bench) script(t *testing.T, s control.Script) {
	t.Helper()
	if err := b.control.SetScript(limit(t), s); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) register(t *testing.T) {
	t.Helper()
	if err := b.mpesa.RegisterC2B(limit(t), b.hooks+"/v1/hooks/c2/confirm", b.hooks+"/v1/hooks/c2/validate",
		daraja.ResponseCompleted); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) pushTo(t *testing.T, to string) (daraja.STKAccepted, error) {
	t.Helper()
	return b.mpesa.STKPush(limit(t), daraja.STKPushRequest{
		Phone: to, AmountMinor: 1500_00, AccountReference: "TOPUP0000001", Description: "Top up", CallbackURL: b.hooks + "/v1/hooks/st/token",
	})
}

func (b *bench) push(t *testing.T) daraja.STKAccepted {
	t.Helper()
	accepted, err := b.pushTo(t, phone)
	if err != nil {
		t.Fatal(err)
	}
	return accepted
}

func (b *bench) query(t *testing.T, id string) daraja.STKStatus {
	t.Helper()
	status, err := b.mpesa.STKQuery(limit(t), id)
	if err != nil {
		t.Fatal(err)
	}
	return status
}

func TestRefusesProduction(t *testing.T) {
	t.Parallel()
	if _, err := New(Config{Environment: "production"}); !errors.Is(err, ErrProduction) {
		t.Errorf("by setting: %v", err)
	}
	// By the process environment although the caller forgot it: in a process of its own, tests run in parallel.
	cmd := exec.CommandContext(limit(t), os.Args[0], "-test.run=^TestConfigFromEnv$")
	cmd.Env = append(os.Environ(), "SENDTIP_ENV=production", "SENDTIP_TEST_REFUSAL=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("by environment: %v: %s", err, out)
	}
}

func TestConfigFromEnv(t *testing.T) {
	t.Parallel()
	cfg, err := ConfigFromEnv()
	if err != nil || cfg.Addr == "" || cfg.SMTPAddr == "" {
		t.Fatalf("%+v, %v", cfg, err)
	}
	_, err = New(Config{})
	if refused := errors.Is(err, ErrProduction); refused != (os.Getenv("SENDTIP_TEST_REFUSAL") == "1") {
		t.Errorf("refused = %v: %v", refused, err)
	}
}

func TestMalformedSettings(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"STK_ANSWER_DELAY", "PROMPT_TIMEOUT", "KYC_DELAY", "SMS_REPORT_DELAY", "CALLBACK_TIMEOUT",
		"MPESA_TOKEN_LIFE"} {
		name = "SENDTIP_SANDBOX_" + name
		if _, err := configFrom(map[string]string{name: "soon"}); err == nil || !strings.Contains(err.Error(), name) ||
			strings.Contains(err.Error(), "soon") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestServeStopsGracefully(t *testing.T) {
	t.Parallel()
	s, err := New(Config{Environment: "development"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(limit(t))
	web, mails := listen(t), listen(t)
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, web, mails) }()
	c := daraja.New(daraja.Config{BaseURL: "http://" + web.Addr().String(), ConsumerKey: DefaultConsumerKey,
		ConsumerSecret: DefaultConsumerSecret, ShortCode: DefaultShortCode, Passkey: DefaultPasskey})
	// A prompt that is open for a minute must not hold up the stop.
	if _, err := c.STKPush(ctx, daraja.STKPushRequest{Phone: phone, AmountMinor: 100, AccountReference: "A",
		CallbackURL: "http://127.0.0.1:1/x"}); err != nil {
		t.Fatal(err)
	}
	stop()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("stop: %v", err)
		}
	case <-limit(t).Done():
		t.Fatal("the sandbox does not stop")
	}
}
