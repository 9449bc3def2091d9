package platform

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sendtip/sendtip/cmd/sendtip/keys"
	"github.com/sendtip/sendtip/embedded/filelock"
	"github.com/sendtip/sendtip/embedded/postgres"
)

// stopped is a folder as a platform leaves it, without its database.
func stopped(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(folder(t), "home", ".sendtip")
	if _, err := keys.Init(filepath.Join(dir, "keys")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kafka/owner.lock", "kafka/data/0/log", "log/sendtip.log", "log/sendtip-2026-01-02.log",
		"sandbox/registrations.json", "sandbox/registrations.json.new", checkpointName, lockName} {
		write(t, filepath.Join(dir, name), "x")
	}
	if err := mark(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// folder can be reached by the database server's user too.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sendtip-reset-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // #nosec G302 -- see above
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// files lists a folder with all below it and each file's content.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil || !d.Type().IsRegular() {
			out[rel] = d.Type().String()
			return err
		}
		b, err := os.ReadFile(path) // #nosec G304 -- the test's own folder
		out[rel] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func same(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || w != v {
			return false
		}
	}
	return true
}

func reset(t *testing.T, dir string, withKeys bool) (said string, err error) {
	t.Helper()
	var lines []string
	err = Reset(t.Context(), ResetOptions{Dir: dir, Keys: withKeys, Now: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC),
		Say: func(s string) { lines = append(lines, s) }})
	return strings.Join(lines, "\n"), err
}

// TestResetRefuses: whatever is not a stopped platform's own folder stays as it is, to the last byte.
func TestResetRefuses(t *testing.T) { //nolint:paralleltest // two of its cases set HOME
	for name, build := range map[string]func(t *testing.T) (named, watched string, want error){
		"foreign folder": func(t *testing.T) (string, string, error) {
			dir := folder(t)
			write(t, filepath.Join(dir, "keys", "id_ed25519"), "mine")
			write(t, filepath.Join(dir, "thesis.txt"), "mine")
			return dir, dir, ErrNotOurs
		},
		"foreign folder with a lock and other keys among ours": func(t *testing.T) (string, string, error) {
			dir := stopped(t)
			write(t, filepath.Join(dir, "keys", "id_ed25519"), "mine")
			if err := os.Remove(filepath.Join(dir, markerName)); err != nil {
				t.Fatal(err)
			}
			return dir, dir, ErrNotOurs
		},
		"keys alone": func(t *testing.T) (string, string, error) {
			dir := folder(t)
			if _, err := keys.Init(filepath.Join(dir, "keys")); err != nil {
				t.Fatal(err)
			}
			return dir, dir, ErrNotOurs
		},
		"marker of another program": func(t *testing.T) (string, string, error) {
			dir := folder(t)
			write(t, filepath.Join(dir, markerName), "something else")
			return dir, dir, ErrNotOurs
		},
		"running platform": func(t *testing.T) (string, string, error) {
			dir := stopped(t)
			lock, err := filelock.Try(filepath.Join(dir, lockName))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = lock.Release() })
			return dir, dir, ErrRunning
		},
		"link to a platform": func(t *testing.T) (string, string, error) {
			dir := stopped(t)
			link := dir + ".link"
			if err := os.Symlink(dir, link); err != nil {
				t.Fatal(err)
			}
			return link, filepath.Dir(dir), ErrNotOurs
		},
		"home folder": func(t *testing.T) (string, string, error) {
			dir := stopped(t)
			t.Setenv("HOME", dir)
			return dir, dir, ErrNotOurs
		},
		"folder above the home folder": func(t *testing.T) (string, string, error) {
			dir := stopped(t)
			t.Setenv("HOME", filepath.Join(dir, "log"))
			return dir, dir, ErrNotOurs
		},
		"missing": func(t *testing.T) (string, string, error) {
			dir := folder(t)
			return filepath.Join(dir, "no"), dir, ErrNothing
		},
		"no name": func(t *testing.T) (string, string, error) { return "", folder(t), ErrNotOurs },
	} {
		t.Run(name, func(t *testing.T) {
			dir, watched, want := build(t)
			before := files(t, watched)
			if _, err := reset(t, dir, true); !errors.Is(err, want) {
				t.Errorf("the answer is %v, want %v", err, want)
			}
			if after := files(t, watched); !same(before, after) {
				t.Errorf("something changed: %v, was %v", after, before)
			}
		})
	}
}

// TestResetKeepsKeysAndForeignFiles: the data goes, the keys move beside the folder, and what others put there stays. A second platform
// on the same folder, reset in the same second, has a backup of its own.
func TestResetKeepsKeysAndForeignFiles(t *testing.T) {
	t.Parallel()
	dir := stopped(t)
	write(t, filepath.Join(dir, "notes", "mine.txt"), "mine")
	write(t, filepath.Join(dir, "log", "other.txt"), "mine")
	elsewhere := folder(t)
	write(t, filepath.Join(elsewhere, "ledger"), "mine")
	if err := os.Symlink(elsewhere, filepath.Join(dir, "kafka", "data", "link")); err != nil {
		t.Fatal(err)
	}
	secrets := files(t, filepath.Join(dir, "keys"))
	said, err := reset(t, dir, false)
	if err != nil {
		t.Fatal(err)
	}
	backup := dir + ".keys-20260504-030201"
	for _, line := range []string{"delete " + filepath.Join(dir, "kafka"), "delete " + filepath.Join(dir, "sandbox"), "delete " +
		filepath.Join(dir, checkpointName), "move   " + filepath.Join(dir, "keys") + " to " + backup, "leave  " + filepath.Join(dir, "notes")} {
		if !strings.Contains(said, line) {
			t.Errorf("it does not say %q but:\n%s", line, said)
		}
	}
	if !same(files(t, backup), secrets) {
		t.Error("the keys are not in the backup as they were")
	}
	left := files(t, dir)
	if len(left) != 5 || left["notes/mine.txt"] != "mine" || left["log/other.txt"] != "mine" {
		t.Errorf("left: %v", left)
	}
	if files(t, elsewhere)["ledger"] != "mine" {
		t.Error("a link was followed")
	}
	if _, err := reset(t, dir, false); !errors.Is(err, ErrNotOurs) {
		t.Errorf("a second reset: %v", err)
	}

	if _, err := keys.Init(filepath.Join(dir, "keys")); err != nil {
		t.Fatal(err)
	}
	if err := mark(dir); err != nil {
		t.Fatal(err)
	}
	fresh := files(t, filepath.Join(dir, "keys"))
	if _, err := reset(t, dir, false); err != nil {
		t.Fatal(err)
	}
	if !same(files(t, backup), secrets) || !same(files(t, backup+"-2"), fresh) {
		t.Error("one backup is not what it was")
	}
}

// TestResetOlderFolder: a folder from before there were markers is known by its keys and its lock, also after a reset that ended halfway.
func TestResetOlderFolder(t *testing.T) {
	t.Parallel()
	dir := stopped(t)
	if err := os.Remove(filepath.Join(dir, markerName)); err != nil {
		t.Fatal(err)
	}
	inTheWay := filepath.Join(dir, checkpointName)
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(inTheWay, "file"), "") // a folder of this name cannot be deleted as a file: the reset ends there
	if _, err := reset(t, dir, true); err == nil {
		t.Fatal("a folder with something in it was deleted as a file")
	}
	if _, err := os.Lstat(filepath.Join(dir, "keys")); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("keys: %v", err)
	}
	if err := os.RemoveAll(inTheWay); err != nil {
		t.Fatal(err)
	}
	if _, err := reset(t, dir, true); err != nil {
		t.Errorf("the second reset: %v", err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder: %v", err)
	}
	if err := Remove(t.Context(), dir); err != nil {
		t.Errorf("of a folder that is gone: %v", err)
	}
}

// TestResetDryRun says all and does nothing.
func TestResetDryRun(t *testing.T) {
	t.Parallel()
	dir := stopped(t)
	before := files(t, filepath.Dir(dir))
	var said []string
	if err := Reset(t.Context(), ResetOptions{Dir: dir, DryRun: true, Say: func(s string) { said = append(said, s) }}); err != nil {
		t.Fatal(err)
	}
	if len(said) != 5 || !same(files(t, filepath.Dir(dir)), before) {
		t.Errorf("said %q", said)
	}
}

// TestResetDatabase: the database goes too, wherever it lies, but not while another process than the platform runs it.
func TestResetDatabase(t *testing.T) {
	t.Parallel()
	dir := stopped(t)
	cfg := postgres.Config{Dir: dir, NoFsync: true}
	server, err := postgres.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	database, err := postgres.Location(cfg)
	if err != nil || database == "" {
		t.Fatalf("%q, %v", database, err)
	}
	before := files(t, filepath.Join(dir, "keys"))
	if _, err := reset(t, dir, true); !errors.Is(err, postgres.ErrRunning) {
		t.Errorf("while the database runs: %v", err)
	}
	if !same(files(t, filepath.Join(dir, "keys")), before) || !marked(dir) {
		t.Error("it began although the database runs")
	}
	if err := server.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(database, "of-another"), "mine")
	said, err := reset(t, dir, true)
	if err != nil || !strings.Contains(said, "delete "+database) {
		t.Fatalf("%v, said:\n%s", err, said)
	}
	t.Cleanup(func() { _ = os.RemoveAll(database) })
	if got := files(t, database); len(got) != 2 || got["of-another"] != "mine" {
		t.Errorf("left beside the database: %v", slices.Sorted(maps.Keys(got)))
	}
	if _, err := os.Lstat(dir); os.Geteuid() == 0 && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
}
