package domain

import "time"

// How long a message is worth sending after its cause: a one-time code for as long as codes live at most, a receipt for a day.
const (
	otpLife     = 10 * time.Minute
	receiptLife = 24 * time.Hour
)

// ReportGrace is how long a delivery report waits for its message: reports can overtake the answer to the send.
const ReportGrace = time.Hour

// Deadline returns the time from which a message is no longer sent.
func Deadline(t Template, occurredAt time.Time) time.Time {
	if t == OTP {
		return occurredAt.Add(otpLife)
	}
	return occurredAt.Add(receiptLife)
}

// SendBackoff returns how long to wait after the attempts-th definite refusal for a passing reason. Somebody waits for a code in front
// of a phone, so codes are tried again within seconds; receipts up to half an hour apart.
func SendBackoff(t Template, attempts int) time.Duration {
	if t == OTP {
		return doubled(2*time.Second, attempts, 15*time.Second)
	}
	return doubled(15*time.Second, attempts, 30*time.Minute)
}

// PeerBackoff returns how long to wait after the attempts-th failure to reach our own parts.
func PeerBackoff(t Template, attempts int) time.Duration {
	if t == OTP {
		return doubled(time.Second, attempts, 10*time.Second)
	}
	return doubled(2*time.Second, attempts, 5*time.Minute)
}

// ReportBackoff returns how long a report waits for its message before the next look.
func ReportBackoff(age time.Duration) time.Duration {
	return min(max(age, 2*time.Second), 5*time.Minute)
}

func doubled(first time.Duration, attempts int, most time.Duration) time.Duration {
	wait := first
	for i := 1; i < attempts && wait < most; i++ {
		wait *= 2
	}
	return min(wait, most)
}
