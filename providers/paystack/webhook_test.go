package paystack

import (
	"strings"
	"testing"
	"time"
)

const (
	vectorBody = `{"event":"charge.success","data":{"id":1}}`
	vector     = "b47b5c05c086f8df70b05bcb21bfa656ba7761d9a9950f49cd744f27d3cb7b81d4" +
		"5f8a1f5c9c9d9dcdad354881dd3dbb762c9dbf9b3948d8a93686bf69bc6bec"
)

func TestSignatureVector(t *testing.T) {
	t.Parallel()
	if got := Sign(key, []byte(vectorBody)); got != vector {
		t.Fatalf("%s", got)
	}
	for name, keys := range map[string][]string{"one": {key}, "first": {key, "sk_test_new"}, "second": {"sk_test_new", key},
		"after none": {"", key}} {
		if !VerifySignature([]byte(vectorBody), vector, keys...) {
			t.Errorf("%s: refused", name)
		}
	}
	for name, c := range map[string]struct {
		body, header string
		keys         []string
	}{
		"no key": {vectorBody, vector, nil}, "other key": {vectorBody, vector, []string{"sk_test_new", "sk_test_old"}},
		"empty key": {vectorBody, Sign("", []byte(vectorBody)), []string{""}}, "no header": {vectorBody, "", []string{key}},
		"one blank more": {vectorBody + " ", vector, []string{key}},
		"reordered":      {`{"data":{"id":1},"event":"charge.success"}`, vector, []string{key}},
		"cut":            {vectorBody, vector[:127], []string{key}}, "two joined": {vectorBody, vector + "," + vector, []string{key}},
	} {
		if VerifySignature([]byte(c.body), c.header, c.keys...) {
			t.Errorf("%s: accepted", name)
		}
	}
}

const chargeEvent = `{"event":"charge.success","data":{"id":18446744073709551615,"domain":"live","status":"success",
	"reference":"st_01hqs7x9",
 "amount":25000,"message":"Paid","gateway_response":"Approved","paid_at":"2026-03-02T08:15:21.000Z",
 "created_at":"2026-03-02T08:15:02.000Z","channel":"mobile_money","currency":"KES","metadata":"","log":null,"fees":375,
 "receipt_number":"UAB12CD3EF","authorization":{"bin":"055XXX"},"customer":{"id":880031},"plan":{}}}`

func TestParseCharge(t *testing.T) {
	t.Parallel()
	check := func(name, body string) {
		t.Helper()
		e, err := ParseWebhook([]byte(body))
		if err != nil || e.Transaction == nil {
			t.Errorf("%s: %+v, %v", name, e, err)
			return
		}
		got := *e.Transaction
		if got.ID != "18446744073709551615" || got.AmountMinor != 25000 || got.Outcome != Paid || got.Receipt != "UAB12CD3EF" ||
			e.Key != "charge.success/18446744073709551615" || !got.Matches(Live, "st_01hqs7x9", 25000, KES) {
			t.Errorf("%s: %+v", name, got)
		}
		if !got.PaidAt.Equal(time.Date(2026, 3, 2, 8, 15, 21, 0, time.UTC)) || *got.FeesMinor != 375 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	check("as documented", chargeEvent)
	for name, change := range map[string][2]string{"amount as text": {`25000`, `"25000"`},
		"id as text":     {`18446744073709551615`, `"18446744073709551615"`},
		"other spelling": {`"paid_at"`, `"paidAt"`}, "metadata is a number": {`"metadata":""`, `"metadata":0`},
		"metadata is an object": {`"metadata":""`, `"metadata":{"a":[1]}`}, "no customer": {`{"id":880031}`, `null`}} {
		check(name, strings.Replace(chargeEvent, change[0], change[1], 1))
	}
	for name, change := range map[string][2]string{"no amount": {`"amount":25000`, `"amount":null`}, "fraction": {`25000`, `25000.5`},
		"major units": {`25000`, `"250.00"`}, "negative": {`25000`, `-25000`}, "exponent": {`25000`, `2.5e40`}, "object": {`25000`, `{}`},
		"no currency": {`"KES"`, `""`}, "no reference": {`"st_01hqs7x9"`, `""`}, "no id": {`18446744073709551615`, `null`},
		"id out of range": {`18446744073709551615`, `18446744073709551616`}, "no status": {`"success"`, `null`},
		"leading zero": {`25000`, `"025000"`}} {
		if got, err := ParseWebhook([]byte(strings.Replace(chargeEvent, change[0], change[1], 1))); err == nil {
			t.Errorf("%s: %+v", name, got.Transaction)
		}
	}
	other, err := ParseWebhook([]byte(`{"event":"invoice.create","data":{"id":1}}`))
	if err != nil || other.Name != "invoice.create" || other.Key != "" || other.Transaction != nil {
		t.Errorf("%+v, %v", other, err)
	}
	for _, body := range []string{``, `[]`, `{}`, `{"event":"charge.success"}`, `{"event":"charge.success","data":[]}`, `{"data":{}}`} {
		if got, err := ParseWebhook([]byte(body)); err == nil {
			t.Errorf("%s: %+v", body, got)
		}
	}
}

func TestParseTransfers(t *testing.T) {
	t.Parallel()
	const success = `{"event":"transfer.success","data":{"amount":30000,"createdAt":"2026-03-02T08:15:02.000Z","currency":"KES",
		"domain":"test",
		"failures":null,"id":37272792,"integration":{"id":1,"is_live":true},"reason":"x","reference":"1jhbs3ozmen0k7y5","source":"balance",
		"status":"success","transfer_code":"TRF_1","transferred_at":"2026-03-02T08:16:02.000Z","updatedAt":"2026-03-02T08:15:02.000Z",
		"recipient":{"recipient_code":"RCP_1","details":{"account_number":"0123456789"}},"session":{"provider":null,"id":null},"fee_charged":2000,
		"gateway_response":null}}`
	for name, outcome := range map[string]Outcome{"success": Paid, "failed": Failed, "reversed": Reversed, "new": Unknown} {
		body := strings.NewReplacer("transfer.success", "transfer."+name, `"status":"success"`, `"status":"`+name+`"`).Replace(success)
		if name != "success" {
			body = strings.NewReplacer("createdAt", "created_at", "updatedAt", "updated_at", `"fee_charged":2000,`, "").Replace(body)
		}
		e, err := ParseWebhook([]byte(body))
		if err != nil || e.Transfer == nil || e.Transfer.Outcome != outcome || e.Transfer.CreatedAt.IsZero() || e.Transfer.Recipient != "RCP_1" ||
			e.Key != "transfer."+name+"/TRF_1" || !e.Transfer.Matches(Test, "1jhbs3ozmen0k7y5", 30000, KES) ||
			(e.Transfer.FeeMinor == nil) == (name == "success") {
			t.Errorf("%s: %+v, %v", name, e.Transfer, err)
		}
	}
}

func TestParseRefundsAndDisputes(t *testing.T) {
	t.Parallel()
	const pending = `{"event":"refund.pending","data":{"status":"pending","transaction_reference":"abc","refund_reference":null,
		"amount":"10000",
		"currency":"KES","processor":"mpesa","customer":{"email":"x"},"integration":1,"domain":"test"}}`
	e, err := ParseWebhook([]byte(pending))
	if err != nil || *e.Refund != (RefundEvent{TransactionReference: "abc", Status: "pending", AmountMinor: 10000, Currency: KES,
		Domain: Test}) ||
		e.Key != "refund.pending/abc//10000" {
		t.Errorf("%+v, %v", e, err)
	}
	needs := strings.NewReplacer("refund.pending", "refund.needs-attention", `"status":"pending"`, `"status":"needs-attention","id":77`,
		`"10000"`, `10000`, `"processor":"mpesa",`, "").Replace(pending)
	if e, err = ParseWebhook([]byte(needs)); err != nil || e.Refund.ID != "77" || e.Refund.AmountMinor != 10000 ||
		e.Refund.Status != RefundNeedsAttention {
		t.Errorf("%+v, %v", e, err)
	}
	const dispute = `{"event":"charge.dispute.create","data":{"id":358950,"refund_amount":5800,"currency":"KES",
		"status":"awaiting-merchant-feedback",
		"resolution":null,"domain":"test","transaction":{"id":5991760,"reference":"abc","amount":9000,"currency":"KES"},
		"transaction_reference":null,
		"dueAt":"2026-03-02T08:15:02.000Z","resolvedAt":null}}`
	if e, err = ParseWebhook([]byte(dispute)); err != nil || e.Dispute.TransactionReference != "abc" || e.Dispute.AmountMinor != 5800 ||
		e.Dispute.DueAt.IsZero() || e.Key != "charge.dispute.create/358950/awaiting-merchant-feedback" {
		t.Errorf("%+v, %v", e, err)
	}
	whole := strings.NewReplacer(`5800`, `null`, `"status"`, `"x"`, "charge.dispute.create", "charge.dispute.resolve", `"resolution":null`,
		`"status":"resolved","resolution":"merchant-accepted"`).Replace(dispute)
	if e, err = ParseWebhook([]byte(whole)); err != nil || e.Dispute.AmountMinor != 9000 || e.Dispute.Resolution != "merchant-accepted" {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]Outcome{"success": Paid, "failed": Failed, "reversed": Reversed, "abandoned": Pending,
		"ongoing": Pending,
		"pending": Pending, "processing": Pending, "queued": Pending, "": Unknown, "SUCCESS": Unknown, "new": Unknown} {
		if got := ClassifyTransaction(status); got != want {
			t.Errorf("%q: %s", status, got)
		}
	}
	for status, want := range map[string]Outcome{"success": Paid, "failed": Failed, "abandoned": Failed, "blocked": Failed, "rejected": Failed,
		"reversed": Reversed, "pending": Pending, "otp": Pending, "received": Pending, "": Unknown, "new": Unknown} {
		if got := ClassifyTransfer(status); got != want {
			t.Errorf("%q: %s", status, got)
		}
	}
	for status, want := range map[string]Outcome{"pay_offline": Pending, "send_otp": Pending, "open_url": Pending, "timeout": Unknown,
		"success": Paid,
		"failed":  Failed} {
		if got := chargeOutcome(status); got != want {
			t.Errorf("%q: %s", status, got)
		}
	}
}

func FuzzParseWebhook(f *testing.F) {
	f.Add([]byte(chargeEvent))
	f.Add([]byte(`{"event":"refund.failed","data":{"amount":"1","currency":"KES","transaction_reference":"x","status":"failed"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := ParseWebhook(body)
		if err == nil && e.Transaction != nil &&
			(e.Transaction.AmountMinor < 0 || e.Transaction.Reference == "" || e.Transaction.Currency == "") {
			t.Fatalf("accepted %+v", e.Transaction)
		}
	})
}
