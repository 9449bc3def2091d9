package daraja

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sendtip/sendtip/sandbox/control"
	"github.com/sendtip/sendtip/sandbox/internal/world"
)

// RightPIN is every simulated customer's M-Pesa PIN.
const RightPIN = "1234"

// ErrNoPrompt says that the handset shows no prompt.
var ErrNoPrompt = errors.New("no prompt is open on this phone")

// resultTexts are the documented result codes with the usual text of a callback.
var resultTexts = map[string]string{
	"0":          "The service request is processed successfully.",
	"1":          "The balance is insufficient for the transaction.",
	"2":          "Declined due to limit rule: less than the minimum transaction amount.",
	"3":          "Declined due to limit rule: greater than the maximum transaction amount.",
	"4":          "Declined due to limit rule: would exceed daily transfer limit.",
	"8":          "Declined due to limit rule: would exceed the maximum balance.",
	"11":         "The debit party is in an invalid state.",
	"17":         "Rule limited.",
	"26":         "System busy. The service is currently unavailable.",
	"1001":       "Unable to lock subscriber, a transaction is already in process for the current subscriber.",
	"1019":       "Transaction has expired.",
	"1025":       "An error occurred while sending a push request.",
	"1031":       "STK timeout.",
	"1032":       "Request cancelled by user",
	"1036":       "SMSC ACK timeout.",
	"1037":       "No response from user.",
	"2001":       "The initiator information is invalid.",
	"2006":       "The account status does not allow the transaction.",
	"2028":       "The request is not permitted according to product assignment.",
	"4999":       "The transaction is still under processing",
	"8006":       "The security credential is locked.",
	"9999":       "An error occurred while sending a push request.",
	"SFC_IC0003": "The operator does not exist.",
}

func resultText(code string) string {
	if text, ok := resultTexts[code]; ok {
		return text
	}
	return "The transaction could not be completed."
}

// queryText words 1037 otherwise than the callback does, as observed.
func queryText(code string) string {
	if code == "1037" {
		return "DS timeout user cannot be reached."
	}
	return resultText(code)
}

// Prompt returns the handset's open prompt, nil if there is none.
func (s *Server) Prompt(msisdn string) *control.Prompt {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.open[msisdn]
	if p == nil {
		return nil
	}
	return &control.Prompt{
		CheckoutRequestID: p.checkoutRequestID, ShortCode: p.shortCode, AccountReference: p.reference,
		Description: p.description, AmountMinor: p.shillings * 100, At: p.at, ExpiresAt: p.expiresAt,
	}
}

// Answer ends the handset's open prompt the way a person would.
func (s *Server) Answer(msisdn string, a control.Answer) (control.AnswerResult, error) {
	code := ""
	switch {
	case a.Action == "pay" && a.PIN == RightPIN:
		code = "0"
	case a.Action == "pay":
		code = "2001"
	case a.Action == "cancel":
		code = "1032"
	case a.Action == "expire":
		code = "1037"
	default:
		return control.AnswerResult{}, errors.New("action is pay, cancel or expire")
	}
	s.mu.Lock()
	p := s.open[msisdn]
	s.mu.Unlock()
	if p == nil || !s.settle(p, code) {
		return control.AnswerResult{}, ErrNoPrompt
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return control.AnswerResult{ResultCode: p.code, ResultDesc: resultText(p.code), Receipt: p.receipt}, nil
}

// follow waits for the prompt's end, by script, person or time, and then tells the platform.
func (p *push) follow(s *Server) func(context.Context) {
	return func(ctx context.Context) {
		code, delay := s.plan(p)
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return
		case <-p.done:
		case <-timer.C:
			s.settle(p, code)
		}
		s.notify(ctx, p)
		if p.script.STK == "expire_then_pay" {
			s.payLate(ctx, p)
		}
	}
}

// plan is the code and the time of the scripted answer.
func (s *Server) plan(p *push) (string, time.Duration) {
	delay := world.MS(p.script.DelayMS, s.opt.AnswerDelay)
	switch mode := p.script.STK; mode {
	case "pay":
		return "0", delay
	case "cancel":
		return "1032", delay
	case "expire", "expire_then_pay":
		return "1037", delay
	case "wrong_pin":
		return "2001", delay
	case "insufficient":
		return "1", delay
	default:
		if code, ok := strings.CutPrefix(mode, "code:"); ok {
			return code, delay
		}
		return "1037", s.opt.PromptTimeout // manual: a person has until then
	}
}

// settle ends the prompt with a code, once; false if it had ended before. Paying without money becomes code 1.
func (s *Server) settle(p *push, code string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.code != "" {
		return false
	}
	s.conclude(p, code)
	delete(s.open, p.msisdn)
	close(p.done)
	return true
}

// conclude sets the result and moves the money. Callers hold mu.
func (s *Server) conclude(p *push, code string) {
	if code != "0" {
		p.code = code
		return
	}
	left, ok := s.world.Spend(p.msisdn, p.shillings*100)
	if !ok {
		p.code = "1"
		return
	}
	p.code, p.paidAt = "0", s.world.Now()
	p.receipt = s.receipts.make(p.paidAt)
	s.world.AddEntry(control.Entry{
		Receipt: p.receipt, Kind: "stk", ShortCode: p.shortCode, Msisdn: p.msisdn, AccountReference: p.reference,
		AmountMinor: p.shillings * 100, CheckoutRequestID: p.checkoutRequestID, BuyGoods: p.kind != "", At: p.paidAt,
	})
	s.world.Deliver(p.msisdn, "MPESA", paidText(p.receipt, p.shortCode, p.reference, p.shillings, left, p.paidAt))
}

// payLate is the late success after a 1037 that was seen in the field.
func (s *Server) payLate(ctx context.Context, p *push) {
	if !world.Pause(ctx, world.MS(p.script.DelayMS, s.opt.AnswerDelay)) {
		return
	}
	s.mu.Lock()
	late := p.code == "1037"
	if late {
		s.conclude(p, "0")
	}
	s.mu.Unlock()
	if late {
		s.notify(ctx, p)
	}
}

func paidText(receipt, code, account string, shillings, leftMinor int64, at time.Time) string {
	return fmt.Sprintf("%s Confirmed. Ksh%d.00 sent to SENDTIP (%s) for account %s on %s. New M-PESA balance is Ksh%d.%02d.",
		receipt, shillings, code, account, at.In(eat).Format("2/1/06 at 3:04 PM"), leftMinor/100, leftMinor%100)
}
