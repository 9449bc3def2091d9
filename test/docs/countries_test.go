package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// countryLiteral is what only one country has: its code (alone or in a path), its currency, its zone, its calling code.
var countryLiteral = regexp.MustCompile(
	`(^|/)(KE|UG|RW|TZ)($|/)|\b(KES|UGX|RWF|TZS)\b|\b(EAT|CAT)\b|Africa/\w+|\+25[0-9]|\b25[04-6][0-9]{6}`)

// mayNameCountries are the places that are about a country: its facts, the table of currencies, its packs, and the Kenyan providers with
// their sandbox.
var mayNameCountries = regexp.MustCompile(`^\.\./\.\./(kit/country|kit/money|packs|providers/(safaricom|daraja)|sandbox)/`)

// TestNoCountryInCode: what a country is, is data. Tags are left out: a setting's default is told to the operator.
func TestNoCountryInCode(t *testing.T) {
	t.Parallel()
	files := sources(t, "services", "gateway", "kit", "clients", "providers", "sandbox", "packs", "embedded", "cmd", "openapi", "sql")
	checked, exempt := 0, 0
	for path, text := range files {
		if mayNameCountries.MatchString(path) {
			exempt++
			continue
		}
		checked++
		for _, l := range literals(t, path, text) {
			if found := countryLiteral.FindString(l); found != "" {
				t.Errorf("%s names %q in %q: facts are in kit/country, what an operator sets is in packs/",
					strings.TrimPrefix(path, root+"/"), found, l)
			}
		}
	}
	if checked < 200 || exempt < 20 {
		t.Errorf("only %d files were read, %d are exempt", checked, exempt)
	}
}

// literals are the texts in a file's code, tags apart.
func literals(t *testing.T, path, text string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	tags := map[*ast.BasicLit]bool{}
	var out []string
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			tags[n.Tag] = true
		case *ast.BasicLit:
			if s, err := strconv.Unquote(n.Value); n.Kind == token.STRING && err == nil && !tags[n] {
				out = append(out, s)
			}
		}
		return true
	})
	return out
}
