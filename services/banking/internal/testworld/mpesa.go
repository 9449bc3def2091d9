package testworld

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
)

// Mpesa is a scripted Daraja for exact orders of events; the sandbox module is the faithful one.
type Mpesa struct {
	URL string

	mu        sync.Mutex
	answer    string // how payments are answered: "", refuse, duplicate, busy, error, lose
	script    func(payment map[string]string) string
	crash     bool // the client's goroutine ends when the next answer is there
	payments  []map[string]string
	questions []map[string]string
}

func newMpesa(t testing.TB) *Mpesa {
	m := &Mpesa{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /oauth/v1/generate", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"access_token":"token","expires_in":"3599"}`))
	})
	mux.HandleFunc("POST /mpesa/b2c/v3/paymentrequest", m.pay)
	mux.HandleFunc("POST /mpesa/transactionstatus/v1/query", m.ask)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	m.URL = srv.URL
	return m
}

// AnswerPay says how the next payments are answered: "" accepts, refuse, duplicate, busy and error are Daraja's errors, lose breaks the
// connection.
func (m *Mpesa) AnswerPay(how string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answer = how
}

// Script answers each payment as do says, in the words of AnswerPay.
func (m *Mpesa) Script(do func(payment map[string]string) string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.script = do
}

// CrashNext makes whoever calls next end with the answer in hand, as a process does that is killed: deferred calls run, nothing else does.
func (m *Mpesa) CrashNext(crash bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.crash = crash
}

// RoundTrip implements http.RoundTripper for the client.
func (m *Mpesa) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	m.mu.Lock()
	crash := m.crash && r.Method == http.MethodPost
	m.crash = m.crash && !crash
	m.mu.Unlock()
	if crash {
		if err == nil {
			_ = resp.Body.Close()
		}
		runtime.Goexit()
	}
	return resp, err
}

// Payments are the payments that arrived, lost ones included.
func (m *Mpesa) Payments() []map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]map[string]string(nil), m.payments...)
}

// Questions are the questions that arrived.
func (m *Mpesa) Questions() []map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]map[string]string(nil), m.questions...)
}

// Conversation is Daraja's id of the n-th payment, from 1.
func Conversation(n int) string { return fmt.Sprintf("AG_pay_%d", n) }

// Inquiry is Daraja's id of the n-th question, from 1.
func Inquiry(n int) string { return fmt.Sprintf("AG_ask_%d", n) }

func (m *Mpesa) pay(w http.ResponseWriter, r *http.Request) {
	var body map[string]string
	_ = json.NewDecoder(r.Body).Decode(&body)
	m.mu.Lock()
	m.payments = append(m.payments, body)
	n, how, script := len(m.payments), m.answer, m.script
	m.mu.Unlock()
	if script != nil {
		how = script(body)
	}
	fail := func(status int, code, message string) {
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"requestId":"1","errorCode":%q,"errorMessage":%q}`, code, message)
	}
	switch how {
	case "refuse":
		fail(http.StatusBadRequest, "400.002.02", "Bad Request - Invalid PartyB")
	case "duplicate":
		fail(http.StatusInternalServerError, "500.002.1001", "Duplicate OriginatorConversationID.")
	case "busy":
		fail(http.StatusInternalServerError, "500.003.02", "System is busy. Please try again in few minutes.")
	case "error":
		fail(http.StatusInternalServerError, "500.003.1001", "Internal Server Error")
	case "lose":
		panic(http.ErrAbortHandler)
	default:
		ack(w, Conversation(n), body["OriginatorConversationID"])
	}
}

func (m *Mpesa) ask(w http.ResponseWriter, r *http.Request) {
	var body map[string]string
	_ = json.NewDecoder(r.Body).Decode(&body)
	m.mu.Lock()
	m.questions = append(m.questions, body)
	n := len(m.questions)
	m.mu.Unlock()
	ack(w, Inquiry(n), "question")
}

func ack(w http.ResponseWriter, conversation, originator string) {
	_, _ = fmt.Fprintf(w, `{"ConversationID":%q,"OriginatorConversationID":%q,"ResponseCode":"0","ResponseDescription":"ok"}`, conversation,
		originator)
}

// At is the token and the request's id in an address that a request named.
func At(url string) (token string, request uuid.UUID) {
	parts := strings.Split(url[strings.Index(url, "/br/")+len("/br/"):], "/")
	return parts[0], uuid.MustParse(parts[1])
}

// Success is the body of a result of a payment that was made.
func Success(w uuid.UUID, conversation, receipt string, shillings int64) []byte {
	return fmt.Appendf(nil, `{"Result":{"ResultType":0,"ResultCode":0,"ResultDesc":"ok","OriginatorConversationID":%q,"ConversationID":%q,
		"TransactionID":%q,"ResultParameters":{"ResultParameter":[{"Key":"TransactionAmount","Value":%d},{"Key":"TransactionReceipt","Value":%q},
		{"Key":"B2CUtilityAccountAvailableFunds","Value":1000.00}]}}}`, w.String(), conversation, receipt, shillings, receipt)
}

// Failure is the body of a result of a payment that was not made.
func Failure(w uuid.UUID, conversation, code string) []byte {
	return fmt.Appendf(nil, `{"Result":{"ResultType":0,"ResultCode":%q,"ResultDesc":"no","OriginatorConversationID":%q,"ConversationID":%q,
		"TransactionID":"SKE0000000"}}`, code, w.String(), conversation)
}

// TimedOut is the body of the notice that a request waited too long in the queue.
func TimedOut(w uuid.UUID, conversation string) []byte {
	return fmt.Appendf(nil, `{"Result":{"ResultType":1,"ResultCode":1,"ResultDesc":"The service request timed out.",
		"OriginatorConversationID":%q,
		"ConversationID":%q}}`, w.String(), conversation)
}

// State is the body of an answer to a question: what became of a withdrawal.
func State(w uuid.UUID, inquiry, status, receipt string, shillings int64) []byte {
	return fmt.Appendf(nil, `{"Result":{"ResultType":0,"ResultCode":0,"ResultDesc":"ok","OriginatorConversationID":"question",
		"ConversationID":%q,
		"TransactionID":"SKE0000000","ResultParameters":{"ResultParameter":[{"Key":"TransactionStatus","Value":%q},{"Key":"ReceiptNo","Value":%q},
		{"Key":"Amount","Value":%d},{"Key":"OriginatorConversationID","Value":%q}]}}}`, inquiry, status, receipt, shillings, w.String())
}
