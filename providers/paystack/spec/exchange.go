package spec

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
)

// shared is the description, read once: it is long.
var shared = sync.OnceValues(func() (routers.Router, error) {
	doc, err := Load()
	if err != nil {
		return nil, err
	}
	doc.Servers = nil // whatever the address, the paths are these
	return legacy.NewRouter(doc, openapi3.DisableExamplesValidation(), openapi3.DisableSchemaDefaultsValidation())
})

// Checked holds every exchange of a client against the description.
type Checked struct {
	next   http.RoundTripper
	router routers.Router
	report func(error)
}

// NewChecked wraps a transport (nil: the default one); report is told of each request and answer that does not fit.
func NewChecked(next http.RoundTripper, report func(error)) (*Checked, error) {
	router, err := shared()
	if err != nil {
		return nil, err
	}
	if next == nil {
		next = http.DefaultTransport
	}
	return &Checked{next: next, router: router, report: report}, nil
}

// RoundTrip sends a request and reports what of the exchange does not fit.
func (c *Checked) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := copied(&r.Body)
	if err != nil {
		return nil, err
	}
	in, err := c.request(r.Context(), r, body)
	if err != nil {
		c.report(fmt.Errorf("%s %s: %w", r.Method, r.URL.Path, err))
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	resp, err := c.next.RoundTrip(r)
	if err != nil || in == nil {
		return resp, err
	}
	answer, err := copied(&resp.Body)
	if err != nil {
		return resp, nil //nolint:nilerr // the answer broke off: there is nothing to hold against anything, and its reader meets the same
	}
	if resp.StatusCode < http.StatusInternalServerError {
		if err := checkAnswer(r.Context(), in, resp, answer); err != nil {
			c.report(fmt.Errorf("%s %s: %w", r.Method, r.URL.Path, err))
		}
	}
	return resp, nil
}

func checkAnswer(ctx context.Context, in *openapi3filter.RequestValidationInput, resp *http.Response, body []byte) error {
	return openapi3filter.ValidateResponse(ctx, &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: resp.StatusCode,
		Header: resp.Header, Body: io.NopCloser(bytes.NewReader(body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true}})
}

// request holds a request against its operation: also what the description leaves open, parameters and fields that it does not know.
func (c *Checked) request(ctx context.Context, r *http.Request, body []byte) (*openapi3filter.RequestValidationInput, error) {
	copy := r.Clone(ctx)
	copy.Body = io.NopCloser(bytes.NewReader(body))
	route, params, err := c.router.FindRoute(copy)
	if err != nil {
		return nil, err
	}
	in := &openapi3filter.RequestValidationInput{Request: copy, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: bearer, SkipSettingDefaults: true, MultiError: true}}
	if err := openapi3filter.ValidateRequest(ctx, in); err != nil {
		return in, err
	}
	for name := range r.URL.Query() {
		if route.Operation.Parameters.GetByInAndName("query", name) == nil {
			return in, fmt.Errorf("unknown parameter %s", name)
		}
	}
	if route.Operation.RequestBody == nil || len(body) == 0 {
		return in, nil
	}
	var fields map[string]any
	if err := json.Unmarshal(body, &fields); err != nil {
		return in, err
	}
	known := map[string]bool{}
	declared(route.Operation.RequestBody.Value.Content.Get("application/json").Schema, known)
	for name := range fields {
		if !known[name] {
			return in, fmt.Errorf("unknown field %s", name)
		}
	}
	return in, nil
}

func declared(s *openapi3.SchemaRef, known map[string]bool) {
	for name := range s.Value.Properties {
		known[name] = true
	}
	for _, part := range s.Value.AllOf {
		declared(part, known)
	}
}

func bearer(_ context.Context, in *openapi3filter.AuthenticationInput) error {
	if len(in.RequestValidationInput.Request.Header.Get("Authorization")) <= len("Bearer ") {
		return fmt.Errorf("no bearer token")
	}
	return nil
}

// copied reads a body and puts a copy in its place.
func copied(body *io.ReadCloser) ([]byte, error) {
	if *body == nil {
		return nil, nil
	}
	raw, err := io.ReadAll(*body)
	_ = (*body).Close()
	*body = io.NopCloser(bytes.NewReader(raw))
	return raw, err
}
