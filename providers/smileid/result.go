package smileid

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/sendtip/sendtip/providers/internal/wire"
)

// Category groups result codes by what they say about the identity.
type Category string

// Review is the category of everything that is not documented: never treat an unknown code as approved.
const (
	Approved    Category = "approved"
	Rejected    Category = "rejected"
	Invalid     Category = "invalid"     // our input, or an unusable image
	Unavailable Category = "unavailable" // the authority is down: try again later with a new job
	Misconfig   Category = "misconfigured"
	Provisional Category = "provisional" // a second, final callback follows
	Review      Category = "review"
)

var categories = map[string]Category{
	"0001": Invalid,
	"1012": Approved,
	"1013": Rejected,
	"1014": Invalid,
	"1015": Unavailable,
	"1016": Misconfig,
	"1020": Approved,
	"1021": Approved,
	"1022": Rejected,
	"1023": Rejected,
	"1210": Approved,
	"0810": Approved,
	"0811": Rejected,
	"0814": Provisional,
	"0903": Invalid,
	"0907": Rejected,
}

// Classify maps a result code; unknown codes are Review.
func Classify(code string) Category {
	if category, ok := categories[code]; ok {
		return category
	}
	return Review
}

// Result is a look-up's result, as in callbacks, synchronous answers and job status. Placeholders of the wire
// ("Not Available", "NaN-NaN-NaN") are empty here. Approved says only that the number exists: compare the names.
type Result struct {
	SmileJobID     string
	UserID         string
	JobID          string
	Params         map[string]string // all of PartnerParams that are plain values
	ResultType     string
	ResultText     string
	ResultCode     string
	Category       Category
	Final          bool
	Actions        map[string]string
	Country        string
	IDType         string
	IDNumber       string
	FullName       string
	DOB            string // YYYY-MM-DD
	Gender         string
	Address        string
	PhoneNumber    string
	IssuanceDate   string
	ExpirationDate string
	Photo          string // base64
	Timestamp      string
	Signature      string
}

// SentAt is the signed time of the message in UTC; false if it is unreadable. Refuse old ones: a signature can be replayed.
func (r Result) SentAt() (time.Time, bool) {
	t, err := time.Parse(time.RFC3339Nano, r.Timestamp)
	return t.UTC(), err == nil
}

type rawResult struct {
	SmileJobID, ResultType, ResultText, ResultCode, IsFinalResult, Country, IDType, IDNumber, FullName, DOB, Gender,
	Address, PhoneNumber, IssuanceDate, ExpirationDate, Photo, Timestamp, Signature wire.Text
	PartnerParams map[string]json.RawMessage
	Actions       map[string]json.RawMessage
}

// ParseCallback reads a result. It does not verify it: pass Timestamp and Signature to Client.VerifySignature.
// A body without job id or result code is an error.
func ParseCallback(body []byte) (Result, error) {
	var in rawResult
	if err := json.Unmarshal(body, &in); err != nil {
		return Result{}, errors.New("smileid result: unreadable")
	}
	params := plainValues(in.PartnerParams)
	if params["job_id"] == "" || in.ResultCode == "" {
		return Result{}, errors.New("smileid result: no job id or result code")
	}
	return Result{
		SmileJobID: value(in.SmileJobID), UserID: params["user_id"], JobID: params["job_id"], Params: params,
		ResultType: value(in.ResultType), ResultText: value(in.ResultText), ResultCode: string(in.ResultCode),
		Category: Classify(string(in.ResultCode)), Final: strings.EqualFold(string(in.IsFinalResult), "true"),
		Actions: plainValues(in.Actions), Country: value(in.Country), IDType: value(in.IDType), IDNumber: value(in.IDNumber),
		FullName: value(in.FullName), DOB: value(in.DOB), Gender: value(in.Gender), Address: value(in.Address),
		PhoneNumber: value(in.PhoneNumber), IssuanceDate: value(in.IssuanceDate), ExpirationDate: value(in.ExpirationDate),
		Photo: value(in.Photo), Timestamp: string(in.Timestamp), Signature: string(in.Signature),
	}, nil
}

// value empties the wire's words for "nothing".
func value(t wire.Text) string {
	switch s := strings.TrimSpace(string(t)); s {
	case "Not Available", "NaN-NaN-NaN", "null", "undefined":
		return ""
	default:
		return s
	}
}

func plainValues(raw map[string]json.RawMessage) map[string]string {
	out := make(map[string]string, len(raw))
	for key, v := range raw {
		var t wire.Text
		if json.Unmarshal(v, &t) == nil { // nested values are nobody's business here
			out[key] = string(t)
		}
	}
	return out
}
