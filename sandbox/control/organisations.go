package control

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Organisation is a short code's own accounts at the simulated M-Pesa, in KES minor units. Payouts leave the Utility account, to which
// customers' payments come; payments to other short codes leave the Working account; charges are owed on the Charges Paid account, which is
// therefore negative.
type Organisation struct {
	ShortCode    string `json:"short_code"`
	UtilityMinor int64  `json:"utility_minor"`
	WorkingMinor int64  `json:"working_minor"`
	ChargesMinor int64  `json:"charges_minor"`
	Movements    int    `json:"movements"`
	Queued       int    `json:"queued"` // scripts waiting for the next orders
}

// Movement is one line of a short code's statement: what really happened to one of its accounts.
type Movement struct {
	Receipt          string    `json:"receipt"`
	Kind             string    `json:"kind"`         // opening, adjustment, stk, c2b, b2c, b2b, float, reversal, reversed_b2c
	Account          string    `json:"account"`      // utility or working
	AmountMinor      int64     `json:"amount_minor"` // KES; negative when money left
	ChargeMinor      int64     `json:"charge_minor"` // on the Charges Paid account
	BalanceMinor     int64     `json:"balance_minor"`
	Party            string    `json:"party,omitempty"` // the other side: a phone in E.164 or a short code
	Originator       string    `json:"originator_conversation_id,omitempty"`
	ConversationID   string    `json:"conversation_id,omitempty"`
	Original         string    `json:"original_receipt,omitempty"` // of reversals
	AccountReference string    `json:"account_reference,omitempty"`
	At               time.Time `json:"at"`
}

// OrganisationStatement is a short code's truth. Count also covers lines that were dropped for space.
type OrganisationStatement struct {
	Data    []Movement `json:"data"`
	Count   int        `json:"count"`
	Dropped int        `json:"dropped"`
}

// Float sets accounts of a short code, in KES minor units; what is nil stays.
type Float struct {
	UtilityMinor *int64 `json:"utility_minor,omitempty"`
	WorkingMinor *int64 `json:"working_minor,omitempty"`
}

func organisationPath(shortCode, rest string) string {
	return "/sandbox/organisations/" + url.PathEscape(shortCode) + rest
}

// Organisations lists the short codes that have accounts.
func (c *Client) Organisations(ctx context.Context) ([]Organisation, error) {
	return list[Organisation](ctx, c, "/sandbox/organisations")
}

// Organisation returns one short code's accounts.
func (c *Client) Organisation(ctx context.Context, shortCode string) (Organisation, error) {
	var out Organisation
	err := c.do(ctx, http.MethodGet, organisationPath(shortCode, ""), nil, &out)
	return out, err
}

// OrganisationStatement returns what happened to a short code's accounts, oldest first, the last lines only (0: all).
func (c *Client) OrganisationStatement(ctx context.Context, shortCode string, last int) (OrganisationStatement, error) {
	rest := "/statement"
	if last > 0 {
		rest += "?last=" + strconv.Itoa(last)
	}
	var out OrganisationStatement
	err := c.do(ctx, http.MethodGet, organisationPath(shortCode, rest), nil, &out)
	return out, err
}

// StatementFile returns the file that the organisation downloads from its portal for one account (utility, working or charges).
func (c *Client) StatementFile(ctx context.Context, shortCode, account string) ([]byte, error) {
	return c.exchange(ctx, http.MethodGet, organisationPath(shortCode, "/statement.csv?account="+url.QueryEscape(account)), nil)
}

// SetFloat sets a short code's accounts.
func (c *Client) SetFloat(ctx context.Context, shortCode string, f Float) error {
	return c.do(ctx, http.MethodPut, organisationPath(shortCode, "/float"), f, nil)
}

// QueueOrder adds a script for one later order of a short code that concerns no phone's payout: B2B, balance, status, reversal. Queued
// scripts are used in order, once each.
func (c *Client) QueueOrder(ctx context.Context, shortCode string, s Script) error {
	return c.do(ctx, http.MethodPost, organisationPath(shortCode, "/script"), s, nil)
}

// UnlockInitiator makes a locked credential usable again, as the organisation's administrator does on the portal.
func (c *Client) UnlockInitiator(ctx context.Context) error {
	return c.do(ctx, http.MethodDelete, "/sandbox/initiator-lock", nil, nil)
}
