// Package docs publishes the contract: /openapi.json with every public operation of all services, and Swagger UI over it.
package docs

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"reflect"
	"sort"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/sendtip/sendtip/gateway/internal/contract"
)

type object = map[string]any

// Merge makes one public document of the given services' contracts: internal and webhook operations, x- extensions and what only
// they use are left out, references into common.yaml become local ones, and server is the only server.
func Merge(fsys fs.FS, services []string, title, server string) ([]byte, error) {
	m := merger{components: object{}, names: map[string]string{}, paths: object{}}
	for _, name := range append([]string{"common"}, services...) {
		if err := m.add(fsys, name); err != nil {
			return nil, fmt.Errorf("merge %s.yaml: %w", name, err)
		}
	}
	m.addHeaders()
	m.prune()
	out := object{
		"openapi": "3.0.3",
		"info": object{"title": title, "version": "1.0.0",
			"description": "Errors are RFC 9457 problem documents with a stable `code`. Amounts are integers in minor units. " +
				"Clients must accept properties and enum values that are new to them.",
			"license": object{"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"}},
		"servers":    []any{object{"url": server}},
		"tags":       m.usedTags(),
		"paths":      m.paths,
		"components": m.components,
	}
	return json.Marshal(out)
}

type merger struct {
	components object            // kind → name → definition
	names      map[string]string // "file#/components/kind/name" → final name
	paths      object
	tags       []any
	used       map[string]bool
}

var kinds = []string{"schemas", "parameters", "responses", "headers", "examples", "requestBodies", "securitySchemes"}

func (m *merger) add(fsys fs.FS, service string) error {
	data, err := fs.ReadFile(fsys, service+".yaml")
	if err != nil {
		return err
	}
	var raw any
	if err := yaml.Unmarshal(data, &raw); err != nil {
		return err
	}
	doc, _ := plain(raw).(object)
	components, _ := doc["components"].(object)
	for _, kind := range kinds {
		definitions, _ := components[kind].(object)
		for _, name := range sorted(definitions) {
			m.name(service, kind, name, definitions[name])
		}
	}
	for _, kind := range kinds {
		definitions, _ := components[kind].(object)
		for name, d := range definitions {
			m.kind(kind)[m.names[key(service, kind, name)]] = m.rewrite(service, d)
		}
	}
	if tags, ok := doc["tags"].([]any); ok {
		m.tags = append(m.tags, tags...)
	}
	paths, _ := doc["paths"].(object)
	for p, item := range paths {
		if public := m.public(service, item); public != nil {
			m.paths[p] = public
		}
	}
	return nil
}

// name decides what a component is called in the merged document. Two services may call different things by one name.
func (m *merger) name(service, kind, name string, d any) {
	final := name
	if other, taken := m.kind(kind)[name]; taken && !reflect.DeepEqual(other, m.rewrite(service, d)) {
		final = strings.ToUpper(service[:1]) + service[1:] + name
	}
	m.names[key(service, kind, name)] = final
}

func (m *merger) kind(kind string) object {
	definitions, ok := m.components[kind].(object)
	if !ok {
		definitions = object{}
		m.components[kind] = definitions
	}
	return definitions
}

func key(service, kind, name string) string { return service + "#/components/" + kind + "/" + name }

// public keeps the public operations of a path, or returns nil.
func (m *merger) public(service string, item any) object {
	methods, _ := item.(object)
	out, found := object{}, false
	for name, v := range methods {
		if name == "parameters" {
			out[name] = m.rewrite(service, v)
			continue
		}
		op, _ := v.(object)
		if op["x-visibility"] != string(contract.Public) {
			continue
		}
		found = true
		clean, _ := m.rewrite(service, op).(object)
		clean["security"] = outsiders(clean["security"])
		out[name] = clean
	}
	if !found {
		return nil
	}
	return out
}

// outsiders leaves out the alternatives that only services can use.
func outsiders(security any) []any {
	out := []any{}
	list, _ := security.([]any)
	for _, a := range list {
		if m, _ := a.(object); m[contract.ServiceKey] == nil {
			out = append(out, a)
		}
	}
	return out
}

// rewrite copies a part of a document with local references and without extensions.
func (m *merger) rewrite(service string, v any) any {
	switch v := v.(type) {
	case object:
		out := object{}
		for name, inner := range v {
			switch text, isText := inner.(string); {
			case name == "$ref" && isText:
				out[name] = m.local(service, text)
			case strings.HasPrefix(name, "x-"):
			default:
				out[name] = m.rewrite(service, inner)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = m.rewrite(service, v[i])
		}
		return out
	}
	return v
}

func (m *merger) local(service, ref string) string {
	file, pointer, _ := strings.Cut(ref, "#")
	if file != "" {
		service = strings.TrimSuffix(file, ".yaml")
	}
	if final, ok := m.names[service+"#"+pointer]; ok {
		return "#" + pointer[:strings.LastIndex(pointer, "/")+1] + final
	}
	return "#" + pointer
}

// prune drops what no public operation reaches.
func (m *merger) prune() {
	m.used = map[string]bool{}
	m.reach(m.paths)
	for _, kind := range sorted(m.components) {
		definitions := m.kind(kind)
		for name := range definitions {
			if !m.used["#/components/"+kind+"/"+name] {
				delete(definitions, name)
			}
		}
		if len(definitions) == 0 {
			delete(m.components, kind)
		}
	}
}

func (m *merger) reach(v any) {
	switch v := v.(type) {
	case object:
		if ref, ok := v["$ref"].(string); ok {
			m.follow(ref)
		}
		if security, ok := v["security"].([]any); ok {
			for _, a := range security {
				alternative, _ := a.(object)
				for scheme := range alternative {
					m.used["#/components/securitySchemes/"+scheme] = true
				}
			}
		}
		for _, inner := range v {
			m.reach(inner)
		}
	case []any:
		for _, inner := range v {
			m.reach(inner)
		}
	}
}

func (m *merger) follow(ref string) {
	parts := strings.Split(ref, "/")
	if m.used[ref] || len(parts) != 4 {
		return
	}
	m.used[ref] = true
	m.reach(m.kind(parts[2])[parts[3]])
}

// usedTags keeps the tags of public operations, in the order of the services.
func (m *merger) usedTags() []any {
	used := map[any]bool{}
	for _, item := range m.paths {
		methods, _ := item.(object)
		for _, op := range methods {
			if o, ok := op.(object); ok {
				tags, _ := o["tags"].([]any)
				for _, t := range tags {
					used[t] = true
				}
			}
		}
	}
	out := []any{}
	for _, t := range m.tags {
		if tag, _ := t.(object); used[tag["name"]] {
			out = append(out, t)
			delete(used, tag["name"])
		}
	}
	return out
}

func sorted(m object) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// plain turns YAML's maps with other keys (status codes without quotes) into JSON objects.
func plain(v any) any {
	switch v := v.(type) {
	case object:
		for k := range v {
			v[k] = plain(v[k])
		}
	case map[any]any:
		out := object{}
		for k := range v {
			out[fmt.Sprint(k)] = plain(v[k])
		}
		return out
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	}
	return v
}
