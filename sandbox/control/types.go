// Package control is the sandbox's remote control: the shapes of its /sandbox API and a client for tests and demos.
// The server uses the same types, so the two cannot drift.
package control

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// Script says how the sandbox behaves. An empty field takes the phone's, then the global, then the built-in value
// (manual answers, callbacks sent once).
type Script struct {
	// STK is who answers prompts: manual (a person on the page, or the answer operation), pay, cancel, expire,
	// wrong_pin, insufficient, expire_then_pay (reported as 1037, paid later) or code:<n> for any result code.
	STK string `json:"stk,omitempty"`
	// STKAnswer is the synchronous answer to a push: normal, busy (500.003.02), lock (500.001.1001), error
	// (500.003.1001 although the prompt appears) or lose (the prompt appears, the connection breaks).
	STKAnswer string `json:"stk_answer,omitempty"`
	// Query is the answer to status queries: normal, busy (500.001.1001), busy200 (the same inside HTTP 200),
	// flaky (every other query is busy, the first included), lose.
	Query string `json:"query,omitempty"`
	// DelayMS is the time until a scripted answer; 0 is at once.
	DelayMS *int `json:"delay_ms,omitempty"`
	// Callback is what happens to STK and C2B callbacks: normal, lose, delay (by CallbackDelayMS, else 5 s), duplicate (five at once),
	// alter (ten times the amount), forge (a stranger tells of something else first), c2b_after or c2b_before (order of the C2B
	// confirmation of a paid prompt).
	// lose keeps C2B confirmations of paid prompts; set C2B to false to lose both.
	Callback string `json:"callback,omitempty"`
	// CallbackDelayMS delays every callback.
	CallbackDelayMS *int `json:"callback_delay_ms,omitempty"`
	// C2B says whether a paid prompt is also confirmed to registered C2B addresses. Default true.
	C2B *bool `json:"c2b,omitempty"`
	// C2BValidation says whether registered validation addresses are asked. Default false, as at Safaricom.
	C2BValidation *bool `json:"c2b_validation,omitempty"`
	// B2C is how payouts to the phone end: pay, insufficient (no float, 1), unregistered (2040), reversed (paid, and taken back by hand a
	// while later) or code:<n> for any result code.
	B2C string `json:"b2c,omitempty"`
	// OrderAnswer is the synchronous answer to an initiator's order (B2C, B2B, status, balance, reversal): normal, busy (spike arrest,
	// 500.003.02), throttled (429), down (503) and error_before (500.003.1001), after which nothing is done; error (500.003.1001), lose (the
	// connection breaks) and hang (never an answer), although it is done.
	OrderAnswer string `json:"order_answer,omitempty"`
	// Result is what happens to the result of an order that moves money: normal, lose, delay (by ResultDelayMS, else 5 s), duplicate (five at
	// once), alter (ten times the amount), forge (a stranger tells the opposite first, of another conversation), forge_source (the same from
	// M-Pesa's address) or queue_timeout (the time-out address is told first, then it is done after all).
	Result string `json:"result,omitempty"`
	// QueryResult is Result for the results of status and balance queries, and fail (the query itself fails, with code 25).
	QueryResult string `json:"query_result,omitempty"`
	// ResultDelayMS delays every result.
	ResultDelayMS *int `json:"result_delay_ms,omitempty"`
	// KYCCallback is what happens to KYC callbacks: normal, lose, duplicate (five at once), forge (wrong signature and opposite
	// result, instead of the true one).
	KYCCallback string `json:"kyc_callback,omitempty"`
	// KYCDelayMS is the time until a KYC job is complete.
	KYCDelayMS *int `json:"kyc_delay_ms,omitempty"`
	// SMS is the answer to a send: a status code such as 101 or 406, empty (no recipients), nobody ("Sent to 0/1", no status
	// code), down (HTTP 500, nothing sent) or lose (sent, but the connection breaks).
	SMS string `json:"sms,omitempty"`
	// SMSReport is the end of the delivery reports: success, failed, rejected, duplicate (success twice), sent (never
	// final), json (success as gateways in between write it: JSON, small letters, a null) or lose (none at all).
	SMSReport string `json:"sms_report,omitempty"`
	// SMSReportDelayMS is the time before each delivery report.
	SMSReportDelayMS *int `json:"sms_report_delay_ms,omitempty"`
}

// Bool and Int make pointers for a Script's fields.
func Bool(v bool) *bool { return &v }

// Int makes a pointer for a Script's field.
func Int(v int) *int { return &v }

var (
	anyCode = regexp.MustCompile(`^code:[A-Za-z0-9_]{1,16}$`)
	allowed = map[string][]string{
		"stk":          {"", "manual", "pay", "cancel", "expire", "wrong_pin", "insufficient", "expire_then_pay"},
		"stk_answer":   {"", "normal", "busy", "lock", "error", "lose"},
		"query":        {"", "normal", "busy", "busy200", "flaky", "lose"},
		"callback":     {"", "normal", "lose", "delay", "duplicate", "alter", "forge", "c2b_after", "c2b_before"},
		"b2c":          {"", "pay", "insufficient", "unregistered", "reversed"},
		"order_answer": {"", "normal", "busy", "throttled", "down", "error_before", "error", "lose", "hang"},
		"result":       {"", "normal", "lose", "delay", "duplicate", "alter", "forge", "forge_source", "queue_timeout"},
		"query_result": {"", "normal", "lose", "delay", "duplicate", "alter", "forge", "forge_source", "queue_timeout", "fail"},
		"kyc_callback": {"", "normal", "lose", "duplicate", "forge"},
		"sms":          {"", "empty", "nobody", "down", "lose"},
		"sms_report":   {"", "success", "failed", "rejected", "duplicate", "sent", "json", "lose"},
	}
	smsCodes = []int{100, 101, 102, 401, 402, 403, 404, 405, 406, 407, 409, 500, 501, 502}
)

// maxDelayMS bounds every delay, so that no goroutine of the sandbox sleeps for days.
const maxDelayMS = 15 * 60 * 1000

// Validate names the first field with a value that the sandbox does not know.
func (s Script) Validate() error {
	values := map[string]string{
		"stk": s.STK, "stk_answer": s.STKAnswer, "query": s.Query, "callback": s.Callback,
		"kyc_callback": s.KYCCallback, "sms": s.SMS, "sms_report": s.SMSReport,
		"b2c": s.B2C, "order_answer": s.OrderAnswer, "result": s.Result, "query_result": s.QueryResult,
	}
	for field, options := range allowed {
		v := values[field]
		if slices.Contains(options, v) || ((field == "stk" || field == "b2c") && anyCode.MatchString(v)) {
			continue
		}
		if code, err := strconv.Atoi(v); field == "sms" && err == nil && slices.Contains(smsCodes, code) {
			continue
		}
		return fmt.Errorf("%s: unknown value, use one of %q", field, options[1:])
	}
	for _, d := range []*int{s.DelayMS, s.CallbackDelayMS, s.KYCDelayMS, s.SMSReportDelayMS, s.ResultDelayMS} {
		if d != nil && (*d < 0 || *d > maxDelayMS) {
			return fmt.Errorf("delays are 0 to %d ms", maxDelayMS)
		}
	}
	return nil
}

// Over returns s with its empty fields taken from base.
func (s Script) Over(base Script) Script {
	return Script{
		STK: pick(s.STK, base.STK), STKAnswer: pick(s.STKAnswer, base.STKAnswer), Query: pick(s.Query, base.Query),
		DelayMS: pick(s.DelayMS, base.DelayMS), Callback: pick(s.Callback, base.Callback),
		CallbackDelayMS: pick(s.CallbackDelayMS, base.CallbackDelayMS), C2B: pick(s.C2B, base.C2B),
		C2BValidation: pick(s.C2BValidation, base.C2BValidation), KYCCallback: pick(s.KYCCallback, base.KYCCallback),
		KYCDelayMS: pick(s.KYCDelayMS, base.KYCDelayMS), SMS: pick(s.SMS, base.SMS),
		SMSReport: pick(s.SMSReport, base.SMSReport), SMSReportDelayMS: pick(s.SMSReportDelayMS, base.SMSReportDelayMS),
		B2C: pick(s.B2C, base.B2C), OrderAnswer: pick(s.OrderAnswer, base.OrderAnswer), Result: pick(s.Result, base.Result),
		QueryResult: pick(s.QueryResult, base.QueryResult), ResultDelayMS: pick(s.ResultDelayMS, base.ResultDelayMS),
	}
}

// ForPayout reports whether a queued script waits for the phone's next payout: it says something about payouts. Others wait for a prompt.
func (s Script) ForPayout() bool {
	return s.B2C != "" || s.OrderAnswer != "" || s.Result != "" || s.QueryResult != "" || s.ResultDelayMS != nil
}

func pick[T comparable](v, base T) T {
	var zero T
	if v == zero {
		return base
	}
	return v
}

// Message is one SMS in a phone's inbox.
type Message struct {
	ID   string    `json:"id"`
	To   string    `json:"to"` // E.164
	From string    `json:"from"`
	Text string    `json:"text"`
	At   time.Time `json:"at"` // UTC
}

// Prompt is an open request for the customer's PIN.
type Prompt struct {
	CheckoutRequestID string    `json:"checkout_request_id"`
	ShortCode         string    `json:"short_code"`
	AccountReference  string    `json:"account_reference"`
	Description       string    `json:"description"`
	AmountMinor       int64     `json:"amount_minor"` // KES
	At                time.Time `json:"at"`
	ExpiresAt         time.Time `json:"expires_at"`
}

// Phone is one handset.
type Phone struct {
	Msisdn       string    `json:"msisdn"` // E.164
	Name         string    `json:"name"`
	BalanceMinor int64     `json:"balance_minor"` // M-Pesa, KES
	Messages     int       `json:"messages"`
	Prompt       *Prompt   `json:"prompt,omitempty"`
	Script       Script    `json:"script"`
	Queued       int       `json:"queued"` // scripts waiting for the next prompts and payouts
	SeenAt       time.Time `json:"seen_at"`
}

// Answer is what a person does with a prompt: pay (with PIN 1234; any other is wrong), cancel or expire.
type Answer struct {
	Action string `json:"action"`
	PIN    string `json:"pin,omitempty"`
}

// AnswerResult is how a prompt ended.
type AnswerResult struct {
	ResultCode string `json:"result_code"`
	ResultDesc string `json:"result_desc"`
	Receipt    string `json:"receipt,omitempty"`
}

// C2BPayment is a customer paying the paybill by hand. ShortCode defaults to the sandbox's.
type C2BPayment struct {
	Msisdn      string `json:"msisdn"`
	ShortCode   string `json:"short_code,omitempty"`
	Account     string `json:"account"`
	AmountMinor int64  `json:"amount_minor"` // whole shillings
}

// Entry is one payment that really happened at the simulated M-Pesa.
type Entry struct {
	Receipt           string    `json:"receipt"`
	Kind              string    `json:"kind"` // stk or c2b
	ShortCode         string    `json:"short_code"`
	Msisdn            string    `json:"msisdn"`
	AccountReference  string    `json:"account_reference"`
	AmountMinor       int64     `json:"amount_minor"` // KES
	CheckoutRequestID string    `json:"checkout_request_id,omitempty"`
	BuyGoods          bool      `json:"buy_goods,omitempty"`
	At                time.Time `json:"at"`
}

// Forgery is a confirmation of a payment that nobody has to have made, told by a stranger who knows the address for confirmations.
// ShortCode defaults to the sandbox's, Receipt to a new one, At to now.
type Forgery struct {
	Msisdn      string     `json:"msisdn"`
	ShortCode   string     `json:"short_code,omitempty"`
	Receipt     string     `json:"receipt,omitempty"`
	Account     string     `json:"account"`
	AmountMinor int64      `json:"amount_minor"`
	At          *time.Time `json:"at,omitempty"`
}

// Forged is what became of a Forgery: the receipt it named, and the platform's HTTP status (0 if there was no answer).
type Forged struct {
	Receipt string `json:"receipt"`
	Status  int    `json:"status"`
}

// Statement is the short codes' truth. TotalMinor and Count also cover entries that were dropped for space.
type Statement struct {
	Data       []Entry `json:"data"`
	TotalMinor int64   `json:"total_minor"`
	Count      int     `json:"count"`
	Dropped    int     `json:"dropped"`
}

// Mail is one mail in the sink.
type Mail struct {
	ID      string    `json:"id"`
	From    string    `json:"from"`
	To      []string  `json:"to"`
	Subject string    `json:"subject"`
	Text    string    `json:"text"`
	HTML    string    `json:"html,omitempty"`
	At      time.Time `json:"at"`
}

// Delivery is one callback that the sandbox sent, or tried to. The address is left out: it holds a secret.
type Delivery struct {
	// stk, c2b_validation, c2b_confirmation, forgery, kyc, sms_report; of orders b2c, b2b, reversal, status, balance, order_timeout,
	// order_forgery; of Paystack the event's name
	Kind string `json:"kind"`
	// checkout id, receipt, job id, message id; of orders the OriginatorConversationID, of Paystack the reference
	ID     string    `json:"id"`
	Status int       `json:"status,omitempty"` // HTTP status; 0 if there was no answer
	Lost   bool      `json:"lost,omitempty"`   // left out on purpose, by script
	At     time.Time `json:"at"`
}
