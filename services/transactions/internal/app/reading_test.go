package app_test

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/sendtip/sendtip/generated/scopes"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/services/transactions/internal/app"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

// modelEntry is an entry as the model of an account keeps it: change is on the normal side.
type modelEntry struct {
	sequence, change, balance int64
	transaction               uuid.UUID
	recorded, effective       time.Time
	channel, kind             string
}

type modelAccount struct {
	domain.Account
	entries []modelEntry
}

func (m *modelAccount) add(change int64, id uuid.UUID, r domain.Request, recorded time.Time) {
	if m.NormalSide == domain.Debit {
		change = -change
	}
	e := modelEntry{sequence: int64(len(m.entries)) + 1, change: change, balance: change, transaction: id, recorded: recorded,
		effective: recorded,
		channel:   r.Channel, kind: r.Type}
	if r.EffectiveAt != nil {
		e.effective = *r.EffectiveAt
	}
	if n := len(m.entries); n > 0 {
		e.balance += m.entries[n-1].balance
	}
	m.entries = append(m.entries, e)
}

func (m *modelAccount) balance(counts func(modelEntry) bool) (sum int64) {
	for _, e := range m.entries {
		if counts(e) {
			sum += e.change
		}
	}
	return sum
}

// newestFirst returns the entries that pass the filter.
func (m *modelAccount) newestFirst(f domain.Filter) (out []modelEntry) {
	for _, e := range slices.Backward(m.entries) {
		if !e.recorded.Before(f.From) && (f.To.IsZero() || e.recorded.Before(f.To)) && (f.Channel == "" || e.channel == f.Channel) &&
			(f.Type == "" || e.kind == f.Type) {
			out = append(out, e)
		}
	}
	return out
}

// history posts random transactions among three accounts, at times that jump.
type history struct {
	*world
	run      string
	accounts []*modelAccount // a loan, on whose cost money appears, and two wallets
	times    []time.Time
	ids      []uuid.UUID // in the order of posting
}

var someChannels, someTypes = []string{"mpesa", "bank", "internal"}, []string{"transfer", "fee"}

func newHistory(t testing.TB, w *world, rt *rapid.T) *history {
	h := &history{world: w, run: newID().String()}
	for _, kind := range []domain.Kind{domain.KindLoanReceivable, domain.KindCustomerWallet, domain.KindCustomerWallet} {
		a, _, err := w.PutAccount(w.Ctx, domain.Account{ID: newID(), OwnerID: newID(), Kind: kind, Currency: "KES", Book: domain.BookEmoney})
		if err != nil {
			t.Fatal(err)
		}
		h.accounts = append(h.accounts, &modelAccount{Account: a})
	}
	for range rapid.IntRange(1, 6).Draw(rt, "calls") {
		w.Advance(rapid.SampledFrom([]time.Duration{0, time.Millisecond, time.Hour, 24 * time.Hour, 40 * 24 * time.Hour}).Draw(rt, "pause"))
		h.post(t, rt)
	}
	return h
}

func (h *history) now() time.Time { return h.Clock.Now() }

func (h *history) post(t testing.TB, rt *rapid.T) {
	requests := make([]domain.Request, rapid.IntRange(1, 6).Draw(rt, "requests"))
	for i := range requests {
		var postings []domain.Posting
		for range rapid.IntRange(1, 3).Draw(rt, "postings") {
			from := rapid.IntRange(0, 2).Draw(rt, "from")
			to := (from + rapid.IntRange(1, 2).Draw(rt, "to")) % 3
			postings = append(postings, kes(h.accounts[from].ID, h.accounts[to].ID, rapid.Int64Range(1, 100).Draw(rt, "amount")))
		}
		requests[i] = h.request(domain.ActionPost, postings...)
		requests[i].Channel, requests[i].Type = rapid.SampledFrom(someChannels).Draw(rt, "channel"), rapid.SampledFrom(someTypes).Draw(rt, "type")
		requests[i].Metadata = map[string]string{"run": h.run}
		if rapid.Bool().Draw(rt, "backdated") {
			requests[i].EffectiveAt = new(h.now().Add(-time.Duration(rapid.Int64Range(0, int64(60*24*time.Hour)).Draw(rt,
				"back"))).Truncate(time.Microsecond))
			h.times = append(h.times, *requests[i].EffectiveAt)
		}
	}
	outcomes, err := h.PostTransactions(h.Ctx, requests, false)
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range outcomes {
		if o.Status != domain.Posted {
			continue
		}
		h.times, h.ids = append(h.times, o.RecordedAt), append(h.ids, o.TransactionID)
		for _, p := range requests[i].Postings {
			for _, a := range h.accounts {
				switch a.ID {
				case p.Source:
					a.add(-p.Amount, o.TransactionID, requests[i], o.RecordedAt)
				case p.Destination:
					a.add(p.Amount, o.TransactionID, requests[i], o.RecordedAt)
				}
			}
		}
	}
}

// moment is now, or at, right before or right after something.
func (h *history) moment(rt *rapid.T) time.Time {
	if len(h.times) == 0 {
		return h.now()
	}
	at := rapid.SampledFrom(h.times).Draw(rt, "moment").Add(time.Duration(rapid.IntRange(-1, 1).Draw(rt, "beside")) * time.Microsecond)
	if now := h.now(); at.After(now) {
		return now
	}
	return at
}

func (h *history) filter(rt *rapid.T) (f domain.Filter) {
	f.Channel = rapid.SampledFrom(append(someChannels, "", "", "")).Draw(rt, "only channel")
	f.Type = rapid.SampledFrom(append(someTypes, "", "")).Draw(rt, "only type")
	if rapid.Bool().Draw(rt, "has from") {
		f.From = h.moment(rt)
	}
	if rapid.Bool().Draw(rt, "has to") {
		if f.To = h.moment(rt); !f.From.Before(f.To) {
			f.To = f.From.Add(time.Microsecond)
		}
	}
	return f
}

// TestReadingAgreesWithModel: balances of any moment, statements, exports and lists of an account's transactions are what a plain list of
// the same entries says.
func TestReadingAgreesWithModel(t *testing.T) {
	t.Parallel()
	w := setup(t)
	rapid.Check(t, func(rt *rapid.T) {
		h := newHistory(t, w, rt)
		for range 6 {
			m := rapid.SampledFrom(h.accounts).Draw(rt, "account")
			h.checkBalances(rt, m)
			f := h.filter(rt)
			limit := rapid.Int32Range(1, 8).Draw(rt, "limit")
			h.checkStatement(rt, m, f, limit)
			h.checkList(rt, m, f, limit)
		}
		h.checkFacts(rt)
	})
}

func (h *history) checkBalances(rt *rapid.T, m *modelAccount) {
	at := h.moment(rt)
	byRecorded := m.balance(func(e modelEntry) bool { return !e.recorded.After(at) })
	b, err := h.GetAccountBalance(h.Ctx, m.ID, domain.AsOf{Recorded: at})
	if err != nil || b.Balance != byRecorded || b.Available != nil || !b.AsOf.Equal(at) {
		rt.Fatalf("recorded until %s: %+v, %v, want %d", at, b, err, byRecorded)
	}
	if n := len(m.newestFirst(domain.Filter{To: at.Add(time.Microsecond)})); b.Sequence != int64(n) {
		rt.Fatalf("recorded until %s: sequence %d, want %d", at, b.Sequence, n)
	}
	byEffective := m.balance(func(e modelEntry) bool { return !e.effective.After(at) })
	b, err = h.GetBalanceAt(h.As("user:"+m.OwnerID.String(), scopes.WalletRead), m.ID, domain.AsOf{Effective: at})
	if err != nil || b.Balance != byEffective {
		rt.Fatalf("effective until %s: %+v, %v, want %d", at, b, err, byEffective)
	}
	b, err = h.GetAccountBalance(h.Ctx, m.ID, domain.AsOf{})
	if err != nil || b.Balance != m.balance(func(modelEntry) bool { return true }) || b.Available == nil ||
		b.Sequence != int64(len(m.entries)) {
		rt.Fatalf("now: %+v, %v", b, err)
	}
}

func (h *history) checkStatement(rt *rapid.T, m *modelAccount, f domain.Filter, limit int32) {
	me := h.As("user:"+m.OwnerID.String(), scopes.WalletRead)
	want := m.newestFirst(f)
	var got []modelEntry
	for q := (app.StatementQuery{Filter: f, Request: rows(limit)}); ; {
		page, err := h.ListStatement(me, m.ID, q)
		if err != nil {
			rt.Fatal(err)
		}
		for _, e := range page.Entries {
			effective := e.RecordedAt
			if e.EffectiveAt != nil {
				effective = *e.EffectiveAt
			}
			change := e.AmountMinor
			if e.Direction != string(m.NormalSide) {
				change = -change
			}
			got = append(got, modelEntry{e.Sequence, change, e.BalanceMinor, e.TransactionID, e.RecordedAt.UTC(), effective.UTC(), e.Channel,
				e.Type})
		}
		if q.Cursor = page.Next; q.Cursor == nil {
			break
		}
	}
	if !slices.EqualFunc(got, want, sameEntry) {
		rt.Fatalf("statement %+v:\n got %+v\nwant %+v", f, got, want)
	}
	export, err := h.ExportStatement(me, m.ID, f)
	if err != nil {
		rt.Fatal(err)
	}
	entries, more, err := export.Next(me)
	if err != nil || more || len(entries) != len(want) {
		rt.Fatalf("export: %d entries of %d, %v", len(entries), len(want), err)
	}
	for i, e := range entries {
		if w := want[len(want)-1-i]; e.Sequence != w.sequence {
			rt.Fatalf("export: sequence %d, want %d", e.Sequence, w.sequence)
		}
	}
}

func sameEntry(a, b modelEntry) bool {
	same := a.recorded.Equal(b.recorded) && a.effective.Equal(b.effective)
	a.recorded, a.effective, b.recorded, b.effective = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	return same && a == b
}

func (h *history) checkList(rt *rapid.T, m *modelAccount, f domain.Filter, limit int32) {
	var want []uuid.UUID
	for _, e := range m.newestFirst(f) {
		want = append(want, e.transaction)
	}
	want = slices.Compact(want)
	if got := collectIDs(rt, h.world, app.TransactionQuery{Filter: f, AccountID: m.ID, Request: rows(limit)}); !slices.Equal(got, want) {
		rt.Fatalf("transactions %+v:\n got %v\nwant %v", f, got, want)
	}
	// The same by a fact: then in the order of ids.
	slices.SortFunc(want, newerID)
	q := app.TransactionQuery{Filter: f, AccountID: m.ID, Facts: map[string]string{"run": h.run}, Request: rows(limit)}
	if got := collectIDs(rt, h.world, q); !slices.Equal(got, want) {
		rt.Fatalf("transactions with a fact %+v:\n got %v\nwant %v", f, got, want)
	}
}

func (h *history) checkFacts(rt *rapid.T) {
	want := slices.SortedFunc(slices.Values(h.ids), newerID)
	q := app.TransactionQuery{Facts: map[string]string{"run": h.run}, Request: rows(5)}
	if got := collectIDs(rt, h.world, q); !slices.Equal(got, want) {
		rt.Fatalf("by a fact:\n got %v\nwant %v", got, want)
	}
}

func newerID(a, b uuid.UUID) int { return cmp.Compare(b.String(), a.String()) }

// collectIDs follows a list to its end.
func collectIDs(t interface{ Fatal(...any) }, w *world, q app.TransactionQuery) (ids []uuid.UUID) {
	for {
		page, err := w.ListTransactions(w.Ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		for i := range page.Transactions {
			ids = append(ids, page.Transactions[i].ID)
		}
		if q.Cursor = page.Next; q.Cursor == nil {
			return ids
		}
	}
}

// TestListTransactions: along all ids, with every filter, and while others arrive.
func TestListTransactions(t *testing.T) {
	t.Parallel()
	w := setup(t)
	alice, bob := w.customer(t, "KES", 0), w.customer(t, "KES", 0)
	w.fund(t, alice.ID, 100_000)
	type made struct {
		id       uuid.UUID
		recorded time.Time
		request  domain.Request
	}
	var all []made
	for i := range 30 {
		r := w.request(domain.ActionPost, kes(alice.ID, bob.ID, 5), kes(alice.ID, bob.ID, 3))
		r.Channel, r.Type = someChannels[i%3], someTypes[i%2]
		r.Metadata = map[string]string{"third": fmt.Sprint(i % 3), "n": fmt.Sprint(i)}
		o := w.posted(t, r)
		all = append(all, made{o.TransactionID, o.RecordedAt, r})
	}
	hold := w.posted(t, w.request(domain.ActionHold, kes(alice.ID, bob.ID, 7)))
	ids := func(fits func(i int, m made) bool) (out []uuid.UUID) {
		for i, m := range slices.Backward(all) {
			if fits(i, m) {
				out = append(out, m.id)
			}
		}
		return out
	}
	from, to := all[4].recorded, all[20].recorded
	inPeriod := func(m made) bool { return !m.recorded.Before(from) && m.recorded.Before(to) }
	period := domain.Filter{From: from, To: to}
	for name, c := range map[string]struct {
		q    app.TransactionQuery
		want []uuid.UUID
	}{
		"period":  {app.TransactionQuery{Filter: period}, ids(func(_ int, m made) bool { return inPeriod(m) })},
		"channel": {app.TransactionQuery{Filter: domain.Filter{Channel: "bank"}}, ids(func(i int, _ made) bool { return i%3 == 1 })},
		"type and period": {app.TransactionQuery{Filter: domain.Filter{From: from, To: to, Type: "fee"}},
			ids(func(i int, m made) bool { return i%2 == 1 && inPeriod(m) })},
		"fact": {app.TransactionQuery{Facts: map[string]string{"third": "2"}}, ids(func(i int, _ made) bool { return i%3 == 2 })},
		"fact and type": {app.TransactionQuery{Facts: map[string]string{"third": "2"}, Filter: domain.Filter{Type: "fee"}},
			ids(func(i int, _ made) bool { return i%3 == 2 && i%2 == 1 })},
		"fact and account": {app.TransactionQuery{Facts: map[string]string{"third": "2"}, AccountID: bob.ID},
			ids(func(i int, _ made) bool { return i%3 == 2 })},
		"fact, no account":  {app.TransactionQuery{Facts: map[string]string{"third": "2"}, AccountID: rail}, nil},
		"value of another":  {app.TransactionQuery{Facts: map[string]string{"n": "third"}}, nil},
		"reference":         {app.TransactionQuery{Reference: all[9].request.Reference}, []uuid.UUID{all[9].id}},
		"reference, other":  {app.TransactionQuery{Reference: all[9].request.Reference, AccountID: rail}, nil},
		"reference, fact":   {app.TransactionQuery{Reference: all[9].request.Reference, Facts: map[string]string{"n": "8"}}, nil},
		"reference of none": {app.TransactionQuery{Reference: "none"}, nil},
		"account":           {app.TransactionQuery{AccountID: bob.ID}, ids(func(int, made) bool { return true })},
		"account and fact":  {app.TransactionQuery{AccountID: bob.ID, Facts: map[string]string{"n": "3"}}, []uuid.UUID{all[3].id}},
		"long ago":          {app.TransactionQuery{Filter: domain.Filter{To: from.AddDate(-1, 0, 0)}}, nil},
	} {
		for _, limit := range []int32{1, 4, 100} {
			c.q.Limit = &limit
			if got := collectIDs(t, w, c.q); !slices.Equal(got, c.want) {
				t.Errorf("%s, %d a page:\n got %v\nwant %v", name, limit, got, c.want)
			}
		}
	}

	whole, err := w.ListTransactions(w.Ctx, app.TransactionQuery{Request: rows(1)})
	if err != nil || len(whole.Transactions) != 1 || whole.Transactions[0].ID != hold.TransactionID ||
		len(whole.Transactions[0].Postings) != 0 {
		t.Fatalf("the hold is the newest: %+v, %v", whole, err)
	}
	single, err := w.GetTransaction(w.Ctx, all[9].id)
	if err != nil {
		t.Fatal(err)
	}
	page, err := w.ListTransactions(w.Ctx, app.TransactionQuery{Reference: single.Reference})
	if err != nil || fmt.Sprintf("%+v", page.Transactions[0]) != fmt.Sprintf("%+v", single) {
		t.Errorf("read in a list %+v\nread alone %+v, %v", page.Transactions, single, err)
	}
}

// TestListsWhileEntriesArrive: following a list to its end shows each transaction once, whatever is posted meanwhile.
func TestListsWhileEntriesArrive(t *testing.T) {
	t.Parallel()
	w := setup(t)
	alice, bob := w.customer(t, "KES", 0), w.customer(t, "KES", 0)
	w.fund(t, alice.ID, 100_000)
	var before []uuid.UUID
	for range 25 {
		before = append(before, w.posted(t, w.request(domain.ActionPost, kes(alice.ID, bob.ID, 5), kes(alice.ID, bob.ID, 3))).TransactionID)
	}
	slices.Reverse(before)
	for name, q := range map[string]app.TransactionQuery{"all": {}, "account": {AccountID: bob.ID},
		"type": {Filter: domain.Filter{Type: "test", Channel: "internal"}}} {
		q.Request = rows(4)
		var got []uuid.UUID
		for {
			page, err := w.ListTransactions(w.Ctx, q)
			if err != nil {
				t.Fatal(err)
			}
			for i := range page.Transactions {
				got = append(got, page.Transactions[i].ID)
			}
			w.posted(t, w.request(domain.ActionPost, kes(alice.ID, bob.ID, 1)))
			if q.Cursor = page.Next; q.Cursor == nil {
				break
			}
		}
		at := slices.Index(got, before[0])
		if at < 0 || len(got) < at+25 || !slices.Equal(got[at:at+25], before) {
			t.Errorf("%s: %v\ndoes not show %v", name, got, before)
		}
		sorted := slices.SortedFunc(slices.Values(got), newerID)
		if len(slices.Compact(sorted)) != len(got) {
			t.Errorf("%s: a transaction twice in %v", name, got)
		}
	}
}

// position is what a cursor of a statement holds.
func position(t testing.TB, cursor *string) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(*cursor)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw[17:])
}

// TestSearchIsBounded: a filter that fits little answers short pages with a cursor, and those lead to everything.
func TestSearchIsBounded(t *testing.T) {
	t.Parallel()
	w := setup(t)
	alice, bob := w.customer(t, "KES", 0), w.customer(t, "KES", 0)
	w.fund(t, alice.ID, 1_000_000)
	rare := w.request(domain.ActionPost, kes(alice.ID, bob.ID, 1))
	rare.Type = "rare"
	want := []uuid.UUID{w.posted(t, rare).TransactionID}
	for range 11 { // 2,200 entries above it
		requests := make([]domain.Request, 100)
		for i := range requests {
			requests[i] = w.request(domain.ActionPost, kes(alice.ID, bob.ID, 1), kes(alice.ID, bob.ID, 1))
		}
		if _, err := w.PostTransactions(w.Ctx, requests, false); err != nil {
			t.Fatal(err)
		}
	}
	empty, err := w.ListAccountStatement(w.Ctx, bob.ID, app.StatementQuery{Filter: domain.Filter{Type: "rare"}})
	if err != nil || len(empty.Entries) != 0 || position(t, empty.Next) != "202" { // entries 2,201 … 202 are looked at
		t.Fatalf("%+v, %v", empty, err)
	}
	full, err := w.ListAccountStatement(w.Ctx, bob.ID, app.StatementQuery{Filter: domain.Filter{Type: "rare"},
		Request: page.Request{Cursor: empty.Next}})
	if err != nil || len(full.Entries) != 1 || full.Next != nil {
		t.Fatalf("%+v, %v", full, err)
	}
	first, err := w.ListTransactions(w.Ctx, app.TransactionQuery{AccountID: bob.ID, Filter: domain.Filter{Type: "rare"}})
	if err != nil || len(first.Transactions) != 0 || first.Next == nil {
		t.Fatalf("%+v, %v", first, err)
	}
	for _, account := range []uuid.UUID{uuid.Nil, bob.ID} {
		if got := collectIDs(t, w, app.TransactionQuery{AccountID: account, Filter: domain.Filter{Type: "rare"}}); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

// TestCommonFact: a fact that too many transactions have is found on the way down the list.
func TestCommonFact(t *testing.T) {
	t.Parallel()
	w := open(t) // rows of metadata without transactions are none that the ledger makes
	alice, bob := w.customer(t, "KES", 0), w.customer(t, "KES", 0)
	w.fund(t, alice.ID, 1_000)
	var want []uuid.UUID
	for range 5 {
		r := w.request(domain.ActionPost, kes(alice.ID, bob.ID, 1))
		r.Metadata = map[string]string{"batch": "salaries"}
		want = append(want, w.posted(t, r).TransactionID)
		w.fund(t, alice.ID, 1)
	}
	slices.Reverse(want)
	if _, err := w.DB.Pool.Exec(w.Ctx, `INSERT INTO transaction_metadata (transaction_id, metadata, salt)
		SELECT gen_random_uuid(), '{"batch": "salaries"}', uuid_send(gen_random_uuid()) FROM generate_series(1, 10001)`); err != nil {
		t.Fatal(err)
	}
	for _, account := range []uuid.UUID{uuid.Nil, bob.ID} {
		for _, limit := range []int32{2, 25} {
			q := app.TransactionQuery{AccountID: account, Facts: map[string]string{"batch": "salaries"}, Request: rows(limit)}
			if got := collectIDs(t, w, q); !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		}
	}
}

// TestReadingRefuses: parameters that make no sense, each with its code.
func TestReadingRefuses(t *testing.T) {
	t.Parallel()
	w := setup(t)
	alice, bob := w.customer(t, "KES", 0), w.customer(t, "KES", 0)
	me := w.As("user:"+alice.OwnerID.String(), scopes.WalletRead)
	now := time.Now()
	statement := func(q app.StatementQuery) error { _, err := w.ListStatement(me, alice.ID, q); return err }
	list := func(q app.TransactionQuery) error { _, err := w.ListTransactions(w.Ctx, q); return err }
	balance := func(at domain.AsOf) error { _, err := w.GetBalanceAt(me, alice.ID, at); return err }
	for name, c := range map[string]struct {
		err  error
		code string
	}{
		"empty period":     {statement(app.StatementQuery{Filter: domain.Filter{From: now, To: now}}), "period_invalid"},
		"channel":          {statement(app.StatementQuery{Filter: domain.Filter{Channel: "pigeon"}}), "channel_invalid"},
		"type":             {statement(app.StatementQuery{Filter: domain.Filter{Type: "a b"}}), "type_invalid"},
		"limit":            {statement(app.StatementQuery{Request: rows(101)}), "limit_invalid"},
		"list period":      {list(app.TransactionQuery{Filter: domain.Filter{From: now, To: now.Add(-1)}}), "period_invalid"},
		"list limit":       {list(app.TransactionQuery{Request: rows(-1)}), "limit_invalid"},
		"metadata":         {list(app.TransactionQuery{Facts: map[string]string{"a": "\x00"}}), "metadata_invalid"},
		"two moments":      {balance(domain.AsOf{Recorded: now, Effective: now}), "as_of_ambiguous"},
		"future":           {balance(domain.AsOf{Recorded: now.Add(time.Hour)}), "as_of_in_future"},
		"effective future": {balance(domain.AsOf{Effective: now.Add(time.Hour)}), "as_of_in_future"},
		"no moment":        {balance(domain.AsOf{}), "as_of_missing"},
	} {
		f, ok := fault.As(c.err)
		if !ok || f.Kind != fault.Invalid || len(f.Fields) != 1 || f.Fields[0].Code != c.code {
			t.Errorf("%s: %+v, want %s", name, c.err, c.code)
		}
	}
	for name, call := range map[string]func(context.Context) error{
		"balance": func(ctx context.Context) error {
			_, err := w.GetBalanceAt(ctx, bob.ID, domain.AsOf{Recorded: now})
			return err
		},
		"statement": func(ctx context.Context) error {
			_, err := w.ListStatement(ctx, bob.ID, app.StatementQuery{})
			return err
		},
		"export": func(ctx context.Context) error { _, err := w.ExportStatement(ctx, bob.ID, domain.Filter{}); return err },
	} {
		if err := call(me); !errors.Is(err, fault.ErrNotFound) {
			t.Errorf("%s of somebody else: %v", name, err)
		}
		if err := call(w.Ctx); !errors.Is(err, fault.ErrForbidden) {
			t.Errorf("%s for a service: %v", name, err)
		}
	}
	for name, call := range map[string]func(context.Context) error{
		"balance": func(ctx context.Context) error {
			_, err := w.GetAccountBalance(ctx, newID(), domain.AsOf{})
			return err
		},
		"statement": func(ctx context.Context) error {
			_, err := w.ListAccountStatement(ctx, newID(), app.StatementQuery{})
			return err
		},
		"list": func(ctx context.Context) error {
			_, err := w.ListTransactions(ctx, app.TransactionQuery{AccountID: newID()})
			return err
		},
	} {
		if err := call(me); !errors.Is(err, fault.ErrForbidden) {
			t.Errorf("%s for a user: %v", name, err)
		}
		if err := call(w.Ctx); !errors.Is(err, fault.ErrNotFound) {
			t.Errorf("%s of no account: %v", name, err)
		}
	}
}

func TestExportIsBounded(t *testing.T) {
	t.Parallel()
	w := open(t) // the sequence is set by hand
	alice := w.customer(t, "KES", 0)
	me := w.As("user:"+alice.OwnerID.String(), scopes.WalletRead)
	for sequence, want := range map[int]error{10_000: nil, 10_001: domain.ErrStatementTooLong} {
		if _, err := w.DB.Pool.Exec(w.Ctx, "UPDATE accounts SET sequence = $1 WHERE id = $2", sequence, alice.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := w.ExportStatement(me, alice.ID, domain.Filter{}); !errors.Is(err, want) {
			t.Errorf("%d entries: %v", sequence, err)
		}
	}
}
