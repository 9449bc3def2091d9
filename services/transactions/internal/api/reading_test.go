package api_test

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	transactionsapi "github.com/sendtip/sendtip/generated/transactions/api"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/web"
	"github.com/sendtip/sendtip/services/transactions/internal/api"
	"github.com/sendtip/sendtip/services/transactions/internal/app"
)

// owned opens an account that may be overdrawn, and returns its id and its owner's token.
func (w *world) owned(t testing.TB, currency string) (id, me string) {
	t.Helper()
	id, owner := newID(), newID()
	body := object{"owner_id": owner, "kind": "customer_wallet", "currency": currency, "minimum_minor": -1_000_000}
	if res := w.call(t, "PUT", "/v1/ledger/accounts/"+id, w.token("service:wallet", allScopes), body,
		nil); res.Code != http.StatusCreated {
		t.Fatalf("open: %d", res.Code)
	}
	return id, w.token("user:"+owner, "wallet:read")
}

func (w *world) posts(t testing.TB, body object) transactionsapi.Outcome {
	t.Helper()
	var out transactionsapi.PostTransactionsResult
	w.call(t, "POST", "/v1/ledger/transactions", w.token("service:wallet", allScopes), body, &out)
	if len(out.Outcomes) == 0 || out.Outcomes[0].Status != "posted" {
		t.Fatalf("%+v", out)
	}
	return out.Outcomes[0]
}

func TestReadings(t *testing.T) {
	t.Parallel()
	w := setup(t)
	service := w.token("service:wallet", allScopes)
	id, me := w.owned(t, "KES")
	body := post("one", "fees.revenue.KES", id, 500)
	body["transactions"].([]object)[0]["effective_at"] = "2026-01-31T10:00:00.5Z"
	body["transactions"].([]object)[0]["metadata"] = object{"receipt": "ABC"}
	body["transactions"].([]object)[0]["channel"] = "mpesa"
	one := w.posts(t, body)
	w.posts(t, post("two", id, "fees.revenue.KES", 700))

	at := func(t time.Time) string { return url.QueryEscape(t.Format(time.RFC3339Nano)) }
	var b transactionsapi.BalanceAt
	for query, want := range map[string]int64{
		"recorded_at=" + at(*one.RecordedAt): 500, "recorded_at=" + at(one.RecordedAt.Add(-time.Microsecond)): 0,
		"recorded_at=" + at(one.RecordedAt.In(time.FixedZone("EAT", 3*3600))): 500, // another offset is the same moment
		"recorded_at=0001-01-01T00:00:00Z":                                    0, "effective_at=0001-01-01T00:00:00Z": 0,
		"effective_at=2026-01-31T10:00:00.5Z": 500, "effective_at=2026-01-31T10:00:00Z": 0,
	} {
		for path, token := range map[string]string{"/v1/ledger/accounts/" + id + "/balance?": service, "/v1/accounts/" + id +
			"/balance-at?": me} {
			b = transactionsapi.BalanceAt{}
			w.call(t, "GET", path+query, token, nil, &b)
			if b.Balance.Amount != want || b.Balance.Currency != "KES" || b.Available != nil || b.AccountID.String() != id {
				t.Errorf("%s%s: %+v, want %d", path, query, b, want)
			}
		}
	}
	w.call(t, "GET", "/v1/ledger/accounts/"+id+"/balance", service, nil, &b)
	if b.Balance.Amount != -200 || b.Available == nil || b.Available.Amount != -200 || b.Sequence != 2 {
		t.Errorf("%+v", b)
	}

	for path, token := range map[string]string{"/v1/ledger/accounts/": service, "/v1/accounts/": me} {
		var page transactionsapi.Statement
		w.call(t, "GET", path+id+"/statement?channel=mpesa&from="+at(*one.RecordedAt), token, nil, &page)
		if len(page.Data) != 1 || page.Data[0].Reference != "one" || page.Data[0].EffectiveAt == nil ||
			!page.Data[0].EffectiveAt.Equal(time.Date(2026, 1, 31, 10, 0, 0, 5e8, time.UTC)) {
			t.Errorf("%s: %+v", path, page)
		}
		w.call(t, "GET", path+id+"/statement?type=transfer&to="+at(*one.RecordedAt), token, nil, &page)
		if len(page.Data) != 0 || page.NextCursor != nil && *page.NextCursor != "" {
			t.Errorf("%s: %+v", path, page)
		}
	}

	var list transactionsapi.LedgerTransactionList
	const listing = "/v1/ledger/transactions"
	for query, want := range map[string]string{"": "two one", "?limit=1": "two", "?channel=mpesa": "one", "?type=transfer&account_id=" +
		id: "two one", "?reference=one": "one",
		"?metadata_key=receipt&metadata_value=ABC": "one", "?metadata_key=receipt&metadata_value=AB": "", "?to=" + at(*one.RecordedAt): "",
		"?from=" + at(*one.RecordedAt) + "&channel=internal": "two"} {
		list = transactionsapi.LedgerTransactionList{}
		w.call(t, "GET", listing+query, service, nil, &list)
		var got []string
		for _, x := range list.Data {
			got = append(got, x.Reference)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", query, got, want)
		}
	}
	w.call(t, "GET", listing+"?limit=1", service, nil, &list)
	w.call(t, "GET", listing+"?limit=1&cursor="+*list.NextCursor, service, nil, &list)
	if len(list.Data) != 1 || list.Data[0].Reference != "one" || list.Data[0].Metadata["receipt"] != "ABC" ||
		len(list.Data[0].Postings) != 1 || list.Data[0].EffectiveAt == nil {
		t.Errorf("%+v", list)
	}
}

// TestReadingProblems: who may not, and parameters that make no sense, for every reading operation.
func TestReadingProblems(t *testing.T) {
	t.Parallel()
	w := setup(t)
	service := w.token("service:wallet", allScopes)
	id, me := w.owned(t, "KES")
	const moment = "recorded_at=2026-01-01T00:00:00Z"
	for path, mine := range map[string]bool{
		"/v1/ledger/transactions": false, "/v1/ledger/accounts/" + id + "/balance": false, "/v1/ledger/accounts/" + id + "/statement": false,
		"/v1/accounts/" + id + "/balance-at?" + moment: true, "/v1/accounts/" + id + "/statement": true, "/v1/accounts/" + id +
			"/statement.csv": true,
	} {
		w.problem(t, "GET", path, "", nil, 401, "unauthenticated")
		w.problem(t, "GET", path, w.token("user:"+newID(), "profile wallet:write"), nil, 403, "forbidden")
		w.problem(t, "GET", path, w.token("service:notification", "ledger:post"), nil, 403, "forbidden")
		if mine {
			w.problem(t, "GET", path, w.token("user:"+newID(), "wallet:read"), nil, 404, "not_found")
			w.problem(t, "GET", path, w.token("service:wallet", allScopes+" wallet:read"), nil, 403, "forbidden")
		} else {
			w.problem(t, "GET", path, w.token("user:"+newID(), "wallet:read wallet:write"), nil, 403, "forbidden")
		}
	}
	unknown := newID()
	for path, code := range map[string]string{
		"/v1/ledger/transactions?metadata_key=a":                                             "metadata_incomplete",
		"/v1/ledger/transactions?metadata_value=a":                                           "metadata_incomplete",
		"/v1/ledger/transactions?channel=pigeon":                                             "channel_invalid",
		"/v1/ledger/transactions?limit=0":                                                    "limit_invalid",
		"/v1/ledger/transactions?from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z":          "period_invalid",
		"/v1/ledger/accounts/" + id + "/statement?type=A":                                    "type_invalid",
		"/v1/ledger/accounts/" + id + "/statement?limit=0":                                   "limit_invalid",
		"/v1/ledger/accounts/" + id + "/balance?recorded_at=2999-01-01T00:00:00Z":            "as_of_in_future",
		"/v1/ledger/accounts/" + id + "/balance?effective_at=2026-01-01T00:00:00Z&" + moment: "as_of_ambiguous",
		"/v1/accounts/" + id + "/balance-at":                                                 "as_of_missing",
		"/v1/accounts/" + id + "/statement.csv?channel=pigeon":                               "channel_invalid",
		"/v1/accounts/" + id + "/statement?from=yesterday":                                   "",
		"/v1/ledger/transactions?account_id=x":                                               "",
	} {
		as := service
		if strings.HasPrefix(path, "/v1/accounts/") {
			as = me
		}
		p := w.problem(t, "GET", path, as, nil, 400, "invalid_request")
		if code != "" && (len(p.Errors) != 1 || p.Errors[0].Code != code) {
			t.Errorf("%s: %+v, want %s", path, p, code)
		}
	}
	for path, as := range map[string]string{"/v1/ledger/transactions?cursor=x": service,
		"/v1/ledger/accounts/" + id + "/statement?cursor=3": service,
		"/v1/accounts/" + id + "/statement?cursor=3":        me} {
		w.problem(t, "GET", path, as, nil, 422, "cursor_invalid")
	}
	for _, path := range []string{"/v1/ledger/transactions?account_id=" + unknown, "/v1/ledger/accounts/" + unknown + "/balance",
		"/v1/ledger/accounts/" + unknown + "/statement"} {
		w.problem(t, "GET", path, service, nil, 404, "not_found")
	}
}

// download returns the rows of a statement, its header row apart.
func (w *world) download(t testing.TB, path, token string) [][]string {
	t.Helper()
	res := w.call(t, "GET", path, token, nil, nil)
	text := res.Body.String()
	if res.Code != http.StatusOK || res.Header().Get("Content-Type") != "text/csv; charset=utf-8" ||
		res.Header().Get("Content-Disposition") != `attachment; filename="statement.csv"` {
		t.Fatalf("%d %v", res.Code, res.Header())
	}
	if lines := strings.Count(text, "\n"); lines == 0 || lines != strings.Count(text, "\r\n") {
		t.Errorf("lines do not end with CR LF: %q", text)
	}
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	const header = "sequence,recorded_at,effective_at,type,channel,direction,currency,amount_minor,amount," +
		"balance_after_minor,balance_after,reference,transaction_id"
	if strings.Join(rows[0], ",") != header {
		t.Errorf("header %v", rows[0])
	}
	return rows[1:]
}

func TestExportStatement(t *testing.T) {
	t.Parallel()
	w := setup(t)
	id, me := w.owned(t, "KES")
	path := "/v1/accounts/" + id + "/statement.csv"
	if rows := w.download(t, path, me); len(rows) != 0 {
		t.Errorf("an empty account has %v", rows)
	}
	body := post("one", "fees.revenue.KES", id, 123_456)
	body["transactions"].([]object)[0]["effective_at"] = "2026-01-31T10:00:00.5Z"
	one := w.posts(t, body)
	two := w.posts(t, post("two", id, "fees.revenue.KES", 123_461))
	stamp := func(o transactionsapi.Outcome) string { return o.RecordedAt.UTC().Format(time.RFC3339Nano) }
	rows := w.download(t, path, me)
	want := [][]string{
		{"1", stamp(one), "2026-01-31T10:00:00.5Z", "transfer", "internal", "credit", "KES", "123456", "1234.56", "123456", "1234.56", "one",
			one.TransactionID.String()},
		{"2", stamp(two), "", "transfer", "internal", "debit", "KES", "123461", "1234.61", "-5", "-0.05", "two", two.TransactionID.String()},
	}
	if fmt.Sprint(rows) != fmt.Sprint(want) {
		t.Errorf("got %v\nwant %v", rows, want)
	}
	if rows := w.download(t, path+"?channel=mpesa", me); len(rows) != 0 {
		t.Errorf("by channel: %v", rows)
	}
	if rows := w.download(t, path+"?to="+url.QueryEscape(stamp(two))+"&type=transfer", me); len(rows) != 1 || rows[0][0] != "1" {
		t.Errorf("by period: %v", rows)
	}
	for currency, cells := range map[string]string{"UGX": "1234 1234", "EUR": "1234 "} { // no decimals; not known
		id, me := w.owned(t, currency)
		source, _ := w.owned(t, currency)
		body := post(currency, source, id, 1234)
		body["transactions"].([]object)[0]["postings"].([]object)[0]["amount"] = object{"amount": 1234, "currency": currency}
		w.posts(t, body)
		if row := w.download(t, "/v1/accounts/"+id+"/statement.csv", me)[0]; row[7]+" "+row[8] != cells || row[9]+" "+row[10] != cells {
			t.Errorf("%s: %v", currency, row)
		}
	}
}

// TestExportHasNoFormulas: whatever character a reference begins with, no spreadsheet takes a cell of the file for a formula.
func TestExportHasNoFormulas(t *testing.T) {
	t.Parallel()
	w := setup(t)
	id, me := w.owned(t, "KES")
	service := w.token("service:wallet", allScopes)
	accepted := map[string]bool{}
	for c := rune(1); c < 0x180; c++ {
		reference := string(c) + "1"
		body := post(reference, "fees.revenue.KES", id, 1)
		var out transactionsapi.PostTransactionsResult
		if res := w.call(t, "POST", "/v1/ledger/transactions", service, body, &out); res.Code == http.StatusOK {
			accepted[reference] = true
		} else if res.Code != http.StatusUnprocessableEntity {
			t.Fatalf("%q: %d", reference, res.Code)
		}
	}
	rows := w.download(t, "/v1/accounts/"+id+"/statement.csv", me)
	if len(rows) != len(accepted) || !accepted["-1"] || accepted["=1"] {
		t.Fatalf("%d rows of %d", len(rows), len(accepted))
	}
	for _, row := range rows {
		for i, cell := range row {
			if _, err := strconv.ParseFloat(cell, 64); err == nil && i != 11 {
				continue // a number of ours
			}
			if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r") {
				t.Errorf("column %d: %q", i, cell)
			}
		}
		if !accepted[strings.TrimPrefix(row[11], "'")] {
			t.Errorf("reference %q", row[11])
		}
	}
}

// TestExportBreaksOff: a file that cannot be finished ends in a broken connection, and never with a problem inside.
func TestExportBreaksOff(t *testing.T) {
	t.Parallel()
	w := setup(t)
	id, me := w.owned(t, "KES")
	for list := range 11 {
		transactions := make([]object, 100)
		for i := range transactions {
			transactions[i] = post(fmt.Sprintf("%d:%d", list, i), "fees.revenue.KES", id, 1)["transactions"].([]object)[0]
		}
		w.posts(t, object{"transactions": transactions})
	}
	if rows := w.download(t, "/v1/accounts/"+id+"/statement.csv", me); len(rows) != 1_100 || rows[1_099][0] != "1100" {
		t.Fatalf("%d rows", len(rows))
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.breaking(t)+"/v1/accounts/"+id+"/statement.csv", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(auth.IdentityHeader, me)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if !errors.Is(err, io.ErrUnexpectedEOF) || res.StatusCode != http.StatusOK || strings.Contains(string(text), "problem") {
		t.Errorf("%d, %v, %d bytes", res.StatusCode, err, len(text))
	}
}

// breaking serves a ledger that loses its database once an answer has begun.
func (w *world) breaking(t testing.TB) string {
	t.Helper()
	pool, err := pg.Open(t.Context(), w.DB.AppURL, pg.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := chi.NewRouter()
	r.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(&losing{ResponseWriter: w, pool: pool}, r)
		})
	}, auth.NewVerifier(w.Name, w.Now, w.Common.IdentityKeys()...).Middleware(web.WriteProblem))
	api.Mount(r, w.LedgerOver(app.Pools{Shared: pool, Committers: pool}, w.Log, app.CheckpointSigner{}))
	srv := httptest.NewServer(r)
	t.Cleanup(srv.Close)
	return srv.URL
}

type losing struct {
	http.ResponseWriter
	pool *pgxpool.Pool
	once sync.Once
}

// Write closes the pool first.
func (l *losing) Write(b []byte) (int, error) {
	l.once.Do(l.pool.Close)
	return l.ResponseWriter.Write(b)
}
