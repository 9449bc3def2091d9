package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// program is what the code says about settings.
type program struct {
	fields map[string][]field         // that a setting fills, by setting
	texts  map[string]bool            // settings that are named in the code by a text of their own
	used   map[string]map[string]bool // names of fields that are read, by part of the tree
}

// field is one of a type that holds settings.
type field struct{ part, name string }

// part is a service, or another folder at the top: those that cannot see each other's types.
func part(path string) string {
	rel, err := filepath.Rel(root, path)
	if err != nil {
		return ""
	}
	names := strings.Split(filepath.ToSlash(rel), "/")
	if names[0] == "services" {
		return names[0] + "/" + names[1]
	}
	return names[0]
}

// readProgram looks at every file of ours. To judge a value is not to use it: what a Check says counts for nothing.
func readProgram(t *testing.T) program {
	t.Helper()
	p := program{fields: map[string][]field{}, texts: map[string]bool{}, used: map[string]map[string]bool{}}
	for path, text := range sources(t, "services", "gateway", "kit", "cmd", "sandbox", "embedded", "test") {
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		in := part(path)
		if p.used[in] == nil {
			p.used[in] = map[string]bool{}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				return !strings.HasPrefix(strings.ToLower(n.Name.Name), "check")
			case *ast.Field:
				p.field(in, n)
				return false // the text of a tag reads nothing
			case *ast.SelectorExpr:
				p.used[in][n.Sel.Name] = true
			case *ast.BasicLit:
				if s, err := strconv.Unquote(n.Value); n.Kind == token.STRING && err == nil && settingName.MatchString(s) {
					p.texts[s] = true
				}
			}
			return true
		})
	}
	for name := range matches(`\b(SENDTIP_TEST_\w+)=`, map[string]string{"": read(t, filepath.Join(root, ".ci", "run"))}) {
		p.texts[name] = true // a test reads it
	}
	return p
}

var settingName = regexp.MustCompile(`^SENDTIP_[A-Z0-9_]+$`)

func (p program) field(in string, f *ast.Field) {
	if f.Tag == nil {
		return
	}
	tag, err := strconv.Unquote(f.Tag.Value)
	if err != nil {
		return
	}
	name, _, _ := strings.Cut(reflect.StructTag(tag).Get("env"), ",")
	for _, n := range f.Names {
		if settingName.MatchString(name) {
			p.fields[name] = append(p.fields[name], field{in, n.Name})
		}
	}
}

// TestEverySettingIsRead: a setting that fills a field which nobody looks at, or that only a document knows, changes nothing; an operator
// who sets it believes otherwise.
func TestEverySettingIsRead(t *testing.T) {
	t.Parallel()
	p := readProgram(t)
	if len(p.fields) < 50 {
		t.Fatalf("only %d settings were found in the code", len(p.fields))
	}
	for setting, fields := range p.fields {
		for _, f := range fields {
			if !p.uses(f) && !p.texts[setting] {
				t.Errorf("%s fills the field %s of %s, which nobody reads", setting, f.name, f.part)
			}
		}
	}
	documents := map[string]string{}
	for _, pattern := range []string{"docs/*.md", "*.md", "services/*/README.md", "gateway/README.md", "sandbox/README.md",
		"docker-compose.yml", "deploy/*"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			documents[f] = read(t, f)
		}
	}
	if len(documents) < 15 {
		t.Fatalf("only %d documents were found", len(documents))
	}
	for file, text := range documents {
		for name := range matches(`\b(SENDTIP_[A-Z0-9_]*[A-Z0-9])\b`, map[string]string{"": text}) {
			if !p.reads(name) {
				t.Errorf("%s names %s, which nobody reads", file, name)
			}
		}
	}
}

// uses says whether somebody who can see the field's type reads a field of this name; everybody sees the kit's.
func (p program) uses(f field) bool {
	for in, names := range p.used {
		if (in == f.part || f.part == "kit") && names[f.name] {
			return true
		}
	}
	return false
}

// reads says whether the code knows a setting: as a field's, as a text, or by the beginning that several share.
func (p program) reads(name string) bool {
	if len(p.fields[name]) > 0 || p.texts[name] {
		return true
	}
	for text := range p.texts {
		if strings.HasSuffix(text, "_") && strings.HasPrefix(name, text) && len(name) > len(text) {
			return true
		}
	}
	return false
}
