package journey

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	openapitypes "github.com/oapi-codegen/runtime/types"

	userclient "github.com/sendtip/sendtip/generated/user/client"
	"github.com/sendtip/sendtip/providers/safaricom"
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

// Recovery is an account that is asked back, with what the person shows for it later.
type Recovery struct {
	ID    uuid.UUID
	Token string
}

// AskBack lets a customer who lost phone and PIN ask for the account, with the number, the PIN and the device of another phone.
func (w World) AskBack(ctx context.Context, c, phone *Customer) (Recovery, error) {
	none := Recovery{}
	started, err := phone.User.StartRecoveryWithResponse(ctx,
		userclient.RegistrationRequest{Phone: phone.Phone, Language: "en", Country: safaricom.Country})
	if err != nil {
		return none, err
	}
	if started.JSON202 == nil {
		return none, refusal(started.StatusCode(), started.Body)
	}
	m, err := w.sms(ctx, phone, "account recovery code")
	if err != nil {
		return none, err
	}
	done, err := phone.User.CompleteRecoveryWithResponse(ctx, started.JSON202.RecoveryID, userclient.RecoveryCompletion{
		Otp: otpPattern.FindString(m.Text), Pin: phone.PIN, DeviceID: phone.Device, ConsentVersion: "2026-01", Country: safaricom.Country,
		IDType: "NATIONAL_ID", IDNumber: c.IDNumber, FirstName: c.Name, LastName: "Wanjiru",
		DateOfBirth: openapitypes.Date{Time: time.Date(1990, 4, 12, 0, 0, 0, 0, time.UTC)},
	})
	if err != nil {
		return none, err
	}
	if done.JSON202 == nil {
		return none, refusal(done.StatusCode(), done.Body)
	}
	return Recovery{done.JSON202.RecoveryID, done.JSON202.RecoveryToken}, nil
}

// GiveBack lets two officers of compliance agree on a recovery, once its document was checked. The customer's day begins.
func (w World) GiveBack(ctx context.Context, maker, checker *Customer, r Recovery) error {
	var proposed *userclient.ProposeRecoveryResponse
	err := until(ctx, "the document to be checked", func() (bool, error) {
		var err error
		proposed, err = maker.User.ProposeRecoveryWithResponse(ctx,
			userclient.RecoveryProposal{RecoveryID: r.ID, Reason: "Same person as on the card."})
		if err == nil && proposed.JSON201 == nil && code(proposed.Body) != "recovery_not_checked" {
			err = refusal(proposed.StatusCode(), proposed.Body)
		}
		return proposed != nil && proposed.JSON201 != nil, err
	})
	if err != nil {
		return err
	}
	return checker.Approve(ctx, proposed.JSON201.ApprovalID)
}
