package route

import (
	"fmt"
	"testing"

	"github.com/sendtip/sendtip/gateway/internal/contract"
)

func table(t testing.TB, routes ...string) *Table {
	t.Helper()
	var ops []*contract.Operation
	for _, r := range routes {
		op := &contract.Operation{ID: r}
		if _, err := fmt.Sscanf(r, "%s %s", &op.Method, &op.Path); err != nil {
			t.Fatal(err)
		}
		ops = append(ops, op)
	}
	out, err := New(ops)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestFind(t *testing.T) {
	t.Parallel()
	tb := table(t, "GET /v1/a", "POST /v1/a", "GET /v1/a/{id}", "GET /v1/a/special", "GET /v1/{kind}/x", "POST /v1/a/{id}/b/{other}",
		"DELETE /v1/a/current/b")
	for _, c := range []struct{ method, path, id, allow, param, value string }{
		{"GET", "/v1/a", "GET /v1/a", "", "", ""},
		{"PUT", "/v1/a", "", "GET, POST", "", ""},
		{"GET", "/v1/a/7", "GET /v1/a/{id}", "", "id", "7"},
		{"GET", "/v1/a/special", "GET /v1/a/special", "", "", ""},
		{"GET", "/v1/z/x", "GET /v1/{kind}/x", "", "kind", "z"},
		{"POST", "/v1/a/7/b/8", "POST /v1/a/{id}/b/{other}", "", "other", "8"},
		{"POST", "/v1/a/current/b/8", "POST /v1/a/{id}/b/{other}", "", "id", "current"}, // back out of the static branch
		{"DELETE", "/v1/a/current/b", "DELETE /v1/a/current/b", "", "", ""},
		{"GET", "/v1", "", "", "", ""},
		{"GET", "/v1/a/", "", "", "", ""},
		{"GET", "/v1//a", "", "", "", ""},
		{"GET", "/v1/a/..", "", "", "", ""},
		{"GET", "/v1/./a", "", "", "", ""},
		{"GET", "/", "", "", "", ""},
		{"GET", "", "", "", "", ""},
		{"GET", "v1/a", "", "", "", ""},
	} {
		m := tb.Find(c.method, c.path)
		id := ""
		if m.Entry != nil {
			id = m.Entry.Op.ID
		}
		if id != c.id || m.Allow != c.allow {
			t.Errorf("%s %s: %q allow %q, want %q allow %q", c.method, c.path, id, m.Allow, c.id, c.allow)
			continue
		}
		if c.param != "" {
			if v, ok := m.Entry.Value(&m.Params, c.param); !ok || v != c.value {
				t.Errorf("%s: %s=%q", c.path, c.param, v)
			}
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, ops := range [][]*contract.Operation{
		{{Method: "GET", Path: "/a"}, {Method: "GET", Path: "/a"}},
		{{Method: "GET", Path: "/a/x{id}"}},
		{{Method: "GET", Path: "/a//b"}},
		{{Method: "GET", Path: "/{a}/{b}/{c}/{d}/{e}/{f}/{g}"}},
	} {
		if _, err := New(ops); err == nil {
			t.Errorf("%s: accepted", ops[0].Path)
		}
	}
}

func BenchmarkFind(b *testing.B) {
	var routes []string
	for i := range 80 {
		routes = append(routes, fmt.Sprintf("GET /v1/resource%d/{id}", i), fmt.Sprintf("POST /v1/resource%d/{id}/parts/{part_id}", i))
	}
	tb := table(b, routes...)
	b.ReportAllocs()
	for b.Loop() {
		if m := tb.Find("POST", "/v1/resource79/01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e/parts/7"); m.Entry == nil {
			b.Fatal("not found")
		}
	}
}
