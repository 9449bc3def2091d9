package app

import (
	"github.com/sendtip/sendtip/kit/keycheck"
	"github.com/sendtip/sendtip/kit/seal"
)

// Sealed are columns by which a database from before there were check values shows its key.
func Sealed(s *seal.Sealer) []keycheck.Sealed {
	return []keycheck.Sealed{
		keycheck.Column(s, "notifications", "message", "notification.message:"),
		keycheck.Column(s, "delivery_reports", "body", "notification.report:"),
	}
}
