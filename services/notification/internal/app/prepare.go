package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/uuid"

	notificationdb "github.com/sendtip/sendtip/generated/notification/db"
	"github.com/sendtip/sendtip/kit/call"
	"github.com/sendtip/sendtip/providers/africastalking"

	"github.com/sendtip/sendtip/services/notification/internal/domain"
)

// prepare asks user for what the message needs and renders it. A reason means that it can never be sent; an error, that user did not
// answer.
func (a *App) prepare(ctx context.Context, n notificationdb.Notification) (outgoing, string, error) {
	fill := domain.Fill{OccurredAt: n.OccurredAt}
	if err := json.Unmarshal(n.Params, &fill.Params); err != nil {
		return outgoing{}, "", fmt.Errorf("params: %w", err)
	}
	if n.Template == string(domain.OTP) {
		return a.prepareCode(ctx, n, fill)
	}
	if n.Template == string(domain.NumberLeft) {
		return a.prepareFormer(ctx, n, fill)
	}
	res, err := a.Users.GetContactsWithResponse(call.AsService(ctx), n.RecipientID)
	if err != nil {
		return outgoing{}, "", fmt.Errorf("contacts: %w", err)
	}
	if res.StatusCode() == http.StatusNotFound {
		return outgoing{}, domain.ReasonRecipientUnknown, nil
	}
	if res.JSON200 == nil {
		return outgoing{}, "", fmt.Errorf("contacts: %w", call.Problem(res.StatusCode(), res.Body))
	}
	c := res.JSON200
	if c.FirstName != nil {
		fill.FirstName = *c.FirstName
	}
	if fill.OtherName, err = a.otherName(ctx, fill.OtherID); err != nil {
		return outgoing{}, "", err
	}
	out := outgoing{hasMail: c.Email != nil && domain.Template(n.Template).HasEmail()}
	if c.Phone != nil {
		out.address = *c.Phone
	}
	if n.Channel == string(domain.Email) {
		if c.Email == nil {
			return outgoing{}, domain.ReasonNoAddress, nil
		}
		out.address = string(*c.Email)
	}
	out.message, err = a.Texts.Render(domain.Template(n.Template), domain.Channel(n.Channel), c.Language, fill)
	out.stored = out.message
	return out, "", err
}

// otherName asks how others see a customer. One who is gone, or not verified, has no name to show.
func (a *App) otherName(ctx context.Context, id uuid.UUID) (string, error) {
	if id == uuid.Nil {
		return "", nil
	}
	res, err := a.Users.GetContactsWithResponse(call.AsService(ctx), id)
	switch {
	case err != nil:
		return "", fmt.Errorf("other's name: %w", err)
	case res.StatusCode() == http.StatusNotFound, res.JSON200 != nil && res.JSON200.MaskedName == nil:
		return "", nil
	case res.JSON200 == nil:
		return "", fmt.Errorf("other's name: %w", call.Problem(res.StatusCode(), res.Body))
	}
	return *res.JSON200.MaskedName, nil
}

// prepareFormer addresses a number that is its customer's no more: it is not among the contacts.
func (a *App) prepareFormer(ctx context.Context, n notificationdb.Notification, fill domain.Fill) (outgoing, string, error) {
	res, err := a.Users.GetFormerNumberWithResponse(call.AsService(ctx), n.RecipientID)
	if err != nil {
		return outgoing{}, "", fmt.Errorf("former number: %w", err)
	}
	if res.StatusCode() == http.StatusNotFound {
		return outgoing{}, domain.ReasonRecipientUnknown, nil
	}
	if res.JSON200 == nil {
		return outgoing{}, "", fmt.Errorf("former number: %w", call.Problem(res.StatusCode(), res.Body))
	}
	out := outgoing{address: res.JSON200.Phone}
	out.message, err = a.Texts.Render(domain.NumberLeft, domain.SMS, res.JSON200.Language, fill)
	out.stored = out.message
	return out, "", err
}

// prepareCode fetches the one-time code at the last moment. It lives in this call only: what is stored has it masked.
func (a *App) prepareCode(ctx context.Context, n notificationdb.Notification, fill domain.Fill) (outgoing, string, error) {
	res, err := a.Users.TakeOtpWithResponse(call.AsService(ctx), n.RecipientID)
	if err != nil {
		return outgoing{}, "", fmt.Errorf("take code: %w", err)
	}
	switch res.StatusCode() {
	case http.StatusNotFound, http.StatusConflict, http.StatusGone, http.StatusUnprocessableEntity:
		return outgoing{}, domain.ReasonCodeUnavailable, nil // spent, replaced or expired
	}
	if res.JSON200 == nil {
		return outgoing{}, "", fmt.Errorf("take code: %w", call.Problem(res.StatusCode(), res.Body))
	}
	c := res.JSON200
	if !a.Now().Before(c.ExpiresAt) {
		return outgoing{}, domain.ReasonExpired, nil
	}
	fill.Purpose, fill.ExpiresAt, fill.Code = c.Purpose, c.ExpiresAt, c.Code
	out := outgoing{address: c.Phone}
	if out.message, err = a.Texts.Render(domain.OTP, domain.SMS, c.Language, fill); err != nil {
		return outgoing{}, "", err
	}
	fill.Code = domain.MaskedCode
	out.stored, err = a.Texts.Render(domain.OTP, domain.SMS, c.Language, fill)
	return out, "", err
}

// sendSMS maps the gateway's answer. The gateway knows no idempotency key, so a lost answer is unknown.
func (a *App) sendSMS(ctx context.Context, out outgoing) answer {
	receipt, err := a.SMS.Send(ctx, africastalking.Message{To: out.address, Text: out.message.Text, From: a.SenderID})
	if err != nil {
		return a.smsError(ctx, err)
	}
	switch receipt.Outcome {
	case africastalking.Accepted:
		return answer{accepted: true, messageID: receipt.MessageID}
	case africastalking.Unknown:
		return answer{unknown: true}
	}
	return answer{retryable: receipt.Retryable, reason: domain.SMSReason(receipt.StatusCode)}
}

// smsError judges a request without an answer for the recipient. A refused credential is ours to repair, and nothing was sent: the
// message waits for it until its deadline.
func (a *App) smsError(ctx context.Context, err error) answer {
	var refused *africastalking.Error
	if !errors.As(err, &refused) || !refused.Definite() {
		a.Log.WarnContext(ctx, "answer of the SMS gateway lost", "err", err)
		return answer{unknown: true}
	}
	credential := refused.HTTPStatus == http.StatusUnauthorized || refused.HTTPStatus == http.StatusForbidden
	if credential {
		a.Log.ErrorContext(ctx, "the SMS gateway refuses our credentials: check SENDTIP_AT_USERNAME and SENDTIP_AT_API_KEY")
	}
	return answer{retryable: credential || refused.Retryable(), reason: smsErrorReason(refused)}
}

func smsErrorReason(e *africastalking.Error) string {
	if e.NotSent && e.Err == nil {
		return "invalid_phone" // refused before it was sent
	}
	if e.HTTPStatus == 0 {
		return "provider_unreachable"
	}
	return strings.ReplaceAll(strings.ToLower("http_"+http.StatusText(e.HTTPStatus)), " ", "_")
}
