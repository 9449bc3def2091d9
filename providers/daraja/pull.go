package daraja

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/sendtip/sendtip/providers/internal/wire"
)

// Answers of Pull Transactions.
const (
	pullOK      = "1000"
	pullNothing = "1001" // on registration: registered already
)

// pullLayout is the time of a question, in EAT.
const pullLayout = "2006-01-02 15:04:05"

// PulledTransaction is a payment to the short code as Safaricom's own books have it.
type PulledTransaction struct {
	Receipt     string // in its normal form
	AmountMinor int64  // KES minor units
	BillRef     string // what the payer typed, trimmed
	At          time.Time
	Type        string
}

// PullTransactions asks for the payments to the short code between two times (UTC), from an offset; an empty page ends the list. The books
// reach back 48 hours (Daraja portal, August 2026).
func (c *Client) PullTransactions(ctx context.Context, from, to time.Time, offset int) ([]PulledTransaction, error) {
	body := map[string]string{"ShortCode": c.cfg.ShortCode, "StartDate": from.In(nairobi).Format(pullLayout),
		"EndDate": to.In(nairobi).Format(pullLayout), "OffSetValue": strconv.Itoa(offset)}
	var answer struct {
		ResponseCode    wire.Text
		ResponseMessage wire.Text
		Response        json.RawMessage
	}
	if err := c.call(ctx, "/pulltransactions/v1/query", body, &answer); err != nil {
		return nil, err
	}
	switch answer.ResponseCode {
	case pullNothing:
		return nil, nil
	case pullOK:
	default:
		return nil, &Error{HTTPStatus: http.StatusOK, Code: string(answer.ResponseCode), Message: wire.Scrub(string(answer.ResponseMessage))}
	}
	var pages [][]json.RawMessage // a list in a list
	if err := json.Unmarshal(answer.Response, &pages); err != nil {
		return nil, &Error{HTTPStatus: http.StatusOK, Message: "unreadable answer"}
	}
	var out []PulledTransaction
	for _, page := range pages {
		for _, raw := range page {
			out = append(out, pulled(raw))
		}
	}
	return out, nil
}

// pulled reads one payment. One that cannot be read keeps its place, without receipt: the next offset counts it.
func pulled(raw json.RawMessage) PulledTransaction {
	f, err := wire.ParseFields(raw)
	if err != nil {
		return PulledTransaction{}
	}
	minor, err := wire.Minor(f.Text("amount"))
	if err != nil {
		return PulledTransaction{}
	}
	at, err := time.ParseInLocation(time.RFC3339, f.Text("trxDate"), nairobi)
	if err != nil {
		at, _ = time.ParseInLocation(pullLayout, f.Text("trxDate"), nairobi) // for display only
	}
	return PulledTransaction{Receipt: NormalizeReceipt(f.Text("transactionId")), AmountMinor: minor, BillRef: f.Text("billreference"),
		At: at.UTC(), Type: f.Text("transactiontype")}
}

// RegisterPull opens Pull Transactions for the short code. Being registered already is no error.
func (c *Client) RegisterPull(ctx context.Context, nominatedNumber, callbackURL string) error {
	body := map[string]string{"ShortCode": c.cfg.ShortCode, "RequestType": "Pull", "NominatedNumber": nominatedNumber,
		"CallBackURL": callbackURL}
	var answer struct{ ResponseStatus, ResponseCode, ResponseDescription wire.Text }
	if err := c.call(ctx, "/pulltransactions/v1/register", body, &answer); err != nil {
		return err
	}
	code := answer.ResponseStatus
	if code == "" {
		code = answer.ResponseCode
	}
	if code != pullOK && code != pullNothing {
		return &Error{HTTPStatus: http.StatusOK, Code: string(code), Message: wire.Scrub(string(answer.ResponseDescription))}
	}
	return nil
}
