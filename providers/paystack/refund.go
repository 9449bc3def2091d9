package paystack

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/sendtip/sendtip/providers/internal/wire"
)

// RefundRequest gives a payment back, all of it or a part.
type RefundRequest struct {
	Transaction  string // the payment's reference
	AmountMinor  int64
	Currency     string // "" is KES
	CustomerNote string
	MerchantNote string // best our own row's id: ListRefunds returns it, so that a lost answer is found
}

// Refund is one refund at Paystack.
type Refund struct {
	ID                   string
	TransactionID        string // of the payment; the reference is not in every answer
	TransactionReference string
	Domain               string
	Status               string // RefundPending and so on
	AmountMinor          int64
	Currency             string
	MerchantNote         string
	CreatedAt            time.Time
	RefundedAt           time.Time
}

// Refund asks Paystack to give a payment back. There is no reference of ours in it: sent twice, it refunds twice. After an error that is
// not Definite it is never sent again; whether it arrived is learned by ListRefunds.
func (c *Client) Refund(ctx context.Context, r RefundRequest) (Refund, error) {
	currency, err := currencyOf(r.Currency)
	switch {
	case err != nil:
		return Refund{}, err
	case !ValidReference(r.Transaction):
		return Refund{}, invalid("Transaction")
	case r.AmountMinor <= 0 || r.AmountMinor > maxMinor:
		return Refund{}, invalid("AmountMinor")
	}
	body := map[string]any{"transaction": r.Transaction, "amount": r.AmountMinor, "currency": currency}
	if r.CustomerNote != "" {
		body["customer_note"] = r.CustomerNote
	}
	if r.MerchantNote != "" {
		body["merchant_note"] = r.MerchantNote
	}
	var data object
	if err := c.post(ctx, "/refund", body, &data); err != nil {
		return Refund{}, err
	}
	out, err := refundOf(data.Fields)
	switch {
	case err != nil:
		return Refund{}, unreadable()
	case out.TransactionReference != r.Transaction || out.AmountMinor != r.AmountMinor || out.Currency != currency:
		return Refund{}, foreign("refund")
	}
	return out, nil
}

// GetRefund asks what became of a refund.
func (c *Client) GetRefund(ctx context.Context, refundID string) (Refund, error) {
	if _, err := strconv.ParseUint(refundID, 10, 64); err != nil {
		return Refund{}, invalid("ID")
	}
	var data object
	if err := c.get(ctx, "/refund/{id}", "/refund/"+refundID, nil, &data); err != nil {
		return Refund{}, err
	}
	out, err := refundOf(data.Fields)
	switch {
	case err != nil:
		return Refund{}, unreadable()
	case out.ID != refundID:
		return Refund{}, foreign("refund")
	}
	return out, nil
}

const (
	refundsPerPage = 100
	maxRefundPages = 20
)

// ListRefunds returns the refunds of a payment, named by its id at Paystack (Transaction.ID), that were made since a time (zero: all). The
// filter is ours too: what is of another payment is left out. A list that is too long to be read whole is an error, as its rest could hold
// the one that is looked for.
func (c *Client) ListRefunds(ctx context.Context, transactionID string, since time.Time) ([]Refund, error) {
	if _, err := strconv.ParseUint(transactionID, 10, 64); err != nil {
		return nil, invalid("TransactionID")
	}
	var out []Refund
	for page := 1; page <= maxRefundPages; page++ {
		query := url.Values{"transaction": {transactionID}, "perPage": {strconv.Itoa(refundsPerPage)}, "page": {strconv.Itoa(page)}}
		if !since.IsZero() {
			query.Set("from", since.UTC().Format(time.RFC3339))
		}
		var data list
		if err := c.get(ctx, "/refund", "/refund", query, &data); err != nil {
			return nil, err
		}
		for _, item := range data {
			refund, err := refundOf(item.Fields)
			if err != nil {
				return nil, unreadable()
			}
			if refund.TransactionID == transactionID {
				out = append(out, refund)
			}
		}
		if len(data) < refundsPerPage {
			return out, nil
		}
	}
	return nil, &Error{HTTPStatus: http.StatusOK, Message: "too many refunds"}
}

// refundOf reads a refund. Its payment is a number in lists and an object in the answer to a new refund.
func refundOf(f wire.Fields) (Refund, error) {
	amount, currency, err := sum(f)
	if err != nil {
		return Refund{}, err
	}
	paid := child(f, "transaction")
	out := Refund{ID: id(f, "id"), TransactionID: id(f, "transaction"), TransactionReference: text(f, "transaction_reference"),
		Domain: text(f, "domain"), Status: text(f, "status"), AmountMinor: amount, Currency: currency, MerchantNote: text(f, "merchant_note"),
		CreatedAt: at(f, "createdAt", "created_at"), RefundedAt: at(f, "refunded_at", "refundedAt")}
	if out.TransactionID == "" {
		out.TransactionID = id(paid, "id")
	}
	if out.TransactionReference == "" {
		out.TransactionReference = text(paid, "reference")
	}
	if out.ID == "" || out.Status == "" || (out.TransactionID == "" && out.TransactionReference == "") {
		return Refund{}, errors.New("no id, status or transaction")
	}
	return out, nil
}
