package daraja

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const sandboxPasskey = "bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919"

func TestPasswordVector(t *testing.T) {
	t.Parallel()
	const want = "MTc0Mzc5YmZiMjc5ZjlhYTliZGJjZjE1OGU5N2RkNzFhNDY3Y2QyZTBjODkzMDU5YjEwZjc4ZTZiNzJhZGExZWQyYzkxOTIwMjUwMTAxMTIwMDAw"
	if got := Password("174379", sandboxPasskey, "20250101120000"); got != want {
		t.Errorf("password = %s", got)
	}
}

func TestTimestampIsNairobi(t *testing.T) {
	t.Parallel()
	at := time.Date(2025, 12, 31, 22, 30, 5, 0, time.UTC)
	if got := Timestamp(at); got != "20260101013005" {
		t.Errorf("timestamp = %s", got)
	}
	back, err := ParseTimestamp("20260101013005")
	if err != nil || !back.Equal(at) || back.Location() != time.UTC {
		t.Errorf("parsed = %v, %v", back, err)
	}
}

func TestClassifySTK(t *testing.T) {
	t.Parallel()
	want := map[Outcome][]string{
		Paid: {"0"}, Pending: {"4999", "500.001.1001"}, Unknown: {"", "35", "99", "00", "R000001", "SFC_IC0004"},
		Failed: {"1", "2", "3", "4", "8", "11", "17", "26", "1001", "1019", "1025", "1031", "1032", "1036", "1037", "2001", "2006", "2028",
			"8006", "9999", "SFC_IC0003"},
	}
	for outcome, codes := range want {
		for _, code := range codes {
			if got := ClassifySTK(code); got != outcome {
				t.Errorf("%q = %s, want %s", code, got, outcome)
			}
		}
	}
}

func TestErrorMeaning(t *testing.T) {
	t.Parallel()
	const lock = "Unable to lock subscriber, a transaction is already in process for the current subscriber"
	for name, c := range map[string]struct {
		err            Error
		definite, busy bool
	}{
		"invalid amount":      {Error{HTTPStatus: 400, Code: "400.002.02", Message: "Bad Request - Invalid Amount"}, true, false},
		"empty 400":           {Error{HTTPStatus: 400}, true, false},
		"too many":            {Error{HTTPStatus: 429}, true, true},
		"request time-out":    {Error{HTTPStatus: 408}, false, false},
		"wrong credentials":   {Error{HTTPStatus: 500, Code: codeOverloaded, Message: "[MerchantValidate] - Wrong credentials"}, true, false},
		"no merchant":         {Error{HTTPStatus: 500, Code: codeOverloaded, Message: "Merchant does not exist"}, true, false},
		"locked":              {Error{HTTPStatus: 500, Code: codeOverloaded, Message: lock}, true, true},
		"overloaded, no text": {Error{HTTPStatus: 500, Code: codeOverloaded}, false, false},
		"overloaded in a 200": {Error{HTTPStatus: 200, Code: codeOverloaded}, false, false},
		"system busy":         {Error{HTTPStatus: 500, Code: "500.003.02", Message: "System is busy."}, true, true},
		"quota":               {Error{HTTPStatus: 500, Code: "500.003.03"}, true, true},
		"internal":            {Error{HTTPStatus: 500, Code: "500.003.1001", Message: "Internal Server Error"}, false, false},
		"registered before":   {Error{HTTPStatus: 500, Code: "500.003.1001", Message: "Urls are already registered."}, true, false},
		"bare 500":            {Error{HTTPStatus: 500}, false, false},
		"maintenance":         {Error{HTTPStatus: 503}, false, false},
		"response code":       {Error{HTTPStatus: 200, Code: "1"}, true, false},
		"unreadable 200":      {Error{HTTPStatus: 200, Message: "unreadable answer"}, false, false},
		"broken connection":   {Error{Err: io.ErrUnexpectedEOF}, false, false},
		"not sent":            {Error{NotSent: true, Err: io.EOF}, true, true},
		"own check":           {Error{NotSent: true, Code: "invalid_request"}, true, false},
		"token refused":       {Error{NotSent: true, HTTPStatus: 400, Code: "400.008.01"}, true, false},
		"page, not a token":   {Error{NotSent: true, HTTPStatus: 403}, true, true},
		"token server down":   {Error{NotSent: true, HTTPStatus: 503}, true, true},
	} {
		if got := c.err.Definite(); got != c.definite {
			t.Errorf("%s: definite = %v", name, got)
		}
		if got := c.err.Busy(); got != c.busy {
			t.Errorf("%s: busy = %v", name, got)
		}
	}
}

const paidCallback = `{"Body":{"stkCallback":{"MerchantRequestID":"29115-34620561-1","CheckoutRequestID":"ws_CO_191220191020363925",
"ResultCode":0,"ResultDesc":"The service request is processed successfully.","CallbackMetadata":{"Item":[
{"Name":"Amount","Value":1.00},{"Name":"MpesaReceiptNumber","Value":"NLJ7RT61SV"},{"Name":"Balance"},
{"Name":"TransactionDate","Value":20191219102115},{"Name":"PhoneNumber","Value":254708374149}]}}}}`

func TestParseSTKCallback(t *testing.T) {
	t.Parallel()
	want := STKCallback{
		MerchantRequestID: "29115-34620561-1", CheckoutRequestID: "ws_CO_191220191020363925", ResultCode: "0",
		ResultDesc: "The service request is processed successfully.", Outcome: Paid, AmountMinor: 100, Receipt: "NLJ7RT61SV",
		PaidAt: time.Date(2019, 12, 19, 7, 21, 15, 0, time.UTC), Phone: "+254708374149",
	}
	if got, err := ParseSTKCallback([]byte(paidCallback)); err != nil || got != want {
		t.Errorf("documented sample = %+v, %v", got, err)
	}
	hazards := strings.NewReplacer(`"ResultCode":0`, `"ResultCode":"0"`, `1.00`, `"1250.5"`, `{"Name":"Balance"}`,
		`{"Name":"Balance","Value":"{Amount={CurrencyCode=KES, MinimumAmount=10}}"}`, `254708374149`, `"2547****149"`,
		`20191219102115`, `"yesterday"`).Replace(paidCallback)
	want.AmountMinor, want.Phone, want.PaidAt = 125050, "", time.Time{}
	if got, err := ParseSTKCallback([]byte(hazards)); err != nil || got != want {
		t.Errorf("hazards = %+v, %v", got, err)
	}
	for code, outcome := range map[string]Outcome{`1032`: Failed, `"SFC_IC0003"`: Failed, `7777`: Unknown} {
		body := fmt.Sprintf(`{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_1","ResultCode":%s,"ResultDesc":"x"}}}`, code)
		if got, err := ParseSTKCallback([]byte(body)); err != nil || got.Outcome != outcome || got.AmountMinor != 0 {
			t.Errorf("%s = %+v, %v", code, got, err)
		}
	}
	for name, body := range map[string]string{
		"not json": `x`, "empty": `{}`, "no result": `{"Body":{"stkCallback":{"CheckoutRequestID":"a"}}}`,
		"negative amount": strings.Replace(paidCallback, "1.00", "-1.00", 1), "tiny fraction": strings.Replace(paidCallback, "1.00", "1.005", 1),
		"object amount": strings.Replace(paidCallback, "1.00", "{}", 1), "no receipt": strings.Replace(paidCallback, `"NLJ7RT61SV"`, `""`, 1),
	} {
		if got, err := ParseSTKCallback([]byte(body)); err == nil {
			t.Errorf("%s = %+v, want an error", name, got)
		}
	}
}

const confirmation = `{"TransactionType":"Pay Bill","TransID":"RKL51ZDR4F","TransTime":"20231121121325","TransAmount":"5.00",
"BusinessShortCode":"600966","BillRefNumber":" Sample Transaction ","InvoiceNumber":"","OrgAccountBalance":"25.00",
"ThirdPartyTransID":"","MSISDN":"2547 ***** 126","FirstName":"NICHOLAS","MiddleName":"","LastName":""}`

func TestParseC2B(t *testing.T) {
	t.Parallel()
	want := C2BConfirmation{
		TransactionType: "Pay Bill", TransID: "RKL51ZDR4F", PaidAt: time.Date(2023, 11, 21, 9, 13, 25, 0, time.UTC),
		AmountMinor: 500, ShortCode: "600966", BillRef: "Sample Transaction", OrgAccountBalance: "25.00",
		MSISDN: "2547 ***** 126", FirstName: "NICHOLAS",
	}
	if got, err := ParseC2B([]byte(confirmation)); err != nil || got != want {
		t.Errorf("documented sample = %+v, %v", got, err)
	}
	numbers := strings.NewReplacer(`"5.00"`, `5`, `"600966"`, `600966`, `"NICHOLAS"`, `null`).Replace(confirmation)
	want.FirstName = ""
	if got, err := ParseC2B([]byte(numbers)); err != nil || got != want {
		t.Errorf("numbers = %+v, %v", got, err)
	}
	for _, change := range [][2]string{{`"RKL51ZDR4F"`, `""`}, {`"5.00"`, `"0.00"`}, {`"5.00"`, `"5,00"`}, {`"5.00"`, `"-5.00"`},
		{`"5.00"`, `"1,00.00"`}, {`"5.00"`, `{}`},
		{`"RKL51ZDR4F"`, `["RKL51ZDR4F"]`}, {`{`, `[`}, {`"LastName":""}`, ``}} {
		if got, err := ParseC2B([]byte(strings.Replace(confirmation, change[0], change[1], 1))); err == nil {
			t.Errorf("%v = %+v, want an error", change, got)
		}
	}
}

// TestParseUntidy is what was seen on the wire, or will be: nothing but receipt, amount, short code and account matters, and those are read
// in every way that means one thing only.
func TestParseUntidy(t *testing.T) {
	t.Parallel()
	want, err := ParseC2B([]byte(confirmation))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"byte order mark": {`{"TransactionType"`, "\xef\xbb\xbf{\"TransactionType\""}, "raw line break": {"NICHOLAS", "NICHO\nLAS"},
		"needless escape": {"NICHOLAS", `O\'NEILL`}, "object": {`"MiddleName":""`, `"MiddleName":{}`},
		"list":   {`"LastName":""`, `"LastName":[1]`},
		"blanks": {`"600966"`, `" 600966 "`}, "float": {`"600966"`, `600966.0`}, "float text": {`"600966"`, `"600966.0"`},
		"small letters": {"RKL51ZDR4F", " rkl51zdr4f "}, "nul": {"Sample Transaction", `Sample\u0000 Transaction`},
		"bad time": {"20231121121325", "soon"},
	} {
		got, err := ParseC2B([]byte(strings.Replace(confirmation, change[0], change[1], 1)))
		if err != nil || got.TransID != want.TransID || got.AmountMinor != want.AmountMinor || got.ShortCode != want.ShortCode ||
			got.BillRef != want.BillRef {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for text, minor := range map[string]int64{"1,000.00": 100000, "12,345,678.5": 1234567850, " 7 ": 700} {
		if got, err := ParseC2B([]byte(strings.Replace(confirmation, "5.00", text, 1))); err != nil || got.AmountMinor != minor {
			t.Errorf("amount %q: %+v, %v", text, got, err)
		}
	}
	for _, odd := range [][2]string{{`"600966"`, `{}`}, {`" Sample Transaction "`, `{"a":1}`}} { // the money is known, its owner is not
		if got, err := ParseC2B([]byte(strings.Replace(confirmation, odd[0], odd[1], 1))); err != nil || got.AmountMinor != 500 {
			t.Errorf("%v: %+v, %v", odd, got, err)
		}
	}
	for _, body := range []string{"\xef\xbb\xbf" + paidCallback, strings.Replace(paidCallback, `"Value":254708374149`, `"Value":{"a":[]}`, 1),
		strings.Replace(paidCallback, "NLJ7RT61SV", "nlj7rt61sv", 1), strings.Replace(paidCallback, `"29115-34620561-1"`, `{}`, 1),
		strings.Replace(paidCallback, "processed", "proce\nssed", 1), strings.Replace(paidCallback, `{"Name":"Balance"}`, `7`, 1)} {
		if got, err := ParseSTKCallback([]byte(body)); err != nil || got.Receipt != "NLJ7RT61SV" || got.AmountMinor != 100 {
			t.Errorf("%s = %+v, %v", body, got, err)
		}
	}
}

func FuzzParseSTKCallback(f *testing.F) {
	f.Add([]byte(paidCallback))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := ParseSTKCallback(body)
		if err == nil && (got.CheckoutRequestID == "" || got.AmountMinor < 0 || (got.Outcome == Paid && got.AmountMinor == 0)) {
			t.Fatalf("accepted %+v", got)
		}
	})
}

func FuzzParseC2B(f *testing.F) {
	f.Add([]byte(confirmation))
	f.Add([]byte("\xef\xbb\xbf" + strings.Replace(confirmation, "NICHOLAS", "O\\'N\nX", 1)))
	f.Fuzz(func(t *testing.T, body []byte) {
		if got, err := ParseC2B(body); err == nil && (got.TransID == "" || got.AmountMinor <= 0) {
			t.Fatalf("accepted %+v", got)
		}
	})
}

// peer is a scripted Daraja.
type peer struct {
	server *httptest.Server
	tokens atomic.Int32
	mu     sync.Mutex
	seen   []*http.Request
	bodies []map[string]string
}

func newPeer(t *testing.T, answer http.HandlerFunc) (*peer, *Client) {
	t.Helper()
	p := &peer{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /oauth/v1/generate", func(w http.ResponseWriter, r *http.Request) {
		if key, secret, _ := r.BasicAuth(); key != "key" || secret != "secret" || r.URL.Query().Get("grant_type") != "client_credentials" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		n := p.tokens.Add(1)
		if n%2 == 0 {
			fmt.Fprintf(w, `{"access_token":"token-%d","expires_in":3599}`, n)
			return
		}
		fmt.Fprintf(w, `{"access_token":"token-%d","expires_in":"3599"}`, n)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		var body map[string]string
		_ = json.NewDecoder(r.Body).Decode(&body)
		p.mu.Lock()
		p.seen, p.bodies = append(p.seen, r), append(p.bodies, body)
		p.mu.Unlock()
		answer(w, r)
	})
	p.server = httptest.NewServer(mux)
	t.Cleanup(p.server.Close)
	return p, New(Config{BaseURL: p.server.URL + "/", ConsumerKey: "key", ConsumerSecret: "secret", ShortCode: "174379",
		Passkey: sandboxPasskey,
		Now:     func() time.Time { return time.Date(2025, 1, 1, 9, 0, 0, 0, time.UTC) }})
}

// calls returns what has arrived, apart from token requests.
func (p *peer) calls() ([]*http.Request, []map[string]string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.seen), slices.Clone(p.bodies)
}

func (p *peer) count() int {
	seen, _ := p.calls()
	return len(seen)
}

var goodPush = STKPushRequest{Phone: "+254712345678", AmountMinor: 150_00, AccountReference: "TOPUP1234567", Description: "Top up",
	CallbackURL: "https://example.test/v1/hooks/st/x"}

const accepted = `{"MerchantRequestID":"29115-34620561-1","CheckoutRequestID":"ws_CO_1","ResponseCode":"0","ResponseDescription":"Success"}`

func TestSTKPush(t *testing.T) {
	t.Parallel()
	p, c := newPeer(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, accepted) })
	got, err := c.STKPush(t.Context(), goodPush)
	if err != nil || got != (STKAccepted{"29115-34620561-1", "ws_CO_1"}) {
		t.Fatalf("push = %+v, %v", got, err)
	}
	want := map[string]string{
		"BusinessShortCode": "174379", "Password": Password("174379", sandboxPasskey, "20250101120000"), "Timestamp": "20250101120000",
		"TransactionType": "CustomerPayBillOnline", "Amount": "150", "PartyA": "254712345678", "PartyB": "174379", "PhoneNumber": "254712345678",
		"CallBackURL": "https://example.test/v1/hooks/st/x", "AccountReference": "TOPUP1234567", "TransactionDesc": "Top up",
	}
	seen, bodies := p.calls()
	if fmt.Sprint(bodies[0]) != fmt.Sprint(want) || seen[0].Header.Get("Authorization") != "Bearer token-1" {
		t.Errorf("sent %v", bodies[0])
	}
}

func TestSTKPushRefusesBadInputUnsent(t *testing.T) {
	t.Parallel()
	p, c := newPeer(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, accepted) })
	for name, change := range map[string]func(*STKPushRequest){
		"cents":        func(r *STKPushRequest) { r.AmountMinor = 150_50 },
		"zero":         func(r *STKPushRequest) { r.AmountMinor = 0 },
		"above limit":  func(r *STKPushRequest) { r.AmountMinor = MaxAmountMinor + 100 },
		"foreign":      func(r *STKPushRequest) { r.Phone = "+256712345678" },
		"no plus":      func(r *STKPushRequest) { r.Phone = "254712345678" },
		"reference 13": func(r *STKPushRequest) { r.AccountReference = "ABCDEFGHIJKLM" },
		"text 14":      func(r *STKPushRequest) { r.Description = "ABCDEFGHIJKLMN" },
		"no callback":  func(r *STKPushRequest) { r.CallbackURL = "" },
	} {
		r := goodPush
		change(&r)
		if _, err := c.STKPush(t.Context(), r); !Definite(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := p.count(); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
	r := goodPush
	r.AmountMinor = MaxAmountMinor
	if _, err := c.STKPush(t.Context(), r); err != nil {
		t.Errorf("at the limit: %v", err)
	}
}

func TestTokenIsSharedAndRefreshedOnce(t *testing.T) {
	t.Parallel()
	p, c := newPeer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer token-1" {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"requestId":"1","errorCode":"404.001.03","errorMessage":"Invalid Access Token"}`)
			return
		}
		fmt.Fprint(w, accepted)
	})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := c.STKPush(context.Background(), goodPush); err != nil {
				t.Errorf("push: %v", err)
			}
		})
	}
	wg.Wait()
	if n := p.tokens.Load(); n != 2 {
		t.Errorf("%d tokens were fetched, want 2", n)
	}
}

func TestTokenErrorIsRetriedOnlyOnce(t *testing.T) {
	t.Parallel()
	p, c := newPeer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"requestId":"1","errorCode":"401.002.01","errorMessage":"Error Occurred - Invalid Access Token - SECRETSECRET"}`)
	})
	_, err := c.STKPush(t.Context(), goodPush)
	if p.count() != 2 || !Definite(err) || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("%d calls, %v", p.count(), err)
	}
}

func TestTokenIsRenewedBeforeItsEnd(t *testing.T) {
	t.Parallel()
	var now time.Time
	fetched := 0
	cache := newTokenCache(func() time.Time { return now }, func(context.Context) (string, time.Duration, error) {
		fetched++
		return fmt.Sprint(fetched), time.Hour, nil
	})
	for _, step := range []struct {
		at   time.Duration
		want string
	}{{0, "1"}, {54 * time.Minute, "1"}, {56 * time.Minute, "2"}, {100 * time.Minute, "2"}, {3 * time.Hour, "3"}} {
		now = time.Time{}.Add(step.at)
		if got, err := cache.get(t.Context()); err != nil || got != step.want {
			t.Errorf("at %v: %s, %v", step.at, got, err)
		}
	}
	cache.drop("2") // an old refusal must not drop the newer token
	if got, _ := cache.get(t.Context()); got != "3" {
		t.Errorf("after a late drop: %s", got)
	}
}

func TestSTKPushUnknownOutcomes(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"broken connection": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"html 502":          func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502); fmt.Fprint(w, "<html>") },
		"html 200":          func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"no checkout id":    func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"ResponseCode":"0"}`) },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		},
		"endless": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, maxAnswerBytes+1)) },
	} {
		p, c := newPeer(t, answer)
		_, err := c.STKPush(t.Context(), goodPush)
		var e *Error
		if !errors.As(err, &e) || Definite(err) || p.count() != 1 {
			t.Errorf("%s: %v after %d calls", name, err, p.count())
		}
	}
}

func TestSTKPushNothingSent(t *testing.T) {
	t.Parallel()
	p, c := newPeer(t, func(http.ResponseWriter, *http.Request) {})
	p.server.Close()
	_, err := c.STKPush(t.Context(), goodPush)
	var e *Error
	if !errors.As(err, &e) || !e.Definite() || !e.Busy() {
		t.Errorf("refused connection: %v", err)
	}
}

func TestSTKQuery(t *testing.T) {
	t.Parallel()
	const head = `{"ResponseCode":"0","ResponseDescription":"x","MerchantRequestID":"m","CheckoutRequestID":"ws_CO_1",`
	for name, c := range map[string]struct {
		status int
		body   string
		want   Outcome
	}{
		"cancelled":         {200, head + `"ResultCode":"1032","ResultDesc":"Request cancelled by user"}`, Failed},
		"paid, number":      {200, head + `"ResultCode":0,"ResultDesc":"x"}`, Paid},
		"processing":        {200, head + `"ResultCode":"4999","ResultDesc":"x"}`, Pending},
		"undocumented":      {200, head + `"ResultCode":"31337","ResultDesc":"x"}`, Unknown},
		"no result":         {200, head + `"ResultDesc":"x"}`, Unknown},
		"busy 500":          {500, `{"requestId":"1","errorCode":"500.001.1001","errorMessage":"The transaction is being processed"}`, Pending},
		"does not exist":    {500, `{"requestId":"1","errorCode":"500.001.1001","errorMessage":"The transaction does not Exist"}`, Pending},
		"busy inside a 200": {200, `{"requestId":"1","errorCode":"500.001.1001","errorMessage":""}`, Pending},
	} {
		_, client := newPeer(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(c.status); fmt.Fprint(w, c.body) })
		if got, err := client.STKQuery(t.Context(), "ws_CO_1"); err != nil || got.Outcome != c.want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for name, body := range map[string]string{
		"wrong credentials": `{"requestId":"1","errorCode":"500.001.1001","errorMessage":"[MerchantValidate] - Wrong credentials"}`,
		"another checkout":  `{"ResponseCode":"0","CheckoutRequestID":"ws_CO_2","ResultCode":"0"}`,
	} {
		_, client := newPeer(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) })
		if got, err := client.STKQuery(t.Context(), "ws_CO_1"); err == nil {
			t.Errorf("%s: %+v, want an error", name, got)
		}
	}
}

func TestRegisterC2B(t *testing.T) {
	t.Parallel()
	p, c := newPeer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/mpesa/c2b/v2/registerurl" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		fmt.Fprint(w, `{"OriginatorCoversationID":"6e86","ResponseCode":"0","ResponseDescription":"Success"}`)
	})
	if err := c.RegisterC2B(t.Context(), "https://a.test/c", "https://a.test/v", ResponseCompleted); err != nil {
		t.Fatal(err)
	}
	_, bodies := p.calls()
	if bodies[0]["ConfirmationURL"] != "https://a.test/c" || bodies[0]["ShortCode"] != "174379" {
		t.Errorf("sent %v", bodies[0])
	}
	if err := c.RegisterC2B(t.Context(), "a", "b", "completed"); !Definite(err) {
		t.Errorf("wrong response type: %v", err)
	}
}

// TestPullTransactions reads Safaricom's own books: nested twice, with values of any kind, and one unreadable payment that keeps its place.
func TestPullTransactions(t *testing.T) {
	t.Parallel()
	answers := []string{
		`{"ResponseRefID":"r","ResponseCode":"1000","ResponseMessage":"Success","Response":[[
			{"transactionId":"rkl51zdr4f","trxDate":"2025-01-01T11:30:00+03:00","msisdn":254722000000,"sender":"MPESA",
			"transactiontype":"c2b-pay-bill-debit","billreference":" wq7k ","amount":"1,500.00","organizationname":"X"},
			{"transactionId":{},"amount":"x"}]]}`,
		`{"ResponseCode":1001,"ResponseMessage":"nothing"}`, `{"ResponseCode":"1002","ResponseMessage":"no"}`,
		`{"ResponseCode":"1000","Response":7}`}
	p, c := newPeer(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, answers[0])
		answers = answers[1:]
	})
	to := time.Date(2025, 1, 1, 9, 0, 0, 0, time.UTC)
	got, err := c.PullTransactions(t.Context(), to.Add(-time.Hour), to, 100)
	want := PulledTransaction{Receipt: "RKL51ZDR4F", AmountMinor: 150000, BillRef: "wq7k", At: time.Date(2025, 1, 1, 8, 30, 0, 0, time.UTC),
		Type: "c2b-pay-bill-debit"}
	if err != nil || len(got) != 2 || got[0] != want || got[1].Receipt != "" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, bodies := p.calls(); bodies[0]["StartDate"] != "2025-01-01 11:00:00" || bodies[0]["EndDate"] != "2025-01-01 12:00:00" ||
		bodies[0]["OffSetValue"] != "100" || bodies[0]["ShortCode"] != "174379" {
		t.Errorf("asked %v", bodies[0])
	}
	if got, err := c.PullTransactions(t.Context(), to, to, 0); err != nil || len(got) != 0 {
		t.Errorf("nothing there: %v, %v", got, err)
	}
	for range 2 {
		if got, err := c.PullTransactions(t.Context(), to, to, 0); err == nil {
			t.Errorf("a refusal came back as %v", got)
		}
	}
}

func TestRegisterPull(t *testing.T) {
	t.Parallel()
	answers := []string{`{"ResponseStatus":"1000"}`, `{"ResponseCode":"1001"}`, `{"ResponseCode":"1005","ResponseDescription":"no"}`}
	_, c := newPeer(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, answers[0])
		answers = answers[1:]
	})
	for i, fails := range []bool{false, false, true} {
		if err := c.RegisterPull(t.Context(), "254700000000", "https://example.test/x"); (err != nil) != fails {
			t.Errorf("%d: %v", i, err)
		}
	}
}
