// Command scaffold writes a new service: one resource (create, get, list), an event out, an event in and a job, with its contract, tables,
// tests of each layer, README, and a line in every list of services. `make service NAME=x` runs it from the root of the repository.
package main

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/sendtip/sendtip/openapi"
)

//go:embed all:template
var templates embed.FS

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: make service NAME=x")
		os.Exit(2)
	}
	created, modified, err := write(".", os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "scaffold:", err)
		os.Exit(1)
	}
	fmt.Printf("%d files were created:\n  %s\n", len(created), strings.Join(created, "\n  "))
	fmt.Printf("%d files were modified by hand-written lines (generated code and go.sum follow):\n  %s\n", len(modified),
		strings.Join(modified, "\n  "))
}

// facts are what templates know of the service.
type facts struct {
	Name  string // probe
	Title string // Probe
	Upper string // PROBE
	Port  int
	Ops   int
}

var namePattern = regexp.MustCompile(`^[a-z]{3,20}$`)

// reserved are names that mean something else already: contracts that are none, users of the broker, programs, containers, and packages
// that a service imports.
var reserved = strings.Fields("common events services topics scopes tool admin keys migrate sandbox sendtip postgres redis " +
	"redpanda kafka api app audit auth call chi clock config context country domain errors event fault fmt http idem internal jobs " +
	"keycheck ledger log main money openapi outbox packs page pg river seal service slog string error test time together uuid web")

// write makes the service below root, and returns the files that it created and modified. Nothing is written when the name cannot be, or an
// anchor is missing.
func write(root, name string) (created, modified []string, err error) {
	if !namePattern.MatchString(name) || token.IsKeyword(name) || slices.Contains(reserved, name) {
		return nil, nil, fmt.Errorf(
			"a service's name is one word of 3 to 20 small letters that means nothing else yet, such as banking; %q is not", name)
	}
	port, err := freePort(name)
	if err != nil {
		return nil, nil, err
	}
	f := facts{Name: name, Title: strings.ToUpper(name[:1]) + name[1:], Upper: strings.ToUpper(name), Port: port, Ops: port + 100}
	files, err := render(f)
	if err != nil {
		return nil, nil, err
	}
	if err := pin(root, "services/"+name, files); err != nil {
		return nil, nil, err
	}
	for path := range files {
		if _, err := os.Stat(filepath.Join(root, path)); !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, fmt.Errorf("%s is there already", path)
		}
		created = append(created, path)
	}
	for _, e := range edits {
		text := files[e.file]
		if text == nil {
			if text, err = os.ReadFile(filepath.Join(root, e.file)); err != nil {
				return nil, nil, err
			}
			modified = append(modified, e.file)
		}
		if files[e.file], err = e.apply(text, f); err != nil {
			return nil, nil, err
		}
	}
	files["README.md"] = here(files["README.md"], f)
	for path, text := range files {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { // #nosec G301 -- source code
			return nil, nil, err
		}
		if err := os.WriteFile(path, text, 0o644); err != nil { // #nosec G306 -- source code
			return nil, nil, err
		}
	}
	slices.Sort(created)
	return created, modified, nil
}

// planned are the ports of services that are to come, counted from a base of 8000.
var planned = map[string]int{"banking": 8104, "agents": 8105, "adminconfig": 8107, "loans": 8108, "savings": 8109, "client": 8110}

// freePort is the planned one, or the first behind all planned and taken ones.
func freePort(name string) (int, error) {
	last := 8110
	for _, s := range openapi.Services() {
		if s.Name == name {
			return 0, fmt.Errorf("there is a service %s", name)
		}
		last = max(last, s.Port)
	}
	if p, ok := planned[name]; ok {
		return p, nil
	}
	if last+1 >= 8125 { // the sandbox's mail server
		return 0, errors.New("no port is left: choose one in openapi/services.yaml by hand")
	}
	return last + 1, nil
}

// places are where the templates' folders go.
func place(path string, f facts) string {
	path = strings.TrimSuffix(path, ".tmpl")
	for _, p := range []struct{ from, to string }{
		{"openapi/contract.yaml", "openapi/" + f.Name + ".yaml"}, {"sql/", "sql/" + f.Name + "/"},
		{"e2e/journey_test.go", "test/e2e/" + f.Name + "_test.go"},
		{"service/cmd/", "services/" + f.Name + "/cmd/" + f.Name + "/"}, {"service/", "services/" + f.Name + "/"},
	} {
		if rest, ok := strings.CutPrefix(path, p.from); ok {
			return p.to + rest
		}
	}
	return path
}

func render(f facts) (map[string][]byte, error) {
	out := map[string][]byte{}
	sub, err := fs.Sub(templates, "template")
	if err != nil {
		return nil, err
	}
	return out, fs.WalkDir(sub, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(sub, path)
		if err != nil {
			return err
		}
		rendered, err := fill(string(text), f)
		out[place(path, f)] = rendered
		return err
	})
}

// model is the service whose versions of dependencies a new one begins with; tidying drops what it does not need.
const model = "services/notification"

var ours = regexp.MustCompile(`(?m)^\s*github\.com/sendtip/.*\n`)

// pin gives the module in folder the dependencies of the model: without a version of its own a module would take the newest ones.
func pin(root, folder string, files map[string][]byte) error {
	mod, err := os.ReadFile(filepath.Join(root, model, "go.mod")) // #nosec G304 -- of this repository
	if err != nil {
		return err
	}
	_, requires, found := strings.Cut(string(mod), "\nrequire ")
	if !found {
		return fmt.Errorf("%s/go.mod requires nothing", model)
	}
	files[folder+"/go.mod"] = append(files[folder+"/go.mod"], ours.ReplaceAllString("\nrequire "+requires, "")...)
	files[folder+"/go.sum"], err = os.ReadFile(filepath.Join(root, model, "go.sum")) // #nosec G304 -- of this repository
	return err
}

// fill writes the facts into a text. Its brackets are those that neither contracts nor code use.
func fill(text string, f facts) ([]byte, error) {
	t, err := template.New("").Delims("«", "»").Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, f)
	return b.Bytes(), err
}
