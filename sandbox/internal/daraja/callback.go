package daraja

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/sendtip/sendtip/sandbox/internal/world"
)

// lateBy is the delay of the script "delay" that names none.
const lateBy = 5 * time.Second

// notify sends the STK callback and, for a paid prompt, the C2B confirmation, as the script says.
func (s *Server) notify(ctx context.Context, p *push) {
	delay := world.MS(p.script.CallbackDelayMS, 0)
	if p.script.Callback == "delay" && p.script.CallbackDelayMS == nil {
		delay = s.world.Scaled(lateBy)
	}
	if !world.Pause(ctx, delay) {
		return
	}
	s.mu.Lock()
	code, shillings, body := p.code, p.shillings, stkCallback(p)
	payment := c2bPayment{
		receipt: p.receipt, kind: p.kind, shortCode: p.shortCode, msisdn: p.msisdn, account: p.reference, amountMinor: shillings * 100,
		at: p.paidAt,
	}
	s.mu.Unlock()
	confirm := code == "0" && (p.script.C2B == nil || *p.script.C2B)
	if confirm && p.script.Callback == "c2b_before" {
		s.confirmC2B(ctx, payment, "normal")
	}
	s.postSTK(ctx, p, body)
	if confirm && p.script.Callback != "c2b_before" {
		way := p.script.Callback
		if way == "lose" {
			way = "normal" // the STK callback is lost; the confirmation is switched off by its own field
		}
		s.confirmC2B(ctx, payment, way)
	}
}

func (s *Server) postSTK(ctx context.Context, p *push, body []byte) {
	if p.script.Callback == "lose" {
		s.world.Lose("stk", p.checkoutRequestID)
		return
	}
	if p.script.Callback == "forge" {
		s.inventSTK(ctx, p)
	}
	callback := world.Callback{
		Kind: "stk", ID: p.checkoutRequestID, URL: p.callbackURL, ContentType: "application/json;charset=UTF-8",
		// Written by hand: the real service sends the header name in this case.
		Header: http.Header{"Businessshortcode": {p.shortCode}}, Body: body,
	}
	s.world.PostCopies(ctx, callback, copies(p.script.Callback))
}

func copies(way string) int {
	if way == "duplicate" {
		return world.Copies
	}
	return 1
}

type callbackItem struct {
	Name  string
	Value any `json:",omitempty"`
}

// stkCallback builds the documented body: numbers for amount, date and phone, a Balance without a value, and no
// metadata at all for failures. Callers hold mu.
func stkCallback(p *push) []byte {
	inner := map[string]any{
		"MerchantRequestID": p.merchantRequestID, "CheckoutRequestID": p.checkoutRequestID,
		"ResultCode": resultCode(p.code), "ResultDesc": resultText(p.code),
	}
	if p.code == "0" {
		shillings := p.shillings
		if p.script.Callback == "alter" {
			shillings *= 10
		}
		inner["CallbackMetadata"] = map[string]any{"Item": []callbackItem{
			{Name: "Amount", Value: json.RawMessage(fmt.Sprintf("%d.00", shillings))},
			{Name: "MpesaReceiptNumber", Value: p.receipt},
			{Name: "Balance"},
			{Name: "TransactionDate", Value: json.RawMessage(p.paidAt.In(eat).Format(stampLayout))},
			{Name: "PhoneNumber", Value: json.RawMessage(p.msisdn[1:])},
		}}
	}
	return encode(map[string]any{"Body": map[string]any{"stkCallback": inner}})
}

// resultCode is a number in callbacks, except for the codes that are none.
func resultCode(code string) any {
	if n, err := strconv.Atoi(code); err == nil {
		return n
	}
	return code
}

func encode(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // only maps and texts of our own are encoded
	}
	return raw
}
