package api_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/generated/common"
	transactionsapi "github.com/sendtip/sendtip/generated/transactions/api"
)

// one is a request of one transaction.
func one(fields object) object {
	t := object{"type": "test", "channel": "internal"}
	for k, v := range fields {
		t[k] = v
	}
	return object{"transactions": []object{t}}
}

func (w *world) post(t testing.TB, fields object) transactionsapi.Outcome {
	t.Helper()
	var out transactionsapi.PostTransactionsResult
	res := w.call(t, "POST", "/v1/ledger/transactions", w.token("service:wallet", allScopes), one(fields), &out)
	if res.Code != http.StatusOK || len(out.Outcomes) != 1 {
		t.Fatalf("%v: %d %+v", fields, res.Code, out)
	}
	return out.Outcomes[0]
}

func postings(source, destination string, amount int64) []object {
	return []object{{"source": source, "destination": destination, "amount": kes(amount)}}
}

// TestHeldAboveMaximum: what is held above the maximum is shown where the balance is, and a release says how much it freed.
func TestHeldAboveMaximum(t *testing.T) {
	t.Parallel()
	w := setup(t)
	service := w.token("service:wallet", allScopes)
	owner, wallet := newID(), newID()
	me := w.token("user:"+owner, "wallet:read")
	w.call(t, "PUT", "/v1/ledger/accounts/"+wallet, service,
		object{"owner_id": owner, "kind": "customer_wallet", "currency": "KES", "maximum_minor": 1000}, nil)
	shown := func() string {
		var account transactionsapi.LedgerAccount
		w.call(t, "GET", "/v1/ledger/accounts/"+wallet, service, nil, &account)
		var at transactionsapi.BalanceAt
		w.call(t, "GET", "/v1/ledger/accounts/"+wallet+"/balance", service, nil, &at)
		var balance transactionsapi.AccountBalance
		w.call(t, "GET", "/v1/accounts/"+wallet+"/balance", me, nil, &balance)
		s := ""
		for _, m := range []*common.Money{account.HeldAboveMaximum, at.HeldAboveMaximum, balance.HeldAboveMaximum} {
			if m == nil {
				s += "- "
			} else {
				s += fmt.Sprint(m.Amount, m.Currency, " ")
			}
		}
		return s
	}
	if got := shown(); got != "- - - " {
		t.Errorf("nothing is held: %s", got)
	}
	in := w.post(t, object{"reference": "in", "action": "post", "postings": postings("rail.mpesa.paybill.KES", wallet, 1200),
		"over_maximum": "hold"})
	if got := shown(); got != "200KES 200KES 200KES " {
		t.Errorf("200 are held: %s", got)
	}
	release := object{"reference": "up", "action": "release", "hold_id": in.HoldID, "up_to_maximum": true}
	if o := w.post(t, release); o.Status != "refused" || *o.Code != "no_room" {
		t.Errorf("%+v", o)
	}
	w.problem(t, "GET", "/v1/ledger/outcomes/up", service, nil, 404, "not_found")
	w.post(t, object{"reference": "out", "action": "post", "postings": postings(wallet, "fees.revenue.KES", 150)})
	o := w.post(t, release)
	var stored transactionsapi.Outcome
	w.call(t, "GET", "/v1/ledger/outcomes/up", service, nil, &stored)
	for _, o := range []transactionsapi.Outcome{o, stored} {
		if o.Status != "posted" || o.Released == nil || o.Released.Amount != 150 || o.Released.Currency != "KES" {
			t.Errorf("%+v", o)
		}
	}
	if got := shown(); got != "50KES 50KES 50KES " {
		t.Errorf("50 are held: %s", got)
	}
	var past transactionsapi.BalanceAt
	w.call(t, "GET", "/v1/accounts/"+wallet+"/balance-at?recorded_at="+time.Now().UTC().Format("2006-01-02T15:04:05.000000Z"), me, nil, &past)
	if past.HeldAboveMaximum != nil {
		t.Errorf("of an earlier moment nothing is known: %+v", past)
	}
	if o := w.post(t, object{"reference": "all", "action": "release", "hold_id": in.HoldID, "amount": kes(1)}); *o.Code != "over_maximum" ||
		o.Released != nil {
		t.Errorf("%+v", o)
	}
	list := one(release)
	list["atomic"] = true
	w.problem(t, "POST", "/v1/ledger/transactions", service, list, 422, "field_not_allowed")
}

// TestValuesThatMeanNone: a value that stands for none inside is a value when a caller sends it.
func TestValuesThatMeanNone(t *testing.T) {
	t.Parallel()
	w := setup(t)
	service := w.token("service:wallet", allScopes)
	owner, wallet := newID(), newID()
	w.call(t, "PUT", "/v1/ledger/accounts/"+wallet, service, object{"owner_id": owner, "kind": "customer_wallet", "currency": "KES"}, nil)
	w.post(t, object{"reference": "in", "action": "post", "postings": postings("rail.mpesa.paybill.KES", wallet, 1000)})
	for i, at := range []string{"1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "1969-12-31T19:00:00-05:00",
		"2000-01-01T00:00:00Z", "2025-01-01T00:00:00.000000001Z"} {
		hold := object{"reference": fmt.Sprint("hold:", i), "action": "hold", "postings": postings(wallet, "rail.mpesa.paybill.KES", 1),
			"expires_at": at}
		for range 2 {
			if o := w.post(t, hold); o.Status != "refused" || *o.Code != "expiry_passed" {
				t.Errorf("until %s: %+v", at, o)
			}
		}
	}
	const none = "00000000-0000-0000-0000-000000000000"
	move := func(more object) object {
		f := object{"reference": "none", "action": "post", "postings": postings("rail.mpesa.paybill.KES", wallet, 1)}
		for k, v := range more {
			f[k] = v
		}
		return one(f)
	}
	for _, c := range []struct {
		body   object
		status int
		code   string
	}{
		{move(object{"hold_id": none}), 400, "invalid_request"},
		{move(object{"transaction_id": none}), 400, "invalid_request"},
		{move(object{"effective_at": "0001-01-01T00:00:00Z"}), 422, "effective_at_invalid"},
		{move(object{"effective_at": "0000-01-01T00:00:00+14:00"}), 422, "effective_at_invalid"},
		{move(object{"action": "hold", "expires_at": "9999-12-31T23:59:59-14:00"}), 422, "expires_at_invalid"},
		{move(object{"amount": kes(0)}), 422, "field_not_allowed"},
		{move(object{"metadata": object{"a": "\x00"}}), 422, "metadata_invalid"},
		{one(object{"reference": "none", "action": "release", "hold_id": newID(), "amount": kes(0)}), 422, "amount_invalid"},
		{one(object{"reference": "none", "action": "release", "hold_id": newID(), "amount": object{"amount": 1, "currency": ""}}), 422,
			"currency_invalid"},
	} {
		w.problem(t, "POST", "/v1/ledger/transactions", service, c.body, c.status, c.code)
	}
	if o := w.post(t, object{"reference": "to_none", "action": "post",
		"postings": postings("rail.mpesa.paybill.KES", none, 1)}); *o.Code != "account_not_found" {
		t.Errorf("%+v", o)
	}
	w.problem(t, "PUT", "/v1/ledger/accounts/"+none, service, object{"owner_id": owner, "kind": "customer_wallet", "currency": "KES"}, 422,
		"account_rules_invalid")
	w.problem(t, "PUT", "/v1/ledger/accounts/"+newID(), service, object{"owner_id": uuid.Nil, "kind": "customer_wallet", "currency": "KES"},
		422, "account_rules_invalid")
	w.problem(t, "GET", "/v1/ledger/transactions?account_id="+none, service, nil, 404, "not_found")
	// The far past and future are times, and nothing of them fails.
	for _, at := range []string{"0000-01-01T00:00:00Z", "0001-01-01T00:00:00.000001Z", "1500-01-01T00:00:00Z"} {
		if o := w.post(t, object{"reference": "back:" + at[:4], "action": "post", "postings": postings("rail.mpesa.paybill.KES", wallet, 1),
			"effective_at": at}); o.Status != "posted" {
			t.Errorf("%s: %+v", at, o)
		}
	}
}

// TestHostileReading: whatever is asked for, the answer is no failure of ours.
func TestHostileReading(t *testing.T) {
	t.Parallel()
	w := setup(t)
	service := w.token("service:wallet", allScopes)
	owner, wallet := newID(), newID()
	me := w.token("user:"+owner, "wallet:read")
	w.call(t, "PUT", "/v1/ledger/accounts/"+wallet, service, object{"owner_id": owner, "kind": "customer_wallet", "currency": "KES"}, nil)
	w.post(t, object{"reference": "in", "action": "post", "postings": postings("rail.mpesa.paybill.KES", wallet, 10),
		"effective_at": "0000-01-01T00:00:00Z"})
	w.post(t, object{"reference": "held", "action": "hold", "postings": postings(wallet, "rail.mpesa.paybill.KES", 1),
		"expires_at": "9999-12-31T23:59:59.999999Z"})
	times := []string{"0000-01-01T00:00:00Z", "0000-01-01T00:00:00%2B14:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00",
		"1970-01-01T00:00:00Z"}
	texts := []string{"%00", "%ff", "a%00b", "%C3%28", "%E2%80%8B", "%27%22%5C"}
	var paths []string
	for _, at := range times {
		for _, p := range []string{"/statement?from=", "/statement?to=", "/balance?recorded_at=", "/balance?effective_at="} {
			paths = append(paths, "/v1/ledger/accounts/"+wallet+p+at)
		}
		for _, p := range []string{"/statement?from=", "/statement?to=", "/balance-at?recorded_at=", "/balance-at?effective_at="} {
			paths = append(paths, "me /v1/accounts/"+wallet+p+at)
		}
		paths = append(paths, "/v1/ledger/transactions?from="+at, "/v1/ledger/transactions?to="+at)
	}
	for _, s := range texts {
		for _, q := range []string{"reference=", "type=", "cursor=", "cursor=i", "cursor=s", "channel=", "metadata_value=x&metadata_key=",
			"metadata_key=x&metadata_value="} {
			paths = append(paths, "/v1/ledger/transactions?"+q+s)
		}
		paths = append(paths, "/v1/ledger/outcomes/"+s, "/v1/ledger/accounts/"+wallet+"/statement?cursor="+s, "/v1/ledger/accounts/"+wallet+
			"/statement?type="+s)
	}
	for _, path := range paths {
		as := service
		if len(path) > 3 && path[:3] == "me " {
			as, path = me, path[3:]
		}
		if res := w.call(t, "GET", path, as, nil, nil); res.Code >= 500 {
			t.Errorf("%s: %d", path, res.Code)
		}
	}
}
