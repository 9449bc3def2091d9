package edge

import (
	"net/http"
	"slices"
	"strings"

	"github.com/sendtip/sendtip/gateway/internal/contract"
	"github.com/sendtip/sendtip/gateway/internal/route"
)

// exposed are the headers of answers that a page may read.
const exposed = "RateLimit, RateLimit-Policy, Retry-After, Location, Idempotency-Replayed, X-Request-Id"

// asked are the headers that a page may send to any operation; those of the contract come on top.
var asked = []string{"Accept-Language", "Authorization", "Content-Type", "X-Api-Key", "X-Request-Id"}

// cors lets pages of the listed origins call public operations. It answers a preflight itself and says so; any other request goes on.
// No cookie is ever a credential, so none is allowed.
func (g *Gateway) cors(x *exchange, table *route.Table) (answered bool) {
	origin := x.r.Header.Get("Origin")
	if len(g.Origins) == 0 {
		return false
	}
	h := x.w.Header()
	h.Add("Vary", "Origin")
	if origin == "" || !slices.Contains(g.Origins, origin) || strings.HasPrefix(x.r.URL.Path, "/v1/hooks/") {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	method := x.r.Header.Get("Access-Control-Request-Method")
	if x.r.Method != http.MethodOptions || method == "" {
		h.Set("Access-Control-Expose-Headers", exposed)
		return false
	}
	methods := table.Find(http.MethodOptions, x.r.URL.Path).Allow // no contract has an operation for it
	if methods == "" || g.limitOthers(x) != nil {
		return false // the chain refuses it
	}
	h.Set("Access-Control-Allow-Methods", methods)
	if m := table.Find(method, x.r.URL.Path); m.Entry != nil {
		h.Set("Access-Control-Allow-Headers", strings.Join(requestHeaders(m.Entry.Op), ", "))
	}
	h.Set("Access-Control-Max-Age", "600")
	x.w.WriteHeader(http.StatusNoContent)
	return true
}

// requestHeaders are what a page may send to an operation.
func requestHeaders(op *contract.Operation) []string {
	out := slices.Clone(asked)
	for _, p := range op.Parameters {
		if p.In == "header" {
			out = append(out, p.Name)
		}
	}
	return out
}
