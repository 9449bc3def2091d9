package e2e_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	userclient "github.com/sendtip/sendtip/generated/user/client"
)

// TestEmailAddresses: what people have as an address is taken and comes back as it was typed; hosts that cannot be are refused.
func TestEmailAddresses(t *testing.T) {
	t.Parallel()
	w := shared(t)
	amina := w.registered(t, "Amina")
	for _, address := range []string{
		"a@b.ke", "amina@example.com", "Amina.Wanjiru+sendtip@Mail.Example.co.ke", "o'brien@example.com", "_@example.com", "1234@example.com",
		"a-b_c.d@example.com",
		"!#$%&'*+/=?^_`{|}~-@example.com", "amina@x1.example", "amina@1and1.example", "amina@xn--bcher-kva.example", "amina@bücher.example",
		"wanjirũ@example.com",
		"amina@a-b.c-d.photography", strings.Repeat("a", 64) + "@example.com", "a@" + strings.Repeat("b", 63) + "." + strings.Repeat("c", 63) +
			".example",
		"a@" + strings.Repeat(strings.Repeat("b", 60)+".", 4) + "museum", "user%host@example.org", "{amina}@example.com",
	} {
		body, err := json.Marshal(map[string]string{"email": address})
		if err != nil {
			t.Fatal(err)
		}
		ask(t, amina, http.MethodPatch, "/v1/me", string(body), nil, http.StatusOK, "")
		me, err := amina.User.GetProfileWithResponse(t.Context())
		if err != nil || me.JSON200 == nil || me.JSON200.Email == nil || *me.JSON200.Email != userclient.Email(address) {
			t.Errorf("%s: %v %v", address, me, err)
		}
	}
	for _, address := range []string{
		"", "amina", "amina@", "@example.com", "amina@localhost", "root@[127.0.0.1]", "root@[IPv6:::1]", "x@1.2.3.4", "x@-example.com",
		"x@example-.com", "x@example.com.", "x@.example.com",
		"x@example..com", "x@" + strings.Repeat("b", 64) + ".com", "=?utf-8?q?x?=@example.com", "Amina <amina@example.com>",
		"amina@example.com (home)", "amina@example.com,b@example.com",
		"a b@example.com", " amina@example.com", "amina@example.com\n", "amina@exa_mple.com", "x@example.123", strings.Repeat("a", 250) + "@b.ke",
		"a..b@example.com", ".a@example.com", "amina@@example.com",
	} {
		body, err := json.Marshal(map[string]string{"email": address})
		if err != nil {
			t.Fatal(err)
		}
		if status, code, err := amina.Raw(t.Context(), http.MethodPatch, "/v1/me", string(body), nil); err != nil ||
			status != http.StatusBadRequest || code != "invalid_request" {
			t.Errorf("%s: %d %s %v", address, status, code, err)
		}
	}
}

// TestKeysMayBeKept: the gateway passes on how long the keys of access tokens may be kept, and keeps nothing else from being private.
func TestKeysMayBeKept(t *testing.T) {
	t.Parallel()
	w := shared(t)
	amina := w.registered(t, "Amina")
	keys, err := amina.User.GetJwksWithResponse(t.Context())
	if err != nil || keys.JSON200 == nil || keys.HTTPResponse.Header.Get("Cache-Control") != "public, max-age=300" {
		t.Errorf("%v %v", keys, err)
	}
	me, err := amina.User.GetProfileWithResponse(t.Context())
	if err != nil || me.HTTPResponse.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v %v", me, err)
	}
}
