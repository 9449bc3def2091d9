package testworld

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	transactionsapi "github.com/sendtip/sendtip/generated/transactions/api"
	userapi "github.com/sendtip/sendtip/generated/user/api"
	"github.com/sendtip/sendtip/openapi"
)

// newGateway serves the scripted peers on one address, as the gateway's internal listener does.
func newGateway(t testing.TB, ledger *Ledger, users *Users) string {
	t.Helper()
	ledgerHandler := Checked(t, "transactions.yaml",
		ledger.script(transactionsapi.HandlerFromMux(transactionsapi.NewStrictHandler(ledger, nil), nil)))
	userHandler := Checked(t, "user.yaml", users.script(userapi.HandlerFromMux(userapi.NewStrictHandler(users, nil), nil)))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Sendtip-Service-Key") == "" {
			t.Error("a call without the service key")
		}
		if strings.HasPrefix(r.URL.Path, "/v1/ledger/") {
			ledgerHandler.ServeHTTP(w, r)
			return
		}
		userHandler.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// Checked fails the test when a request that is answered with success, or any answer, breaks the contract.
func Checked(t testing.TB, contract string, next http.Handler) http.Handler {
	t.Helper()
	router := LoadContract(t, contract)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		route, params, err := router.FindRoute(r)
		if err != nil {
			t.Errorf("%s %s is not in %s", r.Method, r.URL.Path, contract)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read request: %v", err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route,
			Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}}
		broken := openapi3filter.ValidateRequest(r.Context(), in)
		r.Body = io.NopCloser(bytes.NewReader(body))
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		if broken != nil && rec.Code < 400 {
			t.Errorf("%s: the request breaks %s: %v", route.Operation.OperationID, contract, broken)
		}
		out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: rec.Code, Header: rec.Header(),
			Body: io.NopCloser(bytes.NewReader(rec.Body.Bytes())), Options: &openapi3filter.Options{IncludeResponseStatus: true}}
		if err := openapi3filter.ValidateResponse(r.Context(), out); err != nil {
			t.Errorf("%s: the answer breaks %s: %v", route.Operation.OperationID, contract, err)
		}
		for k, v := range rec.Header() {
			w.Header()[k] = v
		}
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	})
}

// LoadContract reads a contract of this platform.
func LoadContract(t testing.TB, name string) routers.Router {
	t.Helper()
	doc := LoadDocument(t, name)
	doc.Servers = nil
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return router
}

// LoadDocument reads a contract with its references resolved.
func LoadDocument(t testing.TB, name string) *openapi3.T {
	t.Helper()
	loader := openapi3.NewLoader()
	loader.IsExternalRefsAllowed = true
	loader.ReadFromURIFunc = func(_ *openapi3.Loader, u *url.URL) ([]byte, error) { return openapi.FS.ReadFile(u.Path) }
	doc, err := loader.LoadFromURI(&url.URL{Path: name})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}
