package daraja

import (
	"context"
	"net/http"
	"regexp"
	"unicode/utf8"

	"github.com/sendtip/sendtip/providers/safaricom"
)

// Limits of one B2C payment (Daraja portal, August 2026), in minor units of KES.
const (
	MinB2CMinor = 10_00
	MaxB2CMinor = 250_000_00
)

// Kinds of B2C payments. A promotion also sends the receiver congratulations.
const (
	BusinessPayment  = "BusinessPayment"
	SalaryPayment    = "SalaryPayment"
	PromotionPayment = "PromotionPayment"
)

// Kinds of B2B payments. PayToBulk moves money from one's own Working account to the Utility account of a B2C short code.
const (
	BusinessPayBill   = "BusinessPayBill"
	BusinessBuyGoods  = "BusinessBuyGoods"
	BusinessPayToBulk = "BusinessPayToBulk"
	MMFToUtility      = "BusinessTransferFromMMFToUtility"
)

const occasionField = "Occassion" //nolint:misspell // Safaricom's spelling, for payments only

// B2CRequest pays a customer out of the short code's Utility account.
type B2CRequest struct {
	OriginatorConversationID string // ours, and the idempotency key: a repeat is refused as Duplicate
	CommandID                string // "" is BusinessPayment
	Phone                    string // E.164, +2547… or +2541…
	AmountMinor              int64  // KES minor units, whole shillings only
	Remarks                  string // 2 to 100 characters
	Occasion                 string // at most 100 characters, may be empty
	ResultURL                string
	TimeoutURL               string // is told when the payment waited too long in the queue: its outcome is unknown then
}

var originator = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func (r B2CRequest) check() error {
	switch {
	case !originator.MatchString(r.OriginatorConversationID):
		return invalid("OriginatorConversationID")
	case r.CommandID != "" && r.CommandID != BusinessPayment && r.CommandID != SalaryPayment && r.CommandID != PromotionPayment:
		return invalid("CommandID")
	case !safaricom.CanPrompt(r.Phone):
		return invalid("Phone")
	}
	return checkOrder(r.Remarks, r.Occasion, r.ResultURL, r.TimeoutURL)
}

// PayB2C pays a customer. What its error says is about this one send only: after an earlier send whose answer was lost, no refusal proves
// that the payment was not made. Duplicate proves that an earlier send arrived. Anything that is not Definite, Duplicate included, is
// settled by the result, a status query or the statement; until then the same body under the same id can be sent again without paying
// twice.
func (c *Client) PayB2C(ctx context.Context, r B2CRequest) (Ack, error) {
	amount, err := wholeShillings(r.AmountMinor, MinB2CMinor, MaxB2CMinor)
	if err != nil {
		return Ack{}, err
	}
	if err := r.check(); err != nil {
		return Ack{}, err
	}
	body := map[string]string{
		"OriginatorConversationID": r.OriginatorConversationID, "CommandID": r.CommandID, "Amount": amount,
		"PartyA": c.cfg.ShortCode, "PartyB": r.Phone[1:], "Remarks": r.Remarks, "QueueTimeOutURL": r.TimeoutURL, "ResultURL": r.ResultURL,
	}
	if r.CommandID == "" {
		body["CommandID"] = BusinessPayment
	}
	if r.Occasion != "" {
		body[occasionField] = r.Occasion
	}
	ack, err := c.order(ctx, "/mpesa/b2c/v3/paymentrequest", "InitiatorName", body)
	if err != nil {
		return Ack{}, err
	}
	if ack.OriginatorConversationID == "" {
		ack.OriginatorConversationID = r.OriginatorConversationID
	}
	if ack.OriginatorConversationID != r.OriginatorConversationID { // somebody else's answer says nothing about this payment
		return Ack{}, &Error{HTTPStatus: http.StatusOK, Message: "answer for another payment"}
	}
	return ack, nil
}

// B2BRequest pays another short code, or moves float between one's own, out of the Working account.
type B2BRequest struct {
	CommandID        string
	Receiver         string // short code or till
	ReceiverType     string // "" is 4, a short code; some production tills are known as 2 only
	AccountReference string // at most 13 characters
	Requester        string // E.164 of the customer on whose behalf it is paid, may be empty
	AmountMinor      int64  // KES minor units, whole shillings only
	Remarks          string // 2 to 100 characters
	Occasion         string // at most 100 characters, may be empty
	ResultURL        string
	TimeoutURL       string
}

var organisation = regexp.MustCompile(`^\d{5,7}$`)

func (r B2BRequest) check() error {
	switch {
	case r.CommandID != BusinessPayBill && r.CommandID != BusinessBuyGoods && r.CommandID != BusinessPayToBulk && r.CommandID != MMFToUtility:
		return invalid("CommandID")
	case !organisation.MatchString(r.Receiver):
		return invalid("PartyB")
	case r.ReceiverType != "" && r.ReceiverType != "2" && r.ReceiverType != "4":
		return invalid("RecieverIdentifierType")
	case utf8.RuneCountInString(r.AccountReference) > 13:
		return invalid("AccountReference")
	case r.Requester != "" && !safaricom.CanPrompt(r.Requester):
		return invalid("Requester")
	}
	return checkOrder(r.Remarks, r.Occasion, r.ResultURL, r.TimeoutURL)
}

// PayB2B pays a short code. It has no idempotency key: sending it twice pays twice, so an error that is not Definite must be settled by the
// result, the balance or the statement before anybody pays again.
func (c *Client) PayB2B(ctx context.Context, r B2BRequest) (Ack, error) {
	amount, err := wholeShillings(r.AmountMinor, MinAmountMinor, maxTransferMinor)
	if err != nil {
		return Ack{}, err
	}
	if err := r.check(); err != nil {
		return Ack{}, err
	}
	body := map[string]string{
		"CommandID": r.CommandID, "SenderIdentifierType": "4", "RecieverIdentifierType": "4", // Safaricom's spelling
		"Amount": amount, "PartyA": c.cfg.ShortCode, "PartyB": r.Receiver, "AccountReference": r.AccountReference, "Remarks": r.Remarks,
		"QueueTimeOutURL": r.TimeoutURL, "ResultURL": r.ResultURL,
	}
	if r.ReceiverType != "" {
		body["RecieverIdentifierType"] = r.ReceiverType
	}
	if r.Requester != "" {
		body["Requester"] = r.Requester[1:]
	}
	if r.Occasion != "" {
		body[occasionField] = r.Occasion
	}
	return c.order(ctx, "/mpesa/b2b/v1/paymentrequest", "Initiator", body)
}
