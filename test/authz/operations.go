package authz

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"

	"github.com/sendtip/sendtip/test/contract"
)

// operation is one of a contract's, with a request that the contract allows.
type operation struct {
	id, method        string
	internal, webhook bool
	stepUp            bool
	security          []alternative
	path              string            // with its parameters in braces
	params            map[string]string // of the path, by name: the contract's examples
	query             url.Values        // what is required
	header            map[string]string
	body              map[string]any // nil: none
	raw               string         // a body that is no JSON object
}

type alternative struct {
	scheme string
	scopes []string
}

// operations reads all contracts.
func operations() ([]operation, error) {
	var out []operation
	for _, name := range contract.Names {
		doc, err := contract.Load(name)
		if err != nil {
			return nil, err
		}
		for path, item := range doc.Paths.Map() {
			for method, op := range item.Operations() {
				o, err := read(method, path, item.Parameters, op)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", op.OperationID, err)
				}
				out = append(out, o)
			}
		}
	}
	slices.SortFunc(out, func(a, b operation) int { return strings.Compare(a.id, b.id) })
	return out, nil
}

func read(method, path string, shared openapi3.Parameters, op *openapi3.Operation) (operation, error) {
	visibility, _ := op.Extensions["x-visibility"].(string)
	o := operation{id: op.OperationID, method: method, path: path, internal: visibility == "internal", webhook: visibility == "webhook",
		stepUp: op.Extensions["x-step-up"] != nil, params: map[string]string{}, query: url.Values{}, header: map[string]string{}}
	for _, requirement := range *op.Security {
		for scheme, want := range requirement {
			o.security = append(o.security, alternative{scheme, want})
		}
	}
	for _, ref := range append(slices.Clone(shared), op.Parameters...) {
		p := ref.Value
		text := fmt.Sprint(p.Example)
		if at, ok := p.Example.(time.Time); ok {
			text = at.Format(time.RFC3339)
		}
		switch {
		case p.In == openapi3.ParameterInPath:
			o.params[p.Name] = text
		case !p.Required && !slices.Contains(ownership[op.OperationID].given, "?"+p.Name):
		case p.In == openapi3.ParameterInQuery:
			o.query.Set(p.Name, text)
		default:
			o.header[p.Name] = text
		}
		if p.Required && p.Example == nil {
			return o, fmt.Errorf("parameter %s has no example", p.Name)
		}
	}
	if op.RequestBody == nil {
		return o, nil
	}
	for kind, media := range op.RequestBody.Value.Content {
		if kind != "application/json" || o.webhook {
			o.raw = "{}"
			continue
		}
		example := media.Example
		for _, e := range media.Examples { // any of them will do
			example = e.Value.Value
		}
		text, err := json.Marshal(example)
		if err != nil {
			return o, err
		}
		if err := json.Unmarshal(text, &o.body); err != nil {
			return o, fmt.Errorf("example of the body: %w", err)
		}
	}
	return o, nil
}

// request makes the operation's request, with objects in the places that the ownership table names.
func (o operation) request(base string, objects map[string]string) (*http.Request, error) {
	path := o.path
	for name, example := range o.params {
		value := example
		if slices.Contains(ownership[o.id].places(), name) {
			value = cmp.Or(objects[o.id+" "+name], objects[name]) // of two sides of one object, the caller's own
		}
		path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(value))
	}
	text := o.raw
	if o.body != nil {
		body := map[string]any{}
		for k, v := range o.body {
			body[k] = v
		}
		for _, place := range ownership[o.id].places() {
			if field, ok := strings.CutPrefix(place, "/"); ok {
				body[field] = objects[field]
			}
		}
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		text = string(b)
	}
	r, err := http.NewRequest(o.method, base+path, strings.NewReader(text)) //nolint:noctx // the client has a time limit
	if err != nil {
		return nil, err
	}
	r.URL.RawQuery = o.query.Encode()
	for k, v := range o.header {
		r.Header.Set(k, v)
	}
	if r.Header.Get("Idempotency-Key") != "" {
		r.Header.Set("Idempotency-Key", uuid.NewString())
	}
	if text != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r, nil
}
