package web

import (
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/pg"
)

// Problem is the RFC 9457 body of every refusal.
type Problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Code      string `json:"code"`
	Detail    string `json:"detail,omitempty"`
	RequestID string `json:"request_id"`
	// RetryAfter says the same as the header, in s: whoever passes a problem on has its body only.
	RetryAfter int           `json:"retry_after,omitempty"`
	Errors     []fault.Field `json:"errors,omitempty"`
}

// problemBase precedes the code in a problem's type.
const problemBase = "https://docs.sendtip.dev/problems/"

var statuses = map[fault.Kind]int{
	fault.Internal: http.StatusInternalServerError, fault.Invalid: http.StatusBadRequest, fault.Unauthenticated: http.StatusUnauthorized,
	fault.Forbidden: http.StatusForbidden, fault.NotFound: http.StatusNotFound, fault.MethodNotAllowed: http.StatusMethodNotAllowed,
	fault.Conflict: http.StatusConflict, fault.TooLarge: http.StatusRequestEntityTooLarge,
	fault.UnsupportedMedia: http.StatusUnsupportedMediaType,
	fault.Unprocessable:    http.StatusUnprocessableEntity, fault.TooMany: http.StatusTooManyRequests, fault.BadGateway: http.StatusBadGateway,
	fault.Unavailable: http.StatusServiceUnavailable, fault.Timeout: http.StatusGatewayTimeout, fault.TooSlow: http.StatusRequestTimeout,
}

// Status returns the HTTP status of a kind: the one map for all services.
func Status(k fault.Kind) int { return statuses[k] }

// WriteProblem answers with the fault that err holds. Anything that is no fault is logged here, once and in full, and shown as a bare 500.
func WriteProblem(w http.ResponseWriter, r *http.Request, err error) {
	err = pg.Fault(err)
	f, ok := fault.As(err)
	if !ok {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			f = fault.New(fault.TooLarge, "payload_too_large", "The body is too large.")
		} else {
			f = fault.ErrInternal
		}
	}
	switch f.Kind {
	case fault.Internal:
		slogFrom(r.Context()).ErrorContext(r.Context(), "request failed", "err", err, "request_id", RequestID(r.Context()))
	case fault.Unavailable: // a dependency is away: its own lines say more
		slogFrom(r.Context()).WarnContext(r.Context(), "unavailable", "err", err, "request_id", RequestID(r.Context()))
	}
	status, wait := Status(f.Kind), int(math.Ceil(f.RetryAfter.Seconds()))
	body, merr := json.Marshal(Problem{Type: problemBase + f.Code, Title: http.StatusText(status), Status: status, Code: f.Code,
		Detail:    f.Detail,
		RequestID: RequestID(r.Context()), RetryAfter: wait, Errors: f.Fields})
	if merr != nil {
		slog.Error("marshal problem", "err", merr)
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Del("Content-Length")
	if f.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(wait))
	}
	if f.Location != "" {
		h.Set("Location", f.Location)
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller may have gone
}

// StrictRequestError is the generated server's door for bodies that cannot be decoded; the cause may hold what was sent, and is not shown.
func StrictRequestError(w http.ResponseWriter, r *http.Request, err error) {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		WriteProblem(w, r, err)
		return
	}
	WriteProblem(w, r, fault.ErrInvalid)
}

// StrictResponseError is the generated server's door for errors of handlers.
func StrictResponseError(w http.ResponseWriter, r *http.Request, err error) { WriteProblem(w, r, err) }

// BindError is the generated server's door for parameters that cannot be bound.
func BindError(w http.ResponseWriter, r *http.Request, _ error) { WriteProblem(w, r, fault.ErrInvalid) }

// NotFound and MethodNotAllowed answer what no route serves.
func NotFound(w http.ResponseWriter, r *http.Request) { WriteProblem(w, r, fault.ErrNotFound) }

// MethodNotAllowed answers a known path with another method.
func MethodNotAllowed(w http.ResponseWriter, r *http.Request) {
	WriteProblem(w, r, fault.New(fault.MethodNotAllowed, "method_not_allowed", "This path does not support that method."))
}
