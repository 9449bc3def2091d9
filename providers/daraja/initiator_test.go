package daraja

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const initiatorPassword = "Safaricom999!*!"

// initiatorKey is Safaricom's, for these tests.
var initiatorKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func certificate(t *testing.T, public, private any) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Unix(0, 0)} // expired
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// opened is a credential as Safaricom reads it.
func opened(t *testing.T, credential string) string {
	t.Helper()
	sealed, err := base64.StdEncoding.DecodeString(credential)
	if err != nil {
		t.Fatal(err)
	}
	password, err := rsa.DecryptPKCS1v15(rand.Reader, initiatorKey(), sealed) //nolint:staticcheck // the padding is Safaricom's choice
	if err != nil {
		t.Fatal(err)
	}
	return string(password)
}

func TestSecurityCredentialRoundTrip(t *testing.T) {
	t.Parallel()
	key := initiatorKey()
	der := certificate(t, &key.PublicKey, key)
	encoded := base64.StdEncoding.EncodeToString(der)
	for name, text := range map[string]string{
		"pem": pemOf("CERTIFICATE", der), "base64": encoded, "base64 in lines": encoded[:64] + "\n " + encoded[64:] + "\n",
		"pem after a comment": "Bag Attributes\n" + pemOf("CERTIFICATE", der),
	} {
		public, err := ParseCertificate(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		credential, err := SecurityCredential(public, initiatorPassword)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := opened(t, credential); got != initiatorPassword {
			t.Errorf("%s: opened %q", name, got)
		}
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty": "", "words": "my certificate", "key": pemOf("PUBLIC KEY", x509.MarshalPKCS1PublicKey(&key.PublicKey)),
		"cut": encoded[:400], "elliptic": pemOf("CERTIFICATE", certificate(t, &other.PublicKey, other)),
	} {
		if _, err := ParseCertificate(text); err == nil {
			t.Errorf("%s was taken for a certificate", name)
		}
	}
	if _, err := SecurityCredential(&key.PublicKey, strings.Repeat("x", 300)); err == nil {
		t.Error("a password longer than the key was encrypted")
	}
}

const acknowledged = `{"ConversationID":"AG_1","OriginatorConversationID":"%s","ResponseCode":"0",
	"ResponseDescription":"Accept the service request successfully."}`

func acknowledge(originator string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, acknowledged, originator) }
}

// newOrders is newPeer with an initiator.
func newOrders(t *testing.T, answer http.HandlerFunc, change func(*Config)) (*peer, *Client) {
	t.Helper()
	p, plain := newPeer(t, answer)
	cfg := plain.cfg
	cfg.Initiator, cfg.InitiatorPassword = "testapi", initiatorPassword
	key := initiatorKey()
	cfg.Certificate = pemOf("CERTIFICATE", certificate(t, &key.PublicKey, key))
	if change != nil {
		change(&cfg)
	}
	return p, New(cfg)
}

const (
	paymentID = "0197a1b2-0000-7000-8000-000000000001"
	resultAt  = "https://example.test/v1/hooks/br/x"
	timeoutAt = "https://example.test/v1/hooks/br/y"
)

var (
	goodB2C = B2CRequest{OriginatorConversationID: paymentID, Phone: "+254712345678", AmountMinor: 150_00, Remarks: "Withdrawal",
		ResultURL: resultAt, TimeoutURL: timeoutAt}
	goodB2B = B2BRequest{CommandID: BusinessPayToBulk, Receiver: "600000", AmountMinor: 150_00, Remarks: "Float", AccountReference: "float",
		ResultURL: resultAt, TimeoutURL: timeoutAt}
	goodStatus   = StatusRequest{OriginalConversationID: paymentID, Remarks: "status", ResultURL: resultAt, TimeoutURL: timeoutAt}
	goodBalance  = BalanceRequest{Remarks: "balance", ResultURL: resultAt, TimeoutURL: timeoutAt}
	goodReversal = ReversalRequest{Receipt: "nlj41hay6q", AmountMinor: 150_00, Remarks: "return", ResultURL: resultAt, TimeoutURL: timeoutAt}
)

// orders are the five operations with a good request each.
func orders(c *Client) map[string]func(context.Context) (Ack, error) {
	return map[string]func(context.Context) (Ack, error){
		"/mpesa/b2c/v3/paymentrequest":      func(ctx context.Context) (Ack, error) { return c.PayB2C(ctx, goodB2C) },
		"/mpesa/b2b/v1/paymentrequest":      func(ctx context.Context) (Ack, error) { return c.PayB2B(ctx, goodB2B) },
		"/mpesa/transactionstatus/v1/query": func(ctx context.Context) (Ack, error) { return c.QueryStatus(ctx, goodStatus) },
		"/mpesa/accountbalance/v1/query":    func(ctx context.Context) (Ack, error) { return c.QueryBalance(ctx, goodBalance) },
		"/mpesa/reversal/v1/request":        func(ctx context.Context) (Ack, error) { return c.Reverse(ctx, goodReversal) },
	}
}

func TestOrdersOnTheWire(t *testing.T) {
	t.Parallel()
	common := map[string]string{"ResultURL": resultAt, "QueueTimeOutURL": timeoutAt}
	want := map[string]map[string]string{
		"/mpesa/b2c/v3/paymentrequest": {"OriginatorConversationID": paymentID, "InitiatorName": "testapi", "CommandID": "BusinessPayment",
			"Amount": "150", "PartyA": "174379", "PartyB": "254712345678", "Remarks": "Withdrawal"},
		"/mpesa/b2b/v1/paymentrequest": {"Initiator": "testapi", "CommandID": "BusinessPayToBulk", "SenderIdentifierType": "4",
			"RecieverIdentifierType": "4", "Amount": "150", "PartyA": "174379", "PartyB": "600000", "AccountReference": "float", "Remarks": "Float"},
		"/mpesa/transactionstatus/v1/query": {"Initiator": "testapi", "CommandID": "TransactionStatusQuery", "PartyA": "174379",
			"IdentifierType": "4", "OriginalConversationID": paymentID, "Remarks": "status"},
		"/mpesa/accountbalance/v1/query": {"Initiator": "testapi", "CommandID": "AccountBalance", "PartyA": "174379", "IdentifierType": "4",
			"Remarks": "balance"},
		"/mpesa/reversal/v1/request": {"Initiator": "testapi", "CommandID": "TransactionReversal", "TransactionID": "NLJ41HAY6Q", "Amount": "150",
			"ReceiverParty": "174379", "RecieverIdentifierType": "11", "Remarks": "return"},
	}
	p, c := newOrders(t, acknowledge(paymentID), nil)
	for path, send := range orders(c) {
		ack, err := send(t.Context())
		if err != nil || ack != (Ack{ConversationID: "AG_1", OriginatorConversationID: paymentID}) {
			t.Errorf("%s = %+v, %v", path, ack, err)
		}
		seen, bodies := p.calls()
		got := bodies[len(bodies)-1]
		if password := opened(t, got["SecurityCredential"]); password != initiatorPassword {
			t.Errorf("%s: credential %q", path, password)
		}
		delete(got, "SecurityCredential")
		maps.Copy(want[path], common)
		if seen[len(seen)-1].URL.Path != path || !maps.Equal(got, want[path]) {
			t.Errorf("%s: sent %v to %s, want %v", path, got, seen[len(seen)-1].URL.Path, want[path])
		}
	}
	r := goodStatus
	r.OriginalConversationID, r.Receipt = "", " nlj41hay6q"
	if _, err := c.QueryStatus(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	_, bodies := p.calls()
	if got := bodies[len(bodies)-1]; got["TransactionID"] != "NLJ41HAY6Q" || got["OriginalConversationID"] != "" {
		t.Errorf("by receipt: %v", got)
	}
}

func TestOrdersRefuseBadInputUnsent(t *testing.T) {
	t.Parallel()
	p, c := newOrders(t, acknowledge(paymentID), nil)
	long := strings.Repeat("x", 101)
	check := func(name string, err error) {
		t.Helper()
		if !Definite(err) || Busy(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(*B2CRequest){
		"cents": func(r *B2CRequest) { r.AmountMinor = 150_50 }, "below 10": func(r *B2CRequest) { r.AmountMinor = 9_00 },
		"above 250,000": func(r *B2CRequest) { r.AmountMinor = 250_001_00 }, "negative": func(r *B2CRequest) { r.AmountMinor = -150_00 },
		"foreign": func(r *B2CRequest) { r.Phone = "+256712345678" }, "no id": func(r *B2CRequest) { r.OriginatorConversationID = "" },
		"id with blanks": func(r *B2CRequest) { r.OriginatorConversationID = "a b" }, "command": func(r *B2CRequest) { r.CommandID = "Pay" },
		"remarks": func(r *B2CRequest) { r.Remarks = "x" }, "long remarks": func(r *B2CRequest) { r.Remarks = long },
		"occasion": func(r *B2CRequest) { r.Occasion = long }, "result": func(r *B2CRequest) { r.ResultURL = "" },
		"time-out": func(r *B2CRequest) { r.TimeoutURL = "" },
	} {
		r := goodB2C
		change(&r)
		_, err := c.PayB2C(t.Context(), r)
		check("b2c "+name, err)
	}
	for name, change := range map[string]func(*B2BRequest){
		"cents": func(r *B2BRequest) { r.AmountMinor = 50 }, "command": func(r *B2BRequest) { r.CommandID = BusinessPayment },
		"receiver":  func(r *B2BRequest) { r.Receiver = "+254712345678" },
		"reference": func(r *B2BRequest) { r.AccountReference = "12345678901234" },
		"type":      func(r *B2BRequest) { r.ReceiverType = "1" }, "requester": func(r *B2BRequest) { r.Requester = "254712345678" },
	} {
		r := goodB2B
		change(&r)
		_, err := c.PayB2B(t.Context(), r)
		check("b2b "+name, err)
	}
	for name, change := range map[string]func(*StatusRequest){
		"both": func(r *StatusRequest) { r.Receipt = "NLJ41HAY6Q" }, "neither": func(r *StatusRequest) { r.OriginalConversationID = "" },
		"receipt": func(r *StatusRequest) { r.OriginalConversationID, r.Receipt = "", "NLJ 41" },
	} {
		r := goodStatus
		change(&r)
		_, err := c.QueryStatus(t.Context(), r)
		check("status "+name, err)
	}
	for name, change := range map[string]func(*ReversalRequest){
		"cents": func(r *ReversalRequest) { r.AmountMinor = 50 }, "receipt": func(r *ReversalRequest) { r.Receipt = "" },
		"remarks": func(r *ReversalRequest) { r.Remarks = "" },
	} {
		r := goodReversal
		change(&r)
		_, err := c.Reverse(t.Context(), r)
		check("reversal "+name, err)
	}
	if n := p.count(); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
	for _, minor := range []int64{MinB2CMinor, MaxB2CMinor} {
		r := goodB2C
		r.AmountMinor = minor
		if _, err := c.PayB2C(t.Context(), r); err != nil {
			t.Errorf("at the limit %d: %v", minor, err)
		}
	}
}

func TestOrdersNeedAnInitiator(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Config){
		"no initiator": func(c *Config) { c.Initiator = "" }, "no password": func(c *Config) { c.InitiatorPassword = "" },
		"no certificate": func(c *Config) { c.Certificate = "" }, "bad certificate": func(c *Config) { c.Certificate = "x" },
	} {
		p, c := newOrders(t, acknowledge(paymentID), change)
		for path, send := range orders(c) {
			_, err := send(t.Context())
			if !Definite(err) || Busy(err) || p.count() != 0 || strings.Contains(fmt.Sprint(err), initiatorPassword) {
				t.Errorf("%s: %s: %v after %d calls", name, path, err, p.count())
			}
		}
	}
}

// TestOrderAnswers is what each synchronous answer proves about this send.
func TestOrderAnswers(t *testing.T) {
	t.Parallel()
	text := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status); fmt.Fprint(w, body) }
	}
	fault := func(status int, code, message string) http.HandlerFunc {
		return text(status, fmt.Sprintf(`{"requestId":"1-1-1","errorCode":%q,"errorMessage":%q}`, code, message))
	}
	for name, c := range map[string]struct {
		answer                    http.HandlerFunc
		definite, busy, duplicate bool
	}{
		"invalid field": {fault(400, "400.002.02", "Bad Request - Invalid PartyB"), true, false, false},
		"duplicate":     {fault(500, "500.002.1001", "Duplicate OriginatorConversationID."), false, false, true},
		"duplicate in a 200": {text(200, `{"ResponseCode":"15","ResponseDescription":"Duplicate OriginatorConversationID"}`), false, false,
			true},
		"duplicate as a 400":  {fault(400, "400.002.02", "Duplicate OriginatorConversationID"), false, false, true},
		"same code, no text":  {fault(500, "500.002.1001", "Service is currently under maintenance"), false, false, false},
		"refused in a 200":    {text(200, `{"ResponseCode":"1","ResponseDescription":"Rejected"}`), true, false, false},
		"older success":       {text(200, `{"ConversationID":"AG_1","ResponseCode":"00000000"}`), false, false, false},
		"server fault in 200": {fault(200, "500.003.1001", "Internal Server Error"), false, false, false},
		"spike arrest":        {fault(500, "500.003.02", "Spike arrest violation"), true, true, false},
		"quota":               {fault(500, "500.003.03", "Quota Violation"), true, true, false},
		"429":                 {text(429, ""), true, true, false},
		"internal":            {fault(500, "500.003.1001", "Internal Server Error"), false, false, false},
		"maintenance":         {text(503, "<html>"), false, false, false},
		"408":                 {text(408, ""), false, false, false},
		"page in a 200":       {text(200, "<html>"), false, false, false},
		"no ids":              {text(200, `{"ResponseCode":"0"}`), false, false, false},
		"no response code":    {text(200, `{"ConversationID":"AG_1"}`), false, false, false},
		"another payment":     {acknowledge("somebody-elses"), false, false, false},
		"broken connection":   {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, false, false, false},
	} {
		p, client := newOrders(t, c.answer, nil)
		ack, err := client.PayB2C(t.Context(), goodB2C)
		if name == "older success" {
			if err != nil || ack.OriginatorConversationID != paymentID {
				t.Errorf("%s: %+v, %v", name, ack, err)
			}
			continue
		}
		if err == nil || Definite(err) != c.definite || Busy(err) != c.busy || Duplicate(err) != c.duplicate || p.count() != 1 {
			t.Errorf("%s: %v: definite %v, busy %v, duplicate %v, %d calls", name, err, Definite(err), Busy(err), Duplicate(err), p.count())
		}
	}
	p, client := newOrders(t, nil, nil)
	p.server.Close()
	if _, err := client.PayB2C(t.Context(), goodB2C); !Definite(err) || !Busy(err) || Duplicate(err) {
		t.Errorf("nobody listens: %v", err)
	}
}

func TestOrderDeadlineIsUnknown(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	p, c := newOrders(t, func(http.ResponseWriter, *http.Request) { <-release }, func(c *Config) { c.Timeout = time.Second })
	t.Cleanup(func() { close(release) }) // before the server is closed, which waits for its handlers
	if err := c.Authorize(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	_, err := c.PayB2C(ctx, goodB2C)
	if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) || Definite(err) || p.count() != 1 {
		t.Errorf("%v after %d calls", err, p.count())
	}
}

func TestBreakerPerOperation(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	down.Store(true)
	p, c := newOrders(t, func(w http.ResponseWriter, r *http.Request) {
		if down.Load() && strings.Contains(r.URL.Path, "b2c") {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(w, acknowledged, paymentID)
	}, nil)
	for range breakerCalls {
		if _, err := c.PayB2C(t.Context(), goodB2C); Definite(err) {
			t.Fatalf("a 503 proves nothing: %v", err)
		}
	}
	before := p.count()
	if _, err := c.PayB2C(t.Context(), goodB2C); !Definite(err) || !Busy(err) || !errors.Is(err, errOpen) || p.count() != before {
		t.Errorf("the breaker is closed after %d failures: %v", breakerCalls, err)
	}
	if _, err := c.QueryStatus(t.Context(), goodStatus); err != nil {
		t.Errorf("another operation: %v", err)
	}
	down.Store(false)
	b := c.pace.breaker("/mpesa/b2c/v3/paymentrequest")
	b.HalfOpen()
	if _, err := c.PayB2C(t.Context(), goodB2C); err != nil || !b.IsClosed() {
		t.Errorf("one good answer closes it: %v", err)
	}
}

func TestRefusalsDoNotOpenTheBreaker(t *testing.T) {
	t.Parallel()
	p, c := newOrders(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, `{"errorCode":"500.002.1001","errorMessage":"Duplicate OriginatorConversationID."}`)
	}, nil)
	for i := range 2 * breakerCalls {
		if _, err := c.PayB2C(t.Context(), goodB2C); !Duplicate(err) || p.count() != i+1 {
			t.Fatalf("call %d: %v, %d sent", i+1, err, p.count())
		}
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	p, c := newOrders(t, acknowledge(paymentID), func(c *Config) { c.PerSecond = 1 })
	if _, err := c.PayB2C(t.Context(), goodB2C); err != nil {
		t.Fatal(err)
	}
	for c.pace.rate.TryReservePermit(maxRateWait) >= 0 { // others wait already, as long as one may
		continue
	}
	if _, err := c.PayB2C(t.Context(), goodB2C); !Definite(err) || !Busy(err) || !errors.Is(err, errRate) || p.count() != 1 {
		t.Errorf("beyond the rate: %v after %d calls", err, p.count())
	}
}
