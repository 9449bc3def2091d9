// Package africastalking speaks Africa's Talking's SMS API: sending one message and reading delivery reports. It owns
// wire shapes only; whether to send again is decided by the caller.
package africastalking

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/sendtip/sendtip/providers/internal/wire"
)

// Hosts of the two environments. In the sandbox the username is "sandbox".
const (
	SandboxURL    = "https://api.sandbox.africastalking.com"
	ProductionURL = "https://api.africastalking.com"
)

const maxAnswerBytes = 256 << 10

// Config is what a client needs.
type Config struct {
	BaseURL  string
	Username string
	APIKey   string
	HTTP     *http.Client // nil: a client with a time-out of 20 s
}

// Client sends messages. It is safe for concurrent use.
type Client struct {
	cfg  Config
	http *http.Client
}

// New returns a client.
func New(cfg Config) *Client {
	cfg.BaseURL = strings.TrimRight(cfg.BaseURL, "/")
	return &Client{cfg: cfg, http: wire.Client(cfg.HTTP)}
}

// Message is one text to one phone.
type Message struct {
	To   string // E.164
	Text string
	From string // registered sender id or short code; "" is the shared sender
}

// Outcome is what is known about one send.
type Outcome string

// Unknown means that the message may have gone out: there is no idempotency key, so sending again may deliver twice.
const (
	Accepted Outcome = "accepted"
	Refused  Outcome = "refused"
	Unknown  Outcome = "unknown"
)

// Receipt is the gateway's answer for the recipient.
type Receipt struct {
	MessageID  string // key of the delivery reports; "" when refused
	StatusCode int    // 0 when the gateway named none
	Status     string
	Accepted   bool
	Retryable  bool // refused for a passing reason
	Cost       string
	Outcome    Outcome
}

// status is one row of the gateway's status table.
type status struct {
	accepted, retryable bool
}

var statuses = map[int]status{
	100: {accepted: true},  // Processed
	101: {accepted: true},  // Sent
	102: {accepted: true},  // Queued
	401: {},                // RiskHold
	402: {},                // InvalidSenderId
	403: {},                // InvalidPhoneNumber
	404: {},                // UnsupportedNumberType
	405: {retryable: true}, // InsufficientBalance, after a top-up
	406: {},                // UserInBlacklist
	407: {retryable: true}, // CouldNotRoute
	409: {},                // DoNotDisturbRejection
	500: {retryable: true}, // InternalServerError
	501: {retryable: true}, // GatewayError
	502: {},                // RejectedByGateway
}

// Send submits one message. A refusal of the recipient is a Receipt without an error; a refusal of the whole request
// is an *Error with the outcome Refused; everything else is an *Error with the outcome Unknown.
func (c *Client) Send(ctx context.Context, m Message) (Receipt, error) {
	if !strings.HasPrefix(m.To, "+") || strings.Contains(m.To, ",") || m.Text == "" {
		return failed(&Error{NotSent: true, Message: "invalid recipient or empty text"})
	}
	form := url.Values{"username": {c.cfg.Username}, "to": {m.To}, "message": {m.Text}, "bulkSMSMode": {"1"}}
	if m.From != "" {
		form.Set("from", m.From)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.BaseURL+"/version1/messaging", strings.NewReader(form.Encode()))
	if err != nil {
		return failed(&Error{NotSent: true, Err: err})
	}
	req.Header.Set("apiKey", c.cfg.APIKey)
	req.Header.Set("Accept", "application/json") // XML otherwise
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := c.http.Do(req) //nolint:bodyclose // wire.ReadBody reads it to its limit and closes it
	if err != nil {
		return failed(&Error{NotSent: wire.NeverSent(err), Err: err})
	}
	body, err := wire.ReadBody(resp, maxAnswerBytes)
	if err != nil {
		return failed(&Error{HTTPStatus: resp.StatusCode, Err: err})
	}
	if resp.StatusCode != http.StatusCreated && resp.StatusCode != http.StatusOK {
		return failed(&Error{HTTPStatus: resp.StatusCode, Message: wire.Scrub(string(body))}) // plain text, not JSON
	}
	return readAnswer(resp.StatusCode, body)
}

func readAnswer(httpStatus int, body []byte) (Receipt, error) {
	var answer struct {
		SMSMessageData *struct {
			Message    string
			Recipients []struct {
				StatusCode wire.Text `json:"statusCode"`
				Status     string    `json:"status"`
				Cost       wire.Text `json:"cost"`
				MessageID  string    `json:"messageId"`
			}
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.SMSMessageData == nil {
		return failed(&Error{HTTPStatus: httpStatus, Message: "unreadable answer"})
	}
	if len(answer.SMSMessageData.Recipients) == 0 { // refused as a whole, the reason is only in the text
		return Receipt{Status: wire.Scrub(answer.SMSMessageData.Message), Outcome: Refused}, nil
	}
	in := answer.SMSMessageData.Recipients[0]
	code, err := strconv.Atoi(string(in.StatusCode))
	known, ok := statuses[code]
	if err != nil || !ok {
		return failed(&Error{HTTPStatus: httpStatus, Message: "status that is not documented"})
	}
	out := Receipt{
		StatusCode: code, Status: wire.Scrub(in.Status), Accepted: known.accepted, Retryable: known.retryable,
		Cost: string(in.Cost), Outcome: Refused,
	}
	if known.accepted {
		out.Outcome = Accepted
	}
	if in.MessageID != "None" {
		out.MessageID = in.MessageID
	}
	return out, nil
}

func failed(e *Error) (Receipt, error) {
	out := Receipt{Outcome: Unknown}
	if e.Definite() {
		out.Outcome, out.Retryable = Refused, e.Retryable()
	}
	return out, e
}

// Error is a request without a readable answer for the recipient. HTTPStatus is 0 when no answer came.
type Error struct {
	HTTPStatus int
	Message    string
	NotSent    bool
	Err        error
}

// Error describes the failure without phone numbers.
func (e *Error) Error() string {
	return wire.Describe("africastalking", e.HTTPStatus, "", e.Message, e.Err)
}

// Unwrap returns the transport's error.
func (e *Error) Unwrap() error { return e.Err }

// Definite reports that the message certainly did not go out.
func (e *Error) Definite() bool {
	return e.NotSent || (e.HTTPStatus >= 400 && e.HTTPStatus < 500 && e.HTTPStatus != http.StatusRequestTimeout)
}

// Retryable reports a definite failure for a passing reason: no connection, or too many requests.
func (e *Error) Retryable() bool {
	return (e.NotSent && e.Err != nil) || e.HTTPStatus == http.StatusTooManyRequests
}

// DeliveryReport is one report about a message. Reports may be late, doubled or out of order: never move a final
// status back; (ID, Status) identifies a report. Reports are not signed.
type DeliveryReport struct {
	ID            string
	Status        string
	Final         bool
	Delivered     bool
	Phone         string // E.164
	NetworkCode   string
	FailureReason string // for Failed and Rejected only
	RetryCount    int
}

// reportStatuses maps a status to whether it is final. Statuses that are not listed are taken as not final.
var reportStatuses = map[string]bool{
	"Sent": false, "Submitted": false, "Buffered": false,
	"Success": true, "Failed": true, "Rejected": true, "AbsentSubscriber": true, "Expired": true,
}

// ParseDeliveryReport reads the form of a delivery report. One without id or status is an error.
func ParseDeliveryReport(form url.Values) (DeliveryReport, error) {
	out := DeliveryReport{
		ID: form.Get("id"), Status: form.Get("status"), Phone: form.Get("phoneNumber"),
		NetworkCode: form.Get("networkCode"), FailureReason: form.Get("failureReason"),
	}
	if out.ID == "" || out.Status == "" || len(out.ID) > 128 || len(out.Status) > 64 {
		return DeliveryReport{}, errors.New("delivery report: no id or status")
	}
	if n := form.Get("retryCount"); n != "" {
		count, err := strconv.Atoi(n)
		if err != nil {
			return DeliveryReport{}, fmt.Errorf("delivery report: retry count is not a number")
		}
		out.RetryCount = count
	}
	if strings.HasPrefix(out.Phone, " ") { // a "+" that was not escaped arrives as a space
		out.Phone = "+" + strings.TrimSpace(out.Phone)
	}
	out.Final, out.Delivered = reportStatuses[out.Status], out.Status == "Success"
	return out, nil
}
