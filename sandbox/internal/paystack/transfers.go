package paystack

import (
	"context"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/sendtip/sendtip/providers/paystack"
	"github.com/sendtip/sendtip/sandbox/control"
	"github.com/sendtip/sendtip/sandbox/internal/world"
)

const (
	codeLife = 30 * time.Minute // of a transfer that waits for a code
	lateBy   = 5 * time.Second  // of what is late without a delay of its own
)

// transfer is one payout. Server.mu guards what changes.
type transfer struct {
	number    int64
	code      string
	reference string
	to        *recipient
	amount    int64
	fee       int64
	reason    string
	quoted    string // account reference
	script    control.PaystackScript
	createdAt time.Time

	status    string
	gateway   any // the answer of the bank; null while there is none
	updatedAt time.Time
	sentAt    time.Time
}

var transferReference = regexp.MustCompile(`^[a-z0-9_-]{16,50}$`)

// conclusive are the statuses after which nothing is under way.
var conclusive = []string{"success", "failed", "reversed", "abandoned", "blocked", "rejected"}

func (s *Server) createTransfer(w http.ResponseWriter, r *http.Request, in fields) {
	s.mu.Lock()
	to := s.recipients[in.text("recipient")]
	s.mu.Unlock()
	t := &transfer{reference: in.text("reference"), to: to, amount: in.minor("amount"), reason: in.text("reason"),
		quoted: in.text("account_reference"), status: "pending"}
	switch {
	case in.text("source") != "balance":
		refuse(w, "missing_params", "Source of transfer is required")
	case t.amount == 0:
		refuse(w, "invalid_amount", "Transfer amount is invalid")
	case to == nil:
		refuse(w, "recipient_not_found", "Recipient specified is invalid")
	case in.text("currency") != paystack.KES: // without one it is NGN
		refuse(w, "unsupported_currency", "Currency is not supported by the recipient's account")
	case !transferReference.MatchString(t.reference):
		refuse(w, "invalid_reference", "Invalid transfer reference: use 16 to 50 of a-z, 0-9, - and _")
	case utf8.RuneCountInString(t.reason) > 100:
		refuse(w, "invalid_params", "Reason is too long")
	case to.kind == paystack.MobileMoneyBusiness && t.quoted == "":
		refuse(w, "missing_params", "account_reference is required")
	default:
		s.pay(w, r, t)
	}
}

// pay takes a payout that is well formed. A reference that is known moves nothing again: while the first one is under way its state is the
// answer, if the two are the same.
func (s *Server) pay(w http.ResponseWriter, r *http.Request, t *transfer) {
	s.mu.Lock()
	if old := s.transfers[t.reference]; old != nil {
		same := old.amount == t.amount && old.to == t.to && !slices.Contains(conclusive, old.status)
		data := s.initiated(old)
		s.mu.Unlock()
		if !same {
			refuse(w, "duplicate_reference", "Please provide a unique reference. Reference already exists on a transfer")
			return
		}
		answer(w, http.StatusOK, "Transfer has been queued", data)
		return
	}
	t.script = s.script(kindPayout, t.reference, t.to.account)
	if len(s.transfers) >= maxObjects {
		t.script.Answer = "error_before"
	}
	if before(w, t.script.Answer) {
		s.mu.Unlock()
		return
	}
	t.fee = transferFee(t.to.kind)
	if s.books.balances[paystack.KES] < t.amount+t.fee {
		s.mu.Unlock()
		refuse(w, "insufficient_balance", "Your balance is not enough to fulfil this request")
		return
	}
	t.number, t.code, t.createdAt = s.next(), s.code("TRF_"), s.world.Now()
	t.updatedAt = t.createdAt
	message := "Transfer has been queued"
	switch t.script.Transfer {
	case "otp":
		t.status, message = "otp", "Transfer requires OTP to continue"
	case "received", "blocked", "rejected":
		t.status = "received"
	}
	s.transfers[t.reference] = t
	s.payouts = append(s.payouts, t)
	if t.status != "otp" { // nothing leaves the balance before the code is there
		s.move(t, "transfer", -1)
	}
	data := s.initiated(t)
	s.mu.Unlock()
	s.world.Go(func(ctx context.Context) { s.carryOut(ctx, t) })
	s.after(w, r, t.script.Answer, http.StatusOK, message, data)
}

// move books a payout, or its return. Callers hold mu.
func (s *Server) move(t *transfer, kind string, sign int64) {
	s.books.add(control.PaystackLine{Kind: kind, Reference: t.reference, ID: t.code, Party: t.to.account, Currency: paystack.KES,
		AmountMinor: sign * t.amount, FeeMinor: -sign * t.fee, At: s.world.Now()})
}

// carryOut ends a payout as its script says.
func (s *Server) carryOut(ctx context.Context, t *transfer) {
	way := t.script.Transfer
	switch way {
	case "pending", "received":
		return
	case "otp":
		if world.Pause(ctx, s.world.Scaled(codeLife)) {
			s.mu.Lock()
			defer s.mu.Unlock()
			t.status, t.updatedAt = "abandoned", s.world.Now()
		}
		return
	}
	if !world.Pause(ctx, world.MS(t.script.DelayMS, s.opt.ResultDelay)) {
		return
	}
	switch way {
	case "failed", "blocked", "rejected":
		s.end(t, way)
		return
	}
	s.end(t, "success")
	if way == "reversed" && world.Pause(ctx, world.MS(t.script.DelayMS, s.world.Scaled(lateBy))) {
		s.end(t, "reversed")
	}
}

// end is what becomes of a payout: here the recipient gets the money, or it comes back.
func (s *Server) end(t *transfer, status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.world.Now()
	t.status, t.updatedAt = status, now
	event := paystack.TransferFailed
	switch status {
	case "success":
		t.sentAt, t.gateway, event = now, "Approved", paystack.TransferSuccess
		s.wallet(t, t.amount)
	case "reversed":
		event = paystack.TransferReversed
		s.move(t, "transfer_reversed", 1)
		s.wallet(t, -t.amount)
	default:
		t.gateway = "Declined"
		s.move(t, "transfer_failed", 1)
	}
	if status == "blocked" || status == "rejected" {
		return // no event is documented for them
	}
	s.announce(t.script, event, t.reference, s.webhookTransfer(t))
}

// wallet moves money at M-Pesa, if it is a customer's wallet that is paid.
func (s *Server) wallet(t *transfer, minor int64) {
	phone, err := world.Number(t.to.account)
	if t.to.kind != paystack.Wallet || err != nil {
		return
	}
	s.world.Refund(phone, minor)
	if minor > 0 {
		s.world.Deliver(phone, "MPESA", "Confirmed. You have received "+shillings(minor)+" from PAYSTACK.")
	}
}

func (s *Server) verifyTransfer(w http.ResponseWriter, r *http.Request, _ fields) {
	s.mu.Lock()
	t := s.transfers[r.PathValue("reference")]
	if t == nil {
		s.mu.Unlock()
		notFound(w, "transfer_not_found", "Transfer not found")
		return
	}
	way, data := s.queries(t.script, t.reference, t.to.account), s.verified(t)
	s.mu.Unlock()
	if !asked(w, way) {
		answer(w, http.StatusOK, "Transfer retrieved", data)
	}
}

func (s *Server) getBalance(w http.ResponseWriter, _ *http.Request, _ fields) {
	s.mu.Lock()
	out := []map[string]any{}
	for _, currency := range slices.Sorted(maps.Keys(s.books.balances)) {
		out = append(out, map[string]any{"currency": currency, "balance": s.books.balances[currency]})
	}
	way := s.scripts.global.Query
	s.mu.Unlock()
	if !asked(w, way) {
		answer(w, http.StatusOK, "Balances retrieved", out)
	}
}

// base is what all shapes of a transfer have. Callers hold mu.
func (s *Server) base(t *transfer) map[string]any {
	return map[string]any{"amount": t.amount, "currency": paystack.KES, "domain": s.domain, "failures": nil, "id": t.number,
		"reason":    t.reason,
		"reference": t.reference, "source": "balance", "source_details": nil, "status": t.status, "titan_code": nil, "transfer_code": t.code,
		"transferred_at": stamp(t.sentAt)}
}

// initiated is the answer to a new transfer.
func (s *Server) initiated(t *transfer) map[string]any {
	out := s.base(t)
	out["transfersessionid"], out["transfertrials"], out["request"] = []any{}, []any{}, t.number+1
	out["integration"], out["recipient"] = integration, t.to.number
	out["createdAt"], out["updatedAt"] = stamp(t.createdAt), stamp(t.updatedAt)
	return out
}

// verified is the answer to a question about it.
func (s *Server) verified(t *transfer) map[string]any {
	out := s.base(t)
	out["integration"], out["recipient"], out["session"] = integration, s.recipient(t.to), map[string]any{"provider": nil, "id": nil}
	out["fee_charged"], out["fees_breakdown"], out["gateway_response"] = t.fee, nil, t.gateway
	out["createdAt"], out["updatedAt"] = stamp(t.createdAt), stamp(t.updatedAt)
	return out
}

// webhookTransfer is what a webhook says: failures spell times in another way and name no fee.
func (s *Server) webhookTransfer(t *transfer) map[string]any {
	out := s.base(t)
	out["integration"] = map[string]any{"id": integration, "is_live": s.domain == paystack.Live, "business_name": "SENDTIP", "logo_path": ""}
	out["recipient"], out["session"] = s.recipient(t.to), map[string]any{"provider": nil, "id": nil}
	out["gateway_response"] = t.gateway
	if t.status == "success" {
		out["createdAt"], out["updatedAt"], out["fee_charged"] = stamp(t.createdAt), stamp(t.updatedAt), t.fee
		return out
	}
	out["created_at"], out["updated_at"] = stamp(t.createdAt), stamp(t.updatedAt)
	return out
}

// Payouts lists the transfers, newest first.
func (s *Server) Payouts(limit int) []control.PaystackPayout {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []control.PaystackPayout{}
	for _, t := range slices.Backward(s.payouts) {
		if len(out) == limit {
			break
		}
		out = append(out, control.PaystackPayout{Code: t.code, Reference: t.reference, Status: t.status, AmountMinor: t.amount, FeeMinor: t.fee,
			Currency: paystack.KES, Account: t.to.account, Bank: t.to.bank.name, Name: t.to.name, At: t.createdAt})
	}
	return out
}
