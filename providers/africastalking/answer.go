package africastalking

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	"github.com/sendtip/sendtip/providers/internal/wire"
)

// status is one row of the gateway's status table.
type status struct {
	text                string
	accepted, retryable bool
}

var statuses = map[int]status{
	100: {text: "Processed", accepted: true},
	101: {text: "Success", accepted: true}, // the table calls it Sent
	102: {text: "Queued", accepted: true},
	401: {text: "RiskHold"},
	402: {text: "InvalidSenderId"},
	403: {text: "InvalidPhoneNumber"},
	404: {text: "UnsupportedNumberType"},
	405: {text: "InsufficientBalance", retryable: true}, // after a top-up
	406: {text: "UserInBlacklist"},
	407: {text: "CouldNotRoute", retryable: true},
	409: {text: "DoNotDisturbRejection"},
	500: {text: "InternalServerError", retryable: true},
	501: {text: "GatewayError", retryable: true},
	502: {text: "RejectedByGateway"},
}

// sentCount begins the gateway's summary: how many of the recipients it took.
var sentCount = regexp.MustCompile(`(?i)^sent to (\d{1,6})/\d{1,6}\b`)

// sent reads the summary: whether it counts at all, and whether it counts nobody.
func sent(message string) (counted, nobody bool) {
	m := sentCount.FindStringSubmatch(message)
	return m != nil, m != nil && strings.Trim(m[1], "0") == ""
}

// readAnswer reads what the gateway said of the one recipient. A status code decides; where it is missing, the status' text does; where
// that says nothing either, the summary: "Sent to 0/1" without a message id means that nothing went out, for a reason that is not named.
func readAnswer(httpStatus int, body []byte) (SendResult, error) {
	unknown := func(why string) (SendResult, error) { return failed(&Error{HTTPStatus: httpStatus, Message: why}) }
	envelope, err := wire.ParseFields(body)
	if err != nil {
		return unknown("unreadable answer")
	}
	data, err := wire.ParseFields(envelope["smsmessagedata"])
	if err != nil {
		return unknown("unreadable answer")
	}
	message := data.Text("Message")
	counted, nobody := sent(message)
	var recipients []json.RawMessage
	if err := json.Unmarshal(data["recipients"], &recipients); err != nil || len(recipients) == 0 {
		if counted && !nobody {
			return unknown("an answer that counts a recipient and names none")
		}
		if !counted && message == "" {
			return unknown("unreadable answer")
		}
		return SendResult{Status: wire.Scrub(message), Retryable: nobody, Outcome: Refused}, nil // refused as a whole
	}
	in, err := wire.ParseFields(recipients[0])
	if err != nil {
		return unknown("unreadable recipient")
	}
	out := SendResult{MessageID: messageID(in), Status: wire.Scrub(in.Text("status")), Cost: in.Text("cost")}
	code := in.Text("statusCode")
	known, ok := out.judge(code)
	switch {
	case ok:
		out.Accepted, out.Retryable = known.accepted, known.retryable
	case nobody && out.MessageID == "":
		out.Retryable = true
	case code == "" && counted && !nobody && out.MessageID != "":
		out.Accepted = true
	default:
		return unknown("status that is not documented")
	}
	out.Outcome = Refused
	if out.Accepted {
		out.Outcome = Accepted
	}
	return out, nil
}

// judge finds the status by its code or, without one, by its text, and fills in the code.
func (r *SendResult) judge(code string) (status, bool) {
	if code != "" {
		n, err := strconv.Atoi(strings.TrimSuffix(code, ".0"))
		s, ok := statuses[n]
		if err != nil || !ok {
			return status{}, false
		}
		r.StatusCode = n
		return s, true
	}
	for n, s := range statuses {
		if strings.EqualFold(s.text, r.Status) {
			r.StatusCode = n
			return s, true
		}
	}
	return status{}, false
}

// messageID returns the key of the delivery reports, "" if there is none that could be one.
func messageID(in wire.Fields) string {
	id := in.Text("messageId")
	if strings.EqualFold(id, "None") || len(id) > maxID {
		return ""
	}
	return id
}
