package daraja

import (
	"cmp"
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sendtip/sendtip/sandbox/control"
)

// silentMSISDN is the portal's test number: its prompts are never answered.
const silentMSISDN = "+254708374149"

// Limits of one payment in shillings.
const (
	minShillings = 1
	maxShillings = 250_000
)

// maxDescription is what a prompt can carry (reported from the field; the portal's 13 characters are advice). A longer one is taken, and
// then the prompt cannot be sent.
const maxDescription = 182

var (
	kenyan    = regexp.MustCompile(`^254[17]\d{8}$`)
	shortCode = regexp.MustCompile(`^\d{5,7}$`)
	testCodes = regexp.MustCompile(`^600\d{3}$`) // the portal's C2B short codes
	whole     = regexp.MustCompile(`^[1-9]\d{0,8}$`)
)

// push is one prompt and what became of it. Fields below done are guarded by Server.mu.
type push struct {
	merchantRequestID string
	checkoutRequestID string
	shortCode         string
	msisdn            string // E.164
	shillings         int64
	kind              string // of the confirmation: "" is Pay Bill
	reference         string
	description       string
	callbackURL       string
	at                time.Time
	expiresAt         time.Time
	script            control.Script // as it was when the push came
	query             string         // how queries are answered; "" is as the script says at the time of the query
	done              chan struct{}  // closed when the prompt is answered or expired

	code    string // "" while the prompt is open
	queries int
	receipt string
	paidAt  time.Time
}

// knows reports whether the merchant exists at this simulated M-Pesa.
func (s *Server) knows(code string) bool {
	return code == s.opt.ShortCode || code == s.opt.B2CShortCode || testCodes.MatchString(code)
}

// Knows reports whether a short code exists.
func (s *Server) Knows(code string) bool { return shortCode.MatchString(code) && s.knows(code) }

// signed checks short code, timestamp and password, and answers if one is wrong.
func (s *Server) signed(w http.ResponseWriter, in fields) bool {
	code, stamp := in.text("BusinessShortCode"), in.text("Timestamp")
	_, err := time.ParseInLocation(stampLayout, stamp, eat)
	want := base64.StdEncoding.EncodeToString([]byte(code + s.opt.Passkey + stamp))
	switch {
	case !shortCode.MatchString(code):
		invalidField(w, "BusinessShortCode")
	case err != nil || len(stamp) != len(stampLayout):
		invalidField(w, "Timestamp")
	case !s.knows(code):
		fail(w, http.StatusInternalServerError, "500.001.1001", "Merchant does not exist")
	case !same(in.text("Password"), want):
		fail(w, http.StatusInternalServerError, "500.001.1001", "[MerchantValidate] - Wrong credentials")
	default:
		return true
	}
	return false
}

// badSTKField names the first field that Daraja would refuse, "" if all are right.
func badSTKField(in fields) string {
	amount := in.text("Amount")
	shillings, err := strconv.ParseInt(amount, 10, 64)
	kind := in.text("TransactionType")
	reference := in.text("AccountReference")
	switch {
	case kind != "CustomerPayBillOnline" && kind != "CustomerBuyGoodsOnline":
		return "TransactionType"
	case !whole.MatchString(amount) || err != nil || shillings < minShillings || shillings > maxShillings:
		return "Amount"
	case !kenyan.MatchString(in.text("PartyA")):
		return "PartyA"
	case !shortCode.MatchString(in.text("PartyB")) || (kind == "CustomerPayBillOnline" && in.text("PartyB") != in.text("BusinessShortCode")):
		return "PartyB"
	case !kenyan.MatchString(in.text("PhoneNumber")):
		return "PhoneNumber"
	case !callable(in.text("CallBackURL")):
		return "CallBackURL"
	case (reference == "" && kind == "CustomerPayBillOnline") || utf8.RuneCountInString(reference) > 12: // a till has no accounts
		return "AccountReference"
	}
	return ""
}

// callable accepts absolute addresses with a lower-case host. The real service wants HTTPS in production.
func callable(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.Host == strings.ToLower(u.Host)
}

func (s *Server) stkPush(w http.ResponseWriter, _ *http.Request, in fields) {
	if field := badSTKField(in); field != "" {
		invalidField(w, field)
		return
	}
	if !s.signed(w, in) {
		return
	}
	msisdn := "+" + in.text("PhoneNumber")
	s.world.Touch(msisdn)
	if s.Prompt(msisdn) != nil { // before a queued script is used up
		locked(w)
		return
	}
	script, queued := s.world.PromptScript(msisdn)
	if msisdn == silentMSISDN && script.STK == "manual" {
		script.STK = "expire"
	}
	switch script.STKAnswer {
	case "busy":
		fail(w, http.StatusInternalServerError, "500.003.02", "System is busy. Please try again in few minutes.")
		return
	case "lock":
		locked(w)
		return
	}
	if utf8.RuneCountInString(in.text("TransactionDesc")) > maxDescription {
		script.STK, script.DelayMS = "code:1025", control.Int(0)
	}
	p := s.openPrompt(in, msisdn, script, queued.Query)
	if p == nil {
		locked(w)
		return
	}
	s.world.Go(p.follow(s))
	switch script.STKAnswer {
	case "error":
		fail(w, http.StatusInternalServerError, "500.003.1001", "Internal Server Error")
		return
	case "lose":
		breakConnection()
	}
	const accepted = "Success. Request accepted for processing"
	write(w, http.StatusOK, map[string]string{
		"MerchantRequestID": p.merchantRequestID, "CheckoutRequestID": p.checkoutRequestID,
		"ResponseCode": "0", "ResponseDescription": accepted, "CustomerMessage": accepted,
	})
}

func locked(w http.ResponseWriter) {
	fail(w, http.StatusInternalServerError, "500.001.1001",
		"Unable to lock subscriber, a transaction is already in process for the current subscriber")
}

// openPrompt shows the prompt, or returns nil if the handset already shows one (or far too many do).
func (s *Server) openPrompt(in fields, msisdn string, script control.Script, query string) *push {
	shillings, _ := strconv.ParseInt(in.text("Amount"), 10, 64) // validated
	now := s.world.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[msisdn] != nil || len(s.open) >= maxOpen {
		return nil
	}
	s.sequence++
	p := &push{
		merchantRequestID: newRequestID(), checkoutRequestID: checkoutID(now, s.sequence, msisdn),
		shortCode: in.text("BusinessShortCode"), msisdn: msisdn, shillings: shillings,
		reference: in.text("AccountReference"), description: in.text("TransactionDesc"),
		callbackURL: in.text("CallBackURL"), at: now, expiresAt: now.Add(s.opt.PromptTimeout),
		script: script, query: query, done: make(chan struct{}),
	}
	if in.text("TransactionType") == "CustomerBuyGoodsOnline" {
		p.kind = buyGoods
	}
	s.open[msisdn] = p
	if len(s.order) >= maxPushes {
		for _, id := range s.order[:maxPushes/10] {
			delete(s.pushes, id)
		}
		s.order = append(s.order[:0:0], s.order[maxPushes/10:]...)
	}
	s.pushes[p.checkoutRequestID] = p
	s.order = append(s.order, p.checkoutRequestID)
	return p
}

func (s *Server) stkQuery(w http.ResponseWriter, _ *http.Request, in fields) {
	id := in.text("CheckoutRequestID")
	if id == "" {
		invalidField(w, "CheckoutRequestID")
		return
	}
	if !s.signed(w, in) {
		return
	}
	s.mu.Lock()
	p := s.pushes[id]
	code, queries := "", 0
	if p != nil {
		p.queries++
		code, queries = p.code, p.queries
	}
	s.mu.Unlock()
	if p == nil || p.shortCode != in.text("BusinessShortCode") {
		fail(w, http.StatusInternalServerError, "500.001.1001", "The transaction does not Exist")
		return
	}
	mode := cmp.Or(p.query, s.world.ScriptFor(p.msisdn).Query)
	if mode == "flaky" && queries%2 == 1 {
		mode = "busy"
	}
	switch mode {
	case "busy":
		fail(w, http.StatusInternalServerError, "500.001.1001", "The transaction is being processed")
		return
	case "busy200":
		fail(w, http.StatusOK, "500.001.1001", "") // observed: the error inside a 200, without a text
		return
	case "lose":
		breakConnection()
	}
	if code == "" {
		code = "4999"
	}
	write(w, http.StatusOK, map[string]string{
		"ResponseCode": "0", "ResponseDescription": "The service request has been accepted successsfully",
		"MerchantRequestID": p.merchantRequestID, "CheckoutRequestID": id,
		"ResultCode": code, "ResultDesc": queryText(code),
	})
}
