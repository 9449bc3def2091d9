package api_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
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
	"github.com/riverqueue/river"

	"github.com/sendtip/sendtip/kit/auth"
	kitjobs "github.com/sendtip/sendtip/kit/jobs"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/pgtest"
	"github.com/sendtip/sendtip/kit/seal"
	"github.com/sendtip/sendtip/kit/web"
	"github.com/sendtip/sendtip/openapi"
	"github.com/sendtip/sendtip/providers/smileid"
	"github.com/sendtip/sendtip/sandbox"
	"github.com/sendtip/sendtip/services/user/internal/api"
	"github.com/sendtip/sendtip/services/user/internal/app"
	"github.com/sendtip/sendtip/services/user/internal/jobs"
	usersql "github.com/sendtip/sendtip/sql/user"
)

const (
	phone     = "+254712345678"
	pin       = "7294"
	device    = "device-0123456789"
	idemKey   = "5f0c9f9e-8c0c-4d6e-9c56-6b8f2a1c0d4e"
	customers = "profile kyc wallet:read wallet:write"
	maxBody   = 2 << 20
)

var identityKey = bytes.Repeat([]byte{9}, 32)

// world is the service behind HTTP, every answer checked against the contract.
type world struct {
	*testing.T
	url    string
	app    *app.App
	sealer *seal.Sealer
	doc    *openapi3.T
	routes routers.Router
}

func setup(t *testing.T) *world {
	t.Helper()
	return serve(t, pgtest.Open(t, "user", usersql.Migrations()).Pool)
}

func serve(t *testing.T, pool *pgxpool.Pool) *world {
	t.Helper()
	w := &world{T: t}
	w.doc, w.routes = contract(t)
	var err error
	w.sealer, err = seal.New(bytes.Repeat([]byte{7}, seal.KeySize))
	w.must(err)
	keys, err := app.NewKeys(keyPEM(t))
	w.must(err)
	workers := river.NewWorkers()
	queue, err := kitjobs.NewClient(pool, workers, kitjobs.Config{Service: "user"})
	w.must(err)
	box, err := sandbox.New(sandbox.Config{KYCDelay: -1})
	w.must(err)
	provider := httptest.NewServer(box.Handler())
	t.Cleanup(provider.Close)
	t.Cleanup(box.Close)
	r := chi.NewRouter()
	r.Use(web.Middleware(slog.New(slog.DiscardHandler), web.NewMetrics(prometheus.NewRegistry()), maxBody))
	r.Use(auth.NewVerifier("user", time.Now, identityKey).Middleware(web.WriteProblem))
	r.NotFound(web.NotFound)
	r.MethodNotAllowed(web.MethodNotAllowed)
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	w.url = server.URL
	w.app, err = app.New(app.Deps{
		Pool: pool, Sealer: w.sealer, Keys: keys, Jobs: queue, Env: "test", PublicURL: provider.URL + "/nowhere", Now: time.Now,
		Log:   slog.New(slog.DiscardHandler),
		Smile: smileid.New(smileid.Config{BaseURL: provider.URL, PartnerID: sandbox.DefaultSmilePartnerID, APIKey: sandbox.DefaultSmileAPIKey}),
	})
	w.must(err)
	jobs.Register(workers, w.app)
	api.Mount(r, w.app)
	return w
}

func keyPEM(t testing.TB) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
}

func contract(t testing.TB) (*openapi3.T, routers.Router) {
	t.Helper()
	loader := openapi3.NewLoader()
	loader.IsExternalRefsAllowed = true
	loader.ReadFromURIFunc = func(_ *openapi3.Loader, u *url.URL) ([]byte, error) { return openapi.FS.ReadFile(u.Path) }
	doc, err := loader.LoadFromURI(&url.URL{Path: "user.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(context.Background(), openapi3.EnableExamplesValidation()); err != nil {
		t.Fatalf("contract: %v", err)
	}
	doc.Servers = nil
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return doc, router
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// call is one request; identity is the subject with its scopes, "" sends no token at all.
type call struct {
	method, path string
	subject      string
	session      string
	scopes       string
	body         any
	headers      map[string]string
}

// answer is a response that the contract allows.
type answer struct {
	status int
	header http.Header
	raw    []byte
	body   map[string]any
}

func (a answer) str(path ...string) string {
	var v any = a.body
	for _, p := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return ""
		}
		v = m[p]
	}
	s, _ := v.(string)
	return s
}

func (w *world) do(c call) answer {
	w.Helper()
	var body []byte
	switch b := c.body.(type) {
	case nil:
	case []byte:
		body = b
	default:
		var err error
		body, err = json.Marshal(b)
		w.must(err)
	}
	req, err := http.NewRequestWithContext(w.Context(), c.method, w.url+c.path, bytes.NewReader(body))
	w.must(err)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.subject != "" {
		token, err := auth.Mint(identityKey, time.Now(),
			auth.Claims{RegisteredClaims: jwt.RegisteredClaims{Subject: c.subject, Audience: jwt.ClaimStrings{"user"}},
				Scope: c.scopes, SessionID: c.session, Operation: "test"})
		w.must(err)
		req.Header.Set(auth.IdentityHeader, token)
	}
	for k, v := range c.headers {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	w.must(err)
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	w.must(err)
	out := answer{status: resp.StatusCode, header: resp.Header, raw: raw}
	if len(raw) > 0 {
		w.must(json.Unmarshal(raw, &out.body))
	}
	w.check(req, out)
	return out
}

// check holds an answer against the contract; what no operation serves must be a problem all the same.
func (w *world) check(req *http.Request, a answer) {
	w.Helper()
	if a.status >= 400 {
		if a.header.Get("Content-Type") != "application/problem+json" || a.str("code") == "" || a.str("request_id") == "" ||
			a.body["status"] != float64(a.status) {
			w.Errorf("%s %s: %d is no problem: %s", req.Method, req.URL.Path, a.status, a.raw)
		}
	}
	route, params, err := w.routes.FindRoute(req)
	if err != nil {
		return
	}
	in := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route},
		Status:                 a.status, Header: a.header, Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	in.SetBodyBytes(a.raw)
	if err := openapi3filter.ValidateResponse(w.Context(), in); err != nil {
		w.Errorf("%s %s answers %d against the contract: %v", req.Method, req.URL.Path, a.status, err)
	}
}

func (w *world) expect(c call, status int, code string) answer {
	w.Helper()
	a := w.do(c)
	if a.status != status || a.str("code") != code {
		w.Fatalf("%s %s: %d %s, want %d %s", c.method, c.path, a.status, a.raw, status, code)
	}
	return a
}

// anonymous is a call as the gateway forwards it for operations without security.
func anonymous(method, path string, body any) call {
	return call{method: method, path: path, subject: "anonymous", body: body}
}

// operation is one operation of the contract with a request made of its examples.
type operation struct {
	id      string
	secured []string // scopes
	call    call
}

func (w *world) operations() []operation {
	w.Helper()
	var out []operation
	for path, item := range w.doc.Paths.Map() {
		for method, op := range item.Operations() {
			o := operation{id: op.OperationID, call: call{method: method, path: path, headers: map[string]string{}}}
			if op.Security == nil {
				w.Fatalf("%s says nothing about security", op.OperationID)
			}
			for _, requirement := range *op.Security {
				for _, scopes := range requirement {
					o.secured = append(o.secured, scopes...)
				}
			}
			for _, p := range append(append(openapi3.Parameters{}, item.Parameters...), op.Parameters...) {
				example, _ := p.Value.Example.(string)
				switch p.Value.In {
				case "path":
					o.call.path = strings.ReplaceAll(o.call.path, "{"+p.Value.Name+"}", example)
				case "header":
					o.call.headers[p.Value.Name] = example
				}
			}
			if op.RequestBody != nil {
				if media := op.RequestBody.Value.Content.Get("application/json"); media != nil {
					o.call.body = media.Example
				}
			}
			out = append(out, o)
		}
	}
	return out
}

// register makes a customer over HTTP, and returns calls as them.
func (w *world) register(phone string) (as func(method, path string, body any) call, tokens answer) {
	w.Helper()
	started := w.do(anonymous("POST", "/v1/registrations", map[string]any{"phone": phone, "country": "KE", "language": "en"}))
	id := started.str("registration_id")
	done := w.do(anonymous("POST", "/v1/registrations/"+id+"/completion", map[string]any{"otp": w.code(id), "pin": pin, "device_id": device}))
	if done.status != http.StatusCreated {
		w.Fatalf("register: %d %s", done.status, done.raw)
	}
	user, session := done.str("user", "user_id"), done.str("tokens", "session_id")
	return func(method, path string, body any) call {
		return call{method: method, path: path, subject: "user:" + user, session: session, scopes: customers, body: body}
	}, done
}

func (w *world) code(challenge string) string {
	w.Helper()
	a := w.do(call{method: "POST", path: "/v1/internal/otp-challenges/" + challenge + "/code", subject: "service:notification",
		scopes: "users:otp"})
	if a.status != http.StatusOK {
		w.Fatalf("code: %d %s", a.status, a.raw)
	}
	return a.str("code")
}

func (w *world) operator() (as func(method, path string, body any) call, id uuid.UUID) {
	w.Helper()
	id, err := w.app.CreateAdmin(w.Context(), "+254799000001", "5821", device)
	w.must(err)
	return func(method, path string, body any) call {
		return call{method: method, path: path, subject: "user:" + id.String(), session: uuid.NewString(), scopes: customers +
			" admin:kyc admin:users", body: body}
	}, id
}

func deadPool(t testing.TB) *pgxpool.Pool {
	t.Helper()
	pool, err := pg.Open(context.Background(), "postgres://user_app:x@127.0.0.1:1/user", pg.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}
