package journey

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"github.com/sendtip/sendtip/generated/common"
	userclient "github.com/sendtip/sendtip/generated/user/client"
	"github.com/sendtip/sendtip/kit/fault"
)

// Admins are the two people who can appoint everybody else: one proposes, the other approves.
type Admins [2]*Customer

// MakeAdmins makes two admins as `sendtip admin create` does, and sets up their authenticators. On a platform that has two, the glass is
// broken.
func (w World) MakeAdmins(ctx context.Context) (Admins, error) {
	var out Admins
	for i, name := range []string{"Wairimu", "Otieno"} {
		c, err := w.NewCustomer(name)
		if err != nil {
			return out, err
		}
		err = w.MakeAdmin(ctx, c, "")
		if f, ok := fault.As(err); ok && f.Code == "admins_exist" {
			err = w.MakeAdmin(ctx, c, "The story is told once more.")
		}
		if err != nil {
			return out, fmt.Errorf("make an admin: %w", err)
		}
		if err := c.joinStaff(ctx); err != nil {
			return out, err
		}
		out[i] = c
	}
	return out, nil
}

// Appoint registers a person and gives them a role by the two admins; they sign in with an authenticator.
func (w World) Appoint(ctx context.Context, by Admins, name, role string) (*Customer, error) {
	c, err := w.NewCustomer(name)
	if err != nil {
		return nil, err
	}
	if err := w.Register(ctx, c); err != nil {
		return nil, fmt.Errorf("register: %w", err)
	}
	proposed, err := by[0].User.ProposeRoleChangeWithResponse(ctx,
		userclient.RoleChange{UserID: c.UserID, Role: userclient.RoleChangeRole(role), Reason: "Joins the team."})
	if err != nil {
		return nil, err
	}
	if proposed.JSON201 == nil {
		return nil, refusal(proposed.StatusCode(), proposed.Body)
	}
	if err := by[1].Approve(ctx, proposed.JSON201.ApprovalID); err != nil {
		return nil, fmt.Errorf("approve the role: %w", err)
	}
	return c, c.joinStaff(ctx)
}

// joinStaff signs in and sets up the authenticator.
func (c *Customer) joinStaff(ctx context.Context) error {
	if err := c.LogIn(ctx); err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	shown, err := c.User.CreateTotpWithResponse(ctx, userclient.TotpRequest{Pin: c.PIN})
	if err != nil {
		return err
	}
	if shown.JSON201 == nil {
		return refusal(shown.StatusCode(), shown.Body)
	}
	c.totpSecret = shown.JSON201.Secret
	code, err := c.TotpCode()
	if err != nil {
		return err
	}
	confirmed, err := c.User.ConfirmTotpWithResponse(ctx, userclient.TotpConfirmation{Code: code})
	if err != nil {
		return err
	}
	if confirmed.StatusCode() != 204 {
		return refusal(confirmed.StatusCode(), confirmed.Body)
	}
	return c.Refresh(ctx)
}

// Refresh exchanges the refresh token, so that the access token has the rights of now.
func (c *Customer) Refresh(ctx context.Context) error {
	resp, err := c.User.RefreshSessionWithResponse(ctx, &userclient.RefreshSessionParams{IdempotencyKey: newKey()},
		userclient.RefreshRequest{RefreshToken: c.Tokens.RefreshToken, DeviceID: c.Device})
	if err != nil {
		return err
	}
	if resp.JSON201 == nil {
		return refusal(resp.StatusCode(), resp.Body)
	}
	c.keep(*resp.JSON201)
	return nil
}

// TotpCode is what the authenticator shows: a code that was not used yet, so at most three in half a minute. Near the period's end the
// code before this one is not taken: it would be stale before it arrives.
func (c *Customer) TotpCode() (string, error) {
	const period, travel = 30, 10
	oldest := (c.now().Unix()+travel)/period - 1
	c.totpStep = max(oldest, c.totpStep+1)
	return hotp.GenerateCodeCustom(c.totpSecret, uint64(c.totpStep),
		hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
}

// Approve makes the change that another member of staff proposed.
func (c *Customer) Approve(ctx context.Context, id uuid.UUID) error {
	open := userclient.ListUserApprovalsParamsStateOpen
	limit := int32(100)
	list, err := c.User.ListUserApprovalsWithResponse(ctx, &userclient.ListUserApprovalsParams{State: &open, Limit: &limit})
	if err != nil {
		return err
	}
	if list.JSON200 == nil {
		return refusal(list.StatusCode(), list.Body)
	}
	for _, a := range list.JSON200.Data {
		if a.ApprovalID != id {
			continue
		}
		done, err := c.User.ApproveUserApprovalWithResponse(ctx, id, common.ApprovalDecision{Digest: a.Digest})
		if err != nil {
			return err
		}
		if done.JSON200 == nil {
			return refusal(done.StatusCode(), done.Body)
		}
		return nil
	}
	return fmt.Errorf("the request %s is not on the list", id)
}

func (c *Customer) now() time.Time {
	if c.clock == nil {
		return time.Now()
	}
	return c.clock()
}
