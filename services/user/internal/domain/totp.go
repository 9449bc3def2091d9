package domain

import (
	"crypto/subtle"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
)

// The authenticator's codes: RFC 6238 with SHA-1, which all apps know.
const (
	TotpPeriod      = 30 * time.Second
	TotpSecretBytes = 20 // RFC 4226 section 4, R6
	// totpSkew is how many periods a phone's clock may be off (RFC 6238 section 5.2).
	totpSkew = 1
)

// TotpStep finds the time step whose code this is. secret is base32 without padding.
func TotpStep(secret, code string, now time.Time) (step int64, ok bool) {
	current := now.Unix() / int64(TotpPeriod.Seconds())
	for s := current - totpSkew; s <= current+totpSkew; s++ {
		want, err := hotp.GenerateCodeCustom(secret, uint64(s),
			hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			step, ok = s, true
		}
	}
	return step, ok
}
