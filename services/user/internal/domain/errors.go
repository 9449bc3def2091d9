package domain

import "github.com/sendtip/sendtip/kit/fault"

// Refusals of this service. None tells, before a proof of possession, whether a phone is a customer's.
var (
	ErrPhoneInvalid       = fault.New(fault.Unprocessable, "phone_invalid", "This is not a mobile number of the country.")
	ErrCountryUnsupported = fault.New(fault.Unprocessable, "country_unsupported", "The service is not offered in this country.")
	ErrOtpLimit           = fault.New(fault.TooMany, "otp_limit", "Too many codes were asked for; wait and try again.")
	ErrSignInLimit        = fault.New(fault.TooMany, "sign_in_limit", "Too many sign-ins were tried; wait and try again.")
	ErrOtpInvalid         = fault.New(fault.Unprocessable, "otp_invalid", "The code is wrong or no longer valid.")
	ErrPinWeak            = fault.New(fault.Unprocessable, "pin_weak", "This PIN is too easy to guess; choose another.")
	ErrPinInvalid         = fault.New(fault.Forbidden, "pin_invalid", "The PIN is wrong.")
	ErrPinLocked          = fault.New(fault.TooMany, "pin_locked", "Too many wrong PINs; wait and try again.")
	ErrIdentityRequired   = fault.New(fault.Forbidden, "identity_required", "Give the number of your verified document as well.")
	ErrCredentialsInvalid = fault.New(fault.Unauthenticated, "invalid_credentials", "Phone or PIN is wrong.")
	ErrDeviceUnknown      = fault.New(fault.Forbidden, "device_unknown", "This device is new; sign in with a code as well.")
	ErrAlreadyRegistered  = fault.New(fault.Conflict, "already_registered", "This phone is registered; sign in.")
	ErrUserSuspended      = fault.New(fault.Forbidden, "user_suspended", "This account is suspended; contact support.")
	ErrRefreshInvalid     = fault.New(fault.Unauthenticated, "refresh_invalid", "The session has ended; sign in again.")
	ErrRefreshReused      = fault.New(fault.Unauthenticated, "refresh_reused", "This token was used before; the session is closed, sign in again.")
	ErrSessionEnded       = fault.New(fault.Unauthenticated, "session_ended", "The session has ended; sign in again.")
	ErrStepUpUnknown      = fault.New(fault.Unprocessable, "operation_unknown", "This operation cannot be approved.")
	ErrKycInvalid         = fault.New(fault.Unprocessable, "kyc_invalid", "The identity details cannot be right.")
	ErrKycInProgress      = fault.New(fault.Conflict, "kyc_in_progress", "A verification is under way.")
	ErrKycVerified        = fault.New(fault.Conflict, "kyc_already_verified", "The identity is verified already.")
	ErrKycLimit           = fault.New(fault.TooMany, "kyc_limit", "Too many verifications were tried today.")
	ErrKycNotInReview     = fault.New(fault.Conflict, "kyc_not_in_review", "This verification does not wait for a decision.")
	ErrKycUnreadable      = fault.New(fault.Conflict, "kyc_unreadable", "These details cannot be opened; reject them, so that the customer submits again.")
	ErrDuplicateIdentity  = fault.New(fault.Conflict, "duplicate_identity", "Another verified customer has this identity.")
	ErrOwnRecord          = fault.New(fault.Forbidden, "own_record", "Nobody decides on their own record.")
	ErrRecipientNotFound  = fault.New(fault.NotFound, "recipient_not_found", "Nobody can be paid at this number.")
)
