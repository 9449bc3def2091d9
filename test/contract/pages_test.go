package contract_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/test/contract"
)

// TestPages: a list gives a cursor where it takes one, its limits are the kit's, and its operation binds its cursors by its own name.
func TestPages(t *testing.T) {
	t.Parallel()
	code := useCases(t)
	lists := 0
	for _, name := range contract.Names {
		doc, err := contract.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range doc.Paths.Map() {
			for _, op := range item.Operations() {
				cursor, limit := op.Parameters.GetByInAndName("query", "cursor"), op.Parameters.GetByInAndName("query", "limit")
				if gives := givesCursor(op); gives != (cursor != nil) {
					t.Errorf("%s: next_cursor in the answer: %t, cursor in the request: %t", op.OperationID, gives, cursor != nil)
				}
				if cursor == nil {
					continue
				}
				lists++
				if s := limit.Schema.Value; *s.Min != 1 || *s.Max != page.MaxSize || s.Default != float64(page.DefaultSize) {
					t.Errorf("%s: limits from %v to %v, %v if none is sent", op.OperationID, *s.Min, *s.Max, s.Default)
				}
				if n := strings.Count(code, `"`+op.OperationID+`"`); n != 1 {
					t.Errorf("%s binds cursors in %d places, want one", op.OperationID, n)
				}
			}
		}
	}
	if lists < 8 {
		t.Errorf("only %d lists were found", lists)
	}
}

func givesCursor(op *openapi3.Operation) bool {
	media := op.Responses.Status(200)
	if media == nil || media.Value.Content["application/json"] == nil {
		return false
	}
	return media.Value.Content["application/json"].Schema.Value.Properties["next_cursor"] != nil
}

// useCases is the code of every app and api package, tests apart.
func useCases(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	for _, folder := range []string{"../../services", "../../gateway"} {
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			code := strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go")
			// Requests for approval are listed by kit/approve, which the handler calls.
			bound := strings.Contains(path, "/internal/app/") || strings.Contains(path, "/internal/api/")
			if err != nil || d.IsDir() || !code || !bound {
				return err
			}
			text, err := os.ReadFile(path) // #nosec G304 -- our own tree
			out.Write(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}
