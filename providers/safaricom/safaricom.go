// Package safaricom has the facts about M-Pesa in Kenya that not only its client needs. Other countries' M-Pesa is another rail.
package safaricom

import "regexp"

// Where M-Pesa's paybill is, and what it takes.
const (
	Country  = "KE"
	Currency = "KES"
)

// MobilePrefix begins most of Safaricom's numbers in E.164; eight digits follow.
const MobilePrefix = "+2547"

var prompted = regexp.MustCompile(`^\+254[17]\d{8}$`)

// CanPrompt says whether Safaricom sends prompts to a number in E.164.
func CanPrompt(e164 string) bool { return prompted.MatchString(e164) }
