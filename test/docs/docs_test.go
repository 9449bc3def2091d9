// Package docs_test holds the documents against the code: what they list exists, and what exists is listed.
package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

// sources returns the text of every Go file of ours below the folders, tests and generated code apart.
func sources(t *testing.T, folders ...string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") ||
				strings.Contains(path, "testworld") {
				return err
			}
			out[path] = read(t, path)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path) // #nosec G304 -- our own tree
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// matches collects the first group of every match.
func matches(pattern string, texts map[string]string) map[string]bool {
	out := map[string]bool{}
	re := regexp.MustCompile(pattern)
	for _, text := range texts {
		for _, m := range re.FindAllStringSubmatch(text, -1) {
			out[m[1]] = true
		}
	}
	return out
}

func TestEveryErrorCodeIsListed(t *testing.T) {
	t.Parallel()
	doc := read(t, filepath.Join(root, "docs", "api.md"))
	codes := matches(`\bfault\.New\(fault\.\w+, "(\w+)"`, sources(t, "services", "gateway", "kit"))
	for c := range matches(`(?m)= New\(\w+, "(\w+)"`, sources(t, "kit/fault")) {
		codes[c] = true
	}
	if len(codes) < 60 {
		t.Fatalf("only %d codes were found in the code", len(codes))
	}
	for c := range codes {
		if !strings.Contains(doc, "`"+c+"`") {
			t.Errorf("docs/api.md does not list the code %s", c)
		}
	}
	for c := range matches("(?m)^\\| \\d{3} \\| `(\\w+)`", map[string]string{"": doc}) {
		if !codes[c] {
			t.Errorf("docs/api.md lists the code %s, which nothing answers", c)
		}
	}
}

func TestEverySettingIsListed(t *testing.T) {
	t.Parallel()
	readmes, err := filepath.Glob(filepath.Join(root, "services", "*", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	doc := read(t, filepath.Join(root, "gateway", "README.md"))
	for _, file := range append(readmes, filepath.Join(root, "docs", "operations.md")) {
		doc += read(t, file)
	}
	settings := matches(`env:"(SENDTIP_\w+)"`, sources(t, "services", "gateway", "kit"))
	if len(settings) < 30 {
		t.Fatalf("only %d settings were found in the code", len(settings))
	}
	for s := range settings {
		if !strings.Contains(doc, "`"+s+"`") {
			t.Errorf("neither docs/operations.md nor a README lists %s", s)
		}
	}
}

// TestEveryAlarmIsListed: a metric that wants a person has a row that says what the person is to think.
func TestEveryAlarmIsListed(t *testing.T) {
	t.Parallel()
	doc := read(t, filepath.Join(root, "docs", "operations.md"))
	metrics := matches(`"(\w+_alarms_total)"`, sources(t, "services", "gateway", "kit"))
	if len(metrics) < 2 {
		t.Fatalf("only %d metrics of alarms were found", len(metrics))
	}
	for m := range metrics {
		if !strings.Contains(doc, "| `"+m+"` |") {
			t.Errorf("docs/operations.md has no row for %s", m)
		}
	}
	for alarm := range matches(`(?m)^\talarm\w+\s+= "(\w+)"`, sources(t, "services/notification")) {
		if !strings.Contains(doc, "`"+alarm+"`") {
			t.Errorf("docs/operations.md does not say what %s means", alarm)
		}
	}
}

func TestEveryEventIsListed(t *testing.T) {
	t.Parallel()
	doc := read(t, filepath.Join(root, "docs", "events.md"))
	types := matches(`description: "(\w+\.\w+):`, map[string]string{"": read(t, filepath.Join(root, "openapi", "events.yaml"))})
	topics := matches(`name: (sendtip\.[\w.]+)`, map[string]string{"": read(t, filepath.Join(root, "openapi", "topics.yaml"))})
	if len(types) < 16 || len(topics) < 6 {
		t.Fatalf("only %d types and %d topics were found", len(types), len(topics))
	}
	for _, names := range []map[string]bool{types, topics} {
		for name := range names {
			if !strings.Contains(doc, "| `"+name+"` |") {
				t.Errorf("docs/events.md does not list %s", name)
			}
		}
	}
	for name := range matches("(?m)^\\| `([a-z]+\\.[a-z_]+)` \\|", map[string]string{"": doc}) {
		if !types[name] {
			t.Errorf("docs/events.md lists %s, which has no schema", name)
		}
	}
}

func TestEveryTargetIsListed(t *testing.T) {
	t.Parallel()
	doc := read(t, filepath.Join(root, "CONTRIBUTING.md"))
	targets := matches(`(?m)^([a-z][a-z0-9-]*):.*##`, map[string]string{"": read(t, filepath.Join(root, "Makefile"))})
	if len(targets) < 10 {
		t.Fatalf("only %d targets were found", len(targets))
	}
	for name := range targets {
		if !strings.Contains(doc, "`make "+name+"`") {
			t.Errorf("CONTRIBUTING.md does not list make %s", name)
		}
	}
}

func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	services, err := filepath.Glob(filepath.Join(root, "services", "*", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	files = append(append(files, services...), filepath.Join(root, "README.md"), filepath.Join(root, "CONTRIBUTING.md"),
		filepath.Join(root, "sandbox", "README.md"), filepath.Join(root, "gateway", "README.md"))
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, file := range files {
		for _, m := range link.FindAllStringSubmatch(read(t, file), -1) {
			target, _, _ := strings.Cut(m[1], "#")
			if target == "" || strings.Contains(target, "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), target)); err != nil {
				t.Errorf("%s leads to %s, which is not there", file, m[1])
			}
		}
	}
}
