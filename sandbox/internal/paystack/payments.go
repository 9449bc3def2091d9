package paystack

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sendtip/sendtip/providers/paystack"
	"github.com/sendtip/sendtip/sandbox/control"
	"github.com/sendtip/sendtip/sandbox/internal/world"
)

// How long a customer has: a prompt on the phone, or a payment to the paybill.
const (
	promptLife  = 180 * time.Second
	offlineLife = 24 * time.Hour
)

// paybill is where offline payments go.
const paybill = "4084333"

// instantPhone pays without a PIN, as in Paystack's test mode.
const instantPhone = "+254710000000"

// States of a payment. Open is "abandoned" on a page and "ongoing" on a phone, when asked.
const (
	open      = "open"
	succeeded = "success"
	failed    = "failed"
)

// payment is one payment by a customer. Server.mu guards what changes.
type payment struct {
	id          string
	number      int64
	reference   string
	accessCode  string
	email       string
	amount      int64
	currency    string
	channels    []string
	callbackURL string
	phone       string
	provider    string // of mobile money
	offline     int64  // what to quote at the paybill
	script      control.PaystackScript
	createdAt   time.Time
	done        chan struct{} // closed when it is no longer open

	status   string
	reason   string
	channel  string
	fee      int64
	receipt  string
	paidAt   time.Time
	refunded int64
	dispute  *dispute
}

var (
	reference = regexp.MustCompile(`^[A-Za-z0-9.=-]{1,100}$`)
	mobile    = regexp.MustCompile(`^\+254[17]\d{8}$`)
	address   = regexp.MustCompile(`^[^\s@]+@[^\s@]+$`)
	channels  = []string{"card", "bank", "apple_pay", "ussd", "qr", "mobile_money", "bank_transfer", "eft", "capitec_pay", "payattitude"}
	minimum   = map[string]int64{"KES": 3_00, "NGN": 50_00, "GHS": 10, "ZAR": 1_00, "USD": 2_00, "XOF": 1_00}
)

// newPayment reads what all payments have, and answers what is wrong with it.
func (s *Server) newPayment(w http.ResponseWriter, in fields) *payment {
	p := &payment{reference: in.text("reference"), email: in.text("email"), amount: in.minor("amount"), currency: in.text("currency"),
		callbackURL: in.text("callback_url"), channels: in.list("channels"), status: open, done: make(chan struct{})}
	if p.currency == "" {
		p.currency = "NGN" // Paystack's default, which a Kenyan integration does not have
	}
	least, known := minimum[p.currency]
	callback, err := url.Parse(p.callbackURL)
	switch {
	case in.text("email") == "":
		refuse(w, "missing_params", "Email Address is required")
	case !address.MatchString(p.email):
		refuse(w, "invalid_email_address", "Invalid Email Address Passed")
	case p.amount == 0:
		refuse(w, "invalid_amount", "Invalid Amount Sent")
	case !known || p.currency != paystack.KES:
		refuse(w, "unsupported_currency", "Currency not supported by merchant")
	case p.amount < least:
		refuse(w, "amount_below_minimum", "Amount is below the minimum")
	case !reference.MatchString(p.reference):
		refuse(w, "invalid_transaction_reference", "Invalid Transaction Reference")
	case p.callbackURL != "" && (err != nil || callback.Host == "" || (callback.Scheme != "http" && callback.Scheme != "https")):
		refuse(w, "invalid_params", "Invalid callback_url")
	case slices.ContainsFunc(p.channels, func(c string) bool { return !slices.Contains(channels, c) }):
		refuse(w, "invalid_channel", "Invalid channel")
	default:
		return p
	}
	return nil
}

// take makes a payment known under its reference, or answers why it is not. Its script is used up only by what is taken, or kept from it.
func (s *Server) take(w http.ResponseWriter, p *payment) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.payments[p.reference] != nil {
		write(w, http.StatusBadRequest, map[string]any{"status": false, "message": "Duplicate Transaction Reference", "type": "validation_error",
			"code": "duplicate_reference", "meta": map[string]string{"nextStep": "Try and create the Transaction or Charge with a new reference"}})
		return false
	}
	if len(s.payments) >= maxObjects {
		broken(w)
		return false
	}
	p.script = s.script(kindPayment, p.reference, p.phone)
	if before(w, p.script.Answer) {
		return false
	}
	if p.phone == instantPhone && p.script.Charge == "manual" {
		p.script.Charge = "pay"
	}
	p.number = s.next()
	p.id = strconv.FormatInt(p.number, 10)
	p.offline = 1_000_000 + p.number%9_000_000
	raw := make([]byte, 8)
	_, _ = rand.Read(raw) // never fails since Go 1.24
	p.accessCode, p.createdAt = hex.EncodeToString(raw), s.world.Now()
	s.payments[p.reference], s.byID[p.id], s.byCode[p.accessCode] = p, p, p
	s.paid = append(s.paid, p)
	return true
}

func (s *Server) initialize(w http.ResponseWriter, r *http.Request, in fields) {
	p := s.newPayment(w, in)
	if p == nil || !s.take(w, p) {
		return
	}
	s.follow(p, 0)
	base := strings.TrimRight(s.opt.PublicURL, "/")
	if base == "" {
		base = "http://" + r.Host
	}
	s.after(w, r, p.script.Answer, http.StatusOK, "Authorization URL created", map[string]any{
		"authorization_url": base + "/paystack/checkout/" + p.accessCode, "access_code": p.accessCode, "reference": p.reference})
}

func (s *Server) charge(w http.ResponseWriter, r *http.Request, in fields) {
	p := s.newPayment(w, in)
	if p == nil {
		return
	}
	instrument := in.object("mobile_money")
	p.phone, p.provider, p.channels = instrument.text("phone"), instrument.text("provider"), []string{paystack.MobileMoney}
	switch {
	case !slices.Contains([]string{paystack.Mpesa, paystack.MpesaOffline, paystack.Airtel}, p.provider):
		refuse(w, "invalid_params", "Invalid mobile money provider")
		return
	case !mobile.MatchString(p.phone):
		refuse(w, "invalid_phone", "Please enter a valid phone number")
		return
	}
	if !s.take(w, p) {
		return
	}
	s.world.Touch(p.phone)
	life := promptLife
	if p.provider == paystack.MpesaOffline {
		life = offlineLife
	}
	s.follow(p, s.world.Scaled(life))
	s.mu.Lock()
	data := p.charged()
	s.mu.Unlock()
	s.after(w, r, p.script.Answer, http.StatusOK, "Charge attempted", data)
}

// follow answers a payment as its script says, and ends one that nobody answers in time (0: never). Which of the two it is does not depend
// on how busy this machine is.
func (s *Server) follow(p *payment, life time.Duration) {
	delay := world.MS(p.script.DelayMS, s.opt.AnswerDelay)
	if answers := p.script.Charge == "pay" || p.script.Charge == "fail"; answers && (life == 0 || delay < life) {
		s.world.Go(func(ctx context.Context) {
			if world.Pause(ctx, delay) {
				_, _ = s.Answer(p.reference, p.script.Charge) // somebody was faster
			}
		})
		return
	}
	if life == 0 {
		return
	}
	s.world.Go(func(ctx context.Context) {
		timer := time.NewTimer(life)
		defer timer.Stop()
		select {
		case <-ctx.Done():
		case <-p.done:
		case <-timer.C:
			s.mu.Lock()
			defer s.mu.Unlock()
			p.fail("Transaction timed out")
		}
	})
}

// fail ends an open payment without money. Callers hold Server.mu.
func (p *payment) fail(reason string) {
	if p.status == open {
		p.status, p.reason = failed, reason
		close(p.done)
	}
}

// ErrNotOpen says that a payment does not exist, or is not waiting for anybody.
var ErrNotOpen = errors.New("no open payment with this reference")

// Answer is a person who pays or fails. A payment that failed on a page can be tried again there, as at Paystack.
func (s *Server) Answer(ref, action string) (control.PaystackPayment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.payments[ref]
	switch {
	case action != "pay" && action != "fail":
		return control.PaystackPayment{}, errors.New("action is pay or fail")
	case p == nil || p.status == succeeded || (p.status == failed && p.phone != ""):
		return control.PaystackPayment{}, ErrNotOpen
	case action == "fail":
		p.fail("Declined")
		return p.view(), nil
	}
	p.channel = paystack.Card
	if len(p.channels) > 0 {
		p.channel = p.channels[0]
	}
	now := s.world.Now()
	if p.phone != "" {
		left, ok := s.world.Spend(p.phone, p.amount)
		if !ok {
			p.fail("Insufficient funds")
			return p.view(), nil
		}
		p.receipt = fmt.Sprintf("PS%08s", strings.ToUpper(strconv.FormatInt(s.next(), 36)))
		s.world.Deliver(p.phone, "MPESA", fmt.Sprintf("%s Confirmed. %s sent to PAYSTACK. New M-PESA balance is %s.", p.receipt,
			shillings(p.amount), shillings(left)))
	}
	if p.status == open {
		close(p.done)
	}
	p.status, p.reason, p.paidAt, p.fee = succeeded, "Approved", now, chargeFee(p.channel, p.amount)
	s.books.add(control.PaystackLine{Kind: "charge", Reference: p.reference, ID: p.id, Party: p.phone, Currency: p.currency,
		AmountMinor: p.amount, FeeMinor: p.fee, At: now})
	s.announce(p.script, paystack.ChargeSuccess, p.reference, s.transaction(p))
	return p.view(), nil
}

func shillings(minor int64) string { return fmt.Sprintf("Ksh%d.%02d", minor/100, minor%100) }

// find returns a payment, after answering what its script or its absence says.
func (s *Server) find(w http.ResponseWriter, ref string) (*payment, bool) {
	s.mu.Lock()
	p := s.payments[ref]
	way := ""
	if p != nil {
		way = s.queries(p.script, ref, p.phone)
	}
	s.mu.Unlock()
	if p == nil {
		notFound(w, "transaction_not_found", "Transaction reference not found.")
		return nil, false
	}
	return p, !asked(w, way)
}

func (s *Server) verify(w http.ResponseWriter, r *http.Request, _ fields) {
	p, ok := s.find(w, r.PathValue("reference"))
	if !ok {
		return
	}
	s.mu.Lock()
	data := s.transaction(p)
	s.mu.Unlock()
	answer(w, http.StatusOK, "Verification successful", data)
}

func (s *Server) getCharge(w http.ResponseWriter, r *http.Request, _ fields) {
	p, ok := s.find(w, r.PathValue("reference"))
	if !ok {
		return
	}
	s.mu.Lock()
	data := p.charged()
	s.mu.Unlock()
	answer(w, http.StatusOK, "Reference check successful", data)
}

// charged is the state of a charge. Callers hold Server.mu.
func (p *payment) charged() map[string]any {
	out := map[string]any{"reference": p.reference, "status": p.status}
	switch {
	case p.status == failed:
		out["message"], out["gateway_response"] = p.reason, p.reason
	case p.status == succeeded:
		out["amount"], out["currency"], out["gateway_response"] = p.amount, p.currency, p.reason
	case p.provider == "":
		out["status"] = "pending"
	default:
		out["status"], out["display_text"] = paystack.StatusPayOffline, "Please complete authorization process on your mobile phone"
		if p.provider == paystack.MpesaOffline {
			out["account_number"], out["account_reference"] = paybill, p.offline
		}
	}
	return out
}

func (p *payment) view() control.PaystackPayment {
	return control.PaystackPayment{ID: p.id, Reference: p.reference, AccessCode: p.accessCode, Status: p.status, AmountMinor: p.amount,
		RefundedMinor: p.refunded, Currency: p.currency, Channels: append([]string{}, p.channels...), Phone: p.phone, Receipt: p.receipt,
		CallbackURL: p.callbackURL,
		At:          p.createdAt}
}

// Checkout returns the payment of a hosted page.
func (s *Server) Checkout(accessCode string) (control.PaystackPayment, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.byCode[accessCode]
	if p == nil {
		return control.PaystackPayment{}, false
	}
	return p.view(), true
}

// Payments lists the payments, newest first.
func (s *Server) Payments(limit int) []control.PaystackPayment {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []control.PaystackPayment{}
	for _, p := range slices.Backward(s.paid) {
		if len(out) == limit {
			break
		}
		out = append(out, p.view())
	}
	return out
}
