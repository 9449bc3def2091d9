package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTables: a table is what the struct says, whatever stood there; a setting without a meaning is refused.
func TestTables(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const config = "package x\n\ntype Config struct {\n\tCommon Common\n\t// the key\n\t// of it\n\tKey Secret `env:\"SENDTIP_KEY\" " +
		"is:\"required key\"`\n" +
		"\tSize int `env:\"SENDTIP_SIZE\" envDefault:\"5\" is:\"min=1\"` // how many\n}\n"
	write("services/x/config.go", config)
	write("services/x/README.md", "# x\n\n<!-- settings: services/x/config.go Config -->\nold\n"+end+"\nbehind\n")
	if err := run(root); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(root, "services/x/README.md")) // #nosec G304 -- the test's own folder
	if err != nil {
		t.Fatal(err)
	}
	const want = "# x\n\n<!-- settings: services/x/config.go Config -->\n| Variable | Default | Must be | Meaning |\n|---|---|---|---|\n" +
		"| `SENDTIP_KEY` (secret) | – | set, 32 bytes or more | the key of it |\n| `SENDTIP_SIZE` | `5` | 1 or more | how many |\n" + end +
		"\nbehind\n"
	if string(got) != want {
		t.Errorf("got\n%s", got)
	}
	write("services/x/config.go", strings.Replace(config, "min=1", "mim=1", 1))
	if err := run(root); err == nil || !strings.Contains(err.Error(), "there is no rule mim") {
		t.Errorf("a misspelt rule: %v", err)
	}
	write("services/x/config.go", strings.Replace(config, " // how many", "", 1))
	if err := run(root); err == nil || !strings.Contains(err.Error(), "SENDTIP_SIZE has no comment") {
		t.Errorf("without a comment: %v", err)
	}
}
