package call

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/sendtip/sendtip/kit/fault"
)

// errAnswer stands for an answer outside the contract.
const errAnswer = "upstream_failed"

// maxWait is the longest wait that is believed of a peer.
const maxWait = 24 * time.Hour

// Problem turns a peer's answer that is not a success into a *fault.Error with the peer's code, sentence and fields and the
// kind of its status, and with the wait that it names. An answer that is not a problem document gets the code upstream_failed, and shows
// nothing of its body.
func Problem(status int, body []byte) error {
	kind := kindOf(status)
	var problem struct {
		Code   string        `json:"code"`
		Detail string        `json:"detail"`
		Title  string        `json:"title"`
		Errors []fault.Field `json:"errors"`
		Wait   int           `json:"retry_after"`
	}
	if err := json.Unmarshal(body, &problem); err != nil || problem.Code == "" {
		return fault.New(kind, errAnswer, "A part of the platform gave no valid answer.")
	}
	if problem.Detail == "" {
		problem.Detail = problem.Title
	}
	f := fault.New(kind, problem.Code, problem.Detail)
	f.Fields = problem.Errors
	if wait := time.Duration(problem.Wait) * time.Second; wait > 0 && wait <= maxWait {
		return f.WithRetryAfter(wait)
	}
	if kind == fault.Unavailable {
		return f.WithRetryAfter(fault.ErrUnavailable.RetryAfter)
	}
	return f
}

// IsUnknown reports whether after err the peer may or may not have acted, now or at an earlier try: no answer at all
// (connection, time-out, open breaker, unreadable body), a 5xx, or a 429, which says nothing about an earlier try. It is
// false for nil and for a refusal. Calls whose contract knows outcomes per item (the ledger) treat every other answer
// as unknown too.
func IsUnknown(err error) bool {
	if err == nil {
		return false
	}
	var l *lost
	if errors.As(err, &l) {
		return true
	}
	f, ok := fault.As(err)
	if !ok {
		return true // a cause that this package does not know is no answer either
	}
	switch f.Kind {
	case fault.Internal, fault.BadGateway, fault.Unavailable, fault.Timeout, fault.TooMany:
		return true
	}
	return false
}

func kindOf(status int) fault.Kind {
	switch status {
	case http.StatusUnauthorized:
		return fault.Unauthenticated
	case http.StatusForbidden:
		return fault.Forbidden
	case http.StatusNotFound:
		return fault.NotFound
	case http.StatusMethodNotAllowed:
		return fault.MethodNotAllowed
	case http.StatusConflict:
		return fault.Conflict
	case http.StatusRequestEntityTooLarge:
		return fault.TooLarge
	case http.StatusUnsupportedMediaType:
		return fault.UnsupportedMedia
	case http.StatusUnprocessableEntity:
		return fault.Unprocessable
	case http.StatusTooManyRequests:
		return fault.TooMany
	case http.StatusBadGateway:
		return fault.BadGateway
	case http.StatusServiceUnavailable:
		return fault.Unavailable
	case http.StatusGatewayTimeout, http.StatusRequestTimeout:
		return fault.Timeout
	}
	if status >= 400 && status < 500 {
		return fault.Invalid
	}
	return fault.Internal // 500, and a success or redirect that the contract does not know
}
