package api_test

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/servicetest"
	"github.com/sendtip/sendtip/kit/web"
	"github.com/sendtip/sendtip/openapi"

	"github.com/sendtip/sendtip/services/transactions/internal/api"
	"github.com/sendtip/sendtip/services/transactions/internal/app"
	"github.com/sendtip/sendtip/services/transactions/internal/testworld"
)

// world is the service's HTTP side on a database of its own; every answer is checked against the contract.
type world struct {
	*testworld.World
	api *servicetest.API
}

func setup(t testing.TB) *world {
	t.Helper()
	w := testworld.New(t)
	return serve(t, w, w.App)
}

func serve(t testing.TB, w *testworld.World, a *app.App) *world {
	t.Helper()
	return &world{World: w, api: w.API(openapi.FS, "transactions.yaml", func(r chi.Router) { api.Mount(r, a) }, api.MaxBody)}
}

// token is what the gateway sends along.
func (w *world) token(subject, scopes string) string {
	return w.api.Token(servicetest.Request{Who: subject, Scopes: strings.Fields(scopes)})
}

// call sends a request under a token and decodes the answer, after it was compared with the contract.
func (w *world) call(t testing.TB, method, path, token string, body, answer any) *httptest.ResponseRecorder {
	t.Helper()
	return w.ask(t, request(t, method, path, token, body), answer)
}

func request(t testing.TB, method, path, token string, body any) servicetest.Request {
	t.Helper()
	r := servicetest.Request{Method: method, Path: path, Header: map[string]string{"Content-Type": "application/json"}}
	switch b := body.(type) {
	case nil:
	case string:
		r.Body = b
	default:
		sent, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		r.Body = string(sent)
	}
	if token != "" {
		r.Header[auth.IdentityHeader] = token
	}
	return r
}

func (w *world) ask(t testing.TB, r servicetest.Request, answer any) *httptest.ResponseRecorder {
	t.Helper()
	rec := w.api.Do(r)
	if answer != nil {
		if err := json.Unmarshal(rec.Body.Bytes(), answer); err != nil {
			t.Fatalf("%s %s: %d %s", r.Method, r.Path, rec.Code, rec.Body)
		}
	}
	return rec
}

func (w *world) problem(t testing.TB, method, path, token string, body any, status int, code string) web.Problem {
	t.Helper()
	return w.refused(t, request(t, method, path, token, body), status, code)
}

func (w *world) refused(t testing.TB, r servicetest.Request, status int, code string) web.Problem {
	t.Helper()
	var p web.Problem
	rec := w.ask(t, r, &p)
	if rec.Code != status || p.Code != code {
		t.Errorf("%s %s: %d %+v, want %d %s", r.Method, r.Path, rec.Code, p, status, code)
		return p
	}
	servicetest.Refused(t, rec, status, code)
	return p
}

type object = map[string]any

func newID() string { return uuid.Must(uuid.NewV7()).String() }
