package journey

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/sandbox/control"
)

// forged tells of a payment that nobody made, as somebody would who has seen the address of confirmations in a log. A genuine payment that
// comes after it is credited, alone.
func (s *story) forged(ctx context.Context) (string, error) {
	before, err := s.amina.Balance(ctx)
	if err != nil {
		return "", err
	}
	told, err := s.Sandbox.Forge(ctx, control.Forgery{Msisdn: s.brian.Phone, Account: s.amina.DepositAccount, AmountMinor: 5_000_00})
	if err != nil {
		return "", err
	}
	if _, err := s.Sandbox.C2B(ctx,
		control.C2BPayment{Msisdn: s.brian.Phone, Account: s.amina.DepositAccount, AmountMinor: 10_00}); err != nil {
		return "", err
	}
	var after int64
	err = until(ctx, "the genuine payment", func() (bool, error) {
		after, err = s.amina.Balance(ctx)
		return after != before, err
	})
	if err == nil && after-before != 10_00 {
		err = fmt.Errorf("%s were credited", kes(after-before))
	}
	return fmt.Sprintf("the forgery was answered %d, %s credited", told.Status, kes(after-before)), err
}

// besieged lets strangers try her number until nobody of them may, and signs her in on her own phone.
func (s *story) besieged(ctx context.Context) (string, error) {
	stranger, err := s.NewCustomer("Stranger")
	if err != nil {
		return "", err
	}
	answers := map[int]int{}
	for range 30 {
		body, err := json.Marshal(map[string]string{"phone": s.amina.Phone, "pin": "1379", "device_id": uuid.NewString()})
		if err != nil {
			return "", err
		}
		status, _, err := stranger.Raw(ctx, "POST", "/v1/sessions", string(body), nil)
		if err != nil {
			return "", err
		}
		answers[status]++
	}
	if answers[403] != 20 || answers[429] != 10 {
		return "", fmt.Errorf("answers by status: %v", answers)
	}
	return "20 were heard, 10 told to wait", s.amina.LogIn(ctx)
}
