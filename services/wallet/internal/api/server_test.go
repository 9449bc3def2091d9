package api_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-chi/chi/v5"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/servicetest"
	"github.com/sendtip/sendtip/openapi"

	"github.com/sendtip/sendtip/services/wallet/internal/api"
	"github.com/sendtip/sendtip/services/wallet/internal/app"
	"github.com/sendtip/sendtip/services/wallet/internal/domain"
	"github.com/sendtip/sendtip/services/wallet/internal/testworld"
)

// world is a testworld with the HTTP interface in front, every request and answer checked against the contract.
type world struct {
	*testworld.World
	t   *testing.T
	api *servicetest.API
}

func setup(t *testing.T) *world {
	t.Helper()
	w := &world{World: testworld.New(t), t: t}
	w.mount()
	return w
}

// mount puts the interface in front of the use cases as they are now.
func (w *world) mount() {
	w.t.Helper()
	w.api = w.API(openapi.FS, "wallet.yaml", func(r chi.Router) { api.Mount(r, w.App) }, 0)
}

// identity is what the gateway mints.
func (w *world) identity(subject, scope string, change func(c *auth.Claims)) string {
	w.t.Helper()
	return w.api.Token(servicetest.Request{Who: subject, Scopes: strings.Fields(scope), Claims: change})
}

// safaricom is what the gateway mints for a message from one of Safaricom's addresses.
func (w *world) safaricom() string {
	w.t.Helper()
	return w.identity("provider:wallet-cb", "", func(c *auth.Claims) { c.Source = auth.SourceKnown })
}

type request struct {
	method, path, body, identity string
	header                       map[string]string
}

func (w *world) send(r request) *httptest.ResponseRecorder {
	w.t.Helper()
	header := map[string]string{"Idempotency-Key": uuid.NewString(), "Step-Up-Token": "checked.by.the.gateway",
		auth.IdentityHeader: r.identity}
	maps.Copy(header, r.header)
	return w.api.Do(servicetest.Request{Method: r.method, Path: r.path, Body: r.body, Header: header})
}

func (w *world) as(p testworld.Person) string {
	return w.identity("user:"+p.UserID.String(), "wallet:read wallet:write admin:users", nil)
}

func (w *world) approved(p testworld.Person, quote string) string {
	return w.identity("user:"+p.UserID.String(), "wallet:write", func(c *auth.Claims) {
		c.StepUpJTI, c.StepUpHash = uuid.NewString(), domain.ApprovalHash(uuid.MustParse(quote))
		c.StepUpExp = jwt.NewNumericDate(w.Now().Add(time.Minute))
	})
}

func decode(t *testing.T, rec *httptest.ResponseRecorder, status int) map[string]any {
	t.Helper()
	return servicetest.Decode[map[string]any](t, rec, status)
}

// TestAuthorization walks the contract: each operation refuses a request without identity, and one without its scope; hooks refuse a
// wrong token. The bodies are the contract's own examples.
func TestAuthorization(t *testing.T) {
	t.Parallel()
	w := setup(t)
	doc := servicetest.Document(t, openapi.FS, "wallet.yaml")
	operations, bare := 0, w.api.Bare()
	for path, item := range doc.Paths.Map() {
		path = strings.NewReplacer("{wallet_id}", uuid.NewString(), "{topup_id}", uuid.NewString(), "{transfer_id}", uuid.NewString(),
			"{reservation_id}", uuid.NewString(), "{payment_request_id}", uuid.NewString(), "{item_id}", uuid.NewString(),
			"{request_id}", uuid.NewString(), "{approval_id}", uuid.NewString(), "{operation}", "mpesa.stk",
			"{token}", "abcdefghijklmnopqrstuvwxyz234567").Replace(path)
		for method, op := range item.Operations() {
			operations++
			if op.OperationID == "listRules" {
				path += "?country=KE"
			}
			body := ""
			if op.RequestBody != nil {
				raw, err := json.Marshal(op.RequestBody.Value.Content.Get("application/json").Example)
				if err != nil {
					t.Fatal(err)
				}
				body = string(raw)
			}
			anonymous := httptest.NewRecorder() // past the contract check: only a request around the gateway gets this answer from a hook
			bare.ServeHTTP(anonymous, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
			servicetest.Refused(t, anonymous, http.StatusUnauthorized, "unauthenticated")
			if len(*op.Security) == 0 {
				servicetest.Refused(t, w.send(request{method: method, path: path, body: body, identity: w.identity("provider:mpesa", "", nil)}),
					http.StatusNotFound, "not_found")
				continue
			}
			for _, other := range []string{"", "profile kyc", "ledger:post", "admin:users"} {
				if needs, ok := (*op.Security)[0]["userAuth"]; ok && slices.Contains(needs, other) {
					continue
				}
				servicetest.Refused(t, w.send(request{method: method, path: path, body: body,
					identity: w.identity("user:"+uuid.NewString(), other, nil)}),
					http.StatusForbidden, "forbidden")
			}
			if needs := (*op.Security)[0]["serviceKey"]; needs != nil {
				own := w.send(request{method: method, path: path, body: body, identity: w.identity("service:banking", needs[0], nil)})
				if strings.Contains(own.Body.String(), `"code":"forbidden"`) {
					t.Errorf("%s refuses a service: %s", op.OperationID, own.Body)
				}
				continue
			}
			for _, scope := range (*op.Security)[0]["userAuth"] { // else nobody could ever call it
				own := w.send(request{method: method, path: path, body: body, identity: w.identity("user:"+uuid.NewString(), scope, nil)})
				if strings.Contains(own.Body.String(), `"code":"forbidden"`) {
					t.Errorf("%s refuses %s: %s", op.OperationID, scope, own.Body)
				}
			}
			// The right scope alone does not make a partner or a service a customer.
			if op.OperationID != "estimateFee" {
				servicetest.Refused(t, w.send(request{method: method, path: path, body: body,
					identity: w.identity("service:banking", "wallet:read wallet:write admin:users admin:tariffs admin:tariffs:approve", nil)}),
					http.StatusForbidden, "forbidden")
			}
		}
	}
	if operations != 42 {
		t.Errorf("%d operations walked", operations)
	}
}

// TestContract proves that the contract is well formed and that its examples fit its schemas.
func TestContract(t *testing.T) {
	t.Parallel()
	doc := servicetest.Document(t, openapi.FS, "wallet.yaml")
	if err := doc.Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil {
		t.Error(err)
	}
}

func TestWalletsAndLimits(t *testing.T) {
	t.Parallel()
	w := setup(t)
	p, other := w.Person(1, 0), w.Person(1, 0)
	list := decode(t, w.send(request{method: "GET", path: "/v1/wallets", identity: w.as(p)}), 200)["data"].([]any)
	if len(list) != 1 || list[0].(map[string]any)["id"] != p.WalletID.String() {
		t.Errorf("wallets: %v", list)
	}
	decode(t, w.send(request{method: "GET", path: "/v1/wallets/" + p.WalletID.String(), identity: w.as(p)}), 200)
	servicetest.Refused(t, w.send(request{method: "GET", path: "/v1/wallets/" + p.WalletID.String(), identity: w.as(other)}), 404, "not_found")
	k := map[string]string{"Idempotency-Key": uuid.NewString()}
	decode(t, w.send(request{method: "POST", path: "/v1/wallets", body: `{"currency":"UGX"}`, identity: w.as(p), header: k}), 201)
	again := w.send(request{method: "POST", path: "/v1/wallets", body: `{"currency":"UGX"}`, identity: w.as(p), header: k})
	decode(t, again, 201)
	if again.Header().Get("Idempotency-Replayed") != "true" {
		t.Error("the replay is not marked")
	}
	decode(t, w.send(request{method: "POST", path: "/v1/wallets", body: `{"currency":"UGX"}`, identity: w.as(p)}), 200)
	limits := decode(t, w.send(request{method: "GET", path: "/v1/limits", identity: w.as(p)}), 200)
	if limits["tier"] != 1.0 || len(limits["limits"].([]any)) != 33 || len(limits["maximum_balances"].([]any)) != 4 {
		t.Errorf("limits: %v", limits)
	}
	stranger := testworld.Person{UserID: uuid.New()}
	if got := decode(t, w.send(request{method: "GET", path: "/v1/limits", identity: w.as(stranger)}), 200); got["tier"] != 0.0 {
		t.Errorf("limits of nobody: %v", got)
	}
}

func TestEstimateFee(t *testing.T) {
	t.Parallel()
	w := setup(t)
	body := `{"kind":"transfer","amount":{"amount":100000,"currency":"KES"}}`
	partner := w.identity("partner:"+uuid.NewString(), "tariffs:read", nil)
	got := decode(t, w.send(request{method: "POST", path: "/v1/fee-estimates", body: body, identity: partner}), 200)
	if got["total"].(map[string]any)["amount"] != 101495.0 {
		t.Errorf("estimate: %v", got)
	}
	servicetest.Refused(t, w.send(request{method: "POST", path: "/v1/fee-estimates", body: strings.Replace(body, "KES", "XXX", 1),
		identity: partner}),
		400, "invalid_request")
	servicetest.Refused(t, w.send(request{method: "POST", path: "/v1/fee-estimates", body: strings.Replace(body, "transfer", "gift", 1),
		identity: partner}), 422, "no_price")
}

func TestTransfers(t *testing.T) {
	t.Parallel()
	w := setup(t)
	from, to := w.Person(1, 3000), w.Person(1, 0)
	quote := func(shillings string) string {
		body := `{"wallet_id":"` + from.WalletID.String() + `","recipient_phone":"` + to.Phone + `","amount":{"amount":` + shillings +
			`00,"currency":"KES"}}`
		got := decode(t, w.send(request{method: "POST", path: "/v1/transfer-quotes", body: body, identity: w.as(from)}), 201)
		if got["recipient_name"] != "Amina W." {
			t.Errorf("quote: %v", got)
		}
		return got["id"].(string)
	}
	pay := func(q string) *httptest.ResponseRecorder {
		return w.send(request{method: "POST", path: "/v1/transfers", body: `{"quote_id":"` + q + `","note":"rent","client_reference":"c-1"}`,
			identity: w.approved(from, q)})
	}
	done := decode(t, pay(quote("1000")), 201)
	if done["status"] != "completed" || done["note"] != "rent" {
		t.Errorf("transfer: %v", done)
	}
	servicetest.Refused(t, pay(quote("2500")), 422, "insufficient_funds")
	w.Ledger.Lose(nil, func() bool { return true })
	pending := decode(t, pay(quote("100")), 202)
	if pending["status"] != "pending" {
		t.Errorf("transfer: %v", pending)
	}
	w.Ledger.Lose(nil, nil)
	decode(t, w.send(request{method: "GET", path: "/v1/transfers/" + pending["id"].(string), identity: w.as(from)}), 200)
	servicetest.Refused(t, w.send(request{method: "GET", path: "/v1/transfers/" + pending["id"].(string), identity: w.as(to)}), 404,
		"not_found")
	q := quote("10")
	servicetest.Refused(t, w.send(request{method: "POST", path: "/v1/transfers", body: `{"quote_id":"` + q + `"}`, identity: w.as(from)}), 403,
		"step_up_required")

	var seen []string
	cursor := ""
	for range 4 {
		page := decode(t, w.send(request{method: "GET", path: "/v1/transfers?client_reference=c-1&limit=1" + cursor, identity: w.as(from)}), 200)
		for _, row := range page["data"].([]any) {
			seen = append(seen, row.(map[string]any)["status"].(string))
		}
		next, more := page["next_cursor"].(string)
		if !more {
			break
		}
		cursor = "&cursor=" + next
	}
	if strings.Join(seen, " ") != "pending failed completed" {
		t.Errorf("pages: %v", seen)
	}
	get := func(path string, p testworld.Person) *httptest.ResponseRecorder {
		return w.send(request{method: "GET", path: path + cursor, identity: w.as(p)})
	}
	servicetest.Refused(t, get("/v1/transfers?limit=1", from), 422, "cursor_invalid")
	servicetest.Refused(t, get("/v1/transfers?client_reference=c-2", from), 422, "cursor_invalid")
	servicetest.Refused(t, get("/v1/transfers?client_reference=c-1", to), 422, "cursor_invalid")
	servicetest.Refused(t, get("/v1/topups?limit=1", from), 422, "cursor_invalid")
	rest := decode(t, get("/v1/transfers?client_reference=c-1&limit=50", from), 200)
	if len(rest["data"].([]any)) != 1 || rest["next_cursor"] != nil {
		t.Errorf("with another limit: %v", rest)
	}
}

func TestTopups(t *testing.T) {
	t.Parallel()
	w := setup(t)
	p := w.Person(1, 0)
	body := `{"wallet_id":"` + p.WalletID.String() + `","amount":{"amount":10000,"currency":"KES"},"phone":"+254712345678"}`
	made := decode(t, w.send(request{method: "POST", path: "/v1/topups", body: body, identity: w.as(p)}), 202)
	id := made["id"].(string)
	if made["status"] != "stored" {
		t.Errorf("top-up: %v", made)
	}
	w.RunJobs()
	status := func() string {
		s, _ := decode(t, w.send(request{method: "GET", path: "/v1/topups/" + id, identity: w.as(p)}), 200)["status"].(string)
		return s
	}
	servicetest.Eventually(t, "the prompt is out", func() bool { return status() == "prompted" })
	if got := w.Mpesa.Pushes()[0]["PhoneNumber"]; got != "254712345678" {
		t.Errorf("prompted %s", got)
	}
	hook := "/v1/hooks/st/" + w.Sealer.Token("stk", id) + "/" + id
	provider := w.safaricom()
	for range 3 {
		got := decode(t, w.send(request{method: "POST", path: hook, body: string(testworld.StkSuccess(testworld.CheckoutID(1), "UKN1", 100)),
			identity: provider}), 200)
		if got["ResultCode"] != 0.0 || got["ResultDesc"] != "Accepted" {
			t.Errorf("answer: %v", got)
		}
	}
	servicetest.Eventually(t, "the wallet is credited", func() bool { return status() == "paid" })
	if n := w.Count("SELECT count(*) FROM callbacks"); n != 1 || w.Ledger.Balance(p.WalletID.String()) != 10000 {
		t.Errorf("%d callbacks, balance %d", n, w.Ledger.Balance(p.WalletID.String()))
	}
	if got := decode(t, w.send(request{method: "GET", path: "/v1/topups?limit=1", identity: w.as(p)}), 200); len(got["data"].([]any)) != 1 ||
		got["next_cursor"] != nil {
		t.Errorf("list: %v", got)
	}
	const old = "AZN8XopAfBudfj9rKhwNTg" // of an earlier release
	servicetest.Refused(t, w.send(request{method: "GET", path: "/v1/topups?cursor=" + old, identity: w.as(p)}), 422, "cursor_invalid")
	servicetest.Refused(t, w.send(request{method: "GET", path: "/v1/topups/" + id, identity: w.as(testworld.Person{UserID: uuid.New()})}), 404,
		"not_found")

	c2b := "/v1/hooks/cb/" + w.Sealer.Token("c2b", testworld.ShortCode) + "/"
	paid := string(testworld.C2b("UKN2", made["account_reference"].(string), 50))
	if got := decode(t, w.send(request{method: "POST", path: c2b + "validation", body: paid, identity: provider}),
		200); got["ResultCode"] != "0" {
		t.Errorf("validation: %v", got)
	}
	decode(t, w.send(request{method: "POST", path: c2b + "confirmation", body: paid, identity: provider}), 200)
	servicetest.Eventually(t, "the deposit is credited", func() bool { return w.Ledger.Balance(p.WalletID.String()) == 15000 })
}

// TestFailureDoors opens each way in which the generated server refuses by itself; none shows what was sent.
func TestFailureDoors(t *testing.T) {
	t.Parallel()
	w := setup(t)
	p := w.Person(1, 0)
	secret := "do-not-echo"
	for name, c := range map[string]struct {
		r      request
		status int
		code   string
	}{
		"path_parameter": {request{method: "GET", path: "/v1/wallets/" + secret}, 400, "invalid_request"},
		"query":          {request{method: "GET", path: "/v1/topups?limit=" + secret}, 400, "invalid_request"},
		"body":           {request{method: "POST", path: "/v1/wallets", body: `{"currency":"` + secret}, 400, "invalid_request"},
		"type":           {request{method: "POST", path: "/v1/topups", body: `{"wallet_id":"` + secret + `"}`}, 400, "invalid_request"},
		"too_large": {request{method: "POST", path: "/v1/wallets", body: `{"currency":"` + strings.Repeat("x", 70<<10) + `"}`}, 413,
			"payload_too_large"},
		"use_case": {request{method: "GET", path: "/v1/transfers/" + uuid.NewString()}, 404, "not_found"},
	} {
		c.r.identity = w.as(p)
		rec := w.send(c.r)
		servicetest.Refused(t, rec, c.status, c.code)
		if strings.Contains(rec.Body.String(), secret) {
			t.Errorf("%s echoes the input: %s", name, rec.Body)
		}
	}
	unkeyed := map[string]string{"Idempotency-Key": ""}
	servicetest.Refused(t, w.send(request{method: "POST", path: "/v1/wallets", body: `{"currency":"USD"}`, identity: w.as(p),
		header: unkeyed}),
		400, "invalid_request")

	w.Rebuild(func(d *app.Deps) { d.Pool = unreachable(t) })
	w.mount()
	rec := w.send(request{method: "GET", path: "/v1/wallets", identity: w.as(p)})
	servicetest.Refused(t, rec, 503, "unavailable")
	if rec.Header().Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

// TestHooksTakeWhateverComes: Daraja sends once, so what is not clean JSON, or comes under another media type, is kept and judged all the
// same.
func TestHooksTakeWhateverComes(t *testing.T) {
	t.Parallel()
	w := setup(t)
	p := w.Person(1, 0)
	w.RunJobs()
	hook := "/v1/hooks/cb/" + w.Sealer.Token("c2b", testworld.ShortCode) + "/confirmation"
	account := w.Text("SELECT deposit_account FROM wallets WHERE id = $1", p.WalletID)
	clean := string(testworld.C2b("UKN3", account, 50))
	for name, c := range map[string]struct{ contentType, body, receipt string }{
		"byte order mark": {"application/json", "\xef\xbb\xbf" + clean, "UKN3"},
		"plain text":      {"text/plain", strings.Replace(clean, "UKN3", "UKN4", 1), "UKN4"},
		"no type":         {"", strings.Replace(clean, "UKN3", "UKN5", 1), "UKN5"},
		"octets":          {"application/octet-stream", strings.Replace(clean, "UKN3", "UKN6", 1), "UKN6"},
		"raw line break": {"application/json",
			strings.NewReplacer("UKN3", "UKN7", `"FirstName":"A"`, "\"FirstName\":\"A\nB\\'C\"").Replace(clean), "UKN7"},
		"odd side field": {"application/json", strings.NewReplacer("UKN3", "UKN8", `"MiddleName":""`, `"MiddleName":{}`).Replace(clean), "UKN8"},
		"hyphens": {"application/json",
			strings.NewReplacer("UKN3", "UKN9", account, account[:4]+"-"+strings.ToLower(account[4:])+".").Replace(clean), "UKN9"},
	} {
		rec := w.send(request{method: "POST", path: hook, body: c.body, identity: w.safaricom(),
			header: map[string]string{"Content-Type": c.contentType}})
		if rec.Code != 200 {
			t.Fatalf("%s: %d %s", name, rec.Code, rec.Body)
		}
		servicetest.Eventually(t, name+" is credited", func() bool {
			return w.Count("SELECT count(*) FROM deposits WHERE receipt = $1 AND wallet_id = $2 AND credit = 'wallet'", c.receipt, p.WalletID) == 1
		})
	}
	rec := w.send(request{method: "POST", path: hook, body: clean[:40], identity: w.safaricom()})
	if rec.Code != 200 {
		t.Fatalf("cut off: %d %s", rec.Code, rec.Body)
	}
	servicetest.Eventually(t, "the cut-off message is a case",
		func() bool { return w.Count("SELECT count(*) FROM cases WHERE kind = 'unreadable'") == 1 })
}

// TestReservationsAndPrices is what another service asks of limits and prices.
func TestReservationsAndPrices(t *testing.T) {
	t.Parallel()
	w := setup(t)
	p := w.Person(1, 0)
	banking := w.identity("service:banking", "limits:reserve prices:read", nil)
	path := "/v1/internal/limit-reservations/" + uuid.NewString()
	body := func(minor, kind string) string {
		return `{"user_id":"` + p.UserID.String() + `","kind":"` + kind + `","amount":{"amount":` + minor + `,"currency":"KES"}}`
	}
	put := func(path, body string) *httptest.ResponseRecorder {
		return w.send(request{method: "PUT", path: path, body: body, identity: banking})
	}
	post := func(path, body string) *httptest.ResponseRecorder {
		return w.send(request{method: "POST", path: path, body: body, identity: banking})
	}
	for _, status := range []int{201, 200} {
		if got := decode(t, put(path, body("100", "withdrawal")), status); got["status"] != "reserved" || got["kind"] != "withdrawal" ||
			got["user_id"] != p.UserID.String() || path[len(path)-36:] != got["reservation_id"] {
			t.Errorf("reservation: %v", got)
		}
	}
	servicetest.Refused(t, put(path, body("101", "withdrawal")), 422, "reservation_differs")
	servicetest.Refused(t, put(path, body("100", "gift")), 400, "invalid_request")
	refused := "/v1/internal/limit-reservations/" + uuid.NewString()
	for range 2 {
		servicetest.Refused(t, put(refused, body("7000001", "withdrawal")), 422, "limit_per_transaction")
	}
	servicetest.Refused(t, post(refused+"/commitment", ""), 409, "reservation_refused")
	if got := decode(t, post(path+"/commitment", ""), 200); got["status"] != "committed" {
		t.Errorf("commitment: %v", got)
	}
	servicetest.Refused(t, post(path+"/release", ""), 409, "reservation_committed")
	if rec := post(refused+"/release", ""); rec.Code != 204 {
		t.Errorf("release: %d", rec.Code)
	}
	servicetest.Refused(t, post("/v1/internal/limit-reservations/"+uuid.NewString()+"/commitment", ""), 404, "not_found")
	price := `{"country":"KE","kind":"transfer","tier":1,"amount":{"amount":100000,"currency":"KES"}}`
	got := decode(t, post("/v1/internal/prices", price), 200)
	if got["fee"].(map[string]any)["amount"] != 1300.0 || got["excise"].(map[string]any)["amount"] != 195.0 || got["tariff_version"] != "1.1" {
		t.Errorf("price: %v", got)
	}
	servicetest.Refused(t, post("/v1/internal/prices", strings.Replace(price, "transfer", "cash_out", 1)), 422, "no_price")
}

// TestRules is how two people of finance change a price, seen from outside.
func TestRules(t *testing.T) {
	t.Parallel()
	w := setup(t)
	finance := func() string {
		return w.identity("user:"+uuid.NewString(), "profile totp admin:tariffs admin:tariffs:approve", nil)
	}
	maker, checker := finance(), finance()
	send := func(method, path, body, who string) *httptest.ResponseRecorder {
		return w.send(request{method: method, path: path, body: body, identity: who})
	}
	begins := w.Now().Add(time.Hour).Format(time.RFC3339)
	tariff := `{"country":"KE","kind":"cash_out","currency":"KES","tier":2,"excise_included":true,"effective_from":"` + begins + `",
		"bands":[{"from_minor":1,"up_to_minor":25000000,"fee_minor":100}],"reason":"Agreed."}`
	servicetest.Refused(t, send("POST", "/v1/wallet/tariffs", strings.Replace(tariff, `"from_minor":1`, `"from_minor":2`, 1), maker), 422,
		"tariff_bands")
	servicetest.Refused(t, send("POST", "/v1/wallet/tariffs", strings.Replace(tariff, `"tier":2`, `"tier":1`, 1), maker), 422,
		"tariff_beyond_limits")
	proposed := map[string]map[string]any{}
	for path, body := range map[string]string{"tariffs": tariff,
		"taxes": `{"country":"KE","tax":"excise","rate_ppm":1,"effective_from":"` + begins + `","reason":"Law."}`,
		"limits": `{"country":"KE","tier":1,"kind":"savings","currency":"KES","per_transaction_minor":1,"per_day_minor":2,"per_month_minor":3,
			"effective_from":"` + begins + `","reason":"Agreed."}`} {
		proposed[path] = decode(t, send("POST", "/v1/wallet/"+path, body, maker), 201)
		servicetest.Refused(t, send("POST", "/v1/wallet/"+path, body, maker), 409, "approval_waiting")
	}
	list := decode(t, send("GET", "/v1/wallet/approvals?state=open&limit=2", "", checker), 200)
	if len(list["data"].([]any)) != 2 || list["next_cursor"] == nil {
		t.Errorf("waiting: %v", list)
	}
	decision := func(a map[string]any, what, body, who string) *httptest.ResponseRecorder {
		return send("POST", "/v1/wallet/approvals/"+a["approval_id"].(string)+"/"+what, body, who)
	}
	digest := func(a map[string]any) string { return `{"digest":"` + a["digest"].(string) + `"}` }
	servicetest.Refused(t, decision(proposed["tariffs"], "approval", digest(proposed["taxes"]), checker), 409, "approval_changed")
	servicetest.Refused(t, decision(proposed["tariffs"], "approval", digest(proposed["tariffs"]), maker), 403, "approval_same_person")
	for _, path := range []string{"tariffs", "limits"} {
		if got := decode(t, decision(proposed[path], "approval", digest(proposed[path]), checker), 200); got["state"] != "approved" {
			t.Errorf("%s: %v", path, got)
		}
	}
	if got := decode(t, decision(proposed["taxes"], "rejection", `{"reason":"Not yet."}`, checker), 200); got["state"] != "rejected" {
		t.Errorf("rejected: %v", got)
	}
	rules := decode(t, send("GET", "/v1/wallet/rules?country=KE", "", maker), 200)
	last := func(of string) map[string]any { return rules[of].([]any)[len(rules[of].([]any))-1].(map[string]any) }
	if got := last("tariffs"); got["kind"] != "cash_out" || got["tier"] != 2.0 || got["effective_from"] != begins || got["tariff_id"] != 1e6 {
		t.Errorf("tariff: %v", got)
	}
	if got := last("taxes"); got["rate_ppm"] != 150000.0 {
		t.Errorf("tax: %v", got)
	}
	if got := last("limits"); got["kind"] != "savings" || got["per_month_minor"] != 3.0 || got["effective_from"] != begins {
		t.Errorf("limit: %v", got)
	}
}
