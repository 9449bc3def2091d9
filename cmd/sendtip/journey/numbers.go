package journey

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	userclient "github.com/sendtip/sendtip/generated/user/client"
)

// ChangeNumber proves another number and approves the change, which then waits for a day.
func (w World) ChangeNumber(ctx context.Context, c *Customer) (userclient.NumberChange, error) {
	var none userclient.NumberChange
	next, err := w.NewCustomer("Next")
	if err != nil {
		return none, err
	}
	id, code, err := w.ProveNumber(ctx, c, next)
	if err != nil {
		return none, err
	}
	approval, err := c.StepUpFor(ctx, "confirmNumberChange", id)
	if err != nil {
		return none, fmt.Errorf("approve: %w", err)
	}
	resp, err := c.User.ConfirmNumberChangeWithResponse(ctx, id, &userclient.ConfirmNumberChangeParams{StepUpToken: approval},
		userclient.NumberChangeConfirmation{Otp: code})
	if err != nil {
		return none, err
	}
	if resp.JSON200 == nil {
		return none, refusal(resp.StatusCode(), resp.Body)
	}
	return *resp.JSON200, nil
}

// ProveNumber asks for a change to somebody's number, and returns its id with the code that this number got.
func (w World) ProveNumber(ctx context.Context, c, holder *Customer) (uuid.UUID, string, error) {
	started, err := c.User.StartNumberChangeWithResponse(ctx, userclient.NumberChangeRequest{Phone: holder.Phone})
	if err != nil {
		return uuid.Nil, "", err
	}
	if started.JSON202 == nil {
		return uuid.Nil, "", refusal(started.StatusCode(), started.Body)
	}
	m, err := w.sms(ctx, holder, "number change code")
	return started.JSON202.NumberChangeID, otpPattern.FindString(m.Text), err
}
