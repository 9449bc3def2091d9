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

// ParseSTKCallback reads a callback body. Items are found by name; a value may be missing, a string or a number.
// A body without ids or result code, or with an amount that is none, is an error.
func ParseSTKCallback(body []byte) (STKCallback, error) {
	var envelope struct {
		Body struct {
			STK *struct {
				MerchantRequestID wire.Text
				CheckoutRequestID wire.Text
				ResultCode        wire.Text
				ResultDesc        wire.Text
				CallbackMetadata  struct{ Item []item }
			} `json:"stkCallback"`
		}
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return STKCallback{}, errors.New("stk callback: unreadable")
	}
	in := envelope.Body.STK
	if in == nil || in.CheckoutRequestID == "" || in.ResultCode == "" || len(in.CheckoutRequestID) > 64 {
		return STKCallback{}, errors.New("stk callback: no checkout id or result code")
	}
	out := STKCallback{
		MerchantRequestID: string(in.MerchantRequestID), CheckoutRequestID: string(in.CheckoutRequestID),
		ResultCode: string(in.ResultCode), ResultDesc: string(in.ResultDesc), Outcome: ClassifySTK(string(in.ResultCode)),
	}
	for _, it := range in.CallbackMetadata.Item {
		if err := out.take(it); err != nil {
			return STKCallback{}, err
		}
	}
	if out.Outcome == Paid && (out.AmountMinor == 0 || out.Receipt == "") {
		return STKCallback{}, errors.New("stk callback: success without amount or receipt")
	}
	return out, nil
}

// item keeps the value raw: Balance may be absent, a number, or a Java map printed as text.
type item struct {
	Name  string
	Value json.RawMessage
}

func (c *STKCallback) take(it item) error {
	if len(it.Value) == 0 {
		return nil
	}
	var value wire.Text
	if err := json.Unmarshal(it.Value, &value); err != nil || value == "" {
		if it.Name == "Amount" && err != nil {
			return errors.New("stk callback: amount is not a value")
		}
		return nil
	}
	switch it.Name {
	case "Amount":
		minor, err := wire.Minor(string(value))
		if err != nil {
			return fmt.Errorf("stk callback: %w", err)
		}
		c.AmountMinor = minor
	case "MpesaReceiptNumber":
		c.Receipt = strings.TrimSpace(string(value))
	case "TransactionDate":
		c.PaidAt, _ = ParseTimestamp(string(value)) // a bad time must not lose a payment
	case "PhoneNumber":
		if msisdn.MatchString(string(value)) {
			c.Phone = "+" + string(value)
		}
	}
	return nil
}

// C2BConfirmation is a payment to the short code. On validation the money has not moved yet; on confirmation it has
// and cannot be refused.
type C2BConfirmation struct {
	TransactionType   string // "Pay Bill" or "Buy Goods"
	TransID           string // the M-Pesa receipt
	PaidAt            time.Time
	AmountMinor       int64 // KES minor units
	ShortCode         string
	BillRef           string // what the payer typed, trimmed
	InvoiceNumber     string
	OrgAccountBalance string // as sent; empty on validation
	ThirdPartyTransID string
	MSISDN            string // as sent: masked (v2) or a SHA-256 in hex (v1), seldom a number
	FirstName         string
	MiddleName        string
	LastName          string
}

// ParseC2B reads a validation or confirmation body. PaidAt is UTC and zero when unreadable; TransID, short code and a
// positive amount are required.
func ParseC2B(body []byte) (C2BConfirmation, error) {
	var in struct {
		TransactionType, TransID, TransTime, TransAmount, BusinessShortCode, BillRefNumber, InvoiceNumber,
		OrgAccountBalance, ThirdPartyTransID, MSISDN, FirstName, MiddleName, LastName wire.Text
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return C2BConfirmation{}, errors.New("c2b: unreadable")
	}
	receipt := strings.TrimSpace(string(in.TransID))
	if receipt == "" || len(receipt) > 64 || in.BusinessShortCode == "" {
		return C2BConfirmation{}, errors.New("c2b: no receipt or short code")
	}
	minor, err := wire.Minor(string(in.TransAmount))
	if err != nil || minor == 0 {
		return C2BConfirmation{}, errors.New("c2b: not an amount")
	}
	paidAt, _ := ParseTimestamp(string(in.TransTime)) // the money has moved: a bad time must not lose it
	return C2BConfirmation{
		TransactionType: string(in.TransactionType), TransID: receipt, PaidAt: paidAt, AmountMinor: minor,
		ShortCode: string(in.BusinessShortCode), BillRef: strings.TrimSpace(string(in.BillRefNumber)),
		InvoiceNumber: string(in.InvoiceNumber), OrgAccountBalance: string(in.OrgAccountBalance),
		ThirdPartyTransID: string(in.ThirdPartyTransID), MSISDN: string(in.MSISDN),
		FirstName: string(in.FirstName), MiddleName: string(in.MiddleName), LastName: string(in.LastName),
	}, nil
}
