package app

import (
	"github.com/sendtip/sendtip/kit/keycheck"
	"github.com/sendtip/sendtip/kit/seal"
)

// Sealed are columns by which a database from before there were check values shows its key.
func Sealed(s *seal.Sealer) []keycheck.Sealed {
	return []keycheck.Sealed{
		keycheck.Column(s, "users", "phone_sealed", "user.phone:"),
		keycheck.Column(s, "otp_challenges", "code_sealed", "otp.code:"),
		keycheck.Column(s, "kyc_callbacks", "body_sealed", kycCallbacks.Sealed),
	}
}
