package paystack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	key       = "sk_test_example_key"
	depositID = "0197a1b2-0000-7000-8000-000000000001"
)

// peer is a scripted Paystack.
type peer struct {
	mu     sync.Mutex
	calls  []string
	bodies []map[string]any
	auth   []string
}

func setup(t *testing.T, answer http.HandlerFunc, change func(*Config)) (*peer, *Client) {
	t.Helper()
	p := &peer{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		var body map[string]any
		_ = json.Unmarshal(raw, &body)
		p.mu.Lock()
		p.calls = append(p.calls, r.Method+" "+r.URL.RequestURI())
		p.bodies = append(p.bodies, body)
		p.auth = append(p.auth, r.Header.Get("Authorization"))
		p.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	cfg := Config{BaseURL: server.URL + "/", SecretKey: key}
	if change != nil {
		change(&cfg)
	}
	return p, New(cfg)
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func data(body string) string { return `{"status":true,"message":"ok","data":` + body + `}` }

var (
	goodPage      = InitializeRequest{Email: "d@deposits.example", AmountMinor: 150_00, Reference: depositID, Channels: []string{Card}}
	goodCharge    = ChargeRequest{Email: "d@deposits.example", AmountMinor: 150_00, Reference: depositID, Phone: "+254712345678"}
	goodRefund    = RefundRequest{Transaction: depositID, AmountMinor: 150_00, MerchantNote: "r-1"}
	goodRecipient = RecipientRequest{Type: KEPSS, Name: "Jane Doe", AccountNumber: "0123456789", BankCode: "68"}
	goodTransfer  = TransferRequest{Reference: depositID, Recipient: "RCP_1", AmountMinor: 150_00, Reason: "Withdrawal"}
)

func moves(c *Client) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"initialize": func(ctx context.Context) error { _, err := c.Initialize(ctx, goodPage); return err },
		"charge":     func(ctx context.Context) error { _, err := c.ChargeMobileMoney(ctx, goodCharge); return err },
		"refund":     func(ctx context.Context) error { _, err := c.Refund(ctx, goodRefund); return err },
		"recipient":  func(ctx context.Context) error { _, err := c.CreateRecipient(ctx, goodRecipient); return err },
		"transfer":   func(ctx context.Context) error { _, err := c.Transfer(ctx, goodTransfer); return err },
	}
}

func TestReferenceFitsBothAlphabets(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{depositID: true, "0123456789abcdef": true, strings.Repeat("a", 50): true, "": false,
		"0123456789abcde": false, strings.Repeat("a", 51): false, strings.ToUpper(depositID): false, "0123456789abcdef_": false,
		"0123456789abcdef.": false, "0123456789abcdef=": false, "0123456789abcdef/x": false, "0123456789abcdef\n": false} {
		if ValidReference(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
}

func TestDomain(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{"sk_test_x": Test, "sk_live_x": Live, "pk_live_x": "", "": ""} {
		if Domain(s) != want {
			t.Errorf("%s: %s", s, Domain(s))
		}
	}
}

// TestMeaningOfAnswers is what each answer proves, for every operation that changes something.
func TestMeaningOfAnswers(t *testing.T) {
	t.Parallel()
	const dup = `{"status":false,"message":"Duplicate Transaction Reference","type":"validation_error","code":"duplicate_reference"}`
	for name, c := range map[string]struct {
		status                    int
		body                      string
		definite, busy, duplicate bool
	}{
		"validation": {400, `{"status":false,"message":"Email is required","type":"validation_error","code":"missing_params"}`, true,
			false, false},
		"untyped":     {400, `{"status":false,"message":"no"}`, true, false, false},
		"invalid key": {401, `{"status":false,"message":"Invalid key"}`, true, false, false},
		"duplicate":   {400, dup, false, false, true},
		"duplicate by text": {400, `{"status":false,"message":"Please provide a unique reference. Reference already exists on a transfer"}`,
			false, false, true},
		"duplicate in a 500":  {500, dup, false, false, false},
		"processor":           {400, `{"status":false,"message":"Declined","type":"processor_error"}`, false, false, false},
		"their own error":     {400, `{"status":false,"message":"Oops","type":"api_error"}`, false, false, false},
		"somebody in between": {403, `<html>`, false, false, false},
		"status true, 400":    {400, data(`{}`), false, false, false},
		"throttled":           {429, `<html>`, true, true, false},
		"request time-out":    {408, `{"status":false,"message":"x"}`, false, false, false},
		"conflict":            {409, `{"status":false,"message":"x"}`, false, false, false},
		"internal":            {500, `{"status":false,"message":"x","type":"validation_error"}`, false, false, false},
		"maintenance":         {503, ``, false, false, false},
		"200 with false":      {200, `{"status":false,"message":"x","type":"validation_error"}`, false, false, false},
		"200 without status":  {200, `{}`, false, false, false},
		"200 nonsense":        {200, `<html>`, false, false, false},
		"200 without data":    {200, `{"status":true}`, false, false, false},
		"redirect":            {307, `{"status":false}`, false, false, false},
	} {
		_, client := setup(t, says(c.status, c.body), nil)
		for operation, call := range moves(client) {
			err := call(t.Context())
			if err == nil || Definite(err) != c.definite || Busy(err) != c.busy || Duplicate(err) != c.duplicate {
				t.Errorf("%s: %s: %v: definite %v busy %v duplicate %v", name, operation, err, Definite(err), Busy(err), Duplicate(err))
			}
		}
	}
}

func TestBrokenConnections(t *testing.T) {
	t.Parallel()
	_, client := setup(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, nil)
	for operation, call := range moves(client) {
		if err := call(t.Context()); err == nil || Definite(err) || Busy(err) {
			t.Errorf("%s: %v", operation, err)
		}
	}
	for operation, call := range moves(New(Config{BaseURL: "http://127.0.0.1:1", SecretKey: key})) {
		if err := call(t.Context()); !Definite(err) || !Busy(err) {
			t.Errorf("%s: %v", operation, err)
		}
	}
}

func TestMoreMeanings(t *testing.T) {
	t.Parallel()
	ask := func(status int, body string) error {
		_, c := setup(t, says(status, body), nil)
		_, err := c.Verify(t.Context(), depositID)
		return err
	}
	for name, err := range map[string]error{
		"404":       ask(404, `{"status":false,"message":"Entity not found"}`),
		"400":       ask(400, `{"status":false,"message":"Transaction reference not found.","code":"transaction_not_found"}`),
		"400, text": ask(400, `{"status":false,"message":"Transfer not found"}`),
	} {
		if !NotFound(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, err := range map[string]error{"page": ask(404, `<html>`), "500": ask(500, `{"status":false,"message":"not found"}`),
		"own": invalid("x")} {
		if NotFound(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := ask(401, `{"status":false,"message":"Invalid key"}`); !Unauthorized(err) {
		t.Error(err)
	}
	for body, want := range map[string]bool{
		`{"status":false,"message":"Your balance is not enough to fulfil this request"}`:         true,
		`{"status":false,"message":"x","type":"validation_error","code":"insufficient_balance"}`: true,
		`{"status":false,"message":"x","type":"processor_error","code":"insufficient_funds"}`:    false,
		`{"status":false,"message":"no"}`: false,
	} {
		if err := ask(400, body); InsufficientBalance(err) != want {
			t.Errorf("%s: %v", body, err)
		}
	}
	err := ask(400, `{"status":false,"message":"account 0123456789 of +254712345678"}`)
	if strings.Contains(err.Error(), "3456") || strings.Contains(err.Error(), key) {
		t.Error(err)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{"": 0, "30": 30 * time.Second, "-1": 0, "soon": 0, "999999999999": 0, "86400": time.Hour,
		now.Add(time.Minute).Format(http.TimeFormat): time.Minute, now.Add(-time.Minute).Format(http.TimeFormat): 0} {
		_, c := setup(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", text)
			w.WriteHeader(http.StatusTooManyRequests)
		}, func(c *Config) { c.Now = func() time.Time { return now } })
		var e *Error
		if _, err := c.Balances(t.Context()); !errors.As(err, &e) || e.RetryAfter != want && text != "999999999999" {
			t.Errorf("%q: %v", text, e.RetryAfter)
		}
	}
}

// TestBadInputStaysHere checks that what Paystack would refuse, or would understand otherwise, is never sent.
func TestBadInputStaysHere(t *testing.T) {
	t.Parallel()
	p, c := setup(t, says(200, data(`{}`)), nil)
	ctx := t.Context()
	try := map[string]func() error{}
	page := func(name string, change func(*InitializeRequest)) {
		r := goodPage
		change(&r)
		try["page "+name] = func() error { _, err := c.Initialize(ctx, r); return err }
	}
	page("e-mail", func(r *InitializeRequest) { r.Email = "nobody" })
	page("amount", func(r *InitializeRequest) { r.AmountMinor = MinTransactionMinor - 1 })
	page("negative", func(r *InitializeRequest) { r.AmountMinor, r.Currency = -1, "USD" })
	page("huge", func(r *InitializeRequest) { r.AmountMinor = 1 << 53 })
	page("currency", func(r *InitializeRequest) { r.Currency = "kes" })
	page("reference", func(r *InitializeRequest) { r.Reference = "short" })
	page("callback", func(r *InitializeRequest) { r.CallbackURL = "/x" })
	charge := goodCharge
	charge.Phone = "0712345678"
	try["charge phone"] = func() error { _, err := c.ChargeMobileMoney(ctx, charge); return err }
	provider := goodCharge
	provider.Provider = "mtn"
	try["charge provider"] = func() error { _, err := c.ChargeMobileMoney(ctx, provider); return err }
	for name, change := range map[string]func(*TransferRequest){"reference": func(r *TransferRequest) {
		r.Reference = strings.ToUpper(
			depositID)
	},
		"recipient": func(r *TransferRequest) { r.Recipient = "x" }, "zero": func(r *TransferRequest) { r.AmountMinor = 0 },
		"currency": func(r *TransferRequest) { r.Currency = "shilling" },
		"reason":   func(r *TransferRequest) { r.Reason = strings.Repeat("x", 101) }} {
		r := goodTransfer
		change(&r)
		try["transfer "+name] = func() error { _, err := c.Transfer(ctx, r); return err }
	}
	for name, change := range map[string]func(*RecipientRequest){"type": func(r *RecipientRequest) { r.Type = "nuban" },
		"name": func(r *RecipientRequest) { r.Name = " " }, "account": func(r *RecipientRequest) { r.AccountNumber = "1 2" },
		"bank": func(r *RecipientRequest) { r.BankCode = "" }} {
		r := goodRecipient
		change(&r)
		try["recipient "+name] = func() error { _, err := c.CreateRecipient(ctx, r); return err }
	}
	refund := goodRefund
	refund.AmountMinor = 0 // would be all of it
	try["refund"] = func() error { _, err := c.Refund(ctx, refund); return err }
	try["refund id"] = func() error { _, err := c.GetRefund(ctx, "../balance"); return err }
	try["refunds"] = func() error { _, err := c.ListRefunds(ctx, "", time.Time{}); return err }
	try["verify"] = func() error { _, err := c.Verify(ctx, "a/../../balance-xxxxx"); return err }
	try["transfer verify"] = func() error { _, err := c.VerifyTransfer(ctx, ""); return err }
	try["charge state"] = func() error { _, err := c.GetCharge(ctx, ""); return err }
	try["resolve"] = func() error { _, err := c.ResolveAccount(ctx, "68", "12 3"); return err }
	for name, call := range try {
		var e *Error
		if err := call(); !errors.As(err, &e) || e.Code != "invalid_request" || !Definite(err) || Busy(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(p.calls) != 0 {
		t.Errorf("sent %v", p.calls)
	}
}

// TestForeignAnswers checks that an answer about something else is none.
func TestForeignAnswers(t *testing.T) {
	t.Parallel()
	const other = "0197a1b2-0000-7000-8000-000000000002"
	transfer := `{"id":1,"transfer_code":"TRF_1","reference":%q,"status":"success","amount":%d,"currency":%q,"domain":"test"}`
	refund := `{"id":1,"status":"pending","amount":%d,"currency":"KES","transaction":{"id":7,"reference":%q}}`
	recipient := `{"recipient_code":"RCP_1","type":"kepss","currency":"KES","details":{"account_number":%q,"bank_code":%q}}`
	page := `{"authorization_url":%q,"access_code":"x","reference":%q}`
	for name, c := range map[string]struct {
		operation, body string
		fine            bool
	}{
		"transfer":             {"transfer", fmt.Sprintf(transfer, depositID, 15000, "KES"), true},
		"other transfer":       {"transfer", fmt.Sprintf(transfer, other, 15000, "KES"), false},
		"other amount":         {"transfer", fmt.Sprintf(transfer, depositID, 15001, "KES"), false},
		"other currency":       {"transfer", fmt.Sprintf(transfer, depositID, 15000, "NGN"), false},
		"refund":               {"refund", fmt.Sprintf(refund, 15000, depositID), true},
		"other refund":         {"refund", fmt.Sprintf(refund, 15000, other), false},
		"other refund amount":  {"refund", fmt.Sprintf(refund, 1, depositID), false},
		"recipient":            {"recipient", fmt.Sprintf(recipient, "0123456789", "68"), true},
		"other account":        {"recipient", fmt.Sprintf(recipient, "0123456780", "68"), false},
		"other bank":           {"recipient", fmt.Sprintf(recipient, "0123456789", "01"), false},
		"page":                 {"initialize", fmt.Sprintf(page, "https://checkout.paystack.com/x", depositID), true},
		"other payment's page": {"initialize", fmt.Sprintf(page, "https://checkout.paystack.com/x", other), false},
		"no address":           {"initialize", fmt.Sprintf(page, "javascript:alert(1)", depositID), false},
		"user in the address":  {"initialize", fmt.Sprintf(page, "https://paystack.com@evil.test/x", depositID), false},
		"charge":               {"charge", `{"reference":"` + depositID + `","status":"pay_offline"}`, true},
		"other charge":         {"charge", `{"reference":"` + other + `","status":"pay_offline"}`, false},
		"charge in no state":   {"charge", `{"reference":"` + depositID + `"}`, false},
	} {
		_, client := setup(t, says(200, data(c.body)), nil)
		if err := moves(client)[c.operation](t.Context()); (err == nil) != c.fine || Definite(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRequests(t *testing.T) {
	t.Parallel()
	p, c := setup(t, says(200, data(`{}`)), nil)
	_, _ = c.Transfer(t.Context(), goodTransfer)
	_, _ = c.Initialize(t.Context(), goodPage)
	_, _ = c.ChargeMobileMoney(t.Context(), goodCharge)
	_, _ = c.CreateRecipient(t.Context(), goodRecipient)
	_, _ = c.ResolveAccount(t.Context(), "68", "0123456789")
	for i, want := range []string{
		`map[amount:15000 currency:KES reason:Withdrawal recipient:RCP_1 reference:` + depositID + ` source:balance]`,
		`map[amount:15000 channels:[card] currency:KES email:d@deposits.example reference:` + depositID + `]`,
		`map[amount:15000 currency:KES email:d@deposits.example mobile_money:map[phone:+254712345678 provider:mpesa] reference:` + depositID +
			`]`,
		`map[account_number:0123456789 bank_code:68 currency:KES name:Jane Doe type:kepss]`,
	} {
		if got := fmt.Sprint(p.bodies[i]); got != want || p.auth[i] != "Bearer "+key {
			t.Errorf("%s: %s", p.calls[i], got)
		}
	}
	if p.calls[4] != "GET /bank/resolve?account_number=0123456789&bank_code=68" {
		t.Error(p.calls[4])
	}
}

func TestListRefundsReadsAllPages(t *testing.T) {
	t.Parallel()
	item := func(n int, transaction uint64) string {
		return fmt.Sprintf(`{"id":%d,"transaction":%d,"transaction_reference":"x","status":"pending","amount":"100","currency":"KES"}`, n,
			transaction)
	}
	const big = 18446744073709551615
	p, c := setup(t, func(w http.ResponseWriter, r *http.Request) {
		var items []string
		if r.URL.Query().Get("page") == "1" {
			for i := range refundsPerPage {
				items = append(items, item(i, 5)) // a list that ignores the filter
			}
		} else {
			items = append(items, item(900, big))
		}
		_, _ = io.WriteString(w, data("["+strings.Join(items, ",")+"]"))
	}, nil)
	got, err := c.ListRefunds(t.Context(), "18446744073709551615", time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC))
	if err != nil || len(got) != 1 || got[0].ID != "900" || got[0].AmountMinor != 100 || len(p.calls) != 2 ||
		!strings.Contains(p.calls[0], "from=2026-11-20T10%3A00%3A00Z") {
		t.Errorf("%+v, %v, %v", got, err, p.calls)
	}
	_, endless := setup(t, says(200, data("["+strings.Repeat(item(1, 5)+",", refundsPerPage-1)+item(1, 5)+"]")), nil)
	if got, err := endless.ListRefunds(t.Context(), "6", time.Time{}); err == nil {
		t.Errorf("%+v", got)
	}
}

func TestBreakerPerOperation(t *testing.T) {
	t.Parallel()
	p, c := setup(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/transfer" {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_, _ = io.WriteString(w, data(`[{"currency":"KES","balance":-5}]`))
	}, nil)
	for range breakerCalls {
		_, _ = c.Transfer(t.Context(), goodTransfer)
	}
	if _, err := c.Transfer(t.Context(), goodTransfer); !errors.Is(err, errOpen) || !Definite(err) || !Busy(err) {
		t.Errorf("%v", err)
	}
	if len(p.calls) != breakerCalls {
		t.Errorf("%d calls", len(p.calls))
	}
	if got, err := c.Balances(t.Context()); err != nil || len(got) != 1 || got[0] != (Balance{"KES", -5}) {
		t.Errorf("%+v, %v", got, err)
	}
	_, refusing := setup(t, says(400, `{"status":false,"message":"no"}`), nil)
	for range 2 * breakerCalls {
		if _, err := refusing.Transfer(t.Context(), goodTransfer); errors.Is(err, errOpen) {
			t.Fatal("refusals opened the breaker")
		}
	}
}

func TestRateIsKept(t *testing.T) {
	t.Parallel()
	_, c := setup(t, says(200, data(`[]`)), func(c *Config) { c.PerSecond = 1 })
	if _, err := c.Balances(t.Context()); err != nil {
		t.Fatal(err)
	}
	var late atomic.Int64
	var wg sync.WaitGroup
	ctx, hangUp := context.WithCancel(t.Context())
	for range 100 { // most of them would wait longer than anybody may
		wg.Go(func() {
			if _, err := c.Balances(ctx); errors.Is(err, errRate) && ctx.Err() == nil {
				late.Add(1)
				hangUp()
				if !Definite(err) || !Busy(err) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	hangUp()
	if late.Load() == 0 {
		t.Error("nobody was refused")
	}
}
