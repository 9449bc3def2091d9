package paystack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/sendtip/sendtip/providers/paystack"
	"github.com/sendtip/sendtip/sandbox/control"
	"github.com/sendtip/sendtip/sandbox/internal/world"
)

// refund gives a payment back, or a part of it. Server.mu guards what changes.
type refund struct {
	number       int64
	of           *payment
	amount       int64
	customerNote string
	merchantNote string
	script       control.PaystackScript
	createdAt    time.Time

	status string
	doneAt time.Time
	bank   any // the reference at the bank; null until it is known
}

func (s *Server) createRefund(w http.ResponseWriter, r *http.Request, in fields) {
	s.mu.Lock()
	p := s.payments[in.text("transaction")]
	if p == nil {
		p = s.byID[in.text("transaction")]
	}
	if p == nil {
		s.mu.Unlock()
		notFound(w, "transaction_not_found", "Transaction not found")
		return
	}
	f := &refund{of: p, amount: in.minor("amount"), customerNote: in.text("customer_note"), merchantNote: in.text("merchant_note")}
	if in["amount"] == nil {
		f.amount = p.amount - p.refunded
	}
	bad := ""
	switch {
	case in["currency"] != nil && in.text("currency") != p.currency:
		bad = "Currency does not match the transaction"
	case p.status != succeeded:
		bad = "Transaction has not been paid"
	case f.amount == 0 || f.amount > p.amount-p.refunded:
		bad = "Refund amount cannot be more than transaction amount"
	}
	if bad != "" {
		s.mu.Unlock()
		refuse(w, "invalid_params", bad)
		return
	}
	f.script = s.script(kindRefund, p.reference, p.phone)
	if len(s.refunds) >= maxObjects {
		f.script.Answer = "error_before"
	}
	if before(w, f.script.Answer) {
		s.mu.Unlock()
		return
	}
	if s.books.balances[p.currency] < f.amount {
		s.mu.Unlock()
		refuse(w, "insufficient_balance", "Your balance is not enough to fulfil this request")
		return
	}
	f.number, f.createdAt, f.status = s.next(), s.world.Now(), paystack.RefundPending
	p.refunded += f.amount
	s.refunds, s.refundByID[f.id()] = append(s.refunds, f), f
	s.give(f, "refund", -1)
	s.tell(f)
	data := s.newRefund(f)
	s.mu.Unlock()
	s.world.Go(func(ctx context.Context) { s.handle(ctx, f) })
	s.after(w, r, f.script.Answer, http.StatusOK, "Refund has been queued for processing", data)
}

// give books a refund, or its return. Callers hold mu.
func (s *Server) give(f *refund, kind string, sign int64) {
	s.books.add(control.PaystackLine{Kind: kind, Reference: f.of.reference, ID: f.id(), Party: f.of.phone, Currency: f.of.currency,
		AmountMinor: sign * f.amount, At: s.world.Now()})
}

func (f *refund) id() string { return strconv.FormatInt(f.number, 10) }

// handle ends a refund as its script says.
func (s *Server) handle(ctx context.Context, f *refund) {
	if f.script.Refund == "pending" || !world.Pause(ctx, world.MS(f.script.DelayMS, s.opt.ResultDelay)) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch f.script.Refund {
	case "failed":
		s.endRefund(f, paystack.RefundFailed)
	case "needs_attention":
		f.status = paystack.RefundNeedsAttention
		s.tell(f)
	default:
		f.status = paystack.RefundProcessing
		s.tell(f)
		s.endRefund(f, paystack.RefundProcessed)
	}
}

// endRefund is its end: the customer has the money, or it comes back. Callers hold mu.
func (s *Server) endRefund(f *refund, status string) {
	if f.status == paystack.RefundProcessed || f.status == paystack.RefundFailed {
		return
	}
	f.status, f.doneAt = status, s.world.Now()
	if status == paystack.RefundFailed {
		f.of.refunded -= f.amount
		s.give(f, "refund_failed", 1)
	} else {
		f.bank = fmt.Sprintf("TRF_REFUND_%d", f.number)
		if f.of.phone != "" {
			s.world.Refund(f.of.phone, f.amount)
			s.world.Deliver(f.of.phone, "MPESA", "Confirmed. "+shillings(f.amount)+" was given back to you by PAYSTACK.")
		}
	}
	s.tell(f)
}

// EndRefund is Paystack's staff: process lets a refund that is stuck go through, fail gives it up.
func (s *Server) EndRefund(id, action string) error {
	status := map[string]string{"process": paystack.RefundProcessed, "fail": paystack.RefundFailed}[action]
	if status == "" {
		return errors.New("action is process or fail")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.refundByID[id]
	if f == nil || f.status == paystack.RefundProcessed || f.status == paystack.RefundFailed {
		return errors.New("no open refund with this id")
	}
	s.endRefund(f, status)
	return nil
}

// tell announces the state of a refund: amounts are texts while it goes well. Callers hold mu.
func (s *Server) tell(f *refund) {
	data := map[string]any{"status": f.status, "transaction_reference": f.of.reference, "refund_reference": f.bank,
		"amount": strconv.FormatInt(f.amount, 10), "currency": f.of.currency, "processor": processor(f.of), "integration": integration,
		"customer": map[string]any{"first_name": "", "last_name": "", "email": f.of.email}, "domain": s.domain}
	switch f.status {
	case paystack.RefundFailed:
		data["amount"] = f.amount
	case paystack.RefundNeedsAttention:
		data["amount"], data["id"], data["customer_note"], data["merchant_note"] = f.amount, f.number, f.customerNote, f.merchantNote
		delete(data, "processor")
	}
	s.announce(f.script, "refund."+f.status, f.of.reference, data)
}

func processor(p *payment) string {
	if p.phone != "" {
		return "mpesa_ke"
	}
	return "mpgs_ke"
}

func (s *Server) getRefund(w http.ResponseWriter, r *http.Request, _ fields) {
	s.mu.Lock()
	f := s.refundByID[r.PathValue("id")]
	if f == nil {
		s.mu.Unlock()
		notFound(w, "refund_not_found", "Refund not found")
		return
	}
	way, data := s.queries(f.script, f.of.reference, f.of.phone), s.oldRefund(f)
	s.mu.Unlock()
	if !asked(w, way) {
		answer(w, http.StatusOK, "Refund retrieved", data)
	}
}

func (s *Server) listRefunds(w http.ResponseWriter, r *http.Request, _ fields) {
	q := r.URL.Query()
	from, err := time.Parse(time.RFC3339, q.Get("from"))
	if q.Get("from") != "" && err != nil {
		refuse(w, "invalid_params", "from is not a date")
		return
	}
	size, page := positive(q.Get("perPage"), 50), positive(q.Get("page"), 1)
	s.mu.Lock()
	out := []map[string]any{}
	way := s.scripts.global.Query
	for _, f := range slices.Backward(s.refunds) {
		if (q.Get("transaction") != "" && q.Get("transaction") != f.of.id) || f.createdAt.Before(from) {
			continue
		}
		out = append(out, s.oldRefund(f))
		way = s.queries(f.script, f.of.reference, f.of.phone)
	}
	s.mu.Unlock()
	if asked(w, way) {
		return
	}
	write(w, http.StatusOK, map[string]any{"status": true, "message": "Refunds retrieved", "data": cut(out, size, page),
		"meta": map[string]any{"total": len(out), "skipped": min((page-1)*size, len(out)), "perPage": strconv.Itoa(size), "page": page,
			"pageCount": (len(out) + size - 1) / size, "failedRefundCount": 0}})
}

// newRefund is the answer to a new refund, with its payment as an object. Callers hold mu.
func (s *Server) newRefund(f *refund) map[string]any {
	p := f.of
	return map[string]any{
		"transaction": map[string]any{"id": p.number, "domain": s.domain, "reference": p.reference, "amount": p.amount,
			"paid_at": stamp(p.paidAt),
			"channel": p.channel, "currency": p.currency, "authorization": map[string]any{"exp_month": nil, "exp_year": nil, "account_name": nil},
			"customer": map[string]any{"international_format_phone": nil}, "plan": map[string]any{}, "subaccount": map[string]any{"currency": nil},
			"split": map[string]any{}, "order_id": nil, "paidAt": stamp(p.paidAt), "pos_transaction_data": nil, "source": nil,
			"fees_breakdown": nil},
		"integration": integration, "deducted_amount": 0, "channel": nil, "merchant_note": f.merchantNote, "customer_note": f.customerNote,
		"status": f.status, "refunded_by": "dev@sendtip.example", "expected_at": stamp(f.createdAt.Add(7 * 24 * time.Hour)),
		"currency": p.currency,
		"domain":   s.domain, "amount": f.amount, "fully_deducted": false, "id": f.number, "createdAt": stamp(f.createdAt),
		"updatedAt": stamp(f.createdAt),
	}
}

// oldRefund is the answer to a question about it, with its payment as a number. Callers hold mu.
func (s *Server) oldRefund(f *refund) map[string]any {
	p := f.of
	return map[string]any{
		"integration": integration, "transaction": p.number, "dispute": nil, "settlement": nil, "id": f.number, "domain": s.domain,
		"currency": p.currency, "amount": f.amount, "status": f.status, "refunded_at": stamp(f.doneAt), "refunded_by": "dev@sendtip.example",
		"customer_note": f.customerNote, "merchant_note": f.merchantNote, "deducted_amount": f.amount, "fully_deducted": 1,
		"createdAt": stamp(f.createdAt), "bank_reference": f.bank, "transaction_reference": p.reference, "reason": "",
		"customer": map[string]any{"id": p.number, "first_name": "", "last_name": "", "email": p.email, "customer_code": "CUS_" + p.accessCode,
			"phone": "", "metadata": "", "risk_action": "default", "international_format_phone": ""},
		"refund_type": "full", "transaction_amount": p.amount, "initiated_by": "dev@sendtip.example", "refund_channel": p.channel,
		"session_id": nil, "collect_account_number": f.status == paystack.RefundNeedsAttention,
	}
}
