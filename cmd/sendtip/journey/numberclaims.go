package journey

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/google/uuid"

	userclient "github.com/sendtip/sendtip/generated/user/client"
	"github.com/sendtip/sendtip/providers/safaricom"
	"github.com/sendtip/sendtip/sandbox/control"
)

// Newcomer is a person whom the operator gave a customer's number, on a phone of their own.
func (w World) Newcomer(name string, c *Customer) (*Customer, error) {
	n, err := w.NewCustomer(name)
	if err == nil {
		n.Phone = c.Phone
	}
	return n, err
}

// Prove registers with the newest code that the number got, and returns the answer, whatever it is.
func (w World) Prove(ctx context.Context, c *Customer) (*userclient.CompleteRegistrationResponse, error) {
	before, err := w.Sandbox.Messages(ctx, c.Phone)
	if err != nil {
		return nil, err
	}
	started, err := c.User.StartRegistrationWithResponse(ctx,
		userclient.RegistrationRequest{Phone: c.Phone, Language: "en", Country: safaricom.Country})
	if err != nil {
		return nil, err
	}
	if started.JSON202 == nil {
		return nil, refusal(started.StatusCode(), started.Body)
	}
	old := make([]string, len(before))
	for i, m := range before {
		old[i] = m.Text
	}
	code, err := w.newCode(ctx, c, old)
	if err != nil {
		return nil, err
	}
	done, err := c.User.CompleteRegistrationWithResponse(ctx, started.JSON202.RegistrationID,
		userclient.RegistrationCompletion{Otp: code, Pin: c.PIN, DeviceID: c.Device})
	if err == nil && done.JSON201 != nil {
		c.UserID = done.JSON201.User.UserID
		c.keep(done.JSON201.Tokens)
	}
	return done, err
}

// ClaimNumber lets a stranger prove a customer's number, and returns the claim.
func (w World) ClaimNumber(ctx context.Context, c *Customer) (uuid.UUID, error) {
	stranger, err := w.Newcomer("Otieno", c)
	if err != nil {
		return uuid.Nil, err
	}
	done, err := w.Prove(ctx, stranger)
	if err != nil {
		return uuid.Nil, err
	}
	if done.StatusCode() != http.StatusConflict {
		return uuid.Nil, fmt.Errorf("a stranger's registration: %w", refusal(done.StatusCode(), done.Body))
	}
	claims, err := c.User.ListMyNumberClaimsWithResponse(ctx, nil)
	if err != nil {
		return uuid.Nil, err
	}
	if claims.JSON200 == nil || len(claims.JSON200.Data) == 0 {
		return uuid.Nil, errors.Join(errors.New("no claim"), refusal(claims.StatusCode(), claims.Body))
	}
	return claims.JSON200.Data[0].ClaimID, nil
}

// newCode waits for a code that is not in an old message.
func (w World) newCode(ctx context.Context, c *Customer, old []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	m, err := w.Sandbox.WaitSMS(ctx, c.Phone, func(m control.Message) bool {
		return otpPattern.MatchString(m.Text) && !slices.Contains(old, m.Text)
	})
	if err != nil {
		return "", fmt.Errorf("SMS with a code: %w", err)
	}
	return otpPattern.FindString(m.Text), nil
}
