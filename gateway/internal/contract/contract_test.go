package contract_test

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/sendtip/sendtip/gateway/internal/contract"
)

const services = `
services: {wallet: {scopes: []}, user: {scopes: []}}
scopes: {"wallet:write": pay}
roles: {customer: ["wallet:write"]}
policies: {address: {limit: 1, window_s: 1, burst: 1}, default: {limit: 1, window_s: 1, burst: 1}, pay: {limit: 6, window_s: 60, burst: 2}}
`

const base = `
openapi: 3.0.3
info: {title: t, version: "1"}
paths:
  /v1/things/{thing_id}:
    post:
      operationId: createThing
      security: [{userAuth: ["wallet:write"]}]
      x-visibility: public
      x-rate-limit: {policy: pay, key: user}
      x-max-body: 2048
      x-timeout: 3s
      parameters:
        - {name: thing_id, in: path, required: true, schema: {type: string}}
        - {name: Idempotency-Key, in: header, required: true, schema: {type: string}}
      requestBody:
        content: {application/json: {schema: {type: object, additionalProperties: false, properties: {a: {type: string}}}}}
      responses: {"200": {description: ok}}
components:
  securitySchemes:
    userAuth: {type: http, scheme: bearer}
    serviceKey: {type: apiKey, in: header, name: Sendtip-Service-Key}
    basic: {type: http, scheme: basic}
`

func load(wallet, user string) (*contract.Set, error) { return loadWith(services, wallet, user) }

func loadWith(list, wallet, user string) (*contract.Set, error) {
	fsys := fstest.MapFS{"services.yaml": {Data: []byte(list)}, "wallet.yaml": {Data: []byte(wallet)},
		"common.yaml": {Data: []byte("not: a contract")}}
	if user != "" {
		fsys["user.yaml"] = &fstest.MapFile{Data: []byte(user)}
	}
	return contract.Load(fsys)
}

func TestLoad(t *testing.T) {
	t.Parallel()
	set, err := load(base, "")
	if err != nil {
		t.Fatal(err)
	}
	o := set.Operations[0]
	if o.ID != "createThing" || o.Service != "wallet" || o.MaxBody != 2048 || o.Timeout != 3*time.Second || !o.Idempotent || o.StepUp ||
		len(o.Limits) != 1 || o.Limits[0].Policy.Burst != 2 || o.Template() != "POST /v1/things/{thing_id}" {
		t.Fatalf("%+v", o)
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	swap := func(old, replacement string) string {
		if !strings.Contains(base, old) {
			t.Fatalf("the base has no %s", old)
		}
		return strings.Replace(base, old, replacement, 1)
	}
	security := "security: [{userAuth: [\"wallet:write\"]}]"
	both := `security: [{userAuth: ["wallet:write"]}, {serviceKey: ["wallet:write"]}]`
	for name, wallet := range map[string]string{
		"3.1":                        swap("3.0.3", "3.1.0"),
		"no operationId":             swap("operationId: createThing", "summary: x"),
		"no security":                swap(security, "summary: x"),
		"no visibility":              swap("x-visibility: public", "summary: x"),
		"unknown visibility":         swap("x-visibility: public", "x-visibility: secret"),
		"unknown policy":             swap("policy: pay", "policy: play"),
		"unknown limit key":          swap("key: user", "key: moon"),
		"unknown extension":          swap("x-timeout: 3s", "x-time-out: 3s"),
		"bad timeout":                swap("x-timeout: 3s", "x-timeout: soon"),
		"long timeout":               swap("x-timeout: 3s", "x-timeout: 1h"),
		"bad body limit":             swap("x-max-body: 2048", "x-max-body: 0"),
		"large body limit":           swap("x-max-body: 2048", "x-max-body: 99999999999"),
		"unknown scheme":             swap("userAuth: [\"wallet:write\"]", "basic: []"),
		"two schemes at once":        swap("{userAuth: [\"wallet:write\"]}", "{userAuth: [\"a:b\"], serviceKey: [\"a:b\"]}"),
		"no scope":                   swap("userAuth: [\"wallet:write\"]", "userAuth: []"),
		"internal for users":         swap("x-visibility: public", "x-visibility: internal"),
		"internal for everybody":     strings.Replace(swap("x-visibility: public", "x-visibility: internal"), security, "security: []", 1),
		"webhook elsewhere":          strings.Replace(swap("x-visibility: public", "x-visibility: webhook"), security, "security: []", 1),
		"public under internal":      swap("/v1/things/{thing_id}", "/v1/internal/{thing_id}"),
		"no version":                 swap("/v1/things/{thing_id}", "/things/{thing_id}"),
		"step-up of an unknown kind": swap("x-timeout: 3s", "x-step-up: retina"),
		"step-up for anybody":        strings.Replace(swap("x-timeout: 3s", "x-step-up: pin"), security, "security: []", 1),
		"an actor nobody knows":      swap("x-timeout: 3s", "x-actor: pigeon"),
		"actor of an open operation": strings.Replace(swap("x-timeout: 3s", "x-actor: agent"), security, "security: []", 1),
		"actor or a service":         strings.Replace(swap("x-timeout: 3s", "x-actor: agent"), security, both, 1),
		"open object":                swap("additionalProperties: false, ", ""),
		"open nested object":         swap("a: {type: string}", "a: {type: object}"),
		"open object in a list":      swap("a: {type: string}", "a: {type: array, items: {type: object}}"),
		"union":                      swap("a: {type: string}", "a: {oneOf: [{type: string}]}"),
		"form":                       swap("application/json", "multipart/form-data"),
		"list parameter": swap("in: path, required: true, schema: {type: string}",
			"in: path, required: true, schema: {type: array, items: {type: string}}"),
		"body limit without a body": swap("key: user}", "key: /a}\n      x-step-up: pin") + "", // replaced below
		"broken reference":          swap("{type: string}}}}}", "{$ref: \"common.yaml#/nowhere\"}}}}}"),
		"reference outside":         swap("{type: string}}}}}", "{$ref: \"../../etc/passwd\"}}}}}"),
	} {
		if name == "body limit without a body" {
			head, tail, _ := strings.Cut(swap("key: user", "key: /a"), "      requestBody:")
			_, tail, _ = strings.Cut(tail, "      responses:")
			wallet = head + "      responses:" + tail
		}
		if _, err := load(wallet, ""); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := load(base, base); err == nil || !strings.Contains(err.Error(), "operationId") {
		t.Errorf("one operationId twice: %v", err)
	}
	other := strings.NewReplacer("createThing", "createOther", "{thing_id}", "{other_id}", "name: thing_id", "name: other_id").Replace(base)
	if _, err := load(base, other); err == nil || !strings.Contains(err.Error(), "same route") {
		t.Errorf("one route twice: %v", err)
	}
	if _, err := contract.Load(fstest.MapFS{}); err == nil {
		t.Error("no services.yaml: accepted")
	}
}

// TestScopesAreListed: contracts and the one list of scopes agree, both ways.
func TestScopesAreListed(t *testing.T) {
	t.Parallel()
	internal := strings.NewReplacer("createThing", "readThing", "/v1/things", "/v1/internal/things",
		`userAuth: ["wallet:write"]`, `serviceKey: ["things:read"]`, "x-visibility: public", "x-visibility: internal").Replace(base)
	full := strings.NewReplacer(`"wallet:write": pay`, `"wallet:write": pay, "things:read": read things`,
		"user: {scopes: []}", `user: {scopes: ["things:read"]}`).Replace(services)
	set, err := loadWith(full, base, internal)
	if err != nil {
		t.Fatal(err)
	}
	if len(set.AllScopes) != 2 || set.AllScopes[1] != (contract.Scope{Name: "things:read", Allows: "read things"}) ||
		len(set.Roles) != 1 || set.Roles[0].Name != "customer" {
		t.Errorf("%+v %+v", set.AllScopes, set.Roles)
	}
	for name, c := range map[string]struct{ old, replacement, want string }{
		"asked by a user, not listed":      {`"wallet:write": pay, `, "", "does not list"},
		"asked by a service, not listed":   {`, "things:read": read things`, "", "does not list"},
		"listed, not asked":                {`"wallet:write": pay`, `"wallet:write": pay, "wallet:close": close`, "which no operation asks for"},
		"a role has what is not asked":     {`customer: ["wallet:write"]`, `customer: ["wallet:write", "wallet:close"]`, "asks of users"},
		"a role has what services have":    {`customer: ["wallet:write"]`, `customer: ["wallet:write", "things:read"]`, "asks of users"},
		"no role":                          {`customer: ["wallet:write"]`, `customer: []`, "no role"},
		"a service has what is not asked":  {`["things:read"]}`, `["things:read", "things:write"]}`, "asks of services"},
		"a service has what users have":    {`["things:read"]}`, `["things:read", "wallet:write"]}`, "asks of services"},
		"a role that is no list of scopes": {`customer: ["wallet:write"]`, `customer: {a: b}`, "role customer"},
	} {
		if !strings.Contains(full, c.old) {
			t.Fatalf("%s: there is no %s", name, c.old)
		}
		_, err := loadWith(strings.Replace(full, c.old, c.replacement, 1), base, internal)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
