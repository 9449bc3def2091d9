// Package daraja speaks Safaricom's M-Pesa API: STK push and query, C2B registration, the initiator's orders (B2C, B2B, status, balance,
// reversal), and the shapes of callbacks and results.
// It owns wire shapes and nothing else: what to do about an outcome is decided by the caller.
package daraja

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sendtip/sendtip/providers/internal/wire"
)

// Base addresses of Safaricom's two environments.
const (
	SandboxURL    = "https://sandbox.safaricom.co.ke"
	ProductionURL = "https://api.safaricom.co.ke"
)

const maxAnswerBytes = 256 << 10

// nairobi is East Africa Time. Kenya has no daylight saving, so a fixed zone needs no time zone database.
var nairobi = time.FixedZone("EAT", 3*60*60)

// stampLayout is the YYYYMMDDHHmmss of every Daraja time, in EAT.
const stampLayout = "20060102150405"

// Config is what a client needs. All texts come from the provider's portal; none has a default.
type Config struct {
	BaseURL        string
	ConsumerKey    string
	ConsumerSecret string
	ShortCode      string
	Passkey        string           // for STK only
	HTTP           *http.Client     // nil: a client with a time-out of 20 s
	Now            func() time.Time // nil: the real time

	// For the initiator's orders only: PayB2C, PayB2B, QueryStatus, QueryBalance, Reverse.
	Initiator         string        // the API user's name
	InitiatorPassword string        // expires every 90 days at Safaricom
	Certificate       string        // Safaricom's, of this environment; see ParseCertificate
	Timeout           time.Duration // of one order as a whole; 0: 30 s
	PerSecond         int           // calls of this client to Daraja at most; 0: no limit
}

// orderTimeout bounds an order: its token, its turn, the request itself and one repetition with a new token.
const orderTimeout = 30 * time.Second

// Client calls Daraja for one short code. It is safe for concurrent use; all calls share one access token.
type Client struct {
	cfg    Config
	http   *http.Client
	tokens *tokenCache
	pace   *pace
}

// New returns a client. It makes no call; the first operation fetches the token.
func New(cfg Config) *Client {
	if cfg.Now == nil {
		cfg.Now = time.Now //nolint:forbidigo // for tools; a service gives its clock
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = orderTimeout
	}
	cfg.BaseURL = strings.TrimRight(cfg.BaseURL, "/")
	c := &Client{cfg: cfg, http: wire.Client(cfg.HTTP), pace: newPace(cfg.PerSecond)}
	c.tokens = newTokenCache(cfg.Now, c.fetchToken)
	return c
}

// Password is the STK password: base64 of short code, passkey and the EAT timestamp sent beside it.
func Password(shortCode, passkey, timestamp string) string {
	return base64.StdEncoding.EncodeToString([]byte(shortCode + passkey + timestamp))
}

// Timestamp writes t the way Daraja wants it: YYYYMMDDHHmmss in Nairobi time.
func Timestamp(t time.Time) string { return t.In(nairobi).Format(stampLayout) }

// ParseTimestamp reads a Daraja time (EAT) and returns it in UTC.
func ParseTimestamp(s string) (time.Time, error) {
	t, err := time.ParseInLocation(stampLayout, s, nairobi)
	if err != nil {
		return time.Time{}, errors.New("not a Daraja time")
	}
	return t.UTC(), nil
}

// Authorize makes sure that there is an access token. An operation that must not be half sent asks first: without a token nothing leaves.
func (c *Client) Authorize(ctx context.Context) error {
	if _, err := c.tokens.get(ctx); err != nil {
		return notSent(err)
	}
	return nil
}

// call posts body and decodes a 200 into out. A token that Daraja calls invalid is replaced once and the call
// repeated once: such a refusal proves that the first attempt did nothing.
func (c *Client) call(ctx context.Context, path string, body, out any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return &Error{NotSent: true, Err: fmt.Errorf("encode: %w", err)}
	}
	if err := c.pace.turn(ctx); err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		token, err := c.tokens.get(ctx)
		if err != nil {
			return notSent(err)
		}
		answer, err := c.post(ctx, path, token, raw)
		var refused *Error
		if attempt == 1 && errors.As(err, &refused) && refused.invalidToken() {
			c.tokens.drop(token)
			continue
		}
		if err != nil {
			return err
		}
		if err := json.Unmarshal(answer, out); err != nil {
			return &Error{HTTPStatus: http.StatusOK, Message: "unreadable answer"}
		}
		return nil
	}
}

func (c *Client) post(ctx context.Context, path, token string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.BaseURL+path, bytes.NewReader(body))
	if err != nil {
		return nil, &Error{NotSent: true, Err: err}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	return c.do(req)
}

// do sends one request and returns the body of a 200; everything else is an *Error.
func (c *Client) do(req *http.Request) ([]byte, error) {
	resp, err := c.http.Do(req) //nolint:bodyclose // wire.ReadBody reads it to its limit and closes it
	if err != nil {
		return nil, &Error{NotSent: wire.NeverSent(err), Err: err}
	}
	body, err := wire.ReadBody(resp, maxAnswerBytes)
	if err != nil {
		return nil, &Error{HTTPStatus: resp.StatusCode, Message: "unreadable answer", Err: err}
	}
	if fault := parseError(resp.StatusCode, body); fault != nil {
		return nil, fault
	}
	return body, nil
}
