package testworld

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// Mpesa is a scripted Daraja for exact orders of events; the sandbox module is the faithful one.
type Mpesa struct {
	URL string

	mu     sync.Mutex
	push   string // "", busy, error, lose
	query  string // result code, "" for no answer
	pushes []map[string]string
	books  []map[string]any // what Pull Transactions shows
	pulls  int
	shut   bool // Pull Transactions refuses every question
	before func()

	reverseAnswer        string
	crash                bool
	reversals, questions []map[string]string
}

func newMpesa(t testing.TB) *Mpesa {
	m := &Mpesa{query: "4999"}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /oauth/v1/generate", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"access_token":"token","expires_in":"3599"}`))
	})
	mux.HandleFunc("POST /mpesa/stkpush/v1/processrequest", m.stkPush)
	mux.HandleFunc("POST /mpesa/stkpushquery/v1/query", m.stkQuery)
	mux.HandleFunc("POST /mpesa/reversal/v1/request", m.reverse)
	mux.HandleFunc("POST /mpesa/transactionstatus/v1/query", m.status)
	mux.HandleFunc("POST /mpesa/accountbalance/v1/query", m.status)
	mux.HandleFunc("POST /pulltransactions/v1/query", m.pull)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	m.URL = srv.URL
	return m
}

// AnswerPush says how the next prompts are answered: "" accepts, busy and error are 500s, lose breaks the connection.
func (m *Mpesa) AnswerPush(how string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.push = how
}

// AnswerQuery sets the result code of queries; "" is no answer (500.001.1001).
func (m *Mpesa) AnswerQuery(code string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.query = code
}

// BeforeAnswer runs do before each further prompt is answered.
func (m *Mpesa) BeforeAnswer(do func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.before = do
}

// Pushes are the prompts that arrived, lost ones included.
func (m *Mpesa) Pushes() []map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]map[string]string(nil), m.pushes...)
}

// Book writes a payment into Safaricom's own books.
func (m *Mpesa) Book(receipt, account string, shillings int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.books = append(m.books, map[string]any{"transactionId": receipt, "trxDate": "2026-11-23T10:21:15+03:00", "msisdn": 254722000000,
		"sender":          "MPESA",
		"transactiontype": "c2b-pay-bill-debit", "billreference": account, "amount": fmt.Sprintf("%d.00", shillings), "organizationname": "X"})
}

// EmptyBooks forgets what was booked.
func (m *Mpesa) EmptyBooks() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.books = nil
}

// ShutBooks makes Pull Transactions refuse every question.
func (m *Mpesa) ShutBooks() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shut = true
}

// Pulls is how often the books were asked.
func (m *Mpesa) Pulls() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pulls
}

// pull shows all books on the first page; the scripted clock is not Safaricom's.
func (m *Mpesa) pull(w http.ResponseWriter, r *http.Request) {
	var body map[string]string
	_ = json.NewDecoder(r.Body).Decode(&body)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pulls++
	if m.shut {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte(`{"requestId":"1","errorCode":"500.003.02","errorMessage":"System is busy. Please try again in few minutes."}`))
		return
	}
	if len(m.books) == 0 || body["OffSetValue"] != "0" {
		_, _ = w.Write([]byte(`{"ResponseRefID":"r","ResponseCode":"1001","ResponseMessage":"nothing"}`))
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"ResponseRefID": "r", "ResponseCode": "1000", "ResponseMessage": "Success",
		"Response": [][]map[string]any{m.books}})
}

// CheckoutID is the CheckoutRequestID of the n-th prompt, from 1.
func CheckoutID(n int) string { return fmt.Sprintf("ws_CO_%d", n) }

func (m *Mpesa) stkPush(w http.ResponseWriter, r *http.Request) {
	var body map[string]string
	_ = json.NewDecoder(r.Body).Decode(&body)
	m.mu.Lock()
	how := m.push
	if how == "busy" {
		m.mu.Unlock()
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte(`{"requestId":"1","errorCode":"500.003.02","errorMessage":"System is busy. Please try again in few minutes."}`))
		return
	}
	m.pushes = append(m.pushes, body)
	n, before := len(m.pushes), m.before
	m.mu.Unlock()
	if before != nil {
		before()
	}
	if how == "lose" {
		panic(http.ErrAbortHandler)
	}
	_, _ = fmt.Fprintf(w, `{"MerchantRequestID":"m-%d","CheckoutRequestID":%q,"ResponseCode":"0","ResponseDescription":"ok",
		"CustomerMessage":"ok"}`, n, CheckoutID(n))
}

func (m *Mpesa) stkQuery(w http.ResponseWriter, r *http.Request) {
	var body map[string]string
	_ = json.NewDecoder(r.Body).Decode(&body)
	m.mu.Lock()
	code := m.query
	m.mu.Unlock()
	if code == "" {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte(`{"requestId":"1","errorCode":"500.001.1001","errorMessage":"The transaction is being processed"}`))
		return
	}
	_, _ = fmt.Fprintf(w, `{"ResponseCode":"0","ResponseDescription":"ok","MerchantRequestID":"m","CheckoutRequestID":%q,"ResultCode":%q,
		"ResultDesc":"d"}`,
		body["CheckoutRequestID"], code)
}

// StkSuccess is the body of a callback for a paid prompt.
func StkSuccess(checkoutID, receipt string, shillings int64) []byte {
	return fmt.Appendf(nil, `{"Body":{"stkCallback":{"MerchantRequestID":"m","CheckoutRequestID":%q,"ResultCode":0,"ResultDesc":"ok",
		"CallbackMetadata":{"Item":[{"Name":"Amount","Value":%d.00},{"Name":"MpesaReceiptNumber","Value":%q},{"Name":"Balance"},
		{"Name":"TransactionDate","Value":20261123102115},{"Name":"PhoneNumber","Value":254708374149}]}}}}`, checkoutID, shillings, receipt)
}

// StkFailure is the body of a callback for a prompt that was not paid.
func StkFailure(checkoutID, code string) []byte {
	return fmt.Appendf(nil, `{"Body":{"stkCallback":{"MerchantRequestID":"m","CheckoutRequestID":%q,"ResultCode":%s,"ResultDesc":"no"}}}`,
		checkoutID, code)
}

// C2b is the body of a paybill confirmation.
func C2b(receipt, account string, shillings int64) []byte {
	return fmt.Appendf(nil, `{"TransactionType":"Pay Bill","TransID":%q,"TransTime":"20261123102115","TransAmount":"%d.00",
		"BusinessShortCode":%q,
		"BillRefNumber":%q,"InvoiceNumber":"","OrgAccountBalance":"1.00","ThirdPartyTransID":"","MSISDN":"2547 ***** 126","FirstName":"A",
		"MiddleName":"","LastName":""}`,
		receipt, shillings, ShortCode, account)
}
