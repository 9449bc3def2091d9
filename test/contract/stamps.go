package contract

import (
	"encoding/json"
	"net/http"
	"path"
	"slices"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
)

// stampFields say when something came to be; every answer about it must say the same.
var stampFields = []string{"created_at", "submitted_at", "recorded_at"}

// stamps remember what answers said of when things came to be.
type stamps struct {
	operations map[string]map[string]string // by component with such a field: the operations that show it, and their methods
	said       map[string]stamp             // by the thing's id and the field
}

type stamp struct {
	value      string
	operations []string
}

func newStamps() stamps {
	return stamps{operations: map[string]map[string]string{}, said: map[string]stamp{}}
}

// learn notes which components the answers of an operation show.
func (s *stamps) learn(method string, op *openapi3.Operation) {
	for status, answer := range op.Responses.Map() {
		if media := answer.Value.Content["application/json"]; media != nil && status[0] == '2' {
			s.walk(media.Schema, func(component string) {
				if s.operations[component] == nil {
					s.operations[component] = map[string]string{}
				}
				s.operations[component][op.OperationID] = method
			})
		}
	}
}

func (s *stamps) walk(schema *openapi3.SchemaRef, found func(component string)) {
	if schema == nil || schema.Value == nil {
		return
	}
	for name, property := range schema.Value.Properties {
		if slices.Contains(stampFields, name) && schema.Ref != "" {
			found(path.Base(schema.Ref))
		}
		s.walk(property, found)
	}
	s.walk(schema.Value.Items, found)
	for _, part := range schema.Value.AllOf {
		s.walk(part, found)
	}
}

// heard compares an answer with the earlier ones, and returns what differs.
func (s *stamps) heard(operation string, body []byte) (faults []string) {
	var answer any
	if json.Unmarshal(body, &answer) != nil {
		return nil // no JSON: a page, a webhook's answer
	}
	s.compare(operation, answer, &faults)
	return faults
}

func (s *stamps) compare(operation string, value any, faults *[]string) {
	switch v := value.(type) {
	case []any:
		for _, item := range v {
			s.compare(operation, item, faults)
		}
	case map[string]any:
		var id string
		for _, name := range []string{"user_id", "kyc_id", "number_change_id", "recovery_id", "id"} { // the last that is there is the thing's own
			if text, ok := v[name].(string); ok {
				id = text
			}
		}
		for _, field := range stampFields {
			if said, ok := v[field].(string); ok && id != "" {
				s.note(operation, id+" "+field, said, faults)
			}
		}
		for _, item := range v {
			s.compare(operation, item, faults)
		}
	}
}

func (s *stamps) note(operation, key, said string, faults *[]string) {
	at, err := time.Parse(time.RFC3339Nano, said)
	if err != nil || at.Nanosecond()%1000 != 0 || said[len(said)-1] != 'Z' {
		*faults = append(*faults, operation+": "+key+" is "+said+", want UTC in whole microseconds")
	}
	known, ok := s.said[key]
	if ok && known.value != said {
		*faults = append(*faults, operation+": "+key+" is "+said+", and "+known.operations[0]+" said "+known.value)
		return
	}
	if !slices.Contains(known.operations, operation) {
		s.said[key] = stamp{said, append(known.operations, operation)}
	}
}

// Uncompared are the components that one operation makes and another reads, and of which no thing was seen in both.
func (c *Checker) Uncompared() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for component, operations := range c.stamps.operations {
		made, read, compared := false, false, false
		for _, method := range operations {
			made, read = made || method != http.MethodGet, read || method == http.MethodGet
		}
		for _, st := range c.stamps.said {
			m, r := false, false
			for _, op := range st.operations {
				if method, ok := operations[op]; ok {
					m, r = m || method != http.MethodGet, r || method == http.MethodGet
				}
			}
			compared = compared || m && r
		}
		if made && read && !compared {
			out = append(out, component)
		}
	}
	slices.Sort(out)
	return out
}
