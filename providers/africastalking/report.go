package africastalking

import (
	"bytes"
	"errors"
	"net/url"
	"strconv"
	"strings"

	"github.com/sendtip/sendtip/providers/internal/wire"
)

// Longest values that are taken as an id and as a status.
const (
	maxID     = 128
	maxStatus = 64
)

// DeliveryReport is one report about a message. Reports may be late, doubled or out of order: never move a final
// status back; (ID, Status) identifies a report. Reports are not signed.
type DeliveryReport struct {
	ID            string
	Status        string // in the gateway's own writing, if it is one of its statuses
	Final         bool
	Delivered     bool
	Phone         string // E.164
	NetworkCode   string
	FailureReason string // for Failed and Rejected only
	RetryCount    int    // 0 when absent or unreadable
}

// success is the status of a message that the phone has.
const success = "Success"

// reportStatuses maps a status to whether it is final. Statuses that are not listed are taken as not final.
var reportStatuses = map[string]bool{
	"Sent": false, "Submitted": false, "Buffered": false,
	success: true, "Failed": true, "Rejected": true, "AbsentSubscriber": true, "Expired": true,
}

// ParseDeliveryReport reads the body of a delivery report: a form, as the gateway documents it, or a JSON object, as gateways in between
// send it. Names and statuses are compared without case. Only a missing id or status makes it unreadable; other fields may be anything.
func ParseDeliveryReport(body []byte) (DeliveryReport, error) {
	text := formText(body)
	if bytes.HasPrefix(wire.Lenient(body), []byte("{")) {
		fields, err := wire.ParseFields(body)
		if err != nil {
			return DeliveryReport{}, errors.New("delivery report: unreadable")
		}
		text = fields.Text
	}
	out := DeliveryReport{ID: text("id"), Status: knownStatus(text("status")), Phone: text("phoneNumber"),
		NetworkCode: text("networkCode"), FailureReason: text("failureReason")}
	if out.ID == "" || out.Status == "" || len(out.ID) > maxID || len(out.Status) > maxStatus {
		return DeliveryReport{}, errors.New("delivery report: no id or status")
	}
	if count, err := strconv.Atoi(strings.TrimSuffix(text("retryCount"), ".0")); err == nil {
		out.RetryCount = count
	}
	if _, err := strconv.ParseUint(out.Phone, 10, 64); err == nil { // a "+" that was not escaped arrives as a blank
		out.Phone = "+" + out.Phone
	}
	out.Final, out.Delivered = reportStatuses[out.Status], out.Status == success
	return out, nil
}

// formText reads fields of a form. A pair that cannot be read is skipped, the others count.
func formText(body []byte) func(name string) string {
	form, _ := url.ParseQuery(strings.TrimSpace(strings.TrimPrefix(string(body), "\ufeff")))
	values := make(map[string]string, len(form))
	for name, all := range form {
		values[strings.ToLower(strings.TrimSpace(name))] = wire.Clean(all[0])
	}
	return func(name string) string { return values[strings.ToLower(name)] }
}

func knownStatus(s string) string {
	for known := range reportStatuses {
		if strings.EqualFold(known, s) {
			return known
		}
	}
	return s
}
