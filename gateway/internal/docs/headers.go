package docs

import (
	"slices"
	"strings"
)

// The headers that the gateway and the services add are the same for every operation, so they are not written into each contract, where
// they would also become a part of each service's types: the public document gets them here.
var headers = object{
	"RateLimitPolicy": header("Each limit that applies: name, requests (q) per window (w) in seconds.", "string", `"default";q=600;w=60`),
	"RateLimit":       header("Each limit's state: requests left at once (r), seconds until one more (t).", "string", `"default";r=99;t=1`),
	"RequestId":       header("Id of this request; quote it when you contact support.", "string", "01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e"),
	"RetryAfter":      header("Seconds to wait before the next try.", "integer", 2),
	"Location": header("Path of the object that the first request with this key is creating, if there is one.", "string",
		"/v1/transfers/01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e"),
	"IdempotencyReplayed": header("`true` when the stored answer of an earlier request with this key is repeated.", "string", "true"),
	"Challenge":           header("Which credential to send.", "string", `Bearer realm="sendtip"`),
}

func header(description, kind string, example any) object {
	schema := object{"type": kind}
	if kind == "integer" {
		schema["format"], schema["minimum"], schema["maximum"] = "int32", 0, 86400
	} else {
		schema["maxLength"] = 500
	}
	return object{"description": description, "schema": schema, "example": example}
}

// byStatus are those that only some answers carry.
var byStatus = map[string]map[string]string{
	"401": {"WWW-Authenticate": "Challenge"},
	"409": {"Retry-After": "RetryAfter", "Location": "Location", "Idempotency-Replayed": "IdempotencyReplayed"},
	"422": {"Idempotency-Replayed": "IdempotencyReplayed"},
	"429": {"Retry-After": "RetryAfter"},
	"503": {"Retry-After": "RetryAfter"},
	"504": {"Retry-After": "RetryAfter"},
}

// addHeaders describes the headers of every answer of every public operation.
func (m *merger) addHeaders() {
	for name, h := range headers {
		m.kind("headers")[name] = h
	}
	for _, item := range m.paths {
		methods, _ := item.(object)
		for _, op := range methods {
			o, ok := op.(object)
			if !ok {
				continue // the parameters of all methods
			}
			responses, _ := o["responses"].(object)
			for status, r := range responses {
				m.addHeadersTo(r, status, keyed(o))
			}
		}
	}
}

func (m *merger) addHeadersTo(response any, status string, keyed bool) {
	r, _ := response.(object)
	if ref, ok := r["$ref"].(string); ok {
		r, _ = m.kind("responses")[ref[strings.LastIndex(ref, "/")+1:]].(object)
	}
	all, ok := r["headers"].(object)
	if !ok {
		all = object{}
		r["headers"] = all
	}
	add := func(header, component string) { all[header] = object{"$ref": "#/components/headers/" + component} }
	add("RateLimit-Policy", "RateLimitPolicy")
	add("RateLimit", "RateLimit")
	add("X-Request-Id", "RequestId")
	for header, component := range byStatus[status] {
		add(header, component)
	}
	if keyed && status < "300" {
		add("Idempotency-Replayed", "IdempotencyReplayed")
	}
}

// keyed says whether an operation takes an Idempotency-Key.
func keyed(op object) bool {
	parameters, _ := op["parameters"].([]any)
	return slices.ContainsFunc(parameters, func(p any) bool {
		o, _ := p.(object)
		ref, _ := o["$ref"].(string)
		return strings.HasSuffix(ref, "/IdempotencyKey")
	})
}
