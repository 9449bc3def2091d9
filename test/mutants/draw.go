package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// modules are where mutants are drawn.
var modules = []string{"kit", "gateway", "services/user", "services/wallet", "services/transactions"}

var (
	// leftOut is what serves tests or is a program of its own.
	leftOut = regexp.MustCompile(`/(cmd|testworld|pgtest|servicetest|crash|seed)/`)
	// slow are packages whose tests are not asked about drawn mutants of others: they would take longer than all others together.
	slow = regexp.MustCompile(`^services/transactions/(check|crash|seed)$`)
)

// draw is the candidates of one module in an order that the seed decides. The order goes by what a candidate says, not by where it stands,
// so that a change of the code changes few of the draws.
type draw struct {
	kinds [][]mutant // by operator
	turn  int
}

// next takes the operators in turn, because some of them have a hundred times as many places as others.
func (d *draw) next() (mutant, bool) {
	for range d.kinds {
		d.turn = (d.turn + 1) % len(d.kinds)
		if left := d.kinds[d.turn]; len(left) > 0 {
			d.kinds[d.turn] = left[1:]
			return left[0], true
		}
	}
	return mutant{}, false
}

func newDraw(ctx context.Context, root, module string, seed uint64) (*draw, error) {
	users, err := usersOf(ctx, root, module)
	if err != nil {
		return nil, err
	}
	byKind := map[string][]mutant{}
	seen := map[string]int{}
	tree := os.DirFS(root)
	err = fs.WalkDir(tree, module, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || leftOut.MatchString(path) {
			return err
		}
		source, err := fs.ReadFile(tree, path)
		if err != nil {
			return err
		}
		found, err := candidates(path, source)
		for _, kind := range operators {
			for _, m := range found[kind] {
				if seen[m.name]++; seen[m.name] > 1 {
					m.name += fmt.Sprintf(" (%d)", seen[m.name])
				}
				m.tests = users[filepath.Dir(path)]
				byKind[kind] = append(byKind[kind], m)
			}
		}
		return err
	})
	d := &draw{turn: int(seed % 1000)}
	for _, kind := range operators {
		list := byKind[kind]
		slices.SortFunc(list, func(a, b mutant) int { return cmp.Compare(lot(seed, a.name), lot(seed, b.name)) })
		d.kinds = append(d.kinds, list)
	}
	return d, err
}

func lot(seed uint64, name string) uint64 {
	sum := sha256.Sum256(append(binary.BigEndian.AppendUint64(nil, seed), name...))
	return binary.BigEndian.Uint64(sum[:])
}

// usersOf lists for each package of a module those whose tests can see it: its own first.
func usersOf(ctx context.Context, root, module string) (map[string][]string, error) {
	text, err := output(ctx, root, "go", "list", "-test", "-f", `{{if .ForTest}}{{.ForTest}} {{join .Deps " "}}{{end}}`, "./"+module+"/...")
	if err != nil {
		return nil, fmt.Errorf("list packages: %w: %s", err, text)
	}
	const prefix = "github.com/sendtip/sendtip/"
	out := map[string][]string{}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		tests := strings.TrimPrefix(words[0], prefix)
		for _, word := range words {
			pkg, ours := strings.CutPrefix(word, prefix)
			switch {
			case !ours || slices.Contains(out[pkg], tests):
			case pkg == tests:
				out[pkg] = append([]string{tests}, out[pkg]...)
			case !slow.MatchString(tests):
				out[pkg] = append(out[pkg], tests)
			}
		}
	}
	return out, nil
}

// The operators. A step is a call whose error ends the function.
var operators = []string{"step", "guard", "error", "negation", "boundary", "logic", "arithmetic", "call", "constant", "truth"}

// finder collects the candidates of one file.
type finder struct {
	path   string
	source []byte
	files  *token.FileSet
	inside string // the function
	found  map[string][]mutant
}

// candidates are all mutants of a file that the operators know, by operator.
func candidates(path string, source []byte) (map[string][]mutant, error) {
	f := &finder{path: path, source: source, files: token.NewFileSet(), found: map[string][]mutant{}}
	file, err := parser.ParseFile(f.files, path, source, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	if ast.IsGenerated(file) || bytes.Contains(source, []byte("\n//go:build ")) || bytes.HasPrefix(source, []byte("//go:build ")) {
		return nil, nil
	}
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			f.inside = d.Name.Name
			if d.Body != nil {
				ast.Inspect(d.Body, f.visit)
			}
		case *ast.GenDecl:
			if d.Tok == token.CONST {
				f.inside = "const"
				ast.Inspect(d, f.visit)
			}
		}
	}
	return f.found, nil
}

func (f *finder) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.IfStmt:
		f.condition(n)
	case *ast.BinaryExpr:
		f.binary(n)
	case *ast.IncDecStmt:
		f.swap("arithmetic", n, n.TokPos, n.Tok)
	case *ast.AssignStmt:
		f.swap("arithmetic", n, n.TokPos, n.Tok)
	case *ast.ExprStmt:
		if c, ok := n.X.(*ast.CallExpr); ok && !says.MatchString(f.text(c.Fun)) {
			f.replace("call", n, "")
		}
	case *ast.BasicLit:
		if number, err := strconv.ParseInt(n.Value, 10, 64); err == nil && n.Kind == token.INT {
			f.within("constant", n, fmt.Sprint(number+1))
		}
	case *ast.Ident:
		if n.Name == "true" || n.Name == "false" {
			f.within("truth", n, fmt.Sprint(n.Name == "false"))
		}
	}
	return true
}

// says are calls that only tell somebody, or end the program.
var says = regexp.MustCompile(`^panic$|^failpoint$|(Log|log|logger|sampled)\.\w+$`)

var (
	isError = regexp.MustCompile(`^err\w* != nil$`)
	isNil   = regexp.MustCompile(` [!=]= nil$`)
)

// condition handles an if: a step or a guard that is left out, an error that is ignored, or the condition turned round.
func (f *finder) condition(n *ast.IfStmt) {
	cond, returns := f.text(n.Cond), false
	if len(n.Body.List) > 0 {
		_, returns = n.Body.List[len(n.Body.List)-1].(*ast.ReturnStmt)
	}
	switch {
	case isError.MatchString(cond) && n.Init != nil && n.Else == nil && returns:
		f.replace("step", n, "")
	case isError.MatchString(cond) && returns:
		f.replace("error", n.Cond, "false && "+cond)
	case returns && n.Else == nil:
		f.replace("guard", n.Cond, "false && ("+cond+")")
		f.replace("negation", n.Cond, "!("+cond+")")
	case !isError.MatchString(cond):
		f.replace("negation", n.Cond, "!("+cond+")")
	}
}

var opposite = map[token.Token]token.Token{
	token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR,
	token.LAND: token.LOR, token.LOR: token.LAND, token.EQL: token.NEQ, token.NEQ: token.EQL,
	token.ADD: token.SUB, token.SUB: token.ADD, token.MUL: token.QUO, token.QUO: token.MUL,
	token.INC: token.DEC, token.DEC: token.INC, token.ADD_ASSIGN: token.SUB_ASSIGN, token.SUB_ASSIGN: token.ADD_ASSIGN,
}

func (f *finder) binary(n *ast.BinaryExpr) {
	kind := "arithmetic"
	switch n.Op {
	case token.LSS, token.LEQ, token.GTR, token.GEQ:
		kind = "boundary"
	case token.LAND, token.LOR, token.EQL, token.NEQ:
		kind = "logic"
		if isNil.MatchString(f.text(n)) {
			return
		}
	}
	f.swap(kind, n, n.OpPos, n.Op)
}

// swap puts the opposite in the place of an operator.
func (f *finder) swap(kind string, whole ast.Node, at token.Pos, op token.Token) {
	other, known := opposite[op]
	if !known {
		return
	}
	text, begin := f.text(whole), f.offset(whole.Pos())
	i := f.offset(at) - begin
	f.add(kind, whole, text[:i]+other.String()+text[i+len(op.String()):])
}

// within replaces a small node, and shows it with the line that it stands in: alone it would say nothing.
func (f *finder) within(kind string, n ast.Node, with string) {
	begin, end := f.offset(n.Pos()), f.offset(n.End())
	from := bytes.LastIndexByte(f.source[:begin], '\n') + 1
	to := end + max(0, bytes.IndexByte(f.source[end:], '\n'))
	line := func(with string) string { return string(f.source[from:begin]) + with + string(f.source[end:to]) }
	f.found[kind] = append(f.found[kind], mutant{drawn: true, file: f.path, at: begin, old: f.text(n), new: with,
		name: f.name(line(f.text(n)), line(with))})
}

func (f *finder) replace(kind string, n ast.Node, with string) { f.add(kind, n, with) }

func (f *finder) add(kind string, n ast.Node, with string) {
	f.found[kind] = append(f.found[kind], mutant{drawn: true, file: f.path, at: f.offset(n.Pos()), old: f.text(n), new: with,
		name: f.name(f.text(n), with)})
}

func (f *finder) name(old, new string) string {
	if new == "" {
		new = "nothing"
	}
	return fmt.Sprintf("%s %s: %s => %s", filepath.Dir(f.path), f.inside, brief(old), brief(new))
}

// brief is code on one line, its middle left out if it is long.
func brief(code string) string {
	s := strings.ReplaceAll(strings.Join(strings.Fields(code), " "), "`", "'")
	if r := []rune(s); len(r) > 90 {
		return string(r[:60]) + "…" + string(r[len(r)-25:])
	}
	return s
}

func (f *finder) offset(p token.Pos) int { return f.files.Position(p).Offset }

func (f *finder) text(n ast.Node) string {
	return string(f.source[f.offset(n.Pos()):f.offset(n.End())])
}
