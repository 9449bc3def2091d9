// Package fault owns the one error type that callers may see. A fault has a kind (which decides the HTTP status), a stable
// code for programs and a sentence that a customer may read. Any other error is a broken program or a broken machine.
package fault

import (
	"errors"
	"time"
)

// Kind groups faults by what the caller can do about them; kit/web maps each kind to one HTTP status.
type Kind int

// The kinds, in the order of their HTTP statuses.
const (
	Internal Kind = iota
	Invalid
	Unauthenticated
	Forbidden
	NotFound
	MethodNotAllowed
	Conflict
	TooLarge
	UnsupportedMedia
	Unprocessable
	TooMany
	BadGateway
	Unavailable
	Timeout
	// TooSlow stands last: stored outcomes hold the number of their kind.
	TooSlow
)

// Field is one thing that is wrong with a request. It never carries the value that was sent.
type Field struct {
	Pointer string `json:"pointer"`
	Code    string `json:"code"`
	Detail  string `json:"detail"`
}

// Error is an outcome that the caller may see.
type Error struct {
	Kind   Kind    `json:"kind"`
	Code   string  `json:"code"`
	Detail string  `json:"detail"`
	Fields []Field `json:"fields,omitempty"`
	// RetryAfter is how long to wait before the next try; zero says nothing about it.
	RetryAfter time.Duration `json:"retry_after_ns,omitempty"`
	// Location is the path where the outcome can be read.
	Location string `json:"location,omitempty"`
}

// New declares a fault. Faults are declared once per package, and compared with errors.Is by their code.
func New(kind Kind, code, detail string) *Error {
	return &Error{Kind: kind, Code: code, Detail: detail}
}

// Error returns the code and the sentence.
func (e *Error) Error() string { return e.Code + ": " + e.Detail }

// Is says that two faults with the same code are the same fault.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// WithField returns a copy that also names a faulty place of the request.
func (e *Error) WithField(pointer, code, detail string) *Error {
	c := *e
	c.Fields = append(append([]Field(nil), e.Fields...), Field{Pointer: pointer, Code: code, Detail: detail})
	return &c
}

// WithRetryAfter returns a copy that tells the caller how long to wait.
func (e *Error) WithRetryAfter(d time.Duration) *Error {
	c := *e
	c.RetryAfter = d
	return &c
}

// WithLocation returns a copy that tells where the outcome can be read.
func (e *Error) WithLocation(path string) *Error {
	c := *e
	c.Location = path
	return &c
}

// As finds the fault in err's chain.
func As(err error) (*Error, bool) {
	var f *Error
	ok := errors.As(err, &f)
	return f, ok
}

// Faults that every service gives.
var (
	ErrUnauthenticated = New(Unauthenticated, "unauthenticated", "No valid credential was sent.")
	ErrForbidden       = New(Forbidden, "forbidden", "You are not allowed to do this.")
	ErrNotFound        = New(NotFound, "not_found", "There is no such object.")
	ErrInvalid         = New(Invalid, "invalid_request", "The request does not match the contract.")
	ErrUnavailable     = New(Unavailable, "unavailable", "The service is not available; try again.").WithRetryAfter(2 * time.Second)
	ErrTimeout         = New(Timeout, "timeout",
		"The answer took too long; check the outcome before you try again.").WithRetryAfter(2 * time.Second)
	ErrInternal = New(Internal, "internal", "Something went wrong on our side.")
)
