// Package spec is the contract with Paystack: its official OpenAPI description as published (MIT, see the licence beside it;
// PaystackOSS/openapi at 9678dea), our corrections of it, and the schemas of webhooks, which Paystack does not publish. Tests hold every
// exchange against it.
package spec

import (
	_ "embed" // the descriptions are compiled in
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"gopkg.in/yaml.v3"
)

var (
	//go:embed paystack-openapi.yaml
	published []byte
	//go:embed overlay.yaml
	overlay []byte
	//go:embed webhooks.yaml
	webhooks []byte
)

// correction is one entry of the overlay.
type correction struct {
	Why    string
	At     []string
	Set    any
	Add    any
	Remove []string
}

// Load returns Paystack's description with the corrections.
func Load() (*openapi3.T, error) {
	var doc any
	if err := yaml.Unmarshal(published, &doc); err != nil {
		return nil, fmt.Errorf("paystack-openapi.yaml: %w", err)
	}
	var fixes struct{ Corrections []correction }
	if err := yaml.Unmarshal(overlay, &fixes); err != nil {
		return nil, fmt.Errorf("overlay.yaml: %w", err)
	}
	for _, c := range fixes.Corrections {
		for _, at := range c.At {
			if err := c.apply(doc, at); err != nil {
				return nil, fmt.Errorf("overlay.yaml: %s: %w", at, err)
			}
		}
	}
	return parse(doc)
}

// Webhooks returns the schemas of webhook bodies, as components named by their event.
func Webhooks() (*openapi3.T, error) {
	var doc any
	if err := yaml.Unmarshal(webhooks, &doc); err != nil {
		return nil, fmt.Errorf("webhooks.yaml: %w", err)
	}
	return parse(doc)
}

func parse(doc any) (*openapi3.T, error) {
	raw, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	return openapi3.NewLoader().LoadFromData(raw)
}

// apply makes one correction at one place, which has to exist and to be wrong: a correction that changes nothing is itself an error.
func (c correction) apply(doc any, at string) error {
	parent, last, err := find(doc, at)
	if err != nil {
		return err
	}
	value, err := member(parent, last)
	if err != nil {
		return err
	}
	before, _ := json.Marshal(value)
	if c.Set != nil {
		value = c.Set
	}
	for _, name := range c.Remove {
		object, ok := value.(map[string]any)
		if !ok || object[name] == nil {
			return fmt.Errorf("nothing to remove: %s", name)
		}
		delete(object, name)
	}
	switch add := c.Add.(type) {
	case map[string]any:
		object, ok := value.(map[string]any)
		if !ok {
			return fmt.Errorf("is no object")
		}
		for name, v := range add {
			if inner, ok := v.(map[string]any); ok && name == "properties" { // beside those that are there
				if old, ok := object[name].(map[string]any); ok {
					for k, property := range inner {
						old[k] = property
					}
					continue
				}
			}
			object[name] = v
		}
	case []any:
		entries, ok := value.([]any)
		if !ok {
			return fmt.Errorf("is no list")
		}
		value = slices.Concat(entries, add)
	}
	if after, _ := json.Marshal(value); string(after) == string(before) {
		return fmt.Errorf("is so already")
	}
	return put(parent, last, value)
}

// find returns what holds the place that a JSON pointer names, and the place's name in it.
func find(doc any, at string) (parent any, last string, err error) {
	steps := strings.Split(at, "/")[1:]
	for i, step := range steps {
		steps[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
	}
	for _, step := range steps[:len(steps)-1] {
		if doc, err = member(doc, step); err != nil {
			return nil, "", err
		}
	}
	return doc, steps[len(steps)-1], nil
}

func member(in any, name string) (any, error) {
	switch in := in.(type) {
	case map[string]any:
		if v, ok := in[name]; ok {
			return v, nil
		}
	case []any:
		if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(in) {
			return in[i], nil
		}
	}
	return nil, fmt.Errorf("no %s", name)
}

func put(in any, name string, value any) error {
	switch in := in.(type) {
	case map[string]any:
		in[name] = value
		return nil
	case []any:
		if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(in) {
			in[i] = value
			return nil
		}
	}
	return fmt.Errorf("no %s", name)
}

// CheckWebhook holds a webhook's body against the schema of its event.
func CheckWebhook(doc *openapi3.T, body []byte) error {
	var in struct{ Event string }
	if err := json.Unmarshal(body, &in); err != nil {
		return err
	}
	schema := doc.Components.Schemas[in.Event]
	if schema == nil {
		return fmt.Errorf("webhook: no schema for %q", in.Event)
	}
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		return err
	}
	return schema.Value.VisitJSON(value, openapi3.MultiErrors())
}
