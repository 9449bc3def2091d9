package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	transactionsapi "github.com/sendtip/sendtip/generated/transactions/api"
	"github.com/sendtip/sendtip/kit/pg"

	"github.com/sendtip/sendtip/services/transactions/internal/app"
	"github.com/sendtip/sendtip/services/transactions/internal/testworld"
)

const allScopes = "ledger:post ledger:read ledger:accounts"

func kes(amount int64) object { return object{"amount": amount, "currency": "KES"} }

func post(reference, source, destination string, amount int64) object {
	return object{"transactions": []object{{"reference": reference, "action": "post", "type": "transfer", "channel": "internal",
		"postings": []object{{"source": source, "destination": destination, "amount": kes(amount)}}}}}
}

func TestJourney(t *testing.T) {
	t.Parallel()
	w := setup(t)
	service := w.token("service:wallet", allScopes)
	owner, wallet, stranger := newID(), newID(), newID()
	path := "/v1/ledger/accounts/" + wallet
	body := object{"owner_id": owner, "kind": "customer_wallet", "currency": "KES", "minimum_minor": 0, "maximum_minor": 1000}
	if res := w.call(t, "PUT", path, service, body, nil); res.Code != http.StatusCreated {
		t.Fatalf("open: %d", res.Code)
	}
	if res := w.call(t, "PUT", path, service, body, nil); res.Code != http.StatusOK {
		t.Fatalf("again: %d", res.Code)
	}
	body["currency"] = "UGX"
	w.problem(t, "PUT", path, service, body, 409, "account_differs")

	payIn := post("c2b:ABC", "rail.mpesa.paybill.KES", wallet, 1200)
	payIn["transactions"].([]object)[0]["over_maximum"] = "hold"
	payIn["transactions"].([]object)[0]["metadata"] = object{"receipt": "ABC"}
	var out transactionsapi.PostTransactionsResult
	w.call(t, "POST", "/v1/ledger/transactions", service, payIn, &out)
	if len(out.Outcomes) != 1 || out.Outcomes[0].Status != "posted" || out.Outcomes[0].HoldID == nil {
		t.Fatalf("%+v", out)
	}
	release := object{"transactions": []object{{"reference": "r", "action": "release", "type": "x", "channel": "internal",
		"hold_id": out.Outcomes[0].HoldID, "amount": kes(1)}}}
	var refused transactionsapi.PostTransactionsResult
	w.call(t, "POST", "/v1/ledger/transactions", service, release, &refused)
	if o := refused.Outcomes[0]; o.Status != "refused" || *o.Code != "over_maximum" {
		t.Errorf("%+v", o)
	}
	var stored transactionsapi.Outcome
	w.call(t, "GET", "/v1/ledger/outcomes/c2b:ABC", service, nil, &stored)
	if stored.TransactionID == nil || *stored.TransactionID != *out.Outcomes[0].TransactionID {
		t.Errorf("%+v", stored)
	}
	var tx transactionsapi.LedgerTransaction
	w.call(t, "GET", "/v1/ledger/transactions/"+stored.TransactionID.String(), service, nil, &tx)
	if len(tx.Postings) != 1 || tx.Postings[0].DestinationBalance.Amount != 1200 || tx.Metadata["receipt"] != "ABC" {
		t.Errorf("%+v", tx)
	}
	var account transactionsapi.LedgerAccount
	w.call(t, "GET", path, service, nil, &account)
	if account.Balance.Amount != 1200 || account.Held.Amount != 200 || account.OwnerID.String() != owner {
		t.Errorf("%+v", account)
	}
	var system transactionsapi.SystemAccountList
	w.call(t, "GET", "/v1/ledger/system-accounts", service, nil, &system)
	if len(system.Data) != 23 || system.Totals[0].DebitsMinor != system.Totals[0].CreditsMinor {
		t.Errorf("%+v", system.Totals)
	}

	me := w.token("user:"+owner, "wallet:read")
	var balance transactionsapi.AccountBalance
	w.call(t, "GET", "/v1/accounts/"+wallet+"/balance", me, nil, &balance)
	if balance.Available.Amount != 1000 {
		t.Errorf("%+v", balance)
	}
	w.call(t, "POST", "/v1/ledger/transactions", service, post("t:1", wallet, "fees.revenue.KES", 10), nil)
	var page transactionsapi.Statement
	w.call(t, "GET", "/v1/accounts/"+wallet+"/statement?limit=1", me, nil, &page)
	if len(page.Data) != 1 || page.Data[0].Direction != "debit" || page.NextCursor == nil {
		t.Fatalf("%+v", page)
	}
	w.call(t, "GET", "/v1/accounts/"+wallet+"/statement?limit=1&cursor="+*page.NextCursor, me, nil, &page)
	if len(page.Data) != 1 || page.Data[0].Direction != "credit" || page.Data[0].BalanceAfter.Amount != 1200 {
		t.Errorf("%+v", page)
	}
	other := w.token("user:"+stranger, "wallet:read")
	w.problem(t, "GET", "/v1/accounts/"+wallet+"/balance", other, nil, 404, "not_found")
	w.problem(t, "GET", "/v1/accounts/"+wallet+"/statement", other, nil, 404, "not_found")
}

// TestBooks: the book of an account is what the caller says, or its kind's, and stays; money does not move between two.
func TestBooks(t *testing.T) {
	t.Parallel()
	w := setup(t)
	service := w.token("service:loans", allScopes)
	put := func(kind, book string) string {
		t.Helper()
		id := newID()
		body := object{"owner_id": newID(), "kind": kind, "currency": "KES"}
		if book != "" {
			body["book"] = book
		}
		if res := w.call(t, "PUT", "/v1/ledger/accounts/"+id, service, body, nil); res.Code != http.StatusCreated {
			t.Fatalf("open %s: %d", kind, res.Code)
		}
		body["book"] = "savings"
		w.problem(t, "PUT", "/v1/ledger/accounts/"+id, service, body, 409, "account_differs")
		return id
	}
	wallet, loan, funds := put("customer_wallet", ""), put("loan_receivable", ""), put("savings_pot", "lending")
	for id, want := range map[string]transactionsapi.Book{wallet: "emoney", loan: "lending", funds: "lending"} {
		var a transactionsapi.LedgerAccount
		w.call(t, "GET", "/v1/ledger/accounts/"+id, service, nil, &a)
		if a.Book != want {
			t.Errorf("%s is in the book %s", a.Kind, a.Book)
		}
	}
	for _, destination := range []string{wallet, funds} {
		var out transactionsapi.PostTransactionsResult
		w.call(t, "POST", "/v1/ledger/transactions", service, post("lend:"+destination, loan, destination, 50), &out)
		o := out.Outcomes[0]
		if posted := destination == funds; posted != (o.Status == "posted") || !posted && *o.Code != "books_differ" {
			t.Errorf("to %s: %+v", destination, o)
		}
	}
	var system transactionsapi.SystemAccountList
	w.call(t, "GET", "/v1/ledger/system-accounts", service, nil, &system)
	lent := slices.IndexFunc(system.Totals, func(c transactionsapi.CurrencyTotal) bool { return c.Currency == "KES" && c.Book == "lending" })
	if system.Data[0].Book != "emoney" || lent < 0 || system.Totals[lent].DebitsMinor != 50 || system.Totals[lent].CreditsMinor != 50 {
		t.Errorf("%+v", system)
	}
}

// TestAuthorization: without a token 401, and without the scope 403, for every operation.
func TestAuthorization(t *testing.T) {
	t.Parallel()
	w := setup(t)
	id := newID()
	account := object{"owner_id": id, "kind": "customer_wallet", "currency": "KES"}
	for _, op := range []struct {
		method, path string
		body         any
	}{
		{"POST", "/v1/ledger/transactions", post("a", "suspense.KES", "fees.revenue.KES", 1)},
		{"GET", "/v1/ledger/transactions/" + id, nil}, {"GET", "/v1/ledger/outcomes/a", nil}, {"GET", "/v1/ledger/accounts/" + id, nil},
		{"PUT", "/v1/ledger/accounts/" + id, account}, {"GET", "/v1/ledger/system-accounts", nil},
		{"GET", "/v1/accounts/" + id + "/balance", nil}, {"GET", "/v1/accounts/" + id + "/statement", nil},
	} {
		w.problem(t, op.method, op.path, "", op.body, 401, "unauthenticated")
		w.problem(t, op.method, op.path, "not.a.token", op.body, 401, "unauthenticated")
		w.problem(t, op.method, op.path, w.token("user:"+id, "profile wallet:write"), op.body, 403, "forbidden")
		w.problem(t, op.method, op.path, w.token("service:notification", "users:contacts"), op.body, 403, "forbidden")
	}
	// A user's scope is none of a service's, and the reverse.
	w.problem(t, "GET", "/v1/accounts/"+id+"/balance", w.token("service:wallet", allScopes+" wallet:read"), nil, 403, "forbidden")
	w.problem(t, "GET", "/v1/ledger/accounts/"+id, w.token("user:"+id, "wallet:read wallet:write"), nil, 403, "forbidden")
}

// TestFailureDoors: undecodable bodies, unbindable parameters, refused requests, unknown paths and a lost database are all problems.
func TestFailureDoors(t *testing.T) {
	t.Parallel()
	w := setup(t)
	service := w.token("service:wallet", allScopes)
	const posting = "/v1/ledger/transactions"
	for _, body := range []string{"", "{", `{"transactions": 1}`, `{"transactions": [{"hold_id": "secret-value"}]}`, `{"transactions": []}`} {
		if p := w.problem(t, "POST", posting, service, body, 400, "invalid_request"); strings.Contains(p.Detail, "secret") {
			t.Error("the problem echoes what was sent")
		}
	}
	w.problem(t, "POST", posting, service, `{"transactions": "`+strings.Repeat("x", 300<<10)+`"}`, 413, "payload_too_large")
	odd := post("a", "suspense.KES", "fees.revenue.KES", 1)
	odd["transactions"].([]object)[0]["over_maximum"] = "refuse"
	w.problem(t, "POST", posting, service, odd, 400, "invalid_request")
	w.problem(t, "GET", "/v1/ledger/accounts/not-a-uuid", service, nil, 400, "invalid_request")
	w.problem(t, "GET", "/v1/accounts/"+newID()+"/statement?limit=x", w.token("user:"+newID(), "wallet:read"), nil, 400, "invalid_request")
	owner, wallet := newID(), newID()
	w.call(t, "PUT", "/v1/ledger/accounts/"+wallet, service, object{"owner_id": owner, "kind": "customer_wallet", "currency": "KES"}, nil)
	w.problem(t, "GET", "/v1/accounts/"+wallet+"/statement?limit=0", w.token("user:"+owner, "wallet:read"), nil, 400, "invalid_request")
	nothing, odder := request(t, "GET", "/v1/nothing", service, nil), request(t, "DELETE", posting, service, nil)
	nothing.Stray, odder.Stray = true, true
	w.refused(t, nothing, 404, "not_found")
	w.refused(t, odder, 405, "method_not_allowed")
	w.problem(t, "GET", "/v1/ledger/outcomes/nothing", service, nil, 404, "not_found")
	w.problem(t, "GET", posting+"/"+newID(), service, nil, 404, "not_found")
	p := w.problem(t, "POST", posting, service, post("a", "suspense.KES", "suspense.KES", 1), 422, "same_account")
	if len(p.Errors) != 1 || p.Errors[0].Pointer != "/transactions/0/postings/0/destination" {
		t.Errorf("%+v", p)
	}
	w.problem(t, "POST", posting, service, post("a", "suspense.KES", "fees.revenue.KES", 0), 422, "amount_invalid")
	w.problem(t, "POST", posting, service,
		`{"transactions":[{"reference":"a","action":"post","type":"x","channel":"internal","postings":[{"source":"suspense.KES",
			"destination":"fees.revenue.KES","amount":{"amount":1e400,"currency":"KES"}}]}]}`, 400, "invalid_request")
}

// TestLostDatabase: without its database the ledger answers 503 with Retry-After, never a refusal.
func TestLostDatabase(t *testing.T) {
	t.Parallel()
	pool, err := pg.Open(t.Context(), "postgres://app:x@127.0.0.1:1/none", pg.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	base := testworld.Open(t)
	w := serve(t, base, base.LedgerOver(app.Pools{Shared: pool, Committers: pool}, base.Log, app.CheckpointSigner{}))
	service := w.token("service:wallet", allScopes)
	for path, body := range map[string]any{"/v1/ledger/transactions": post("a", "suspense.KES", "fees.revenue.KES", 1),
		"/v1/ledger/outcomes/a": nil} {
		method := "GET"
		if body != nil {
			method = "POST"
		}
		w.problem(t, method, path, service, body, 503, "unavailable")
		if res := w.call(t, method, path, service, body, nil); res.Header().Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", path)
		}
	}
}
