package domain

import "time"

// When to ask Safaricom's books about a claim: at once, after 1 and 10 minutes, then hourly for as long as they reach back. After that it
// is a case for a person.
const (
	ClaimSecond = time.Minute
	ClaimThird  = 9 * time.Minute // after the second
	ClaimLater  = time.Hour
	ClaimEnd    = 48 * time.Hour
	// ClaimsPerMinute bounds the questions of all replicas.
	ClaimsPerMinute = 30
	// ClaimWindow is how far around the time that a claim names the books are read.
	ClaimWindow = 10 * time.Minute
)

// ClaimTime is when a claimed payment was made: as the message says, unless it cannot be.
func ClaimTime(said, received time.Time) time.Time {
	if said.After(received.Add(ClaimWindow)) || said.Before(received.Add(-ClaimEnd)) {
		return received
	}
	return said
}
