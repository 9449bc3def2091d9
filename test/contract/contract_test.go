package contract_test

import (
	"context"
	"testing"

	"github.com/sendtip/sendtip/test/contract"
)

// TestExamples validates each contract with every example in it.
func TestExamples(t *testing.T) {
	t.Parallel()
	for _, name := range contract.Names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, err := contract.Load(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := doc.Validate(context.Background()); err != nil {
				t.Fatal(err)
			}
			for path, item := range doc.Paths.Map() {
				for method, op := range item.Operations() {
					if op.RequestBody != nil && op.Extensions["x-visibility"] != "webhook" &&
						op.RequestBody.Value.Content["application/json"].Example == nil &&
						len(op.RequestBody.Value.Content["application/json"].Examples) == 0 {
						t.Errorf("%s %s has no example of its request", method, path)
					}
					for status, resp := range op.Responses.Map() {
						media := resp.Value.Content["application/json"]
						if status[0] == '2' && media != nil && media.Example == nil && len(media.Examples) == 0 {
							t.Errorf("%s %s has no example of its answer %s", method, path, status)
						}
					}
				}
			}
		})
	}
}

// TestTimesThatDiffer: an answer that says another creation of a thing than an earlier one did, or more digits than are kept, is a fault.
func TestTimesThatDiffer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answers []string
		faults  int
	}{
		"alike": {[]string{`{"id":"a","created_at":"2026-11-23T09:30:00.000001Z"}`,
			`{"data":[{"id":"a","created_at":"2026-11-23T09:30:00.000001Z"}]}`}, 0},
		"another thing": {[]string{`{"id":"a","created_at":"2026-11-23T09:30:00Z"}`, `{"id":"b","created_at":"2026-11-23T09:30:01Z"}`}, 0},
		"differ": {[]string{`{"id":"a","created_at":"2026-11-23T09:30:00.1Z"}`,
			`{"data":[{"id":"a","created_at":"2026-11-23T09:30:00.100001Z"}]}`}, 1},
		"nanoseconds": {[]string{`{"id":"a","created_at":"2026-11-23T09:30:00.000000001Z"}`}, 1},
		"a zone":      {[]string{`{"id":"a","created_at":"2026-11-23T12:30:00+03:00"}`}, 1},
		"inside a thing": {[]string{`{"topup":{"id":"a","created_at":"2026-11-23T09:30:00Z"}}`,
			`{"id":"a","created_at":"2026-11-23T09:30:00.5Z"}`}, 1},
		"user of a token": {[]string{`{"user":{"user_id":"u","created_at":"2026-11-23T09:30:00Z"}}`,
			`{"user_id":"u","created_at":"2026-11-23T09:30:02Z"}`}, 1},
	} {
		if faults := contract.Heard(c.answers...); len(faults) != c.faults {
			t.Errorf("%s: %q, want %d", name, faults, c.faults)
		}
	}
}
