package daraja

import (
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strings"

	"github.com/sendtip/sendtip/providers/internal/wire"
)

// codeOverloaded stands for wrong credentials, an unknown merchant, a locked subscriber and "no answer yet" alike:
// it is never judged without its text.
const codeOverloaded = "500.001.1001"

// serverFault is the code of a failure at Safaricom, which was also seen inside a 200.
var serverFault = regexp.MustCompile(`^5\d\d\.`)

// Error is every failure of a call. HTTPStatus is 0 when no answer came. Code and Message are Daraja's own
// (a 200 with a ResponseCode other than "0" carries that code); Message is not meant for customers.
type Error struct {
	HTTPStatus int
	Code       string
	Message    string
	RequestID  string
	NotSent    bool  // the request itself never left: bad input, no token, or no connection
	Err        error // the transport's error, if any
}

// Error describes the failure without tokens and phone numbers.
func (e *Error) Error() string {
	return wire.Describe("daraja", e.HTTPStatus, e.Code, e.Message, e.Err)
}

// Unwrap returns the transport's error.
func (e *Error) Unwrap() error { return e.Err }

// Definite reports that the operation certainly did not happen: no prompt was or will be shown and no callback
// follows. Time-outs, broken connections and 5xx answers without a known body are not definite.
func (e *Error) Definite() bool {
	switch {
	case e.NotSent:
		return true
	case e.Duplicate():
		return false // this send did nothing, the operation may well have happened
	case e.Code == codeOverloaded: // with HTTP 500 or inside a 200
		return e.says("wrong credentials") || e.says("merchant does not exist") || e.says("unable to lock subscriber")
	case e.HTTPStatus == http.StatusOK && !serverFault.MatchString(e.Code):
		return e.Code != "" // ResponseCode other than "0": no callback will follow
	case e.HTTPStatus == http.StatusRequestTimeout:
		return false
	case e.HTTPStatus >= 400 && e.HTTPStatus < 500:
		return true
	default:
		return e.Code == "500.003.02" || e.Code == "500.003.03" || e.AlreadyRegistered()
	}
}

// Busy reports a refusal for a passing reason: the same request may be sent again later, after a minute or more for a
// locked subscriber. Busy without Definite never occurs.
func (e *Error) Busy() bool {
	switch {
	case !e.Definite():
		return false
	// no connection, or no token: an outage, a page instead of an answer. What has a code is wrong credentials or a wrong request.
	case e.NotSent:
		return e.Code == "" || e.HTTPStatus >= 500
	case e.HTTPStatus == http.StatusTooManyRequests:
		return true
	case e.Code == codeOverloaded:
		return e.says("unable to lock subscriber")
	default:
		return e.Code == "500.003.02" || e.Code == "500.003.03"
	}
}

// Duplicate reports that a B2C payment with this OriginatorConversationID has arrived before (500.002.1001): proof that it is known, and
// never that it failed. The code alone does not say it, as Daraja uses codes for several things.
func (e *Error) Duplicate() bool { return !e.NotSent && e.says("duplicate originatorconversationid") }

// AlreadyRegistered reports that C2B addresses exist for the short code; production allows no second registration.
func (e *Error) AlreadyRegistered() bool {
	return e.Code == "500.003.1001" && (e.says("already registered") || e.says("duplicate notification info"))
}

func (e *Error) says(text string) bool { return strings.Contains(strings.ToLower(e.Message), text) }

// invalidToken matches the several codes that Daraja uses for an expired or unknown access token, 404 among them.
func (e *Error) invalidToken() bool {
	switch e.Code {
	case "404.001.03", "400.003.01", "401.002.01", "401.003.01":
		return true
	}
	return e.HTTPStatus == http.StatusUnauthorized
}

// Definite reports that err proves that nothing happened at Safaricom. Errors of other kinds prove nothing.
func Definite(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Definite()
}

// Duplicate reports that err proves that an earlier send of the same payment arrived.
func Duplicate(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Duplicate()
}

// Busy reports that nothing happened for a passing reason: the same request may be sent again later.
func Busy(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Busy()
}

// notSent marks a failure that happened before the request itself was sent, such as fetching the token.
func notSent(err error) error {
	var e *Error
	if errors.As(err, &e) {
		marked := *e
		marked.NotSent = true
		return &marked
	}
	return &Error{NotSent: true, Err: err}
}

// invalid is a request that Daraja would refuse, refused here.
func invalid(field string) error {
	return &Error{NotSent: true, Code: "invalid_request", Message: "invalid " + field}
}

// parseError returns nil for a plain success. An errorCode inside a 200 is an error too: it was seen on STK queries.
func parseError(status int, body []byte) *Error {
	var fault struct {
		RequestID    wire.Text `json:"requestId"`
		ErrorCode    wire.Text `json:"errorCode"`
		ErrorMessage wire.Text `json:"errorMessage"`
	}
	decoded := json.Unmarshal(body, &fault) == nil
	if status == http.StatusOK && (!decoded || fault.ErrorCode == "") {
		return nil
	}
	return &Error{
		HTTPStatus: status, Code: string(fault.ErrorCode),
		Message: wire.Scrub(string(fault.ErrorMessage)), RequestID: string(fault.RequestID),
	}
}
