package validate

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/sendtip/sendtip/gateway/internal/contract"
)

// TestManyUnknownProperties: names that are not shown all give one fault, so the bound on faults must not be what stops the search.
// A body of the default size may cost milliseconds, not a core for seconds.
func TestManyUnknownProperties(t *testing.T) {
	t.Parallel()
	no := false
	schema := openapi3.NewObjectSchema().WithProperty("a", openapi3.NewIntegerSchema())
	schema.AdditionalProperties = openapi3.AdditionalProperties{Has: &no}
	p := NewPlan(&contract.Operation{Visibility: contract.Public,
		Body: &openapi3.RequestBody{Content: openapi3.NewContentWithJSONSchema(schema)}})
	var b strings.Builder
	b.WriteString(`{"a":1`)
	for i := 0; b.Len() < contract.DefaultMaxBody-16; i++ {
		fmt.Fprintf(&b, `,"%dx":1`, i)
	}
	b.WriteByte('}')
	start := time.Now()
	if _, err := p.Body([]byte(b.String())); err == nil {
		t.Fatal("unknown properties were let through")
	}
	if took := time.Since(start); took > time.Second {
		t.Fatalf("a body of %d bytes took %s", b.Len(), took)
	}
}
