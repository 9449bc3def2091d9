package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/gateway/internal/keys"
)

type apiKey struct {
	ID, Name, Hint, Status, Secret string
	Scopes                         []string
}

func (w *world) admin() map[string]string {
	return map[string]string{"Authorization": "Bearer " + sign(w.t, w.key, nil, with(w.access(), "scope", "admin:api_keys"))}
}

func (w *world) createKey(body, idem string) answer {
	return w.do(ask{method: "POST", path: "/v1/admin/api-keys", body: body, header: w.admin()}.with("Idempotency-Key", idem))
}

func (w *world) newAPIKey(body string) apiKey {
	w.t.Helper()
	got := w.createKey(body, uuid.NewString())
	var k apiKey
	if got.status != 201 || json.Unmarshal([]byte(got.body), &k) != nil || k.Secret == "" {
		w.t.Fatalf("create: %d %s", got.status, got.body)
	}
	return k
}

func estimate(key string) ask {
	return ask{method: "POST", path: "/v1/fee-estimates", body: `{"amount":{"amount":5,"currency":"KES"}}`,
		header: map[string]string{"X-Api-Key": key}}
}

const tariffs = `{"name":"Price site","scopes":["tariffs:read"]}`

func TestAPIKeyLifecycle(t *testing.T) {
	t.Parallel()
	w := setup(t, withDatabase)
	eventually(t, "readiness", func() bool { return w.service.Ready(t.Context()) == nil })
	_, second, _ := w.run()
	idem := uuid.NewString()
	first := w.createKey(tariffs, idem)
	var k apiKey
	if first.status != 201 || json.Unmarshal([]byte(first.body), &k) != nil || k.Status != "active" ||
		!strings.HasPrefix(k.Secret, k.Hint+"_") {
		t.Fatalf("create: %d %s", first.status, first.body)
	}
	again := w.createKey(tariffs, idem)
	var replay apiKey
	if again.status != 201 || json.Unmarshal([]byte(again.body), &replay) != nil || replay.ID != k.ID || replay.Secret != "" ||
		again.header.Get("Idempotency-Replayed") != "true" {
		t.Fatalf("replay: %d %s %v", again.status, again.body, again.header)
	}
	refused(t, w.createKey(`{"name":"Other","scopes":["tariffs:read"]}`, idem), 422, "idempotency_key_reused")

	for _, base := range []string{w.public.URL, second.URL} {
		eventually(t, "the key at "+base, func() bool { return w.send(base, estimate(k.Secret)).status == 201 })
	}
	if p := w.wallet.last(t).principal; p.Subject != "partner:"+k.ID || !p.Has("tariffs:read") || p.Act != "" {
		t.Fatalf("principal %+v", p)
	}
	refused(t, w.do(ask{method: "GET", path: "/v1/wallets", header: map[string]string{"X-Api-Key": k.Secret}}), 403, "forbidden")

	before := w.wallet.count()
	refused(t, w.do(ask{method: "GET", path: "/v1/price-lists", header: map[string]string{"X-Api-Key": k.Secret}}), 403, "forbidden")
	if w.wallet.count() != before {
		t.Fatal("a key with another scope reached the service")
	}
	other := w.newAPIKey(`{"name":"x","scopes":["prices:read"]}`)
	eventually(t, "the other key", func() bool {
		return w.do(ask{method: "GET", path: "/v1/price-lists", header: map[string]string{"X-Api-Key": other.Secret}}).status == 201
	})
	refused(t, w.do(estimate(other.Secret)), 403, "forbidden")

	revoke := ask{method: "DELETE", path: "/v1/admin/api-keys/" + k.ID, header: w.admin()}
	if got := w.do(revoke); got.status != 204 {
		t.Fatalf("revoke: %d %s", got.status, got.body)
	}
	for _, base := range []string{w.public.URL, second.URL} {
		if took := eventually(t, "the key's death at "+base,
			func() bool { return w.send(base, estimate(k.Secret)).status == 401 }); took > time.Second {
			t.Errorf("the revoked key lived for %s", took)
		}
	}
	if got := w.do(revoke); got.status != 204 {
		t.Fatalf("revoke again: %d", got.status)
	}
	unknown := revoke
	unknown.path = "/v1/admin/api-keys/" + uuid.NewString()
	refused(t, w.do(unknown), 404, "not_found")
	w.checkRecords(k)
}

// checkRecords looks into the database: no secret anywhere, one event, an audit row for each change.
func (w *world) checkRecords(k apiKey) {
	w.t.Helper()
	conn, err := pgx.Connect(context.Background(), w.cfg.Common.DatabaseURL.Reveal())
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	count := func(query string, args ...any) (n int) {
		if err := conn.QueryRow(context.Background(), query, args...).Scan(&n); err != nil {
			w.t.Fatal(err)
		}
		return n
	}
	if n := count("SELECT count(*) FROM outbox WHERE topic = 'sendtip.gateway.v1' AND key = $1", k.ID); n != 1 {
		w.t.Errorf("%d events, want 1", n)
	}
	if n := count("SELECT count(*) FROM audit_log WHERE object_id = $1 AND actor = $2", k.ID, "user:"+w.user); n != 2 {
		w.t.Errorf("%d audit rows, want created and revoked", n)
	}
	random := strings.Split(k.Secret, "_")[3]
	for _, table := range []string{"api_keys", "outbox", "audit_log", "idempotency_keys"} {
		if n := count("SELECT count(*) FROM "+table+" t WHERE t::text LIKE '%' || $1 || '%'", random); n != 0 {
			w.t.Errorf("the secret stands in %s", table)
		}
	}
	if strings.Contains(w.log.String(), random) {
		w.t.Error("the secret stands in the log")
	}
}

func TestAPIKeyRefusals(t *testing.T) {
	t.Parallel()
	w := setup(t, withDatabase)
	eventually(t, "readiness", func() bool { return w.service.Ready(t.Context()) == nil })
	k := w.newAPIKey(tariffs)
	eventually(t, "the key", func() bool { return w.do(estimate(k.Secret)).status == 201 })
	parts := strings.Split(k.Secret, "_")
	flip := func(s string) string {
		if s[0] == 'a' {
			return "b" + s[1:]
		}
		return "a" + s[1:]
	}
	other := keys.New("development", uuid.MustParse(k.ID))
	for name, c := range map[string]struct{ key, code string }{
		"empty":                {" ", "invalid_api_key"},
		"no key":               {"abc", "invalid_api_key"},
		"random part changed":  {strings.Join([]string{parts[0], parts[1], parts[2], flip(parts[3]), parts[4]}, "_"), "invalid_api_key"},
		"checksum changed":     {strings.Join([]string{parts[0], parts[1], parts[2], parts[3], flip(parts[4])}, "_"), "invalid_api_key"},
		"brand":                {"pk" + k.Secret[3:], "invalid_api_key"},
		"right id, own random": {other, "invalid_api_key"},
		"never created":        {keys.New("development", uuid.New()), "invalid_api_key"},
		"other environment":    {keys.New("production", uuid.MustParse(k.ID)), "wrong_environment"},
		"long":                 {strings.Repeat("x", 5000), "invalid_api_key"},
	} {
		t.Run(name, func(t *testing.T) { refused(t, w.do(estimate(c.key)), 401, c.code) })
	}
	user := w.transfer().header
	for name, c := range map[string]struct {
		body   string
		status int
		code   string
		header map[string]string
	}{
		"unknown scope": {`{"name":"x","scopes":["wallet:write"]}`, 422, "scope_unknown", w.admin()},
		"past":          {`{"name":"x","scopes":["tariffs:read"],"expires_at":"2020-01-01T00:00:00Z"}`, 422, "expiry_in_the_past", w.admin()},
		"no scopes":     {`{"name":"x","scopes":[]}`, 400, "invalid_request", w.admin()},
		"same twice":    {`{"name":"x","scopes":["tariffs:read","tariffs:read"]}`, 400, "invalid_request", w.admin()},
		"no admin":      {tariffs, 403, "forbidden", map[string]string{"Authorization": user["Authorization"]}},
		"a key itself":  {tariffs, 403, "forbidden", map[string]string{"X-Api-Key": k.Secret}},
	} {
		t.Run(name, func(t *testing.T) {
			a := ask{method: "POST", path: "/v1/admin/api-keys", body: c.body, header: c.header}.with("Idempotency-Key", uuid.NewString())
			refused(t, w.do(a), c.status, c.code)
		})
	}
}

func TestAPIKeyExpiry(t *testing.T) {
	t.Parallel()
	w := setup(t, withDatabase)
	eventually(t, "readiness", func() bool { return w.service.Ready(t.Context()) == nil })
	k := w.newAPIKey(`{"name":"x","scopes":["tariffs:read"],"expires_at":"` +
		time.Now().Add(1500*time.Millisecond).UTC().Format(time.RFC3339Nano) + `"}`)
	eventually(t, "the key", func() bool { return w.do(estimate(k.Secret)).status == 201 })
	if exp := w.wallet.last(t).expires; time.Until(exp) > 3*time.Second {
		t.Errorf("the identity outlives the key: %s", exp)
	}
	eventually(t, "the expiry", func() bool { return w.do(estimate(k.Secret)).status == 401 })
	refused(t, w.do(estimate(k.Secret)), 401, "api_key_expired")
}

// TestAPIKeyTimes: an expiry has the digits that the row keeps, in the first answer already.
func TestAPIKeyTimes(t *testing.T) {
	t.Parallel()
	w := setup(t, withDatabase)
	made := w.createKey(`{"name":"x","scopes":["tariffs:read"],"expires_at":"2099-01-01T03:00:00.123456789+03:00"}`, uuid.NewString())
	list := w.do(ask{method: "GET", path: "/v1/admin/api-keys", header: w.admin()})
	for _, got := range []answer{made, list} {
		if !strings.Contains(got.body, `"expires_at":"2099-01-01T00:00:00.123456Z"`) {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
}

func TestAPIKeyList(t *testing.T) {
	t.Parallel()
	w := setup(t, withDatabase)
	var want []string
	for range 5 {
		want = append([]string{w.newAPIKey(tariffs).ID}, want...)
	}
	var got []string
	cursor := ""
	for range 4 {
		path := "/v1/admin/api-keys?limit=2"
		if cursor != "" {
			path += "&cursor=" + cursor
		}
		a := w.do(ask{method: "GET", path: path, header: w.admin()})
		var page struct {
			Data       []apiKey
			NextCursor string `json:"next_cursor"`
		}
		if a.status != 200 || json.Unmarshal([]byte(a.body), &page) != nil {
			t.Fatalf("%d %s", a.status, a.body)
		}
		for _, k := range page.Data {
			got = append(got, k.ID)
			if k.Secret != "" {
				t.Error("a list shows a secret")
			}
		}
		if cursor = page.NextCursor; cursor == "" {
			break
		}
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Fatalf("got %v, want %v", got, want)
	}
	const old = "AZN8XopAfBudfj9rKhwNTg" // of an earlier release
	refused(t, w.do(ask{method: "GET", path: "/v1/admin/api-keys?cursor=" + old, header: w.admin()}), 422, "cursor_invalid")
}

// TestListenerReconnects kills the connection that listens: what was missed meanwhile is loaded.
func TestListenerReconnects(t *testing.T) {
	t.Parallel()
	w := setup(t, withDatabase)
	eventually(t, "readiness", func() bool { return w.service.Ready(t.Context()) == nil })
	conn, err := pgx.Connect(t.Context(), w.cfg.Common.DatabaseURL.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	k := w.newAPIKey(tariffs)
	eventually(t, "the key", func() bool { return w.do(estimate(k.Secret)).status == 201 })
	// A revocation that nobody is told of: the row changes without NOTIFY, as if the notification was lost with the connection.
	if _, err := conn.Exec(t.Context(), "UPDATE api_keys SET revoked_at = now() WHERE id = $1", k.ID); err != nil {
		t.Fatal(err)
	}
	if got := w.do(estimate(k.Secret)); got.status != 201 {
		t.Fatalf("%d: the key died without a notification, so this test proves nothing", got.status)
	}
	var killed int
	if err := conn.QueryRow(t.Context(), `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE datname = current_database() AND application_name = 'gateway_listener'`).Scan(&killed); err != nil || killed == 0 {
		t.Fatalf("killed %d listeners: %v", killed, err)
	}
	eventually(t, "the reload", func() bool { return w.do(estimate(k.Secret)).status == http.StatusUnauthorized })
}

func TestAPIKeysWithoutDatabase(t *testing.T) {
	t.Parallel()
	w := setup(t)
	refused(t, w.do(estimate(keys.New("development", uuid.New()))), 503, "unavailable")
	refused(t, w.createKey(tariffs, uuid.NewString()), 503, "unavailable")
	if got := w.do(estimate("").with("X-Api-Key", "").with("Authorization", "Bearer "+w.token())); got.status != 201 {
		t.Fatalf("a user while the database is down: %d", got.status)
	}
}
