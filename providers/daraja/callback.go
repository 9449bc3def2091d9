package daraja

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/sendtip/sendtip/providers/internal/wire"
)

// STKCallback is what Daraja posts when a prompt ended. Nothing in it is authenticated: match the ids and the amount
// with the own record, and treat the amount as a claim.
type STKCallback struct {
	MerchantRequestID string
	CheckoutRequestID string
	ResultCode        string // number or string on the wire
	ResultDesc        string // not a contract: the query words the same result otherwise
	Outcome           Outcome
	AmountMinor       int64     // KES minor units; 0 when absent (failures carry none)
	Receipt           string    // MpesaReceiptNumber; "" when absent
	PaidAt            time.Time // UTC; zero when absent or unreadable
	Phone             string    // E.164; "" when absent or masked
}

var msisdn = regexp.MustCompile(`^254\d{9}$`)

// ParseSTKCallback reads a callback body. Items are found by name; a value may be missing, a string or a number, and what is not needed may
// be anything. A body without checkout id or result code, or a success without an amount that is one, is an error.
func ParseSTKCallback(body []byte) (STKCallback, error) {
	var envelope struct {
		Body struct {
			STK json.RawMessage `json:"stkCallback"`
		}
	}
	if err := json.Unmarshal(wire.Lenient(body), &envelope); err != nil {
		return STKCallback{}, errors.New("stk callback: unreadable")
	}
	in, err := wire.ParseFields(envelope.Body.STK)
	if err != nil {
		return STKCallback{}, errors.New("stk callback: unreadable")
	}
	out := STKCallback{MerchantRequestID: in.Text("MerchantRequestID"), CheckoutRequestID: in.Text("CheckoutRequestID"),
		ResultCode: in.Text("ResultCode"), ResultDesc: in.Text("ResultDesc")}
	if out.CheckoutRequestID == "" || out.ResultCode == "" || len(out.CheckoutRequestID) > maxID {
		return STKCallback{}, errors.New("stk callback: no checkout id or result code")
	}
	if len(out.MerchantRequestID) > maxID {
		out.MerchantRequestID = ""
	}
	out.Outcome = ClassifySTK(out.ResultCode)
	var metadata struct{ Item []json.RawMessage }
	_ = json.Unmarshal(in["callbackmetadata"], &metadata) // a failure has none; a success without it has no amount, which is refused below
	for _, raw := range metadata.Item {
		if err := out.take(raw); err != nil {
			return STKCallback{}, err
		}
	}
	if out.Outcome == Paid && (out.AmountMinor == 0 || out.Receipt == "") {
		return STKCallback{}, errors.New("stk callback: success without amount or receipt")
	}
	return out, nil
}

// maxID is the longest id that Daraja was seen to send.
const maxID = 64

// take reads one item. Balance may be absent, a number, or a Java map printed as text.
func (c *STKCallback) take(raw json.RawMessage) error {
	it, err := wire.ParseFields(raw)
	if err != nil {
		return nil //nolint:nilerr // an item that is none names nothing that we need
	}
	value := it.Text("Value")
	switch it.Text("Name") {
	case "Amount":
		minor, err := wire.Minor(value)
		if err != nil {
			return fmt.Errorf("stk callback: %w", err)
		}
		c.AmountMinor = minor
	case "MpesaReceiptNumber":
		c.Receipt = NormalizeReceipt(value)
	case "TransactionDate":
		c.PaidAt, _ = ParseTimestamp(value) // a bad time must not lose a payment
	case "PhoneNumber":
		if msisdn.MatchString(value) {
			c.Phone = "+" + value
		}
	}
	return nil
}

// NormalizeReceipt returns the one form in which receipts are compared: they are case-insensitive.
func NormalizeReceipt(s string) string { return strings.ToUpper(wire.Clean(s)) }

// C2BConfirmation is a payment to the short code. On validation the money has not moved yet; on confirmation it has
// and cannot be refused.
type C2BConfirmation struct {
	TransactionType   string // "Pay Bill" or "Buy Goods"
	TransID           string // the M-Pesa receipt, in its normal form
	PaidAt            time.Time
	AmountMinor       int64  // KES minor units
	ShortCode         string // "" when it cannot be read
	BillRef           string // what the payer typed, trimmed
	InvoiceNumber     string
	OrgAccountBalance string // as sent; empty on validation
	ThirdPartyTransID string
	MSISDN            string // as sent: masked (v2) or a SHA-256 in hex (v1), seldom a number
	FirstName         string
	MiddleName        string
	LastName          string
}

// decimalZeros ends numbers that passed through a float.
var decimalZeros = regexp.MustCompile(`\.0+$`)

// ParseC2B reads a validation or confirmation body. Only receipt and amount make it unreadable, since the money has moved: PaidAt (UTC) is
// zero, short code, account and names are "" where they cannot be read.
func ParseC2B(body []byte) (C2BConfirmation, error) {
	in, err := wire.ParseFields(body)
	if err != nil {
		return C2BConfirmation{}, errors.New("c2b: unreadable")
	}
	receipt := NormalizeReceipt(in.Text("TransID"))
	if receipt == "" || len(receipt) > maxID {
		return C2BConfirmation{}, errors.New("c2b: no receipt")
	}
	minor, err := wire.Minor(in.Text("TransAmount"))
	if err != nil || minor == 0 {
		return C2BConfirmation{}, errors.New("c2b: not an amount")
	}
	paidAt, _ := ParseTimestamp(in.Text("TransTime")) // a bad time must not lose the money
	return C2BConfirmation{
		TransactionType: in.Text("TransactionType"), TransID: receipt, PaidAt: paidAt, AmountMinor: minor,
		ShortCode: decimalZeros.ReplaceAllString(in.Text("BusinessShortCode"), ""), BillRef: in.Text("BillRefNumber"),
		InvoiceNumber: in.Text("InvoiceNumber"), OrgAccountBalance: in.Text("OrgAccountBalance"),
		ThirdPartyTransID: in.Text("ThirdPartyTransID"), MSISDN: in.Text("MSISDN"),
		FirstName: in.Text("FirstName"), MiddleName: in.Text("MiddleName"), LastName: in.Text("LastName"),
	}, nil
}
