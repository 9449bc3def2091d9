package app_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/servicetest"

	"github.com/sendtip/sendtip/services/wallet/internal/app"
	"github.com/sendtip/sendtip/services/wallet/internal/testworld"
)

// stranger posts a paybill confirmation from an address that is not Safaricom's, with the right path, and judges it.
func stranger(t *testing.T, w *testworld.World, body []byte) string {
	t.Helper()
	if err := w.App.ReceiveC2bConfirmation(t.Context(), token(t, w, "c2b", testworld.ShortCode), body); err != nil {
		t.Fatalf("c2b: %v", err)
	}
	return judgeLast(t, w)
}

// strangersCallback is the same for the result of a prompt.
func strangersCallback(t *testing.T, w *testworld.World, id uuid.UUID, body []byte) string {
	t.Helper()
	if err := w.App.ReceiveStkCallback(t.Context(), token(t, w, "stk", id.String()), id, body); err != nil {
		t.Fatalf("callback: %v", err)
	}
	return judgeLast(t, w)
}

func verify(t *testing.T, w *testworld.World) {
	t.Helper()
	if err := w.App.VerifyClaims(t.Context()); err != nil {
		t.Fatalf("verify: %v", err)
	}
}

func claimStates(t *testing.T, w *testworld.World) string {
	t.Helper()
	return w.Text("SELECT coalesce(string_agg(state, ',' ORDER BY created_at, callback_id), '') FROM claims")
}

func depositAccount(w *testworld.World, p testworld.Person) string {
	return w.Text("SELECT deposit_account FROM wallets WHERE id = $1", p.WalletID)
}

func TestStrangersMoneyIsAClaim(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		says    func(account string) []byte   // the stranger
		books   func(account string) [][3]any // what Safaricom's books have
		genuine func(account string) []byte   // the confirmation, if it comes, after the stranger
		before  bool                          // or before
		state   string                        // of the claim, after all questions
		balance int64                         // of the wallet
	}{
		"forged": {says: func(a string) []byte { return testworld.C2b("F1", a, 100) }, state: "case"},
		"true": {says: func(a string) []byte { return testworld.C2b("F1", a, 100) },
			books: func(a string) [][3]any { return [][3]any{{"F1", a, int64(100)}} }, state: "confirmed", balance: 10000},
		"true, small": {says: func(a string) []byte { return testworld.C2b("f1", a, 100) },
			books: func(a string) [][3]any { return [][3]any{{"F1", strings.ToLower(a), int64(100)}} }, state: "confirmed", balance: 10000},
		"altered amount": {says: func(a string) []byte { return testworld.C2b("F1", a, 1000) },
			books: func(a string) [][3]any { return [][3]any{{"F1", a, int64(100)}} }, state: "case"},
		"altered account": {says: func(a string) []byte { return testworld.C2b("F1", a, 100) },
			books: func(string) [][3]any { return [][3]any{{"F1", "OTHER", int64(100)}} }, state: "case"},
		"before genuine": {says: func(a string) []byte { return testworld.C2b("F1", a, 100) },
			genuine: func(a string) []byte { return testworld.C2b("F1", a, 100) }, state: "confirmed", balance: 10000},
		"lie before": {says: func(a string) []byte { return testworld.C2b("F1", a, 1000) },
			genuine: func(a string) []byte { return testworld.C2b("F1", a, 100) }, state: "refuted", balance: 10000},
		"other owner": {says: func(a string) []byte { return testworld.C2b("F1", a, 100) },
			genuine: func(string) []byte { return testworld.C2b("F1", "NOBODY", 100) }, state: "refuted"},
		"replayed": {says: func(a string) []byte { return testworld.C2b("F1", a, 100) },
			genuine: func(a string) []byte { return testworld.C2b("F1", a, 100) }, before: true, balance: 10000},
		"lie after genuine": {says: func(a string) []byte { return testworld.C2b("F1", a, 1000) },
			genuine: func(a string) []byte { return testworld.C2b("F1", a, 100) }, before: true, balance: 10000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := testworld.New(t)
			p := w.Person(1, 0)
			account := depositAccount(w, p)
			if c.books != nil {
				for _, row := range c.books(account) {
					w.Mpesa.Book(row[0].(string), row[1].(string), row[2].(int64))
				}
			}
			if c.before {
				c2b(t, w, c.genuine(account))
			}
			stranger(t, w, c.says(account))
			settle(t, w)
			if got := w.Ledger.Balance(p.WalletID.String()); got != 0 && !c.before {
				t.Fatalf("a stranger's word moved %d", got)
			}
			if c.genuine != nil && !c.before {
				if v := c2b(t, w, c.genuine(account)); v != "deposit" && v != "suspense" {
					t.Errorf("the genuine confirmation is %s", v)
				}
			}
			for range 60 { // every question of 48 hours
				verify(t, w)
				w.Advance(time.Hour)
			}
			settle(t, w)
			if got := claimStates(t, w); got != c.state {
				t.Errorf("claims are %q, want %q", got, c.state)
			}
			if got := w.Ledger.Balance(p.WalletID.String()); got != c.balance {
				t.Errorf("the wallet has %d, want %d", got, c.balance)
			}
			if n := w.Count("SELECT count(*) FROM cases WHERE kind = 'claim'"); (n == 1) != (c.state == "case") {
				t.Errorf("%d cases", n)
			}
		})
	}
}

// TestClaimsAreAskedInTime: at once, after 1 and 10 minutes, then hourly, within the budget of a minute.
func TestClaimsAreAskedInTime(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	stranger(t, w, testworld.C2b("F1", depositAccount(w, p), 100))
	asked := 0
	for _, step := range []struct {
		after time.Duration
		asks  int
	}{{0, 1}, {59 * time.Second, 0}, {time.Second, 1}, {8 * time.Minute, 0}, {time.Minute, 1}, {59 * time.Minute, 0}, {time.Minute, 1},
		{time.Hour, 1}} {
		w.Advance(step.after)
		verify(t, w)
		if n := w.Mpesa.Pulls() - asked; n != step.asks {
			t.Errorf("after %s: %d questions, want %d", step.after, n, step.asks)
		}
		asked = w.Mpesa.Pulls()
	}
	w.Advance(30 * time.Minute)
	for i := range 40 {
		stranger(t, w, testworld.C2b("G"+strings.Repeat("A", i+1), depositAccount(w, p), 100))
	}
	for range 3 {
		verify(t, w)
	}
	if n := w.Mpesa.Pulls() - asked; n != 30 {
		t.Errorf("%d questions in a minute, want 30", n)
	}
	w.Advance(time.Minute)
	verify(t, w)
	if n := w.Mpesa.Pulls() - asked; n <= 30 || n > 60 {
		t.Errorf("%d questions in two minutes", n)
	}
}

// TestClaimsWithoutAnswerEnd: when every question errs, the claim is a case once the books no longer reach back, and not before.
func TestClaimsWithoutAnswerEnd(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	w.Mpesa.ShutBooks()
	p := w.Person(1, 0)
	for _, receipt := range []string{"F1", "F2"} {
		stranger(t, w, testworld.C2b(receipt, depositAccount(w, p), 100))
	}
	for hour := range 48 {
		for range 2 { // an error ends a pass, and the next claim is asked in the next
			if err := w.App.VerifyClaims(t.Context()); err == nil && hour == 0 {
				t.Error("a question without answer is no error")
			}
		}
		if got := claimStates(t, w); got != "open,open" {
			t.Fatalf("after %d hours: %s", hour, got)
		}
		w.Advance(time.Hour)
	}
	verify(t, w)
	if got := claimStates(t, w); got != "case,case" || w.Count("SELECT count(*) FROM cases WHERE kind = 'claim'") != 2 {
		t.Errorf("after 48 hours: %s", got)
	}
	asked := w.Mpesa.Pulls()
	w.Advance(100 * time.Hour)
	verify(t, w)
	if n := w.Mpesa.Pulls(); n != asked {
		t.Errorf("asked %d times more", n-asked)
	}
}

// TestWithoutPullEachClaimIsACase is a short code that Safaricom has not opened its books for.
func TestWithoutPullEachClaimIsACase(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	w.Rebuild(func(d *app.Deps) { d.AskPull = false })
	p := w.Person(1, 0)
	if v := stranger(t, w, testworld.C2b("F1", depositAccount(w, p), 100)); v != "unverified" {
		t.Errorf("verdict %s", v)
	}
	verify(t, w)
	if n := w.Count("SELECT count(*) FROM cases"); n != 1 || claimStates(t, w) != "case" || w.Mpesa.Pulls() != 0 {
		t.Errorf("%d cases, claims %s, %d questions", n, claimStates(t, w), w.Mpesa.Pulls())
	}
}

// TestStrangersCallback: who knows the path of one prompt's callback can make us ask, and nothing else.
func TestStrangersCallback(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	made := topup(t, w, p, 100)
	for range 5 {
		for _, body := range [][]byte{testworld.StkSuccess(made.CheckoutRequestID, "F1", 100),
			testworld.StkFailure(made.CheckoutRequestID, "1032")} {
			if v := strangersCallback(t, w, made.ID, body); v != "unverified" {
				t.Errorf("verdict %s", v)
			}
		}
	}
	if n := w.Count("SELECT count(*) FROM river_job WHERE kind = 'wallet.ask_stk'"); n != 1 {
		t.Errorf("%d questions, want one however often it is said", n)
	}
	if v := strangersCallback(t, w, made.ID, testworld.StkSuccess("ws_CO_another", "F2", 100)); v != "checkout_mismatch" {
		t.Errorf("verdict %s", v)
	}
	settle(t, w)
	if got := read(t, w, p, made.ID); got.Status != "prompted" || got.Receipt != "" {
		t.Fatalf("a stranger moved the top-up: %+v", got)
	}
	w.Mpesa.AnswerQuery("0") // Safaricom says so itself
	if err := w.App.AskStk(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	settle(t, w)
	if got := read(t, w, p, made.ID); got.Status != "paid" || got.Receipt != "" || w.Ledger.Balance(p.WalletID.String()) != 10000 {
		t.Errorf("asked: %+v, balance %d", got, w.Ledger.Balance(p.WalletID.String()))
	}
	w.Mpesa.Book("F1", made.AccountReference, 100) // and its books name the receipt
	verify(t, w)
	settle(t, w)
	if got := read(t, w, p, made.ID); got.Receipt != "F1" || w.Ledger.Balance(p.WalletID.String()) != 10000 {
		t.Errorf("after the books: %+v, balance %d", got, w.Ledger.Balance(p.WalletID.String()))
	}
}

// TestOnePromptOneReceipt: the confirmation names the receipt first; callbacks with the same checkout id and amount but other receipts then
// make no money.
func TestOnePromptOneReceipt(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	made := topup(t, w, p, 1000)
	if v := c2b(t, w, testworld.C2b("R1", made.AccountReference, 1000)); v != "applied" {
		t.Fatalf("verdict %s", v)
	}
	for receipt, want := range map[string]string{"R1": "duplicate", "R2": "unverified", "R3": "unverified", "R4": "unverified"} {
		if v := callback(t, w, made.ID, testworld.StkSuccess(made.CheckoutRequestID, receipt, 1000)); v != want {
			t.Errorf("%s: verdict %s, want %s", receipt, v, want)
		}
	}
	for range 60 {
		verify(t, w)
		w.Advance(time.Hour)
	}
	settle(t, w)
	if got := w.Ledger.Balance(p.WalletID.String()); got != 100000 {
		t.Errorf("1,000 became %d", got/100)
	}
	if v := c2b(t, w, testworld.C2b("R2", made.AccountReference, 1000)); v != "deposit" { // a payer who used the reference again
		t.Errorf("verdict %s", v)
	}
}

// TestOlderReceiptsKeepTheirKeys starts from rows as the version before wrote them.
func TestOlderReceiptsKeepTheirKeys(t *testing.T) {
	t.Parallel()
	db, upgrade := testworld.Older(t, "00001_init.sql")
	_, err := db.Pool.Exec(t.Context(), `INSERT INTO receipts (receipt, deposit_id, source, amount_minor, created_at) VALUES
		('AB12', gen_random_uuid(), 'c2b', 100, '2026-02-02'), ('ab12', gen_random_uuid(), 'c2b', 100, '2026-01-01'), ('cd34', gen_random_uuid(),
		'callback', 100, '2026-01-01')`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = db.Pool.Exec(t.Context(), `INSERT INTO callbacks (id, kind, provider_id, body_hash, body_sealed, received_at)
		VALUES (gen_random_uuid(), 'c2b', 'X', '\x01', '\x01', $1)`, servicetest.Start.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	upgrade()
	var keys, pairs, source string
	err = db.Pool.QueryRow(t.Context(),
		`SELECT (SELECT string_agg(receipt || '=' || coalesce(receipt_key, '-'), ' ' ORDER BY receipt COLLATE "C") FROM receipts),
		(SELECT string_agg(receipt, ' ') FROM cases WHERE kind = 'receipt_pair'), (SELECT source FROM callbacks)`).Scan(&keys, &pairs, &source)
	if err != nil || keys != "AB12=- ab12=AB12 cd34=CD34" || pairs != "AB12" || source != "stranger" {
		t.Fatalf("keys %s, pairs %s, source %s, %v", keys, pairs, source, err)
	}
	w := testworld.On(t, db)
	p := w.Person(1, 0)
	for _, receipt := range []string{"AB12", "ab12", "CD34", "Cd34"} {
		if v := c2b(t, w, testworld.C2b(receipt, depositAccount(w, p), 1)); v != "duplicate" {
			t.Errorf("%s: %s", receipt, v)
		}
	}
	if v := c2b(t, w, testworld.C2b("ef56", depositAccount(w, p), 1)); v != "deposit" {
		t.Errorf("a new one: %s", v)
	}
	if v := c2b(t, w, testworld.C2b("EF56", depositAccount(w, p), 1)); v != "duplicate" {
		t.Errorf("in capitals: %s", v)
	}
}

// TestUnjudgeableEnds: texts that PostgreSQL cannot hold end as cases, and never as jobs that run for ever.
func TestUnjudgeableEnds(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	made := topup(t, w, p, 100)
	nul := `\u0000`
	for name, body := range map[string]string{
		"receipt": strings.Replace(string(testworld.C2b("R1", "X", 1)), `"R1"`, `"R`+nul+`1"`, 1),
		"account": strings.Replace(string(testworld.C2b("R2", "X", 1)), `"X"`, `"X`+nul+`"`, 1),
		"all":     strings.ReplaceAll(string(testworld.C2b("R3", "X", 1)), `":"`, `":"`+nul), "not JSON": nul,
		"cut off": string(testworld.C2b("R4", "X", 1))[:50], "empty": "",
	} {
		if v := c2b(t, w, []byte(body)); v != "suspense" && v != "unreadable" {
			t.Errorf("%s: %q", name, v)
		}
	}
	for name, body := range map[string]string{
		"merchant": strings.Replace(string(testworld.StkSuccess(made.CheckoutRequestID, "R9", 100)), `"m"`, `"m`+nul+strings.Repeat("x", 100)+`"`,
			1),
		"result":   strings.Replace(string(testworld.StkFailure(made.CheckoutRequestID, "1")), `"ResultCode":1`, `"ResultCode":"`+nul+`"`, 1),
		"checkout": string(testworld.StkSuccess(nul, "R10", 100)),
	} {
		if v := callback(t, w, made.ID, []byte(body)); v == "" {
			t.Errorf("%s is not judged", name)
		}
	}
	if n := w.Count("SELECT count(*) FROM callbacks WHERE judged_at IS NULL"); n != 0 {
		t.Errorf("%d messages are open", n)
	}
	if n, m := w.Count("SELECT count(*) FROM callbacks WHERE verdict = 'unreadable'"),
		w.Count("SELECT count(*) FROM cases WHERE kind = 'unreadable'"); n == 0 || n != m {
		t.Errorf("%d unreadable, %d cases", n, m)
	}
}

// TestStrangersDoNotFillTheLog: who has seen the path of confirmations may send many: a few lines of a kind are written, and the others
// counted.
func TestStrangersDoNotFillTheLog(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	account := depositAccount(w, w.Person(1, 0))
	for i := range 30 {
		stranger(t, w, testworld.C2b(fmt.Sprintf("F%dX", i), account, 100))
	}
	if n := strings.Count(w.Logs.String(), "alarm: callback_unverified"); n == 0 || n > 5 {
		t.Errorf("%d lines", n)
	}
}
