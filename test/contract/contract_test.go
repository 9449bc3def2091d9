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
					if op.RequestBody != nil && op.Extensions["x-visibility"] != "webhook" && op.RequestBody.Value.Content["application/json"].Example == nil &&
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
