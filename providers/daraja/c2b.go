package daraja

import (
	"context"

	"github.com/sendtip/sendtip/providers/internal/wire"
)

// What M-Pesa does with a payment when the validation address does not answer.
const (
	ResponseCompleted = "Completed"
	ResponseCancelled = "Cancelled"
)

// RegisterC2B tells Daraja (v2: callbacks carry masked numbers) where to confirm payments to the short code.
// Production takes one registration per short code; a second one fails with AlreadyRegistered.
func (c *Client) RegisterC2B(ctx context.Context, confirmationURL, validationURL, responseType string) error {
	if responseType != ResponseCompleted && responseType != ResponseCancelled {
		return invalid("ResponseType")
	}
	body := map[string]string{
		"ShortCode": c.cfg.ShortCode, "ResponseType": responseType,
		"ConfirmationURL": confirmationURL, "ValidationURL": validationURL,
	}
	var answer struct{ ResponseCode, ResponseDescription wire.Text }
	if err := c.call(ctx, "/mpesa/c2b/v2/registerurl", body, &answer); err != nil {
		return err
	}
	// "0" in the documents; older environments answered "00000000".
	if answer.ResponseCode != CodeSuccess && answer.ResponseCode != "00000000" {
		return &Error{HTTPStatus: 200, Code: string(answer.ResponseCode), Message: wire.Scrub(string(answer.ResponseDescription))}
	}
	return nil
}
