package domain

import (
	"time"

	"github.com/sendtip/sendtip/kit/fault"
)

// Purposes of codes that prove a number which is not the customer's yet.
const (
	OtpNumberChange = "number_change"
	OtpRecovery     = "recovery"
)

// NumberCooling is how long a change of number waits, so that whoever did not ask for it can stop it on a device of theirs.
const NumberCooling = 24 * time.Hour

// FormerNumberKeep is how long a number that a customer left is known: until it was told so, with time for repeats.
const FormerNumberKeep = 48 * time.Hour

// States of a change of number.
const (
	NumberCoolingDown = "cooling"
	NumberApplied     = "applied"
	NumberCancelled   = "cancelled"
	NumberFailed      = "failed"
)

// Why a change of number ended without one; stable codes.
const (
	NumberByCustomer = "customer"
	NumberByPinReset = "pin_reset"
	NumberByRecovery = "recovery"
	NumberTaken      = "number_taken"
	NumberNotActive  = "not_active"
)

// CodesOfCustomer are those that a customer asks for to numbers that are not theirs yet.
var CodesOfCustomer = Limit{"code_customer", MaxOtpSends, OtpWindow, ErrOtpLimit}

// Refusals of changes of number.
var (
	ErrNumberUnchanged  = fault.New(fault.Conflict, "number_unchanged", "This already is your phone number.")
	ErrNumberTaken      = fault.New(fault.Conflict, "number_taken", "This phone number belongs to another account.")
	ErrNumberChangeOpen = fault.New(fault.Conflict, "number_change_open",
		"Another change of your phone number is waiting; cancel it first.")
	ErrNumberChangeClosed = fault.New(fault.Conflict, "number_change_closed", "This change has ended already.")
	ErrStaffNumber        = fault.New(fault.Forbidden, "staff_number", "A member of staff keeps the phone number that they registered with.")
)
