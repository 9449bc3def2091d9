package daraja

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"unicode/utf8"

	"github.com/sendtip/sendtip/sandbox/control"
	"github.com/sendtip/sendtip/sandbox/internal/world"
)

// forgeable keeps a forged receipt readable: what cannot be read is another test.
var forgeable = regexp.MustCompile(`^[A-Za-z0-9]{1,50}$`)

// Forge is somebody who learned the address of confirmations and tells of a payment, from an address that is not M-Pesa's. Whether it was
// made, nobody looks at: the statement does not change.
func (s *Server) Forge(ctx context.Context, in control.Forgery) (control.Forged, error) {
	if in.ShortCode == "" {
		in.ShortCode = s.opt.ShortCode
	}
	reg, ok := s.registrations.c2b(in.ShortCode)
	switch {
	case !ok:
		return control.Forged{}, errors.New("nobody registered an address for this short code")
	case !kenyan.MatchString(in.Msisdn[1:]):
		return control.Forged{}, errors.New("not a Kenyan mobile number")
	case in.AmountMinor <= 0 || in.AmountMinor > 1<<53-1:
		return control.Forged{}, errors.New("amount_minor is missing or out of range")
	case utf8.RuneCountInString(in.Account) > 20:
		return control.Forged{}, errors.New("account has more than 20 characters")
	case in.Receipt != "" && !forgeable.MatchString(in.Receipt):
		return control.Forged{}, errors.New("receipt is not letters and digits")
	}
	at := s.world.Now()
	if in.At != nil {
		at = *in.At
	}
	if in.Receipt == "" {
		s.mu.Lock()
		in.Receipt = s.receipts.make(at)
		s.mu.Unlock()
	}
	p := c2bPayment{receipt: in.Receipt, shortCode: in.ShortCode, msisdn: in.Msisdn, account: in.Account, amountMinor: in.AmountMinor, at: at}
	total := s.world.OrgBalanceMinor() + in.AmountMinor
	status, _ := s.world.Post(ctx,
		world.Callback{Kind: "forgery", ID: in.Receipt, URL: reg.Confirmation, ContentType: "application/json", Stranger: true,
			Body: c2bBody(p, reg.Version, fmt.Sprintf("%d.%02d", total/100, total%100))})
	return control.Forged{Receipt: in.Receipt, Status: status}, nil
}

// inventC2B is a stranger telling of a payment of twice the amount, which nobody made.
func (s *Server) inventC2B(ctx context.Context, reg registration, p c2bPayment) {
	s.mu.Lock()
	p.receipt = s.receipts.make(p.at)
	s.mu.Unlock()
	p.amountMinor *= 2
	s.world.Post(ctx, world.Callback{Kind: "forgery", ID: p.receipt, URL: reg.Confirmation, ContentType: "application/json", Stranger: true,
		Body: c2bBody(p, reg.Version, "")})
}

// inventSTK is a stranger telling the opposite of how a prompt ended, of a prompt that nobody was shown.
func (s *Server) inventSTK(ctx context.Context, p *push) {
	s.mu.Lock()
	forged := push{merchantRequestID: newRequestID(), msisdn: p.msisdn, shillings: p.shillings, paidAt: s.world.Now(), code: "1032"}
	forged.checkoutRequestID = checkoutID(forged.paidAt, s.sequence+500, p.msisdn)
	if p.code != "0" {
		forged.code, forged.receipt = "0", s.receipts.make(forged.paidAt)
	}
	body := stkCallback(&forged)
	s.mu.Unlock()
	s.world.Post(ctx, world.Callback{Kind: "forgery", ID: forged.checkoutRequestID, URL: p.callbackURL,
		ContentType: "application/json;charset=UTF-8", Stranger: true, Body: body})
}
