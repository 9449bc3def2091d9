package daraja

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sendtip/sendtip/sandbox/control"
	"github.com/sendtip/sendtip/sandbox/internal/world"
)

// validationTimeout is how long M-Pesa waits for a validation answer.
const validationTimeout = 8 * time.Second

// buyGoods is the kind of a payment to a till.
const buyGoods = "Buy Goods"

// c2bPayment is one payment as callbacks show it.
type c2bPayment struct {
	receipt     string
	kind        string // "" is Pay Bill
	shortCode   string
	msisdn      string
	account     string
	amountMinor int64
	at          time.Time
	thirdID     string
}

// forbidden words in registered addresses; matched in host and path without regard to case.
var forbidden = regexp.MustCompile(`(?i)mpesa|m-pesa|safaricom|exe|exec|cmd|sql|query`)

func allowedURL(address string) bool {
	if !callable(address) || forbidden.MatchString(address) {
		return false
	}
	u, err := url.Parse(address)
	return err == nil && !strings.Contains(u.Host, "ngrok")
}

func (s *Server) registerC2B(version int) func(http.ResponseWriter, *http.Request, fields) {
	return func(w http.ResponseWriter, _ *http.Request, in fields) {
		code, kind := in.text("ShortCode"), in.text("ResponseType")
		switch {
		case !shortCode.MatchString(code):
			invalidField(w, "ShortCode")
			return
		case kind != "Completed" && kind != "Cancelled":
			invalidField(w, "ResponseType")
			return
		case !allowedURL(in.text("ConfirmationURL")):
			invalidField(w, "ConfirmationURL")
			return
		case !allowedURL(in.text("ValidationURL")):
			invalidField(w, "ValidationURL")
			return
		case !s.knows(code):
			fail(w, http.StatusInternalServerError, "500.001.1001", "Merchant does not exist")
			return
		}
		if err := s.registrations.setC2B(code, registration{
			Version: version, Confirmation: in.text("ConfirmationURL"), Validation: in.text("ValidationURL"), OnSilence: kind,
		}); err != nil {
			s.notKept(w, err)
			return
		}
		// The missing "n" is Safaricom's.
		write(w, http.StatusOK, map[string]string{"OriginatorCoversationID": newRequestID(), "ResponseCode": "0",
			"ResponseDescription": "Success"})
	}
}

func (s *Server) simulateC2B(w http.ResponseWriter, _ *http.Request, in fields) {
	amount, command := in.text("Amount"), in.text("CommandID")
	shillings, err := strconv.ParseInt(amount, 10, 64)
	switch {
	case !shortCode.MatchString(in.text("ShortCode")) || !s.knows(in.text("ShortCode")):
		invalidField(w, "ShortCode")
		return
	case command != "CustomerPayBillOnline" && command != "CustomerBuyGoodsOnline":
		invalidField(w, "CommandID")
		return
	case !whole.MatchString(amount) || err != nil || shillings > maxShillings:
		invalidField(w, "Amount")
		return
	case !kenyan.MatchString(in.text("Msisdn")):
		invalidField(w, "Msisdn")
		return
	case utf8.RuneCountInString(in.text("BillRefNumber")) > 20:
		invalidField(w, "BillRefNumber")
		return
	}
	p := c2bPayment{
		shortCode: in.text("ShortCode"), msisdn: "+" + in.text("Msisdn"), account: in.text("BillRefNumber"), amountMinor: shillings * 100,
	}
	if command == "CustomerBuyGoodsOnline" {
		p.kind = buyGoods
	}
	s.world.Go(func(ctx context.Context) {
		if _, err := s.receive(ctx, p); err != nil {
			s.world.Log().InfoContext(ctx, "simulated payment refused", "reason", err.Error())
		}
	})
	write(w, http.StatusOK, map[string]string{
		"OriginatorCoversationID": newRequestID(), "ResponseCode": "0",
		"ResponseDescription": "Accept the service request successfully.",
	})
}

// PayC2B is a customer paying a paybill by hand. The error says why M-Pesa refused; no money moved then.
func (s *Server) PayC2B(ctx context.Context, in control.C2BPayment) (control.Entry, error) {
	if in.ShortCode == "" {
		in.ShortCode = s.opt.ShortCode
	}
	switch {
	case !s.knows(in.ShortCode):
		return control.Entry{}, errors.New("no such paybill")
	case !kenyan.MatchString(strings.TrimPrefix(in.Msisdn, "+")):
		return control.Entry{}, errors.New("not a Kenyan mobile number")
	case in.AmountMinor%100 != 0 || in.AmountMinor < minShillings*100 || in.AmountMinor > maxShillings*100:
		return control.Entry{}, errors.New("amount is 1 to 250,000 whole shillings")
	case utf8.RuneCountInString(in.Account) > 20:
		return control.Entry{}, errors.New("account has more than 20 characters")
	}
	return s.receive(ctx, c2bPayment{shortCode: in.ShortCode, msisdn: in.Msisdn, account: in.Account, amountMinor: in.AmountMinor})
}

// receive validates, moves the money and starts the confirmation.
func (s *Server) receive(ctx context.Context, p c2bPayment) (control.Entry, error) {
	script := s.world.PaybillScript(p.msisdn)
	s.mu.Lock()
	p.at = s.world.Now()
	p.receipt = s.receipts.make(p.at)
	s.mu.Unlock()
	left, ok := s.world.Spend(p.msisdn, p.amountMinor) // reserved while the shop is asked
	if !ok {
		return control.Entry{}, errors.New("insufficient balance")
	}
	if script.C2BValidation != nil && *script.C2BValidation {
		thirdID, err := s.validateC2B(ctx, p)
		if err != nil {
			s.world.Refund(p.msisdn, p.amountMinor)
			return control.Entry{}, err
		}
		p.thirdID = thirdID
	}
	entry := control.Entry{
		Receipt: p.receipt, Kind: "c2b", ShortCode: p.shortCode, Msisdn: p.msisdn, AccountReference: p.account,
		AmountMinor: p.amountMinor, BuyGoods: p.kind != "", At: p.at,
	}
	s.world.AddEntry(entry)
	s.world.Deliver(p.msisdn, "MPESA", paidText(p.receipt, p.shortCode, p.account, p.amountMinor/100, left, p.at))
	delay := world.MS(script.CallbackDelayMS, 0)
	if script.Callback == "delay" && script.CallbackDelayMS == nil {
		delay = s.world.Scaled(lateBy)
	}
	s.world.Go(func(ctx context.Context) {
		if world.Pause(ctx, delay) {
			s.confirmC2B(ctx, p, script.Callback)
		}
	})
	return entry, nil
}

// validateC2B asks the shop. Silence is judged as the registration says.
func (s *Server) validateC2B(ctx context.Context, p c2bPayment) (thirdID string, err error) {
	reg, ok := s.registrations.c2b(p.shortCode)
	if !ok {
		return "", nil
	}
	ctx, cancel := context.WithTimeout(ctx, validationTimeout)
	defer cancel()
	status, raw := s.world.Post(ctx, world.Callback{
		Kind: "c2b_validation", ID: p.receipt, URL: reg.Validation, ContentType: "application/json", Body: c2bBody(p, reg.Version, ""),
	})
	var answer fields
	if status != http.StatusOK || json.Unmarshal(raw, &answer) != nil {
		if reg.OnSilence == "Cancelled" {
			return "", errors.New("the paybill did not answer")
		}
		return "", nil
	}
	if code := answer.text("ResultCode"); code != "0" {
		return "", fmt.Errorf("refused by the paybill: %.16s", code)
	}
	return answer.text("ThirdPartyTransID"), nil
}

// confirmC2B posts the confirmation, if the short code has registered addresses.
func (s *Server) confirmC2B(ctx context.Context, p c2bPayment, way string) {
	reg, ok := s.registrations.c2b(p.shortCode)
	if !ok {
		return // the payment completes silently
	}
	if way == "lose" {
		s.world.Lose("c2b_confirmation", p.receipt)
		return
	}
	if way == "forge" {
		s.inventC2B(ctx, reg, p)
	}
	shown := p
	if way == "alter" {
		shown.amountMinor *= 10
	}
	total := s.world.OrgBalanceMinor()
	callback := world.Callback{
		Kind: "c2b_confirmation", ID: p.receipt, URL: reg.Confirmation, ContentType: "application/json",
		Body: c2bBody(shown, reg.Version, fmt.Sprintf("%d.%02d", total/100, total%100)),
	}
	s.world.PostCopies(ctx, callback, copies(way))
}

// c2bBody is the body of validation and confirmation: every value a string.
func c2bBody(p c2bPayment, version int, balance string) []byte {
	number := p.msisdn[1:]
	masked := number[:4] + " ***** " + number[len(number)-3:] // v2
	if version == 1 {
		sum := sha256.Sum256([]byte(number))
		masked = hex.EncodeToString(sum[:])
	}
	kind := p.kind
	if kind == "" {
		kind = "Pay Bill"
	}
	first, _ := world.Name(p.msisdn) // the last name stays empty: data minimisation
	return encode(map[string]string{
		"TransactionType": kind, "TransID": p.receipt, "TransTime": p.at.In(eat).Format(stampLayout),
		"TransAmount": fmt.Sprintf("%d.%02d", p.amountMinor/100, p.amountMinor%100), "BusinessShortCode": p.shortCode, "BillRefNumber": p.account,
		"InvoiceNumber": "", "OrgAccountBalance": balance, "ThirdPartyTransID": p.thirdID, "MSISDN": masked,
		"FirstName": first, "MiddleName": "", "LastName": "",
	})
}
