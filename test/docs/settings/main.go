// Command settings writes the tables of settings into the documents, from the structs that the environment fills: name, default and rules
// from a field's tags, meaning from its comment. A table stands between `<!-- settings: folder/config.go Type … -->` and
// `<!-- end of settings -->`. `make generate` runs it.
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

const end = "<!-- end of settings -->"

var table = regexp.MustCompile(`(?s)<!-- settings: (\S+)((?: \w+)+) -->\n.*?` + end)

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "settings:", err)
		os.Exit(1)
	}
}

// run fills the tables of every document below root.
func run(root string) error {
	for _, pattern := range []string{"docs/*.md", "gateway/README.md", "services/*/README.md"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return err
		}
		for _, file := range files {
			text, err := os.ReadFile(file) // #nosec G304 -- documents of this repository
			if err != nil {
				return err
			}
			filled, err := fill(root, string(text))
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			if filled == string(text) {
				continue
			}
			if err := os.WriteFile(file, []byte(filled), 0o644); err != nil { // #nosec G306 G703 -- a document of this repository
				return err
			}
		}
	}
	return nil
}

func fill(root, text string) (string, error) {
	var failed error
	filled := table.ReplaceAllStringFunc(text, func(old string) string {
		m := table.FindStringSubmatch(old)
		rows, err := rows(filepath.Join(root, m[1]), strings.Fields(m[2]))
		if err != nil {
			failed = err
			return old
		}
		return "<!-- settings: " + m[1] + m[2] + " -->\n| Variable | Default | Must be | Meaning |\n|---|---|---|---|\n" +
			strings.Join(rows, "") + end
	})
	return filled, failed
}

// rows are the settings of the named types of a file.
func rows(file string, types []string) ([]string, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	found := map[string]*ast.StructType{}
	ast.Inspect(parsed, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok {
			if s, ok := spec.Type.(*ast.StructType); ok {
				found[spec.Name.Name] = s
			}
		}
		return true
	})
	var out []string
	for _, name := range types {
		s := found[name]
		if s == nil {
			return nil, fmt.Errorf("%s has no struct %s", file, name)
		}
		for _, f := range s.Fields.List {
			row, err := row(f)
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", file, name, err)
			}
			out = append(out, row)
		}
	}
	return out, nil
}

// row is a setting's; fields that the environment does not fill have none.
func row(f *ast.Field) (string, error) {
	if f.Tag == nil {
		return "", nil
	}
	text, err := strconv.Unquote(f.Tag.Value)
	if err != nil {
		return "", err
	}
	tag := reflect.StructTag(text)
	name := tag.Get("env")
	if name == "" || name == "-" {
		return "", nil
	}
	meaning := f.Doc.Text()
	if meaning == "" {
		meaning = f.Comment.Text()
	}
	if meaning = strings.Join(strings.Fields(meaning), " "); meaning == "" {
		return "", fmt.Errorf("%s has no comment: it is the meaning in the table", name)
	}
	standard := "–"
	if d := tag.Get("envDefault"); d != "" {
		standard = "`" + d + "`"
	}
	must, err := musts(tag.Get("is"))
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return fmt.Sprintf("| `%s`%s | %s | %s | %s |\n", name, secret(f.Type), standard, must, meaning), nil
}

func secret(t ast.Expr) string {
	if s, ok := t.(*ast.SelectorExpr); ok && s.Sel.Name == "Secret" {
		return " (secret)"
	}
	if s, ok := t.(*ast.Ident); ok && s.Name == "Secret" {
		return " (secret)"
	}
	return ""
}

// words of the rules of kit/config.
var words = map[string]string{
	"required": "set", "production": "set in production", "absent": "absent in production", "with": "set with `%s`",
	"own":   "your own in production",
	"real":  "1 in production",
	"https": "https in production", "tls": "`rediss://` in production", "min": "%s or more", "max": "%s characters at most",
	"digits": "%s digits",
	"url":    "an address", "listen": "`host:port` or `:port`", "hostport": "`host:port`", "database": "`postgres://…`",
	"files": "`file:` or `s3:`, not relative and over https in production", "key": "32 bytes or more",
	"kek": "32 bytes, base64", "level": "a level", "email": "an e-mail address", "gsm": "of GSM's basic alphabet",
	"country": "two capital letters", "phone": "a phone number",
	"environment": "a word",
}

func musts(rules string) (string, error) {
	var out []string
	for rule := range strings.FieldsSeq(rules) {
		kind, arg, _ := strings.Cut(rule, "=")
		word := words[kind]
		if word == "" {
			return "", fmt.Errorf("there is no rule %s (kit/config/check.go)", kind)
		}
		if strings.Contains(word, "%s") {
			word = fmt.Sprintf(word, arg)
		}
		out = append(out, word)
	}
	return strings.Join(out, ", "), nil
}
