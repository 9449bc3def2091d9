package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sendtip/sendtip/providers/daraja"
	"github.com/sendtip/sendtip/sandbox/control"
)

func TestManualPrompt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer  control.Answer
		code    string
		outcome daraja.Outcome
	}{
		"right PIN": {control.Answer{Action: "pay", PIN: "1234"}, "0", daraja.Paid},
		"wrong PIN": {control.Answer{Action: "pay", PIN: "4321"}, "2001", daraja.Failed},
		"cancel":    {control.Answer{Action: "cancel"}, "1032", daraja.Failed},
		"expire":    {control.Answer{Action: "expire"}, "1037", daraja.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, nil)
			accepted := b.push(t)
			if got := b.query(t, accepted.CheckoutRequestID); got.Outcome != daraja.Pending || got.ResultCode != "4999" {
				t.Errorf("while open: %+v", got)
			}
			prompt, err := b.control.WaitPrompt(limit(t), phone)
			if err != nil || prompt.AmountMinor != 1500_00 || prompt.AccountReference != "TOPUP0000001" ||
				prompt.CheckoutRequestID != accepted.CheckoutRequestID {
				t.Fatalf("prompt = %+v, %v", prompt, err)
			}
			result, err := b.control.Answer(limit(t), phone, c.answer)
			if err != nil || result.ResultCode != c.code {
				t.Fatalf("answer = %+v, %v", result, err)
			}
			cb := b.nextSTK(t)
			if cb.CheckoutRequestID != accepted.CheckoutRequestID || cb.MerchantRequestID != accepted.MerchantRequestID || cb.ResultCode != c.code ||
				cb.Outcome != c.outcome || cb.Receipt != result.Receipt {
				t.Errorf("callback = %+v", cb)
			}
			if got := b.query(t, accepted.CheckoutRequestID); got.ResultCode != c.code || got.Outcome != c.outcome {
				t.Errorf("query = %+v", got)
			}
			if p, err := b.control.Prompt(limit(t), phone); err != nil || p != nil {
				t.Errorf("prompt after the answer: %+v, %v", p, err)
			}
			if _, err := b.control.Pay(limit(t), phone, "1234"); err == nil {
				t.Error("a closed prompt was answered")
			}
		})
	}
}

func TestPaidPrompt(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 22, 30, 0, 0, time.UTC) // already the 21st in Nairobi
	b := setup(t, func(c *Config) { c.Now = func() time.Time { return now }; c.TokenLife = time.Hour })
	b.mpesa = daraja.New(daraja.Config{BaseURL: b.url, ConsumerKey: DefaultConsumerKey, ConsumerSecret: DefaultConsumerSecret,
		ShortCode: DefaultShortCode, Passkey: DefaultPasskey, Now: func() time.Time { return now }})
	b.script(t, control.Script{STK: "pay"})
	accepted := b.push(t)
	if !regexp.MustCompile(`^ws_CO_21112026013000\d{3}712345678$`).MatchString(accepted.CheckoutRequestID) {
		t.Errorf("checkout id %s", accepted.CheckoutRequestID)
	}
	r := b.next(t)
	if r.header["Businessshortcode"][0] != "174379" || r.header.Get("Content-Type") != "application/json;charset=UTF-8" {
		t.Errorf("headers %v", r.header)
	}
	for _, part := range []string{`"ResultCode":0`, `{"Name":"Amount","Value":1500.00}`, `{"Name":"Balance"}`, `"Value":20261121013000`,
		`"Value":254712345678`} {
		if !strings.Contains(string(r.body), part) {
			t.Errorf("no %s in %s", part, r.body)
		}
	}
	cb, err := daraja.ParseSTKCallback(r.body)
	if err != nil || cb.AmountMinor != 1500_00 || !cb.PaidAt.Equal(now) || cb.Phone != phone ||
		!regexp.MustCompile(`^UKL[0-9A-Z]{7}$`).MatchString(cb.Receipt) {
		t.Errorf("callback = %+v, %v", cb, err)
	}
	statement, err := b.control.Statement(limit(t))
	want := control.Entry{Receipt: cb.Receipt, Kind: "stk", ShortCode: "174379", Msisdn: phone, AccountReference: "TOPUP0000001",
		AmountMinor: 1500_00, CheckoutRequestID: accepted.CheckoutRequestID, At: now}
	if err != nil || statement.Count != 1 || statement.TotalMinor != 1500_00 || statement.Data[0] != want {
		t.Errorf("statement = %+v, %v", statement, err)
	}
	sms, err := b.control.WaitSMS(limit(t), phone, func(m control.Message) bool { return strings.HasPrefix(m.Text, cb.Receipt+" Confirmed") })
	if err != nil || sms.From != "MPESA" || !strings.Contains(sms.Text, "Ksh98500.00") {
		t.Errorf("sms = %+v, %v", sms, err)
	}
	if p, err := b.control.Phone(limit(t), phone); err != nil || p.BalanceMinor != 98_500_00 {
		t.Errorf("phone = %+v, %v", p, err)
	}
}

func TestScriptedResults(t *testing.T) {
	t.Parallel()
	for script, code := range map[string]string{
		"pay": "0", "cancel": "1032", "expire": "1037", "wrong_pin": "2001", "insufficient": "1", "code:17": "17", "code:26": "26",
		"code:1001": "1001",
		"code:1019": "1019", "code:1025": "1025", "code:8006": "8006", "code:9999": "9999", "code:SFC_IC0003": "SFC_IC0003",
		"code:31337": "31337",
	} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			b := setup(t, nil)
			b.script(t, control.Script{STK: script})
			accepted := b.push(t)
			if cb := b.nextSTK(t); cb.ResultCode != code || cb.Outcome != daraja.ClassifySTK(code) || (cb.Receipt != "") != (code == "0") {
				t.Errorf("callback = %+v", cb)
			}
			if got := b.query(t, accepted.CheckoutRequestID); got.ResultCode != code {
				t.Errorf("query = %+v", got)
			}
			if s, err := b.control.Statement(limit(t)); err != nil || (s.Count == 1) != (code == "0") {
				t.Errorf("statement = %+v, %v", s, err)
			}
		})
	}
}

func TestPromptExpiresByItself(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.PromptTimeout = 20 * time.Millisecond })
	accepted := b.push(t)
	if cb := b.nextSTK(t); cb.ResultCode != "1037" || cb.ResultDesc != "No response from user." {
		t.Errorf("callback = %+v", cb)
	}
	if got := b.query(t, accepted.CheckoutRequestID); got.ResultDesc != "DS timeout user cannot be reached." {
		t.Errorf("query = %+v", got)
	}
}

func TestLateSuccess(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.script(t, control.Script{STK: "expire_then_pay"})
	accepted := b.push(t)
	if cb := b.nextSTK(t); cb.ResultCode != "1037" {
		t.Errorf("first = %+v", cb)
	}
	if cb := b.nextSTK(t); cb.ResultCode != "0" || cb.CheckoutRequestID != accepted.CheckoutRequestID || cb.AmountMinor != 1500_00 {
		t.Errorf("second = %+v", cb)
	}
	if got := b.query(t, accepted.CheckoutRequestID); got.Outcome != daraja.Paid {
		t.Errorf("query = %+v", got)
	}
}

func TestInsufficientBalance(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.script(t, control.Script{STK: "pay"})
	if err := b.control.SetBalance(limit(t), phone, 1499_99); err != nil {
		t.Fatal(err)
	}
	b.push(t)
	if cb := b.nextSTK(t); cb.ResultCode != "1" {
		t.Errorf("one cent short: %+v", cb)
	}
	if err := b.control.SetBalance(limit(t), phone, 1500_00); err != nil {
		t.Fatal(err)
	}
	b.push(t)
	if cb := b.nextSTK(t); cb.ResultCode != "0" {
		t.Errorf("just enough: %+v", cb)
	}
	if p, err := b.control.Phone(limit(t), phone); err != nil || p.BalanceMinor != 0 {
		t.Errorf("phone = %+v, %v", p, err)
	}
}

func TestSubscriberIsLocked(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.push(t)
	_, err := b.pushTo(t, phone)
	var e *daraja.Error
	if !errors.As(err, &e) || e.Code != "500.001.1001" || !e.Definite() || !e.Busy() {
		t.Errorf("second push: %v", err)
	}
	if _, err := b.pushTo(t, "+254799000111"); err != nil {
		t.Errorf("another phone: %v", err)
	}
	if _, err := b.control.Cancel(limit(t), phone); err != nil {
		t.Fatal(err)
	}
	b.push(t)
}

func TestSynchronousMisbehaviour(t *testing.T) {
	t.Parallel()
	for mode, c := range map[string]struct{ prompted, definite bool }{
		"busy": {false, true}, "lock": {false, true}, "error": {true, false}, "lose": {true, false},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			b := setup(t, nil)
			b.script(t, control.Script{STKAnswer: mode})
			_, err := b.pushTo(t, phone)
			if err == nil || daraja.Definite(err) != c.definite {
				t.Fatalf("push: %v", err)
			}
			prompt, err := b.control.Prompt(limit(t), phone)
			if err != nil || (prompt != nil) != c.prompted {
				t.Errorf("prompt = %+v, %v", prompt, err)
			}
		})
	}
}

func TestQueryMisbehaviour(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.script(t, control.Script{STK: "pay"})
	accepted := b.push(t)
	b.nextSTK(t)
	for _, mode := range []string{"busy", "busy200"} {
		b.script(t, control.Script{Query: mode})
		if got := b.query(t, accepted.CheckoutRequestID); got.Outcome != daraja.Pending || got.ResultCode != "500.001.1001" {
			t.Errorf("%s: %+v", mode, got)
		}
	}
	b.script(t, control.Script{Query: "flaky"})
	first, second := b.query(t, accepted.CheckoutRequestID), b.query(t, accepted.CheckoutRequestID)
	if first.Outcome == second.Outcome || (first.Outcome != daraja.Paid && second.Outcome != daraja.Paid) {
		t.Errorf("flaky: %+v, %+v", first, second)
	}
	b.script(t, control.Script{Query: "lose"})
	if got, err := b.mpesa.STKQuery(limit(t), accepted.CheckoutRequestID); err == nil {
		t.Errorf("lose: %+v", got)
	}
	b.script(t, control.Script{})
	if got := b.query(t, accepted.CheckoutRequestID); got.Outcome != daraja.Paid {
		t.Errorf("normal again: %+v", got)
	}
	if err := b.control.QueueScript(limit(t), phone, control.Script{Query: "busy"}); err != nil {
		t.Fatal(err)
	}
	if got := b.query(t, b.push(t).CheckoutRequestID); got.Outcome != daraja.Pending || got.ResultCode != "500.001.1001" {
		t.Errorf("queued: %+v", got)
	}
	if got := b.query(t, accepted.CheckoutRequestID); got.Outcome != daraja.Paid {
		t.Errorf("not queued: %+v", got)
	}
	if got := b.query(t, "ws_CO_unknown"); got.Outcome != daraja.Pending || got.ResultDesc != "The transaction does not Exist" {
		t.Errorf("unknown: %+v", got)
	}
}

func TestCallbackScripts(t *testing.T) {
	t.Parallel()
	no := control.Bool(false)
	t.Run("lose", func(t *testing.T) {
		t.Parallel()
		b := setup(t, nil)
		b.script(t, control.Script{STK: "pay", Callback: "lose", C2B: no})
		b.register(t)
		accepted := b.push(t)
		d, err := b.control.WaitDelivery(limit(t), func(d control.Delivery) bool { return d.ID == accepted.CheckoutRequestID })
		if err != nil || !d.Lost {
			t.Errorf("delivery = %+v, %v", d, err)
		}
		b.none(t)
		if got := b.query(t, accepted.CheckoutRequestID); got.Outcome != daraja.Paid {
			t.Errorf("query = %+v", got)
		}
	})
	t.Run("duplicate", func(t *testing.T) {
		t.Parallel()
		b := setup(t, nil)
		b.script(t, control.Script{STK: "pay", Callback: "duplicate"})
		b.push(t)
		first := b.nextSTK(t)
		for range 4 {
			if again := b.nextSTK(t); again != first || first.Receipt == "" {
				t.Errorf("%+v, %+v", first, again)
			}
		}
	})
	t.Run("alter", func(t *testing.T) {
		t.Parallel()
		b := setup(t, nil)
		b.script(t, control.Script{STK: "pay", Callback: "alter"})
		b.push(t)
		if cb := b.nextSTK(t); cb.AmountMinor != 15_000_00 {
			t.Errorf("callback = %+v", cb)
		}
		if s, err := b.control.Statement(limit(t)); err != nil || s.TotalMinor != 1500_00 {
			t.Errorf("the truth = %+v, %v", s, err)
		}
	})
	t.Run("delay", func(t *testing.T) {
		t.Parallel()
		b := setup(t, nil)
		b.script(t, control.Script{STK: "pay", Callback: "delay", CallbackDelayMS: control.Int(300)})
		start := time.Now()
		b.push(t)
		b.nextSTK(t)
		if took := time.Since(start); took < 300*time.Millisecond {
			t.Errorf("the callback came after %v", took)
		}
	})
	t.Run("platform is down", func(t *testing.T) {
		t.Parallel()
		b := setup(t, nil)
		b.answer = func(string) (int, string) { return 503, "" }
		b.script(t, control.Script{STK: "pay"})
		accepted := b.push(t)
		b.nextSTK(t)
		d, err := b.control.WaitDelivery(limit(t), func(d control.Delivery) bool { return d.ID == accepted.CheckoutRequestID })
		if err != nil || d.Status != 503 {
			t.Errorf("delivery = %+v, %v", d, err)
		}
		b.none(t) // no second attempt
	})
}

func TestC2BConfirmationOfPaidPrompt(t *testing.T) {
	t.Parallel()
	for mode, stkFirst := range map[string]bool{"normal": true, "c2b_after": true, "c2b_before": false} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			b := setup(t, nil)
			b.register(t)
			b.script(t, control.Script{STK: "pay", Callback: mode})
			b.push(t)
			var cb daraja.STKCallback
			var c daraja.C2BConfirmation
			if stkFirst {
				cb = b.nextSTK(t)
				c = b.nextC2B(t)
			} else {
				c = b.nextC2B(t)
				cb = b.nextSTK(t)
			}
			if c.TransID != cb.Receipt || c.AmountMinor != cb.AmountMinor || c.BillRef != "TOPUP0000001" || c.ShortCode != "174379" {
				t.Errorf("%+v, %+v", cb, c)
			}
			if c.MSISDN != "2547 ***** 678" || c.OrgAccountBalance != "1500.00" || c.TransactionType != "Pay Bill" || c.LastName != "" {
				t.Errorf("confirmation = %+v", c)
			}
		})
	}
}

func TestQueuedScriptsAreUsedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.script(t, control.Script{STK: "pay"})
	for _, mode := range []string{"cancel", "wrong_pin"} {
		if err := b.control.QueueScript(limit(t), phone, control.Script{STK: mode}); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"1032", "2001", "0"} {
		b.push(t)
		if cb := b.nextSTK(t); cb.ResultCode != want {
			t.Errorf("got %s, want %s", cb.ResultCode, want)
		}
	}
	if err := b.control.SetPhoneScript(limit(t), phone, control.Script{STK: "cancel"}); err != nil {
		t.Fatal(err)
	}
	b.push(t)
	if cb := b.nextSTK(t); cb.ResultCode != "1032" {
		t.Errorf("phone's script: %+v", cb)
	}
	if _, err := b.pushTo(t, "+254799000111"); err != nil {
		t.Fatal(err)
	}
	if cb := b.nextSTK(t); cb.ResultCode != "0" {
		t.Errorf("other phone: %+v", cb)
	}
}

func TestPayingTheBillByHand(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.register(t)
	entry, err := b.control.C2B(limit(t), control.C2BPayment{Msisdn: "0712345678", Account: "WALLET1", AmountMinor: 250_00})
	if err != nil || entry.Kind != "c2b" || entry.Msisdn != phone {
		t.Fatalf("entry = %+v, %v", entry, err)
	}
	if c := b.nextC2B(t); c.TransID != entry.Receipt || c.AmountMinor != 250_00 || c.BillRef != "WALLET1" {
		t.Errorf("confirmation = %+v", c)
	}
	for name, p := range map[string]control.C2BPayment{
		"too much": {Msisdn: phone, Account: "W", AmountMinor: 99_751_00}, "cents": {Msisdn: phone, Account: "W", AmountMinor: 150},
		"stranger":  {Msisdn: phone, Account: "W", AmountMinor: 100, ShortCode: "123456"},
		"long text": {Msisdn: phone, Account: strings.Repeat("x", 21), AmountMinor: 100},
		"abroad":    {Msisdn: "+256712345678", Account: "W", AmountMinor: 100},
	} {
		if got, err := b.control.C2B(limit(t), p); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if s, err := b.control.Statement(limit(t)); err != nil || s.Count != 1 {
		t.Errorf("statement = %+v, %v", s, err)
	}
	b.none(t)
}

func TestC2BValidation(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	verdict := `{"ResultCode":"0","ResultDesc":"Accepted","ThirdPartyTransID":"T1"}`
	status := 200
	b.answer = func(path string) (int, string) {
		if strings.HasSuffix(path, "/validate") {
			return status, verdict
		}
		return 200, `{}`
	}
	b.register(t)
	b.script(t, control.Script{C2BValidation: control.Bool(true)})
	pay := control.C2BPayment{Msisdn: phone, Account: "W", AmountMinor: 100_00}
	entry, err := b.control.C2B(limit(t), pay)
	if err != nil {
		t.Fatal(err)
	}
	if v := b.nextC2B(t); v.TransID != entry.Receipt || v.OrgAccountBalance != "" {
		t.Errorf("validation = %+v", v)
	}
	if c := b.nextC2B(t); c.ThirdPartyTransID != "T1" || c.OrgAccountBalance != "100.00" {
		t.Errorf("confirmation = %+v", c)
	}
	verdict = `{"ResultCode":"C2B00012","ResultDesc":"Rejected"}`
	if got, err := b.control.C2B(limit(t), pay); err == nil || !strings.Contains(err.Error(), "C2B00012") {
		t.Errorf("refused payment: %+v, %v", got, err)
	}
	b.nextC2B(t)
	status = 500 // silence: the registration says Completed
	if _, err := b.control.C2B(limit(t), pay); err != nil {
		t.Errorf("silence: %v", err)
	}
	if p, err := b.control.Phone(limit(t), phone); err != nil || p.BalanceMinor != 99_800_00 {
		t.Errorf("phone = %+v, %v", p, err)
	}
}

// raw posts to the M-Pesa API with a good token and returns status, code and message.
func (b *bench) raw(t *testing.T, path string, body map[string]any) (int, string, string) {
	t.Helper()
	token, _ := http.NewRequestWithContext(limit(t), http.MethodGet, b.url+"/oauth/v1/generate?grant_type=client_credentials", nil)
	token.SetBasicAuth(DefaultConsumerKey, DefaultConsumerSecret)
	var access struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   string `json:"expires_in"`
	}
	if status := b.do(t, token, &access); status != 200 || len(access.AccessToken) != 28 || access.ExpiresIn != "3599" {
		t.Fatalf("token: %d, %+v", status, access)
	}
	encoded, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, _ := http.NewRequestWithContext(limit(t), http.MethodPost, b.url+path, bytes.NewReader(encoded))
	req.Header.Set("Authorization", "Bearer "+access.AccessToken)
	req.Header.Set("Content-Type", "application/json")
	var fault struct{ RequestID, ErrorCode, ErrorMessage string }
	status := b.do(t, req, &fault)
	return status, fault.ErrorCode, fault.ErrorMessage
}

func (b *bench) do(t *testing.T, req *http.Request, into any) int {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if into != nil {
		if err := json.Unmarshal(body, into); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
	}
	return resp.StatusCode
}

func TestSTKFieldValidation(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	const stamp = "20250101120000"
	good := func() map[string]any { // types mixed as in the official sample
		return map[string]any{
			"BusinessShortCode": 174379, "Password": daraja.Password("174379", DefaultPasskey, stamp), "Timestamp": stamp,
			"TransactionType": "CustomerPayBillOnline", "Amount": "1", "PartyA": 254712345678, "PartyB": "174379", "PhoneNumber": 254712345678,
			"CallBackURL": b.hooks + "/v1/hooks/st/token", "AccountReference": "A", "TransactionDesc": "B",
		}
	}
	const path = "/mpesa/stkpush/v1/processrequest"
	for field, values := range map[string][]any{
		"Amount": {"0", "1.50", "250001", "-5", "abc", nil, "1e3"}, "PhoneNumber": {"0712345678", "+254712345678", "256712345678", 1},
		"PartyA": {"0712345678"}, "PartyB": {"600000", ""}, "TransactionType": {"", "PayBill"}, "Timestamp": {"2025", "20251301120000"},
		"CallBackURL": {"", "not an address", "https://Mixed.Example.test/x", "ftp://a.test"}, "AccountReference": {"", "ABCDEFGHIJKLM"},
		"BusinessShortCode": {"12"},
	} {
		for _, value := range values {
			body := good()
			body[field] = value
			if field == "BusinessShortCode" {
				body["PartyB"] = value
				delete(body, "PartyB")
				body["TransactionType"] = "CustomerBuyGoodsOnline"
				body["PartyB"] = "174379"
			}
			if status, code, text := b.raw(t, path, body); status != 400 || code != "400.002.02" || text != "Bad Request - Invalid "+field {
				t.Errorf("%s = %v: %d %s %s", field, value, status, code, text)
			}
		}
	}
	body := good()
	body["Password"] = daraja.Password("174379", DefaultPasskey, "20250101120001")
	if status, code, text := b.raw(t, path, body); status != 500 || code != "500.001.1001" ||
		text != "[MerchantValidate] - Wrong credentials" {
		t.Errorf("password: %d %s %s", status, code, text)
	}
	body = good()
	body["BusinessShortCode"], body["PartyB"] = "999999", "999999"
	if status, code, text := b.raw(t, path, body); status != 500 || code != "500.001.1001" || text != "Merchant does not exist" {
		t.Errorf("merchant: %d %s %s", status, code, text)
	}
	if status, code, text := b.raw(t, path, good()); status != 200 || code != "" {
		t.Errorf("good: %d %s %s", status, code, text)
	}
}

// TestTakesWhatDarajaTakes: the portal's 13 characters are advice, and a till has no accounts.
func TestTakesWhatDarajaTakes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change      map[string]any
		code        string
		description string
	}{
		"no description":      {map[string]any{"TransactionDesc": nil}, "0", ""},
		"fourteen characters": {map[string]any{"TransactionDesc": "ABCDEFGHIJKLMN"}, "0", "ABCDEFGHIJKLMN"},
		"182 characters":      {map[string]any{"TransactionDesc": strings.Repeat("é", 182)}, "0", strings.Repeat("é", 182)},
		"183 characters":      {map[string]any{"TransactionDesc": strings.Repeat("é", 183)}, "1025", ""}, // taken, and then not sent
		"a till": {map[string]any{"TransactionType": "CustomerBuyGoodsOnline", "PartyB": "600584", "AccountReference": nil}, "0",
			"B"},
		"a till, with account": {map[string]any{"TransactionType": "CustomerBuyGoodsOnline", "PartyB": "600584"}, "0", "B"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, nil)
			b.register(t)
			const stamp = "20250101120000"
			body := map[string]any{
				"BusinessShortCode": "174379", "Password": daraja.Password("174379", DefaultPasskey, stamp), "Timestamp": stamp,
				"TransactionType": "CustomerPayBillOnline", "Amount": "1",
				"PartyA": "254712345678", "PartyB": "174379", "PhoneNumber": "254712345678", "CallBackURL": b.hooks + "/v1/hooks/st/token",
				"AccountReference": "A", "TransactionDesc": "B",
			}
			for field, value := range c.change {
				body[field] = value
				if value == nil {
					delete(body, field)
				}
			}
			if status, code, text := b.raw(t, "/mpesa/stkpush/v1/processrequest", body); status != 200 {
				t.Fatalf("%d %s %s", status, code, text)
			}
			if c.code == "0" {
				prompt, err := b.control.WaitPrompt(limit(t), phone)
				if err != nil || prompt.Description != c.description {
					t.Fatalf("prompt %+v, %v", prompt, err)
				}
				if _, err := b.control.Pay(limit(t), phone, "1234"); err != nil {
					t.Fatal(err)
				}
			}
			if cb := b.nextSTK(t); cb.ResultCode != c.code {
				t.Fatalf("callback %+v", cb)
			}
			if c.code != "0" {
				return
			}
			till := body["TransactionType"] == "CustomerBuyGoodsOnline"
			reference, _ := body["AccountReference"].(string)
			if confirmed := b.next(t); strings.Contains(string(confirmed.body), `"Buy Goods"`) != till ||
				!strings.Contains(string(confirmed.body), `"BillRefNumber":"`+reference+`"`) {
				t.Errorf("confirmed %s", confirmed.body)
			}
			if s, err := b.control.Statement(limit(t)); err != nil || len(s.Data) != 1 || s.Data[0].BuyGoods != till {
				t.Errorf("statement %+v, %v", s, err)
			}
		})
	}
}

func TestRegisteredAddresses(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	for _, bad := range []string{"https://a.test/mpesa/x", "https://Safaricom.a.test/", "https://a.test/run-Exec", "https://a.test/query",
		"https://x.ngrok.io/a", ""} {
		err := b.mpesa.RegisterC2B(limit(t), bad, "https://a.test/v", daraja.ResponseCompleted)
		var e *daraja.Error
		if !errors.As(err, &e) || e.Code != "400.002.02" || e.Message != "Bad Request - Invalid ConfirmationURL" {
			t.Errorf("%s: %v", bad, err)
		}
	}
	const v1 = "/mpesa/c2b/v1/registerurl"
	body := map[string]any{"ShortCode": "600984", "ResponseType": "Cancelled", "ConfirmationURL": b.hooks + "/v1/hooks/c2/confirm",
		"ValidationURL": b.hooks + "/v1/hooks/c2/validate"}
	if status, code, text := b.raw(t, v1, body); status != 200 || code != "" {
		t.Fatalf("v1: %d %s %s", status, code, text)
	}
	simulation := map[string]any{"ShortCode": 600984, "CommandID": "CustomerPayBillOnline", "Amount": 5, "Msisdn": 254708374149,
		"BillRefNumber": "X"}
	if status, code, text := b.raw(t, "/mpesa/c2b/v1/simulate", simulation); status != 200 {
		t.Fatalf("simulate: %d %s %s", status, code, text)
	}

	if c := b.nextC2B(t); c.ShortCode != "600984" || c.AmountMinor != 500 || len(c.MSISDN) != 64 || strings.Contains(c.MSISDN, "*") {
		t.Errorf("v1 confirmation = %+v", c)
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	wrong := daraja.New(daraja.Config{BaseURL: b.url, ConsumerKey: DefaultConsumerKey, ConsumerSecret: "wrong", ShortCode: DefaultShortCode,
		Passkey: DefaultPasskey})
	_, err := wrong.STKQuery(limit(t), "ws_CO_1")
	var e *daraja.Error
	if !errors.As(err, &e) || e.Code != "400.008.01" || !e.NotSent {
		t.Errorf("wrong secret: %v", err)
	}
	accepted := b.push(t)
	if err := b.control.RevokeTokens(limit(t)); err != nil {
		t.Fatal(err)
	}
	if got := b.query(t, accepted.CheckoutRequestID); got.ResultCode != "4999" { // one refresh, one retry
		t.Errorf("after revocation: %+v", got)
	}
	for _, c := range []struct {
		method, path, code string
		status             int
	}{
		{http.MethodPost, "/mpesa/stkpush/v1/processrequest", "404.001.03", 404},
		{http.MethodGet, "/mpesa/stkpush/v1/processrequest", "405.001", 405},
		{http.MethodPost, "/mpesa/nothing", "404.001.01", 404},
		{http.MethodGet, "/oauth/v1/generate", "400.008.02", 400},
	} {
		req, _ := http.NewRequestWithContext(limit(t), c.method, b.url+c.path, strings.NewReader("{}"))
		var fault struct{ RequestID, ErrorCode string }
		if status := b.do(t, req, &fault); status != c.status || fault.ErrorCode != c.code || fault.RequestID == "" {
			t.Errorf("%s %s: %d %+v", c.method, c.path, status, fault)
		}
	}
}

// TestTokensAreNotKept: no proxy may hand one caller's token to another.
func TestTokensAreNotKept(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	for secret, status := range map[string]int{DefaultConsumerSecret: http.StatusOK, "wrong": http.StatusBadRequest} {
		req, _ := http.NewRequestWithContext(limit(t), http.MethodGet, b.url+"/oauth/v1/generate?grant_type=client_credentials", nil)
		req.SetBasicAuth(DefaultConsumerKey, secret)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != status || resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("Pragma") != "no-cache" {
			t.Errorf("%d %v", resp.StatusCode, resp.Header)
		}
	}
}

func TestSilentTestNumber(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	if _, err := b.pushTo(t, "+254708374149"); err != nil {
		t.Fatal(err)
	}
	if cb := b.nextSTK(t); cb.ResultCode != "1037" {
		t.Errorf("callback = %+v", cb)
	}
}

func TestManyPhonesAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.script(t, control.Script{STK: "pay"})
	const n = 60
	failed := make(chan error, n)
	for i := range n {
		go func() {
			_, err := b.pushTo(t, "+2547000000"+string(rune('0'+i/10))+string(rune('0'+i%10)))
			failed <- err
		}()
	}
	for range n {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	receipts := map[string]bool{}
	for range n {
		receipts[b.nextSTK(t).Receipt] = true
	}
	if s, err := b.control.Statement(limit(t)); err != nil || s.Count != n || s.TotalMinor != n*1500_00 || len(receipts) != n {
		t.Errorf("%d receipts, %d entries, total %d, %v", len(receipts), s.Count, s.TotalMinor, err)
	}
}
