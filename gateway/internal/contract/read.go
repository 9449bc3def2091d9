package contract

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"gopkg.in/yaml.v3"
)

func (s *Set) loadServices(fsys fs.FS) error {
	data, err := fs.ReadFile(fsys, "services.yaml")
	if err != nil {
		return fmt.Errorf("read services.yaml: %w", err)
	}
	var file struct {
		Services yaml.Node `yaml:"services"` // their order is kept
		Scopes   yaml.Node `yaml:"scopes"`
		Roles    yaml.Node `yaml:"roles"`
		Policies map[string]struct {
			Limit  int `yaml:"limit"`
			Window int `yaml:"window_s"`
			Burst  int `yaml:"burst"`
		} `yaml:"policies"`
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		return fmt.Errorf("parse services.yaml: %w", err)
	}
	s.Scopes, s.Policies = map[string][]string{}, map[string]Policy{}
	for i := 0; i+1 < len(file.Services.Content); i += 2 {
		var svc struct {
			Scopes []string `yaml:"scopes"`
		}
		name := file.Services.Content[i].Value
		if err := file.Services.Content[i+1].Decode(&svc); err != nil {
			return fmt.Errorf("services.yaml: %s: %w", name, err)
		}
		s.Scopes[name] = svc.Scopes
		s.order = append(s.order, name)
	}
	if err := s.readScopes(&file.Scopes, &file.Roles); err != nil {
		return err
	}
	for name, p := range file.Policies {
		if p.Limit < 1 || p.Window < 1 || p.Burst < 1 {
			return fmt.Errorf("services.yaml: policy %s: limit, window_s and burst must be at least 1", name)
		}
		s.Policies[name] = Policy{Name: name, Limit: p.Limit, Window: time.Duration(p.Window) * time.Second, Burst: p.Burst}
	}
	for _, name := range []string{"address", "default"} {
		if _, ok := s.Policies[name]; !ok {
			return fmt.Errorf("services.yaml: policy %s is missing", name)
		}
	}
	return nil
}

func (o *Operation) readExtensions(ext map[string]any, policies map[string]Policy) error {
	for name := range ext {
		switch name {
		case "x-visibility", "x-rate-limit", "x-max-body", "x-timeout", "x-step-up", "x-actor":
		default:
			if strings.HasPrefix(name, "x-") && !strings.HasPrefix(name, "x-go-") {
				return fmt.Errorf("extension %s is not known", name)
			}
		}
	}
	v, _ := ext["x-visibility"].(string)
	switch o.Visibility = Visibility(v); o.Visibility {
	case Public, Internal, Webhook:
	default:
		return errors.New("x-visibility must be public, internal or webhook")
	}
	if v, ok := ext["x-step-up"]; ok {
		if v != "pin" {
			return errors.New("x-step-up must be pin")
		}
		o.StepUp = true
	}
	if v, ok := ext["x-actor"]; ok {
		if v != Agent {
			return errors.New("x-actor must be agent")
		}
		o.Actor = Agent
	}
	if v, ok := ext["x-max-body"]; ok {
		n, ok := bytesOf(v)
		if !ok || n < 1 || n > maxMaxBody {
			return errors.New("x-max-body must be a number of bytes (or a text such as 2MiB) up to 16 MiB")
		}
		o.MaxBody = n
	}
	if v, ok := ext["x-timeout"]; ok {
		d, ok := durationOf(v)
		if !ok || d <= 0 || d > maxTimeout {
			return errors.New("x-timeout must be a duration such as 20s, up to 2m")
		}
		o.Timeout = d
	}
	if v, ok := ext["x-rate-limit"]; ok {
		return o.readLimits(v, policies)
	}
	return nil
}

func (o *Operation) readLimits(v any, policies map[string]Policy) error {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	for _, item := range list {
		m, _ := item.(map[string]any)
		name, _ := m["policy"].(string)
		key, _ := m["key"].(string)
		policy, ok := policies[name]
		if !ok {
			return fmt.Errorf("x-rate-limit: policy %q is not in services.yaml", name)
		}
		if key != "user" && key != "address" && key != "key" && !strings.HasPrefix(key, "/") {
			return fmt.Errorf("x-rate-limit: key %q must be user, address, key or a JSON Pointer", key)
		}
		o.Limits = append(o.Limits, Limit{Policy: policy, Key: key})
	}
	return nil
}

func (o *Operation) readSecurity(reqs *openapi3.SecurityRequirements) error {
	if reqs == nil {
		return errors.New("security is missing; an open operation says []")
	}
	for _, req := range *reqs {
		if len(req) != 1 {
			return errors.New("security: each alternative names exactly one scheme")
		}
		for scheme, scopes := range req {
			if scheme != UserAuth && scheme != APIKey && scheme != ServiceKey {
				return fmt.Errorf("security: scheme %s is not known", scheme)
			}
			o.Security = append(o.Security, Alternative{Scheme: scheme, Scopes: scopes})
		}
	}
	return nil
}

func (o *Operation) readParameters(shared, own openapi3.Parameters) error {
	for _, ref := range shared {
		if own.GetByInAndName(ref.Value.In, ref.Value.Name) == nil {
			o.Parameters = append(o.Parameters, ref.Value)
		}
	}
	for _, ref := range own {
		o.Parameters = append(o.Parameters, ref.Value)
	}
	for _, p := range o.Parameters {
		if p.Schema == nil || p.Schema.Value == nil || !scalar(p.Schema.Value) {
			return fmt.Errorf("parameter %s must have a string, integer or boolean schema", p.Name)
		}
		if p.In == openapi3.ParameterInCookie {
			return fmt.Errorf("parameter %s: cookies are not used", p.Name)
		}
		if p.In == openapi3.ParameterInHeader && strings.EqualFold(p.Name, "Idempotency-Key") {
			o.Idempotent = p.Required
		}
	}
	return nil
}

func scalar(s *openapi3.Schema) bool {
	return s.Type.Is("string") || s.Type.Is("integer") || s.Type.Is("boolean")
}

func bytesOf(v any) (int64, bool) {
	switch n := v.(type) {
	case float64:
		return int64(n), n == float64(int64(n))
	case int:
		return int64(n), true
	case int64:
		return n, true
	case uint64:
		return int64(n), n <= maxMaxBody // #nosec G115 -- bounded
	case string:
		var count int64
		var unit string
		if _, err := fmt.Sscanf(strings.ReplaceAll(n, " ", ""), "%d%s", &count, &unit); err != nil {
			return 0, false
		}
		factor, ok := map[string]int64{"B": 1, "KiB": 1 << 10, "MiB": 1 << 20}[unit]
		return count * factor, ok && count > 0 && count <= maxMaxBody
	}
	return 0, false
}

func durationOf(v any) (time.Duration, bool) {
	switch d := v.(type) {
	case string:
		out, err := time.ParseDuration(d)
		return out, err == nil
	default:
		n, ok := bytesOf(v) // a bare number counts seconds
		return time.Duration(n) * time.Second, ok
	}
}
