package api_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/servicetest"
	"github.com/sendtip/sendtip/openapi"
	"github.com/sendtip/sendtip/services/user/internal/api"
	"github.com/sendtip/sendtip/services/user/internal/testworld"
)

const (
	phone   = testworld.Phone
	pin     = testworld.Pin
	device  = testworld.Device
	idemKey = "5f0c9f9e-8c0c-4d6e-9c56-6b8f2a1c0d4e"
	maxBody = 2 << 20
)

var (
	customers = []string{"profile", "kyc", "wallet:read", "wallet:write"}
	operators = []string{"admin:kyc", "admin:users"}
)

// world is the service behind HTTP, every answer held against the contract.
type world struct {
	*testing.T
	*testworld.World
	api *servicetest.API
}

func setup(t *testing.T) *world {
	t.Helper()
	return serve(t, testworld.New(t))
}

func serve(t *testing.T, on *testworld.World) *world {
	t.Helper()
	return &world{t, on, on.API(openapi.FS, "user.yaml", func(r chi.Router) { api.Mount(r, on.App) }, maxBody)}
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// call is one request as the gateway forwards it; "" for the subject sends no identity at all.
type call struct {
	method, path string
	subject      string
	session      string
	scopes       []string
	body         any // bytes are sent as they are
	headers      map[string]string
	stray        bool // as in servicetest.Request
}

// request is the call on the wire.
func (w *world) request(c call) servicetest.Request {
	w.Helper()
	r := servicetest.Request{Who: c.subject, Scopes: c.scopes, Method: c.method, Path: c.path, Header: c.headers,
		Stray:  c.stray,
		Claims: func(claims *auth.Claims) { claims.SessionID, claims.Operation = c.session, "test" }}
	switch b := c.body.(type) {
	case nil:
	case []byte:
		r.Body = string(b)
	default:
		text, err := json.Marshal(b)
		w.must(err)
		r.Body = string(text)
	}
	return r
}

// answer is a response that the contract allows.
type answer struct {
	status int
	header http.Header
	raw    []byte
	body   map[string]any
}

func (a answer) str(path ...string) string {
	var v any = a.body
	for _, p := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return ""
		}
		v = m[p]
	}
	s, _ := v.(string)
	return s
}

// do makes a call; a refusal must be a problem.
func (w *world) do(c call) answer {
	w.Helper()
	rec := w.api.Do(w.request(c))
	out := answer{status: rec.Code, header: rec.Header(), raw: rec.Body.Bytes()}
	if len(out.raw) > 0 {
		w.must(json.Unmarshal(out.raw, &out.body))
	}
	if out.status >= http.StatusBadRequest {
		servicetest.Refused(w, rec, out.status, out.str("code"))
		if out.str("code") == "" {
			w.Errorf("%s %s: a problem without a code: %s", c.method, c.path, out.raw)
		}
	}
	return out
}

func (w *world) expect(c call, status int, code string) answer {
	w.Helper()
	a := w.do(c)
	if a.status != status || a.str("code") != code {
		w.Fatalf("%s %s: %d %s, want %d %s", c.method, c.path, a.status, a.raw, status, code)
	}
	return a
}

// anonymous is a call as the gateway forwards it for operations without security.
func anonymous(method, path string, body any) call {
	return call{method: method, path: path, subject: "anonymous", body: body}
}

// operation is one operation of the contract with a request made of its examples.
type operation struct {
	id      string
	secured []string // scopes
	call    call
}

func (w *world) operations() []operation {
	w.Helper()
	var out []operation
	for path, item := range servicetest.Document(w, openapi.FS, "user.yaml").Paths.Map() {
		for method, op := range item.Operations() {
			o := operation{id: op.OperationID, call: call{method: method, path: path, headers: map[string]string{}}}
			if op.Security == nil {
				w.Fatalf("%s says nothing about security", op.OperationID)
			}
			for _, requirement := range *op.Security {
				for _, scopes := range requirement {
					o.secured = append(o.secured, scopes...)
				}
			}
			for _, p := range append(append(openapi3.Parameters{}, item.Parameters...), op.Parameters...) {
				example, _ := p.Value.Example.(string)
				switch p.Value.In {
				case "path":
					o.call.path = strings.ReplaceAll(o.call.path, "{"+p.Value.Name+"}", example)
				case "header":
					o.call.headers[p.Value.Name] = example
				}
			}
			if op.RequestBody != nil {
				if media := op.RequestBody.Value.Content.Get("application/json"); media != nil {
					o.call.body = media.Example
				}
			}
			out = append(out, o)
		}
	}
	return out
}

// register makes a customer over HTTP, and returns calls as them.
func (w *world) register(phone string) (as func(method, path string, body any) call, tokens answer) {
	w.Helper()
	started := w.do(anonymous("POST", "/v1/registrations", map[string]any{"phone": phone, "country": "KE", "language": "en"}))
	id := started.str("registration_id")
	done := w.do(anonymous("POST", "/v1/registrations/"+id+"/completion", map[string]any{"otp": w.code(id), "pin": pin, "device_id": device}))
	if done.status != http.StatusCreated {
		w.Fatalf("register: %d %s", done.status, done.raw)
	}
	user, session := done.str("user", "user_id"), done.str("tokens", "session_id")
	return func(method, path string, body any) call {
		return call{method: method, path: path, subject: "user:" + user, session: session, scopes: customers, body: body}
	}, done
}

func (w *world) code(challenge string) string {
	w.Helper()
	a := w.do(call{method: "POST", path: "/v1/internal/otp-challenges/" + challenge + "/code", subject: "service:notification",
		scopes: []string{"users:otp"}})
	if a.status != http.StatusOK {
		w.Fatalf("code: %d %s", a.status, a.raw)
	}
	return a.str("code")
}

func (w *world) operator() (as func(method, path string, body any) call, id uuid.UUID) {
	w.Helper()
	id = w.Staff(testworld.OperatorPhone, "compliance")
	return func(method, path string, body any) call {
		return call{method: method, path: path, subject: "user:" + id.String(), session: uuid.NewString(),
			scopes: slices.Concat(customers, operators), body: body}
	}, id
}
