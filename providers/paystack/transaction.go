package paystack

import (
	"context"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sendtip/sendtip/providers/internal/wire"
)

// MinTransactionMinor is the least that a customer can pay in KES.
const MinTransactionMinor = 3_00

// Channels of the hosted page.
const (
	Card         = "card"
	MobileMoney  = "mobile_money"
	BankTransfer = "bank_transfer"
)

// Providers of mobile money in Kenya.
const (
	Mpesa        = "mpesa"         // a prompt on the phone
	MpesaOffline = "mpesa_offline" // the customer pays Paystack's paybill
	Airtel       = "atl"
)

// What a charge waits for.
const (
	StatusPayOffline          = "pay_offline" // show DisplayText; the customer has 180 s
	StatusPendingBankTransfer = "pending_bank_transfer"
	StatusSendOTP             = "send_otp"
	StatusTimeout             = "timeout"
)

// InitializeRequest opens a hosted page on which the customer pays.
type InitializeRequest struct {
	Email       string // never the customer's own: it names the deposit at a domain of ours
	AmountMinor int64
	Currency    string // "" is KES
	Reference   string // ours, and the idempotency key; see ValidReference
	CallbackURL string // where the page leads afterwards; a hint only
	Channels    []string
}

// Checkout is an opened page.
type Checkout struct {
	URL        string
	AccessCode string
	Reference  string
}

var email = regexp.MustCompile(`^[^\s@]{1,64}@[^\s@]{1,190}$`)

// payment is what every collection has.
func payment(address string, amountMinor int64, currency, ref string) (map[string]any, error) {
	code, err := currencyOf(currency)
	switch {
	case err != nil:
		return nil, err
	case !email.MatchString(address):
		return nil, invalid("Email")
	case amountMinor <= 0 || amountMinor > maxMinor || (code == KES && amountMinor < MinTransactionMinor):
		return nil, invalid("AmountMinor")
	case !ValidReference(ref):
		return nil, invalid("Reference")
	}
	return map[string]any{"email": address, "amount": amountMinor, "currency": code, "reference": ref}, nil
}

// Initialize opens a hosted page. Nothing is charged by it, whatever the error: a Duplicate means that an earlier call with the reference
// arrived, whose page nobody can learn again.
func (c *Client) Initialize(ctx context.Context, r InitializeRequest) (Checkout, error) {
	body, err := payment(r.Email, r.AmountMinor, r.Currency, r.Reference)
	if err != nil {
		return Checkout{}, err
	}
	if r.CallbackURL != "" {
		if u, err := url.Parse(r.CallbackURL); err != nil || !u.IsAbs() || u.Host == "" {
			return Checkout{}, invalid("CallbackURL")
		}
		body["callback_url"] = r.CallbackURL
	}
	if len(r.Channels) > 0 {
		body["channels"] = r.Channels
	}
	var data object
	if err := c.post(ctx, "/transaction/initialize", body, &data); err != nil {
		return Checkout{}, err
	}
	out := Checkout{URL: text(data.Fields, "authorization_url"), AccessCode: text(data.Fields, "access_code"),
		Reference: text(data.Fields, "reference")}
	u, err := url.Parse(out.URL)
	switch {
	case out.Reference != r.Reference:
		return Checkout{}, foreign("payment")
	case err != nil || u.Host == "" || u.User != nil, u.Scheme != "https" &&
		(u.Scheme != "http" || !strings.HasPrefix(c.cfg.BaseURL, "http:")):
		return Checkout{}, unreadable() // customers are sent there
	}
	return out, nil
}

// ChargeRequest asks a customer's phone for a payment.
type ChargeRequest struct {
	Email       string // never the customer's own
	AmountMinor int64
	Currency    string // "" is KES
	Reference   string // ours, and the idempotency key
	Phone       string // E.164
	Provider    string // "" is Mpesa
}

// Charge is the state of a charge. Status is Paystack's: of a payment (Outcome), or what it waits for.
type Charge struct {
	Reference        string
	Status           string
	Outcome          Outcome // Pending while it waits
	DisplayText      string  // to be shown to the customer
	AccountNumber    string  // the paybill, or the account to pay into
	AccountReference string  // what the customer must quote there
	ExpiresAt        time.Time
	Message          string // of a failure; not meant for customers
}

var phone = regexp.MustCompile(`^\+[1-9]\d{7,14}$`)

// ChargeMobileMoney asks a phone for a payment. A Definite error means that no prompt was or will be shown; after a Duplicate or anything
// else the outcome is learned by Verify.
func (c *Client) ChargeMobileMoney(ctx context.Context, r ChargeRequest) (Charge, error) {
	body, err := payment(r.Email, r.AmountMinor, r.Currency, r.Reference)
	if err != nil {
		return Charge{}, err
	}
	if r.Provider == "" {
		r.Provider = Mpesa
	}
	switch {
	case !phone.MatchString(r.Phone):
		return Charge{}, invalid("Phone")
	case !slices.Contains([]string{Mpesa, MpesaOffline, Airtel}, r.Provider):
		return Charge{}, invalid("Provider")
	}
	body["mobile_money"] = map[string]string{"phone": r.Phone, "provider": r.Provider}
	var data object
	if err := c.post(ctx, "/charge", body, &data); err != nil {
		return Charge{}, err
	}
	return chargeOf(data.Fields, r.Reference)
}

// GetCharge asks for the state of a charge; not earlier than 10 s after the last time. Whether it was paid says Verify.
func (c *Client) GetCharge(ctx context.Context, ref string) (Charge, error) {
	if !ValidReference(ref) {
		return Charge{}, invalid("Reference")
	}
	var data object
	if err := c.get(ctx, "/charge/{reference}", "/charge/"+ref, nil, &data); err != nil {
		return Charge{}, err
	}
	return chargeOf(data.Fields, ref)
}

func chargeOf(f wire.Fields, ref string) (Charge, error) {
	out := Charge{Reference: text(f, "reference"), Status: text(f, "status"), DisplayText: text(f, "display_text"),
		AccountNumber: text(f, "account_number"), AccountReference: text(f, "account_reference"), ExpiresAt: at(f, "account_expires_at"),
		Message: wire.Scrub(f.Text("message"))}
	if out.Message == "" {
		out.Message = wire.Scrub(f.Text("gateway_response"))
	}
	if out.AccountReference == "" {
		out.AccountReference = text(f, "transaction_reference")
	}
	if out.Reference != ref {
		return Charge{}, foreign("payment")
	}
	if out.Status == "" {
		return Charge{}, unreadable()
	}
	out.Outcome = chargeOutcome(out.Status)
	return out, nil
}

// Transaction is a payment by a customer. Status alone makes no payment: compare domain, reference, amount and currency too (Matches).
type Transaction struct {
	ID              string
	Domain          string
	Status          string
	Outcome         Outcome
	Reference       string
	AmountMinor     int64
	RequestedMinor  *int64
	Currency        string
	Channel         string
	Receipt         string // of the operator, for M-Pesa; "" if there is none
	FeesMinor       *int64
	PaidAt          time.Time // zero if it was not, or cannot be read
	CreatedAt       time.Time
	GatewayResponse string // not meant for customers
}

// Matches reports whether this is the payment that was asked for.
func (t Transaction) Matches(domain, ref string, amountMinor int64, currency string) bool {
	return t.Domain == domain && t.Reference == ref && t.AmountMinor == amountMinor && t.Currency == currency
}

// Verify asks what became of a payment. An error with NotFound means that none with this reference has arrived yet.
func (c *Client) Verify(ctx context.Context, ref string) (Transaction, error) {
	if !ValidReference(ref) {
		return Transaction{}, invalid("Reference")
	}
	var data object
	if err := c.get(ctx, "/transaction/verify/{reference}", "/transaction/verify/"+ref, nil, &data); err != nil {
		return Transaction{}, err
	}
	out, err := transactionOf(data.Fields)
	switch {
	case err != nil:
		return Transaction{}, unreadable()
	case out.Reference != ref:
		return Transaction{}, foreign("payment")
	}
	return out, nil
}

func transactionOf(f wire.Fields) (Transaction, error) {
	amount, currency, err := sum(f)
	if err != nil {
		return Transaction{}, err
	}
	out := Transaction{ID: id(f, "id"), Domain: text(f, "domain"), Status: text(f, "status"), Reference: text(f, "reference"),
		AmountMinor: amount, RequestedMinor: optionalMinor(f, "requested_amount"), Currency: currency, Channel: text(f, "channel"),
		Receipt: text(f, "receipt_number"), FeesMinor: optionalMinor(f, "fees"), PaidAt: at(f, "paid_at", "paidAt"),
		CreatedAt: at(f, "created_at", "createdAt"), GatewayResponse: wire.Scrub(f.Text("gateway_response"))}
	if out.ID == "" || out.Reference == "" || out.Status == "" {
		return Transaction{}, errors.New("no id, reference or status")
	}
	out.Outcome = ClassifyTransaction(out.Status)
	return out, nil
}
