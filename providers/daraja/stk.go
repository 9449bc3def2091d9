package daraja

import (
	"context"
	"errors"
	"strconv"
	"unicode/utf8"

	"github.com/sendtip/sendtip/providers/internal/wire"
	"github.com/sendtip/sendtip/providers/safaricom"
)

// Limits of one STK push (Safaricom, since August 2023), in minor units of KES.
const (
	MinAmountMinor = 1_00
	MaxAmountMinor = 250_000_00
)

// STKPushRequest asks a customer to pay. There is no idempotency key: sending it twice makes two payments.
type STKPushRequest struct {
	Phone            string // E.164, +2547… or +2541…
	AmountMinor      int64  // KES minor units, whole shillings only
	AccountReference string // 1 to 12 characters; shown to the customer
	Description      string // at most 13 characters
	CallbackURL      string
}

// STKAccepted says that Daraja will try to show the prompt. It says nothing about money.
type STKAccepted struct {
	MerchantRequestID string
	CheckoutRequestID string
}

// STKStatus is the answer of a query. While Outcome is Pending there is no answer yet, whatever ResultCode says.
type STKStatus struct {
	MerchantRequestID string
	CheckoutRequestID string
	ResultCode        string
	ResultDesc        string
	Outcome           Outcome
}

func (r STKPushRequest) check() error {
	switch {
	case !safaricom.CanPrompt(r.Phone):
		return invalid("Phone")
	case r.AmountMinor%100 != 0 || r.AmountMinor < MinAmountMinor || r.AmountMinor > MaxAmountMinor:
		return invalid("Amount")
	case r.AccountReference == "" || utf8.RuneCountInString(r.AccountReference) > 12:
		return invalid("AccountReference")
	case utf8.RuneCountInString(r.Description) > 13:
		return invalid("TransactionDesc")
	case r.CallbackURL == "":
		return invalid("CallBackURL")
	}
	return nil
}

type stkBody struct {
	BusinessShortCode string
	Password          string
	Timestamp         string
	TransactionType   string `json:",omitempty"`
	Amount            string `json:",omitempty"`
	PartyA            string `json:",omitempty"`
	PartyB            string `json:",omitempty"`
	PhoneNumber       string `json:",omitempty"`
	CallBackURL       string `json:",omitempty"`
	AccountReference  string `json:",omitempty"`
	TransactionDesc   string `json:",omitempty"`
	CheckoutRequestID string `json:",omitempty"`
}

func (c *Client) signedBody() stkBody {
	stamp := Timestamp(c.cfg.Now())
	return stkBody{
		BusinessShortCode: c.cfg.ShortCode, Timestamp: stamp,
		Password: Password(c.cfg.ShortCode, c.cfg.Passkey, stamp),
	}
}

type stkAnswer struct {
	MerchantRequestID   wire.Text
	CheckoutRequestID   wire.Text
	ResponseCode        wire.Text
	ResponseDescription wire.Text
	ResultCode          wire.Text
	ResultDesc          wire.Text
}

// STKPush submits a prompt. An error that is not Definite leaves open whether the customer is being asked: never push
// again on a guess; wait for the callback or find the payment in the statement.
func (c *Client) STKPush(ctx context.Context, r STKPushRequest) (STKAccepted, error) {
	if err := r.check(); err != nil {
		return STKAccepted{}, err
	}
	body := c.signedBody()
	body.TransactionType = "CustomerPayBillOnline"
	body.Amount = strconv.FormatInt(r.AmountMinor/100, 10)
	body.PartyA, body.PhoneNumber, body.PartyB = r.Phone[1:], r.Phone[1:], c.cfg.ShortCode
	body.CallBackURL, body.AccountReference, body.TransactionDesc = r.CallbackURL, r.AccountReference, r.Description
	if body.TransactionDesc == "" {
		body.TransactionDesc = "Payment" // optional on paper; some environments refuse its absence
	}
	var answer stkAnswer
	if err := c.call(ctx, "/mpesa/stkpush/v1/processrequest", body, &answer); err != nil {
		return STKAccepted{}, err
	}
	if answer.ResponseCode != CodeSuccess {
		return STKAccepted{}, &Error{HTTPStatus: 200, Code: string(answer.ResponseCode), Message: wire.Scrub(string(answer.ResponseDescription))}
	}
	if answer.CheckoutRequestID == "" || len(answer.CheckoutRequestID) > 64 || len(answer.MerchantRequestID) > 64 {
		return STKAccepted{}, &Error{HTTPStatus: 200, Message: "answer without usable ids"}
	}
	return STKAccepted{MerchantRequestID: string(answer.MerchantRequestID), CheckoutRequestID: string(answer.CheckoutRequestID)}, nil
}

// STKQuery asks for the state of a push. Code 500.001.1001 (with HTTP 500 or inside a 200) and result code 4999 mean
// that there is no answer yet and come back as Pending without an error, except for texts that name wrong credentials
// or an unknown merchant: those never get better by asking again.
func (c *Client) STKQuery(ctx context.Context, checkoutRequestID string) (STKStatus, error) {
	if checkoutRequestID == "" {
		return STKStatus{}, invalid("CheckoutRequestID")
	}
	body := c.signedBody()
	body.CheckoutRequestID = checkoutRequestID
	var answer stkAnswer
	err := c.call(ctx, "/mpesa/stkpushquery/v1/query", body, &answer)
	var refused *Error
	if errors.As(err, &refused) && refused.Code == codeOverloaded && !refused.Definite() {
		return STKStatus{CheckoutRequestID: checkoutRequestID, ResultCode: codeOverloaded, ResultDesc: refused.Message, Outcome: Pending}, nil
	}
	if err != nil {
		return STKStatus{}, err
	}
	if answer.ResponseCode == codeOverloaded {
		answer.ResultCode = codeOverloaded
	} else if answer.ResponseCode != CodeSuccess {
		return STKStatus{}, &Error{HTTPStatus: 200, Code: string(answer.ResponseCode), Message: wire.Scrub(string(answer.ResponseDescription))}
	}
	if got := string(answer.CheckoutRequestID); got != "" && got != checkoutRequestID {
		return STKStatus{}, &Error{HTTPStatus: 200, Message: "answer for another checkout"}
	}
	return STKStatus{
		MerchantRequestID: string(answer.MerchantRequestID), CheckoutRequestID: checkoutRequestID,
		ResultCode: string(answer.ResultCode), ResultDesc: string(answer.ResultDesc),
		Outcome: ClassifySTK(string(answer.ResultCode)),
	}, nil
}
