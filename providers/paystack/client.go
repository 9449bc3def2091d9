// Package paystack speaks Paystack's API for Kenya: hosted payments, mobile money, refunds, transfers to banks and wallets, and webhooks.
// It owns wire shapes and nothing else: what to do about an outcome is decided by the caller.
package paystack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sendtip/sendtip/providers/internal/wire"
	"github.com/sendtip/sendtip/providers/safaricom"
)

// ProductionURL serves test and live alike: the key decides which of the two it is.
const ProductionURL = "https://api.paystack.co"

// KES is the currency of requests that name none.
const KES = safaricom.Currency

// The two modes of Paystack. A payment of another domain than the key's is none.
const (
	Test = "test"
	Live = "live"
)

const (
	maxAnswerBytes = 1 << 20
	maxMinor       = 1<<53 - 1
)

// Config is what a client needs.
type Config struct {
	BaseURL   string
	SecretKey string           // sk_test_… or sk_live_…
	PerSecond int              // calls of this client to Paystack at most; 0: no limit
	HTTP      *http.Client     // nil: a client with a time-out of 20 s
	Now       func() time.Time // nil: the real time
}

// Domain is the mode that a secret key belongs to, "" if it is none of the two.
func Domain(secretKey string) string {
	switch {
	case strings.HasPrefix(secretKey, "sk_live_"):
		return Live
	case strings.HasPrefix(secretKey, "sk_test_"):
		return Test
	}
	return ""
}

// Client calls Paystack with one secret key. It is safe for concurrent use.
type Client struct {
	cfg  Config
	http *http.Client
	pace *pace
}

// New returns a client. It makes no call.
func New(cfg Config) *Client {
	if cfg.Now == nil {
		cfg.Now = time.Now //nolint:forbidigo // for tools; a service gives its clock
	}
	cfg.BaseURL = strings.TrimRight(cfg.BaseURL, "/")
	return &Client{cfg: cfg, http: wire.Client(cfg.HTTP), pace: newPace(cfg.PerSecond)}
}

// reference is what Paystack takes both for transactions (letters, digits, - . =) and for transfers (16 to 50 small letters, digits, - and
// _).
var reference = regexp.MustCompile(`^[a-z0-9-]{16,50}$`)

// ValidReference reports whether a text can be the reference of a transaction and of a transfer, as a UUID in small letters can.
func ValidReference(s string) bool { return reference.MatchString(s) }

var currencyCode = regexp.MustCompile(`^[A-Z]{3}$`)

// currencyOf is KES for the empty text: Paystack's own default is not the same everywhere.
func currencyOf(s string) (string, error) {
	if s == "" {
		return KES, nil
	}
	if !currencyCode.MatchString(s) {
		return "", invalid("Currency")
	}
	return s, nil
}

// request is one call. The operation has its own breaker.
type request struct {
	operation string
	method    string
	path      string
	query     url.Values
	body      any
}

func (c *Client) get(ctx context.Context, operation, path string, query url.Values, out any) error {
	return c.guarded(ctx, request{operation: operation, method: http.MethodGet, path: path, query: query}, out)
}

func (c *Client) post(ctx context.Context, path string, body, out any) error {
	return c.guarded(ctx, request{operation: path, method: http.MethodPost, path: path, body: body}, out)
}

// envelope is around every answer. Its status says that the call worked, and nothing about money.
type envelope struct {
	Status  *bool           `json:"status"`
	Message wire.Text       `json:"message"`
	Data    json.RawMessage `json:"data"`
	Type    wire.Text       `json:"type"`
	Code    wire.Text       `json:"code"`
}

// exchange sends one request and decodes the data of a success into out; everything else is an *Error.
func (c *Client) exchange(ctx context.Context, r request, out any) error {
	req, err := c.encode(ctx, r)
	if err != nil {
		return &Error{NotSent: true, Err: err}
	}
	resp, err := c.http.Do(req) //nolint:bodyclose // wire.ReadBody reads it to its limit and closes it
	if err != nil {
		return &Error{NotSent: wire.NeverSent(err), Err: err}
	}
	body, err := wire.ReadBody(resp, maxAnswerBytes)
	if err != nil {
		return &Error{HTTPStatus: resp.StatusCode, Message: "unreadable answer", Err: err}
	}
	var in envelope
	decoded := json.Unmarshal(body, &in) == nil && in.Status != nil
	switch {
	case !decoded && resp.StatusCode < 300:
		return unreadable()
	case !decoded: // a page of somebody in between
		return &Error{HTTPStatus: resp.StatusCode, RetryAfter: c.retryAfter(resp)}
	case resp.StatusCode >= 300 || !*in.Status:
		return &Error{HTTPStatus: resp.StatusCode, Type: string(in.Type), Code: string(in.Code), Message: wire.Scrub(string(in.Message)),
			RetryAfter: c.retryAfter(resp), refused: !*in.Status}
	}
	if err := json.Unmarshal(in.Data, out); err != nil {
		return unreadable()
	}
	return nil
}

func (c *Client) encode(ctx context.Context, r request) (*http.Request, error) {
	var body bytes.Buffer
	if r.body != nil {
		if err := json.NewEncoder(&body).Encode(r.body); err != nil {
			return nil, fmt.Errorf("encode: %w", err)
		}
	}
	address := c.cfg.BaseURL + r.path
	if len(r.query) > 0 {
		address += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, address, &body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.cfg.SecretKey)
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// maxRetryAfter bounds what an answer can ask us to wait.
const maxRetryAfter = time.Hour

// retryAfter reads seconds or a date; 0 if there is none.
func (c *Client) retryAfter(resp *http.Response) time.Duration {
	text := resp.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil && seconds >= 0 {
		return min(time.Duration(min(seconds, 3600))*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(at.Sub(c.cfg.Now()), 0), maxRetryAfter)
	}
	return 0
}
