package app_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/generated/scopes"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/page"

	"github.com/sendtip/sendtip/services/wallet/internal/app"
	"github.com/sendtip/sendtip/services/wallet/internal/domain"
	"github.com/sendtip/sendtip/services/wallet/internal/testworld"
)

const (
	why         = "The payer has written to us."
	suspenseKES = domain.AccountSuspense + "KES"
	paybillKES  = domain.AccountPaybill + "KES"
)

// railsPerson is one of finance with these scopes.
func railsPerson(ctx context.Context, id uuid.UUID, all ...string) context.Context {
	return auth.With(ctx, auth.Principal{Subject: "user:" + id.String(), Scopes: all, Operation: "test"})
}

func railsChecker(t *testing.T) context.Context {
	return railsPerson(t.Context(), uuid.Must(uuid.NewV7()), scopes.AdminRails, scopes.AdminRailsApprove)
}

// lost pays to an account that nobody has, and returns the item.
func lost(t *testing.T, w *testworld.World, receipt string, shillings int64) uuid.UUID {
	t.Helper()
	c2b(t, w, testworld.C2b(receipt, "wallet 12", shillings))
	settle(t, w)
	return uuid.MustParse(w.Text("SELECT id::text FROM deposits WHERE receipt = $1", receipt))
}

func matchTo(p testworld.Person) app.SuspenseDecision {
	return app.SuspenseDecision{Action: "match", WalletID: &p.WalletID}
}

var giveBack = app.SuspenseDecision{Action: "return"}

// decide decides alone.
func decide(t *testing.T, w *testworld.World, id uuid.UUID, d app.SuspenseDecision) {
	t.Helper()
	if _, asked, err := w.App.DecideSuspense(railsChecker(t), id, d, why); err != nil || asked != nil {
		t.Fatalf("decide: %+v, %v", asked, err)
	}
}

func suspenseStatus(w *testworld.World, id uuid.UUID) string {
	return w.Text("SELECT status FROM suspense_items WHERE id = $1", id)
}

func settleSuspense(t *testing.T, w *testworld.World, id uuid.UUID) {
	t.Helper()
	if err := w.App.SettleSuspense(t.Context(), id); err != nil {
		t.Fatal(err)
	}
}

// giveOn does what is due about a return.
func giveOn(t *testing.T, w *testworld.World, id uuid.UUID) time.Duration {
	t.Helper()
	wait, err := w.App.ReturnSuspense(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return wait
}

// railSays delivers a message to the address that a request named, and judges it.
func railSays(ctx context.Context, t *testing.T, w *testworld.World, request map[string]string, body []byte) string {
	t.Helper()
	token, id := testworld.At(request["ResultURL"])
	if err := w.App.ReceivePaybillResult(ctx, token, id, body); err != nil {
		t.Fatal(err)
	}
	judgeRails(t, w)
	return w.Text("SELECT coalesce(verdict, '') FROM rail_messages WHERE request_id = $1 ORDER BY received_at DESC, id DESC LIMIT 1", id)
}

func judgeRails(t *testing.T, w *testworld.World) {
	t.Helper()
	rows, err := w.DB.Pool.Query(t.Context(), "SELECT id FROM rail_messages WHERE judged_at IS NULL")
	if err != nil {
		t.Fatal(err)
	}
	var ids []uuid.UUID
	for rows.Next() {
		var id uuid.UUID
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	rows.Close()
	for _, id := range ids {
		if _, err := w.App.JudgeRailMessage(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
}

// gauge is what a gauge of the service shows.
func gauge(t *testing.T, w *testworld.World, name string) float64 {
	t.Helper()
	families, err := w.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no gauge %s", name)
	return 0
}

func TestSuspenseIsListed(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	first := lost(t, w, "SKL1A2B3C4", 100)
	w.Advance(time.Hour)
	lost(t, w, "SKL1A2B3C5", 200)
	all, next, err := w.App.ListSuspense(railsChecker(t), "open", page.Request{})
	if err != nil || next != nil || len(all) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	if i := all[0]; i.ID != first || i.Payer != "***126" || i.BillRef != "wallet 12" || i.Amount != testworld.KES(100) ||
		i.AgeSeconds != 3600 || i.Receipt != "SKL1A2B3C4" || i.Why != "no_owner" || len(i.Transitions) != 1 {
		t.Errorf("the item is %+v", i)
	}
	_, _, err = w.App.ListSuspense(testworld.As(t.Context(), w.Person(1, 0)), "open", page.Request{})
	if !errors.Is(err, fault.ErrForbidden) {
		t.Errorf("a customer got %v", err)
	}
	if err := w.App.Measure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if age := gauge(t, w, "wallet_suspense_age_seconds"); age != 3600 {
		t.Errorf("the gauge shows %v", age)
	}
	w.Advance(72 * time.Hour)
	if err := w.App.Measure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w.Counted("wallet_alarms_total", "suspense_waits_too_long") != 1 {
		t.Error("no alarm about money that waits for days")
	}
}

// TestSuspenseOfBefore: what older versions booked to suspense is in the queue too.
func TestSuspenseOfBefore(t *testing.T) {
	t.Parallel()
	db, upgrade := testworld.Older(t, "00001_init.sql", "00002_claims.sql", "00003_standing.sql", "00004_prompts.sql", "00005_uganda.sql",
		"00006_limits.sql", "00007_rules.sql", "00008_numbers.sql", "00009_rails.sql", "00010_lost_payments.sql")
	deposit, transaction := uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
	at := time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)
	if _, err := db.Pool.Exec(t.Context(), `INSERT INTO deposits (id, receipt, currency, amount_minor, credit, ledger_transaction_id,
		created_at, closed_at) VALUES ($1, 'skl1a2b3c4', 'KES', 15000, 'suspense', $2, $3, $3)`, deposit, transaction, at); err != nil {
		t.Fatal(err)
	}
	user, wallet, topup := uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
	for _, insert := range []string{
		`INSERT INTO customers (user_id, status, tier, version, updated_at) VALUES ($1, 'active', 1, 1, $4)`,
		`INSERT INTO wallets (id, user_id, currency, status, created_at, opened_at) VALUES ($2, $1, 'KES', 'open', $4, $4)`,
		`INSERT INTO topups (id, user_id, wallet_id, currency, amount_minor, account_reference, status, credit, ledger_transaction_id,
			created_at, updated_at) VALUES ($3, $1, $2, 'KES', 20000, 'TAAAAAAAAAAA', 'paid', 'suspense', $3, $4, $4)`,
	} {
		if _, err := db.Pool.Exec(t.Context(), "WITH given AS (SELECT $1::uuid, $2::uuid, $3::uuid, $4::timestamptz) "+insert, user,
			wallet, topup, at); err != nil {
			t.Fatal(err)
		}
	}
	upgrade()
	w := testworld.On(t, db)
	w.Ledger.Set(suspenseKES, 35000)
	all, _, err := w.App.ListSuspense(railsChecker(t), "open", page.Request{})
	if err != nil || len(all) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	for _, i := range all {
		if !i.BookedAt.Equal(at) || len(i.Transitions) != 1 || i.ID != deposit && i.ID != topup {
			t.Errorf("an item of before is %+v", i)
		}
	}
	p := w.Person(1, 0)
	decide(t, w, deposit, matchTo(p))
	settleSuspense(t, w, deposit)
	if got := w.Ledger.Balance(p.WalletID.String()); got != 15000 {
		t.Errorf("the wallet has %d", got)
	}
	if _, _, err := w.App.DecideSuspense(railsChecker(t), topup, giveBack, why); !errors.Is(err, domain.ErrNotReturnable) {
		t.Errorf("a payment whose receipt nobody knows is returned: %v", err)
	}
}

func TestSuspenseMatched(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p, other := w.Person(1, 0), w.Person(1, 0)
	id := lost(t, w, "SKL1A2B3C4", 100)
	decide(t, w, id, matchTo(p))
	decide(t, w, id, matchTo(p)) // the answer was lost
	for _, d := range []app.SuspenseDecision{giveBack, matchTo(other)} {
		if _, _, err := w.App.DecideSuspense(railsChecker(t), id, d, why); !errors.Is(err, domain.ErrSuspenseDecided) {
			t.Errorf("%+v after the match: %v", d, err)
		}
	}
	settleSuspense(t, w, id)
	settleSuspense(t, w, id)
	decide(t, w, id, matchTo(p))
	if got := [3]int64{w.Ledger.Balance(p.WalletID.String()), w.Ledger.Balance(suspenseKES), w.Ledger.Balance(paybillKES)}; got !=
		[3]int64{10000, 0, -10000} || suspenseStatus(w, id) != "matched" {
		t.Errorf("books are %v, the item %s", got, suspenseStatus(w, id))
	}
	if told := w.PublishedOf("wallet.deposit_received"); len(told) != 1 || told[0]["user_id"] != p.UserID.String() ||
		told[0]["receipt"] != "SKL1A2B3C4" {
		t.Errorf("the customer is told %v", told)
	}
	if n := w.Count("SELECT count(*) FROM audit_log WHERE action = 'suspense.decided'"); n != 1 {
		t.Errorf("%d decisions are on record", n)
	}
}

// TestSuspenseRefused: what the ledger refuses is open again, with the reason, and the next decision is another posting.
func TestSuspenseRefused(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	id := lost(t, w, "SKL1A2B3C4", 100)
	decide(t, w, id, matchTo(p))
	w.Ledger.Refuse("account_frozen")
	settleSuspense(t, w, id)
	w.Ledger.Refuse("")
	reason := w.Text("SELECT reason FROM suspense_transitions WHERE item_id = $1 ORDER BY seq DESC LIMIT 1", id)
	if s := suspenseStatus(w, id); s != "open" || reason != "account_frozen" {
		t.Fatalf("the item is %s", s)
	}
	decide(t, w, id, matchTo(p))
	settleSuspense(t, w, id)
	if got := w.Ledger.Balance(p.WalletID.String()); got != 10000 || suspenseStatus(w, id) != "matched" {
		t.Errorf("the wallet has %d", got)
	}
}

// TestSuspenseMaximum: the match credits all of it and lets the ledger hold what is above the maximum, as every late credit does.
func TestSuspenseMaximum(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 99_950)
	id := lost(t, w, "SKL1A2B3C4", 100)
	decide(t, w, id, matchTo(p))
	settleSuspense(t, w, id)
	if got := w.Ledger.Balance(p.WalletID.String()); got != 10_005_000 {
		t.Errorf("the wallet has %d, its item is %s", got, suspenseStatus(w, id))
	}
}

func TestSuspenseTwoPeople(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	small, large := lost(t, w, "SKL1A2B3C4", 5000), lost(t, w, "SKL1A2B3C5", 5001)
	maker, checker := railsPerson(t.Context(), uuid.Must(uuid.NewV7()), scopes.AdminRails), railsChecker(t)
	for id, by := range map[uuid.UUID]context.Context{small: maker, large: checker} {
		_, asked, err := w.App.DecideSuspense(by, id, matchTo(p), why)
		if err != nil || asked == nil || suspenseStatus(w, id) != "open" {
			t.Fatalf("one person decided: %+v, %v, %s", asked, err, suspenseStatus(w, id))
		}
		if _, err := w.App.Approvals.Approve(by, w.App.Pool, asked.ID, asked.Digest); err == nil {
			t.Fatal("the maker approved")
		}
		if _, err := w.App.Approvals.Approve(railsChecker(t), w.App.Pool, asked.ID, asked.Digest); err != nil {
			t.Fatal(err)
		}
		settleSuspense(t, w, id)
		if suspenseStatus(w, id) != "matched" {
			t.Errorf("the item is %s", suspenseStatus(w, id))
		}
	}
	// an approval that comes too late finds the item decided
	late := lost(t, w, "SKL1A2B3C6", 100)
	_, asked, err := w.App.DecideSuspense(maker, late, giveBack, why)
	if err != nil || asked == nil {
		t.Fatal(err)
	}
	decide(t, w, late, matchTo(p))
	if _, err := w.App.Approvals.Approve(checker, w.App.Pool, asked.ID, asked.Digest); !errors.Is(err, domain.ErrSuspenseDecided) {
		t.Errorf("both decisions are made: %v", err)
	}
	decide(t, w, lost(t, w, "SKL1A2B3C7", 5000), matchTo(p)) // up to the setting, one is enough
}

// TestMatchAndReturnAtOnce: one of them wins.
func TestMatchAndReturnAtOnce(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	for n := range 5 {
		id := lost(t, w, fmt.Sprintf("SKL1A2B3C%d", n), 100)
		errs := make([]error, 8)
		var all sync.WaitGroup
		for i := range errs {
			all.Go(func() {
				d := giveBack
				if i%2 == 0 {
					d = matchTo(p)
				}
				_, _, errs[i] = w.App.DecideSuspense(railsChecker(t), id, d, why)
			})
		}
		all.Wait()
		won := map[bool]int{}
		for i, err := range errs {
			if err == nil {
				won[i%2 == 0]++
			} else if !errors.Is(err, domain.ErrSuspenseDecided) {
				t.Error(err)
			}
		}
		if len(won) != 1 || w.Count("SELECT count(*) FROM suspense_transitions WHERE item_id = $1", id) != 2 {
			t.Errorf("decided %v", won)
		}
	}
}

func TestSuspenseReturned(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	id := lost(t, w, "SKL1A2B3C4", 100)
	decide(t, w, id, giveBack)
	giveOn(t, w, id)
	if wait := giveOn(t, w, id); wait != 45*time.Second {
		t.Errorf("asked after %s", wait)
	}
	sent := w.Mpesa.Reversals()
	if len(sent) != 1 || sent[0]["TransactionID"] != "SKL1A2B3C4" || sent[0]["Amount"] != "100" ||
		sent[0]["ReceiverParty"] != testworld.ShortCode {
		t.Fatalf("sent %v", sent)
	}
	known := testworld.Known(t.Context())
	for name, c := range map[string]struct {
		ctx     context.Context
		body    []byte
		verdict string
	}{
		"a stranger":      {t.Context(), testworld.Reversed(1, "SKL1A2B3C4", "SKL9000001", 100), "stranger"},
		"another amount":  {known, testworld.Reversed(1, "SKL1A2B3C4", "SKL9000001", 99), "amount"},
		"another payment": {known, testworld.Reversed(1, "SKL1A2B3C5", "SKL9000001", 100), "other"},
		"another order":   {known, testworld.Reversed(2, "SKL1A2B3C4", "SKL9000001", 100), "other"},
	} {
		if v := railSays(c.ctx, t, w, sent[0], c.body); v != c.verdict || suspenseStatus(w, id) != "returning" {
			t.Errorf("%s: %s, and the item is %s", name, v, suspenseStatus(w, id))
		}
	}
	if v := railSays(known, t, w, sent[0], testworld.Reversed(1, "SKL1A2B3C4", "SKL9A2B3C4", 100)); v != "returned" {
		t.Errorf("the result is %s", v)
	}
	if got := w.Ledger.Balance(suspenseKES); got != 10000 {
		t.Errorf("booked before its job: %d", got)
	}
	settleSuspense(t, w, id)
	settleSuspense(t, w, id)
	if got := [2]int64{w.Ledger.Balance(suspenseKES), w.Ledger.Balance(paybillKES)}; got != [2]int64{} ||
		suspenseStatus(w, id) != "returned" || giveOn(t, w, id) != 0 {
		t.Errorf("books are %v, the item %s", got, suspenseStatus(w, id))
	}
}

// TestLostReversal: an order whose answer was lost is never repeated before a question was answered; then R000001 is done.
func TestLostReversal(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	id := lost(t, w, "SKL1A2B3C4", 100)
	decide(t, w, id, giveBack)
	w.Mpesa.AnswerReverse("lose")
	giveOn(t, w, id)
	w.Mpesa.AnswerReverse("")
	for range 4 {
		w.Advance(time.Minute)
		giveOn(t, w, id)
	}
	questions := w.Mpesa.Questions()
	if len(w.Mpesa.Reversals()) != 1 || len(questions) == 0 || questions[0]["TransactionID"] != "SKL1A2B3C4" {
		t.Fatalf("%d orders, asked %v", len(w.Mpesa.Reversals()), questions)
	}
	known := testworld.Known(t.Context())
	// without the order's conversation, a result without a receipt decides nothing
	if v := railSays(known, t, w, w.Mpesa.Reversals()[0], testworld.NotReversed(1, "R000002")); v != "other" {
		t.Errorf("a failure of an unknown order is %s", v)
	}
	n := len(questions)
	if v := railSays(known, t, w, questions[n-1], testworld.State(n, "x", "Completed", "SKL1A2B3C4", 100)); v != "standing" {
		t.Errorf("the answer is %s", v)
	}
	giveOn(t, w, id)
	if len(w.Mpesa.Reversals()) != 2 {
		t.Fatal("not ordered again")
	}
	if v := railSays(known, t, w, w.Mpesa.Reversals()[1], testworld.NotReversed(2, "R000001")); v != "returned" {
		t.Errorf("R000001 is %s", v)
	}
	settleSuspense(t, w, id)
	if got := w.Ledger.Balance(suspenseKES); got != 0 {
		t.Errorf("suspense has %d", got)
	}
}

// TestReversalFails: it is open again once every order has definitely failed, and not while one may still be carried out.
func TestReversalFails(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	known := testworld.Known(t.Context())
	last := func(id uuid.UUID) string {
		return suspenseStatus(w, id) + " " + w.Text("SELECT reason FROM suspense_transitions WHERE item_id = $1 ORDER BY seq DESC LIMIT 1", id)
	}
	refused := lost(t, w, "SKL1A2B3C1", 100)
	decide(t, w, refused, giveBack)
	w.Mpesa.AnswerReverse("refuse")
	giveOn(t, w, refused)
	giveOn(t, w, refused)
	if got := last(refused); got != "open rail_refused" {
		t.Errorf("refused at once: %s", got)
	}
	w.Mpesa.AnswerReverse("busy")
	decide(t, w, refused, giveBack)
	giveOn(t, w, refused)
	if wait := giveOn(t, w, refused); wait != time.Minute || suspenseStatus(w, refused) != "returning" {
		t.Errorf("busy: again after %s, %s", wait, suspenseStatus(w, refused))
	}
	w.Mpesa.AnswerReverse("")
	w.Advance(time.Minute)
	giveOn(t, w, refused)
	if v := railSays(known, t, w, w.Mpesa.Reversals()[0], testworld.NotReversed(1, "R000002")); v != "failed" {
		t.Errorf("the result is %s", v)
	}
	giveOn(t, w, refused)
	if got := last(refused); got != "open original_unknown" {
		t.Errorf("failed: %s", got)
	}
	if v := railSays(known, t, w, w.Mpesa.Reversals()[0], testworld.Reversed(1, "SKL1A2B3C1", "SKL9A2B3C1", 100)); v != "conflict" {
		t.Errorf("another result is %s", v)
	}

	two := lost(t, w, "SKL1A2B3C2", 100)
	decide(t, w, two, giveBack)
	w.Mpesa.AnswerReverse("lose")
	giveOn(t, w, two)
	w.Mpesa.AnswerReverse("")
	w.Advance(time.Minute)
	giveOn(t, w, two)
	n := len(w.Mpesa.Questions())
	railSays(known, t, w, w.Mpesa.Questions()[n-1], testworld.State(n, "x", "Completed", "SKL1A2B3C2", 100))
	giveOn(t, w, two)
	sent := w.Mpesa.Reversals()
	railSays(known, t, w, sent[len(sent)-1], testworld.NotReversed(len(sent), "1"))
	if wait := giveOn(t, w, two); suspenseStatus(w, two) != "returning" || wait == 0 {
		t.Fatalf("given up while the first order may be carried out: %s", last(two))
	}
	if v := railSays(known, t, w, sent[len(sent)-2], testworld.Reversed(len(sent)-1, "SKL1A2B3C2", "SKL9A2B3C2", 100)); v != "returned" {
		t.Errorf("the first order's result is %s", v)
	}
}

// TestReversalAfterMatch: money that went to a wallet and to its payer too is a conflict, and a person must look.
func TestReversalAfterMatch(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	id := lost(t, w, "SKL1A2B3C4", 100)
	decide(t, w, id, giveBack)
	w.Mpesa.AnswerReverse("lose")
	giveOn(t, w, id)
	w.Mpesa.AnswerReverse("refuse")
	for range 30 { // nothing is heard of it for more than a day, and the repeat is refused
		w.Advance(time.Hour)
		giveOn(t, w, id)
		if n := len(w.Mpesa.Questions()); n > 0 {
			railSays(testworld.Known(t.Context()), t, w, w.Mpesa.Questions()[n-1], testworld.State(n, "x", "Completed", "SKL1A2B3C4", 100))
		}
	}
	if suspenseStatus(w, id) != "open" {
		t.Fatalf("the item is %s", suspenseStatus(w, id))
	}
	decide(t, w, id, matchTo(p))
	settleSuspense(t, w, id)
	v := railSays(testworld.Known(t.Context()), t, w, w.Mpesa.Reversals()[0], testworld.Reversed(1, "SKL1A2B3C4", "SKL9A2B3C4", 100))
	if v != "conflict" || w.Counted("wallet_alarms_total", "rail_message_conflict") != 1 || suspenseStatus(w, id) != "matched" {
		t.Errorf("the verdict is %s, the item %s", v, suspenseStatus(w, id))
	}
}

// TestSuspenseMoves: a move that the machine does not have cannot be written.
func TestSuspenseMoves(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	id := lost(t, w, "SKL1A2B3C4", 100)
	for _, to := range []string{"open", "matched"} {
		_, err := w.DB.Pool.Exec(t.Context(), `INSERT INTO suspense_transitions (item_id, seq, from_status, to_status, evidence, at, done_at)
			VALUES ($1, 2, 'open', $2, 'ledger', $3, $3)`, id, to, w.Now())
		if err == nil {
			t.Errorf("open became %s", to)
		}
	}
	if _, err := w.DB.Pool.Exec(t.Context(), "UPDATE suspense_items SET status = 'returned' WHERE id = $1", id); err == nil {
		t.Error("a state without its transition")
	}
}
