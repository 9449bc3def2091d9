package contract

import (
	_ "embed" // the list
	"fmt"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// List is what no journey answers yet, as committed.
//
//go:embed unanswered.txt
var List string

// Owed are the statuses that an operation must document, computed from what its contract says of it.
func Owed(path string, op *openapi3.Operation) []int {
	out := []int{400, 500, 503, 504} // no request is beyond being malformed, and no service beyond failing
	webhook := op.Extensions["x-visibility"] == "webhook"
	if op.Security != nil && len(*op.Security) > 0 {
		out = append(out, 401, 403)
	}
	if op.RequestBody != nil {
		out = append(out, 408, 413)
		if !webhook { // what a provider sends is kept unread, whatever it calls itself
			out = append(out, 415, 422)
		}
	}
	for _, p := range op.Parameters {
		switch p.Value.Name {
		case "Idempotency-Key":
			out = append(out, 409, 422)
		case "Step-Up-Token":
			out = append(out, 403)
		case "cursor":
			out = append(out, 422)
		}
	}
	if strings.Contains(path, "{") {
		out = append(out, 404)
	}
	if op.Extensions["x-rate-limit"] != nil || op.Extensions["x-visibility"] == "internal" { // services have a limit of their own
		out = append(out, 429)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// general are documented for every operation and come from the gateway's one piece of code for all of them, which its own tests prove: a
// body that is too long or too slow, a limit (raised where many customers share an address), and the failures that fault tests make.
var general = []int{408, 413, 429, 500, 503, 504}

// documented are the statuses of an operation that some journey must answer.
func documented(op *openapi3.Operation) (out []int) {
	for text := range op.Responses.Map() {
		var status int
		if _, err := fmt.Sscan(text, &status); err == nil && !slices.Contains(general, status) {
			out = append(out, status)
		}
	}
	slices.Sort(out)
	return out
}

// Unanswered are the documented answers that none of the checkers saw, one "operation status" each. Internal operations are apart: no
// client of the platform can reach them; test/authz asks them as every service, and the services' own tests hold each of their answers
// to the contract.
func Unanswered(checkers ...*Checker) (out []string) {
	if len(checkers) == 0 {
		return nil
	}
	for id, statuses := range checkers[0].documented {
		for _, status := range statuses {
			if !slices.ContainsFunc(checkers, func(c *Checker) bool { return c.saw(id, status) }) {
				out = append(out, fmt.Sprintf("%s %d", id, status))
			}
		}
	}
	slices.Sort(out)
	return out
}

// Documented counts what Unanswered is a part of.
func (c *Checker) Documented() (n int) {
	for _, statuses := range c.documented {
		n += len(statuses)
	}
	return n
}

func (c *Checker) saw(id string, status int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen[id][status] > 0
}

// Compare holds what was not answered against the committed list, which may only get shorter.
func Compare(unanswered []string, list string) (faults []string) {
	listed := strings.Split(strings.TrimSpace(list), "\n")
	for _, pair := range unanswered {
		if !slices.Contains(listed, pair) {
			faults = append(faults, pair+" is documented, and no journey answers it: add a test to test/e2e")
		}
	}
	for _, pair := range listed {
		if pair != "" && !slices.Contains(unanswered, pair) {
			faults = append(faults, pair+" was answered, or is documented no more: delete this line of test/contract/unanswered.txt")
		}
	}
	return faults
}
