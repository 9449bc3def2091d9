package daraja

import (
	"encoding/json"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// entry is one parameter of a result; without a value it has only a key, as on the wire.
type entry struct {
	Key   string
	Value any `json:",omitempty"`
}

// number is an amount as a JSON number with decimals.
func number(minor int64) json.RawMessage { return json.RawMessage(money(minor)) }

// stamp is a time as a JSON number.
func stamp(at time.Time) json.RawMessage { return json.RawMessage(at.In(eat).Format(stampLayout)) }

// placeholderReceipt stands where there is no receipt: the letters of the day and zeros.
func placeholderReceipt(at time.Time) string {
	m := receiptMaker{}
	return m.make(at)[:3] + strings.Repeat("0", receiptTail)
}

// variety decides how one result is written. The same seed and conversation give the same result.
func (s *Server) variety(o order) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(o.kind + o.originator)) // never fails
	return rand.New(rand.NewPCG(s.opt.Seed, h.Sum64()))
}

// resultBody writes the result in one of the ways that were seen: codes as numbers or texts, lists or single objects, in any order, keys
// twice, values missing.
func (s *Server) resultBody(o order, altered bool) []byte {
	v := s.variety(o)
	coin := func() bool { return v.IntN(2) == 0 }
	inner := map[string]any{
		"ResultType": json.RawMessage("0"), "ResultCode": resultCode(o.code), "ResultDesc": orderText(o.code),
		"OriginatorConversationID": o.originator, "ConversationID": o.conversation, "TransactionID": o.receipt,
	}
	if coin() {
		inner["ResultType"], inner["ResultCode"] = "0", o.code
	}
	reference := entry{"QueueTimeoutURL", "https://internalsandbox.safaricom.co.ke/mpesa/" + o.kind + "results/v1/submit"}
	inner["ReferenceData"] = map[string]any{"ReferenceItem": reference}
	if coin() || o.kind == kindB2B {
		inner["ReferenceData"] = map[string]any{"ReferenceItem": []entry{{"BillReferenceNumber", o.reference}, reference, {Key: "Occasion"}}}
	}
	if o.code == "0" {
		inner["ResultParameters"] = map[string]any{"ResultParameter": written(o, v, altered)}
		return encode(map[string]any{"Result": inner})
	}
	inner["TransactionID"] = placeholderReceipt(o.closedAt)
	if coin() {
		inner["ResultParameters"] = map[string]any{"ResultParameter": entry{"BOCompletedTime", stamp(o.closedAt)}}
	}
	return encode(map[string]any{"Result": inner})
}

// written is the list of parameters: shuffled, one of them repeated, amounts as numbers or texts.
func written(o order, v *rand.Rand, altered bool) []entry {
	out := slices.Clone(o.parameters)
	texts, halves := v.IntN(2) == 0, v.IntN(2) == 0
	for i, e := range out {
		raw, isNumber := e.Value.(json.RawMessage)
		if !isNumber {
			continue
		}
		if altered && (e.Key == "Amount" || e.Key == "TransactionAmount") {
			raw = number(o.shownMinor(raw) * 10)
		}
		if halves {
			raw = json.RawMessage(strings.TrimSuffix(string(raw), ".00"))
		}
		out[i].Value = raw
		if texts {
			out[i].Value = string(raw)
		}
	}
	if o.kind == kindStatus && v.IntN(2) == 0 { // the official sample writes the receiver under the payer's key
		for i := range out {
			if out[i].Key == "CreditPartyName" {
				out[i].Key = "DebitPartyName"
			}
		}
		return out // whose order then matters
	}
	out = append(out, out[v.IntN(len(out))])
	v.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// shownMinor is a number of a result in minor units.
func (o order) shownMinor(raw json.RawMessage) int64 {
	minor, _ := strconv.ParseInt(strings.ReplaceAll(string(raw), ".", ""), 10, 64) // written by number, with two decimals
	return minor
}

// forgedResult tells the opposite of what happened, of a conversation that is not the order's.
func (s *Server) forgedResult(o order) []byte {
	forged := o
	forged.originator, forged.conversation = newRequestID(), "AG_"+o.closedAt.In(eat).Format("20060102")+"_"+randomHex(10)
	if o.code == "0" {
		forged.code = "1"
		return s.resultBody(forged, false)
	}
	s.mu.Lock()
	forged.receipt = s.receipts.make(o.closedAt)
	s.mu.Unlock()
	forged.code = "0"
	forged.parameters = []entry{{"TransactionAmount", number(o.amountMinor)}, {"Amount", number(o.amountMinor)},
		{"TransactionReceipt", forged.receipt}, {"TransactionStatus", "Completed"}, {"ReceiptNo", forged.receipt}}
	return s.resultBody(forged, false)
}

// timeoutBody says that the order waited too long in the queue: nothing is known, although the code is that of an empty account.
func timeoutBody(o *order) []byte {
	return encode(map[string]any{"Result": map[string]any{"ResultType": 1, "ResultCode": 1, "ResultDesc": "The service request timed out.",
		"OriginatorConversationID": o.originator, "ConversationID": o.conversation}})
}

// orderTexts are the usual texts of results where they differ from those of prompts.
var orderTexts = map[string]string{
	"1":        "The balance is insufficient for the transaction.",
	"21":       "The initiator is not allowed to initiate this request.",
	"25":       "The request parameters are invalid: the transaction does not exist.",
	"2040":     "The receiver is not registered or of an unsupported type.",
	"R000001":  "The transaction has already been reversed.",
	"R000002":  "The OriginalTransactionID is invalid.",
	codeLocked: "The security credential is locked.",
}

func orderText(code string) string {
	if text, ok := orderTexts[code]; ok {
		return text
	}
	return resultText(code)
}
