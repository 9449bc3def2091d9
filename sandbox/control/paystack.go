package control

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// PaystackScript says how the simulated Paystack behaves. An empty field takes the account's, then the global, then the built-in value.
type PaystackScript struct {
	// Charge is who answers payments, on the hosted page or the phone: manual (a person on the page, or AnswerPaystack), pay, fail or
	// abandon (nobody ever answers).
	Charge string `json:"charge,omitempty"`
	// Answer is the synchronous answer to a request that changes something: normal; throttled (429), down (503) and error_before (500), after
	// which nothing is done; error (500), lose (the connection breaks) and hang (never an answer), although it is done.
	Answer string `json:"answer,omitempty"`
	// Query is the answer to a question about a payment, payout or refund: normal, throttled, error (500) or lose.
	Query string `json:"query,omitempty"`
	// Webhook is what happens to webhooks: normal, lose (all tries), delay (by WebhookDelayMS, else 5 s), duplicate (five at once), alter (ten
	// times the amount), other_domain (of the other mode; both signed), bad_signature (the true event under a wrong signature) or forge (a
	// stranger without the key tells of ten times the amount first, then the true one comes).
	Webhook string `json:"webhook,omitempty"`
	// Transfer is how payouts end: success, pending (for ever), otp (waits for a code; nothing moves, abandoned after 30 min), received,
	// failed, blocked, rejected or reversed (success, and given back later).
	Transfer string `json:"transfer,omitempty"`
	// Refund is how refunds end: processed, pending (for ever), failed or needs_attention.
	Refund string `json:"refund,omitempty"`
	// DelayMS is the time until a scripted answer, or until a payout or refund ends.
	DelayMS *int `json:"delay_ms,omitempty"`
	// WebhookDelayMS delays every webhook.
	WebhookDelayMS *int `json:"webhook_delay_ms,omitempty"`
}

var paystackAllowed = map[string][]string{
	"charge":   {"", "manual", "pay", "fail", "abandon"},
	"answer":   {"", "normal", "throttled", "down", "error_before", "error", "lose", "hang"},
	"query":    {"", "normal", "throttled", "error", "lose"},
	"webhook":  {"", "normal", "lose", "delay", "duplicate", "alter", "other_domain", "bad_signature", "forge"},
	"transfer": {"", "success", "pending", "otp", "received", "failed", "blocked", "rejected", "reversed"},
	"refund":   {"", "processed", "pending", "failed", "needs_attention"},
}

// Validate names the first field with a value that the sandbox does not know.
func (s PaystackScript) Validate() error {
	for field, value := range map[string]string{"charge": s.Charge, "answer": s.Answer, "query": s.Query, "webhook": s.Webhook,
		"transfer": s.Transfer, "refund": s.Refund} {
		if options := paystackAllowed[field]; !slices.Contains(options, value) {
			return fmt.Errorf("%s: unknown value, use one of %q", field, options[1:])
		}
	}
	for _, d := range []*int{s.DelayMS, s.WebhookDelayMS} {
		if d != nil && (*d < 0 || *d > maxDelayMS) {
			return fmt.Errorf("delays are 0 to %d ms", maxDelayMS)
		}
	}
	return nil
}

// Over returns s with its empty fields taken from base.
func (s PaystackScript) Over(base PaystackScript) PaystackScript {
	return PaystackScript{Charge: pick(s.Charge, base.Charge), Answer: pick(s.Answer, base.Answer), Query: pick(s.Query, base.Query),
		Webhook: pick(s.Webhook, base.Webhook), Transfer: pick(s.Transfer, base.Transfer), Refund: pick(s.Refund, base.Refund),
		DelayMS: pick(s.DelayMS, base.DelayMS), WebhookDelayMS: pick(s.WebhookDelayMS, base.WebhookDelayMS)}
}

// PaystackLine is one line of the simulated Paystack's books: what really changed a balance, by the amount less the fee.
type PaystackLine struct {
	// opening, adjustment, charge, refund, refund_failed, transfer, transfer_failed, transfer_reversed, dispute
	Kind         string    `json:"kind"`
	Reference    string    `json:"reference,omitempty"` // of the payment or payout; refunds and disputes: of the payment
	ID           string    `json:"id,omitempty"`        // Paystack's: transaction, refund, dispute, or transfer code
	Party        string    `json:"party,omitempty"`     // account or phone, where there is one
	Currency     string    `json:"currency"`
	AmountMinor  int64     `json:"amount_minor"` // negative when money left
	FeeMinor     int64     `json:"fee_minor"`    // negative when it was given back
	BalanceMinor int64     `json:"balance_minor"`
	At           time.Time `json:"at"`
}

// PaystackStatement is Paystack's truth, oldest first. Count also covers lines that were dropped for space.
type PaystackStatement struct {
	Data     []PaystackLine   `json:"data"`
	Count    int              `json:"count"`
	Dropped  int              `json:"dropped"`
	Balances map[string]int64 `json:"balances"` // by currency
}

// PaystackPayment is a payment as the simulated Paystack has it.
type PaystackPayment struct {
	ID            string    `json:"id"`
	Reference     string    `json:"reference"`
	AccessCode    string    `json:"access_code"`
	Status        string    `json:"status"` // open, success, failed
	AmountMinor   int64     `json:"amount_minor"`
	RefundedMinor int64     `json:"refunded_minor"`
	Currency      string    `json:"currency"`
	Channels      []string  `json:"channels"`
	Phone         string    `json:"phone,omitempty"`
	Receipt       string    `json:"receipt,omitempty"`
	CallbackURL   string    `json:"callback_url,omitempty"`
	At            time.Time `json:"at"`
}

// PaystackPayout is a transfer as the simulated Paystack has it.
type PaystackPayout struct {
	Code        string    `json:"code"`
	Reference   string    `json:"reference"`
	Status      string    `json:"status"`
	AmountMinor int64     `json:"amount_minor"`
	FeeMinor    int64     `json:"fee_minor"`
	Currency    string    `json:"currency"`
	Account     string    `json:"account"`
	Bank        string    `json:"bank"`
	Name        string    `json:"name"`
	At          time.Time `json:"at"`
}

// PaystackDispute is a complaint at the customer's bank. Action is create, remind, accept (the money goes back) or decline.
type PaystackDispute struct {
	Action      string `json:"action"`
	AmountMinor int64  `json:"amount_minor,omitempty"` // of create; 0 is all of it
}

const paystackPath = "/sandbox/paystack"

// SetPaystackScript replaces the global script.
func (c *Client) SetPaystackScript(ctx context.Context, s PaystackScript) error {
	return c.do(ctx, http.MethodPut, paystackPath+"/script", s, nil)
}

// SetPaystackReferenceScript replaces the script of one payment or payout, which need not exist yet; a refund has its payment's.
func (c *Client) SetPaystackReferenceScript(ctx context.Context, reference string, s PaystackScript) error {
	return c.do(ctx, http.MethodPut, paystackPath+"/references/"+url.PathEscape(reference)+"/script", s, nil)
}

// SetPaystackAccountScript replaces the script of a phone (E.164) that pays, or of an account that is paid.
func (c *Client) SetPaystackAccountScript(ctx context.Context, account string, s PaystackScript) error {
	return c.do(ctx, http.MethodPut, paystackPath+"/accounts/"+url.PathEscape(account)+"/script", s, nil)
}

// QueuePaystackScript adds a script for the next payment, payout or refund: of the kind that it says something about, of any if of none.
func (c *Client) QueuePaystackScript(ctx context.Context, s PaystackScript) error {
	return c.do(ctx, http.MethodPost, paystackPath+"/script", s, nil)
}

// SetPaystackWebhookURL sets where webhooks go; "" turns them off.
func (c *Client) SetPaystackWebhookURL(ctx context.Context, address string) error {
	return c.do(ctx, http.MethodPut, paystackPath+"/webhook-url", map[string]string{"url": address}, nil)
}

// SetPaystackBalance sets what Paystack holds in a currency.
func (c *Client) SetPaystackBalance(ctx context.Context, currency string, minor int64) error {
	return c.do(ctx, http.MethodPut, paystackPath+"/balance", map[string]any{"currency": currency, "balance_minor": minor}, nil)
}

// PaystackStatement returns what really happened.
func (c *Client) PaystackStatement(ctx context.Context) (PaystackStatement, error) {
	var out PaystackStatement
	err := c.do(ctx, http.MethodGet, paystackPath+"/statement", nil, &out)
	return out, err
}

// PaystackPayments lists the payments, newest first, at most 200.
func (c *Client) PaystackPayments(ctx context.Context) ([]PaystackPayment, error) {
	return list[PaystackPayment](ctx, c, paystackPath+"/payments")
}

// PaystackPayouts lists the transfers, newest first, at most 200.
func (c *Client) PaystackPayouts(ctx context.Context) ([]PaystackPayout, error) {
	return list[PaystackPayout](ctx, c, paystackPath+"/payouts")
}

// AnswerPaystack is a person who pays or fails (action pay, fail) on the hosted page or on the phone.
func (c *Client) AnswerPaystack(ctx context.Context, reference, action string) (PaystackPayment, error) {
	var out PaystackPayment
	err := c.do(ctx, http.MethodPost, paystackPath+"/references/"+url.PathEscape(reference)+"/answer", map[string]string{"action": action},
		&out)
	return out, err
}

// DisputePaystack is a customer who complains about a payment, or how that ends.
func (c *Client) DisputePaystack(ctx context.Context, reference string, d PaystackDispute) error {
	return c.do(ctx, http.MethodPost, paystackPath+"/references/"+url.PathEscape(reference)+"/dispute", d, nil)
}

// EndPaystackRefund lets a refund that is stuck be processed, or fail (action process, fail).
func (c *Client) EndPaystackRefund(ctx context.Context, id, action string) error {
	return c.do(ctx, http.MethodPost, paystackPath+"/refunds/"+url.PathEscape(id), map[string]string{"action": action}, nil)
}

// WaitPaystackPayment waits until a payment has a status (open, success, failed) at Paystack.
func (c *Client) WaitPaystackPayment(ctx context.Context, reference, status string) (PaystackPayment, error) {
	return wait(ctx, "payment", func() ([]PaystackPayment, error) { return c.PaystackPayments(ctx) },
		func(p PaystackPayment) bool { return p.Reference == reference && p.Status == status })
}

// WaitPaystackPayout waits until a transfer has a status at Paystack.
func (c *Client) WaitPaystackPayout(ctx context.Context, reference, status string) (PaystackPayout, error) {
	return wait(ctx, "payout", func() ([]PaystackPayout, error) { return c.PaystackPayouts(ctx) },
		func(p PaystackPayout) bool { return p.Reference == reference && p.Status == status })
}
