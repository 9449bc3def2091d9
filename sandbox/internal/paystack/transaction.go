package paystack

import "github.com/sendtip/sendtip/providers/paystack"

// integration is the merchant's number.
const integration = 463433

// transaction is a payment as verify answers and webhooks have it. Callers hold mu.
func (s *Server) transaction(p *payment) map[string]any {
	status, message := p.status, any(nil)
	switch {
	case p.status == open && p.phone != "":
		status = "ongoing"
	case p.status == open:
		status = "abandoned"
	case p.refunded > 0 && p.refunded == p.amount:
		status = "reversed"
	case p.status == failed:
		message = p.reason
	}
	gateway := p.reason
	if p.status == open {
		gateway = "The transaction was not completed"
	}
	receipt := any(nil)
	if p.receipt != "" {
		receipt = p.receipt
	}
	fees := any(nil)
	if p.status == succeeded {
		fees = p.fee
	}
	return map[string]any{
		"id": p.number, "domain": s.domain, "status": status, "reference": p.reference, "receipt_number": receipt, "amount": p.amount,
		"message": message, "gateway_response": gateway, "paid_at": stamp(p.paidAt), "created_at": stamp(p.createdAt), "channel": p.channel,
		"currency": p.currency, "ip_address": "127.0.0.1", "metadata": "", "log": nil, "fees": fees, "fees_split": nil,
		"authorization": authorization(p), "customer": customer(p), "plan": nil, "split": map[string]any{}, "order_id": nil,
		"paidAt": stamp(p.paidAt), "createdAt": stamp(p.createdAt), "requested_amount": p.amount, "pos_transaction_data": nil, "source": nil,
		"fees_breakdown": nil, "connect": nil, "transaction_date": stamp(p.createdAt), "plan_object": map[string]any{},
		"subaccount": map[string]any{},
	}
}

func authorization(p *payment) map[string]any {
	switch {
	case p.status != succeeded:
		return map[string]any{}
	case p.phone != "":
		return map[string]any{"authorization_code": "AUTH_" + p.accessCode, "bin": p.phone[4:7] + "XXX", "last4": "X" + p.phone[10:],
			"exp_month": "12", "exp_year": "9999", "channel": paystack.MobileMoney, "card_type": "", "bank": "M-PESA", "country_code": "KE",
			"brand": "M-pesa", "reusable": false, "signature": "SIG_" + p.accessCode, "account_name": nil, "mobile_money_number": p.phone}
	}
	return map[string]any{"authorization_code": "AUTH_" + p.accessCode, "bin": "408408", "last4": "4081", "exp_month": "12",
		"exp_year": "2030",
		"channel":  p.channel, "card_type": "visa", "bank": "TEST BANK", "country_code": "KE", "brand": "visa", "reusable": true,
		"signature": "SIG_" + p.accessCode, "account_name": nil}
}

func customer(p *payment) map[string]any {
	return map[string]any{"id": p.number, "first_name": "", "last_name": "", "email": p.email, "customer_code": "CUS_" + p.accessCode,
		"phone": "", "metadata": nil, "risk_action": "default", "international_format_phone": nil}
}
