package daraja

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

const paidB2C = `{"Result":{"ResultType":0,"ResultCode":0,"ResultDesc":"The service request is processed successfully.",
"OriginatorConversationID":"0197a1b2-0000-7000-8000-000000000001","ConversationID":"AG_20191219_00005797af5d7d75f652",
"TransactionID":"NLJ41HAY6Q","ResultParameters":{"ResultParameter":[
{"Key":"TransactionAmount","Value":150},{"Key":"TransactionReceipt","Value":"NLJ41HAY6Q"},
{"Key":"ReceiverPartyPublicName","Value":"254708374149 - JANE DOE"},
{"Key":"TransactionCompletedDateTime","Value":"19.12.2019 11:45:50"},
{"Key":"B2CUtilityAccountAvailableFunds","Value":10116.00},{"Key":"B2CWorkingAccountAvailableFunds","Value":900000.50},
{"Key":"B2CRecipientIsRegisteredCustomer","Value":"Y"},{"Key":"B2CChargesPaidAccountAvailableFunds","Value":-4510.00}]},
"ReferenceData":{"ReferenceItem":{"Key":"QueueTimeoutURL","Value":"https://internalsandbox.safaricom.co.ke/x"}}}}`

func amountOf(minor int64) *int64 { return &minor }

func paid() B2CResult {
	return B2CResult{Outcome: Paid, Receipt: "NLJ41HAY6Q", AmountMinor: 150_00, ReceiverPhone: "+254708374149", ReceiverName: "JANE DOE",
		CompletedAt: time.Date(2019, 12, 19, 8, 45, 50, 0, time.UTC), UtilityMinor: amountOf(10_116_00), WorkingMinor: amountOf(900_000_50),
		ChargesMinor: amountOf(-4_510_00)}
}

// TestParseResult is every documented way of writing the same result.
func TestParseResult(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		from, to string
		change   func(*B2CResult)
	}{
		"documented":  {},
		"text codes":  {`"ResultType":0,"ResultCode":0`, `"ResultType":"0","ResultCode":"0"`, nil},
		"text amount": {`"Value":150}`, `"Value":"150.00"}`, nil},
		"exponent":    {`"Value":150}`, `"Value":1.5E2}`, nil},
		"grouped":     {`"Value":150}`, `"Value":"1,150.00"}`, func(r *B2CResult) { r.AmountMinor = 1_150_00 }},
		"list of one": {`"ReferenceItem":{"Key":"QueueTimeoutURL","Value":"https://internalsandbox.safaricom.co.ke/x"}`,
			`"ReferenceItem":[{"Key":"QueueTimeoutURL"}]`, nil},
		"no reference":     {`"ReferenceData"`, `"Other"`, nil},
		"keys in any case": {`"Key":"TransactionAmount","Value"`, `"key":"transactionamount","value"`, nil},
		"same twice": {`{"Key":"TransactionAmount","Value":150}`, `{"Key":"TransactionAmount","Value":150},{"Key":"TransactionAmount",
			"Value":150}`, nil},
		"once without": {`{"Key":"TransactionAmount","Value":150}`, `{"Key":"TransactionAmount"},{"Key":"TransactionAmount","Value":150}`,
			nil},
		"not an entry":      {`{"Key":"TransactionAmount","Value":150}`, `7,null,[],{"Key":"TransactionAmount","Value":150}`, nil},
		"small receipt":     {`"Value":"NLJ41HAY6Q"`, `"Value":"nlj41hay6q"`, nil},
		"outer receipt":     {`{"Key":"TransactionReceipt","Value":"NLJ41HAY6Q"},`, ``, nil},
		"inner receipt":     {`"TransactionID":"NLJ41HAY6Q"`, `"TransactionID":"NLJ0000000"`, nil},
		"no outer id":       {`"TransactionID":"NLJ41HAY6Q",`, ``, nil},
		"masked receiver":   {"254708374149 - JANE DOE", "2547****149 - JANE DOE", func(r *B2CResult) { r.ReceiverPhone = "" }},
		"name only":         {"254708374149 - JANE DOE", "JANE DOE", func(r *B2CResult) { r.ReceiverPhone = "" }},
		"no receiver value": {`,"Value":"254708374149 - JANE DOE"`, ``, func(r *B2CResult) { r.ReceiverPhone, r.ReceiverName = "", "" }},
		"time as a number":  {`"19.12.2019 11:45:50"`, `20191219114550`, nil},
		"no time":           {`"19.12.2019 11:45:50"`, `"soon"`, func(r *B2CResult) { r.CompletedAt = time.Time{} }},
		"no balance":        {`10116.00`, `{}`, func(r *B2CResult) { r.UtilityMinor = nil }},
		"raw line break":    {"JANE DOE", "JANE\nDOE", func(r *B2CResult) { r.ReceiverName = "JANE DOE" }},
		"byte order mark":   {`{"Result":`, "\xef\xbb\xbf{\"Result\":", nil},
		"one id":            {`"ConversationID":"AG_20191219_00005797af5d7d75f652",`, ``, nil},
	} {
		want := paid()
		if c.change != nil {
			c.change(&want)
		}
		parsed, err := ParseResult([]byte(strings.Replace(paidB2C, c.from, c.to, 1)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := parsed.B2C()
		if err != nil || !reflect.DeepEqual(got, want) || parsed.OriginatorConversationID != paymentID || !parsed.Final {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, want)
		}
	}
}

// TestUnreadableResults are bodies from which nothing follows, whatever they claim.
func TestUnreadableResults(t *testing.T) {
	t.Parallel()
	for name, change := range map[string][2]string{
		"no result": {`"Result"`, `"Other"`}, "list": {`{"Result":{`, `{"Result":[{`}, "no code": {`"ResultCode":0,`, ``},
		"code is an object": {`"ResultCode":0`, `"ResultCode":{}`}, "cut": {`JANE DOE"},`, `JANE`},
		"no ids":  {`"OriginatorConversationID":"0197a1b2-0000-7000-8000-000000000001","ConversationID":"AG_20191219_00005797af5d7d75f652",`, ``},
		"long id": {paymentID, strings.Repeat("x", 65)}, "long code": {`"ResultCode":0`, `"ResultCode":"` + strings.Repeat("1", 65) + `"`},
	} {
		body := strings.Replace(strings.ReplaceAll(paidB2C, "\n", ""), change[0], change[1], 1)
		if got, err := ParseResult([]byte(body)); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for name, change := range map[string][2]string{
		"no amount": {`"Value":150}`, `"Value":""}`}, "zero": {`"Value":150}`, `"Value":0}`}, "negative": {`"Value":150}`, `"Value":-150}`},
		"third decimal": {`"Value":150}`, `"Value":150.001}`}, "object": {`"Value":150}`, `"Value":{"a":150}}`},
		"two amounts": {`{"Key":"TransactionAmount","Value":150}`, `{"Key":"TransactionAmount","Value":150},{"Key":"TransactionAmount",
			"Value":1500}`},
		"two receipts": {`"TransactionID":"NLJ41HAY6Q"`, `"TransactionID":"NLJ41HAY6R"`},
		"placeholders": {"NLJ41HAY6Q", "NLJ0000000"}, "no parameters": {`"ResultParameters"`, `"Other"`},
		"parameters are a text": {`"ResultParameters":{`, `"ResultParameters":"","Other":{`},
	} {
		body := strings.Replace(paidB2C, change[0], change[1], 1)
		if name == "placeholders" {
			body = strings.ReplaceAll(paidB2C, change[0], change[1])
		}
		parsed, err := ParseResult([]byte(body))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := parsed.B2C(); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func failedResult(kind, code, desc string) string {
	return fmt.Sprintf(`{"Result":{"ResultType":%s,"ResultCode":%s,"ResultDesc":%q,"OriginatorConversationID":"o","ConversationID":"c",
"TransactionID":"SKE0000000","ResultParameters":{"ResultParameter":{"Key":"BOCompletedTime","Value":20240514153000}}}}`, kind, code, desc)
}

func TestResultCodes(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]Reason{
		"1": ReasonNoFloat, "2": ReasonBelowMinimum, "3": ReasonAboveMaximum, "4": ReasonDailyLimit, "8": ReasonReceiverFull,
		"11": ReasonDebitPartyState, "21": ReasonRole, "2001": ReasonCredential, "2006": ReasonAccountInactive, "2028": ReasonProduct,
		"2040": ReasonReceiverNotAllowed, "8006": ReasonCredentialLocked, `"SFC_IC0003"`: ReasonReceiverUnknown, `"1"`: ReasonNoFloat,
	} {
		parsed, err := ParseResult([]byte(failedResult("0", code, "x")))
		if err != nil || parsed.TransactionID != "" {
			t.Fatalf("%s: %+v, %v", code, parsed, err)
		}
		if got, err := parsed.B2C(); err != nil || got.Outcome != Failed || got.Reason != want || got.Receipt != "" {
			t.Errorf("%s = %+v, %v", code, got, err)
		}
	}
	for name, body := range map[string]string{
		"15":            failedResult("0", "15", "duplicate"),
		"17":            failedResult("0", "17", "x"),
		"26":            failedResult("0", "26", "busy"),
		"not listed":    failedResult("0", "31337", "x"),
		"text":          failedResult("0", `"failed"`, "x"),
		"queue":         failedResult("1", "1", "The service request timed out."),
		"queue, text":   failedResult(`"1"`, `"1"`, "timeout"),
		"queue, type 0": failedResult("0", "1", "The service request TIMED OUT."),
		"no type":       failedResult("null", "1", "insufficient"),
		"more follows":  strings.Replace(paidB2C, `"ResultType":0`, `"ResultType":1`, 1),
	} {
		parsed, err := ParseResult([]byte(body))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		b2c, err := parsed.B2C()
		if err != nil || b2c.Outcome != Unknown || b2c.Reason != "" {
			t.Errorf("%s = %+v, %v", name, b2c, err)
		}
		b2b, err := parsed.B2B()
		if err != nil || b2b.Outcome != Unknown {
			t.Errorf("%s = %+v, %v", name, b2b, err)
		}
		back, err := parsed.Reversal()
		if err != nil || back.Outcome != Unknown {
			t.Errorf("%s = %+v, %v", name, back, err)
		}
	}
}

// statusAnswer is the official sample, in which DebitPartyName stands twice and the receiver's name nowhere.
const statusAnswer = `{"Result":{"ConversationID":"AG_20180223_0000493344ae97d86f75","OriginatorConversationID":"3213-416199-2",
"ReferenceData":{"ReferenceItem":{"Key":"Occasion"}},"ResultCode":0,"ResultDesc":"The service request is processed successfully.",
"ResultParameters":{"ResultParameter":[{"Key":"DebitPartyName","Value":"600310 - Safaricom333"},
{"Key":"DebitPartyName","Value":"254708374149 - John Doe"},{"Key":"OriginatorConversationID","Value":"3211-416020-3"},
{"Key":"InitiatedTime","Value":20180223054112},{"Key":"DebitAccountType","Value":"Utility Account"},
{"Key":"DebitPartyCharges","Value":"Fee For B2C Payment|KES|22.40"},{"Key":"TransactionReason"},
{"Key":"ReasonType","Value":"Business Payment to Customer via API"},{"Key":"TransactionStatus","Value":"Completed"},
{"Key":"FinalisedTime","Value":20180223054112},{"Key":"Amount","Value":300},
{"Key":"ConversationID","Value":"AG_20180223_000041b09c22e613d6c9"},{"Key":"ReceiptNo","Value":"MBN31H462N"}]},
"ResultType":0,"TransactionID":"MBN0000000"}}`

func TestStatusResult(t *testing.T) {
	t.Parallel()
	want := StatusResult{Outcome: Paid, Status: "Completed", OriginatorConversationID: "3211-416020-3",
		ConversationID: "AG_20180223_000041b09c22e613d6c9", Receipt: "MBN31H462N", AmountMinor: 300_00, DebitParty: "600310 - Safaricom333",
		CreditParty: "254708374149 - John Doe", ChargeMinor: amountOf(22_40), FinalisedAt: time.Date(2018, 2, 23, 2, 41, 12, 0, time.UTC)}
	parsed, err := ParseResult([]byte(statusAnswer))
	if err != nil || parsed.OriginatorConversationID != "3213-416199-2" || parsed.TransactionID != "" {
		t.Fatalf("%+v, %v", parsed, err)
	}
	if got, err := parsed.Status(); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("documented sample = %+v, %v", got, err)
	}
	for status, c := range map[string]struct {
		outcome Outcome
		reason  Reason
	}{
		"Cancelled": {Failed, ReasonCancelled}, "Declined": {Failed, ReasonDeclined}, "EXPIRED": {Failed, ReasonExpired},
		"Initiated": {Pending, ""}, "Authorized": {Pending, ""}, "Pending Authorized": {Pending, ""}, "Reversed": {Unknown, ""},
		"": {Unknown, ""},
	} {
		parsed, err := ParseResult([]byte(strings.Replace(statusAnswer, "Completed", status, 1)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := parsed.Status(); err != nil || got.Outcome != c.outcome || got.Reason != c.reason {
			t.Errorf("%q = %+v, %v", status, got, err)
		}
	}
	for name, change := range map[string][2]string{ // the query failed: it says nothing about the transaction
		"outer failure": {`"ResultCode":0`, `"ResultCode":25`}, "outer 1": {`"ResultCode":0`, `"ResultCode":1`},
		"time-out": {`"ResultType":0`, `"ResultType":1`},
	} {
		parsed, err := ParseResult([]byte(strings.Replace(statusAnswer, change[0], change[1], 1)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := parsed.Status(); err != nil || got.Outcome != Unknown || got.Reason != "" {
			t.Errorf("%s = %+v, %v", name, got, err)
		}
	}
	const two = `{"Key":"TransactionStatus","Value":"Completed"},{"Key":"TransactionStatus","Value":"Declined"}`
	for name, change := range map[string][2]string{
		"no amount": {`"Value":300`, `"Value":""`}, "no receipt": {"MBN31H462N", "MBN0000000"},
		"two states": {`{"Key":"TransactionStatus","Value":"Completed"}`, two},
		"two payments": {`{"Key":"ReceiptNo","Value":"MBN31H462N"}`,
			`{"Key":"ReceiptNo","Value":"MBN31H462N"},{"Key":"OriginatorConversationID","Value":"another"}`},
	} {
		parsed, err := ParseResult([]byte(strings.Replace(statusAnswer, change[0], change[1], 1)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := parsed.Status(); err == nil {
			t.Errorf("%s = %+v", name, got)
		}
	}
}

func TestBalanceResult(t *testing.T) {
	t.Parallel()
	const packed = "Working Account|KES|346568.83|6186.83|340382.00|0.00&Float Account|KES|0.00|0.00|0.00|0.00&" +
		"Utility Account|KES|228037.00|228037.00|0.00|0.00&Charges Paid Account|KES|-1540.00|-1540.00|0.00|0.00"
	body := func(balance string) []byte {
		return fmt.Appendf(nil, `{"Result":{"ResultType":"0","ResultCode":"0","ConversationID":"c","TransactionID":"0000000000",
"ResultParameters":{"ResultParameter":[{"Key":"AccountBalance","Value":%q},{"Key":"BOCompletedTime","Value":20180223054112}]}}}`, balance)
	}
	parsed, err := ParseResult(body(packed))
	if err != nil {
		t.Fatal(err)
	}
	got, err := parsed.Balance()
	if err != nil || !got.OK || len(got.Accounts) != 4 || !got.At.Equal(time.Date(2018, 2, 23, 2, 41, 12, 0, time.UTC)) {
		t.Fatalf("%+v, %v", got, err)
	}
	for name, want := range map[string]Account{
		"working account":      {"Working Account", "KES", 346_568_83, 6_186_83, 340_382_00, 0},
		"Utility Account":      {"Utility Account", "KES", 228_037_00, 228_037_00, 0, 0},
		"Charges Paid Account": {"Charges Paid Account", "KES", -1_540_00, -1_540_00, 0, 0},
	} {
		if a, ok := got.Account(name); !ok || a != want {
			t.Errorf("%s = %+v", name, a)
		}
	}
	if a, ok := got.Account("Other"); ok {
		t.Errorf("an account that is none: %+v", a)
	}
	for _, bad := range []string{"", "Working Account", packed + "&", "Working Account|KES|1|2|3", "Working Account|KES|1|2|3|x",
		"|KES|1|2|3|4"} {
		parsed, err := ParseResult(body(bad))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := parsed.Balance(); err == nil {
			t.Errorf("%q = %+v", bad, got)
		}
	}
	single, err := ParseResult([]byte(`{"Result":{"ResultType":0,"ResultCode":0,"ConversationID":"c","ResultParameters":{"ResultParameter":
{"Key":"AccountBalance","Value":"Utility Account|KES|1.50|1.50|0.00|0.00"}},
"ReferenceData":{"ReferenceItem":{"Key":"Occasion","Value":"x"}}}}`))
	if err != nil || single.Reference("occasion") != "x" {
		t.Fatalf("%+v, %v", single, err)
	}
	if got, err := single.Balance(); err != nil || len(got.Accounts) != 1 || got.Accounts[0].AvailableMinor != 1_50 {
		t.Errorf("a single object = %+v, %v", got, err)
	}
	failed, err := ParseResult([]byte(failedResult("0", "2001", "x")))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := failed.Balance(); err != nil || got.OK || got.Accounts != nil {
		t.Errorf("a query that failed = %+v, %v", got, err)
	}
}

func TestReversalResult(t *testing.T) {
	t.Parallel()
	const reversed = `{"Result":{"ResultType":0,"ResultCode":0,"OriginatorConversationID":"o","ConversationID":"c",
		"TransactionID":"MBN41H462R",
"ResultParameters":{"ResultParameter":[{"Key":"DebitAccountBalance","Value":"Utility Account|KES|7722179.62|7722179.62|0.00|0.00"},
{"Key":"Amount","Value":100},{"Key":"TransCompletedTime","Value":20180223054112},{"Key":"OriginalTransactionID","Value":"MBN31H462N"},
{"Key":"Charge","Value":0},{"Key":"CreditPartyPublicName","Value":"254708374149 - John Doe"}]}}}`
	parsed, err := ParseResult([]byte(reversed))
	if err != nil {
		t.Fatal(err)
	}
	want := ReversalResult{Outcome: Paid, Receipt: "MBN41H462R", OriginalReceipt: "MBN31H462N", AmountMinor: 100_00, ChargeMinor: amountOf(0),
		CompletedAt: time.Date(2018, 2, 23, 2, 41, 12, 0, time.UTC)}
	if got, err := parsed.Reversal(); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for code, want := range map[string]ReversalResult{
		`"R000001"`: {Outcome: Paid, AlreadyReversed: true}, `"R000002"`: {Outcome: Failed, Reason: ReasonOriginalUnknown},
		"1": {Outcome: Failed, Reason: ReasonNoFloat}, "11": {Outcome: Failed, Reason: ReasonDebitPartyState}, "9": {Outcome: Unknown},
	} {
		parsed, err := ParseResult([]byte(failedResult("0", code, "x")))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := parsed.Reversal(); err != nil || got != want {
			t.Errorf("%s = %+v, %v", code, got, err)
		}
	}
	for _, change := range [][2]string{{"MBN41H462R", "MBN0000000"}, {`"Amount","Value":100`, `"Amount"`}} {
		parsed, err := ParseResult([]byte(strings.Replace(reversed, change[0], change[1], 1)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := parsed.Reversal(); err == nil {
			t.Errorf("%v = %+v", change, got)
		}
	}
}

func TestB2BResult(t *testing.T) {
	t.Parallel()
	parsed, err := ParseResult([]byte(`{"Result":{"ResultType":"0","ResultCode":"0",
		"ResultDesc":"The service request is processed successfully",
"OriginatorConversationID":"o","ConversationID":"c","TransactionID":"QKA81LK5CY","ResultParameters":{"ResultParameter":[
{"Key":"DebitAccountBalance","Value":"{Amount={CurrencyCode=KES, MinimumAmount=618683, BasicAmount=6186.83}}"},{"Key":"Amount",
"Value":"190.00"},
{"Key":"TransCompletedTime","Value":"20221110110717"},{"Key":"DebitPartyCharges","Value":"Fee|KES|10.00&Other Fee|KES|2.50"},
{"Key":"ReceiverPartyPublicName","Value":"000000 - Biller Company"},{"Key":"Currency","Value":"KES"}]},
"ReferenceData":{"ReferenceItem":[{"Key":"BillReferenceNumber","Value":"19008"},{"Key":"QueueTimeoutURL"}]}}}`))
	if err != nil || parsed.Reference("BillReferenceNumber") != "19008" {
		t.Fatalf("%+v, %v", parsed, err)
	}
	want := B2BResult{Outcome: Paid, Receipt: "QKA81LK5CY", AmountMinor: 190_00, ReceiverName: "Biller Company",
		CompletedAt: time.Date(2022, 11, 10, 8, 7, 17, 0, time.UTC), ChargeMinor: amountOf(12_50)}
	if got, err := parsed.B2B(); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
}

func FuzzParseResult(f *testing.F) {
	for _, seed := range []string{paidB2C, statusAnswer, failedResult("1", "1", "timed out"), failedResult("0", `"R000001"`, "x")} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := ParseResult(body)
		if err != nil {
			return
		}
		if again, err := ParseResult(body); err != nil || !reflect.DeepEqual(r, again) {
			t.Fatalf("read as %+v and as %+v, %v", r, again, err)
		}
		b2c, err := r.B2C()
		if err == nil && b2c.Outcome == Paid && (!r.Final || b2c.AmountMinor <= 0 || receiptOf(b2c.Receipt) != b2c.Receipt) {
			t.Fatalf("paid: %+v", b2c)
		}
		if status, err := r.Status(); err == nil && status.Outcome == Paid && (status.AmountMinor <= 0 || status.Receipt == "") {
			t.Fatalf("completed: %+v", status)
		}
		back, err := r.Reversal()
		if err == nil && back.Outcome == Paid && !back.AlreadyReversed && (back.AmountMinor <= 0 || back.Receipt == "") {
			t.Fatalf("reversed: %+v", back)
		}
		if balance, err := r.Balance(); err == nil && balance.OK != (len(balance.Accounts) > 0) {
			t.Fatalf("balance: %+v", balance)
		}
		if b2b, err := r.B2B(); err == nil && b2b.Outcome == Paid && b2b.AmountMinor <= 0 {
			t.Fatalf("paid: %+v", b2b)
		}
	})
}
