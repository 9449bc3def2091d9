package paystack

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/sendtip/sendtip/providers/internal/wire"
)

// TransferRequest pays a recipient out of the balance.
type TransferRequest struct {
	Reference        string // ours, and the idempotency key; see ValidReference
	Recipient        string // Recipient.Code
	AmountMinor      int64
	Currency         string // "" is KES, and it is always sent: Paystack's default is NGN
	Reason           string // the recipient may see it
	AccountReference string // for tills and paybills
}

// Transfer is a payout.
type Transfer struct {
	ID              string
	Code            string
	Reference       string
	Domain          string
	Status          string
	Outcome         Outcome // Pending also while Paystack waits for a code (Status "otp"), which server-to-server payouts must not need
	AmountMinor     int64
	Currency        string
	Recipient       string // its code; "" where only a number is given
	FeeMinor        *int64
	GatewayResponse string // not meant for customers
	CreatedAt       time.Time
	TransferredAt   time.Time
}

// Matches reports whether this is the payout that was ordered.
func (t Transfer) Matches(domain, ref string, amountMinor int64, currency string) bool {
	return t.Domain == domain && t.Reference == ref && t.AmountMinor == amountMinor && t.Currency == currency
}

var recipientCode = regexp.MustCompile(`^RCP_[A-Za-z0-9_]{1,60}$`)

// Transfer pays a recipient. What its error says is about this one send only: after an earlier send whose answer was lost, no refusal
// proves that the payout was not made. Duplicate proves that an earlier send arrived. What is not Definite, Duplicate included, is settled
// by webhook or VerifyTransfer; until then the same body under the same reference can be sent again without paying twice, and a new
// reference never.
func (c *Client) Transfer(ctx context.Context, r TransferRequest) (Transfer, error) {
	currency, err := currencyOf(r.Currency)
	switch {
	case err != nil:
		return Transfer{}, err
	case !ValidReference(r.Reference):
		return Transfer{}, invalid("Reference")
	case !recipientCode.MatchString(r.Recipient):
		return Transfer{}, invalid("Recipient")
	case r.AmountMinor <= 0 || r.AmountMinor > maxMinor:
		return Transfer{}, invalid("AmountMinor")
	case utf8.RuneCountInString(r.Reason) > 100:
		return Transfer{}, invalid("Reason")
	}
	body := map[string]any{"source": "balance", "reference": r.Reference, "recipient": r.Recipient, "amount": r.AmountMinor,
		"currency": currency, "reason": r.Reason}
	if r.AccountReference != "" {
		body["account_reference"] = r.AccountReference
	}
	var data object
	if err := c.post(ctx, "/transfer", body, &data); err != nil {
		return Transfer{}, err
	}
	out, err := transferOf(data.Fields)
	switch {
	case err != nil:
		return Transfer{}, unreadable()
	case out.Reference != r.Reference || out.AmountMinor != r.AmountMinor || out.Currency != currency:
		return Transfer{}, foreign("payout")
	}
	return out, nil
}

// VerifyTransfer asks what became of a payout. An error with NotFound means that none with this reference has arrived yet.
func (c *Client) VerifyTransfer(ctx context.Context, ref string) (Transfer, error) {
	if !ValidReference(ref) {
		return Transfer{}, invalid("Reference")
	}
	var data object
	if err := c.get(ctx, "/transfer/verify/{reference}", "/transfer/verify/"+ref, nil, &data); err != nil {
		return Transfer{}, err
	}
	out, err := transferOf(data.Fields)
	switch {
	case err != nil:
		return Transfer{}, unreadable()
	case out.Reference != ref:
		return Transfer{}, foreign("payout")
	}
	return out, nil
}

// transferOf reads a payout: times in both spellings, a recipient that is a number or an object.
func transferOf(f wire.Fields) (Transfer, error) {
	amount, currency, err := sum(f)
	if err != nil {
		return Transfer{}, err
	}
	out := Transfer{ID: id(f, "id"), Code: text(f, "transfer_code"), Reference: text(f, "reference"), Domain: text(f, "domain"),
		Status: text(f, "status"), AmountMinor: amount, Currency: currency, Recipient: text(child(f, "recipient"), "recipient_code"),
		FeeMinor: optionalMinor(f, "fee_charged"), GatewayResponse: wire.Scrub(f.Text("gateway_response")),
		CreatedAt: at(f, "createdAt", "created_at"), TransferredAt: at(f, "transferred_at", "transferredAt")}
	if out.Code == "" || out.Reference == "" || out.Status == "" {
		return Transfer{}, errors.New("no code, reference or status")
	}
	out.Outcome = ClassifyTransfer(out.Status)
	return out, nil
}

// Balance is what Paystack holds for us in one currency.
type Balance struct {
	Currency string
	Minor    int64
}

// Balances returns what Paystack holds for us.
func (c *Client) Balances(ctx context.Context) ([]Balance, error) {
	var data list
	if err := c.get(ctx, "/balance", "/balance", nil, &data); err != nil {
		return nil, err
	}
	var out []Balance
	for _, item := range data {
		n, err := strconv.ParseInt(item.Text("balance"), 10, 64) // below zero after refunds and disputes
		currency := item.Text("currency")
		if err != nil || n > maxMinor || n < -maxMinor || !currencyCode.MatchString(currency) {
			return nil, unreadable()
		}
		out = append(out, Balance{Currency: currency, Minor: n})
	}
	return out, nil
}
