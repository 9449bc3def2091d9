// Package validate holds a request against its contract: parameters, query, headers and body. Refusals name the place and the rule,
// never the value or the schema.
package validate

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/sendtip/sendtip/gateway/internal/contract"
	"github.com/sendtip/sendtip/gateway/internal/route"
	"github.com/sendtip/sendtip/gateway/internal/strictjson"
	"github.com/sendtip/sendtip/kit/fault"
)

// Refusals of a request.
var (
	ErrMediaType = fault.New(fault.UnsupportedMedia, "unsupported_media_type", "Send application/json in UTF-8, without content encoding.")
	ErrEmptyBody = fault.New(fault.Invalid, "body_required", "The request needs a body.")
	ErrText      = fault.New(fault.Unprocessable, "invalid_text", "A text contains a character that cannot be stored.")
	ErrExtraBody = fault.New(fault.Invalid, "body_not_allowed", "This request must not have a body.")
)

// maxFields bounds the faults of one answer.
const maxFields = 20

// Plan is the checks of one operation, resolved once at load.
type Plan struct {
	params    []*openapi3.Parameter
	query     map[string]bool // declared names
	schema    *openapi3.Schema
	required  bool
	fractions bool
	responses map[int]*openapi3.Schema
}

// NewPlan prepares the checks of an operation.
func NewPlan(op *contract.Operation) *Plan {
	p := &Plan{params: op.Parameters, query: map[string]bool{}, responses: map[int]*openapi3.Schema{}}
	for _, param := range op.Parameters {
		if param.In == openapi3.ParameterInQuery {
			p.query[param.Name] = true
		}
	}
	if op.Body != nil && op.Visibility != contract.Webhook {
		p.schema = op.Body.Content["application/json"].Schema.Value
		p.required = op.Body.Required
		p.fractions = hasNumber(p.schema, map[*openapi3.Schema]bool{})
	}
	for status, r := range op.Responses {
		code, err := strconv.Atoi(status)
		if media := r.Content["application/json"]; err == nil && media != nil && media.Schema != nil {
			p.responses[code] = media.Schema.Value
		}
	}
	return p
}

// TakesBody says whether the operation has a JSON body.
func (p *Plan) TakesBody() bool { return p.schema != nil }

// Parameters checks path, query and headers.
func (p *Plan) Parameters(r *http.Request, entry *route.Entry, path *route.Params) error {
	query, err := p.parseQuery(r.URL.RawQuery)
	if err != nil {
		return err
	}
	var bad *fault.Error
	for _, param := range p.params {
		value, found, once := read(param, r.Header, query, entry, path)
		switch {
		case !once:
			bad = add(bad, param.Name, "repeated", "It is given more than once.")
		case !found && param.Required:
			bad = add(bad, param.Name, "required", "It is missing.")
		case found:
			for _, f := range checkParameter(param, value) {
				bad = add(bad, param.Name, f.Code, f.Detail)
			}
		}
	}
	if bad != nil {
		return bad
	}
	return nil
}

// Path checks the parameters of the path alone: what providers put into query and headers is not ours to refuse.
func (p *Plan) Path(entry *route.Entry, path *route.Params) bool {
	for _, param := range p.params {
		if param.In != openapi3.ParameterInPath {
			continue
		}
		value, found := entry.Value(path, param.Name)
		if !found || len(checkParameter(param, value)) > 0 {
			return false
		}
	}
	return true
}

// parseQuery refuses names that the contract does not declare: a misspelt filter would silently return everything.
func (p *Plan) parseQuery(raw string) (url.Values, error) {
	if raw == "" {
		return nil, nil
	}
	query, err := url.ParseQuery(raw)
	if err != nil {
		return nil, fault.ErrInvalid.WithField("", "query", "The query cannot be read.")
	}
	for name := range query {
		if !p.query[name] {
			return nil, fault.ErrInvalid.WithField(printable(name), "unknown_parameter", "The contract has no such parameter.")
		}
	}
	return query, nil
}

func read(p *openapi3.Parameter, h http.Header, query url.Values, e *route.Entry, path *route.Params) (value string, found, once bool) {
	var all []string
	switch p.In {
	case openapi3.ParameterInPath:
		value, found = e.Value(path, p.Name)
		return value, found, true
	case openapi3.ParameterInQuery:
		all = query[p.Name]
	default:
		all = h.Values(p.Name)
	}
	if len(all) == 0 {
		return "", false, true
	}
	return all[0], true, len(all) == 1
}

// checkParameter reads a scalar as its schema says and lets kin judge it.
func checkParameter(p *openapi3.Parameter, text string) []fault.Field {
	schema := p.Schema.Value
	var value any = text
	switch {
	case schema.Type.Is("integer"):
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || text[0] == '+' {
			return []fault.Field{wrongType(schema)}
		}
		value = n
	case schema.Type.Is("boolean"):
		if text != "true" && text != "false" {
			return []fault.Field{wrongType(schema)}
		}
		value = text == "true"
	case strings.ContainsRune(text, 0):
		return []fault.Field{{Code: "pattern", Detail: detailOf("pattern")}}
	}
	return fieldsOf(schema.VisitJSON(value, requestOptions...))
}

// MediaType refuses what is not plain JSON.
func MediaType(h http.Header) error {
	types := h.Values("Content-Type")
	if len(types) != 1 || len(h.Values("Content-Encoding")) > 0 || !isJSON(types[0]) {
		return ErrMediaType
	}
	return nil
}

func isJSON(mediaType string) bool {
	name, param, _ := strings.Cut(mediaType, ";")
	if !strings.EqualFold(strings.TrimSpace(name), "application/json") {
		return false
	}
	param = strings.TrimSpace(param)
	return param == "" || strings.EqualFold(param, "charset=utf-8") || strings.EqualFold(param, `charset="utf-8"`)
}

// Body checks the body and returns its decoded value, for limits that are keyed by a part of it.
func (p *Plan) Body(body []byte) (any, error) {
	if len(body) == 0 {
		if p.required {
			return nil, ErrEmptyBody
		}
		return nil, nil
	}
	value, bad := strictjson.Decode(body, strictjson.Options{Fractions: p.fractions})
	if bad != nil && bad.Code == strictjson.CodeNUL {
		return nil, ErrText.WithField(pointerOf(bad.Path), bad.Code, detailOf(bad.Code))
	}
	if bad != nil {
		return nil, fault.ErrInvalid.WithField(pointerOf(bad.Path), bad.Code, detailOf(bad.Code))
	}
	fields := fieldsOf(p.schema.VisitJSON(value, requestOptions...))
	if p.fractions {
		fields = integers(p.schema, value, nil, fields)
	}
	if len(fields) == 0 {
		return value, nil
	}
	refusal := *fault.ErrInvalid
	refusal.Fields = fields[:min(len(fields), maxFields)]
	return nil, &refusal
}

// Response checks an answer of a service and returns the broken rules. Unknown statuses break the contract too; bodies that are not
// JSON are not judged.
func (p *Plan) Response(status int, body []byte) []fault.Field {
	schema := p.responses[status]
	if schema == nil {
		return nil
	}
	value, bad := strictjson.Decode(body, strictjson.Options{Fractions: true})
	if bad != nil {
		return []fault.Field{{Pointer: pointerOf(bad.Path), Code: bad.Code}}
	}
	return fieldsOf(schema.VisitJSON(value, responseOptions...))
}

func add(f *fault.Error, pointer, code, detail string) *fault.Error {
	if f == nil {
		f = fault.ErrInvalid
	}
	if len(f.Fields) >= maxFields {
		return f
	}
	return f.WithField(pointer, code, detail)
}
