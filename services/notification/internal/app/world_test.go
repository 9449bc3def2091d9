package app_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	openapitypes "github.com/oapi-codegen/runtime/types"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sendtip/sendtip/generated/common"
	userapi "github.com/sendtip/sendtip/generated/user/api"
	userclient "github.com/sendtip/sendtip/generated/user/client"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/pgtest"
	"github.com/sendtip/sendtip/kit/seal"
	"github.com/sendtip/sendtip/kit/service"
	"github.com/sendtip/sendtip/kit/servicetest"
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
	logs   *servicetest.Logs
	meters *prometheus.Registry
	clock  func() time.Time
	wait   func(time.Duration) // moves the clock
	work   func()              // runs jobs until the test ends
	again  func() *service.Parts
}

var start = servicetest.Start

func setup(t *testing.T) *world {
	t.Helper()
	base := servicetest.New(t, "notification", notificationsql.Migrations(), jobs.Queues)
	w := &world{db: base.DB, sealer: base.Sealer, logs: base.Logs, meters: base.Registry, clock: base.Now, wait: base.Advance,
		work: base.RunJobs, again: base.Again, peer: newUserPeer()}
	doer := base.Peers(openapi.FS, servicetest.Peer{File: "user.yaml", Handler: w.peer.handler(t)})
	w.startSandbox(t)
	texts, err := domain.NewTexts("SENDTIP")
	if err != nil {
		t.Fatal(err)
	}
	users, err := userclient.NewClientWithResponses(doer.GatewayURL(), userclient.WithHTTPClient(doer))
	if err != nil {
		t.Fatal(err)
	}
	w.deps = app.Deps{
		Parts: base.Parts, Users: users, Texts: texts, Mail: w.mailer(t, w.smtp),
		SMS: africastalking.New(africastalking.Config{BaseURL: w.smsURL, Username: sandbox.DefaultSMSUsername,
			APIKey: sandbox.DefaultSMSAPIKey}),
		SenderID: "SENDTIP",
	}
	w.app = app.New(w.deps)
	jobs.Register(base.Workers, w.app)
	return w
}

// with returns the use cases with some parts replaced. Alarms are those of the last that were made.
func (w *world) with(change func(*app.Deps)) *app.App {
	d := w.deps
	d.Parts = w.again()
	change(&d)
	w.meters = d.Registry
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
	user      uuid.UUID
	challenge uuid.UUID
	former    uuid.UUID

	mu       sync.Mutex
	contacts userapi.Contacts
	otp      userapi.OtpCode
	fail     func(w http.ResponseWriter) bool // answers in place of the service
	asked    int
}

func newUserPeer() *userPeer {
	name, number := "Amina", phone
	return &userPeer{
		user: uuid.Must(uuid.NewV7()), challenge: uuid.Must(uuid.NewV7()), former: uuid.Must(uuid.NewV7()),
		contacts: userapi.Contacts{Phone: &number, Language: "en", FirstName: &name},
		otp:      userapi.OtpCode{Phone: phone, Code: code, Language: "en", Purpose: "login", ExpiresAt: start.Add(5 * time.Minute)},
	}
}

// handler answers as the script says.
func (p *userPeer) handler(t *testing.T) http.Handler {
	t.Helper()
	handler := userapi.HandlerFromMux(userapi.NewStrictHandler(p, nil), nil)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		fail := p.fail
		p.asked++
		p.mu.Unlock()
		if fail != nil && fail(w) {
			return
		}
		if r.Header.Get("Sendtip-On-Behalf-Of") != "" {
			t.Error("a job calls as its service, on nobody's behalf")
		}
		handler.ServeHTTP(w, r)
	})
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
	return common.NotFoundApplicationProblemPlusJSONResponse{Type: "https://docs.sendtip.dev/problems/not_found", Title: "Not Found",
		Status: 404, Code: "not_found", RequestID: "r"}
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

// GetFormerNumber answers for the one number that was left.
func (p *userPeer) GetFormerNumber(_ context.Context,
	r userapi.GetFormerNumberRequestObject) (userapi.GetFormerNumberResponseObject, error) {
	if r.FormerNumberID != p.former {
		return userapi.GetFormerNumber404ApplicationProblemPlusJSONResponse{NotFoundApplicationProblemPlusJSONResponse: notFound()}, nil
	}
	return userapi.GetFormerNumber200JSONResponse{Phone: formerPhone, Language: "sw"}, nil
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
