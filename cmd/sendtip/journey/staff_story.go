package journey

import (
	"context"
	"fmt"
	"net/http"

	userclient "github.com/sendtip/sendtip/generated/user/client"
)

// staff is the part of the people who run the platform.
func (s *story) staff() []step {
	return []step{
		{"two admins are made, and set up their authenticators", func(ctx context.Context) (string, error) {
			var err error
			s.admins, err = s.MakeAdmins(ctx)
			return "", err
		}},
		{"one proposes a compliance officer, the other approves", func(ctx context.Context) (string, error) {
			var err error
			s.officer, err = s.Appoint(ctx, s.admins, "Njeri", "compliance")
			return "", err
		}},
		{"an identity that was rejected is verified by two people", s.overridden},
		{"one officer of finance proposes a price for tomorrow, another approves it", s.priced},
		{"a payment to an account that nobody has is matched to her wallet", s.misdirected},
		{"they switch payouts to M-Pesa off: withdrawals are refused with the time to try again; then on", s.switchedOff},
	}
}

// overridden is a customer whom the authority does not know, and who shows the original card in the branch.
func (s *story) overridden(ctx context.Context) (string, error) {
	checker, err := s.Appoint(ctx, s.admins, "Kamau", "compliance")
	if err != nil {
		return "", err
	}
	c, err := s.NewCustomer("Achieng")
	if err != nil {
		return "", err
	}
	if err := s.Register(ctx, c); err != nil {
		return "", err
	}
	status, err := c.SubmitKYC(ctx, "3"+digits(6)+"2") // the sandbox's authority does not know this number
	if err != nil {
		return "", err
	}
	if status != "rejected" {
		return "", fmt.Errorf("the check ended as %s", status)
	}
	proposed, err := s.officer.User.ProposeKycOverrideWithResponse(ctx,
		userclient.KycOverride{KycID: c.KycID, Reason: "Original card seen in the branch."})
	if err != nil {
		return "", err
	}
	if proposed.JSON201 == nil {
		return "", refusal(proposed.StatusCode(), proposed.Body)
	}
	if err := s.officer.Approve(ctx, proposed.JSON201.ApprovalID); err == nil || err.Error() != refusal(http.StatusForbidden,
		[]byte(`{"code":"approval_same_person"}`)).Error() {
		return "", fmt.Errorf("the officer approved their own proposal: %w", err)
	}
	if err := checker.Approve(ctx, proposed.JSON201.ApprovalID); err != nil {
		return "", err
	}
	return "rejected → verified", c.WaitWallet(ctx)
}
