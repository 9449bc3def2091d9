package daraja

import (
	"context"
	"regexp"
)

// maxTransferMinor bounds what is moved between organisations, or back from one: far above what an account holds. M-Pesa has its own
// limits.
const maxTransferMinor = 1_000_000_000_00

// receiptText is what a receipt may look like; which day it is of is nobody's business here.
var receiptText = regexp.MustCompile(`^[A-Z0-9]{6,20}$`)

// StatusRequest asks what became of one transaction, by exactly one of its two names.
type StatusRequest struct {
	OriginalConversationID string // the OriginatorConversationID of a payment of ours
	Receipt                string // of any transaction of the short code
	Remarks                string // 2 to 100 characters
	Occasion               string // at most 100 characters, may be empty
	ResultURL              string
	TimeoutURL             string
}

// QueryStatus asks; the answer comes to ResultURL. The Ack's ids are the question's, not the transaction's.
func (c *Client) QueryStatus(ctx context.Context, r StatusRequest) (Ack, error) {
	body := map[string]string{"CommandID": "TransactionStatusQuery", "PartyA": c.cfg.ShortCode, "IdentifierType": "4", "Remarks": r.Remarks,
		"QueueTimeOutURL": r.TimeoutURL, "ResultURL": r.ResultURL}
	receipt := NormalizeReceipt(r.Receipt)
	switch { // an empty name beside the other one is refused by some environments
	case receipt == "" && originator.MatchString(r.OriginalConversationID):
		body["OriginalConversationID"] = r.OriginalConversationID
	case r.OriginalConversationID == "" && receiptText.MatchString(receipt):
		body["TransactionID"] = receipt
	default:
		return Ack{}, invalid("TransactionID")
	}
	if err := checkOrder(r.Remarks, r.Occasion, r.ResultURL, r.TimeoutURL); err != nil {
		return Ack{}, err
	}
	if r.Occasion != "" {
		body["Occasion"] = r.Occasion // one "s" here
	}
	return c.order(ctx, "/mpesa/transactionstatus/v1/query", "Initiator", body)
}

// BalanceRequest asks for the accounts of the client's short code.
type BalanceRequest struct {
	Remarks    string // 2 to 100 characters
	ResultURL  string
	TimeoutURL string
}

// QueryBalance asks; the answer comes to ResultURL.
func (c *Client) QueryBalance(ctx context.Context, r BalanceRequest) (Ack, error) {
	if err := checkOrder(r.Remarks, "", r.ResultURL, r.TimeoutURL); err != nil {
		return Ack{}, err
	}
	return c.order(ctx, "/mpesa/accountbalance/v1/query", "Initiator", map[string]string{"CommandID": "AccountBalance",
		"PartyA": c.cfg.ShortCode, "IdentifierType": "4", "Remarks": r.Remarks, "QueueTimeOutURL": r.TimeoutURL, "ResultURL": r.ResultURL})
}

// ReversalRequest gives a payment that the short code received (C2B or STK) back to its payer. B2C payments cannot be reversed.
type ReversalRequest struct {
	Receipt     string
	AmountMinor int64  // KES minor units, whole shillings only
	Remarks     string // 2 to 100 characters
	Occasion    string // at most 100 characters, may be empty
	ResultURL   string
	TimeoutURL  string
}

// Reverse gives a payment back. It can be sent again: a receipt is reversed once, and a repeat's result is R000001.
func (c *Client) Reverse(ctx context.Context, r ReversalRequest) (Ack, error) {
	amount, err := wholeShillings(r.AmountMinor, MinAmountMinor, maxTransferMinor)
	if err != nil {
		return Ack{}, err
	}
	receipt := NormalizeReceipt(r.Receipt)
	if !receiptText.MatchString(receipt) {
		return Ack{}, invalid("TransactionID")
	}
	if err := checkOrder(r.Remarks, r.Occasion, r.ResultURL, r.TimeoutURL); err != nil {
		return Ack{}, err
	}
	body := map[string]string{"CommandID": "TransactionReversal", "TransactionID": receipt, "Amount": amount,
		"ReceiverParty": c.cfg.ShortCode, "RecieverIdentifierType": "11", "Remarks": r.Remarks, "QueueTimeOutURL": r.TimeoutURL,
		"ResultURL": r.ResultURL}
	if r.Occasion != "" {
		body["Occasion"] = r.Occasion
	}
	return c.order(ctx, "/mpesa/reversal/v1/request", "Initiator", body)
}
