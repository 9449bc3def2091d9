package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
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
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/pgtest"
	"github.com/sendtip/sendtip/kit/seal"
	"github.com/sendtip/sendtip/kit/web"
	"github.com/sendtip/sendtip/openapi"
	"github.com/sendtip/sendtip/services/transactions/check"
	"github.com/sendtip/sendtip/services/transactions/internal/api"
	"github.com/sendtip/sendtip/services/transactions/internal/app"
	transactionssql "github.com/sendtip/sendtip/sql/transactions"
)

var key = []byte("an identity key for tests, 32 b+")

// world is the service's HTTP side on a database of its own; every answer is checked against the contract.
type world struct {
	url    string
	routes routers.Router
}

func setup(t testing.TB) *world {
	t.Helper()
	db := pgtest.Open(t, "transactions", transactionssql.Migrations())
	t.Cleanup(func() {
		violations, err := check.Check(context.Background(), db.Pool)
		if err != nil || len(violations) > 0 {
			t.Errorf("broken invariants: %v, %v", violations, err)
		}
	})
	return &world{url: serve(t, db.Pool), routes: contract(t)}
}

func serve(t testing.TB, pool *pgxpool.Pool) string {
	t.Helper()
	return serveLedger(t, app.New(app.Pools{Shared: pool, Committers: pool}, time.Now, slog.New(slog.DiscardHandler), app.Sealer{}, pager(t)))
}

// pager makes the cursors of these tests.
func pager(t testing.TB) *page.Pager {
	t.Helper()
	s, err := seal.New(make([]byte, seal.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return page.New(s)
}

func serveLedger(t testing.TB, a *app.App) string {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	r := chi.NewRouter()
	r.Use(web.Middleware(log, web.NewMetrics(prometheus.NewRegistry()), api.MaxBody))
	r.Use(auth.NewVerifier("transactions", time.Now, key).Middleware(web.WriteProblem))
	r.NotFound(web.NotFound)
	r.MethodNotAllowed(web.MethodNotAllowed)
	api.Mount(r, a)
	srv := httptest.NewServer(r)
	t.Cleanup(srv.Close)
	return srv.URL
}

func contract(t testing.TB) routers.Router {
	t.Helper()
	loader := openapi3.NewLoader()
	loader.IsExternalRefsAllowed = true
	loader.ReadFromURIFunc = func(_ *openapi3.Loader, u *url.URL) ([]byte, error) {
		return openapi.FS.ReadFile(strings.TrimPrefix(u.Path, "/"))
	}
	doc, err := loader.LoadFromURI(&url.URL{Path: "transactions.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		t.Fatal(err)
	}
	doc.Servers = nil
	routes, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return routes
}

func token(t testing.TB, subject, scopes string) string {
	t.Helper()
	s, err := auth.Mint(key, time.Now(),
		auth.Claims{RegisteredClaims: jwt.RegisteredClaims{Subject: subject, Audience: jwt.ClaimStrings{"transactions"}}, Scope: scopes})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// call sends a request and decodes the answer, after it was compared with the contract.
func (w *world) call(t testing.TB, method, path, token string, body, answer any) *http.Response {
	t.Helper()
	var sent []byte
	switch b := body.(type) {
	case nil:
	case string:
		sent = []byte(b)
	default:
		var err error
		if sent, err = json.Marshal(b); err != nil {
			t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(context.Background(), method, w.url+path, bytes.NewReader(sent))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set(auth.IdentityHeader, token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	w.conforms(t, req, res, got)
	if answer != nil {
		if err := json.Unmarshal(got, answer); err != nil {
			t.Fatalf("%s %s: %d %s", method, path, res.StatusCode, got)
		}
	}
	return res
}

func (w *world) conforms(t testing.TB, req *http.Request, res *http.Response, body []byte) {
	t.Helper()
	route, params, err := w.routes.FindRoute(req)
	if err != nil {
		if res.StatusCode != http.StatusNotFound && res.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s %s is not in the contract and answers %d", req.Method, req.URL.Path, res.StatusCode)
		}
		return
	}
	err = openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route},
		Status:                 res.StatusCode, Header: res.Header, Body: io.NopCloser(bytes.NewReader(body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	})
	if err != nil {
		t.Errorf("%s %s answers %d against the contract: %v\n%s", req.Method, req.URL.Path, res.StatusCode, err, body)
	}
}

func (w *world) problem(t testing.TB, method, path, token string, body any, status int, code string) web.Problem {
	t.Helper()
	var p web.Problem
	res := w.call(t, method, path, token, body, &p)
	if res.StatusCode != status || p.Code != code || p.RequestID == "" || res.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s %s: %d %+v, want %d %s", method, path, res.StatusCode, p, status, code)
	}
	return p
}

type object = map[string]any

func newID() string { return uuid.Must(uuid.NewV7()).String() }
