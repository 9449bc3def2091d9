package api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/servicetest"
	"github.com/sendtip/sendtip/openapi"
	notificationsql "github.com/sendtip/sendtip/sql/notification"

	"github.com/sendtip/sendtip/services/notification/internal/api"
	"github.com/sendtip/sendtip/services/notification/internal/app"
	"github.com/sendtip/sendtip/services/notification/internal/domain"
	"github.com/sendtip/sendtip/services/notification/internal/jobs"
)

var (
	user  = uuid.Must(uuid.NewV7())
	event = uuid.Must(uuid.NewV7())
)

type world struct {
	*servicetest.World
	app  *app.App
	api  *servicetest.API
	hook string
}

func setup(t *testing.T) *world {
	t.Helper()
	base := servicetest.New(t, "notification", notificationsql.Migrations(), jobs.Queues)
	w := &world{World: base, hook: app.HookPath(base.Sealer)}
	w.app = app.New(app.Deps{Parts: w.Parts})
	jobs.Register(w.Workers, w.app)
	w.api = w.API(openapi.FS, "notification.yaml", func(r chi.Router) { api.Mount(r, w.app) }, 16<<10)
	return w
}

// identity is a token of the gateway's.
func (w *world) identity(subject, scope string) string {
	return w.api.Token(servicetest.Request{Who: subject, Scopes: strings.Fields(scope)})
}

// do sends a request under a token.
func (w *world) do(r servicetest.Request, token string) *httptest.ResponseRecorder {
	if token != "" {
		if r.Header == nil {
			r.Header = map[string]string{}
		}
		r.Header[auth.IdentityHeader] = token
	}
	return w.api.Do(r)
}

func get(query string) servicetest.Request {
	return servicetest.Request{Method: http.MethodGet, Path: "/v1/notifications" + query}
}

func post(path, contentType, body string) servicetest.Request {
	return servicetest.Request{Method: http.MethodPost, Path: path, Body: body, Header: map[string]string{"Content-Type": contentType}}
}

const formType = "application/x-www-form-urlencoded"

// mustRefuse checks a problem; secret must not be echoed.
func mustRefuse(t *testing.T, rec *httptest.ResponseRecorder, status int, code, secret string) {
	t.Helper()
	servicetest.Refused(t, rec, status, code)
	if secret != "" && strings.Contains(rec.Body.String(), secret) {
		t.Errorf("the problem repeats what was sent: %s", rec.Body)
	}
}

func (w *world) queue(t *testing.T, n int) {
	t.Helper()
	err := pg.InTx(t.Context(), w.Pool, func(tx pgx.Tx) error {
		for range n {
			err := w.app.QueueMessages(t.Context(), tx, []app.Notice{{
				SourceEventID: uuid.Must(uuid.NewV7()), OccurredAt: w.Now(), Template: domain.TransferReceived, RecipientID: user,
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
	token := w.identity("user:"+user.String(), "kyc profile")
	var first, second page
	rec := w.do(get("?limit=2"), token)
	if err := json.Unmarshal(rec.Body.Bytes(), &first); err != nil || rec.Code != http.StatusOK {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	rec = w.do(get("?limit=2&cursor="+first.NextCursor), token)
	if err := json.Unmarshal(rec.Body.Bytes(), &second); err != nil || rec.Code != http.StatusOK {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	if len(first.Data) != 2 || len(second.Data) != 1 || second.NextCursor != "" || strings.Contains(rec.Body.String(), "next_cursor") {
		t.Errorf("pages are %+v and %+v", first, second)
	}
	item := second.Data[0]
	if item.Type != "transfer_received" || item.Channel != "sms" || item.State != "pending" || item.CreatedAt.Location() != time.UTC ||
		item.ID >= first.Data[1].ID {
		t.Errorf("item is %+v", item)
	}
	other := w.do(get(""), w.identity("user:"+uuid.NewString(), "profile"))
	if strings.TrimSpace(other.Body.String()) != `{"data":[]}` {
		t.Errorf("another customer sees %s", other.Body)
	}
}

func TestListNotificationsRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	mine := w.identity("user:"+user.String(), "profile")
	expired := w.api.Token(servicetest.Request{Who: "user:" + user.String(), Scopes: []string{"profile"}, Claims: func(c *auth.Claims) {
		c.IssuedAt, c.ExpiresAt = jwt.NewNumericDate(w.Now().Add(-2*time.Minute)), jwt.NewNumericDate(w.Now().Add(-time.Minute))
	}})
	for name, c := range map[string]struct {
		query, token string
		status       int
		code         string
	}{
		"no identity":      {"", "", 401, "unauthenticated"},
		"forged identity":  {"", mine + "x", 401, "unauthenticated"},
		"expired identity": {"", expired, 401, "unauthenticated"},
		"no scope":         {"", w.identity("user:"+user.String(), "wallet:read"), 403, "forbidden"},
		"partner":          {"", w.identity("partner:"+user.String(), "profile"), 403, "forbidden"},
		"bad limit":        {"?limit=secret-value", mine, 400, "invalid_request"},
		"two limits":       {"?limit=1&limit=2", mine, 400, "invalid_request"},
		"bad cursor":       {"?cursor=secret-value", mine, 422, "cursor_invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mustRefuse(t, w.do(get(c.query), c.token), c.status, c.code, "secret-value")
		})
	}
}

func TestListNotificationsBroken(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.Pool.Close()
	mustRefuse(t, w.do(get(""), w.identity("user:"+user.String(), "profile")), 500, "internal", "pool")
}

func TestReceiveSmsReport(t *testing.T) {
	t.Parallel()
	w := setup(t)
	token := w.identity("provider:notification", "")
	body := "id=ATXid_1&status=Success&phoneNumber=%2B254711000111&networkCode=63902&somethingNew=1"
	for range 2 {
		if rec := w.do(post(w.hook, formType, body), token); rec.Code != http.StatusOK {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
	}
	var reports, jobs int
	if err := w.Pool.QueryRow(t.Context(), "SELECT (SELECT count(*) FROM delivery_reports), (SELECT count(*) FROM river_job)").Scan(&reports,
		&jobs); err != nil {
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
	token := w.identity("provider:notification", "")
	for contentType, body := range map[string]string{
		formType: "id=%zz-secret-value", "application/json": `{"id":"ATXid_1","status":"success"}`, "text/plain": "id=ATXid_2&status=Sent",
		"application/octet-stream": "\x00\xff",
		"":                         "id=ATXid_3&status=Sent", "multipart/form-data; boundary=b": "--b--", "not a type": "{",
	} {
		report := post(w.hook, contentType, body)
		report.Stray = contentType == "not a type"
		if rec := w.do(report, token); rec.Code != http.StatusOK {
			t.Errorf("%q: %d %s", contentType, rec.Code, rec.Body)
		}
	}
	var received, unreadable int
	if err := w.Pool.QueryRow(t.Context(),
		"SELECT count(*) FILTER (WHERE outcome = 'received'), count(*) FILTER (WHERE outcome = 'unreadable') FROM delivery_reports").Scan(
		&received, &unreadable); err != nil {
		t.Fatal(err)
	}
	if received != 3 || unreadable != 4 {
		t.Errorf("%d readable, %d unreadable", received, unreadable)
	}
}

func TestReceiveSmsReportRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	token := w.identity("provider:notification", "")
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
			mustRefuse(t, w.do(post(c.path, formType, c.body), c.token), c.status, c.code, "secret-value")
		})
	}
}
