package testworld

import (
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"strings"

	"github.com/google/uuid"
)

// AnswerReverse says how the next reversals are answered: "" accepts, refuse and busy are Daraja's errors, lose breaks the connection.
// Nothing but refuse and busy keeps Safaricom from carrying one out.
func (m *Mpesa) AnswerReverse(how string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reverseAnswer = how
}

// CrashNext makes whoever posts next end with the answer in hand, as a process does that is killed.
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

// Reversals are the orders to give a payment back that Safaricom took.
func (m *Mpesa) Reversals() []map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]map[string]string(nil), m.reversals...)
}

// Questions are the status queries that arrived.
func (m *Mpesa) Questions() []map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]map[string]string(nil), m.questions...)
}

// ReversalID and OriginatorID are Safaricom's ids of the n-th reversal, QuestionID that of the n-th question, from 1.
func ReversalID(n int) string { return fmt.Sprintf("AG_rev_%d", n) }

// OriginatorID is the name by which the n-th reversal can be asked for.
func OriginatorID(n int) string { return fmt.Sprintf("53e3-4aa8-%d", n) }

// QuestionID is Safaricom's id of the n-th question.
func QuestionID(n int) string { return fmt.Sprintf("AG_ask_%d", n) }

func (m *Mpesa) reverse(w http.ResponseWriter, r *http.Request) {
	var body map[string]string
	_ = json.NewDecoder(r.Body).Decode(&body)
	m.mu.Lock()
	how := m.reverseAnswer
	if how != "refuse" && how != "busy" {
		m.reversals = append(m.reversals, body)
	}
	n := len(m.reversals)
	m.mu.Unlock()
	switch how {
	case "refuse":
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"requestId":"1","errorCode":"400.002.02","errorMessage":"Bad Request - Invalid TransactionID"}`))
	case "busy":
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte(`{"requestId":"1","errorCode":"500.003.02","errorMessage":"System is busy. Please try again in few minutes."}`))
	case "lose":
		panic(http.ErrAbortHandler)
	default:
		ack(w, ReversalID(n), OriginatorID(n))
	}
}

func (m *Mpesa) status(w http.ResponseWriter, r *http.Request) {
	var body map[string]string
	_ = json.NewDecoder(r.Body).Decode(&body)
	m.mu.Lock()
	m.questions = append(m.questions, body)
	n := len(m.questions)
	m.mu.Unlock()
	ack(w, QuestionID(n), fmt.Sprintf("ask-%d", n))
}

func ack(w http.ResponseWriter, conversation, originator string) {
	_, _ = fmt.Fprintf(w, `{"ConversationID":%q,"OriginatorConversationID":%q,"ResponseCode":"0",
		"ResponseDescription":"Accept the service request successfully."}`, conversation, originator)
}

// At is the token and the request's id in an address that a request named.
func At(url string) (token string, request uuid.UUID) {
	_, rest, _ := strings.Cut(url, "/wr/")
	parts := strings.Split(rest, "/")
	return parts[0], uuid.MustParse(parts[1])
}

// Reversed is the body of a result of the n-th reversal: the payer has the money.
func Reversed(n int, original, receipt string, shillings int64) []byte {
	return fmt.Appendf(nil, `{"Result":{"ResultType":0,"ResultCode":0,"ResultDesc":"ok","OriginatorConversationID":%q,"ConversationID":%q,
		"TransactionID":%q,"ResultParameters":{"ResultParameter":[{"Key":"Amount","Value":%d},{"Key":"OriginalTransactionID","Value":%q},
		{"Key":"Charge","Value":0}]}}}`, OriginatorID(n), ReversalID(n), receipt, shillings, original)
}

// NotReversed is the body of a result of the n-th reversal that did nothing, with Safaricom's code; R000001 says that it was done before.
func NotReversed(n int, code string) []byte {
	return fmt.Appendf(nil, `{"Result":{"ResultType":0,"ResultCode":%q,"ResultDesc":"no","OriginatorConversationID":%q,"ConversationID":%q,
		"TransactionID":"SKE0000000"}}`, code, OriginatorID(n), ReversalID(n))
}

// State is the body of an answer to the n-th question: what became of a transaction.
func State(n int, originator, status, receipt string, shillings int64) []byte {
	return fmt.Appendf(nil, `{"Result":{"ResultType":0,"ResultCode":0,"ResultDesc":"ok","OriginatorConversationID":"question",
		"ConversationID":%q,"TransactionID":"SKE0000000",
		"ResultParameters":{"ResultParameter":[{"Key":"TransactionStatus","Value":%q},{"Key":"ReceiptNo","Value":%q},
		{"Key":"Amount","Value":%d},{"Key":"OriginatorConversationID","Value":%q}]}}}`, QuestionID(n), status, receipt, shillings, originator)
}

// Balances is the body of an answer to the n-th question, about the short code's accounts.
func Balances(n int, accounts string) []byte {
	return fmt.Appendf(nil, `{"Result":{"ResultType":0,"ResultCode":0,"ResultDesc":"ok","OriginatorConversationID":"question",
		"ConversationID":%q,"TransactionID":"SKE0000000",
		"ResultParameters":{"ResultParameter":[{"Key":"AccountBalance","Value":%q},{"Key":"BOCompletedTime","Value":20261123102115}]}}}`,
		QuestionID(n), accounts)
}
