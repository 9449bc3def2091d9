// Package africastalking speaks Africa's Talking's SMS API: sending one message and reading delivery reports. It owns
// wire shapes only; whether to send again is decided by the caller.
package africastalking

import (
	"context"
	"net/http"
	"net/url"
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

// SendResult is the gateway's answer to a message, for its recipient.
type SendResult struct {
	MessageID  string // key of the delivery reports; "" when refused
	StatusCode int    // 0 when the gateway named none
	Status     string
	Accepted   bool
	Retryable  bool // refused for a passing reason
	Cost       string
	Outcome    Outcome
}

// Send submits one message. A refusal of the recipient is a SendResult without an error; a refusal of the whole request
// is an *Error with the outcome Refused; everything else is an *Error with the outcome Unknown.
func (c *Client) Send(ctx context.Context, m Message) (SendResult, error) {
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

func failed(e *Error) (SendResult, error) {
	out := SendResult{Outcome: Unknown}
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
