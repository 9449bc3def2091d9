package contract_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/sendtip/sendtip/test/contract"
)

// TestStatuses: every operation documents the refusals that follow from what its contract says of it.
func TestStatuses(t *testing.T) {
	t.Parallel()
	operations := 0
	for _, name := range contract.Names {
		doc, err := contract.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		for path, item := range doc.Paths.Map() {
			for _, op := range item.Operations() {
				operations++
				for _, status := range contract.Owed(path, op) {
					if op.Responses.Status(status) == nil {
						t.Errorf("%s does not document %d, which it can answer", op.OperationID, status)
					}
				}
				for _, status := range []int{408, 413, 415} {
					if op.RequestBody == nil && op.Responses.Status(status) != nil {
						t.Errorf("%s takes no body and documents %d", op.OperationID, status)
					}
				}
			}
		}
	}
	if operations < 70 {
		t.Errorf("only %d operations were found", operations)
	}
}

// TestOwed works the rules out by hand.
func TestOwed(t *testing.T) {
	t.Parallel()
	body := &openapi3.RequestBodyRef{Value: &openapi3.RequestBody{}}
	secured := &openapi3.SecurityRequirements{{"userAuth": {"profile"}}}
	parameter := func(name string) openapi3.Parameters {
		return openapi3.Parameters{{Value: &openapi3.Parameter{Name: name, In: "header"}}}
	}
	for name, c := range map[string]struct {
		path string
		op   openapi3.Operation
		want string
	}{
		"nothing":   {"/a", openapi3.Operation{}, "400 500 503 504"},
		"security":  {"/a", openapi3.Operation{Security: secured}, "400 401 403 500 503 504"},
		"open":      {"/a", openapi3.Operation{Security: &openapi3.SecurityRequirements{}}, "400 500 503 504"},
		"body":      {"/a", openapi3.Operation{RequestBody: body}, "400 408 413 415 422 500 503 504"},
		"key":       {"/a", openapi3.Operation{Parameters: parameter("Idempotency-Key")}, "400 409 422 500 503 504"},
		"step-up":   {"/a", openapi3.Operation{Parameters: parameter("Step-Up-Token")}, "400 403 500 503 504"},
		"list":      {"/a", openapi3.Operation{Parameters: parameter("cursor")}, "400 422 500 503 504"},
		"path":      {"/a/{id}", openapi3.Operation{}, "400 404 500 503 504"},
		"limit":     {"/a", openapi3.Operation{Extensions: map[string]any{"x-rate-limit": map[string]any{}}}, "400 429 500 503 504"},
		"a service": {"/a", openapi3.Operation{Extensions: map[string]any{"x-visibility": "internal"}}, "400 429 500 503 504"},
		"a webhook": {"/a", openapi3.Operation{Extensions: map[string]any{"x-visibility": "webhook"}, RequestBody: body},
			"400 408 413 500 503 504"},
	} {
		if got := strings.Trim(fmt.Sprint(contract.Owed(c.path, &c.op)), "[]"); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// TestCompare: what is neither answered nor listed is a fault, and so is a line that is no longer needed.
func TestCompare(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		unanswered []string
		list       string
		faults     int
	}{
		"alike":         {[]string{"getA 404"}, "getA 404\n", 0},
		"all answered":  {nil, "", 0},
		"not listed":    {[]string{"getA 404", "getB 200"}, "getA 404\n", 1},
		"answered now":  {[]string{"getA 404"}, "getA 404\ngetB 200\n", 1},
		"both":          {[]string{"getA 404"}, "getB 200\n", 2},
		"a part of one": {[]string{"getA 40"}, "getA 404\n", 2},
	} {
		if faults := contract.Compare(c.unanswered, c.list); len(faults) != c.faults {
			t.Errorf("%s: %q, want %d", name, faults, c.faults)
		}
	}
}

// TestListOfUnanswered: the committed list is sorted, and names what is there.
func TestListOfUnanswered(t *testing.T) {
	t.Parallel()
	c, err := contract.New()
	if err != nil {
		t.Fatal(err)
	}
	all, listed := contract.Unanswered(c), strings.Split(strings.TrimSpace(contract.List), "\n")
	if !slices.IsSorted(listed) || len(slices.Compact(slices.Clone(listed))) != len(listed) {
		t.Error("test/contract/unanswered.txt is not sorted, or says something twice")
	}
	for _, pair := range listed {
		if !slices.Contains(all, pair) {
			t.Errorf("%s is documented nowhere: delete this line of test/contract/unanswered.txt", pair)
		}
	}
	if len(all) != c.Documented() {
		t.Errorf("%d of %d pairs are unanswered before anything was asked", len(all), c.Documented())
	}
}
