package e2e_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var digits = regexp.MustCompile(`\b\d{6}\b`)

// withoutSandbox leaves out the sandbox's own lines: it plays the outside world, which knows phone numbers.
func withoutSandbox(log string) string {
	var b strings.Builder
	for line := range strings.Lines(log) {
		if !strings.Contains(line, `"service":"sandbox"`) {
			b.WriteString(line)
		}
	}
	return b.String()
}

// signatureOf is the part of a token that makes it one.
func signatureOf(t *testing.T, token string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 || len(parts[2]) < 40 {
		t.Fatal("no signed token")
	}
	return parts[2]
}

// dataFolder is where the embedded cluster of a folder keeps its data; root's lies elsewhere.
func dataFolder(t *testing.T, dir string) string {
	t.Helper()
	if b, err := os.ReadFile(filepath.Join(dir, "postgres.location")); err == nil { // #nosec G304 -- the test's own folder
		return strings.TrimSpace(string(b))
	}
	return filepath.Join(dir, "postgres")
}
