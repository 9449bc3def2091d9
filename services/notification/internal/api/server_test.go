package api_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/go-chi/chi/v5"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"

	"github.com/sendtip/sendtip/kit/auth"
	kitjobs "github.com/sendtip/sendtip/kit/jobs"
	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/pgtest"
	"github.com/sendtip/sendtip/kit/seal"
	"github.com/sendtip/sendtip/kit/web"
	"github.com/sendtip/sendtip/openapi"
	notificationsql "github.com/sendtip/sendtip/sql/notification"

	"github.com/sendtip/sendtip/services/notification/internal/api"
	"github.com/sendtip/sendtip/services/notification/internal/app"
	"github.com/sendtip/sendtip/services/notification/internal/domain"
	"github.com/sendtip/sendtip/services/notification/internal/jobs"
)

var (
	key   = bytes.Repeat([]byte{3}, 32)
	user  = uuid.Must(uuid.NewV7())
	event = uuid.Must(uuid.NewV7())
)

type world struct {
	db       *pgtest.DB
	app      *app.App
	handler  http.Handler
	contract routers.Router
	hook     string
}

func setup(t *testing.T) *world {
	t.Helper()
	w := &world{db: pgtest.Open(t, "notification", notificationsql.Migrations()), contract: loadContract(t)}
	sealer, err := seal.New(bytes.Repeat([]byte{7}, seal.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	workers := river.NewWorkers()
	queue, err := kitjobs.NewClient(w.db.Pool, workers, kitjobs.Config{Service: "notification", Queues: jobs.Queues})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	w.app = app.New(app.Deps{Pool: w.db.Pool, Sealer: sealer, Jobs: queue, Log: log, Now: time.Now})
	jobs.Register(workers, w.app)
	w.hook = app.HookPath(sealer)
	r := chi.NewRouter()
	r.Use(web.Middleware(log, web.NewMetrics(prometheus.NewRegistry()), 16<<10))
	r.Use(auth.NewVerifier("notification", time.Now, key).Middleware(web.WriteProblem))
	api.Mount(r, w.app)
	w.handler = r
	return w
}

func loadContract(t *testing.T) routers.Router {
	t.Helper()
	loader := openapi3.NewLoader()
	loader.IsExternalRefsAllowed = true
	loader.ReadFromURIFunc = func(_ *openapi3.Loader, u *url.URL) ([]byte, error) { return openapi.FS.ReadFile(u.Path) }
	doc, err := loader.LoadFromURI(&url.URL{Path: "notification.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil { // examples too
		t.Fatal(err)
	}
	doc.Servers = nil
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return router
}

func identity(t *testing.T, subject, scope string) string {
	t.Helper()
	token, err := auth.Mint(key, time.Now(), auth.Claims{RegisteredClaims: jwt.RegisteredClaims{Subject: subject, Audience: jwt.ClaimStrings{"notification"}}, Scope: scope})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// do sends a request and checks the answer against the contract.
func (w *world) do(t *testing.T, r *http.Request, token string) *httptest.ResponseRecorder {
	t.Helper()
	if token != "" {
		r.Header.Set(auth.IdentityHeader, token)
	}
	route, params, err := w.contract.FindRoute(r)
	if err != nil {
		t.Fatalf("%s %s is not in the contract", r.Method, r.URL.Path)
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: rec.Code, Header: rec.Header(),
		Body: io.NopCloser(bytes.NewReader(rec.Body.Bytes())), Options: &openapi3filter.Options{IncludeResponseStatus: true}}
	if err := openapi3filter.ValidateResponse(t.Context(), out); err != nil {
		t.Errorf("answer %d breaks the contract: %v\n%s", rec.Code, err, rec.Body)
	}
	return rec
}

func get(t *testing.T, query string) *http.Request {
	t.Helper()
	return httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/notifications"+query, nil)
}

func post(t *testing.T, path, contentType, body string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	return r
}

const formType = "application/x-www-form-urlencoded"

// mustRefuse checks a problem; secret must not be echoed.
func mustRefuse(t *testing.T, rec *httptest.ResponseRecorder, status int, code, secret string) {
	t.Helper()
	var problem web.Problem
	if err := json.Unmarshal(rec.Body.Bytes(), &problem); err != nil {
		t.Fatalf("%d %s: %v", rec.Code, rec.Body, err)
	}
	if rec.Code != status || problem.Code != code || problem.Status != status || rec.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("answer is %d %+v, want %d %s", rec.Code, problem, status, code)
	}
	if problem.RequestID == "" || problem.RequestID != rec.Header().Get(web.RequestIDHeader) {
		t.Error("the problem does not name the request")
	}
	if secret != "" && strings.Contains(rec.Body.String(), secret) {
		t.Errorf("the problem repeats what was sent: %s", rec.Body)
	}
}

func (w *world) queue(t *testing.T, n int) {
	t.Helper()
	err := pg.InTx(t.Context(), w.db.Pool, func(tx pgx.Tx) error {
		for range n {
			err := w.app.QueueMessages(t.Context(), tx, []app.Notice{{
				SourceEventID: uuid.Must(uuid.NewV7()), OccurredAt: time.Now(), Template: domain.TransferReceived, RecipientID: user,
				Params: domain.Params{Reference: event.String(), Amount: money.Money{Amount: 100000, Currency: "KES"}},
			}})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

type page struct {
	Data []struct {
		ID, Type, Channel, State string
		CreatedAt                time.Time `json:"created_at"`
	}
	NextCursor string `json:"next_cursor"`
}

func TestListNotifications(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.queue(t, 3)
	token := identity(t, "user:"+user.String(), "kyc profile")
	var first, second page
	rec := w.do(t, get(t, "?limit=2"), token)
	if err := json.Unmarshal(rec.Body.Bytes(), &first); err != nil || rec.Code != http.StatusOK {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	rec = w.do(t, get(t, "?limit=2&cursor="+first.NextCursor), token)
	if err := json.Unmarshal(rec.Body.Bytes(), &second); err != nil || rec.Code != http.StatusOK {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	if len(first.Data) != 2 || len(second.Data) != 1 || second.NextCursor != "" || strings.Contains(rec.Body.String(), "next_cursor") {
		t.Errorf("pages are %+v and %+v", first, second)
	}
	item := second.Data[0]
	if item.Type != "transfer_received" || item.Channel != "sms" || item.State != "pending" || item.CreatedAt.Location() != time.UTC || item.ID >= first.Data[1].ID {
		t.Errorf("item is %+v", item)
	}
	other := w.do(t, get(t, ""), identity(t, "user:"+uuid.NewString(), "profile"))
	if strings.TrimSpace(other.Body.String()) != `{"data":[]}` {
		t.Errorf("another customer sees %s", other.Body)
	}
}

func TestListNotificationsRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	mine := identity(t, "user:"+user.String(), "profile")
	expired, err := auth.Mint(key, time.Now(), auth.Claims{RegisteredClaims: jwt.RegisteredClaims{Subject: "user:" + user.String(), Audience: jwt.ClaimStrings{"notification"},
		IssuedAt: jwt.NewNumericDate(time.Now().Add(-2 * time.Minute)), ExpiresAt: jwt.NewNumericDate(time.Now().Add(-time.Minute))}, Scope: "profile"})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		query, token string
		status       int
		code         string
	}{
		"no identity":      {"", "", 401, "unauthenticated"},
		"forged identity":  {"", mine + "x", 401, "unauthenticated"},
		"expired identity": {"", expired, 401, "unauthenticated"},
		"no scope":         {"", identity(t, "user:"+user.String(), "wallet:read"), 403, "forbidden"},
		"partner":          {"", identity(t, "partner:"+user.String(), "profile"), 403, "forbidden"},
		"bad limit":        {"?limit=secret-value", mine, 400, "invalid_request"},
		"two limits":       {"?limit=1&limit=2", mine, 400, "invalid_request"},
		"bad cursor":       {"?cursor=secret-value", mine, 422, "cursor_invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mustRefuse(t, w.do(t, get(t, c.query), c.token), c.status, c.code, "secret-value")
		})
	}
}

func TestListNotificationsBroken(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.db.Pool.Close()
	mustRefuse(t, w.do(t, get(t, ""), identity(t, "user:"+user.String(), "profile")), 500, "internal", "pool")
}

func TestReceiveSmsReport(t *testing.T) {
	t.Parallel()
	w := setup(t)
	token := identity(t, "provider:notification", "")
	body := "id=ATXid_1&status=Success&phoneNumber=%2B254711000111&networkCode=63902&somethingNew=1"
	for range 2 {
		if rec := w.do(t, post(t, w.hook, formType, body), token); rec.Code != http.StatusOK {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
	}
	var reports, jobs int
	if err := w.db.Pool.QueryRow(t.Context(), "SELECT (SELECT count(*) FROM delivery_reports), (SELECT count(*) FROM river_job)").Scan(&reports, &jobs); err != nil {
		t.Fatal(err)
	}
	if reports != 1 || jobs != 1 {
		t.Errorf("%d reports, %d jobs", reports, jobs)
	}
}

// The provider sends once: whatever comes under the right address is kept, whatever it is called.
func TestReceiveSmsReportTakesAnything(t *testing.T) {
	t.Parallel()
	w := setup(t)
	token := identity(t, "provider:notification", "")
	for contentType, body := range map[string]string{
		formType: "id=%zz-secret-value", "application/json": `{"id":"ATXid_1","status":"success"}`, "text/plain": "id=ATXid_2&status=Sent", "application/octet-stream": "\x00\xff",
		"": "id=ATXid_3&status=Sent", "multipart/form-data; boundary=b": "--b--", "not a type": "{",
	} {
		if rec := w.do(t, post(t, w.hook, contentType, body), token); rec.Code != http.StatusOK {
			t.Errorf("%q: %d %s", contentType, rec.Code, rec.Body)
		}
	}
	var received, unreadable int
	if err := w.db.Pool.QueryRow(t.Context(), "SELECT count(*) FILTER (WHERE outcome = 'received'), count(*) FILTER (WHERE outcome = 'unreadable') FROM delivery_reports").Scan(&received, &unreadable); err != nil {
		t.Fatal(err)
	}
	if received != 3 || unreadable != 4 {
		t.Errorf("%d readable, %d unreadable", received, unreadable)
	}
}

func TestReceiveSmsReportRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	token := identity(t, "provider:notification", "")
	for name, c := range map[string]struct {
		path, body, token string
		status            int
		code              string
	}{
		"no identity": {w.hook, "id=1&status=Sent", "", 401, "unauthenticated"},
		"wrong token": {path.Dir(w.hook) + "/aaaabbbbccccddddeeeeffffgggghhhh", "id=1&status=Sent", token, 404, "not_found"},
		"too large":   {w.hook, "id=1&status=Sent&x=" + strings.Repeat("a", 17<<10), token, 413, "payload_too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mustRefuse(t, w.do(t, post(t, c.path, formType, c.body), c.token), c.status, c.code, "secret-value")
		})
	}
}
