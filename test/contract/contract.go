// Package contract checks every answer of a test run against the hand-written contracts, and counts which operation gave which status.
package contract

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/sendtip/sendtip/openapi"
)

// Names are the contracts that serve operations.
var Names = openapi.Names(openapi.Services())

// Load reads one contract with its references.
func Load(name string) (*openapi3.T, error) {
	l := openapi3.NewLoader()
	l.IsExternalRefsAllowed = true
	l.ReadFromURIFunc = func(_ *openapi3.Loader, u *url.URL) ([]byte, error) {
		return openapi.FS.ReadFile(strings.TrimPrefix(u.Path, "/"))
	}
	doc, err := l.LoadFromURI(&url.URL{Path: name + ".yaml"})
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", name, err)
	}
	doc.Servers = nil
	return doc, doc.Validate(context.Background(), openapi3.DisableExamplesValidation())
}

// Checker holds the contracts and what was seen.
type Checker struct {
	routers []routers.Router
	mu      sync.Mutex
	seen    map[string]map[int]int
	faults  []string
	all     []string
	stamps  stamps

	documented map[string][]int
}

// New loads every contract.
func New() (*Checker, error) {
	c := &Checker{seen: map[string]map[int]int{}, stamps: newStamps(), documented: map[string][]int{}}
	for _, name := range Names {
		doc, err := Load(name)
		if err != nil {
			return nil, err
		}
		for _, item := range doc.Paths.Map() {
			for method, op := range item.Operations() {
				if op.Extensions["x-visibility"] != "internal" {
					c.all = append(c.all, op.OperationID)
					c.stamps.learn(method, op)
					c.documented[op.OperationID] = documented(op)
				}
			}
		}
		r, err := gorillamux.NewRouter(doc)
		if err != nil {
			return nil, err
		}
		c.routers = append(c.routers, r)
	}
	slices.Sort(c.all)
	return c, nil
}

// Transport checks each answer that passes through it.
func (c *Checker) Transport(next http.RoundTripper) http.RoundTripper { return transport{c, next} }

type transport struct {
	c    *Checker
	next http.RoundTripper
}

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	t.c.check(r, resp, body)
	return resp, nil
}

func (c *Checker) check(r *http.Request, resp *http.Response, body []byte) {
	route, params := c.find(r)
	if route == nil {
		if strings.HasPrefix(r.URL.Path, "/v1/") && resp.StatusCode < 400 {
			c.fault("%s %s is in no contract and answered %d", r.Method, r.URL.Path, resp.StatusCode)
		}
		return
	}
	if route.Operation.Extensions["x-visibility"] == "internal" {
		return // clients reach the public listener only, where internal operations do not exist
	}
	id := route.Operation.OperationID
	in := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route},
		Status:                 resp.StatusCode, Header: resp.Header,
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	}
	in.SetBodyBytes(body)
	if err := openapi3filter.ValidateResponse(r.Context(), in); err != nil {
		c.fault("%s answered %d: %v", id, resp.StatusCode, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen[id] == nil {
		c.seen[id] = map[int]int{}
	}
	c.seen[id][resp.StatusCode]++
	if resp.StatusCode < 300 {
		c.faults = append(c.faults, c.stamps.heard(id, body)...)
	}
}

func (c *Checker) find(r *http.Request) (*routers.Route, map[string]string) {
	for _, router := range c.routers {
		bare := &http.Request{Method: r.Method, URL: &url.URL{Path: r.URL.Path}}
		if route, params, err := router.FindRoute(bare); err == nil {
			return route, params
		}
	}
	return nil, nil
}

func (c *Checker) fault(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = append(c.faults, fmt.Sprintf(format, args...))
}

// Faults are the answers that broke their contract.
func (c *Checker) Faults() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.faults)
}

// Table prints operation x status: which were covered and which were never called.
func (c *Checker) Table(w io.Writer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	covered := 0
	for _, id := range c.all {
		statuses := make([]int, 0, len(c.seen[id]))
		for s := range c.seen[id] {
			statuses = append(statuses, s)
		}
		slices.Sort(statuses)
		line := "-"
		if len(statuses) > 0 {
			covered++
			line = ""
			for _, s := range statuses {
				line += fmt.Sprintf("%d×%d ", s, c.seen[id][s])
			}
		}
		_, _ = fmt.Fprintf(w, "  %-28s %s\n", id, line)
	}
	_, _ = fmt.Fprintf(w, "  %d of %d operations were called\n", covered, len(c.all))
}
