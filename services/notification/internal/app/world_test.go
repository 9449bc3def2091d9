package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	openapitypes "github.com/oapi-codegen/runtime/types"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"

	"github.com/sendtip/sendtip/generated/common"
	userapi "github.com/sendtip/sendtip/generated/user/api"
	userclient "github.com/sendtip/sendtip/generated/user/client"
	"github.com/sendtip/sendtip/kit/call"
	"github.com/sendtip/sendtip/kit/config"
	kitjobs "github.com/sendtip/sendtip/kit/jobs"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/pgtest"
	"github.com/sendtip/sendtip/kit/seal"
	"github.com/sendtip/sendtip/openapi"
	"github.com/sendtip/sendtip/providers/africastalking"
	"github.com/sendtip/sendtip/sandbox"
	"github.com/sendtip/sendtip/sandbox/control"
	notificationsql "github.com/sendtip/sendtip/sql/notification"

	"github.com/sendtip/sendtip/services/notification/internal/app"
	"github.com/sendtip/sendtip/services/notification/internal/domain"
	"github.com/sendtip/sendtip/services/notification/internal/jobs"
)

const (
	phone = "+254711000111"
	email = "amina@example.com"
	code  = "482913"
)

// world is everything around the use cases: a real database, the sandbox as SMS gateway and mail server, and a scripted user service.
type world struct {
	app    *app.App
	db     *pgtest.DB
	deps   app.Deps
	sealer *seal.Sealer
	peer   *userPeer
	sms    *control.Client
	smsURL string
	smtp   string // address of the mail sink
	logs   *logBuffer
	meters *prometheus.Registry

	mu  sync.Mutex
	now time.Time
}

var start = time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)

func setup(t *testing.T) *world {
	t.Helper()
	w := &world{db: pgtest.Open(t, "notification", notificationsql.Migrations()), now: start, logs: &logBuffer{}, meters: prometheus.NewRegistry()}
	var err error
	if w.sealer, err = seal.New(bytes.Repeat([]byte{7}, seal.KeySize)); err != nil {
		t.Fatal(err)
	}
	w.peer = newUserPeer(t)
	w.startSandbox(t)
	texts, err := domain.NewTexts("SENDTIP")
	if err != nil {
		t.Fatal(err)
	}
	workers := river.NewWorkers()
	queue, err := kitjobs.NewClient(w.db.Pool, workers, kitjobs.Config{Service: "notification", Queues: jobs.Queues})
	if err != nil {
		t.Fatal(err)
	}
	doer := call.NewClient(call.Config{GatewayURL: w.peer.url, Service: "notification", ServiceKey: config.NewSecret("key"), Timeout: 2 * time.Second})
	users, err := userclient.NewClientWithResponses(w.peer.url, userclient.WithHTTPClient(doer))
	if err != nil {
		t.Fatal(err)
	}
	w.deps = app.Deps{
		Pool: w.db.Pool, Sealer: w.sealer, Jobs: queue, Users: users, Texts: texts, Mail: w.mailer(t, w.smtp),
		SMS: africastalking.New(africastalking.Config{BaseURL: w.smsURL, Username: sandbox.DefaultSMSUsername, APIKey: sandbox.DefaultSMSAPIKey}),
		Log: slog.New(slog.NewJSONHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug})), SenderID: "SENDTIP", Now: w.clock, Registry: w.meters,
	}
	w.app = app.New(w.deps)
	jobs.Register(workers, w.app)
	return w
}

// with returns the use cases with some parts replaced.
func (w *world) with(change func(*app.Deps)) *app.App {
	d := w.deps
	d.Registry = nil // the metrics are registered already
	change(&d)
	return app.New(d)
}

func (w *world) mailer(t *testing.T, addr string) *app.Mailer {
	t.Helper()
	m, err := app.NewMailer(app.MailConfig{Addr: addr, From: "SENDTIP <no-reply@sendtip.example>"})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) wait(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) startSandbox(t *testing.T) {
	t.Helper()
	box, err := sandbox.New(sandbox.Config{SMSReportDelay: -1})
	if err != nil {
		t.Fatal(err)
	}
	web, mails := listen(t), listen(t)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- box.Serve(ctx, web, mails) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("sandbox: %v", err)
		}
	})
	w.smsURL = "http://" + web.Addr().String()
	w.sms, w.smtp = control.New(w.smsURL, nil), mails.Addr().String()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// queue stores a message as an event handler does, and returns its id.
func (w *world) queue(t *testing.T, n app.Notice) uuid.UUID {
	t.Helper()
	if n.SourceEventID == uuid.Nil {
		n.SourceEventID = uuid.Must(uuid.NewV7())
	}
	if n.RecipientID == uuid.Nil {
		n.RecipientID = w.peer.user
	}
	if n.OccurredAt.IsZero() {
		n.OccurredAt = w.clock()
	}
	err := pg.InTx(t.Context(), w.db.Pool, func(tx pgx.Tx) error { return w.app.QueueMessages(t.Context(), tx, []app.Notice{n}) })
	if err != nil {
		t.Fatal(err)
	}
	return w.find(t, n.SourceEventID, n.RecipientID, domain.SMS)
}

func (w *world) find(t *testing.T, event, recipient uuid.UUID, channel domain.Channel) uuid.UUID {
	t.Helper()
	var id uuid.UUID
	err := w.db.Pool.QueryRow(t.Context(), "SELECT id FROM notifications WHERE source_event_id = $1 AND recipient_id = $2 AND channel = $3",
		event, recipient, channel).Scan(&id)
	if err != nil {
		t.Fatalf("find message: %v", err)
	}
	return id
}

// receipt is a message with an amount.
func receipt() app.Notice {
	return app.Notice{Template: domain.TransferReceived, Params: domain.Params{Reference: uuid.NewString(), Amount: kes(100000)}}
}

func otp(w *world) app.Notice {
	return app.Notice{Template: domain.OTP, RecipientID: w.peer.challenge, Params: domain.Params{Purpose: "login"}}
}

// send runs the job's use case and returns the wait it asks for.
func (w *world) send(t *testing.T, id uuid.UUID) time.Duration {
	t.Helper()
	wait, err := w.app.SendMessage(t.Context(), id)
	if err != nil {
		t.Fatalf("send: %v", err)
	}
	return wait
}

type row struct {
	state, reason, providerID string
	attempts                  int
	message                   []byte
}

func (w *world) row(t *testing.T, id uuid.UUID) row {
	t.Helper()
	var r row
	err := w.db.Pool.QueryRow(t.Context(), `SELECT state, coalesce(reason_code, ''), coalesce(provider_message_id, ''), attempts, message
		FROM notifications WHERE id = $1`, id).Scan(&r.state, &r.reason, &r.providerID, &r.attempts, &r.message)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (w *world) mustBe(t *testing.T, id uuid.UUID, state domain.State, reason string) {
	t.Helper()
	if r := w.row(t, id); r.state != string(state) || r.reason != reason {
		t.Fatalf("message is %s %q, want %s %q", r.state, r.reason, state, reason)
	}
}

// stored opens the text that is kept.
func (w *world) stored(t *testing.T, id uuid.UUID) string {
	t.Helper()
	plain, err := w.sealer.Open("notification.message:"+id.String(), w.row(t, id).message)
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
}

func (w *world) inbox(t *testing.T, number string) []control.Message {
	t.Helper()
	messages, err := w.sms.Messages(t.Context(), number)
	if err != nil {
		t.Fatal(err)
	}
	return messages
}

func (w *world) script(t *testing.T, s control.Script) {
	t.Helper()
	if err := w.sms.SetPhoneScript(t.Context(), phone, s); err != nil {
		t.Fatal(err)
	}
}

// fresh replaces the registry that alarms are read from.
func (w *world) fresh() *prometheus.Registry {
	w.meters = prometheus.NewRegistry()
	return w.meters
}

// alarms returns how often people were told to look.
func (w *world) alarms(t *testing.T, what string) int {
	t.Helper()
	families, err := w.meters.Gather()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "notification_alarms_total" && m.GetLabel()[0].GetValue() == what {
				n += int(m.GetCounter().GetValue())
			}
		}
	}
	return n
}

// exec changes rows as the owner of the tables, and returns how many.
func (w *world) exec(t *testing.T, sql string, args ...any) int64 {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), w.db.OwnerURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	tag, err := conn.Exec(t.Context(), sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	return tag.RowsAffected()
}

func (w *world) count(t *testing.T, sql string, args ...any) int {
	t.Helper()
	var n int
	if err := w.db.Pool.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// published returns the data of this service's events of a type, in order.
func (w *world) published(t *testing.T, eventType string) []map[string]any {
	t.Helper()
	rows, err := w.db.Pool.Query(t.Context(), "SELECT payload FROM outbox ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	payloads, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil {
		t.Fatal(err)
	}
	var out []map[string]any
	for _, p := range payloads {
		var e struct {
			Type string
			Data map[string]any
		}
		if err := json.Unmarshal(p, &e); err != nil {
			t.Fatal(err)
		}
		if e.Type == eventType {
			out = append(out, e.Data)
		}
	}
	return out
}

// userPeer is a scripted user service on the generated interface; each of its answers is checked against the contract.
type userPeer struct {
	userapi.StrictServerInterface
	url       string
	user      uuid.UUID
	challenge uuid.UUID

	mu       sync.Mutex
	contacts userapi.Contacts
	otp      userapi.OtpCode
	fail     func(w http.ResponseWriter) bool // answers in place of the service
	asked    int
}

func newUserPeer(t *testing.T) *userPeer {
	t.Helper()
	name := "Amina"
	p := &userPeer{
		user: uuid.Must(uuid.NewV7()), challenge: uuid.Must(uuid.NewV7()),
		contacts: userapi.Contacts{Phone: phone, Language: "en", FirstName: &name},
		otp:      userapi.OtpCode{Phone: phone, Code: code, Language: "en", Purpose: "login", ExpiresAt: start.Add(5 * time.Minute)},
	}
	handler := userapi.HandlerFromMux(userapi.NewStrictHandler(p, nil), nil)
	srv := httptest.NewServer(checked(t, "user.yaml", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		fail := p.fail
		p.asked++
		p.mu.Unlock()
		if fail != nil && fail(w) {
			return
		}
		if r.Header.Get("Sendtip-Service-Key") == "" || r.Header.Get("Sendtip-On-Behalf-Of") != "" {
			t.Error("a job calls as its service, with its key and on nobody's behalf")
		}
		handler.ServeHTTP(w, r)
	})))
	t.Cleanup(srv.Close)
	p.url = srv.URL
	return p
}

func (p *userPeer) change(f func(p *userPeer)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p)
}

func (p *userPeer) giveEmail() {
	p.change(func(p *userPeer) {
		address := openapitypes.Email(email)
		p.contacts.Email = &address
	})
}

func notFound() common.NotFoundApplicationProblemPlusJSONResponse {
	return common.NotFoundApplicationProblemPlusJSONResponse{Type: "https://docs.sendtip.dev/problems/not_found", Title: "Not Found", Status: 404, Code: "not_found", RequestID: "r"}
}

// GetContacts answers for the one customer there is.
func (p *userPeer) GetContacts(_ context.Context, r userapi.GetContactsRequestObject) (userapi.GetContactsResponseObject, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.UserID != p.user {
		return userapi.GetContacts404ApplicationProblemPlusJSONResponse{NotFoundApplicationProblemPlusJSONResponse: notFound()}, nil
	}
	return userapi.GetContacts200JSONResponse(p.contacts), nil
}

// TakeOtp answers for the one challenge there is.
func (p *userPeer) TakeOtp(_ context.Context, r userapi.TakeOtpRequestObject) (userapi.TakeOtpResponseObject, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.ChallengeID != p.challenge {
		return userapi.TakeOtp404ApplicationProblemPlusJSONResponse{NotFoundApplicationProblemPlusJSONResponse: notFound()}, nil
	}
	return userapi.TakeOtp200JSONResponse(p.otp), nil
}

// checked fails the test when a request or an answer breaks the contract.
func checked(t *testing.T, contract string, next http.Handler) http.Handler {
	t.Helper()
	router := loadContract(t, contract)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		route, params, err := router.FindRoute(r)
		if err != nil {
			t.Errorf("%s %s is not in %s", r.Method, r.URL.Path, contract)
			return
		}
		in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route,
			Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}}
		if err := openapi3filter.ValidateRequest(r.Context(), in); err != nil {
			t.Errorf("request breaks %s: %v", contract, err)
		}
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: rec.Code, Header: rec.Header(),
			Body: io.NopCloser(bytes.NewReader(rec.Body.Bytes())), Options: &openapi3filter.Options{IncludeResponseStatus: true}}
		if err := openapi3filter.ValidateResponse(r.Context(), out); err != nil {
			t.Errorf("answer breaks %s: %v", contract, err)
		}
		for k, v := range rec.Header() {
			w.Header()[k] = v
		}
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	})
}

func loadContract(t *testing.T, name string) routers.Router {
	t.Helper()
	loader := openapi3.NewLoader()
	loader.IsExternalRefsAllowed = true
	loader.ReadFromURIFunc = func(_ *openapi3.Loader, u *url.URL) ([]byte, error) { return openapi.FS.ReadFile(u.Path) }
	doc, err := loader.LoadFromURI(&url.URL{Path: name})
	if err != nil {
		t.Fatal(err)
	}
	doc.Servers = nil
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return router
}

// logBuffer collects log lines, to prove what is not in them.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
