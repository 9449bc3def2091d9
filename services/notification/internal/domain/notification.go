// Package domain holds the rules of messages: their states, when they are tried again, how long they make sense, and their texts in
// every language. It knows no database, provider or clock.
package domain

import "strings"

// Channel is the way a message takes.
type Channel string

// The channels. A further one is a new consumer of the same events.
const (
	SMS   Channel = "sms"
	Email Channel = "email"
)

// State is where a message stands.
type State string

// The states. Unknown means that the provider's answer was lost: the message may have arrived, so it is never sent again.
const (
	Pending   State = "pending"
	Sending   State = "sending"
	Sent      State = "sent"
	Delivered State = "delivered"
	Failed    State = "failed"
	Unknown   State = "unknown"
)

// steps lists the legal changes. Sending goes back to Pending only after a definite refusal for a passing reason; Unknown is left only
// when the provider's answer turns up after all.
var steps = map[State][]State{
	Pending: {Sending, Failed},
	Sending: {Pending, Sent, Failed, Unknown},
	Sent:    {Delivered, Failed},
	Unknown: {Sent, Failed},
}

// CanBecome says whether a message may go from s to next. Delivered and Failed are final.
func (s State) CanBecome(next State) bool {
	for _, legal := range steps[s] {
		if legal == next {
			return true
		}
	}
	return false
}

// Reason codes of failed messages, besides those of the SMS gateway.
const (
	ReasonExpired          = "expired"           // too late to be of use
	ReasonCodeUnavailable  = "code_unavailable"  // user no longer gives the one-time code
	ReasonRecipientUnknown = "recipient_unknown" // user knows no such customer
	ReasonNoAddress        = "no_address"        // the customer has no number or e-mail address that may be used, or not any more
	ReasonRefused          = "refused"           // refused by the provider without a known code
	ReasonDeliveryFailed   = "delivery_failed"   // reported by the provider without a known reason
)

// smsReasons names the gateway's status codes of refused recipients (Africa's Talking, status table of the messaging API).
var smsReasons = map[int]string{
	401: "risk_hold", 402: "invalid_sender", 403: "invalid_phone", 404: "unsupported_number", 405: "insufficient_balance",
	406: "opted_out", 407: "could_not_route", 409: "do_not_disturb", 500: "provider_error", 501: "gateway_error", 502: "rejected",
}

// SMSReason returns the reason code for a status code of the SMS gateway.
func SMSReason(statusCode int) string {
	if reason, ok := smsReasons[statusCode]; ok {
		return reason
	}
	return ReasonRefused
}

// reportReasons names the failure reasons and final statuses of delivery reports. "NotNetworkSubcriber" is spelled as the gateway does.
var reportReasons = map[string]string{
	"InsufficientCredit": "insufficient_balance", "InvalidLinkId": "invalid_link", "UserIsInactive": "recipient_inactive",
	"UserInBlackList": "opted_out", "UserAccountSuspended": "recipient_suspended", "NotNetworkSubcriber": "not_a_subscriber",
	"UserNotSubscribedToProduct": "not_subscribed", "UserDoesNotExist": "invalid_phone", "DeliveryFailure": ReasonDeliveryFailed,
	"DoNotDisturbRejection": "do_not_disturb", "AbsentSubscriber": "recipient_unreachable", "Expired": ReasonExpired, "Rejected": "rejected",
}

// ReportReason returns the reason code of a failed delivery from the report's failure reason and, failing that, its status.
func ReportReason(failureReason, status string) string {
	for _, key := range []string{failureReason, status} {
		for name, reason := range reportReasons {
			if strings.EqualFold(name, strings.TrimSpace(key)) {
				return reason
			}
		}
	}
	return ReasonDeliveryFailed
}

// Report is what a delivery report says.
type Report struct {
	Final         bool
	Delivered     bool
	Status        string
	FailureReason string
}

// AfterReport returns the state that a report leads to and, when that is Failed, the reason. ok is false when the report changes
// nothing: it is intermediate, or it comes after a final state, which never moves back.
func AfterReport(s State, r Report) (next State, reason string, ok bool) {
	if !r.Final {
		return s, "", false
	}
	next = Delivered
	if !r.Delivered {
		next, reason = Failed, ReportReason(r.FailureReason, r.Status)
	}
	if !s.CanBecome(next) || s != Sent {
		return s, "", false
	}
	return next, reason, true
}
