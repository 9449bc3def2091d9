package docs_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sendtip/sendtip/openapi"
)

// line is what a file must hold for each service. NAME, PORT and OPS stand for the service's own.
type line struct {
	file, text string
	gateway    bool // the gateway needs it as well
}

// lines are where a service stands beside openapi/services.yaml, which is the list; `make service` writes them. Everything else takes the
// list itself: keys, ports and programs (cmd/sendtip), scripts, the image, and the order of Swagger UI.
var lines = []line{
	{"openapi/topics.yaml", "{name: sendtip.NAME.v1, ", true},
	{"go.work", "\t./services/NAME\n", false},
	{"cmd/sendtip/go.mod", "github.com/sendtip/sendtip/services/NAME => ../../services/NAME\n", false},
	{"test/go.mod", "github.com/sendtip/sendtip/services/NAME => ../services/NAME\n", false},
	{"cmd/sendtip/platform/services.go", "NAME.LoadConfig, NAME.New, NAMEsql.Migrations", true},
	{"docker-compose.yml", "      - keys-NAME:/dealt/NAME\n", true},
	{"docker-compose.yml", "\n  keys-NAME:\n", true},
	{"docker-compose.yml", "\n  NAME:\n    <<: *service\n    command: [NAME]\n", true},
	{"docker-compose.yml", "http://127.0.0.1:OPS/readyz", true},
	{"docker-compose.yml", "      SENDTIP_UPSTREAM_UPPER: http://NAME:PORT\n", false},
	{"docs/events.md", "| `sendtip.NAME.v1` |", true},
	{"README.md", "| [NAME](services/NAME/README.md) | here |", false},
	{"README.md", "OPS", true},
}

// TestEveryServiceIsEverywhere names the line that a list of services lacks, and the folder that no list knows.
func TestEveryServiceIsEverywhere(t *testing.T) {
	t.Parallel()
	names := openapi.Names(openapi.Services())
	for _, s := range openapi.Services() {
		ops := s.Port + 100
		if s.Name == "gateway" {
			ops = s.Port + 200
		}
		of := strings.NewReplacer("NAME", s.Name, "UPPER", strings.ToUpper(s.Name), "PORT", strconv.Itoa(s.Port), "OPS", strconv.Itoa(ops))
		for _, l := range lines {
			if text := of.Replace(l.text); (s.Name != "gateway" || l.gateway) && !strings.Contains(read(t, filepath.Join(root, l.file)), text) {
				t.Errorf("%s: add the line of %s: %s", l.file, s.Name, strings.TrimSpace(text))
			}
		}
		folder := filepath.Join("services", s.Name)
		if s.Name == "gateway" {
			folder = "gateway"
		}
		for _, file := range []string{"openapi/NAME.yaml", "sql/NAME/embed.go", "FOLDER/service.go", "FOLDER/config.go", "FOLDER/README.md",
			"FOLDER/cmd/NAME/main.go"} {
			if _, err := os.Stat(filepath.Join(root, strings.NewReplacer("NAME", s.Name, "FOLDER", folder).Replace(file))); err != nil {
				t.Errorf("%s has no %s", s.Name, file)
			}
		}
	}
	for _, pattern := range []string{"services/*", "sql/*/embed.go", "generated/*/api"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(found) < 4 {
			t.Fatalf("%s: %d, %v", pattern, len(found), err)
		}
		for _, path := range found {
			name := filepath.Base(strings.TrimSuffix(strings.TrimSuffix(path, "/embed.go"), "/api"))
			if !slices.Contains(names, name) {
				t.Errorf("openapi/services.yaml: add %s, which has %s", name, path)
			}
		}
	}
}

// handlers are the folders that only map.
var handlers = regexp.MustCompile(`internal/(api|events|jobs)/`)

// TestWalls: a service's tables are its own. Nobody else imports the code that reads them, their schema, or the service.
func TestWalls(t *testing.T) {
	t.Parallel()
	const module = "github.com/sendtip/sendtip/"
	seen := 0
	walk(t, func(path, text string) {
		owner := "gateway"
		if rest, ok := strings.CutPrefix(path, "services/"); ok {
			owner, _, _ = strings.Cut(rest, "/")
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range file.Imports {
			name, ok := strings.CutPrefix(strings.Trim(i.Path.Value, `"`), module)
			if !ok {
				continue
			}
			if hop := handlers.FindString(path); hop != "" && strings.HasSuffix(name, "/db") && !strings.HasSuffix(path, "_test.go") {
				t.Errorf("%s imports %s: %s maps, use cases in internal/app run the queries", path, name, hop)
			}
			for _, s := range openapi.Names(openapi.Services()) {
				for _, wall := range []string{fmt.Sprintf("generated/%s/db", s), "sql/" + s, "services/" + s} {
					if name != wall && !strings.HasPrefix(name, wall+"/") {
						continue
					}
					if seen++; s != owner {
						t.Errorf("%s imports %s: services meet by contract or event, only %s knows its tables", path, name, s)
					}
				}
			}
		}
	}, "services", "gateway")
	if seen < 100 {
		t.Errorf("only %d imports were looked at", seen)
	}
}

// walk shows every Go file of ours below the folders, tests too, by its path from the root.
func walk(t *testing.T, show func(path, text string), folders ...string) {
	t.Helper()
	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() && strings.HasSuffix(path, ".go") {
				rel, _ := filepath.Rel(root, path)
				show(filepath.ToSlash(rel), read(t, path))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
