package edge

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sendtip/sendtip/gateway/internal/contract"
	"github.com/sendtip/sendtip/gateway/internal/limit"
)

// limits sorts the limits of an operation by when they can be counted. An operation's own limit by address or by user replaces the
// general one: two in a row would mean the smaller one, whatever the contract says.
func (g *Gateway) limits(e *endpoint, internal bool) {
	byUser := false
	for _, l := range e.op.Limits {
		switch {
		case l.Body():
			e.body = append(e.body, l)
		case l.Key == "address" || len(e.op.Security) == 0:
			e.before = append(e.before, l)
		default:
			e.after = append(e.after, l)
			byUser = byUser || l.Key == "user"
		}
	}
	if internal { // every service has one address, and none of them is a stranger
		return
	}
	if len(e.before) == 0 {
		e.before = []contract.Limit{{Policy: g.address, Key: "address"}}
	}
	if !byUser {
		e.after = append(e.after, contract.Limit{Policy: g.general, Key: "user"})
	}
}

// subjectLimits names for each operation the policies by which it counts the subject.
func subjectLimits(set *contract.Set) map[string][]string {
	out := map[string][]string{}
	for _, op := range set.Operations {
		for _, l := range op.Limits {
			if l.Key == "user" && len(op.Security) > 0 {
				out[op.ID] = append(out[op.ID], l.Policy.Name)
			}
		}
	}
	return out
}

func (g *Gateway) limitAddress(x *exchange) error {
	return g.take(x, x.end.before, func(contract.Limit) (string, string) { return "address", addressKey(x.address) })
}

// limitOthers counts what reaches no operation: pages outside the contracts are large answers to small questions, and whoever tries paths
// and methods is a client like any other.
func (g *Gateway) limitOthers(x *exchange) error {
	return g.take(x, []contract.Limit{{Policy: g.address, Key: "address"}},
		func(contract.Limit) (string, string) { return "address", addressKey(x.address) })
}

// limitPrincipal counts by who asks: `user` is the subject, also when a service calls for somebody, `key` is whose credential it is.
func (g *Gateway) limitPrincipal(x *exchange) error {
	return g.take(x, x.end.after, func(l contract.Limit) (string, string) {
		switch {
		case l.Key == "key":
			return "principal", x.caller.Key()
		case x.caller.Via != "" && slices.Contains(g.subjects[x.caller.Via], l.Policy.Name):
			return "principal", "" // one request of the customer is one request, whatever the services ask each other for it
		}
		return "principal", x.caller.Subject
	})
}

// limitBody counts by values of the body: a flood of OTPs to one phone comes from many addresses.
func (g *Gateway) limitBody(x *exchange) error {
	return g.take(x, x.end.body, func(l contract.Limit) (string, string) { return l.Key, bodyValue(x.value, l.Key) })
}

// take spends from all counters at once. Two limits of one policy and key are one counter; an absent value is not counted.
func (g *Gateway) take(x *exchange, limits []contract.Limit, keyOf func(contract.Limit) (kind, value string)) error {
	var room [4]limit.Ask
	asks := room[:0]
	for _, l := range limits {
		kind, value := keyOf(l)
		if value == "" {
			continue
		}
		ask := g.Limiter.Ask(l.Policy, kind, value)
		if !slices.ContainsFunc(asks, func(a limit.Ask) bool { return a.Key == ask.Key }) {
			asks = append(asks, ask)
		}
	}
	v := g.Limiter.Take(x.r.Context(), asks)
	v.WriteHeaders(x.w.Header())
	if !v.Allowed {
		return ErrLimited.WithRetryAfter(max(v.Retry, time.Second))
	}
	return nil
}

// bodyValue follows a JSON Pointer of plain names through objects.
func bodyValue(v any, pointer string) string {
	for name := range strings.SplitSeq(pointer[1:], "/") {
		object, ok := v.(map[string]any)
		if !ok {
			return ""
		}
		v = object[name]
	}
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}
