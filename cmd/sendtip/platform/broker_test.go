//go:build !kafka

package platform

import (
	"testing"

	"github.com/sendtip/sendtip/embedded/kafka"
)

// guarded runs a broker that asks who speaks until the test ends, and returns its address.
func guarded(t *testing.T, password string) []string {
	t.Helper()
	b, err := kafka.Start(t.Context(), kafka.Config{Dir: t.TempDir(), Admin: kafka.User{Name: defaultAdmin, Password: password}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Stop(); err != nil {
			t.Error(err)
		}
	})
	return b.Brokers()
}
