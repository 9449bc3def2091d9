package daraja

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/sendtip/sendtip/providers/internal/wire"
)

// Result is what Daraja posts when an order of the initiator's ended, or waited too long in the queue. Nothing in it is authenticated: it
// counts only at the address that its order named, with that order's ids. What it says is read by the reader of the order's kind.
type Result struct {
	Code                     string // number or string on the wire
	Desc                     string // not a contract
	OriginatorConversationID string // of the order: ours for B2C; for a query these are the question's ids, not the transaction's
	ConversationID           string
	TransactionID            string // the order's own receipt in its normal form; "" when absent or a placeholder
	Final                    bool   // false for time-outs and for what is not the last message: no outcome follows from it

	parameters pairs
	references pairs
}

// ParseResult reads a body that was posted to an order's result or time-out address. Parameters may be a list, a single object or absent,
// keys may repeat and values may be missing. A body without a result code, or without any id of its order, is an error.
func ParseResult(body []byte) (Result, error) {
	envelope, err := wire.ParseFields(body)
	if err != nil {
		return Result{}, errors.New("result: unreadable")
	}
	in, err := wire.ParseFields(envelope["result"])
	if err != nil {
		return Result{}, errors.New("result: unreadable")
	}
	out := Result{Code: in.Text("ResultCode"), Desc: in.Text("ResultDesc"), OriginatorConversationID: in.Text("OriginatorConversationID"),
		ConversationID: in.Text("ConversationID"), TransactionID: receiptOf(in.Text("TransactionID")),
		parameters: pairsOf(in["resultparameters"], "resultparameter"), references: pairsOf(in["referencedata"], "referenceitem")}
	if out.Code == "" || len(out.Code) > maxID {
		return Result{}, errors.New("result: no result code")
	}
	if out.OriginatorConversationID == "" && out.ConversationID == "" {
		return Result{}, errors.New("result: no conversation")
	}
	if len(out.OriginatorConversationID) > maxID || len(out.ConversationID) > maxID {
		return Result{}, errors.New("result: ids are too long")
	}
	// 0 is the last message, 1 says that more follow. The time-out of the queue has code 1, which is also that of an empty float.
	out.Final = in.Text("ResultType") == "0" && !strings.Contains(strings.ToLower(out.Desc), "timed out")
	return out, nil
}

// done reports that the order itself succeeded.
func (r Result) done() bool { return r.Final && r.Code == CodeSuccess }

// Reference returns an entry of ReferenceData, such as BillReferenceNumber.
func (r Result) Reference(key string) string { return r.references.first(key) }

// placeholder is what stands where a receipt would be if there was one: SKE0000000, 0000000000.
var placeholder = regexp.MustCompile(`0{7}$`)

// receiptOf returns a receipt in its normal form, "" for what is none.
func receiptOf(s string) string {
	s = NormalizeReceipt(s)
	if !receiptText.MatchString(s) || placeholder.MatchString(s) {
		return ""
	}
	return s
}

// pair is one entry of a result.
type pair struct{ key, value string }

type pairs []pair

// pairsOf reads {name: [{Key, Value}…]} or {name: {Key, Value}}. What is no entry is left out: a side value must not lose a payment.
func pairsOf(raw json.RawMessage, name string) pairs {
	holder, err := wire.ParseFields(raw)
	if err != nil {
		return nil // absent, null or a text
	}
	var list []json.RawMessage
	if json.Unmarshal(holder[name], &list) != nil {
		list = []json.RawMessage{holder[name]}
	}
	var out pairs
	for _, item := range list {
		entry, err := wire.ParseFields(item)
		if err != nil {
			continue
		}
		if key := entry.Text("Key"); key != "" {
			out = append(out, pair{key: strings.ToLower(key), value: entry.Text("Value")})
		}
	}
	return out
}

// all are the values of a key that has some.
func (p pairs) all(key string) []string {
	var out []string
	for _, entry := range p {
		if entry.key == strings.ToLower(key) && entry.value != "" {
			out = append(out, entry.value)
		}
	}
	return out
}

func (p pairs) first(key string) string {
	if values := p.all(key); len(values) > 0 {
		return values[0]
	}
	return ""
}

// only is the value of a key that decides about money: two values that differ are none.
func (p pairs) only(key string) (string, error) {
	values := p.all(key)
	for _, v := range values {
		if v != values[0] {
			return "", errors.New("result: two values of " + key)
		}
	}
	return p.first(key), nil
}

// amount is the amount under a key, which must be there and above zero.
func (p pairs) amount(key string) (int64, error) {
	text, err := p.only(key)
	if err != nil {
		return 0, err
	}
	minor, err := wire.Minor(text)
	if err != nil || minor == 0 {
		return 0, errors.New("result: no amount")
	}
	return minor, nil
}

// balance is an amount that may be negative; nil when absent or unreadable.
func (p pairs) balance(key string) *int64 {
	minor, err := signedMinor(p.first(key))
	if err != nil {
		return nil
	}
	return &minor
}

func signedMinor(s string) (int64, error) {
	unsigned, negative := strings.CutPrefix(s, "-")
	minor, err := wire.Minor(unsigned)
	if negative {
		minor = -minor
	}
	return minor, err
}

// localLayout is how completed payments write the time, in EAT.
const localLayout = "02.01.2006 15:04:05"

// at is the time under the first key that has one; zero when there is none that can be read: a bad time must not lose a payment.
func (p pairs) at(keys ...string) time.Time {
	for _, key := range keys {
		for _, layout := range []string{localLayout, stampLayout} {
			if t, err := time.ParseInLocation(layout, p.first(key), nairobi); err == nil {
				return t.UTC()
			}
		}
	}
	return time.Time{}
}

// charge is the sum of what a party was charged: "Fee For B2C Payment|KES|22.40", several joined by "&". nil when absent or unreadable.
func (p pairs) charge(key string) *int64 {
	text := p.first(key)
	if text == "" {
		return nil
	}
	sum := int64(0)
	for part := range strings.SplitSeq(text, "&") {
		minor, err := wire.Minor(part[strings.LastIndex(part, "|")+1:])
		if err != nil || minor > 1<<53-1-sum {
			return nil
		}
		sum += minor
	}
	return &sum
}

// party splits "254705912645 - NAME" into the number in E.164 ("" if it is masked or a short code) and the name.
func party(text string) (phone, name string) {
	number, name, found := strings.Cut(text, " - ")
	if !found {
		return "", text
	}
	if number = strings.TrimSpace(number); msisdn.MatchString(number) {
		phone = "+" + number
	}
	return phone, strings.TrimSpace(name)
}
