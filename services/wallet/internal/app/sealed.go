package app

import (
	"github.com/sendtip/sendtip/kit/keycheck"
	"github.com/sendtip/sendtip/kit/seal"
)

// Sealed are columns by which a database from before there were check values shows its key.
func Sealed(s *seal.Sealer) []keycheck.Sealed {
	return []keycheck.Sealed{
		keycheck.Column(s, "callbacks", "body_sealed", stkCallbacks.Sealed),
		keycheck.Column(s, "rail_messages", "body_sealed", railResults.Sealed),
		keycheck.Column(s, "transfer_quotes", "recipient_name_sealed", sealRecipientName+":"),
	}
}
