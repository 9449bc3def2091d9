package log_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sendtip/sendtip/kit/log"
)

func TestRedaction(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := log.New(&out, "info", "wallet")
	l.Info("x", "pin", "4821", "token", "tok-1", "at", log.Phone("+254712345678"), "s", log.Secret("hunter2"), "phone", "+254700000001")
	for _, canary := range []string{"4821", "tok-1", "712345678", "hunter2", "700000001"} {
		if strings.Contains(out.String(), canary) {
			t.Fatalf("%q shows in %s", canary, out.String())
		}
	}
	if !strings.Contains(out.String(), `"service":"wallet"`) {
		t.Fatalf("no service name: %s", out.String())
	}
}
