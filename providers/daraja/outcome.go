package daraja

// Outcome is what a result says about the money of one STK push, payout or reversal.
type Outcome string

// The four outcomes. Unknown is neither paid nor failed: resolve it by query or reconciliation.
const (
	Paid    Outcome = "paid"
	Failed  Outcome = "failed"
	Pending Outcome = "pending"
	Unknown Outcome = "unknown"
)

// CodeSuccess and CodeProcessing are the two result codes that are not failures.
const (
	CodeSuccess    = "0"
	CodeProcessing = "4999" // queries only
)

// failedSTK lists the documented codes, with what they mean, that end a CheckoutRequestID without a payment. A late success after one of
// them (seen after 1037) must still be accepted. Codes of older, unrelated tables are left out on purpose.
var failedSTK = map[string]string{
	"1":          "insufficient balance",
	"2":          "below the minimum amount",
	"3":          "above the maximum amount",
	"4":          "daily transfer limit",
	"8":          "maximum balance of the receiver",
	"11":         "debit party in an invalid state",
	"17":         "repeated push in quick succession",
	"26":         "system busy",
	"1001":       "subscriber locked by another session",
	"1019":       "transaction expired",
	"1025":       "prompt could not be sent",
	"1031":       "PIN not entered in time",
	"1032":       "cancelled by the customer",
	"1036":       "SMSC acknowledgement timed out",
	"1037":       "customer unreachable or no answer",
	"2001":       "wrong PIN",
	"2006":       "account inactive",
	"2028":       "not permitted by product assignment",
	"8006":       "security credential locked",
	"9999":       "prompt could not be sent",
	"SFC_IC0003": "receiver does not exist",
}

// ClassifySTK maps a result code of a callback or query. Codes that are not documented are Unknown.
func ClassifySTK(code string) Outcome {
	switch code {
	case CodeSuccess:
		return Paid
	case CodeProcessing, codeOverloaded:
		return Pending
	}
	if _, ok := failedSTK[code]; ok {
		return Failed
	}
	return Unknown
}
