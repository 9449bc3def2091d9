package keys_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/sendtip/sendtip/cmd/sendtip/keys"
)

func TestInitKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "keys")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := keys.Init(dir); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	first := read(t, dir)
	if _, err := keys.Init(dir); err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for name, content := range read(t, dir) {
		if first[name] != content {
			t.Errorf("%s changed", name)
		}
		if other, ok := seen[content]; ok {
			t.Errorf("%s and %s are equal", name, other)
		}
		seen[content] = name
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s can be read by others: %v %v", name, info.Mode(), err)
		}
	}
	if len(seen) != 6*len(keys.Services)+7 {
		t.Errorf("%d keys", len(seen))
	}
}

func read(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = string(b)
	}
	return out
}
