package app_test

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
)

// calls are the functions and methods of App that a file declares, and those that it names.
type calls struct{ declares, names []string }

func readCalls(t *testing.T, name string) calls {
	t.Helper()
	file, err := parser.ParseFile(gotoken.NewFileSet(), name, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var c calls
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Name.Name == "New" { // the constructor knows all
			continue
		}
		c.declares = append(c.declares, f.Name.Name)
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr: // a.saveTopup, but not a.q.UpdateTopup
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "a" {
					c.names = append(c.names, n.Sel.Name)
				}
			case *ast.CallExpr:
				if fn, ok := n.Fun.(*ast.Ident); ok {
					c.names = append(c.names, fn.Name)
				}
			}
			return true
		})
	}
	return c
}

// TestFilesCallDownwards: what a use case needs is found by following calls in one direction, so no two files need each other.
func TestFilesCallDownwards(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(os.DirFS("."), "*.go")
	if err != nil {
		t.Fatal(err)
	}
	all, home := map[string]calls{}, map[string]string{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		all[name] = readCalls(t, name)
		for _, f := range all[name].declares {
			home[f] = name
		}
	}
	var visit func(name string, path []string)
	done := map[string]bool{}
	visit = func(name string, path []string) {
		if i := slices.Index(path, name); i >= 0 {
			t.Errorf("a cycle: %s", strings.Join(append(path[i:], name), " -> "))
			return
		}
		if done[name] {
			return
		}
		for _, f := range all[name].names {
			if to, ours := home[f]; ours && to != name {
				visit(to, append(slices.Clone(path), name))
			}
		}
		done[name] = true
	}
	for _, name := range files {
		if _, code := all[name]; code {
			visit(name, nil)
		}
	}
	if len(home) < 100 {
		t.Errorf("only %d functions were found", len(home))
	}
}
