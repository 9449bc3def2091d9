package domain

import (
	"strings"
	"time"
)

// The lock on PIN tries: the fifth try in a row that is not the right PIN locks, each further lock lasts twice as long.
// NIST SP 800-63B allows at most 100 failures in a row; with these figures 100 take more than two weeks.
const (
	MaxPinTries = 5
	PinLock     = 15 * time.Minute
	MaxPinLock  = 24 * time.Hour
)

// commonPins are the most used ones that no pattern below catches: years, dates and keyboard walks.
var commonPins = map[string]bool{
	"2580": true, "0852": true, "1379": true, "1397": true, "1470": true, "1590": true, "7410": true, "9510": true, "3690": true,
	"1010": true, "2020": true, "2468": true, "8642": true, "1357": true, "1004": true, "0007": true, "1313": true,
	"159753": true, "147258": true, "258369": true, "147852": true, "135790": true, "246810": true, "102030": true, "112233": true,
	"123321": true, "159357": true, "520131": true, "1342": true, "1123": true,
}

// CheckPin refuses PINs that an attacker tries first: not 4 to 6 digits, one digit repeated, a repeated block, a run up or
// down, a mirror of itself, a year, or on the list of the most common ones.
func CheckPin(pin string) error {
	if len(pin) < 4 || len(pin) > 6 || strings.Trim(pin, "0123456789") != "" {
		return ErrPinWeak.WithField("/pin", "pattern", "A PIN must have 4 to 6 digits.")
	}
	if commonPins[pin] || repeats(pin) || runs(pin) || mirrors(pin) || isYear(pin) {
		return ErrPinWeak.WithField("/pin", "weak", "This PIN is too easy to guess.")
	}
	return nil
}

// repeats: 1111, 1212, 123123, 777777.
func repeats(pin string) bool {
	for size := 1; size <= len(pin)/2; size++ {
		if len(pin)%size == 0 && strings.Repeat(pin[:size], len(pin)/size) == pin {
			return true
		}
	}
	return false
}

// runs: 1234, 8901, 4321; the difference between neighbours is the same (modulo ten) and not more than two.
func runs(pin string) bool {
	step := (int(pin[1]) - int(pin[0]) + 10) % 10
	for i := 1; i < len(pin); i++ {
		if (int(pin[i])-int(pin[i-1])+10)%10 != step {
			return false
		}
	}
	return step <= 2 || step >= 8
}

// mirrors: 1221, 12321.
func mirrors(pin string) bool {
	for i := range len(pin) / 2 {
		if pin[i] != pin[len(pin)-1-i] {
			return false
		}
	}
	return true
}

func isYear(pin string) bool {
	return len(pin) == 4 && (strings.HasPrefix(pin, "19") || strings.HasPrefix(pin, "20"))
}
