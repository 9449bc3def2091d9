package paystack

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sendtip/sendtip/providers/internal/wire"
)

// Error is every failure of a call. HTTPStatus is 0 when no answer came. Type, Code and Message are Paystack's own; Message is not meant
// for customers.
type Error struct {
	HTTPStatus int
	Type       string // validation_error, processor_error or api_error; often absent
	Code       string
	Message    string
	RetryAfter time.Duration // of a 429 or 503 that says so
	NotSent    bool          // the request itself never left: bad input, the rate, an open breaker or no connection
	Err        error         // the transport's error, if any

	refused bool // Paystack itself said status:false
}

// Error describes the failure without the key and account numbers.
func (e *Error) Error() string {
	return wire.Describe("paystack", e.HTTPStatus, e.Code, e.Message, e.Err)
}

// Unwrap returns the transport's error.
func (e *Error) Unwrap() error { return e.Err }

// Definite reports that this call certainly did nothing. Time-outs, broken connections, 5xx answers, pages of somebody in between and
// errors of a processor (which may have moved the money) are not definite; nor is a duplicate reference, as the earlier call with it
// may well have worked. After an earlier call whose answer was lost, no refusal of a repetition proves that nothing happened.
func (e *Error) Definite() bool {
	switch {
	case e.NotSent:
		return true
	case e.Duplicate():
		return false
	case e.HTTPStatus == http.StatusTooManyRequests:
		return true
	case e.HTTPStatus == http.StatusRequestTimeout || e.HTTPStatus == http.StatusConflict:
		return false
	case e.HTTPStatus < 400 || e.HTTPStatus >= 500:
		return false
	}
	return e.refused && e.Type != "processor_error" && e.Type != "api_error"
}

// Busy reports a refusal for a passing reason: the same request may be sent again later. Busy without Definite never occurs.
func (e *Error) Busy() bool {
	if e.NotSent {
		return e.Code == "" // no connection, the rate, an open breaker
	}
	return e.HTTPStatus == http.StatusTooManyRequests
}

// Duplicate reports that the reference is known to Paystack: proof that an earlier call with it arrived, and never that it failed.
func (e *Error) Duplicate() bool {
	if e.NotSent || e.HTTPStatus < 400 || e.HTTPStatus >= 500 {
		return false
	}
	return e.Code == "duplicate_reference" || (e.says("reference") && (e.says("duplicate") || e.says("already exist") || e.says("unique")))
}

// NotFound reports that Paystack does not know what was asked for. About a payment it says only that none has arrived yet: a request that
// is still on its way can follow.
func (e *Error) NotFound() bool {
	if e.NotSent || !e.refused {
		return false
	}
	return e.HTTPStatus == http.StatusNotFound || (e.HTTPStatus == http.StatusBadRequest && (strings.HasSuffix(e.Code, "_not_found") ||
		e.says("not found")))
}

// Unauthorized reports a wrong key, or one that is not allowed from here: a matter for the operator.
func (e *Error) Unauthorized() bool {
	return !e.NotSent && e.refused && (e.HTTPStatus == http.StatusUnauthorized || e.HTTPStatus == http.StatusForbidden)
}

// InsufficientBalance reports that the Paystack balance does not cover a transfer or refund.
func (e *Error) InsufficientBalance() bool {
	return e.Definite() && !e.NotSent && (slices.Contains([]string{"insufficient_balance", "insufficient_funds"}, e.Code) ||
		e.says("balance is not enough") || e.says("insufficient balance"))
}

func (e *Error) says(text string) bool { return strings.Contains(strings.ToLower(e.Message), text) }

func is(err error, question func(*Error) bool) bool {
	var e *Error
	return errors.As(err, &e) && question(e)
}

// Definite reports that err proves that the call did nothing. Errors of other kinds prove nothing.
func Definite(err error) bool { return is(err, (*Error).Definite) }

// Busy reports that nothing happened for a passing reason: the same request may be sent again later.
func Busy(err error) bool { return is(err, (*Error).Busy) }

// Duplicate reports that err proves that an earlier call with the same reference arrived.
func Duplicate(err error) bool { return is(err, (*Error).Duplicate) }

// NotFound reports that err says that Paystack does not know what was asked for.
func NotFound(err error) bool { return is(err, (*Error).NotFound) }

// Unauthorized reports that err is about the key.
func Unauthorized(err error) bool { return is(err, (*Error).Unauthorized) }

// InsufficientBalance reports that err is about the balance at Paystack.
func InsufficientBalance(err error) bool { return is(err, (*Error).InsufficientBalance) }

// invalid is a request that Paystack would refuse, refused here.
func invalid(field string) error {
	return &Error{NotSent: true, Code: "invalid_request", Message: "invalid " + field}
}

// unreadable is a success of which nobody can say what it was.
func unreadable() error { return &Error{HTTPStatus: http.StatusOK, Message: "unreadable answer"} }

// foreign is an answer about something else than what was asked for, which says nothing about that.
func foreign(what string) error {
	return &Error{HTTPStatus: http.StatusOK, Message: "answer for another " + what}
}
