package openapi

import (
	"strings"
	"testing"
)

func TestServices(t *testing.T) {
	t.Parallel()
	all := Services()
	if len(all) < 5 || all[0].Name != "user" || all[0].Port != 8101 || all[len(all)-1].Name != "gateway" || all[len(all)-1].Port != 8080 {
		t.Errorf("%v", all)
	}
	for name, file := range map[string]string{
		"no port":   "services:\n  a: {scopes: []}\n",
		"same port": "services:\n  a: {port: 8101}\n  b: {port: 8101}\n",
		"no file":   "services: [",
		"no number": "services:\n  a: {port: x}\n",
	} {
		if _, err := readServices([]byte(file)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if got := strings.Join(Names(all[:2]), " "); got != "user wallet" {
		t.Error(got)
	}
}
