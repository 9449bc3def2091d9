package kafka

import (
	"testing"

	"github.com/sendtip/sendtip/embedded/internal/pulse"
)

// TestDone: a broker that runs answers the question that watches it, open or with users, and one that ended by itself is noticed.
func TestDone(t *testing.T) {
	t.Parallel()
	for _, admin := range []User{{}, {Name: "admin", Password: "secret"}} {
		b, err := Start(t.Context(), Config{Dir: t.TempDir(), Admin: admin})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = b.Stop() }) // it has ended
		if err := pulse.Ask(b.Brokers()[0], apiVersions); err != nil {
			t.Errorf("user %q: %v", admin.Name, err)
		}
		b.cluster.Close()
		<-b.Done()
	}
}
