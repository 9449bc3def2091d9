package domain

import (
	"regexp"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/money"
)

// How long a request for money is open, and how much of it a payer must put up with.
const (
	RequestLife       = 7 * 24 * time.Hour
	MaxRequests       = 20 // open ones of one requester
	MaxRequestsToOne  = 3  // open ones of one requester to one payer
	MaxReminders      = 3
	ReminderEvery     = 24 * time.Hour
	MaxRequestNoteLen = 80 // characters
)

// States of a request.
const (
	RequestOpen      = "open"
	RequestPaid      = "paid"
	RequestDeclined  = "declined"
	RequestCancelled = "cancelled"
	RequestExpired   = "expired"
)

// Refusals around requests.
var (
	ErrPayerMissing      = fault.New(fault.NotFound, "payer_not_found", "There is no customer with this number.")
	ErrPayerSelf         = fault.New(fault.Unprocessable, "payer_is_requester", "You cannot ask yourself for money.")
	ErrPayerInReview     = fault.New(fault.Unprocessable, "payer_in_review", "The owner of this number cannot be asked at the moment.")
	ErrRequestNote       = fault.New(fault.Unprocessable, "request_note", "A note has at most 80 characters, on one line and without a link.")
	ErrRequestLimit      = fault.New(fault.Conflict, "request_limit", "You have too many open requests; withdraw one or wait.")
	ErrRequestLimitPayer = fault.New(fault.Conflict, "request_limit_payer", "This customer has enough open requests of yours.")
	ErrRequestClosed     = fault.New(fault.Conflict, "request_closed", "The request has ended.")
	ErrRequestBeingPaid  = fault.New(fault.Conflict, "request_being_paid", "The request is being paid.")
	ErrReminderTooSoon   = fault.New(fault.Conflict, "reminder_too_soon", "Remind at most once in 24 hours.")
	ErrReminderLimit     = fault.New(fault.Conflict, "reminder_limit", "The payer has been reminded often enough.")
	ErrAmountMissing     = fault.ErrInvalid.WithField("/amount", "required", "Say how much.")
	ErrAmountPinned      = fault.ErrInvalid.WithField("/amount", "not_allowed", "The request says how much.")
)

// Request is one customer's request to another for money.
type Request struct {
	ID            uuid.UUID
	RequesterID   uuid.UUID
	WalletID      uuid.UUID // where the money goes
	PayerID       uuid.UUID
	RequesterName string // masked
	PayerName     string // masked
	Amount        money.Money
	Note          string
	Status        string
	TransferID    *uuid.UUID // the payment that is under way or has paid it
	Reminders     int16
	AskedAt       time.Time // or last reminded
	CreatedAt     time.Time
	ExpiresAt     time.Time
	ClosedAt      *time.Time
}

// At returns the request as it stands at a time: one that is overdue has expired, whether that was noted or not.
func (r Request) At(now time.Time) Request {
	if r.Status == RequestOpen && r.TransferID == nil && !now.Before(r.ExpiresAt) {
		at := r.ExpiresAt
		r.Status, r.ClosedAt = RequestExpired, &at
	}
	return r
}

// MayClose says whether a request that somebody wants to be declined or cancelled changes, or is so already.
func (r Request) MayClose(as string, now time.Time) (changes bool, err error) {
	switch r = r.At(now); {
	case r.Status == as:
		return false, nil
	case r.Status != RequestOpen:
		return false, ErrRequestClosed
	case r.TransferID != nil:
		return false, ErrRequestBeingPaid
	}
	return true, nil
}

// MayPay says whether a payment of the request may begin.
func (r Request) MayPay(now time.Time) error {
	_, err := r.MayClose("", now)
	return err
}

// MayRemind says whether the payer may be reminded.
func (r Request) MayRemind(now time.Time) error {
	if err := r.MayPay(now); err != nil {
		return err
	}
	switch {
	case r.Reminders >= MaxReminders:
		return ErrReminderLimit
	case now.Before(r.AskedAt.Add(ReminderEvery)):
		return ErrReminderTooSoon
	}
	return nil
}

// RemindAfter is from when on the payer may be reminded, or the zero time if never.
func (r Request) RemindAfter() time.Time {
	next := r.AskedAt.Add(ReminderEvery)
	if r.Status != RequestOpen || r.Reminders >= MaxReminders || !next.Before(r.ExpiresAt) {
		return time.Time{}
	}
	return next
}

// CheckOpenRequests says whether a customer with these open requests may make another.
func CheckOpenRequests(total, toPayer int64) error {
	switch {
	case toPayer >= MaxRequestsToOne:
		return ErrRequestLimitPayer
	case total >= MaxRequests:
		return ErrRequestLimit
	}
	return nil
}

// link finds what a phone or an app would make a link of: a scheme, www, or a name with a dot and letters after it.
var link = regexp.MustCompile(`(?i)(://|\bwww\b|[\p{L}\p{N}_-][.。．｡][\p{L}]{2,})`)

// CheckRequestNote keeps a stranger's note from being a message that somebody acts on.
func CheckRequestNote(note string) error {
	if utf8.RuneCountInString(note) > MaxRequestNoteLen || !utf8.ValidString(note) || link.MatchString(note) {
		return ErrRequestNote
	}
	for _, r := range note {
		if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) { // what cannot be seen can hide a link
			return ErrRequestNote
		}
	}
	return nil
}
