package paystack

import (
	"errors"
	"strconv"
	"time"

	"github.com/sendtip/sendtip/providers/paystack"
	"github.com/sendtip/sendtip/sandbox/control"
)

// dispute is a customer's complaint at the bank about a payment; there is one at most.
type dispute struct {
	number     int64
	amount     int64
	status     string
	resolution any
	createdAt  time.Time
	resolvedAt time.Time
}

// dueAfter is how long a merchant has to answer.
const dueAfter = 24 * time.Hour

// Dispute opens a complaint about a payment, reminds of it, or ends it: accepted, the money goes back, below zero if it must.
func (s *Server) Dispute(ref string, in control.PaystackDispute) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.payments[ref]
	if p == nil || p.status != succeeded {
		return errors.New("no paid payment with this reference")
	}
	d := p.dispute
	if (in.Action == "create") != (d == nil) || (d != nil && d.status == "resolved") {
		return errors.New("a payment is disputed once, and the dispute ended once")
	}
	event := paystack.DisputeResolved
	switch in.Action {
	case "create":
		if in.AmountMinor == 0 {
			in.AmountMinor = p.amount
		}
		if in.AmountMinor < 0 || in.AmountMinor > p.amount {
			return errors.New("amount_minor is out of range")
		}
		d = &dispute{number: s.next(), amount: in.AmountMinor, status: "awaiting-merchant-feedback", createdAt: s.world.Now()}
		p.dispute, event = d, paystack.DisputeCreated
	case "remind":
		event = paystack.DisputeReminded
	case "accept", "decline":
		d.status, d.resolution, d.resolvedAt = "resolved", "declined", s.world.Now()
		if in.Action == "accept" {
			d.resolution = "merchant-accepted"
			s.books.add(control.PaystackLine{Kind: "dispute", Reference: p.reference, ID: strconv.FormatInt(d.number, 10), Party: p.phone,
				Currency: p.currency, AmountMinor: -d.amount, At: d.resolvedAt})
			if p.phone != "" {
				s.world.Refund(p.phone, d.amount)
			}
		}
	default:
		return errors.New("action is create, remind, accept or decline")
	}
	script := s.scripts.references[ref].Over(s.scripts.accounts[p.phone]).Over(s.scripts.global).Over(builtIn)
	s.announce(script, event, ref, map[string]any{"id": d.number, "refund_amount": d.amount, "currency": p.currency, "status": d.status,
		"resolution": d.resolution, "domain": s.domain, "transaction_reference": nil, "category": "chargeback",
		"dueAt":      stamp(d.createdAt.Add(dueAfter)),
		"resolvedAt": stamp(d.resolvedAt), "created_at": stamp(d.createdAt), "customer": customer(p), "evidence": nil, "attachments": nil,
		"note": nil,
		"transaction": map[string]any{"id": p.number, "reference": p.reference, "amount": p.amount, "currency": p.currency, "domain": s.domain,
			"status": p.status, "channel": p.channel}})
	return nil
}
