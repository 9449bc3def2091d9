package e2e_test

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sendtip/sendtip/cmd/sendtip/journey"
	"github.com/sendtip/sendtip/cmd/sendtip/platform"
)

func walk(t *testing.T, w *world) {
	t.Helper()
	passed, failed := journey.Run(t.Context(), w.World, func(s journey.Step) {
		if s.Err != nil {
			t.Errorf("%s: %v (last exchange %s → %s)", s.Name, s.Err, s.Request, s.Answer)
		}
	})
	if failed != 0 || passed < 20 {
		t.Errorf("%d steps passed, %d failed", passed, failed)
	}
}

func TestJourney(t *testing.T) {
	t.Parallel()
	walk(t, start(t, nil)) // its own: it switches a rail off
}

// TestJourneyWithEachServiceAsItsOwnProcess builds each service's own main and runs it alone.
func TestJourneyWithEachServiceAsItsOwnProcess(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *platform.Options) { o.Binaries = binaries(t) })
	walk(t, w)
}

// binaries builds the services' own programs.
func binaries(t testing.TB) map[string]string {
	t.Helper()
	dir := t.TempDir()
	out := map[string]string{}
	for _, s := range platform.Services {
		pkg := "./services/" + s + "/cmd/" + s
		if s == "gateway" {
			pkg = "./gateway/cmd/gateway"
		}
		out[s] = filepath.Join(dir, s)
		cmd := exec.CommandContext(t.Context(), "go", "build", "-o", out[s], pkg) // #nosec G204 -- our own packages
		cmd.Dir = root()
		if b, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", s, err, b)
		}
	}
	return out
}
