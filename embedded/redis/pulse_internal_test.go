package redis

import (
	"testing"

	"github.com/sendtip/sendtip/embedded/internal/pulse"
)

// TestDone: a server that runs answers the question that watches it, with and without a password, and one that ended by itself is noticed.
func TestDone(t *testing.T) {
	t.Parallel()
	for _, password := range []string{"", "secret"} {
		s, err := Start(0, password)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Stop)
		if err := pulse.Ask(s.listener.Addr().String(), ping); err != nil {
			t.Errorf("password %q: %v", password, err)
		}
		_ = s.listener.Close()
		<-s.Done()
	}
}
