package domain

import (
	"github.com/sendtip/sendtip/kit/approve"
	"github.com/sendtip/sendtip/kit/fault"
)

// Refusals of this service. None tells, before a proof of possession, whether a phone is a customer's.
var (
	ErrPhoneInvalid       = fault.New(fault.Unprocessable, "phone_invalid", "This is not a mobile number in this country.")
	ErrCountryUnsupported = fault.New(fault.Unprocessable, "country_unsupported", "The service is not available in this country.")
	ErrOtpLimit           = fault.New(fault.TooMany, "otp_limit", "Too many codes requested; try again later.")
	ErrSignInLimit        = fault.New(fault.TooMany, "sign_in_limit", "Too many sign-in attempts; try again later.")
	ErrOtpInvalid         = fault.New(fault.Unprocessable, "otp_invalid", "The code is wrong or no longer valid.")
	ErrPinWeak            = fault.New(fault.Unprocessable, "pin_weak", "This PIN is too easy to guess; choose another.")
	ErrPinInvalid         = fault.New(fault.Forbidden, "pin_invalid", "The PIN is wrong.")
	ErrPinLocked          = fault.New(fault.TooMany, "pin_locked", "Too many wrong PINs; try again later.")
	ErrIdentityRequired   = fault.New(fault.Forbidden, "identity_required", "Also enter the number of your verified identity document.")
	ErrCredentialsInvalid = fault.New(fault.Unauthenticated, "invalid_credentials", "The phone number or PIN is wrong.")
	ErrDeviceUnknown      = fault.New(fault.Forbidden, "device_unknown", "This device is new; you also need a code to sign in.")
	ErrAlreadyRegistered  = fault.New(fault.Conflict, "already_registered", "This phone number is already registered; sign in instead.")
	ErrUserSuspended      = fault.New(fault.Forbidden, "user_suspended", "This account is suspended; contact support.")
	ErrRefreshInvalid     = fault.New(fault.Unauthenticated, "refresh_invalid", "Your session has ended; sign in again.")
	ErrRefreshReused      = fault.New(fault.Unauthenticated, "refresh_reused",
		"This token has already been used, so the session was closed; sign in again.")
	ErrSessionEnded   = fault.New(fault.Unauthenticated, "session_ended", "Your session has ended; sign in again.")
	ErrStepUpMissing  = fault.New(fault.Forbidden, "step_up_required", "Confirm this with your PIN first.")
	ErrStepUpExpired  = fault.New(fault.Forbidden, "step_up_expired", "The approval has expired; enter your PIN again.")
	ErrStepUpMismatch = fault.New(fault.Forbidden, "step_up_mismatch", "This approval is for something else.")
	ErrStepUpUsed     = fault.New(fault.Forbidden, "step_up_used", "The approval has already been used; enter your PIN again.")
	ErrStepUpUnknown  = fault.New(fault.Unprocessable, "operation_unknown", "This operation cannot be approved.")
	ErrKycInvalid     = fault.New(fault.Unprocessable, "kyc_invalid", "The identity details are not valid.")
	ErrKycInProgress  = fault.New(fault.Conflict, "kyc_in_progress", "A verification is already in progress.")
	ErrKycVerified    = fault.New(fault.Conflict, "kyc_already_verified", "The identity is already verified.")
	ErrKycLimit       = fault.New(fault.TooMany, "kyc_limit", "Too many verification attempts today.")
	ErrKycNotInReview = fault.New(fault.Conflict, "kyc_not_in_review", "This verification is not waiting for a decision.")
	ErrKycUnreadable  = fault.New(fault.Conflict, "kyc_unreadable",
		"These details cannot be read; reject them so that the customer can submit again.")
	ErrDuplicateIdentity = fault.New(fault.Conflict, "duplicate_identity", "Another verified customer already has this identity.")
	ErrOwnRecord         = approve.ErrOwnRecord
	ErrTotpRequired      = fault.New(fault.Forbidden, "totp_required", "Also enter the code that your authenticator shows.")
	ErrTotpInvalid       = fault.New(fault.Forbidden, "totp_invalid", "The authenticator's code is wrong or has been used already.")
	ErrTotpLocked        = fault.New(fault.TooMany, "totp_locked", "Too many wrong codes; try again later.")
	ErrTotpEnrolled      = fault.New(fault.Conflict, "totp_enrolled", "An authenticator is already set up; two admins can reset it.")
	ErrNotStaff          = fault.New(fault.Conflict, "not_staff", "This user is not a member of staff.")
	ErrRoleCustomer      = fault.New(fault.Conflict, "role_customer", "A customer with an identity verification cannot join the staff.")
	ErrRoleUnchanged     = fault.New(fault.Conflict, "role_unchanged", "The user already has this role.")
	ErrLastAdmins        = fault.New(fault.Conflict, "last_admins", "At least two active admins must remain.")
	ErrAdminsExist       = fault.New(fault.Conflict, "admins_exist",
		"There are two admins already, who can make others; where they cannot, break the glass.")
	ErrKycNotRejected = fault.New(fault.Conflict, "kyc_not_rejected",
		"Only the newest verification can be overridden, and only a rejected one.")
	ErrRecipientNotFound = fault.New(fault.NotFound, "recipient_not_found", "This number cannot receive payments.")
)
