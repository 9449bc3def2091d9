package servicetest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"maps"
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

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/call"
	"github.com/sendtip/sendtip/kit/config"
	"github.com/sendtip/sendtip/kit/web"
)

// API is a service's operations behind the chain that all services share, held against the contract.
type API struct {
	w             *World
	bare, checked http.Handler
}

// API mounts the operations of a contract (a file of contracts). maxBody is as in service.Own.
func (w *World) API(contracts fs.FS, file string, mount func(r chi.Router), maxBody int64) *API {
	w.tb.Helper()
	bare := w.Handler(mount, maxBody)
	return &API{w: w, bare: bare, checked: Checked(w.tb, contracts, file, bare)}
}

// ServeHTTP implements http.Handler, for calls that another part makes (a sandbox's callbacks): they are held against the contract too.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.checked.ServeHTTP(w, r) }

// Bare is the chain past the contract, for answers that only a call around the gateway gets.
func (a *API) Bare() http.Handler { return a.bare }

// Request is one call. Who is `user:…` and the like; without one there is no identity token.
type Request struct {
	Who    string
	Scopes []string
	Method string
	Path   string               // with its query
	Body   string               // JSON
	Header map[string]string    // an empty value takes a header away
	Claims func(c *auth.Claims) // whatever else the gateway says of the caller
	// Stray says that the contract does not have it: a webhook's body, because what providers send is kept, whatever it is; or a path or a
	// method, which must be refused.
	Stray bool
}

type stray struct{}

// Do makes a call and holds the answer against the contract.
func (a *API) Do(r Request) *httptest.ResponseRecorder {
	a.w.tb.Helper()
	ctx := context.WithValue(a.w.tb.Context(), stray{}, r.Stray)
	req := httptest.NewRequestWithContext(ctx, r.Method, r.Path, strings.NewReader(r.Body))
	if r.Body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for k, v := range r.Header {
		if req.Header.Set(k, v); v == "" {
			req.Header.Del(k)
		}
	}
	if r.Who != "" {
		req.Header.Set(auth.IdentityHeader, a.Token(r))
	}
	rec := httptest.NewRecorder()
	a.checked.ServeHTTP(rec, req)
	return rec
}

// Token is what the gateway sends along, for tests that bend it and put it into the header themselves.
func (a *API) Token(r Request) string {
	a.w.tb.Helper()
	claims := auth.Claims{RegisteredClaims: jwt.RegisteredClaims{Subject: r.Who, Audience: jwt.ClaimStrings{a.w.Name}},
		Scope: strings.Join(r.Scopes, " ")}
	if r.Claims != nil {
		r.Claims(&claims)
	}
	token, err := auth.Mint(identityKey, a.w.Parts.Now(), claims) // the parts' clock may be another than the world's
	if err != nil {
		a.w.tb.Fatal(err)
	}
	return token
}

// Decode reads an answer of the wanted status.
func Decode[T any](tb testing.TB, rec *httptest.ResponseRecorder, status int) T {
	tb.Helper()
	var out T
	if rec.Code != status {
		tb.Fatalf("answer %d, want %d: %s", rec.Code, status, rec.Body)
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil {
		tb.Fatalf("%v: %s", err, rec.Body)
	}
	return out
}

// Refused checks that an answer is a problem of the status and code, which names the request.
func Refused(tb testing.TB, rec *httptest.ResponseRecorder, status int, code string) {
	tb.Helper()
	problem := Decode[web.Problem](tb, rec, status)
	if problem.Code != code || problem.Status != status || rec.Header().Get("Content-Type") != "application/problem+json" {
		tb.Errorf("answer is %d %+v, want %s", rec.Code, problem, code)
	}
	if problem.RequestID == "" || problem.RequestID != rec.Header().Get(web.RequestIDHeader) {
		tb.Error("the problem does not name the request")
	}
}

// Peer is a scripted service: the generated server of its contract.
type Peer struct {
	File    string // of the contract
	Handler http.Handler
}

// Peers serves scripted peers on one address, as the gateway's internal listener does, and returns what calls them. A test fails when a
// call comes without the service key, or a request or an answer is not what the peer's contract has.
func (w *World) Peers(contracts fs.FS, peers ...Peer) *call.Doer {
	w.tb.Helper()
	type scripted struct {
		router  routers.Router
		handler http.Handler
	}
	all := make([]scripted, len(peers))
	for i, p := range peers {
		// Whether it is a good contract is asked by the tests of the service whose it is.
		r := routes(w.tb, load(w.tb, contracts, p.File))
		all[i] = scripted{r, checked(w.tb, r, p.File, p.Handler, true)}
	}
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Sendtip-Service-Key") == "" {
			w.tb.Error("a call without the service key")
		}
		for _, s := range all {
			if _, _, err := s.router.FindRoute(r); err == nil {
				s.handler.ServeHTTP(rw, r)
				return
			}
		}
		w.tb.Errorf("%s %s is in no contract of the peers", r.Method, r.URL.Path)
		http.NotFound(rw, r)
	}))
	w.tb.Cleanup(srv.Close)
	return w.Caller(config.Peers{GatewayURL: srv.URL, ServiceKey: config.NewSecret("service-key")}, 2*time.Second)
}

// Contract are the routes of a contract.
func Contract(tb testing.TB, contracts fs.FS, file string) routers.Router {
	tb.Helper()
	return routes(tb, Document(tb, contracts, file))
}

func routes(tb testing.TB, doc *openapi3.T) routers.Router {
	tb.Helper()
	doc.Servers = nil
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		tb.Fatal(err)
	}
	return router
}

// Document reads a contract with its references resolved and its examples checked.
func Document(tb testing.TB, contracts fs.FS, file string) *openapi3.T {
	tb.Helper()
	doc := load(tb, contracts, file)
	if err := doc.Validate(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return doc
}

func load(tb testing.TB, contracts fs.FS, file string) *openapi3.T {
	tb.Helper()
	loader := openapi3.NewLoader()
	loader.IsExternalRefsAllowed = true
	loader.ReadFromURIFunc = func(_ *openapi3.Loader, u *url.URL) ([]byte, error) { return fs.ReadFile(contracts, u.Path) }
	doc, err := loader.LoadFromURI(&url.URL{Path: file})
	if err != nil {
		tb.Fatal(err)
	}
	return doc
}

// Checked fails the test when a request that is answered with success, or any answer, breaks the contract.
func Checked(tb testing.TB, contracts fs.FS, file string, next http.Handler) http.Handler {
	tb.Helper()
	return checked(tb, Contract(tb, contracts, file), file, next, false)
}

// checked is Checked; strict says that no request may break the contract, whatever the answer.
func checked(tb testing.TB, router routers.Router, file string, next http.Handler, strict bool) http.Handler {
	tb.Helper()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		route, params, err := router.FindRoute(r)
		kept, _ := r.Context().Value(stray{}).(bool)
		if err != nil && kept {
			rec := httptest.NewRecorder()
			if next.ServeHTTP(rec, r); rec.Code < http.StatusBadRequest {
				tb.Errorf("%s %s is not in %s, and is answered with %d", r.Method, r.URL.Path, file, rec.Code)
			}
			pass(w, rec)
			return
		}
		if err != nil {
			tb.Errorf("%s %s is not in %s", r.Method, r.URL.Path, file)
			http.NotFound(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			tb.Errorf("read request: %v", err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route,
			Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}}
		broken := openapi3filter.ValidateRequest(r.Context(), in)
		if kept && route.Operation.Extensions["x-visibility"] == "webhook" {
			broken = nil
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		if broken != nil && (strict || rec.Code < http.StatusBadRequest) {
			tb.Errorf("%s: the request breaks %s: %v", route.Operation.OperationID, file, broken)
		}
		out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: rec.Code, Header: rec.Header(),
			Body: io.NopCloser(bytes.NewReader(rec.Body.Bytes())), Options: &openapi3filter.Options{IncludeResponseStatus: true}}
		if err := openapi3filter.ValidateResponse(r.Context(), out); err != nil {
			tb.Errorf("%s: answer %d breaks %s: %v\n%s", route.Operation.OperationID, rec.Code, file, err, rec.Body)
		}
		pass(w, rec)
	})
}

// pass gives an answer on.
func pass(w http.ResponseWriter, rec *httptest.ResponseRecorder) {
	maps.Copy(w.Header(), rec.Header())
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes())
}
