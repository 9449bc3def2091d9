package domain

import "time"

// Purposes of a one-time code.
const (
	OtpRegistration = "registration"
	OtpLogin        = "login"
	OtpPinReset     = "pin_reset"
)

// The life of a one-time code (assurance.md section 5, OTP).
const (
	OtpDigits   = 6
	OtpLife     = 5 * time.Minute
	MaxOtpTries = 5
	MaxOtpSends = 3
	OtpWindow   = 15 * time.Minute
	OtpPause    = time.Minute // what a polite client waits before it asks again
)
