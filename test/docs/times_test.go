package docs_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// databaseTime are the words by which SQL asks the database what time it is.
var databaseTime = regexp.MustCompile(`(?i)\b(now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday)\s*\(\s*\)|` +
	`\b(current_date|current_time|current_timestamp|localtime|localtimestamp)\b|'(now|today|tomorrow|yesterday)'`)

// itsOwnTime are the queries that need the database's own time, and why.
var itsOwnTime = map[string]string{
	"sql/user/queries/sessions.sql: InsertRevocations": "revocations are asked for by time, so all replicas must write them by one clock, " +
		"which nobody's error moves",
	"sql/user/queries/sessions.sql: DatabaseTime": "the time by which revocations are written",
}

// standing are the last migrations from when columns still had the database's time as a default: releases from then write without a time
// while a new one is rolled out. Newer migrations have no such default.
var standing = map[string]string{
	"sql/user": "00002", "sql/wallet": "00004", "sql/transactions": "00004", "sql/notification": "00001", "sql/gateway": "00001",
	"kit/pg": "00002",
}

// TestNoQueryAsksTheDatabaseForTheTime: times are parameters, so that one clock decides (kit/clock). It looks through queries, the SQL in
// Go and newer migrations.
func TestNoQueryAsksTheDatabaseForTheTime(t *testing.T) {
	t.Parallel()
	found := map[string]bool{}
	for place, text := range statements(t) {
		if word := databaseTime.FindString(text); word != "" {
			found[place] = true
			if itsOwnTime[place] == "" {
				t.Errorf("%s asks the database for the time (%s): take it as a parameter", place, word)
			}
		}
	}
	for place, why := range itsOwnTime {
		if !found[place] {
			t.Errorf("%s does not ask for the time any more (%s): take it off the list", place, why)
		}
	}
}

func TestWordsOfTheDatabasesTime(t *testing.T) {
	t.Parallel()
	for text, asks := range map[string]bool{
		"SELECT now()": true, "x < NOW ( ) - interval '1 day'": true, "DEFAULT current_timestamp": true, "date = CURRENT_DATE": true,
		"clock_timestamp()::timestamptz": true, "'now'::timestamptz": true, "SELECT $1 AS now": false, "@now": false, "known()": false,
		"renown":        false,
		"sqlc.arg(now)": false, "current_dates": false,
	} {
		if databaseTime.MatchString(text) != asks {
			t.Errorf("%q asks the database for the time: %v", text, !asks)
		}
	}
}

// statements returns the SQL of ours by place: each named query, each newer migration, each string of Go code. Comments are left out.
func statements(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	queries, migrations := 0, 0
	for _, path := range glob(t, "sql/*/queries/*.sql") {
		for _, part := range strings.Split(withoutComments(read(t, path), "-- name:"), "-- name: ")[1:] {
			name, query, _ := strings.Cut(part, " ")
			out[place(path)+": "+name] = query
			queries++
		}
	}
	for _, path := range append(glob(t, "sql/*/migrations/*.sql"), glob(t, "kit/pg/migrations/*.sql")...) {
		owner := filepath.ToSlash(filepath.Dir(filepath.Dir(place(path))))
		if number, _, _ := strings.Cut(filepath.Base(path), "_"); number > standing[owner] {
			out[place(path)] = withoutComments(read(t, path), "")
		}
		migrations++
	}
	for path := range sources(t, "kit", "gateway", "services", "providers", "cmd", "clients") {
		for i, text := range goStrings(t, path) {
			out[fmt.Sprintf("%s: string %d", place(path), i+1)] = text
		}
	}
	if queries < 100 || migrations < 10 || len(out) < 1000 {
		t.Fatalf("looked through %d queries, %d migrations, %d texts: something is not found any more", queries, migrations, len(out))
	}
	return out
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// place is a path as seen from the root.
func place(path string) string { return strings.TrimPrefix(filepath.ToSlash(path), root+"/") }

// withoutComments leaves out SQL's comments, except lines that begin with keep.
func withoutComments(sql, keep string) string {
	var b strings.Builder
	for line := range strings.Lines(sql) {
		if keep == "" || !strings.HasPrefix(line, keep) {
			line, _, _ = strings.Cut(line, "--")
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// goStrings are all string literals of a file, but the paths of its imports.
func goStrings(t *testing.T, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path) // #nosec G304 -- our own tree
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, b, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	ast.Inspect(file, func(n ast.Node) bool {
		if _, ok := n.(*ast.ImportSpec); ok {
			return false
		}
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			out = append(out, lit.Value)
		}
		return true
	})
	return out
}
