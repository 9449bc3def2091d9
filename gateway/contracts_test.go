package gateway

import (
	"context"
	"encoding/json"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/sendtip/sendtip/gateway/internal/contract"
	"github.com/sendtip/sendtip/gateway/internal/docs"
	"github.com/sendtip/sendtip/kit/service"
	"github.com/sendtip/sendtip/openapi"
)

// TestRealContracts starts a gateway from the contracts of the platform: what it cannot enforce stops here, not in production.
func TestRealContracts(t *testing.T) {
	t.Parallel()
	set, err := contract.Load(openapi.FS)
	if err != nil {
		t.Fatal(err)
	}
	w := setup(t)
	cfg := w.cfg
	for _, s := range set.Services {
		if cfg.identityKeys()[s] == nil {
			cfg.IdentityKeys = append(cfg.IdentityKeys, Pair{s, string(identityKey(s))})
		}
		if s != name && cfg.Upstreams[s] == "" {
			cfg.Upstreams[s] = w.wallet.URL
		}
	}
	s, err := New(context.Background(), cfg, service.Host{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	numbers := []string{"confirmNumberChange", "rejectNumberClaim", "releaseNumberClaim", "cancelRecovery",
		"createBankAccount"} // move no money; an account's id is the client's
	for _, op := range set.Operations {
		if op.StepUp && !op.Idempotent && !slices.Contains(numbers, op.ID) {
			t.Errorf("%s moves money and has no Idempotency-Key", op.ID)
		}
	}
	checkDocument(t, openapi.FS, set.Services)
}

// checkDocument merges contracts and holds the result against what was promised of it.
func checkDocument(t *testing.T, fsys fs.FS, services []string) string {
	t.Helper()
	doc, err := docs.Merge(fsys, services, "x", "https://api.example.test")
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := openapi3.NewLoader().LoadFromData(doc)
	if err != nil {
		t.Fatalf("the merged contract cannot be loaded: %v", err)
	}
	if err := loaded.Validate(context.Background(), openapi3.DisableExamplesValidation()); err != nil {
		t.Fatalf("the merged contract is not valid: %v", err)
	}
	for _, leak := range []string{`"x-`, "common.yaml", "serviceKey", "/v1/internal/", "/v1/hooks/", "localhost"} {
		if strings.Contains(string(doc), leak) {
			t.Errorf("the public contract has %s", leak)
		}
	}
	refs := string(doc)
	for kind, definitions := range map[string][]string{"schemas": names(loaded.Components.Schemas),
		"responses": names(loaded.Components.Responses), "parameters": names(loaded.Components.Parameters)} {
		for _, n := range definitions {
			if !strings.Contains(refs, `"#/components/`+kind+`/`+n+`"`) {
				t.Errorf("%s %s is used by nothing", kind, n)
			}
		}
	}
	return refs
}

func names[T any](m map[string]T) []string {
	var out []string
	for n := range m {
		out = append(out, n)
	}
	return out
}

// gatewayStatuses are what the gateway itself can answer to an operation, by the operation's features.
func gatewayStatuses(op *contract.Operation) []int {
	hook := op.Visibility == contract.Webhook
	out := []int{500, 503, 504}
	add := func(when bool, statuses ...int) {
		if when {
			out = append(out, statuses...)
		}
	}
	add(!hook, 400)
	add(len(op.Security) > 0, 401, 403)
	add(strings.Contains(op.Path, "{"), 404) // an encoded slash in a parameter, a hook's token of the wrong shape
	add(op.Body != nil, 408, 413)
	add(op.Body != nil && !hook, 415, 422)
	add(op.Idempotent, 409, 422)
	add(op.Visibility != contract.Internal || len(op.Limits) > 0, 429)
	return out
}

// TestStatusesAreDocumented: a client that was generated from a contract knows every answer that the gateway can give.
func TestStatusesAreDocumented(t *testing.T) {
	t.Parallel()
	set, err := contract.Load(openapi.FS)
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range set.Operations {
		for _, status := range gatewayStatuses(op) {
			if op.Responses[strconv.Itoa(status)] == nil {
				t.Errorf("%s can be answered %d by the gateway, and its contract does not say so", op.ID, status)
			}
		}
	}
}

// TestHeadersAreDocumented: so are the headers, in the document that clients are generated from.
func TestHeadersAreDocumented(t *testing.T) {
	t.Parallel()
	set, err := contract.Load(openapi.FS)
	if err != nil {
		t.Fatal(err)
	}
	data, err := docs.Merge(openapi.FS, set.Services, "x", "/")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(data)
	if err != nil {
		t.Fatal(err)
	}
	operations := 0
	for _, op := range set.Operations {
		if op.Visibility != contract.Public {
			continue
		}
		operations++
		for status, r := range doc.Paths.Find(op.Path).GetOperation(op.Method).Responses.Map() {
			want := []string{"RateLimit", "RateLimit-Policy", "X-Request-Id"}
			switch {
			case status == "429" || status == "503" || status == "504":
				want = append(want, "Retry-After")
			case status == "409":
				want = append(want, "Retry-After", "Location")
			case status < "300" && op.Idempotent:
				want = append(want, "Idempotency-Replayed")
			}
			for _, h := range want {
				if header := r.Value.Headers[h]; header == nil || header.Value.Schema == nil {
					t.Errorf("%s %s: header %s is not described", op.ID, status, h)
				}
			}
		}
	}
	if operations < 30 {
		t.Fatalf("%d operations looked at", operations)
	}
}

// TestOrderOfServices: Swagger UI lists services in the order of services.yaml, which is a customer's journey.
func TestOrderOfServices(t *testing.T) {
	t.Parallel()
	set, err := contract.Load(openapi.FS)
	if err != nil {
		t.Fatal(err)
	}
	data, err := fs.ReadFile(openapi.FS, "services.yaml")
	if err != nil {
		t.Fatal(err)
	}
	at := -1
	for _, s := range set.Services {
		next := strings.Index(string(data), "\n  "+s+":\n")
		if next <= at {
			t.Fatalf("%v is not the order of services.yaml", set.Services)
		}
		at = next
	}
	if set.Services[0] != "user" {
		t.Fatalf("%v: a journey begins with a registration", set.Services)
	}
}

// TestFreshKeys runs what Swagger UI does to a request before it is sent: the contract's example key never leaves the page.
func TestFreshKeys(t *testing.T) {
	t.Parallel()
	w := setup(t)
	page := w.do(ask{method: "GET", path: "/docs"}).body
	_, rest, found := strings.Cut(page, "requestInterceptor: ")
	if !found {
		t.Fatal("the page changes no request")
	}
	function, _, _ := strings.Cut(rest, "return request;\n    }")
	common, err := fs.ReadFile(openapi.FS, "common.yaml")
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile(`IdempotencyKey:(?s:.*?)\n      example: (\S+)`).FindStringSubmatch(string(common))
	if example == nil || !strings.Contains(function, `"`+example[1]+`"`) {
		t.Fatalf("the example of the contract, %v, is not the one that the page replaces", example)
	}
	script := "var f = " + function + `return request;
	    }
	    var one = f({headers: {"Idempotency-Key": "` + example[1] + `"}}).headers["Idempotency-Key"];
	    var two = f({headers: {"Idempotency-Key": "` + example[1] + `"}}).headers["Idempotency-Key"];
	    var own = f({headers: {"Idempotency-Key": "my-own-key-000001"}}).headers["Idempotency-Key"];
	    var none = f({url: "/x"}).url;
	    console.log(JSON.stringify([one, two, own, none]));`
	out, err := exec.CommandContext(t.Context(), "node", "-e", script).Output()
	if err != nil {
		t.Fatalf("node, which the linter of contracts needs too: %v", err)
	}
	var got [4]string
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	uuid4 := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$`)
	if !uuid4.MatchString(got[0]) || !uuid4.MatchString(got[1]) || got[0] == got[1] || got[2] != "my-own-key-000001" || got[3] != "/x" {
		t.Fatalf("keys %v", got)
	}
}

// TestKeySetIsCached: what user says about keeping its keys reaches the client.
func TestKeySetIsCached(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.users.script(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Cache-Control", "public, max-age=300")
		rw.Header().Set("ETag", `"k1"`)
		reply(200, `{"keys":[]}`)(rw, r)
	})
	got := w.do(ask{method: "GET", path: "/v1/jwks"})
	if got.status != 200 || got.header.Get("Cache-Control") != "public, max-age=300" || got.header.Get("ETag") != `"k1"` {
		t.Fatalf("%d %v", got.status, got.header)
	}
}

func TestMergedDocument(t *testing.T) {
	t.Parallel()
	doc := checkDocument(t, contracts(t), []string{"gateway", "transactions", "user", "wallet"})
	var parsed struct {
		Servers    []struct{ URL string }
		Paths      map[string]map[string]struct{ OperationID string }
		Components struct{ Schemas map[string]json.RawMessage }
		Tags       []struct{ Name string }
	}
	if err := json.Unmarshal([]byte(doc), &parsed); err != nil {
		t.Fatal(err)
	}
	if len(parsed.Servers) != 1 || parsed.Servers[0].URL != "https://api.example.test" {
		t.Errorf("servers %v", parsed.Servers)
	}
	if parsed.Paths["/v1/transfers"]["post"].OperationID != "createTransfer" || parsed.Paths["/v1/jwks"]["get"].OperationID != "getJwks" {
		t.Error("public operations are missing")
	}
	if _, ok := parsed.Components.Schemas["OnlyInternal"]; ok {
		t.Error("a schema that only internal operations use is public")
	}
	for _, tag := range parsed.Tags {
		if tag.Name == "lookups" || tag.Name == "ledger" || tag.Name == "hooks" {
			t.Errorf("tag %s belongs to no public operation", tag.Name)
		}
	}
}

func TestDocs(t *testing.T) {
	t.Parallel()
	w := setup(t)
	get := func(path string, header map[string]string) answer {
		return w.do(ask{method: "GET", path: path, header: header})
	}
	spec := get("/openapi.json", nil)
	if spec.status != 200 || !strings.Contains(spec.body, `"url":"https://api.example.test"`) ||
		spec.header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %v", spec.status, spec.header)
	}
	if again := get("/openapi.json", map[string]string{"If-None-Match": spec.header.Get("ETag")}); again.status != 304 || again.body != "" {
		t.Errorf("ETag: %d", again.status)
	}
	page := get("/docs", nil)
	if page.status != 200 || !strings.Contains(page.body, "persistAuthorization: true") || !strings.Contains(page.body, "/docs/wallet.json") {
		t.Fatalf("%d %s", page.status, page.body)
	}
	if strings.Contains(page.body, "//cdn") || strings.Contains(page.body, "unpkg") {
		t.Error("the page loads from elsewhere")
	}
	policy := page.header.Get("Content-Security-Policy")
	if strings.Contains(policy, "script-src 'self' 'unsafe-inline'") ||
		strings.Count(policy, "'sha256-") != strings.Count(page.body, "<script>") || !strings.Contains(policy, "frame-ancestors 'none'") {
		t.Errorf("policy %s", policy)
	}
	for _, m := range regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page.body, -1) {
		if got := get(m[1], nil); got.status != 200 || got.body == "" {
			t.Errorf("asset %s: %d", m[1], got.status)
		}
	}
	if got := get("/docs/wallet.json", nil); got.status != 200 || !strings.Contains(got.body, `"url":"/"`) ||
		strings.Contains(got.body, "startRegistration") {
		t.Errorf("one service: %d", got.status)
	}
	if got := get("/", nil); got.status != http.StatusFound || got.header.Get("Location") != "/docs" {
		t.Errorf("root: %d", got.status)
	}
	for path, status := range map[string]int{"/docs/../v1/wallets": 404, "/docs/nothing.js": 404, "/docs/swagger-ui.css.gz": 404,
		"/docsx": 404} {
		if got := get(path, nil); got.status != status {
			t.Errorf("%s: %d, want %d", path, got.status, status)
		}
	}
	if got := w.do(ask{method: "POST", path: "/docs"}); got.status != 405 {
		t.Errorf("POST: %d", got.status)
	}
}

func TestDocsAreLimited(t *testing.T) {
	t.Parallel()
	w := setup(t, func(w *world) { w.cfg.RatePolicies = Pairs{{"address", "6/60/5"}} })
	served := 0
	for range 8 {
		got := w.do(ask{method: "GET", path: "/openapi.json"})
		if got.status == 200 {
			served++
			continue
		}
		refused(t, got, 429, "rate_limited")
	}
	if served != 5 {
		t.Errorf("%d pages from one address, want 5", served)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	key := strings.Repeat("k", 32)
	good := map[string]string{"SENDTIP_LISTEN": ":0", "SENDTIP_INTERNAL_LISTEN": ":0", "SENDTIP_DATABASE_URL": "postgres://x",
		"SENDTIP_IDENTITY_KEY": key,
		"SENDTIP_KEK":          key, "SENDTIP_DELEGATION_KEY": "d" + key, "SENDTIP_IDENTITY_KEYS": "user=" + key + "1,wallet=" + key +
			"2\nwallet=" + key + "3",
		"SENDTIP_SERVICE_KEY_HASHES": "wallet=" + hashServiceKey("a"), "SENDTIP_UPSTREAM_USER": "http://127.0.0.1:1",
		"SENDTIP_TRUSTED_PROXIES": "10.0.0.0/8, ::1/128",
		"SENDTIP_KAFKA_BROKERS":   "127.0.0.1:1"}
	cfg, err := LoadConfig(good)
	if err != nil {
		t.Fatal(err)
	}
	if string(cfg.identityKeys()["wallet"]) != key+"2" || cfg.Upstreams["user"] != "http://127.0.0.1:1" || len(cfg.TrustedProxies) != 2 ||
		cfg.SampleAnswers != 0.01 {
		t.Fatalf("%+v", cfg)
	}
	for name, change := range map[string]map[string]string{
		"no internal listener":   {"SENDTIP_INTERNAL_LISTEN": ""},
		"no delegation key":      {"SENDTIP_DELEGATION_KEY": ""},
		"short delegation key":   {"SENDTIP_DELEGATION_KEY": "short"},
		"delegation = identity":  {"SENDTIP_DELEGATION_KEY": key + "2"},
		"short identity key":     {"SENDTIP_IDENTITY_KEYS": "user=short"},
		"no pair":                {"SENDTIP_IDENTITY_KEYS": "user"},
		"missing file":           {"SENDTIP_IDENTITY_KEYS": "file:/does/not/exist"},
		"network":                {"SENDTIP_TRUSTED_PROXIES": "ten"},
		"source":                 {"SENDTIP_WEBHOOK_SOURCES": "st=ten"},
		"policy":                 {"SENDTIP_RATE_POLICIES": "address=1/2"},
		"environment name":       {"SENDTIP_ENV": "My Env"},
		"all proxies":            {"SENDTIP_TRUSTED_PROXIES": "0.0.0.0/0"},
		"all sources":            {"SENDTIP_WEBHOOK_SOURCES": "cb=::/0"},
		"any origin":             {"SENDTIP_ALLOWED_ORIGINS": "*"},
		"origin with a path":     {"SENDTIP_ALLOWED_ORIGINS": "https://app.example.test/"},
		"any host":               {"SENDTIP_ALLOWED_ORIGINS": "https://*.example.test"},
		"origin without TLS":     {"SENDTIP_ENV": "production", "SENDTIP_ALLOWED_ORIGINS": "http://app.example.test"},
		"sampling in production": {"SENDTIP_ENV": "production", "SENDTIP_SAMPLE_ANSWERS": "0.5"},
	} {
		environ := map[string]string{}
		for k, v := range good {
			environ[k] = v
		}
		for k, v := range change {
			environ[k] = v
		}
		if _, err := LoadConfig(environ); err == nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), key) {
			t.Errorf("%s: the error shows a key", name)
		}
	}
	production := map[string]string{"SENDTIP_ENV": "production", "SENDTIP_KAFKA_USER": "gateway", "SENDTIP_KAFKA_PASSWORD": "p",
		"SENDTIP_KAFKA_TLS": "true",
		"SENDTIP_REDIS_URL": "rediss://redis:6379", "SENDTIP_REDIS_PASSWORD": "p"}
	maps.Copy(production, good)
	if cfg, err := LoadConfig(production); err != nil || cfg.SampleAnswers != 0 {
		t.Errorf("production: %v, %v answers sampled", err, cfg.SampleAnswers)
	}
	for _, name := range []string{"SENDTIP_KAFKA_USER", "SENDTIP_KAFKA_PASSWORD", "SENDTIP_KAFKA_TLS", "SENDTIP_REDIS_URL",
		"SENDTIP_REDIS_PASSWORD"} {
		if _, err := LoadConfig(without(production, name)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("production without %s: %v", name, err)
		}
	}
}

func without(environ map[string]string, name string) map[string]string {
	out := maps.Clone(environ)
	delete(out, name)
	return out
}
