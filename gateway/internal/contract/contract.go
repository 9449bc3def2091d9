// Package contract reads the OpenAPI files, which are also the gateway's configuration: who may call an operation, on which listener,
// how often, how long and with how large a body. What it cannot enforce it refuses at start.
package contract

import (
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
)

// Visibility says which listener serves an operation.
type Visibility string

// The three visibilities of the contract's x-visibility.
const (
	Public   Visibility = "public"
	Internal Visibility = "internal"
	Webhook  Visibility = "webhook"
)

// The security schemes that the gateway knows how to check.
const (
	UserAuth   = "userAuth"
	APIKey     = "apiKey"
	ServiceKey = "serviceKey"
)

// Agent is the one x-actor: a user whose token names the agent as whom they act.
const Agent = "agent"

// Defaults of operations that say nothing else.
const (
	DefaultMaxBody = 64 << 10
	DefaultTimeout = 10 * time.Second
	maxTimeout     = 2 * time.Minute
	maxMaxBody     = 16 << 20
)

// Policy is a named rate limit: Limit requests per Window, of which Burst may come at once.
type Policy struct {
	Name   string
	Limit  int
	Window time.Duration
	Burst  int
}

// Limit is one x-rate-limit of an operation. Key is user, address, key or a JSON Pointer into the body.
type Limit struct {
	Policy Policy
	Key    string
}

// Body says whether the key is read from the body, so that the limit can only be kept once the body is checked.
func (l Limit) Body() bool { return strings.HasPrefix(l.Key, "/") }

// Alternative is one way to be let in: a scheme and all of its scopes.
type Alternative struct {
	Scheme string
	Scopes []string
}

// Operation is everything that the gateway needs to know of one endpoint.
type Operation struct {
	ID         string
	Service    string
	Method     string
	Path       string
	Visibility Visibility
	Security   []Alternative // empty: anybody
	Limits     []Limit
	MaxBody    int64
	Timeout    time.Duration
	StepUp     bool
	Actor      string // Agent, or "" for any user
	Idempotent bool   // the contract requires an Idempotency-Key
	Parameters []*openapi3.Parameter
	Body       *openapi3.RequestBody
	Responses  map[string]*openapi3.Response
}

// Template is the route as logs and metrics show it: path parameters may be secret.
func (o *Operation) Template() string { return o.Method + " " + o.Path }

// AcceptsScheme says whether one of the alternatives uses the scheme.
func (o *Operation) AcceptsScheme(scheme string) bool {
	return slices.ContainsFunc(o.Security, func(a Alternative) bool { return a.Scheme == scheme })
}

// Set is all contracts of the platform.
type Set struct {
	Operations []*Operation
	Scopes     map[string][]string // what each service may do with its service key
	AllScopes  []Scope
	Roles      []Role
	Policies   map[string]Policy
	Services   []string // owners of at least one operation, in the order of services.yaml
	order      []string
}

// notServices are the files of the folder that describe no service.
var notServices = []string{"common.yaml", "events.yaml", "services.yaml", "topics.yaml"}

// Files names the contracts of a folder, sorted.
func Files(fsys fs.FS) ([]string, error) {
	all, err := fs.Glob(fsys, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list contracts: %w", err)
	}
	all = slices.DeleteFunc(all, func(n string) bool { return slices.Contains(notServices, n) })
	sort.Strings(all)
	return all, nil
}

// Load reads and checks all contracts. Any fault is an error that names the file and the operation: a gateway with a hole in its
// rules must not start.
func Load(fsys fs.FS) (*Set, error) {
	set := &Set{}
	if err := set.loadServices(fsys); err != nil {
		return nil, err
	}
	files, err := Files(fsys)
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		doc, err := loadDocument(fsys, name)
		if err != nil {
			return nil, err
		}
		if err := set.addDocument(strings.TrimSuffix(name, ".yaml"), doc); err != nil {
			return nil, fmt.Errorf("contract %s: %w", name, err)
		}
	}
	slices.SortFunc(set.Services, func(a, b string) int { return slices.Index(set.order, a) - slices.Index(set.order, b) })
	if err := set.checkScopes(); err != nil {
		return nil, err
	}
	return set, set.checkUnique()
}

func loadDocument(fsys fs.FS, name string) (*openapi3.T, error) {
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, fmt.Errorf("read contract %s: %w", name, err)
	}
	loader := openapi3.NewLoader()
	loader.ReadFromURIFunc = func(_ *openapi3.Loader, u *url.URL) ([]byte, error) { // only files of this folder
		return fs.ReadFile(fsys, path.Base(u.Path))
	}
	doc, err := loader.LoadFromDataWithPath(data, &url.URL{Path: name})
	if err != nil {
		return nil, fmt.Errorf("load contract %s: %w", name, err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.0.") {
		return nil, fmt.Errorf("contract %s: OpenAPI %s: only 3.0.x can be checked fast enough", name, doc.OpenAPI)
	}
	if err := doc.Validate(loader.Context, openapi3.DisableExamplesValidation()); err != nil {
		return nil, fmt.Errorf("contract %s is not valid OpenAPI: %w", name, err)
	}
	return doc, nil
}

func (s *Set) addDocument(service string, doc *openapi3.T) error {
	if _, ok := s.Scopes[service]; !ok {
		return fmt.Errorf("services.yaml has no entry for %s", service)
	}
	s.Services = append(s.Services, service)
	for p, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			o, err := s.operation(service, method, p, item, op)
			if err != nil {
				return fmt.Errorf("%s %s: %w", method, p, err)
			}
			s.Operations = append(s.Operations, o)
		}
	}
	sort.Slice(s.Operations, func(i, j int) bool { return s.Operations[i].Template() < s.Operations[j].Template() })
	return nil
}

func (s *Set) operation(service, method, p string, item *openapi3.PathItem, op *openapi3.Operation) (*Operation, error) {
	o := &Operation{ID: op.OperationID, Service: service, Method: method, Path: p, MaxBody: DefaultMaxBody, Timeout: DefaultTimeout}
	if o.ID == "" {
		return nil, fmt.Errorf("operationId is missing")
	}
	if err := o.readExtensions(op.Extensions, s.Policies); err != nil {
		return nil, err
	}
	if err := o.readSecurity(op.Security); err != nil {
		return nil, err
	}
	if err := o.readParameters(item.Parameters, op.Parameters); err != nil {
		return nil, err
	}
	if op.RequestBody != nil {
		o.Body = op.RequestBody.Value
	}
	o.Responses = map[string]*openapi3.Response{}
	for status, r := range op.Responses.Map() {
		o.Responses[status] = r.Value
	}
	return o, o.check()
}

// ApplyPolicies gives operations the policies of the set again, after some were replaced by configuration.
func (s *Set) ApplyPolicies() {
	for _, o := range s.Operations {
		for i := range o.Limits {
			o.Limits[i].Policy = s.Policies[o.Limits[i].Policy.Name]
		}
	}
}

// SchemeScopes returns every scope that some operation asks of a scheme, sorted.
func (s *Set) SchemeScopes(scheme string) []string {
	var out []string
	for _, o := range s.Operations {
		for _, a := range o.Security {
			if a.Scheme == scheme {
				out = append(out, a.Scopes...)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
