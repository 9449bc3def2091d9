package main

import (
	"go/format"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// copyOf makes a folder with the files that a new service changes.
func copyOf(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	files := []string{model + "/go.mod", model + "/go.sum"}
	for _, e := range edits {
		files = append(files, e.file)
	}
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join("../..", f)) // #nosec G304 -- our own tree
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(root, f)
		if err := os.MkdirAll(filepath.Dir(to), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestWrite(t *testing.T) {
	t.Parallel()
	root := copyOf(t)
	const name = "aservicewithlongname" // as long as a name may be
	created, modified, err := write(root, name)
	if err != nil {
		t.Fatal(err)
	}
	if len(created) < 20 || len(modified) > 12 { // generated events and scopes follow
		t.Errorf("%d files are created, %d modified", len(created), len(modified))
	}
	for _, f := range append(created, modified...) {
		text, err := os.ReadFile(filepath.Join(root, f)) // #nosec G304 -- the test's own folder
		if err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(string(text), "«»") || !strings.Contains(strings.ToLower(f+string(text)), name) {
			t.Errorf("%s is not about the service:\n%s", f, text)
		}
		if strings.HasSuffix(f, ".go") {
			if _, err := format.Source(text); err != nil {
				t.Errorf("%s: %v", f, err)
			}
			for line := range strings.Lines(string(text)) {
				if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 140 {
					t.Errorf("%s: a line of %d characters: %s", f, n, line)
				}
			}
		}
	}
	if _, _, err := write(root, name); err == nil {
		t.Error("a service was written over itself")
	}
}

// TestPlanned: a service that was to come is here, with the words that it was announced by.
func TestPlanned(t *testing.T) {
	t.Parallel()
	root := copyOf(t)
	if _, _, err := write(root, "savings"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "README.md")) // #nosec G304 -- the test's own folder
	if err != nil {
		t.Fatal(err)
	}
	if row := "| [savings](services/savings/README.md) | here | goals, fixed deposits, groups |\n"; !strings.Contains(string(text), row) ||
		strings.Contains(string(text), "| savings | to come") {
		t.Errorf("%s", text)
	}
}

// TestRefused: what cannot be a service's name, or has no place, changes nothing.
func TestRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "ab", "Probe", "pro-be", "probe1", "../x", "wallet", "gateway", "events", "scopes", "package", "map",
		"default", "service", "api", "clock", "kafka",
		"aservicewithaverylongname"} {
		root := copyOf(t)
		if created, _, err := write(root, name); err == nil || len(created) > 0 {
			t.Errorf("%q was taken: %v", name, err)
		}
	}
	for _, file := range []string{"README.md", "docker-compose.yml"} {
		root := copyOf(t)
		if err := os.WriteFile(filepath.Join(root, file), []byte("another text\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := write(root, "probe"); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s has no place for a service: %v", file, err)
		}
		if _, err := os.Stat(filepath.Join(root, "services", "probe")); err == nil {
			t.Errorf("%s has no place for a service, and some was written", file)
		}
	}
	if p, err := freePort("loans"); err != nil || p != 8108 {
		t.Errorf("loans has the port %d: %v", p, err)
	}
}
