package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	userclient "github.com/sendtip/sendtip/generated/user/client"
	"github.com/sendtip/sendtip/kit/call"
	"github.com/sendtip/sendtip/kit/fault"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

type recipient struct {
	UserID     uuid.UUID
	MaskedName string
}

// findRecipient asks user who owns a phone, on behalf of the customer who wants to know (user limits how often one may ask).
func (a *App) findRecipient(ctx context.Context, phone string) (recipient, error) {
	answer, err := a.Users.LookupRecipientWithResponse(ctx, userclient.RecipientLookup{Phone: phone})
	if err != nil {
		return recipient{}, fmt.Errorf("look up recipient: %w", err)
	}
	if answer.JSON200 != nil {
		return recipient{UserID: answer.JSON200.UserID, MaskedName: answer.JSON200.MaskedName}, nil
	}
	problem := call.Problem(answer.StatusCode(), answer.Body)
	if f, ok := fault.As(problem); ok && f.Code == domain.ErrRecipientInReview.Code {
		return recipient{}, domain.ErrRecipientInReview
	}
	return recipient{}, peerFault("look up recipient", problem, domain.ErrRecipientMissing)
}

// maskedNameOf asks user how others see a customer; "" for one who is not verified, or where user does not say.
func (a *App) maskedNameOf(ctx context.Context, userID uuid.UUID) (string, error) {
	answer, err := a.Users.GetContactsWithResponse(ctx, userID)
	if err != nil {
		return "", fmt.Errorf("get contacts: %w", err)
	}
	if got := answer.JSON200; got != nil && got.MaskedName != nil {
		return *got.MaskedName, nil
	} else if got != nil || answer.StatusCode() == http.StatusForbidden {
		return "", nil
	}
	return "", peerFault("get contacts", call.Problem(answer.StatusCode(), answer.Body), fault.ErrNotFound)
}

// errPhoneWithheld says that user does not let this service read contacts (the scope users:contacts is not granted): asking again is no
// use.
var errPhoneWithheld = errors.New("user does not tell this service the customer's number")

// phoneOf asks user for a customer's own number; "" if there is none that may be used.
func (a *App) phoneOf(ctx context.Context, userID uuid.UUID) (string, error) {
	answer, err := a.Users.GetContactsWithResponse(ctx, userID)
	if err != nil {
		return "", fmt.Errorf("get contacts: %w", err)
	}
	if got := answer.JSON200; got != nil && got.Phone != nil {
		return *got.Phone, nil
	} else if got != nil {
		return "", nil
	}
	if answer.StatusCode() == http.StatusForbidden {
		return "", errPhoneWithheld
	}
	return "", peerFault("get contacts", call.Problem(answer.StatusCode(), answer.Body), fault.ErrNotFound)
}

// peerFault passes on what concerns the customer: absent, too often, not available. Any other refusal of a peer is a fault between
// services, which the customer must not take for their own.
func peerFault(what string, err error, notFound *fault.Error) error {
	f, ok := fault.As(err)
	switch {
	case ok && f.Kind == fault.NotFound:
		return notFound
	case ok && f.Kind == fault.TooMany, call.IsUnknown(err):
		return fmt.Errorf("%s: %w", what, err)
	}
	return errors.New(what + ": " + err.Error())
}
