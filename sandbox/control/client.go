package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// pollEvery is how often the Wait methods look again.
const pollEvery = 25 * time.Millisecond

// Client drives a sandbox. It is safe for concurrent use.
type Client struct {
	base string
	http *http.Client
}

// New returns a client for the sandbox at baseURL; a nil client gets a time-out of 10 s.
func New(baseURL string, client *http.Client) *Client {
	if client == nil {
		client = &http.Client{Timeout: 10 * time.Second}
	}
	return &Client{base: strings.TrimRight(baseURL, "/"), http: client}
}

func phonePath(msisdn string, rest string) string {
	return "/sandbox/phones/" + url.PathEscape(strings.TrimPrefix(msisdn, "+")) + rest
}

// SetScript replaces the global script.
func (c *Client) SetScript(ctx context.Context, s Script) error {
	return c.do(ctx, http.MethodPut, "/sandbox/script", s, nil)
}

// SetPhoneScript replaces the script of one phone; the empty script removes it.
func (c *Client) SetPhoneScript(ctx context.Context, msisdn string, s Script) error {
	return c.do(ctx, http.MethodPut, phonePath(msisdn, "/script"), s, nil)
}

// QueueScript adds a script for one later prompt of the phone, or for a payout to it if it says something about payouts (Script.ForPayout).
// Queued scripts are used in order, once each.
func (c *Client) QueueScript(ctx context.Context, msisdn string, s Script) error {
	return c.do(ctx, http.MethodPost, phonePath(msisdn, "/script"), s, nil)
}

// SetBalance sets a phone's M-Pesa balance in KES minor units.
func (c *Client) SetBalance(ctx context.Context, msisdn string, minor int64) error {
	return c.do(ctx, http.MethodPut, phonePath(msisdn, "/balance"), map[string]int64{"balance_minor": minor}, nil)
}

// Phones lists the phones seen, newest first.
func (c *Client) Phones(ctx context.Context) ([]Phone, error) {
	return list[Phone](ctx, c, "/sandbox/phones")
}

// Phone returns one phone.
func (c *Client) Phone(ctx context.Context, msisdn string) (Phone, error) {
	var out Phone
	err := c.do(ctx, http.MethodGet, phonePath(msisdn, ""), nil, &out)
	return out, err
}

// Messages returns a phone's inbox, oldest first.
func (c *Client) Messages(ctx context.Context, msisdn string) ([]Message, error) {
	return list[Message](ctx, c, phonePath(msisdn, "/messages"))
}

// Mails returns all mails, oldest first.
func (c *Client) Mails(ctx context.Context) ([]Mail, error) {
	return list[Mail](ctx, c, "/sandbox/mails")
}

// Deliveries returns the callbacks sent, oldest first.
func (c *Client) Deliveries(ctx context.Context) ([]Delivery, error) {
	return list[Delivery](ctx, c, "/sandbox/deliveries")
}

// Statement returns what was really paid.
func (c *Client) Statement(ctx context.Context) (Statement, error) {
	var out Statement
	err := c.do(ctx, http.MethodGet, "/sandbox/statement", nil, &out)
	return out, err
}

// Prompt returns the phone's open prompt, nil if there is none.
func (c *Client) Prompt(ctx context.Context, msisdn string) (*Prompt, error) {
	var out struct{ Prompt *Prompt }
	err := c.do(ctx, http.MethodGet, phonePath(msisdn, "/prompt"), nil, &out)
	return out.Prompt, err
}

// Pay answers the open prompt with a PIN; "1234" is right.
func (c *Client) Pay(ctx context.Context, msisdn, pin string) (AnswerResult, error) {
	return c.Answer(ctx, msisdn, Answer{Action: "pay", PIN: pin})
}

// Cancel dismisses the open prompt (1032).
func (c *Client) Cancel(ctx context.Context, msisdn string) (AnswerResult, error) {
	return c.Answer(ctx, msisdn, Answer{Action: "cancel"})
}

// Answer answers the open prompt; without one it is an error.
func (c *Client) Answer(ctx context.Context, msisdn string, a Answer) (AnswerResult, error) {
	var out AnswerResult
	err := c.do(ctx, http.MethodPost, phonePath(msisdn, "/answer"), a, &out)
	return out, err
}

// C2B pays the paybill by hand and returns the entry; a refusal (balance, validation) is an error.
func (c *Client) C2B(ctx context.Context, p C2BPayment) (Entry, error) {
	var out Entry
	err := c.do(ctx, http.MethodPost, "/sandbox/c2b", p, &out)
	return out, err
}

// Forge tells the platform of a payment of the caller's making, from a stranger's address.
func (c *Client) Forge(ctx context.Context, f Forgery) (Forged, error) {
	var out Forged
	err := c.do(ctx, http.MethodPost, "/sandbox/forgeries", f, &out)
	return out, err
}

// SetSMSReportURL sets where delivery reports go; "" turns them off.
func (c *Client) SetSMSReportURL(ctx context.Context, address string) error {
	return c.do(ctx, http.MethodPut, "/sandbox/sms-report-url", map[string]string{"url": address}, nil)
}

// RevokeTokens makes every M-Pesa access token invalid, as if all had expired early.
func (c *Client) RevokeTokens(ctx context.Context) error {
	return c.do(ctx, http.MethodDelete, "/sandbox/tokens", nil, nil)
}

// WaitSMS returns the first message in the phone's inbox for which match is true, waiting for it until ctx ends.
// A nil match takes any message.
func (c *Client) WaitSMS(ctx context.Context, msisdn string, match func(Message) bool) (Message, error) {
	return wait(ctx, "sms", func() ([]Message, error) { return c.Messages(ctx, msisdn) }, match)
}

// WaitMail is WaitSMS for mails.
func (c *Client) WaitMail(ctx context.Context, match func(Mail) bool) (Mail, error) {
	return wait(ctx, "mail", func() ([]Mail, error) { return c.Mails(ctx) }, match)
}

// WaitDelivery is WaitSMS for callbacks that were sent or lost.
func (c *Client) WaitDelivery(ctx context.Context, match func(Delivery) bool) (Delivery, error) {
	return wait(ctx, "delivery", func() ([]Delivery, error) { return c.Deliveries(ctx) }, match)
}

// WaitPrompt waits until the phone shows a prompt.
func (c *Client) WaitPrompt(ctx context.Context, msisdn string) (Prompt, error) {
	return wait(ctx, "prompt", func() ([]Prompt, error) {
		p, err := c.Prompt(ctx, msisdn)
		if p == nil {
			return nil, err
		}
		return []Prompt{*p}, err
	}, nil)
}

func wait[T any](ctx context.Context, what string, look func() ([]T, error), match func(T) bool) (T, error) {
	var zero T
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		items, err := look()
		if err != nil && ctx.Err() == nil {
			return zero, err
		}
		for _, item := range items {
			if match == nil || match(item) {
				return item, nil
			}
		}
		select {
		case <-ctx.Done():
			return zero, fmt.Errorf("wait for %s (%d seen, none matched): %w", what, len(items), ctx.Err())
		case <-ticker.C:
		}
	}
}

func list[T any](ctx context.Context, c *Client, path string) ([]T, error) {
	var out struct{ Data []T }
	err := c.do(ctx, http.MethodGet, path, nil, &out)
	return out.Data, err
}

func (c *Client) do(ctx context.Context, method, path string, in, out any) error {
	raw, err := c.exchange(ctx, method, path, in)
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(raw, out)
}

// exchange sends one request and returns the answer's body; a refusal is an error.
func (c *Client) exchange(ctx context.Context, method, path string, in any) ([]byte, error) {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) { // its text holds the address, and that a phone number
			err = u.Err
		}
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	if resp.StatusCode >= 300 {
		var refused struct{ Error string }
		_ = json.Unmarshal(raw, &refused)
		return nil, fmt.Errorf("sandbox: http %d: %s", resp.StatusCode, refused.Error)
	}
	return raw, nil
}
