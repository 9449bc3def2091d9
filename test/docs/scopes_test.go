package docs_test

import (
	"regexp"
	"strings"
	"testing"
)

// TestScopesAreConstants: code names scopes by the constants that come from openapi/services.yaml. A word of one's own would be asked for
// and never given, or given and never asked for.
func TestScopesAreConstants(t *testing.T) {
	t.Parallel()
	var listed []string
	for scope := range matches(`(?m)^\t\w+ += "(\w+:\w+)"$`, map[string]string{"": read(t, root+"/generated/scopes/scopes.gen.go")}) {
		listed = append(listed, scope)
	}
	if len(listed) < 10 {
		t.Fatalf("only %d scopes were found", len(listed))
	}
	written := regexp.MustCompile(`["\x60 ](` + strings.Join(listed, "|") + `)["\x60 ]|auth\.Require\(\w+, "`)
	for path, text := range sources(t, "services", "gateway", "kit", "clients", "cmd", "test/bench") {
		for i, line := range strings.Split(text, "\n") {
			if code, _, _ := strings.Cut(line, "//"); written.MatchString(code) {
				t.Errorf("%s:%d writes a scope: %s", path, i+1, strings.TrimSpace(code))
			}
		}
	}
}
